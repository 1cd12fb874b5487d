"""One line over the mosaic to go to a position or a candidate by typing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QStringListModel, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCompleter, QFrame, QLabel, QLineEdit, QVBoxLayout, QWidget

_WAIT_MS = 120
_WIDEST = 460


class GoToLine(QFrame):
    """Emits ``asked(text)`` on Enter; ``complete`` finds names that hold what is typed. Escape closes it."""

    asked = Signal(str)
    closed = Signal()

    def __init__(self, complete: Callable[[str], Sequence[str]], parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "popup")
        self._complete = complete
        self.line = QLineEdit()
        self.line.setPlaceholderText("RA Dec, l b, px x y, a candidate's name, or #12")
        self.line.setAccessibleName("Go to a position or a candidate")
        self.line.setToolTip(
            "Sexagesimal or degrees (10:02:14.3 +02:30:20, 150.56 2.51), Galactic (l 236.8 b 42.1),\n"
            "pixels (px 1024 2048), a part of a candidate's name, or # and its place in the list"
        )
        self.error = QLabel(wordWrap=True)
        self.error.setProperty("role", "error")
        self.error.hide()
        self._names = QStringListModel(self)
        completer = QCompleter(self._names, self)
        completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.activated.connect(self.asked)
        self.line.setCompleter(completer)
        self._wait = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._wait.timeout.connect(self._offer)
        self.line.textEdited.connect(self._edited)
        self.line.returnPressed.connect(self._enter)
        self.line.installEventFilter(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        column.addWidget(self.line)
        column.addWidget(self.error)
        self.hide()

    def open(self) -> None:
        """Show the line in the middle of the top of its parent, ready to type."""
        self.error.hide()
        self._place()
        self.show()
        self.raise_()
        self.line.selectAll()
        self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def refuse(self, text: str) -> None:
        """Say what is wrong with what was typed; the line stays open."""
        self.error.setText(text)
        self.error.show()
        self._place()

    def leave(self) -> None:
        """Close the line."""
        self._wait.stop()
        self.hide()
        self.closed.emit()

    def _place(self) -> None:
        space = self.parentWidget().width()
        self.setFixedWidth(min(_WIDEST, space - 16))
        height = self.layout().heightForWidth(self.width())
        self.setGeometry((space - self.width()) // 2, 10, self.width(), max(height, self.sizeHint().height()))

    def _edited(self) -> None:
        self.error.hide()
        self._place()
        self._wait.start()

    def _offer(self) -> None:
        """Names of candidates that hold what is typed so far."""
        names = list(self._complete(self.line.text()))
        if names != self._names.stringList():
            self._names.setStringList(names)
        if names and self.line.hasFocus():
            self.line.completer().complete()

    def _enter(self) -> None:
        self._wait.stop()
        if self.line.text().strip():
            self.asked.emit(self.line.text())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape closes the line."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            self.leave()
            return True
        return super().eventFilter(watched, event)
