"""What catalogues on the network say of the selected candidate; asked only when a person asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QColor, QDesktopServices
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.session import Session
from deeplense_gui.widgets.readout import Elided

COLUMNS = (
    ("Catalogue", "Who says so"),
    ("Object", "What it is called there; double click opens its page in the browser"),
    ("Type", "As the catalogue has it: gLS and LeG are lenses, G a galaxy; a grade where it gives one"),
    ("Redshift", "As the catalogue has it"),
    ("Separation", "From the candidate, arcsec"),
    ("Reference", "Who lists it, or how often it is referred to"),
)
_LINK = Qt.ItemDataRole.UserRole
CONCEALED = "Blind mode: nothing is looked up before the grade is given."
UNASKED = (
    "Nothing was looked up for this candidate yet.\nLook up (Ctrl+K) asks SIMBAD, NED and the lens catalogues of "
    "VizieR: its position goes to them."
)


class OnlinePanel(QWidget):
    """A line an object, the answers of each catalogue together; ``asked(id)`` names a command a button stands for."""

    asked = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.table = QTableWidget(0, len(COLUMNS), objectName="online")
        self.table.setAccessibleName("What catalogues say")
        self.table.setHorizontalHeaderLabels([title for title, _ in COLUMNS])
        for column, (_, tip) in enumerate(COLUMNS):
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(24)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        for column, width in enumerate((100, 210, 80, 84, 104)):
            self.table.setColumnWidth(column, width)
        self.table.itemActivated.connect(self._open)
        self.message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.message.setProperty("role", "muted")
        self.pages = QStackedWidget()
        self.pages.addWidget(self.message)
        self.pages.addWidget(self.table)
        self.title = Elided()
        self.look_up = QPushButton("Look up", objectName="look-up")
        self.look_up.setToolTip("Ask SIMBAD, NED and the lens catalogues of VizieR (Ctrl+K)")
        self.look_up.clicked.connect(lambda: self.asked.emit("online.look_up"))
        self.picture = QPushButton("Survey picture", objectName="survey-picture")
        self.picture.setToolTip("Fetch a survey's picture and show it with the views of the stamp (Ctrl+Shift+K)")
        self.picture.clicked.connect(lambda: self.asked.emit("online.picture"))
        row = QHBoxLayout()
        row.setContentsMargins(8, 4, 8, 0)
        row.addWidget(self.title, 1)
        row.addWidget(self.look_up)
        row.addWidget(self.picture)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.pages, 1)
        session.selected.connect(self.refresh)
        session.blinded.connect(self.refresh)
        session.changed.connect(self._on_changed)
        session.project_opened.connect(self.refresh)
        session.online.answered.connect(self.refresh)
        session.jobs.finished.connect(lambda job, *_: self.refresh() if job.kind == "look-up" else None)
        self.refresh()

    def _on_changed(self, changes: Any) -> None:
        if self.session.selection in changes.ids and "grades" in changes.kinds:  # a grade may end the concealment
            self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what is known of the selected candidate now."""
        session, candidate = self.session, self.session.candidate()
        self.look_up.setEnabled(session.can_look_up)
        self.picture.setEnabled(session.can_look_up)
        self.title.setText("" if candidate is None or session.conceals(candidate) else candidate.name)
        if candidate is None:
            self._say("Nothing selected.")
        elif session.conceals(candidate):
            self._say(CONCEALED)
        elif candidate.ra is None:
            self._say("This candidate has no place on the sky: its mosaic has no WCS.")
        elif answers := session.online.answers.get(candidate.id, ()):
            self._fill(answers)
        else:
            self._say("Asking SIMBAD, NED and VizieR…" if session.is_looking_up(candidate) else UNASKED)

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.pages.setCurrentWidget(self.message)

    def _fill(self, answers: Sequence[Any]) -> None:
        lines = [line for answer in answers for line in _lines(answer)]
        self.table.clearSpans()
        self.table.setRowCount(len(lines))
        for row, (texts, link, muted) in enumerate(lines):
            if muted:
                self.table.setSpan(row, 1, 1, len(COLUMNS) - 1)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                item.setData(_LINK, link)
                if muted:
                    item.setForeground(QColor(style.theme().muted))
                self.table.setItem(row, column, item)
        self.pages.setCurrentWidget(self.table)

    def _open(self, item: QTableWidgetItem) -> None:
        link = item.data(_LINK)
        if link and not QDesktopServices.openUrl(QUrl(link)):
            self.session.say(f"No browser could be opened; the page is {link}", "warning")


def _lines(answer: Any) -> list[tuple[tuple[str, ...], str, bool]]:
    """The texts of each line of an answer, its page, and whether it is an aside: nothing there, or trouble."""
    if answer.trouble:
        return [((answer.service, answer.trouble, "", "", "", ""), "", True)]
    if not answer.objects:
        return [((answer.service, "nothing within 5″", "", "", "", ""), "", True)]
    return [
        (
            (
                one.service,
                one.name,
                one.kind,
                "" if one.redshift is None else f"{one.redshift:.4f}",
                f"{one.separation:.2f}″",
                one.reference,
            ),
            one.link,
            False,
        )
        for one in answer.objects
    ]
