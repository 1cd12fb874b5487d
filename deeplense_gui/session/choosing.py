"""The list and the one selection: order, filter, step."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplense_gui.session.core import Core
from engine.types import Candidate


class ChoosingVerbs(Core):
    """Filter the list, select in it, go on in it."""

    def ids(self) -> NDArray[np.int64]:
        """Candidate ids in the order and with the filter of the list."""
        return self.listing.ids()

    def sections(self) -> list[tuple[str, int]]:
        """Title and length of the groups of the list; none where it is in no groups."""
        return self.listing.sections()

    def counts(self) -> dict[str | None, int]:
        """How many candidates of the project have each grade; None counts those without."""
        return self.listing.counts()

    def rows(self, ids: Sequence[int] | NDArray[np.int64]) -> list[Candidate]:
        """Candidates by id, in the order asked for."""
        return self.listing.rows(ids)

    def history(self) -> tuple[str | None, str | None]:
        """What undo and redo would do, in words; None where there is nothing."""
        return self.listing.history()

    def set_filters(self, **values: Any) -> None:
        """Change order or filter of the list (fields of ``Filters``)."""
        filters = replace(self.filters, **values)
        if filters != self.filters:
            self.listing.filters = filters
            self.listing.forget()
            self.filtered.emit()

    def select(self, candidate_id: int | None, *, marked: Collection[int] = ()) -> None:
        """Select a candidate everywhere, and mark others with it; its mosaic becomes the shown one."""
        candidate_id = None if candidate_id is None else int(candidate_id)
        marks = frozenset(marked) | ({candidate_id} if candidate_id is not None else frozenset())
        if candidate_id != self.selection:
            self.selection = candidate_id
            self._selected_at = time.monotonic()
            self.marked, marks_before = marks, self.marked
            candidate = self.candidate()
            if candidate is not None and (mosaic := self.mosaics.get(candidate.mosaic)) is not None:
                self.show_mosaic(mosaic)
            self.selected.emit(candidate_id)
            if len(marks) > 1 or len(marks_before) > 1:
                self.marks_changed.emit()
        elif marks != self.marked:
            self.marked = marks
            self.marks_changed.emit()

    def marked_ids(self) -> list[int]:
        """The selected candidate and those marked with it, in the order of the list; never one the list hides."""
        if len(self.marked) < 2:
            return sorted(self.marked)
        ids = self.ids()
        listed = ids[np.isin(ids, np.fromiter(self.marked, np.int64, len(self.marked)))]
        return [int(identity) for identity in listed]

    def step_selection(self, by: int) -> None:
        """Go ``by`` rows on in the list, stopping at its ends."""
        found = self.listing.step(self.selection, by)
        if found is not None:
            self.select(found)

    def upcoming(self) -> Candidate | None:
        """The candidate that is likely to be looked at next, to prepare its stamp."""
        return self.listing.upcoming(self.selection)

    def next_ungraded(self) -> None:
        """Select the next candidate without a grade, from here on in the list, then from its top."""
        self._advance(self.ids())

    def _advance(self, ids: NDArray[np.int64], after: int | None = None) -> None:
        """Select the first ungraded candidate after one in ``ids`` (by default the selection), wrapping round."""
        if not len(ids):
            return
        found = self.listing.next_ungraded(self.selection if after is None else after, ids)
        if found is None:
            self.say("Every candidate in this list has a grade.")
        else:
            self.select(found)
