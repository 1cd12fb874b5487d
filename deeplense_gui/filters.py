"""Which candidates the list shows, and in which order; what is read of the project is kept until it changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import ConnectionLostError
from engine.types import Candidate

LOOK_AHEAD = 12
SCORES = (0.9, 0.5, 0.1, 0.01)  # where groups of scores begin
FEW = 512  # rows looked through for one without a grade, before the project is asked for all of them
ROWS_KEPT = 4096  # candidates that were read: while a scan runs, lists are read again that have hardly changed
FOUND = frozenset({"candidates", "scores"})
"""What a scan changes: nothing that can be undone."""

SAID = frozenset({"grades", "subclasses", "notes", "flags", "come_backs", "measurements"})
"""What a person says of the candidates that the change names, and of no others."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Filters:
    """Order and filter of the list.

    ``grades`` holds the letters to show, and None for the ungraded; None for the whole set means all. ``group`` is ""
    or what the list is put together by before it is sorted: "grade" or "score". ``queue`` names one of the project's
    queues, "" for none; ``ranges`` limits columns of numbers, each (column, least, most); ``mosaic`` keeps the
    candidates of one. ``seed`` is that of the order "random". ``wanted`` is how many graders the queue "few graders"
    wants for each candidate; ``once`` leaves out what is the same object as another candidate. ``kind``, ``grader`` and
    ``model`` keep the candidates that have it, "" all; ``known`` those in a catalogue of known objects, or not in one.
    """

    order: str = "score"
    descending: bool = True
    grades: frozenset[str | None] | None = None
    min_score: float | None = None
    text: str = ""
    group: str = ""
    queue: str = ""
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    mosaic: str | None = None
    seed: int = 0
    wanted: int = 2
    once: bool = False
    kind: str = ""
    grader: str = ""
    model: str = ""
    known: bool | None = None

    def stored(self) -> dict[str, Any]:
        """As JSON takes it."""
        grades = None if self.grades is None else sorted(self.grades, key=lambda grade: grade or "")
        return asdict(self) | {"grades": grades}

    @classmethod
    def restored(cls, stored: Mapping[str, Any] | None) -> Self:
        """From what ``stored`` gave; the default where there is nothing."""
        values = {name: value for name, value in (stored or {}).items() if name in cls.__slots__}
        if values.get("grades") is not None:
            values["grades"] = frozenset(values["grades"])
        values["ranges"] = tuple(tuple(one) for one in values.get("ranges", ()))
        return cls(**values)

    def query(self) -> dict[str, Any]:
        """What of a query of the project is chosen here."""
        chosen: dict[str, Any] = {"order": self.order, "descending": self.descending, "seed": self.seed}
        for name in ("grades", "min_score", "text", "mosaic", "once"):
            if getattr(self, name):
                chosen[name] = getattr(self, name)
        for name, value in (("subclasses", self.kind), ("graders", self.grader), ("models", self.model)):
            if value:
                chosen[name] = [value]
        if self.known is not None:
            chosen["known"] = self.known
        if self.grades is not None:
            chosen["grades"] = set(self.grades)
        return chosen

    @property
    def narrow(self) -> bool:
        """Whether anything is left out of the list."""
        parts = (self.min_score, self.text, self.queue, self.ranges, self.mosaic, self.once, *self.words)
        return self.grades is not None or any(bool(part) for part in parts)

    @property
    def words(self) -> tuple[str, ...]:
        """Names of the choices among words, numbers left out, that leave something out."""
        chosen = (("kind", self.kind), ("grader", self.grader), ("model", self.model))
        return (*(name for name, value in chosen if value), *(("known",) if self.known is not None else ()))

    def sorted_as(self, other: Self) -> Self:
        """The same limits with the order and the groups of another."""
        return replace(self, order=other.order, descending=other.descending, group=other.group, seed=other.seed)

    def depends_on(self, kinds: Set[str]) -> bool:
        """Whether a change of these kinds can put candidates into the list, out of it, or elsewhere in it."""
        if "candidates" in kinds or "scores" in kinds or (self.once and "duplicates" in kinds):
            return True
        by_grade = self.grades is not None or self.group == "grade" or self.order in ("grade", "grader", "graded_at")
        by_note = bool(self.text) or self.order == "note"
        queued = bool(self.queue or self.words) or self.order in ("subclass", "flag", "come_back", "einstein_radius")
        return queued or ("grades" in kinds and by_grade) or ("notes" in kinds and by_note)


