"""The sheet of all commands and their keys, made from the table of actions."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.actions import ACTIONS, MENUS

POINTER = (
    ("Wheel", "Zoom the mosaic at the cursor, or the stamp"),
    ("Drag", "Move the mosaic, or the stamp"),
    ("Ctrl + arrows", "Move the mosaic; with Shift by a whole view"),
    ("Right click", "Copy a position, save the view"),
    ("Click on a circle", "Select the candidate"),
    ("Click on a view", "Show it large"),
    ("Double click", "The whole mosaic; the stamp centred"),
)


class ShortcutsDialog(QDialog):
    """Commands in columns, by menu, each with its keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        columns = QHBoxLayout()
        columns.setSpacing(36)
        for menus in (("Grade", "Stamp"), ("Mosaic",), ("View", "Scan", "File", "Edit", "Help")):
            column = QVBoxLayout()
            for menu in (menu for menu in MENUS if menu in menus):
                rows = [(native(action.keys), action.text) for action in ACTIONS if action.menu == menu and action.keys]
                column.addWidget(_group(menu, rows))
            if "Mosaic" in menus:
                column.addWidget(_group("Mouse", POINTER))
            column.addStretch(1)
            columns.addLayout(column)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(20, 16, 20, 14)
        outer.addLayout(columns)
        outer.addWidget(buttons)


def native(keys: tuple[str, ...]) -> str:
    """Keys as this system writes them."""
    return "  or  ".join(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys)


def _group(title: str, rows: object) -> QWidget:
    box = QWidget()
    grid = QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 10)
    grid.setHorizontalSpacing(14)
    grid.setVerticalSpacing(4)
    heading = QLabel(title)
    heading.setProperty("role", "heading")
    grid.addWidget(heading, 0, 0, 1, 2)
    for number, (keys, text) in enumerate(rows, start=1):
        key = QLabel(keys, alignment=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        key.setFont(style.fixed_font())
        key.setStyleSheet(f"color: {style.theme().accent};")
        key.setMinimumWidth(150)
        grid.addWidget(key, number, 0)
        grid.addWidget(QLabel(text), number, 1)
    grid.setColumnStretch(1, 1)
    return box
