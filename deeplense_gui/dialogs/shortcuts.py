"""The sheet of all commands and their keys, made from the table of actions."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.actions import MENUS
from deeplense_gui.grading_actions import Action

POINTER = (
    ("Wheel", "Zoom the mosaic at the cursor, or the stamp"),
    ("Drag", "Move the mosaic, or the stamp"),
    ("Ctrl + arrows", "Move the mosaic; with Shift by a whole view"),
    ("Right click", "Copy a position, save the view"),
    ("Click on a circle", "Select the candidate"),
    ("Click on a view", "Show it large"),
    ("Double click", "The whole mosaic; the stamp centred"),
)


COLUMNS = 3
HEADING = 2  # rows that a title and the space around it take
Group = tuple[str, list[tuple[str, str]]]


class ShortcutsDialog(QDialog):
    """Commands in columns, by menu, each with its keys."""

    def __init__(self, commands: Sequence[Action], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        columns = QHBoxLayout()
        columns.setSpacing(28)
        for groups in _spread(_groups(commands)):
            column = QVBoxLayout()
            for title, rows in groups:
                column.addWidget(_group(title, rows))
            column.addStretch(1)
            columns.addLayout(column)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(20, 16, 20, 14)
        outer.addLayout(columns)
        outer.addWidget(buttons)


def _groups(commands: Sequence[Action]) -> list[Group]:
    """Commands with keys by menu, and what the mouse does."""
    found = [
        (menu, [(native(action.keys), action.text) for action in commands if action.menu == menu and action.keys])
        for menu in MENUS
    ]
    found.insert(len(found) - 1, ("Mouse", list(POINTER)))
    return [(title, rows) for title, rows in found if rows]


def _spread(groups: Sequence[Group], columns: int = COLUMNS) -> list[list[Group]]:
    """The groups in columns, in order, so that the longest column is as short as can be."""
    sizes = [len(rows) + HEADING for _, rows in groups]
    for most in range(max(sizes), sum(sizes) + 1):
        filled: list[list[Group]] = [[]]
        height = 0
        for group, size in zip(groups, sizes, strict=True):
            if height + size > most:
                filled.append([])
                height = 0
            filled[-1].append(group)
            height += size
        if len(filled) <= columns:
            return filled
    return [list(groups)]


def native(keys: tuple[str, ...]) -> str:
    """Keys as this system writes them."""
    return "  or  ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys)


def _group(title: str, rows: object) -> QWidget:
    box = QWidget()
    grid = QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 4)
    grid.setHorizontalSpacing(14)
    grid.setVerticalSpacing(0)
    heading = QLabel(title)
    heading.setProperty("role", "heading")
    grid.addWidget(heading, 0, 0, 1, 2)
    for number, (keys, text) in enumerate(rows, start=1):
        key = QLabel(keys, alignment=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        key.setFont(style.fixed_font())
        key.setStyleSheet(f"color: {style.theme().accent};")
        grid.addWidget(key, number, 0)
        grid.addWidget(QLabel(text), number, 1)
    grid.setColumnMinimumWidth(0, 110)
    grid.setColumnStretch(1, 1)
    return box
