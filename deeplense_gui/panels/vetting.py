"""Grading: what to look at next, grades and kinds, note and marks, how far one is, undo and redo."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QProgressBar, QToolButton, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.filters import counted
from deeplense_gui.session import Session
from deeplense_gui.widgets.grade_buttons import GradeButtons
from deeplense_gui.widgets.progress import set_progress
from deeplense_gui.widgets.queue_bar import QueueBar
from deeplense_gui.widgets.readout import Elided
from engine.types import Changes

_GATHER_MS = 210  # each panel waits otherwise, so that they do not all look anew in one frame


class NoteEdit(QLineEdit):
    """A line that is kept with Enter or on leaving it, and dropped with Escape."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter and Escape give the focus back, so that the grade keys work again."""
        if event.key() == Qt.Key.Key_Escape:
            self.setText(self.property("kept") or "")
            self.clearFocus()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.clearFocus()
        else:
            super().keyPressEvent(event)


class VettingPanel(QWidget):
    """Queue; one button a grade and a kind, with their keys; the note; progress; undo and redo.

    ``asked(id)`` names an action that is wanted.
    """

    asked = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._noted: int | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(5)
        self.queue = QueueBar(session)
        self.queue.asked.connect(self.asked)
        self.grades = GradeButtons()
        self.grades.graded.connect(self._on_grade)
        self.grades.classified.connect(session.classify)
        self.buttons = self.grades.buttons
        column.addWidget(self.queue)
        column.addWidget(self.grades)
        column.addLayout(self._make_words())
        column.addLayout(self._make_progress())
        column.addStretch(1)
        session.selected.connect(lambda _: self._show_candidate())
        session.marks_changed.connect(self._show_candidate)
        self._later = QTimer(self, singleShot=True, interval=_GATHER_MS)
        self._later.timeout.connect(self._show_all)
        session.changed.connect(self._on_changed)
        session.scheme_changed.connect(self._show_all)
        session.project_opened.connect(lambda _: self._show_all())
        session.blinded.connect(lambda _: self._show_all())
        self._show_all()

    def _make_words(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.note = NoteEdit(objectName="note", placeholderText="Note (N): what speaks for it or against it")
        self.note.setAccessibleName("Note")
        self.note.editingFinished.connect(self._keep_note)
        self.flag = self._mark("⚑", "Flag", "Flag it for others to see (Shift+F)", self._session.toggle_flag)
        self.come_back = self._mark(
            "↺", "Come back", "Keep it in the queue to come back to (Shift+B)", self._session.toggle_come_back
        )
        row.addWidget(self.note, 1)
        row.addWidget(self.flag)
        row.addWidget(self.come_back)
        return row

    def _mark(self, sign: str, name: str, tip: str, verb: object) -> QToolButton:
        button = QToolButton(text=sign, checkable=True, objectName=f"mark-{name}")
        button.setAccessibleName(name)
        button.setToolTip(tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(verb)
        return button

    def _make_progress(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.progress = QProgressBar(textVisible=False)
        self.progress.setFixedHeight(6)
        self.progress.setProperty("role", "thin")
        self.progress.setAccessibleName("Share of the candidates that are graded")
        self.counts = Elided()
        self.counts.setProperty("role", "muted")
        self.pace = QLabel()
        self.pace.setProperty("role", "muted")
        self.pace.setToolTip("Your grades an hour in this sitting, pauses left out, and how long the rest takes so")
        self.undo = self._tool("undo", "Undo", self._session.undo)
        self.redo = self._tool("redo", "Redo", self._session.redo)
        line = QHBoxLayout()
        line.addWidget(self.counts, 1)
        line.addWidget(self.pace)
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addLayout(line)
        words.addWidget(self.progress)
        row.addLayout(words, 1)
        row.addWidget(self.undo)
        row.addWidget(self.redo)
        return row

    def _tool(self, icon: str, text: str, verb: object) -> QToolButton:
        button = QToolButton(text=text, icon=style.icon(icon), objectName=f"vetting-{icon}")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(verb)
        return button

    def focus_note(self) -> None:
        """Put the cursor into the note."""
        self.note.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.note.selectAll()

    def _on_grade(self, name: str | None) -> None:
        self._session.grade(name)
        self._show_candidate()

    def _keep_note(self) -> None:
        """Write the note to the candidate it was typed for, even if another one is selected by now."""
        if self._noted is not None and self._noted == self._session.selection:
            self._session.note(self.note.text())

    def _on_changed(self, changes: Changes) -> None:
        """At once after a grade; a scan, which writes several times a second, is gathered for a moment."""
        if "candidates" not in changes.kinds:
            self._show_all()
        elif not self._later.isActive():
            self._later.start()

    def _show_all(self) -> None:
        session = self._session
        scheme = session.scheme()
        if scheme is not None:
            self.grades.set_scheme(scheme)
        counts = session.counts()
        total = sum(counts.values())
        left = counts.get(None, 0)
        set_progress(self.progress, total - left, max(total, 1))
        each = "   ".join(counted(name, counts[name]) for name in session.grade_names() if counts.get(name))
        self.counts.setText(f"{total - left:,} of {total:,} graded" + (f"   ·   {each}" if each else ""))
        pace = session.pace()
        self.pace.setText("" if pace is None else f"{pace:,.0f} an hour · {span(3600 * left / pace)} left")
        for button, word, text in zip((self.undo, self.redo), ("Undo", "Redo"), session.history(), strict=True):
            button.setEnabled(bool(text))
            button.setToolTip(f"{word}: {text}" if text else f"Nothing to {word.lower()}")
        self._show_candidate()

    def _show_candidate(self) -> None:
        candidate = self._session.candidate()
        able = self._session.can_grade
        grade, subclass = (None, "") if candidate is None else (candidate.grade, candidate.subclass)
        self.grades.show_state(grade, subclass, able)
        for button, on in (
            (self.flag, candidate is not None and candidate.flag),
            (self.come_back, candidate is not None and candidate.come_back),
        ):
            button.setEnabled(able)
            button.setChecked(on)
        self.note.setEnabled(able)
        identity = None if candidate is None else candidate.id
        text = "" if candidate is None else candidate.note
        typed = self.note.hasFocus() and self.note.text() != (self.note.property("kept") or "")
        if identity != self._noted or not typed:  # else a note that was undone would be kept again on leaving the line
            self._noted = identity
            self.note.setProperty("kept", text)
            if self.note.text() != text:
                self.note.setText(text)


def span(seconds: float) -> str:
    """A time as people say it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
