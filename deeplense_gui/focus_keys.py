"""Which keys a control in focus keeps from the commands of the window."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QApplication, QComboBox, QLineEdit, QTabBar, QWidget

KEYS_OF_CONTROLS = {
    QAbstractButton: {Qt.Key.Key_Space},
    QAbstractSlider: {Qt.Key.Key_Left, Qt.Key.Key_Right},
    QComboBox: {Qt.Key.Key_Space, Qt.Key.Key_Left, Qt.Key.Key_Right},
    QTabBar: {Qt.Key.Key_Left, Qt.Key.Key_Right},
}


class FocusKeys(QObject):
    """Leaves to a control in focus the keys it lives by; made for a window, which ``stop``s it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        QApplication.instance().focusChanged.connect(self._watch)

    def stop(self) -> None:
        """Watch no longer, for good."""
        QApplication.instance().focusChanged.disconnect(self._watch)

    def _watch(self, old: QWidget | None, new: QWidget | None) -> None:
        """Filter the events of what has the keys: those of the whole program would pass through here hundreds a key."""
        if old is not None:
            old.removeEventFilter(self)
        if new is not None:
            new.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A single-key command must not take Space from a button.

        A line edit undoes its own text first; with nothing left of it to undo, the key undoes the last grade.
        """
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(watched, QLineEdit):
            undone = event.matches(QKeySequence.StandardKey.Undo) and not watched.isUndoAvailable()
            if undone or (event.matches(QKeySequence.StandardKey.Redo) and not watched.isRedoAvailable()):
                event.ignore()
                return True
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and not event.modifiers():
            for kind, keys in KEYS_OF_CONTROLS.items():
                if isinstance(watched, kind) and event.key() in keys:
                    event.accept()
                    return True
        return False
