"""Grading: a bar of grades, the note, how far one is, undo and redo."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.actions import GRADE_MEANING
from deeplense_gui.session import GRADES, Session


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
    """One button a grade, with its key; the note; progress; undo and redo."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._noted: int | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        self.buttons: dict[str, QPushButton] = {}
        column.addLayout(self._make_grades())
        self._style_grades()
        self.note = NoteEdit(objectName="note", placeholderText="Note (N): what speaks for it or against it")
        self.note.setAccessibleName("Note")
        self.note.editingFinished.connect(self._keep_note)
        column.addWidget(self.note)
        column.addLayout(self._make_progress())
        column.addStretch(1)
        session.selected.connect(lambda _: self._show_candidate())
        session.changed.connect(lambda _: self._show_all())
        session.project_opened.connect(lambda _: self._show_all())
        self._show_all()

    def _make_grades(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        for letter in GRADES:
            button = QPushButton(letter, checkable=True, objectName=f"grade-{letter}")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(f"Grade {letter}: {GRADE_MEANING[letter]} (key {letter}); again takes it back")
            button.setAccessibleName(f"Grade {letter}: {GRADE_MEANING[letter]}")
            button.clicked.connect(lambda checked, letter=letter: self._on_grade(letter, checked))
            self.buttons[letter] = button
            under = QLabel(GRADE_MEANING[letter], alignment=Qt.AlignmentFlag.AlignCenter)
            under.setProperty("role", "muted")
            cell = QVBoxLayout()
            cell.setSpacing(1)
            cell.addWidget(button)
            cell.addWidget(under)
            row.addLayout(cell, 1)
        return row

    def _style_grades(self) -> None:
        for letter, button in self.buttons.items():
            colour = style.grade_colour(letter).name()
            button.setStyleSheet(
                f"QPushButton {{ color: {style.grade_ink(letter).name()}; font-weight: 700; font-size: 13pt;"
                " padding: 4px; }"
                f"QPushButton:checked {{ background: {colour}; color: #10131a; border-color: {colour}; }}"
                f"QPushButton:disabled {{ color: {style.theme().disabled}; }}"
            )

    def changeEvent(self, event: QEvent) -> None:
        """Another theme: other colours of the buttons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._style_grades()

    def _make_progress(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.progress = QProgressBar(textVisible=False)
        self.progress.setFixedHeight(6)
        self.progress.setAccessibleName("Share of the candidates that are graded")
        self.counts = QLabel()
        self.counts.setProperty("role", "muted")
        self.undo = self._tool("undo", "Undo", self._session.undo)
        self.redo = self._tool("redo", "Redo", self._session.redo)
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addWidget(self.counts)
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

    def _on_grade(self, letter: str, checked: bool) -> None:
        self._session.grade(letter if checked else None)
        self._show_candidate()

    def _keep_note(self) -> None:
        """Write the note to the candidate it was typed for, even if another one is selected by now."""
        if self._noted is not None and self._noted == self._session.selection:
            self._session.note(self.note.text())

    def _show_all(self) -> None:
        session = self._session
        counts = session.counts()
        total = sum(counts.values())
        graded = total - counts.get(None, 0)
        self.progress.setMaximum(max(total, 1))
        self.progress.setValue(graded)
        each = "   ".join(f"{letter} {counts[letter]:,}" for letter in GRADES if counts.get(letter))
        self.counts.setText(f"{graded:,} of {total:,} graded" + (f"   ·   {each}" if each else ""))
        for button, word, text in zip((self.undo, self.redo), ("Undo", "Redo"), session.history(), strict=True):
            button.setEnabled(bool(text))
            button.setToolTip(f"{word}: {text}" if text else f"Nothing to {word.lower()}")
        self._show_candidate()

    def _show_candidate(self) -> None:
        candidate = self._session.candidate()
        able = self._session.can_grade
        for letter, button in self.buttons.items():
            button.setEnabled(able)
            button.setChecked(candidate is not None and candidate.grade == letter)
        self.note.setEnabled(able)
        identity = None if candidate is None else candidate.id
        text = "" if candidate is None else candidate.note
        if identity != self._noted or not self.note.hasFocus():
            self._noted = identity
            self.note.setText(text)
            self.note.setProperty("kept", text)
