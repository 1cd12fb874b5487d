"""The candidate list as Qt sees it: ids in order, rows read from the project a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from deeplense_gui.models.pages import CandidatePages
from deeplense_gui.session import Session
from engine.types import Candidate, Mosaic

Role = Qt.ItemDataRole
VALUE_ROLE = int(Role.UserRole)
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it shows, and the ``order`` that ``Project.ids`` sorts by, "" where it cannot.

    What is ``telling`` could sway a grade: blind mode hides it. So does what was measured: calibration stamps lack it.
    """

    title: str
    tip: str
    order: str
    text: Callable[[Candidate, Mosaic | None], str]
    width: int
    number: bool = True
    telling: bool = False


def _degrees(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.5f}"


def score_text(score: float) -> str:
    """A score, or a spread, as it is written; nothing where there is none."""
    return f"{score:.3f}" if np.isfinite(score) else ""


def _digits(value: float) -> str:
    if not np.isfinite(value):
        return ""
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _radius(candidate: Candidate, mosaic: Mosaic | None) -> str:
    scale = None if mosaic is None else mosaic.pixel_scale
    if not np.isfinite(candidate.radius):
        return ""
    return f"{candidate.radius:.1f} px" if scale is None else f"{candidate.radius * scale:.2f}″"


def _einstein(candidate: Candidate, _mosaic: Mosaic | None) -> str:
    return "" if candidate.einstein_radius is None else f"{candidate.einstein_radius:.2f}"


def signs(candidate: Candidate) -> str:
    """Flag, come back, and that it is a duplicate, as signs."""
    repeated = candidate.same_as not in (None, candidate.id)
    return " ".join(sign for sign, on in (("⚑", candidate.flag), ("↺", candidate.come_back), ("=", repeated)) if on)


COLUMNS = (
    Column("#", "Place in this list", "", lambda c, m: "", 46),
    Column(
        "Score", "Calibrated probability of being a lens", "score", lambda c, m: score_text(c.score), 118, telling=True
    ),
    Column(
        "±", "Spread of the score over views of the same stamp", "spread", lambda c, m: score_text(c.spread), 60,
        telling=True,
    ),
    Column("Grade", "What a person said", "grade", lambda c, m: c.grade or "", 62, False),
    Column("Name", "Name from the position on the sky", "name", lambda c, m: c.name, 196, False, True),
    Column("RA", "Right ascension, ICRS, degrees", "ra", lambda c, m: _degrees(c.ra), 88, telling=True),
    Column("Dec", "Declination, ICRS, degrees", "dec", lambda c, m: _degrees(c.dec), 88, telling=True),
    Column("x", "Column of the mosaic, pixels from 0", "x", lambda c, m: f"{c.x:.1f}", 68, telling=True),
    Column("y", "Row of the mosaic, pixels from 0", "y", lambda c, m: f"{c.y:.1f}", 68, telling=True),
    Column("Radius", "Half-light radius", "radius", _radius, 68, telling=True),
    Column(
        "S/N", "Signal to noise of the detection", "signal_to_noise", lambda c, m: _digits(c.signal_to_noise), 66,
        telling=True,
    ),
    Column("Kind", "What kind of lens it is, or what else", "subclass", lambda c, m: c.subclass, 84, False),
    Column("θ", "Einstein radius measured with the ring, arcsec", "einstein_radius", _einstein, 54),
    Column("Marks", "Flagged ⚑, to come back to ↺", "flag", lambda c, m: signs(c), 68, False),
    Column("Note", "What a person wrote", "note", lambda c, m: c.note, 180, False),
    Column("Model", "The model that gave the score", "model", lambda c, m: c.model, 150, False, True),
)  # fmt: skip
SCORE, GRADE = (next(i for i, column in enumerate(COLUMNS) if column.title == title) for title in ("Score", "Grade"))


class CandidateTable(QAbstractTableModel):
    """The rows of ``session.ids()``; only the pages that are looked at are read."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._pages = CandidatePages(session)
        self.candidate, self.id_at, self.row_of = self._pages.candidate, self._pages.id_at, self._pages.row_of

    def refresh(self) -> None:
        """Take the ids anew; the caller keeps selection and place."""
        self.beginResetModel()
        self._pages.refresh()
        self.endResetModel()

    def reread(self, changed: Sequence[int]) -> bool:
        """Read changed candidates again where the list is still the same one; False where it is not."""
        rows = self._pages.reread(changed)
        for row in rows or ():
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))
        return rows is not None

    def runs_of(self, ids: Collection[int]) -> list[tuple[int, int]]:
        """The rows of some candidates as (first, last) of each unbroken run."""
        if len(ids) < 2:
            return []
        rows = np.flatnonzero(np.isin(self._pages.ids, np.fromiter(ids, np.int64, len(ids))))
        runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
        return [(int(run[0]), int(run[-1])) for run in runs if len(run)]

    def ids_between(self, first: int, last: int) -> list[int]:
        """The candidate ids of some rows, the last one included."""
        return self._pages.ids[first : last + 1].tolist()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """As Qt asks for it."""
        return 0 if parent.isValid() else len(self._pages.ids)

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
        if self._session.conceals(candidate):
            if role == Role.ToolTipRole:
                return "Grade it to see what is known of it"
            if COLUMNS[index.column()].telling:
                return None
        if role == VALUE_ROLE:
            return {SCORE: candidate.score if np.isfinite(candidate.score) else None, GRADE: candidate.grade}.get(
                index.column()
            )
        if role == Role.ToolTipRole:
            return tip(candidate)
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


def tip(candidate: Candidate) -> str:
    """What is known of a candidate in a few lines."""
    scored = f"score {candidate.score:.3f} ± {candidate.spread:.3f} by {candidate.model}"
    lines = [candidate.name, scored if np.isfinite(candidate.score) else "no score yet"]
    if candidate.grade:
        when = "" if candidate.graded_at is None else f", {candidate.graded_at:%Y-%m-%d %H:%M} UTC"
        lines.append(f"grade {candidate.grade} by {candidate.grader}{when}")
    if candidate.same_as not in (None, candidate.id):
        lines.append(f"marked as the same object as candidate {candidate.same_as}")
    return "\n".join([*lines, *([candidate.note] if candidate.note else [])])
