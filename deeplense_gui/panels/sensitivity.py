"""What the score of the selected candidate hangs on: the stamp changed in several ways, and scored again."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.session import Session
from deeplense_gui.widgets.progress import set_progress
from deeplense_gui.widgets.readout import Elided
from engine.types import Changes, Probe

CONCEALED = "Blind mode: no score is shown before the grade is given."
UNASKED = (
    "Would the network say the same in worse seeing, at half the flux, a little beside, or in one band alone?\n"
    "Probe (Shift+P) changes the stamp and scores it again: some seconds."
)
OVERTURNED = 0.2
"""Change of the score that is pointed out."""


class SensitivityPanel(QWidget):
    """A bar for each change; what was probed stays with its candidate."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.title = Elided()
        self.words = QLabel(wordWrap=True)
        self.words.setProperty("role", "muted")
        self.ask = QPushButton("Probe", objectName="probe")
        self.ask.setToolTip("Change the stamp in several ways and score it again (Shift+P)")
        self.ask.clicked.connect(session.probe)
        self.message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.message.setProperty("role", "muted")
        self.rows = QGridLayout()
        self.rows.setContentsMargins(10, 0, 10, 6)
        self.rows.setHorizontalSpacing(12)
        self.rows.setVerticalSpacing(3)
        self.rows.setColumnStretch(1, 1)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self.rows)
        column.addStretch(1)
        scroll = QScrollArea(widgetResizable=True, frameShape=QFrame.Shape.NoFrame)
        scroll.setWidget(inside)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.message)
        self.pages.addWidget(scroll)
        head = QHBoxLayout()
        head.setContentsMargins(10, 4, 10, 0)
        head.addWidget(self.title)
        head.addWidget(self.words, 1)
        head.addWidget(self.ask)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        whole.addLayout(head)
        whole.addWidget(self.pages, 1)
        for signal in (session.selected, session.blinded, session.project_opened, session.mosaic_opened):
            signal.connect(self.refresh)
        session.probed.connect(self.refresh)
        session.changed.connect(self._on_changed)
        session.jobs.finished.connect(self.refresh)
        self.refresh()

    def _on_changed(self, changes: Changes) -> None:
        if self.session.selection in changes.ids:  # a grade may end the concealment, a rescan outdates what is shown
            self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what was found of the selected candidate."""
        session, candidate = self.session, self.session.candidate()
        concealed = candidate is not None and session.conceals(candidate)
        found = [] if candidate is None else session.probes.get(candidate.id, [])
        self.title.setText("" if candidate is None or concealed else candidate.name)
        self.ask.setEnabled(session.can_probe)
        shown = bool(found) and not concealed
        self.pages.setCurrentIndex(int(shown))
        self.words.setText(verdict(found) if shown else "")
        if candidate is None:
            self.message.setText("Nothing selected.")
        elif concealed:
            self.message.setText(CONCEALED)
        elif session.is_probing:
            self.message.setText("Probing…")
        elif session.mosaic_of(candidate) is None:
            self.message.setText("The mosaic of this candidate is not open.")
        else:
            self.message.setText(UNASKED)
        if shown:
            self._show(found)

    def _show(self, found: list[Probe]) -> None:
        while self.rows.count() > 3 * len(found):
            self.rows.takeAt(self.rows.count() - 1).widget().deleteLater()
        first = found[0].score
        for number, one in enumerate(found):
            if number * 3 >= self.rows.count():
                self._add(number)
            name, bar, value = (self.rows.itemAtPosition(number, column).widget() for column in range(3))
            name.setText(one.change)
            set_progress(bar, round(1000 * one.score))
            moved = f"  {one.score - first:+.3f}" if number else ""
            value.setText(f"{one.score:.3f} ±{one.spread:.3f}{moved}")
            value.setProperty("role", "warning" if abs(one.score - first) > OVERTURNED else "")
            value.style().polish(value)

    def _add(self, number: int) -> None:
        bar = QProgressBar(textVisible=False)
        bar.setRange(0, 1000)
        bar.setProperty("role", "thin")
        value = QLabel()
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for column, widget in enumerate((QLabel(), bar, value)):
            self.rows.addWidget(widget, number, column)


def verdict(found: list[Probe]) -> str:
    """What the score hangs on most, in words; empty until there is something to compare."""
    if len(found) < 2:
        return ""
    first = found[0].score
    most = max(found[1:], key=lambda one: abs(one.score - first))
    if abs(most.score - first) > OVERTURNED:
        return f"It {'falls' if most.score < first else 'rises'} by {abs(most.score - first):.2f}: {most.change}."
    return "It hardly moves, whatever was changed so far."
