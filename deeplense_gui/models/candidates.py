"""The candidate list as Qt sees it: ids in order, rows read from the project a page at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from deeplense_gui.session import Session
from engine.types import Candidate, Mosaic

PAGE = 256
PAGES_KEPT = 16
Role = Qt.ItemDataRole
VALUE_ROLE = int(Role.UserRole)
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it shows, and the ``order`` that ``Project.ids`` sorts by, "" where it cannot."""

    title: str
    tip: str
    order: str
    text: Callable[[Candidate, Mosaic | None], str]
    width: int
    number: bool = True


def _degrees(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.5f}"


def _digits(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _radius(candidate: Candidate, mosaic: Mosaic | None) -> str:
    scale = None if mosaic is None else mosaic.pixel_scale
    return f"{candidate.radius:.1f} px" if scale is None else f"{candidate.radius * scale:.2f}″"


COLUMNS = (
    Column("#", "Place in this list", "", lambda c, m: "", 46),
    Column("Score", "Calibrated probability of being a lens", "score", lambda c, m: f"{c.score:.3f}", 118),
    Column("±", "Spread of the score over views of the same stamp", "spread", lambda c, m: f"{c.spread:.3f}", 60),
    Column("Grade", "What a person said", "grade", lambda c, m: c.grade or "", 62, False),
    Column("Name", "Name from the position on the sky", "name", lambda c, m: c.name, 196, False),
    Column("RA", "Right ascension, ICRS, degrees", "ra", lambda c, m: _degrees(c.ra), 88),
    Column("Dec", "Declination, ICRS, degrees", "dec", lambda c, m: _degrees(c.dec), 88),
    Column("x", "Column of the mosaic, pixels from 0", "x", lambda c, m: f"{c.x:.1f}", 68),
    Column("y", "Row of the mosaic, pixels from 0", "y", lambda c, m: f"{c.y:.1f}", 68),
    Column("Radius", "Half-light radius", "radius", _radius, 68),
    Column("S/N", "Signal to noise of the detection", "signal_to_noise", lambda c, m: _digits(c.signal_to_noise), 66),
    Column("Note", "What a person wrote", "note", lambda c, m: c.note, 180, False),
    Column("Model", "The model that gave the score", "model", lambda c, m: c.model, 150, False),
)
SCORE, GRADE = (next(i for i, column in enumerate(COLUMNS) if column.title == title) for title in ("Score", "Grade"))


class CandidateTable(QAbstractTableModel):
    """The rows of ``session.ids()``; only the pages that are looked at are read."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._ids = session.ids()
        self._pages: OrderedDict[int, list[Candidate]] = OrderedDict()

    def refresh(self) -> None:
        """Take the ids anew; the caller keeps selection and place."""
        self.beginResetModel()
        self._ids = self._session.ids()
        self._pages.clear()
        self.endResetModel()

    def reread(self) -> bool:
        """Read changed rows again where the ids are still the same ones; False where they are not."""
        ids = self._session.ids()
        if not np.array_equal(ids, self._ids):
            return False
        self._pages.clear()
        if len(ids):
            self.dataChanged.emit(self.index(0, 0), self.index(len(ids) - 1, len(COLUMNS) - 1))
        return True

    def candidate(self, row: int) -> Candidate | None:
        """The candidate of a row."""
        page = row // PAGE
        if page not in self._pages:
            self._pages[page] = self._session.rows(self._ids[page * PAGE : (page + 1) * PAGE])
            if len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(page)
        rows = self._pages[page]
        return rows[row % PAGE] if row % PAGE < len(rows) else None

    def id_at(self, row: int) -> int | None:
        """The candidate id of a row."""
        return int(self._ids[row]) if 0 <= row < len(self._ids) else None

    def row_of(self, candidate_id: int | None) -> int | None:
        """The row of a candidate id, None where the list does not show it."""
        found = np.flatnonzero(self._ids == candidate_id) if candidate_id is not None else ()
        return int(found[0]) if len(found) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """As Qt asks for it."""
        return 0 if parent.isValid() else len(self._ids)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """As Qt asks for it."""
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        """Text, alignment, tip, or the value behind a delegate."""
        column = COLUMNS[index.column()]
        if role == Role.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.number else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        if role not in (Role.DisplayRole, Role.ToolTipRole, VALUE_ROLE, Role.AccessibleTextRole):
            return None
        candidate = self.candidate(index.row())
        if candidate is None:
            return None
        if role == VALUE_ROLE:
            return {SCORE: candidate.score, GRADE: candidate.grade}.get(index.column())
        if role == Role.ToolTipRole:
            return _tip(candidate)
        if index.column() == 0:
            return f"{index.row() + 1:,}"
        return column.text(candidate, self._session.mosaic_of(candidate))

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        """Titles and tips of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == Role.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return {int(Role.DisplayRole): column.title, int(Role.ToolTipRole): column.tip}.get(int(role))


def _tip(candidate: Candidate) -> str:
    lines = [candidate.name, f"score {candidate.score:.3f} ± {candidate.spread:.3f} by {candidate.model}"]
    if candidate.grade:
        when = "" if candidate.graded_at is None else f", {candidate.graded_at:%Y-%m-%d %H:%M} UTC"
        lines.append(f"grade {candidate.grade} by {candidate.grader}{when}")
    return "\n".join([*lines, *([candidate.note] if candidate.note else [])])
