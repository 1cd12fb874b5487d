"""The list and the one selection: order, filter, step."""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplense_gui.filters import Filters
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
        return self.listing.history(self.preferences.grader)

    def set_filters(self, **values: Any) -> None:
        """Change order or filter of the list (fields of ``Filters``)."""
        filters = replace(self.filters, **values)
        if self.blind:
            filters = self._unbiased(filters)
        if filters != self.filters:
            self.listing.filters = filters
            self.listing.forget()
            self.filtered.emit()

    def clear_filters(self) -> None:
        """Show all candidates; order and groups stay."""
        kept = {name: getattr(self.filters, name) for name in ("order", "descending", "group", "seed")}
        self.set_filters(**(asdict(Filters()) | kept))

    def filter_choices(self) -> dict[str, list[tuple[str, Any]]]:
        """What the list can be limited to beside numbers: text and value of each kind, grader, model and mosaic."""
        project = self.project
        models = sorted({run.model for run in project.runs()} - {"calibration"})
        return {
            "kind": [(kind.name, kind.name) for kind in project.scheme().subclasses],
            "grader": [(name, name) for name in project.graders()],
            "model": [(name, name) for name in models],
            "mosaic": [(entry.name, entry.id) for entry in project.mosaics()],
            "known": [("in a catalogue", True), ("in none", False)],
        }

    def own_seed(self) -> int:
        """The seed of one's own shuffle: the same in every sitting, another for each grader."""
        return zlib.crc32(self.preferences.grader.encode())

    def saved_filters(self) -> list[str]:
        """Names of the filters that were saved with the project."""
        return [] if self.project is None else sorted(self.project.setting("saved_filters") or {})

    def save_filters(self, name: str) -> None:
        """Save filter and order by a name, with the project."""
        if not self.read_only and name.strip():
            self.keep_among("saved_filters", {name.strip(): self.filters.stored()})

    def use_filters(self, name: str) -> None:
        """Take up filter and order that were saved by a name."""
        stored = (self.project.setting("saved_filters") or {}).get(name)
        if stored is not None:
            self.set_filters(**asdict(Filters.restored(stored)))

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
            self._reveal(candidate)
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

    def neighbours(self) -> list[Candidate]:
        """The candidates that are likely to be looked at next, the likeliest first, to prepare their stamps."""
        return self.listing.neighbours(self.selection)

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
