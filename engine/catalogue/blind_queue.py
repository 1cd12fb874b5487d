"""What a blind queue is made of: candidates above a cut of score, random controls and calibration stamps.

Whoever grades from the top of a list alone never learns what the cut of score throws away. Random controls, drawn by a
seed over all scores, tell: the share of lenses among those below the cut says how many lenses lie there. The journal
has an event for each control drawn, so that the controls of a team come together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, nan
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from engine.catalogue import journal
from engine.catalogue.calibration import Share, share
from engine.catalogue.queries import fetch
from engine.catalogue.schema import calibration, events, opinions
from engine.catalogue.store import Project
from engine.errors import ProjectError

_SETTING = "mixing"

#: Controls and stamps together leave at least this share of a queue to the candidates above the cut.
_LEAST = 0.1


@dataclass(frozen=True, slots=True)
class Mixing:
    """What a blind queue is made of, kept with the project.

    ``cut`` is the least score of what one means to grade, None for all candidates. ``controls`` is the share of the
    queue that is drawn at random below the cut, ``stamps`` the share that are calibration stamps, None for all there
    are. With ``feedback`` a grader is told what a calibration stamp was, once it is graded. ``seed`` is that of the
    draw: the same seed draws the same.
    """

    cut: float | None = None
    controls: float = 0.0
    stamps: float | None = None
    feedback: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        shares = (self.controls, self.stamps or 0.0)
        if min(shares) < 0 or sum(shares) > 1 - _LEAST:
            raise ProjectError(f"controls and stamps are up to {1 - _LEAST:.0%} of a queue together: choose fewer")

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def restored(cls, stored: Mapping[str, Any] | None) -> Self:
        """From what ``stored`` gave; all candidates and stamps where nothing is kept."""
        return cls(**{name: value for name, value in (stored or {}).items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True, eq=False)
class BlindQueue:
    """The members of a blind queue: ids (n,), sorted, and how many of them are what.

    ``above`` are candidates of the cut and more, ``controls`` those drawn below it, ``stamps`` calibration stamps of
    the ``stamps_wanted``; there may be fewer.
    """

    ids: NDArray[np.int64]
    above: int
    controls: int
    stamps: int
    stamps_wanted: int


@dataclass(frozen=True, slots=True)
class CutReport:
    """How many lenses a cut of score throws away, with 68 % intervals.

    ``above`` and ``below`` count the candidates on its sides, ``graded`` and ``found`` those above that are graded and
    called a lens. ``controls`` are those drawn at random below the cut, ``share`` the lenses among the graded of them.
    ``lost`` (estimate, low, high) is the number of lenses below, ``completeness`` (estimate, low, high) the share of
    all lenses that lie above; NaN while no control is graded. While not all above are graded, it is too low.
    """

    cut: float
    above: int
    graded: int
    found: int
    below: int
    controls: int
    share: Share
    lost: tuple[float, float, float]
    completeness: tuple[float, float, float]


def mixing(project: Project) -> Mixing:
    """What the project says a blind queue is made of."""
    return Mixing.restored(project.setting(_SETTING))


def set_mixing(project: Project, wanted: Mixing) -> None:
    """Keep with the project what a blind queue is made of."""
    project.set_setting(_SETTING, wanted.stored())


def blind_queue(project: Project, wanted: Mixing) -> BlindQueue:
    """The members of a blind queue."""
    above = project.ids(min_score=wanted.cut, order="id", descending=False)
    sides = max(1 - wanted.controls - (wanted.stamps or 0.0), _LEAST)
    drawn = _drawn(project, wanted, above, ceil(wanted.controls * len(above) / sides - 1e-9))
    below = np.setdiff1d(drawn, above, assume_unique=True)
    with project.reading() as connection:
        marked = fetch(connection, select(calibration.c.uuid, calibration.c.candidate))
    # By uuid, which is the same on every machine: a team sees the same stamps.
    marked.sort(key=lambda row: crc32(f"{wanted.seed} {row[0]}".encode()))
    stamps = np.array([row[1] for row in marked], np.int64)
    number = len(stamps)
    if wanted.stamps is not None:
        number = ceil(wanted.stamps * len(above) / sides - 1e-9)
    chosen = stamps[:number]
    return BlindQueue(np.sort(np.concatenate([above, below, chosen])), len(above), len(below), len(chosen), number)


def _drawn(project: Project, wanted: Mixing, above: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """The first of all candidates in an order of chance, until ``number`` of them lie below the cut."""
    if wanted.cut is None or number == 0:
        return np.empty(0, np.int64)
    everything = project.ids(order="random", seed=wanted.seed)
    below = np.flatnonzero(~np.isin(everything, above, assume_unique=True))
    return everything[: int(below[min(number, len(below)) - 1]) + 1] if len(below) else everything[:0]


def draw_controls(project: Project, wanted: Mixing, *, grader: str) -> int:
    """Journal the controls of a queue as drawn at random, those that are new; says how many. No matter of undo.

    What is drawn above the cut is journaled too: a control is one for any cut.
    """
    queue = blind_queue(project, wanted)
    above = project.ids(min_score=wanted.cut, order="id", descending=False)
    drawn = _drawn(project, wanted, above, queue.controls)
    with project.writing() as connection:
        have = {row[0] for row in fetch(connection, _control_events())}
        new = [number for number in drawn.tolist() if number not in have]
        if new:
            operation = journal.begin_operation(connection, "Random controls", grader, "noted")
            journal.append(
                connection, operation, "do", "control", grader, {number: {"control": wanted.seed} for number in new}
            )
    return len(new)


def _control_events() -> Any:
    return select(events.c.candidate).where(events.c.kind == "control").distinct()


def counts(project: Project, ids: NDArray[np.int64], grader: str) -> dict[str | None, int]:
    """How many members of a queue one person has given each grade; None counts those without."""
    given = select(opinions.c.candidate, opinions.c.grade).where(
        opinions.c.grader == grader, opinions.c.grade.is_not(None)
    )
    with project.reading() as connection:
        rows = fetch(connection, given)
    here = np.isin(np.array([row[0] for row in rows], np.int64), ids)
    found: dict[str | None, int] = dict(Counter(row[1] for row, inside in zip(rows, here, strict=True) if inside))
    left = len(ids) - sum(found.values())
    return found | ({None: left} if left else {})


def cut_report(project: Project, cut: float) -> CutReport:
    """How many lenses lie below a cut of score, from the random controls that anybody drew and graded.

    A candidate is a lens where most of those who graded it call it one, or where the team agreed that it is; each
    object counts once. Candidates without a score lie below.
    """
    above = project.ids(min_score=cut, once=True)
    below = np.setdiff1d(project.ids(once=True), above)
    lenses = _verdicts(project)
    judged = np.array(sorted(lenses), np.int64)
    with project.reading() as connection:
        drawn = np.array([row[0] for row in fetch(connection, _control_events())], np.int64)
    controls = np.intersect1d(drawn, below)
    told = share(lenses[number] for number in np.intersect1d(controls, judged).tolist())
    graded = np.intersect1d(above, judged).tolist()
    found = sum(lenses[number] for number in graded)
    seen = sum(lenses[number] for number in np.intersect1d(below, judged).tolist())
    # What was found below, however it was come by, is there in any case.
    lost = tuple(max(value * len(below), seen) for value in (told.share, told.low, told.high)) if told.count else None
    estimate, low, high = lost or (nan, nan, nan)
    completeness = tuple(found / (found + one) if found + one > 0 else nan for one in (estimate, high, low))
    return CutReport(
        cut, len(above), len(graded), found, len(below), len(controls), told,
        (estimate, low, high), (completeness[0], completeness[1], completeness[2]),
    )  # fmt: skip


def _verdicts(project: Project) -> dict[int, bool]:
    """Whether each graded candidate is a lens to most of those who graded it, or to the team."""
    scheme = project.scheme()
    query = select(*(opinions.c[name] for name in ("candidate", "grade", "graded_at", "agreed", "agreed_at")))
    calls: dict[int, list[bool]] = {}
    agreed: dict[int, tuple[str, bool]] = {}
    newest: dict[int, str] = {}
    with project.reading() as connection:
        rows = fetch(connection, query.where(opinions.c.grade.is_not(None) | opinions.c.agreed.is_not(None)))
    for candidate, grade, graded_at, word, agreed_at in rows:
        if (level := scheme.level(grade)) is not None:
            calls.setdefault(candidate, []).append(level.lens is True)
            newest[candidate] = max(newest.get(candidate, ""), graded_at)
        if (level := scheme.level(word)) is not None:
            agreed[candidate] = max(agreed.get(candidate, ("", False)), (agreed_at, level.lens is True))
    found = {candidate: sum(said) > len(said) / 2 for candidate, said in calls.items()}
    standing = {candidate: lens for candidate, (at, lens) in agreed.items() if at >= newest.get(candidate, "")}
    return found | standing
