"""What everybody says of the selected candidate, side by side, and the grade that the team agrees on."""

from __future__ import annotations

from typing import Any

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.session import Session
from deeplense_gui.widgets.readout import Elided
from engine.types import Changes

TOGETHER = (
    "Mean and scatter of what the grades are worth in the scheme, and the probability that it is a lens by how each "
    "grader graded all the others (Dawid and Skene)"
)
COLUMNS = ("Grader", "Grade", "Kind", "Einstein radius", "When", "Note")


class ResolveDialog(QDialog):
    """Follows the selection; agreeing brings the next of the list. Nobody's own grade is changed."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Resolve a disagreement")
        self.resize(760, 300)
        self._session = session
        self.title = Elided()
        self.title.setProperty("role", "heading")
        self.table = QTableWidget(0, len(COLUMNS), objectName="opinions")
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(26)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        self._consensus: Any = None
        self._asked: Any = None
        self.together = QLabel(objectName="together")
        self.together.setProperty("role", "muted")
        self.together.setToolTip(TOGETHER)
        self.agreed = QLabel(wordWrap=True, objectName="agreed")
        self.back = QPushButton("Take it back", autoDefault=False)
        self.back.clicked.connect(lambda: session.agree(None))
        self.undo = QPushButton("Undo", autoDefault=False)
        self.undo.setShortcut(QKeySequence(QKeySequence.StandardKey.Undo))
        self.undo.clicked.connect(session.undo)
        self.grades: dict[str, QPushButton] = {}
        self._row = QHBoxLayout()
        self._row.addWidget(QLabel("Agree on"))
        self._buttons = QHBoxLayout()
        self._row.addLayout(self._buttons)
        self._row.addStretch(1)
        self.next = QPushButton("Next", autoDefault=False)
        self.next.setToolTip("The next candidate of the list")
        self.next.clicked.connect(lambda: session.step_selection(1))
        close = QPushButton("Close", autoDefault=False)
        close.clicked.connect(self.close)
        self._row.addWidget(self.undo)
        self._row.addWidget(self.next)
        self._row.addWidget(close)
        line = QHBoxLayout()
        line.addWidget(self.agreed, 1)
        line.addWidget(self.back)
        column = QVBoxLayout(self)
        column.addWidget(self.title)
        column.addWidget(self.table, 1)
        column.addWidget(self.together)
        column.addLayout(line)
        column.addLayout(self._row)
        session.selected.connect(self._on_selected)
        session.changed.connect(self._on_changed)
        session.scheme_changed.connect(self.show_state)
        session.project_opened.connect(self._on_project)
        self.show_state()
        self._ask_together()

    def _ask_together(self) -> None:
        self._drop()
        self._asked = self._session.find_consensus(self._take_consensus)

    def _drop(self) -> None:
        if self._asked is not None:
            self._session.drop(self._asked)

    def done(self, result: int) -> None:
        """Close; what is still asked has nobody to go to."""
        self._drop()
        super().done(result)

    def _take_consensus(self, found: Any) -> None:
        self._consensus = found
        self._show_together()

    def _show_together(self) -> None:
        """Say the mean and what is probably true, where several graded it and blind mode conceals nothing."""
        session, candidate, found = self._session, self._session.candidate(), self._consensus
        text = ""
        if found is not None and candidate is not None and not session.conceals(candidate):
            place = int(found.ids.searchsorted(candidate.id))
            if place < len(found.ids) and found.ids[place] == candidate.id and found.graders[place] > 1:
                text = (
                    f"{found.graders[place]} graders: mean {found.mean[place]:.2f} ± {found.scatter[place]:.2f}, "
                    f"probability of a lens {found.lens[place]:.2f}"
                )
        self.together.setText(text)

    def _on_selected(self, _identity: object) -> None:
        self.show_state()

    def _on_project(self, _project: object) -> None:
        self.close()

    def _on_changed(self, changes: Changes) -> None:
        if not changes.ids or self._session.selection in changes.ids:
            self.show_state()
        if "grades" in changes.kinds and self.isVisible():
            self._ask_together()

    def _make_buttons(self) -> None:
        """One button a grade of the scheme."""
        scheme = self._session.scheme()
        levels = () if scheme is None else scheme.grades
        if [level.name for level in levels] == list(self.grades):
            return
        for button in self.grades.values():
            button.hide()
            button.deleteLater()
        self.grades.clear()
        for level in levels:
            button = QPushButton(level.name, autoDefault=False, objectName=f"agree-{level.name}")
            self.grades[level.name] = button
            button.setAccessibleName(f"Agree on {level.name}")
            hint = f" ({level.key})" if level.key else ""
            button.setToolTip(f"The team agrees on {level.name}{f': {level.text}' if level.text else ''}{hint}")
            button.setShortcut(QKeySequence(level.key))
            button.setStyleSheet(f"color: {style.grade_ink(level.name).name()}; font-weight: 700;")
            button.clicked.connect(lambda _=False, name=level.name: self._agree(name))
            self._buttons.addWidget(button)

    def show_state(self) -> None:
        """Show what is said of the selected candidate, unless blind mode conceals it."""
        session, candidate = self._session, self._session.candidate()
        self._make_buttons()
        concealed = session.conceals(candidate)
        said = [] if candidate is None else session.opinions(candidate)
        said = [one for one in said if one.grade or one.note or one.subclass or one.einstein_radius or one.agreed]
        title = "Nothing selected"
        if candidate is not None:
            title = session.blind_name(candidate) if concealed else candidate.name
        self.title.setText(title)
        self.table.setRowCount(len(said))
        for line, one in enumerate(said):
            radius = "" if one.einstein_radius is None else f"{one.einstein_radius:.2f}″"
            when = "" if one.graded_at is None else f"{one.graded_at:%Y-%m-%d %H:%M}"
            for column, text in enumerate((one.grader, one.grade or "–", one.subclass, radius, when, one.note)):
                item = QTableWidgetItem(text)
                if column == 1 and one.grade:
                    item.setForeground(style.grade_ink(one.grade))
                self.table.setItem(line, column, item)
        words = [f"{one.agreed} (by {one.grader}, {one.agreed_at:%Y-%m-%d %H:%M})" for one in said if one.agreed]
        hidden = "Blind: what the others said is shown once you have graded it."
        self.agreed.setText(hidden if concealed else f"Agreed on {'; '.join(words)}" if words else "Not agreed on yet.")
        last = session.history()[0]
        self.undo.setEnabled(bool(last))
        self.undo.setToolTip(f"Undo: {last} (Ctrl+Z)" if last else "Nothing to undo")
        mine = session.preferences.grader
        self.back.setVisible(any(one.agreed and one.grader == mine for one in said))
        self._show_together()
        for button in self.grades.values():
            button.setEnabled(candidate is not None and not concealed and not session.read_only)

    def _agree(self, grade: str) -> None:
        """Keep it, and go on to the next of the list as it was."""
        session = self._session
        before, here = session.ids().tolist(), session.selection
        session.agree(grade)
        left = set(session.ids().tolist())
        place = before.index(here) if here in before else -1
        following = next((one for one in before[place + 1 :] if one in left), None)
        if following is not None and here not in left:
            session.select(following)
