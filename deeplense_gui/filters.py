"""Which candidates the list shows, and in which order; what is read of the project is kept until it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.types import Candidate

LOOK_AHEAD = 12
SCORES = (0.9, 0.5, 0.1, 0.01)  # where groups of scores begin
FEW = 512  # rows looked through for one without a grade, before the project is asked for all of them
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Filters:
    """Order and filter of the list.

    ``grades`` holds the letters to show, and None for the ungraded; None for the whole set means all. ``group`` is ""
    or what the list is put together by before it is sorted: "grade" or "score".
    """

    order: str = "score"
    descending: bool = True
    grades: frozenset[str | None] | None = None
    min_score: float | None = None
    text: str = ""
    group: str = ""

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
        return cls(**values)

    def query(self) -> dict[str, Any]:
        """The arguments of ``Project.ids``."""
        grades = None if self.grades is None else set(self.grades)
        query = asdict(self) | {"grades": grades, "text": self.text or None}
        del query["group"]
        return query

    def depends_on(self, kinds: Set[str]) -> bool:
        """Whether a change of these kinds can put candidates into the list, out of it, or elsewhere in it."""
        if "candidates" in kinds or "scores" in kinds:
            return True
        by_grade = self.grades is not None or self.group == "grade" or self.order in ("grade", "grader", "graded_at")
        by_note = bool(self.text) or self.order == "note"
        return ("grades" in kinds and by_grade) or ("notes" in kinds and by_note)


class CandidateList:
    """The candidates of a project as the list shows them; without a project there are none."""

    def __init__(self) -> None:
        self.project: Any = None
        self.filters = Filters()
        self.forget()

    def use(self, project: Any) -> None:
        """Show the candidates of another project, with the filters it remembers; None shows none."""
        self.project = project
        if project is not None:
            self.filters = Filters.restored(project.setting("filters"))
        self.forget()

    def forget(self, kinds: Set[str] | None = None) -> None:
        """Read anew what a change of these kinds touches; everything by default."""
        if kinds is None or self.filters.depends_on(kinds):
            self._ids: Ids | None = None
            self._sections: list[tuple[str, int]] = []
        self._counts: dict[str | None, int] | None = None
        self._candidate: Candidate | None = None
        self._history: tuple[str | None, str | None] | None = None

    def ids(self) -> Ids:
        """Candidate ids in the order and with the filter of the list."""
        if self._ids is None:
            parts = self._parts()
            self._ids = np.concatenate([ids for _, ids in parts])
            self._sections = [(title, len(ids)) for title, ids in parts if len(ids)] if self.filters.group else []
        return self._ids

    def sections(self) -> list[tuple[str, int]]:
        """Title and length of the groups the list is in, in order; none where it is in no groups."""
        self.ids()
        return self._sections

    def _parts(self) -> list[tuple[str, Ids]]:
        """The list in its groups."""
        filters, everything = self.filters, self.query(self.filters)
        if filters.group == "grade":
            grades = sorted(self.counts(), key=lambda grade: (grade is None, grade or ""))
            wanted = [grade for grade in grades if filters.grades is None or grade in filters.grades]
            return [
                ("No grade yet" if grade is None else f"Grade {grade}", self.query(replace(filters, grades={grade})))
                for grade in wanted
            ] or [("", everything)]
        if filters.group != "score":
            return [("", everything)]
        parts, left, above = [], everything, ""
        for least in SCORES:
            better = self.query(replace(filters, min_score=max(least, filters.min_score or 0.0)))
            title = f"Score {least:g} to {above}" if above else f"Score {least:g} and more"
            parts.append((title, left[np.isin(left, better)]))
            left, above = left[~np.isin(left, better)], f"{least:g}"
        return [*parts, (f"Score below {above}, or none", left)]

    def query(self, filters: Filters) -> Ids:
        """Candidate ids with other filters."""
        return np.asarray([] if self.project is None else self.project.ids(**filters.query()), np.int64)

    def counts(self) -> dict[str | None, int]:
        """How many candidates of the project have each grade; None counts those without."""
        if self._counts is None:
            self._counts = {} if self.project is None else dict(self.project.counts())
        return self._counts

    def rows(self, ids: Sequence[int] | Ids) -> list[Candidate]:
        """Candidates by id, in the order asked for."""
        return [] if self.project is None or not len(ids) else self.project.rows(ids)

    def candidate(self, identity: int | None) -> Candidate | None:
        """One candidate; the last one asked for is kept, since every panel asks for the selected one."""
        if self.project is None or identity is None:
            return None
        if self._candidate is None or self._candidate.id != identity:
            self._candidate = self.project.candidate(identity)
        return self._candidate

    def history(self) -> tuple[str | None, str | None]:
        """What undo and redo would do, in words; None where there is nothing."""
        if self.project is None or self.project.read_only:
            return None, None
        if self._history is None:
            self._history = (self.project.undo_text, self.project.redo_text)
        return self._history

    def step(self, identity: int | None, by: int) -> int | None:
        """The candidate ``by`` rows after one, stopping at the ends; None where the list is empty."""
        ids = self.ids()
        if not len(ids):
            return None
        here = row_of(ids, identity)
        start = (-1 if by > 0 else len(ids)) if here is None else here
        return int(ids[min(max(start + by, 0), len(ids) - 1)])

    def upcoming(self, identity: int | None) -> Candidate | None:
        """The candidate that is likely to be looked at after one: the next without a grade, if it is near."""
        ids = self.ids()
        here = row_of(ids, identity)
        rows = self.rows(ids[here + 1 : here + 1 + LOOK_AHEAD]) if here is not None else []
        return next((row for row in rows if row.grade is None), next(iter(rows), None))

    def next_ungraded(self, identity: int | None, ids: Ids) -> int | None:
        """The first candidate without a grade after one in ``ids``, from there on and then from the top."""
        here = row_of(ids, identity)
        around = ids if here is None else np.concatenate([ids[here + 1 :], ids[:here]])
        for near in (around[:LOOK_AHEAD], around[LOOK_AHEAD:FEW]):
            found = next((row.id for row in self.rows(near) if row.grade is None), None)
            if found is not None:
                return found
        left = around[np.isin(around, self.query(replace(self.filters, grades=frozenset({None}))))]
        return int(left[0]) if len(left) else None


def row_of(ids: Ids, identity: int | None) -> int | None:
    """The place of a candidate in a list of ids, None where it is not there."""
    found = np.flatnonzero(ids == identity) if identity is not None else ()
    return int(found[0]) if len(found) else None
