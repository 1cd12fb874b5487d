"""Blind vetting: what could sway a grade is not shown before the grade is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from deeplense_gui.filters import Filters, row_of
from deeplense_gui.session.core import Core
from engine.types import Candidate

TELLING = frozenset(
    ("score", "raw_score", "spread", "name", "ra", "dec", "model", "grade", "grader", "graded_at", "note",
     "flux", "radius", "signal_to_noise")
)  # fmt: skip
"""Columns by which the order or the filter of the list would tell what blind mode hides.

What a detection measured is among them: calibration stamps have none of it, and would stand together.
"""

OF_OTHERS = frozenset(("disagreements", "flagged"))
"""Queues that tell that others spoke of a candidate."""

_PLACES = frozenset(("x", "y"))  # in this order a calibration stamp would stand beside the galaxy it was made of

HIDDEN = ("score", "name", "grades", "saliency", "matches")


class BlindVerbs(Core):
    """Switch blind mode, which the project remembers, and tell what it conceals.

    Concealed are score, name, position on the sky, saliency, matches and what others said, until the grader has given a
    grade. Seeing them afterwards is journaled; a grade changed after that is an event of its own.
    """

    @property
    def blind(self) -> bool:
        """Whether blind mode is on."""
        return self.listing.seen_by is not None

    def set_blind(self, on: bool) -> None:
        """Switch blind mode on or off; on, the list is shuffled, each grader's in an order of its own."""
        if self.project is None or on == self.blind:
            return
        self.keep(self.own("blind"), on)
        self._use_blind(on)
        if on:
            self.listing.filters = self._unbiased(self.filters)
        elif self.filters.order == "random":
            self.listing.filters = replace(self.filters, order="score", descending=True)
        self.listing.forget()
        self.blinded.emit(on)
        self.filtered.emit()
        self.selected.emit(self.selection)

    def _use_blind(self, on: bool) -> None:
        self.listing.seen_by = self.preferences.grader if on else None
        self._revealed.clear()

    def _unbiased(self, filters: Filters) -> Filters:
        """Filters without an order or limit that tells of the score."""
        return replace(
            filters,
            order="random" if filters.order in TELLING | _PLACES else filters.order,
            seed=self.own_seed(),
            group="" if filters.group == "score" else filters.group,
            queue="" if filters.queue in OF_OTHERS else filters.queue,
            min_score=None,
            text="",
            grader="",
            model="",
            known=None,
            ranges=tuple(one for one in filters.ranges if one[0] not in TELLING),
        )

    def conceals(self, candidate: Candidate | None) -> bool:
        """Whether what could sway the grade of a candidate is hidden now."""
        return self.blind and candidate is not None and candidate.grade is None

    def blind_name(self, candidate: Candidate) -> str:
        """What a concealed candidate is called: its place in the list. Its id would tell what was put in later."""
        place = row_of(self.listing.ids(), candidate.id)
        return "Candidate" if place is None else f"Candidate {place + 1:,} of the list"

    def _reveal(self, candidate: Candidate | None) -> None:
        """Journal that a grader sees what was hidden, now that the grade is given; once in a sitting."""
        if not self.blind or candidate is None or candidate.grade is None or self.read_only:
            return
        if candidate.id not in self._revealed:
            self._revealed.add(candidate.id)
            self._write(lambda: self.project.reveal(candidate.id, HIDDEN, grader=self.preferences.grader))

    def positions(self, mosaic: str) -> Any:
        """Where the candidates of a mosaic are, to draw them; in blind mode those one has graded, with one's grades."""
        self._placed = self._read(lambda: (mosaic, self._place(mosaic)), self._placed)
        return self._placed[1] if self._placed[0] == mosaic else self._place(mosaic)

    def _place(self, mosaic: str) -> Any:
        found = self.project.positions(mosaic=mosaic)
        if not self.blind:
            return found
        grades = np.full(len(found.ids), None, object)
        for grade in self.counts():
            if grade is not None:
                own = self.project.ids(grades={grade}, seen_by=self.preferences.grader, mosaic=mosaic)
                grades[np.isin(found.ids, own)] = grade
        seen = np.flatnonzero(grades != None)  # noqa: E711
        return replace(found, ids=found.ids[seen], xy=found.xy[seen], grades=grades[seen], scores=np.ones(len(seen)))
