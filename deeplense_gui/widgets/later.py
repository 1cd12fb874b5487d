"""One repaint for many reasons."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

GATHER_MS = 6


class Later(QTimer):
    """Repaints a widget a moment after the first ``ask``; a repaint that comes sooner ends the wait with ``stop``."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget, singleShot=True, interval=GATHER_MS)
        self.timeout.connect(widget.update)

    def ask(self, *_: object) -> None:
        """Have it repainted soon; asking again does not put it off."""
        if not self.isActive():
            self.start()
