"""What is shown when the program itself is at fault: the whole traceback, and a way to copy it."""

from __future__ import annotations

import platform

from PySide6 import __version__ as pyside_version
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

import engine
from deeplense_gui import style


class ErrorDialog(QDialog):
    """A traceback with the versions a report needs."""

    def __init__(self, title: str, trace: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Something went wrong")
        self.resize(760, 420)
        text = QLabel(
            f"{title} ended in an error of the program. Your grades and notes are saved, and you can go on working."
            "\nPlease copy the report below and send it with a word on what you did.",
            wordWrap=True,
        )
        versions = f"DeepLense {engine.__version__}, Python {platform.python_version()}, PySide6 {pyside_version}"
        self.report = QPlainTextEdit(f"{title}\n{versions}, {platform.platform()}\n\n{trace}", readOnly=True)
        self.report.setFont(style.fixed_font())
        self.report.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.report.setAccessibleName("Error report")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy = QPushButton("Copy the report", icon=style.icon("copy"))
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.report.toPlainText()))
        buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        self.copy.setAutoDefault(False)
        buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(self.report, 1)
        column.addWidget(buttons)
