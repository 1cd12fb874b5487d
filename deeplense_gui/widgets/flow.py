"""Widgets side by side in as many rows as the width asks for, each as wide as its text at the least."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget


class Flow(QWidget):
    """Rows of widgets that fill the width; it is as high as the rows, so that whatever is around gives way."""

    def __init__(self, widgets: Sequence[QWidget], spacing: int = 3, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._widgets, self._spacing = list(widgets), spacing
        for widget in self._widgets:
            widget.setParent(self)
            widget.show()
        self._place(self.width())

    def place(self) -> None:
        """Put all in their places anew: their texts are others."""
        self._place(self.width())

    def rows(self, width: int) -> list[list[QWidget]]:
        """The widgets in as few rows as ``width`` pixels ask for, the rows as even as may be."""
        if not self._widgets:
            return []
        wanted = [widget.sizeHint().width() + self._spacing for widget in self._widgets]
        fewest = len(_broken(wanted, width + self._spacing))
        low, high = max(wanted), max(width + self._spacing, *wanted)
        while low < high:  # the narrowest that needs no more rows
            middle = (low + high) // 2
            low, high = (low, middle) if len(_broken(wanted, middle)) == fewest else (middle + 1, high)
        places = iter(self._widgets)
        return [[next(places) for _ in row] for row in _broken(wanted, high)]

    def _place(self, width: int) -> None:
        """Put all in their places: what a row has left is shared by its widgets."""
        top = 0
        for row in self.rows(width):
            hints = [widget.sizeHint() for widget in row]
            spare = max(width - sum(hint.width() for hint in hints) - self._spacing * (len(row) - 1), 0)
            left, height = 0, max(hint.height() for hint in hints)
            for place, (widget, hint) in enumerate(zip(row, hints, strict=True)):
                share = spare * (place + 1) // len(row) - spare * place // len(row)
                widget.setGeometry(left, top, hint.width() + share, height)
                left += hint.width() + share + self._spacing
            top += height + self._spacing
        self.setFixedHeight(max(top - self._spacing, 0))

    def minimumSizeHint(self) -> QSize:
        """As narrow as the widest of them."""
        return QSize(max((widget.sizeHint().width() for widget in self._widgets), default=0), self.height())

    sizeHint = minimumSizeHint

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width: other rows."""
        super().resizeEvent(event)
        self._place(event.size().width())


def _broken(widths: Sequence[int], limit: int) -> list[list[int]]:
    """Widths in rows, each as full as the limit allows; what is wider by itself has a row of its own."""
    rows: list[list[int]] = []
    for width in widths:
        if not rows or sum(rows[-1]) + width > limit:
            rows.append([])
        rows[-1].append(width)
    return rows
