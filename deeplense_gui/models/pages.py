"""The rows of the list, read from the project a page at a time: what table and gallery both look through."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplense_gui.filters import row_of
from deeplense_gui.session import Session
from engine.types import Candidate

PAGE = 256
PAGES_KEPT = 16


class CandidatePages:
    """The candidates of ``session.ids()`` by row; only the pages that are looked at are read."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pages: OrderedDict[int, list[Candidate]] = OrderedDict()
        self.ids: NDArray[np.int64] = session.ids()
        self._row = 0  # that was asked for last

    def refresh(self) -> None:
        """Take the ids anew."""
        self.ids = self._session.ids()
        self._pages.clear()

    def reread(self, changed: Sequence[int]) -> list[int] | None:
        """Read changed candidates again where the list is still the same; the rows that were looked at, else None."""
        if self._session.listing.stale:
            return None
        ids = self._session.ids()
        if ids is not self.ids and not np.array_equal(ids, self.ids):
            return None
        wanted = np.asarray(changed, np.int64)
        rows = [
            page * PAGE + int(place)
            for page in sorted(self._pages)
            for place in np.flatnonzero(np.isin(ids[page * PAGE : (page + 1) * PAGE], wanted))
        ]
        for row, candidate in zip(rows, self._session.rows(ids[rows]), strict=False):
            self._pages[row // PAGE][row % PAGE] = candidate
        return rows

    def candidate(self, row: int) -> Candidate | None:
        """The candidate of a row."""
        page = row // PAGE
        if page not in self._pages:
            self._pages[page] = self._session.rows(self.ids[page * PAGE : (page + 1) * PAGE])
            if len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(page)
        rows = self._pages[page]
        return rows[row % PAGE] if row % PAGE < len(rows) else None

    def id_at(self, row: int) -> int | None:
        """The candidate id of a row."""
        return int(self.ids[row]) if 0 <= row < len(self.ids) else None

    def row_of(self, candidate_id: int | None) -> int | None:
        """The row of a candidate id, None where the list does not show it."""
        row = row_of(self.ids, candidate_id, near=self._row)
        self._row = self._row if row is None else row
        return row
