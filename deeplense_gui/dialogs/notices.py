"""Messages in the window: a bar under the toolbar that says what happened and offers the way out."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.session import Choice

KEPT = 3


class Notice(QFrame):
    """One message, its choices, and a button to dismiss it."""

    def __init__(self, text: str, level: str, choices: tuple[Choice, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text, self.level = text, level
        self.setProperty("role", "bar")
        colours = style.theme()
        mark = {"error": colours.error, "warning": colours.warning}.get(level, colours.accent)
        self.setObjectName("notice")
        self.setStyleSheet(f"QFrame#notice {{ border-left: 4px solid {mark}; }}")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 5, 6, 5)
        if level != "info":
            sign = QLabel()
            sign.setPixmap(style.icon("warning", mark).pixmap(16, 16))
            row.addWidget(sign)
        label = QLabel(text, wordWrap=True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(label, 1)
        self.buttons: list[QPushButton] = []
        for choice in choices:
            button = QPushButton(choice.label)
            button.clicked.connect(self.dismiss)
            button.clicked.connect(lambda _=False, run=choice.run: run())
            self.buttons.append(button)
            row.addWidget(button)
        close = QToolButton(icon=style.icon("close"), toolTip="Dismiss", objectName="dismiss")
        close.setAccessibleName("Dismiss")
        close.clicked.connect(self.dismiss)
        row.addWidget(close)

    def dismiss(self) -> None:
        """Take the notice away."""
        self.hide()
        self.deleteLater()


class NoticeBar(QWidget):
    """The last few messages that ask for attention, newest first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)

    def notices(self) -> list[Notice]:
        """What is shown, newest first."""
        found = [self._column.itemAt(index).widget() for index in range(self._column.count())]
        return [notice for notice in found if isinstance(notice, Notice) and not notice.isHidden()]

    def show_message(self, text: str, level: str, choices: tuple[Choice, ...] = ()) -> None:
        """Show a message; one that says the same is not shown twice."""
        self.withdraw(text)
        notice = Notice(text, level, tuple(choices))
        self._column.insertWidget(0, notice)
        notice.show()  # at once: the layout would show it later, and until then it counts as hidden
        for notice in self.notices()[KEPT:]:
            notice.dismiss()

    def withdraw(self, text: str) -> None:
        """Take a message away that is no longer so."""
        for notice in self.notices():
            if notice.text == text:
                notice.dismiss()

    def clear(self) -> None:
        """Take all messages away."""
        for notice in self.notices():
            notice.dismiss()
