"""What the list shows: grade chips, least score and text; the same above the table and above the gallery."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QSlider, QToolButton, QWidget

from deeplense_gui.filters import counted
from deeplense_gui.session import Session
from deeplense_gui.widgets.flow import Flow
from deeplense_gui.widgets.readout import Elided

TYPING_MS = 200
_GAP = 4


class FilterBar(QWidget):
    """Grade chips, least score and text; what they say goes to the session at once.

    Chips that do not fit beside the rest stand in several rows: many grades, or long ones, must not widen the window.
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 6, 4)
        row.setSpacing(4)
        self.chips: dict[str | None, QToolButton] = {}
        self._row, self._chips = row, Flow([])
        row.addWidget(self._chips)
        row.addSpacing(10)
        self.score_label = QLabel("Score ≥ 0.00")
        self.score_label.setMinimumWidth(self.fontMetrics().horizontalAdvance("Score ≥ 0.00") + 8)
        self.score = QSlider(Qt.Orientation.Horizontal, maximum=100, objectName="min-score")
        self.score.setFixedWidth(80)
        self.score.setAccessibleName("Least score")
        self.score.setToolTip("Show only candidates of at least this score")
        self.score.valueChanged.connect(self._on_score)
        row.addWidget(self.score_label)
        row.addWidget(self.score)
        row.addSpacing(10)
        self.text = QLineEdit(placeholderText="Name or note…", clearButtonEnabled=True, objectName="filter-text")
        self.text.setMinimumWidth(90)
        self.text.setMaximumWidth(220)
        self.text.setAccessibleName("Filter by name or note")
        self._typing = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._typing.timeout.connect(lambda: session.set_filters(text=self.text.text().strip()))
        self.text.textChanged.connect(lambda _: self._typing.start())
        self.text.returnPressed.connect(self.text.clearFocus)  # letters grade again
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # gives way before the count does
        row.addWidget(self.text, 3)
        row.addStretch(1)
        self.count = Elided()  # long numbers must not widen the window
        self.count.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.count.setProperty("role", "muted")
        row.addWidget(self.count)
        self._make_chips()
        session.filtered.connect(self.show_state)

    def _make_chips(self) -> None:
        """One chip a grade that there is or that candidates have, and one for those without."""
        grades = (*self._session.grade_names(), None)
        if grades == tuple(self.chips):
            return
        self.chips.clear()
        for grade in grades:
            chip = QToolButton(text=grade or "Ungraded", checkable=True, objectName=f"chip-{grade or 'Ungraded'}")
            chip.setProperty("role", "chip")
            chip.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            chip.setAccessibleName(f"Show {grade or 'ungraded'}")
            chip.setToolTip("Show candidates without a grade" if grade is None else f"Show candidates graded {grade}")
            chip.clicked.connect(self._on_chip)
            self.chips[grade] = chip
        before, self._chips = self._chips, Flow(list(self.chips.values()), _GAP)
        self._row.replaceWidget(before, self._chips)
        self._chips.show()
        before.hide()  # until it is gone it would be drawn over its successor
        before.deleteLater()

    def _natural(self) -> int:
        """How wide the chips are in one row."""
        return sum(chip.sizeHint().width() + _GAP for chip in self.chips.values()) - _GAP

    def _rest(self) -> int:
        """How wide all but the chips is at the least."""
        self._row.invalidate()  # chips that are not shown yet do not tell the layout of their width
        return self._row.minimumSize().width() - self._chips.minimumSize().width()

    def _fit(self) -> None:
        """Give the chips one row where there is room for it, else as many as they need."""
        natural, room = self._natural(), self.width() - self._rest()
        if natural > room:
            room = max(room - self.count.sizeHint().width(), self._chips.minimumSizeHint().width())
        self._chips.setFixedWidth(min(natural, room))
        self._chips.place()

    def minimumSizeHint(self) -> QSize:
        """As narrow as the widest chip and the rest."""
        return QSize(self._rest() + self._chips.minimumSizeHint().width(), super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """With all chips in one row."""
        hint = super().sizeHint()
        return QSize(hint.width() - self._chips.minimumSize().width() + self._natural(), hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width: other rows of chips."""
        super().resizeEvent(event)
        self._fit()

    def _on_chip(self) -> None:
        chosen = frozenset(grade for grade, chip in self.chips.items() if chip.isChecked())
        self._session.set_filters(grades=chosen if 0 < len(chosen) < len(self.chips) else None)

    def _on_score(self, value: int) -> None:
        self.score_label.setText(f"Score ≥ {value / 100:.2f}")
        self._session.set_filters(min_score=value / 100 if value else None)

    def show_state(self) -> None:
        """Show the session's filters and counts."""
        self._make_chips()
        filters = self._session.filters
        for grade, chip in self.chips.items():
            chip.setChecked(filters.grades is not None and grade in filters.grades)
        self.score.setValue(round(100 * (filters.min_score or 0)))
        if not self._typing.isActive() and self.text.text().strip() != filters.text:
            self.text.setText(filters.text)
            self._typing.stop()
        counts = self._session.counts()
        for grade, chip in self.chips.items():
            chip.setText(counted(grade or "Ungraded", counts.get(grade, 0)))
        self._fit()
        total, shown = sum(counts.values()), len(self._session.ids())
        text = f"{shown:,} of {total:,} candidates" if shown < total else f"{shown:,} candidates"
        self.count.setText(text)
        self.count.setToolTip(text)
