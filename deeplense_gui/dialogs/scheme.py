"""Grades and kinds of a project: what they are called, what they mean, and their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.errors import EngineError

LENS = (("a lens", True), ("open", None), ("not a lens", False))
Row = tuple[str, str, bool | None, str]
"""Name, meaning (of a grade), whether it calls a lens, key."""


class LevelTable(QWidget):
    """Rows to edit, add, remove and move; ``changed()`` after each. Kinds have no meaning, and are lenses or not."""

    changed = Signal()

    def __init__(self, title: str, *, meanings: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._meanings = meanings
        self._lens = [one for one in LENS if meanings or one[1] is not None]
        self.table = QTableWidget(0, 4)
        self.table.setAccessibleName(title)
        self.table.setHorizontalHeaderLabels(["Name", "Meaning", "Says it is", "Key"])
        self.table.setColumnHidden(1, not meanings)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(1 if meanings else 0, QHeaderView.ResizeMode.Stretch)
        for section, width in ((0, 70), (2, 110), (3, 50)):
            self.table.setColumnWidth(section, width)
        self.table.itemChanged.connect(self._on_item)
        heading = QLabel(title)
        heading.setProperty("role", "heading")
        buttons = QHBoxLayout()
        self.add = self._button("Add", "Add one at the end", self._add, buttons)
        self.remove = self._button("Remove", "Remove the chosen one", self._remove, buttons)
        self.up = self._button("Up", "Move the chosen one up", lambda: self._move(-1), buttons)
        self.down = self._button("Down", "Move the chosen one down", lambda: self._move(1), buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(heading)
        column.addWidget(self.table, 1)
        column.addLayout(buttons)

    def _button(self, text: str, tip: str, verb: Any, row: QHBoxLayout) -> QPushButton:
        button = QPushButton(text, autoDefault=False)
        button.setToolTip(tip)
        button.clicked.connect(verb)
        row.addWidget(button)
        return button

    def rows(self) -> list[Row]:
        """What stands in the table."""
        return [
            (
                *(self.table.item(row, column).text().strip() for column in (0, 1)),
                self.table.cellWidget(row, 2).currentData(),
                self.table.item(row, 3).text(),
            )
            for row in range(self.table.rowCount())
        ]

    def set_rows(self, rows: Sequence[Row], chosen: int = 0) -> None:
        """Show other rows, one of them chosen."""
        blocker = QSignalBlocker(self.table)
        self.table.setRowCount(len(rows))
        for row, (name, meaning, lens, key) in enumerate(rows):
            for column, text in ((0, name), (1, meaning), (3, key)):
                self.table.setItem(row, column, QTableWidgetItem(text))
            self.table.item(row, 3).setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            box = QComboBox()
            box.setAccessibleName(f"{name or 'New'} says it is")
            for text, value in self._lens:
                box.addItem(text, value)
            box.setCurrentIndex(next(index for index, (_, value) in enumerate(self._lens) if value is lens))
            box.currentIndexChanged.connect(lambda _: self.changed.emit())
            self.table.setCellWidget(row, 2, box)
        del blocker
        if rows:
            self.table.selectRow(max(0, min(chosen, len(rows) - 1)))
        self.changed.emit()

    def _on_item(self, item: QTableWidgetItem) -> None:
        if item.column() == 3:
            blocker = QSignalBlocker(self.table)
            item.setText(item.text().strip().upper()[-1:])
            del blocker
        self.changed.emit()

    def _add(self) -> None:
        self.set_rows([*self.rows(), ("new", "", False, "")], self.table.rowCount())
        self.table.editItem(self.table.item(self.table.rowCount() - 1, 0))

    def _remove(self) -> None:
        row = self.table.currentRow()
        if row >= 0:
            self.set_rows([one for place, one in enumerate(self.rows()) if place != row], row)

    def _move(self, by: int) -> None:
        row, rows = self.table.currentRow(), self.rows()
        if row >= 0 and 0 <= row + by < len(rows):
            rows.insert(row + by, rows.pop(row))
            self.set_rows(rows, row + by)


class SchemeDialog(QDialog):
    """Edits a scheme; ``scheme()`` is what was made of it.

    ``ready`` are ready-made ones by name, ``taken`` the keys of other commands and what they do, ``used`` how many
    candidates have each grade and each kind.
    """

    def __init__(
        self,
        scheme: Any,
        ready: Mapping[str, Any],
        taken: Mapping[str, str],
        used: tuple[Mapping[str, int], Mapping[str, int]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Grades and kinds")
        self.resize(920, 640)
        self._ready, self._used = ready, used
        self._taken = {QKeySequence(key).toString(): text for key, text in taken.items()}
        self.grades = LevelTable("Grades, best first", meanings=True)
        self.kinds = LevelTable("Kinds", meanings=False)
        self.letters = self._preset("Letters A B C X", "letters")
        self.numbers = self._preset("Numbers 3 2 1 0", "numbers")
        self.reset = QPushButton("Reset", autoDefault=False)
        self.reset.setToolTip("Grades and kinds as a new project has them")
        self.reset.clicked.connect(lambda: self._show(ready["letters"]))
        self.message = QLabel(wordWrap=True)
        self.message.setMinimumHeight(2 * self.fontMetrics().lineSpacing() + 4)
        self.message.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        presets = QHBoxLayout()
        for button in (self.letters, self.numbers, self.reset):
            presets.addWidget(button)
        presets.addStretch(1)
        tables = QHBoxLayout()
        tables.setSpacing(16)
        tables.addWidget(self.grades, 3)
        tables.addWidget(self.kinds, 2)
        column = QVBoxLayout(self)
        column.addLayout(presets)
        column.addLayout(tables, 1)
        column.addWidget(self.message)
        column.addWidget(self.buttons)
        self.grades.changed.connect(self._check)
        self.kinds.changed.connect(self._check)
        self._show(scheme)

    def _preset(self, text: str, name: str) -> QPushButton:
        button = QPushButton(text, autoDefault=False)
        button.setToolTip(f"Grade with {text.lower()}; the kinds stay")
        button.clicked.connect(lambda: self.grades.set_rows(_grade_rows(self._ready[name])))
        return button

    def _show(self, scheme: Any) -> None:
        self.grades.set_rows(_grade_rows(scheme))
        self.kinds.set_rows([(one.name, "", one.lens, one.key) for one in scheme.subclasses])

    def scheme(self) -> Any:
        """What was typed; the worth of a grade is its rank from the last.

        Raises
        ------
        EngineError : two cannot be told apart, or there are too few grades
        """
        some = self._ready["letters"]
        grades = self.grades.rows()
        levels = tuple(
            replace(some.grades[0], name=name, text=text, value=float(len(grades) - 1 - rank), lens=lens, key=key)
            for rank, (name, text, lens, key) in enumerate(grades)
        )
        kinds = tuple(
            replace(some.subclasses[0], name=name, lens=lens, key=key) for name, _, lens, key in self.kinds.rows()
        )
        return replace(some, grades=levels, subclasses=kinds)

    def _check(self) -> None:
        """Say what cannot be so, or what it would mean for grades that were given."""
        trouble = self._trouble()
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not trouble)
        self.message.setText(trouble or self._consequence())
        self.message.setProperty("role", "error" if trouble else "warning")
        self.message.style().polish(self.message)

    def _trouble(self) -> str:
        rows = self.grades.rows() + self.kinds.rows()
        if any(not name for name, *_ in rows):
            return "One has no name yet: type it, or remove the row."
        for name, _, _, key in rows:
            if key and (doing := self._taken.get(QKeySequence(key).toString())):
                return f"The key {key} of {name} is taken by “{doing}”: choose another."
            sharing = [other for other, _, _, same in rows if key and same == key]
            if len(sharing) > 1:
                return f"{sharing[0]} and {sharing[1]} have the same key {key}: give one of them another."
        try:
            self.scheme()
        except EngineError as error:
            text = str(error)
            return f"{text[:1].upper()}{text[1:]}."
        return ""

    def _consequence(self) -> str:
        """What is in use and would be gone: it stays with the candidates, and no longer counts."""
        gone = [
            f"{count:,} {'candidate has' if count == 1 else 'candidates have'} {what} {name}"
            for what, table, used in (("grade", self.grades, self._used[0]), ("kind", self.kinds, self._used[1]))
            for name, count in used.items()
            if name not in {row[0] for row in table.rows()}
        ]
        if not gone:
            return ""
        return f"{'; '.join(gone)}. They keep it, but it no longer counts in consensus and means, and has no key."


def _grade_rows(scheme: Any) -> list[Row]:
    return [(level.name, level.text, level.lens, level.key) for level in scheme.grades]