class CandidateList:
    """The candidates of a project as the list shows them; without a project there are none.

    ``seen_by`` is whose grades and notes alone are seen, with calibration stamps mixed in, None for everybody's;
    ``queue`` makes the query of a queue from its name and the number of graders wanted; ``lost`` is told when the
    server of a shared project does not answer, and what was read before is shown on. In blind mode ``among`` gives the
    ids, sorted, of the members of the blind queue, None for all, and ``tally`` counts their grades.
    """

    def __init__(
        self,
        queue: Callable[[str, int], Any] = lambda name, wanted: None,
        lost: Callable[[ConnectionLostError], None] = lambda error: None,
    ) -> None:
        self.among: Callable[[], Ids | None] = lambda: None
        self.tally: Callable[[Ids], dict[str | None, int]] = lambda members: {}
        self.project: Any = None
        self.filters = Filters()
        self.seen_by: str | None = None
        self._queue = queue
        self._lost = lost
        self._before: tuple[Ids, list[tuple[str, int]]] = (np.empty(0, np.int64), [])
        self._touched = 0.0  # candidates that may have come or gone since the list was read
        self.forget()

    def use(self, project: Any, filters: Mapping[str, Any] | None = None) -> None:
        """Show the candidates of another project, with filters that were stored; None shows none."""
        self.project = project
        if project is not None:
            self.filters = Filters.restored(filters)
        self._before = (np.empty(0, np.int64), [])
        self.forget()

    def forget(self, kinds: Set[str] | None = None, ids: Sequence[int] = ()) -> None:
        """Read anew what a change of these kinds, to these candidates, touches; everything by default."""
        if kinds is None or self.filters.depends_on(kinds):
            self._touched = self._touched + len(ids) if ids else math.inf
            self._ids: Ids | None = None
            self._sections: list[tuple[str, int]] = []
        if kinds is None or kinds & {"candidates", "scores", "settings"}:
            self._members: tuple[Ids | None] | None = None
        self._counts: dict[str | None, int] | None = None
        self._candidate: Candidate | None = None
        if kinds is None or not kinds <= FOUND:
            self._history: tuple[str | None, str | None] | None = None
        if kinds is not None and (kinds <= FOUND or (ids and kinds <= SAID)):
            for identity in ids:
                self._rows.pop(identity, None)
        else:
            self._rows: dict[int, Candidate] = {}
        if kinds is None or "settings" in kinds:
            self._scheme: Any = None

    @property
    def stale(self) -> bool:
        """Whether the list is to be read anew, which with a million candidates is felt."""
        return self._ids is None

    @property
    def empty(self) -> bool:
        """Whether the list shows nothing; a longer one need not be read anew to know that a few cannot empty it."""
        longer = self.stale and len(self._before[0]) > self._touched
        return not longer and not len(self.ids())

    def scheme(self) -> Any:
        """The grades and subclasses of the project, None without one; each key that grades asks for it many times."""
        if self._scheme is None and self.project is not None:
            self._scheme = self._read("scheme", otherwise=None)
        return self._scheme

    def ids(self) -> Ids:
        """Candidate ids in the order and with the filter of the list."""
        if self._ids is None:
            try:
                parts = self._parts()
            except ConnectionLostError as error:
                self._ids, self._sections = self._before
                self._lost(error)
                return self._ids
            self._ids = np.concatenate([ids for _, ids in parts])
            self._sections = [(title, len(ids)) for title, ids in parts if len(ids)] if self.filters.group else []
            self._before = (self._ids, self._sections)
            self._touched = 0.0
        return self._ids

    def sections(self) -> list[tuple[str, int]]:
        """Title and length of the groups the list is in, in order; none where it is in no groups."""
        self.ids()
        return self._sections

    def _parts(self) -> list[tuple[str, Ids]]:
        """The list in its groups."""
        filters = self.filters
        if filters.group == "grade" and self.project is not None:
            ranks = {level.name: rank for rank, level in enumerate(self.scheme().grades)}
            grades = sorted(self.counts(), key=lambda grade: (grade is None, ranks.get(grade, len(ranks)), grade or ""))
            wanted = [grade for grade in grades if filters.grades is None or grade in filters.grades]
            return [
                ("No grade yet" if grade is None else f"Grade {grade}", self._query(replace(filters, grades={grade})))
                for grade in wanted
            ] or [("", self._query(filters))]
        everything = self._query(filters)
        if filters.group != "score":
            return [("", everything)]
        parts, left, above = [], everything, ""
        for least in SCORES:
            better = self._query(replace(filters, min_score=max(least, filters.min_score or 0.0)))
            title = f"Score {least:g} to {above}" if above else f"Score {least:g} and more"
            parts.append((title, left[np.isin(left, better)]))
            left, above = left[~np.isin(left, better)], f"{least:g}"
        return [*parts, (f"Score below {above}, or none", left)]

    def _read(self, name: str, *arguments: Any, otherwise: Any, **named: Any) -> Any:
        """Ask the project; where its server does not answer, say so and go on with something else."""
        try:
            return getattr(self.project, name)(*arguments, **named)
        except ConnectionLostError as error:
            self._lost(error)
            return otherwise

    def query(self, filters: Filters) -> Ids:
        """Candidate ids with other filters."""
        try:
            return self._query(filters)
        except ConnectionLostError as error:
            self._lost(error)
            return np.empty(0, np.int64)

    def _query(self, filters: Filters) -> Ids:
        if self.project is None:
            return np.empty(0, np.int64)
        queue, chosen = self._queue(filters.queue, filters.wanted) if filters.queue else None, filters.query()
        if self.seen_by is not None:
            chosen |= {"seen_by": self.seen_by, "calibration": True}
        if filters.ranges:
            chosen["ranges"] = {
                **(queue.ranges if queue else {}),
                **{n: (low, high) for n, low, high in filters.ranges},
            }
        ids, members = np.asarray(self.project.ids(queue, **chosen), np.int64), self.members()
        return ids if members is None else ids[np.isin(ids, members)]

    def members(self) -> Ids | None:
        """The members of the blind queue; None where all candidates may be listed."""
        if self.seen_by is None or self.project is None:
            return None
        if self._members is None:
            self._members = (self.among(),)
        return self._members[0]

    def counts(self) -> dict[str | None, int]:
        """How many candidates of the project, or of the blind queue, have each grade; None counts those without."""
        if self._counts is None:
            members = self.members()
            counts = {} if self.project is None else dict(self._read("counts", seen_by=self.seen_by, otherwise={}))
            if members is not None:
                counts = self.tally(members)
            elif self.project is not None and self.filters.once:
                for row in self.rows(self._read("repeated", otherwise=[])):
                    counts[row.grade] = counts.get(row.grade, 0) - 1
            self._counts = {grade: count for grade, count in counts.items() if count > 0}
        return self._counts

    def rows(self, ids: Sequence[int] | Ids) -> list[Candidate]:
        """Candidates by id, in the order asked for."""
        if self.project is None or not len(ids):
            return []
        if len(ids) > ROWS_KEPT:
            return list(self._read("rows", ids, self.seen_by, otherwise=[]))
        wanted = [int(identity) for identity in ids]
        missing = [identity for identity in wanted if identity not in self._rows]
        if len(self._rows) + len(missing) > ROWS_KEPT:
            self._rows, missing = {}, wanted
        if missing:
            self._rows.update({row.id: row for row in self._read("rows", missing, self.seen_by, otherwise=[])})
        return [self._rows[identity] for identity in wanted if identity in self._rows]

    def candidate(self, identity: int | None) -> Candidate | None:
        """One candidate; the last one asked for is kept, since every panel asks for the selected one."""
        if self.project is None or identity is None:
            return None
        if self._candidate is None or self._candidate.id != identity:
            self._candidate = self._read("candidate", identity, self.seen_by, otherwise=self._rows.get(identity))
        return self._candidate

    def history(self, grader: str) -> tuple[str | None, str | None]:
        """What undo and redo of a person would do, in words; None where there is nothing."""
        if self.project is None or self.project.read_only:
            return None, None
        if self._history is None:
            self._history = tuple(
                self._read("history_text", action, grader, otherwise=None) for action in ("undo", "redo")
            )
        return self._history

    def step(self, identity: int | None, by: int) -> int | None:
        """The candidate ``by`` rows after one, stopping at the ends; None where the list is empty."""
        ids = self.ids()
        if not len(ids):
            return None
        here = row_of(ids, identity)
        start = (-1 if by > 0 else len(ids)) if here is None else here
        return int(ids[min(max(start + by, 0), len(ids) - 1)])

    def neighbours(self, identity: int | None) -> list[Candidate]:
        """What is likely to be looked at after one: the next two without a grade, those beside it.

        Where the list is to be read anew, that of before will do: whoever grades waits for nothing.
        """
        ids = self._before[0] if self.stale else self.ids()
        here = row_of(ids, identity)
        if here is None:
            return []
        rows = self.rows(ids[max(here - 1, 0) : here + 1 + LOOK_AHEAD])
        after = rows[min(here, 1) + 1 :]
        likely = [*[row for row in after if row.grade is None][:2], *after[:1], *rows[: min(here, 1)]]
        return list({row.id: row for row in likely}.values())

    def next_ungraded(self, identity: int | None, ids: Ids) -> int | None:
        """The first candidate without a grade after one in ``ids``, from there on and then from the top."""
        here = row_of(ids, identity)
        after, before = (ids, ids[:0]) if here is None else (ids[here + 1 :], ids[:here])
        close = np.concatenate([after[:FEW], before[: max(FEW - len(after), 0)]])
        for near in (close[:LOOK_AHEAD], close[LOOK_AHEAD:]):
            found = next((row for row in self.rows(near) if row.grade is None), None)
            if found is not None:
                self._candidate = found  # it is what everybody asks for next
                return found.id
        around = np.concatenate([after, before])
        left = around[np.isin(around, self.query(replace(self.filters, grades=frozenset({None}))))]
        return int(left[0]) if len(left) else None


def row_of(ids: Ids, identity: int | None, near: int = 0) -> int | None:
    """The place of a candidate in a list of ids, None where it is not there; soonest found just after ``near``."""
    if identity is None:
        return None
    for start, some in ((near, ids[near : near + FEW]), (0, ids)):
        found = np.flatnonzero(some == identity)
        if len(found):
            return start + int(found[0])
    return None


def counted(grade: str, count: int) -> str:
    """A grade and how many have it; a colon keeps two numbers apart."""
    return f"{grade}{':' if grade[-1:].isdigit() else ''} {count:,}"
