"""Queues: what to look at next, and how candidates, controls and calibration stamps are mixed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.catalogue.queries import Query
from engine.catalogue.store import Project
from engine.errors import ProjectError

#: A score that swings by so much between views of one stamp is uncertain.
UNCERTAIN = 0.1

#: Grades whose worth differs by so much are a disagreement: A against C, 3 against 1.
DISAGREEMENT = 2.0

#: Named queues: a name, and the fields of a ``Query`` for a grader and a number of graders wanted.
QUEUES: Mapping[str, Callable[[str, int], dict[str, Any]]] = {
    "ungraded": lambda grader, _: {"grades": {None}, "seen_by": grader},
    "uncertain": lambda grader, _: {
        "grades": {None}, "seen_by": grader, "order": "spread", "ranges": {"spread": (UNCERTAIN, None)},
    },
    "disagreements": lambda *_: {"differ_by": DISAGREEMENT},
    "few graders": lambda grader, wanted: {"fewer_than": wanted, "grades": {None}, "seen_by": grader},
    "come back": lambda grader, _: {"come_back": True, "seen_by": grader},
    "flagged": lambda *_: {"flagged": True},
}  # fmt: skip


def queue(name: str, *, grader: str, wanted: int = 2) -> Query:
    """The query of a named queue for one person; ``wanted`` is how many persons should grade each candidate.

    Raises
    ------
    ProjectError : no queue of this name
    """
    if name not in QUEUES:
        raise ProjectError(f"there is no queue {name!r}: choose one of {', '.join(QUEUES)}")
    return Query(**QUEUES[name](grader, wanted))


@dataclass(frozen=True, slots=True, eq=False)
class VettingQueue:
    """Ids (n,) in the order to look at them, and what a grader is to be told of the mixture."""

    ids: NDArray[np.int64]
    text: str


def vetting_queue(
    project: Project,
    query: Query,
    *,
    grader: str,
    seed: int = 1,
    controls: float = 0.05,
    calibration: float = 0.1,
) -> VettingQueue:
    """Mix what a query finds, shuffled, with random controls and calibration stamps that the grader has not graded.

    The same seed and project give the same order, another for each grader, so that tiredness falls on other candidates.
    Stamps are spread evenly over the queue, at random places; each fraction is of the whole queue, or less where there
    are not enough.

    Raises
    ------
    ProjectError : fractions below 0, or of half the queue and more together
    """
    if min(controls, calibration) < 0 or controls + calibration >= 0.5:
        raise ProjectError("controls and calibration stamps are fractions of the queue, below 0.5 together: lower them")
    random = np.random.default_rng([seed, *grader.encode()])
    found = random.permutation(np.sort(project.ids(query)))
    share = 1 - controls - calibration
    unseen = replace(Query(), grades={None}, seen_by=grader, order="id", descending=False)
    others = np.setdiff1d(project.ids(unseen), found)
    stamps = np.setdiff1d(project.ids(replace(unseen, calibration=True)), project.ids(unseen))
    drawn = [
        random.permutation(pool)[: round(len(found) * fraction / share)]
        for pool, fraction in ((others, controls), (stamps, calibration))
    ]
    total = len(found) + sum(map(len, drawn))
    place = np.concatenate([(np.arange(len(part)) + random.random(len(part))) / max(len(part), 1) for part in
                            (found, *drawn)])  # fmt: skip
    ids = np.concatenate([found, *drawn])[np.argsort(place, kind="stable")]
    parts = [
        f"{len(part)} {what} ({_frequency(len(part), total)})"
        for part, what in zip(drawn, ("random controls", "calibration stamps"), strict=True)
        if len(part)
    ]
    return VettingQueue(
        ids.astype(np.int64), f"{total} to look at" + (f", among them {' and '.join(parts)}" if parts else "")
    )


def _frequency(count: int, total: int) -> str:
    return f"1 in {round(total / count)}"
