"""What the list shows: grade chips, least score and text; the same above the table and above the gallery."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSlider, QToolButton, QWidget

from deeplense_gui.session import GRADES, Session

TYPING_MS = 200
CHIPS: tuple[tuple[str | None, str], ...] = (*((letter, letter) for letter in GRADES), (None, "Ungraded"))


class FilterBar(QWidget):
    """Grade chips, least score and text; what they say goes to the session at once."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 6, 4)
        row.setSpacing(4)
        self.chips: dict[str | None, QToolButton] = {}
        for grade, text in CHIPS:
            chip = QToolButton(text=text, checkable=True, objectName=f"chip-{text}")
            chip.setProperty("role", "chip")
            chip.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            chip.setAccessibleName(f"Show {text}")
            chip.setToolTip("Show candidates without a grade" if grade is None else f"Show candidates graded {grade}")
            chip.clicked.connect(self._on_chip)
            self.chips[grade] = chip
            row.addWidget(chip)
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
        row.addWidget(self.text)
        row.addStretch(1)
        self.count = QLabel()
        self.count.setProperty("role", "muted")
        row.addWidget(self.count)
        session.filtered.connect(self.show_state)

    def _on_chip(self) -> None:
        chosen = frozenset(grade for grade, chip in self.chips.items() if chip.isChecked())
        self._session.set_filters(grades=chosen if 0 < len(chosen) < len(self.chips) else None)

    def _on_score(self, value: int) -> None:
        self.score_label.setText(f"Score ≥ {value / 100:.2f}")
        self._session.set_filters(min_score=value / 100 if value else None)

    def show_state(self) -> None:
        """Show the session's filters and counts."""
        filters = self._session.filters
        for grade, chip in self.chips.items():
            chip.setChecked(filters.grades is not None and grade in filters.grades)
        self.score.setValue(round(100 * (filters.min_score or 0)))
        if not self._typing.isActive() and self.text.text().strip() != filters.text:
            self.text.setText(filters.text)
            self._typing.stop()
        counts = self._session.counts()
        for grade, text in CHIPS:
            self.chips[grade].setText(f"{text} {counts.get(grade, 0):,}")
        total, shown = sum(counts.values()), len(self._session.ids())
        self.count.setText(f"{total:,} candidates" if shown == total else f"{shown:,} of {total:,} candidates")
