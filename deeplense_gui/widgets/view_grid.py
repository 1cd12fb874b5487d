"""All views of a stamp: one large, the others small beside or below it, at one linked zoom."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from deeplense_gui.widgets.stamp import Field, Picture, Ring, StampView

_GAP = 4
_SMALLEST, _LARGEST = 62, 132  # of the small views, points
_LEAST = 34  # where there is hardly any room


@lru_cache(maxsize=64)  # the same places for candidate after candidate; finding them takes longer than painting
def arrange(width: int, height: int, count: int) -> tuple[QRect, tuple[QRect, ...]]:
    """Where the large view and ``count`` small ones go: beside or below, of the size that leaves the large one largest.

    The small ones get smaller than can be told apart only where else they would take the place of the large one.
    """
    if not count:
        return QRect(0, 0, width, height), ()
    tried = [
        found
        for small in range(_LEAST, _LARGEST + 1, 2)
        for found in (_beside(width, height, count, small), _below(width, height, count, small))
    ]
    readable = [found for found in tried if _side(found[0]) >= 2 * found[1][0].width() >= 2 * _SMALLEST]
    large, small = max(
        readable or tried, key=lambda found: (_side(found[0]) + found[1][0].width(), found[1][0].width())
    )
    return large, tuple(small)


def _side(place: QRect) -> int:
    return min(place.width(), place.height())


def _beside(width: int, height: int, count: int, small: int) -> tuple[QRect, list[QRect]]:
    """As few columns as the height asks for, filled row by row: none has one view alone beside a long one."""
    cell = small + _GAP
    across = -(-count // max((height + _GAP) // cell, 1))
    left = max(width - across * cell, 1)
    places = [QRect(left + _GAP + k % across * cell, k // across * cell, small, small) for k in range(count)]
    return QRect(0, 0, left, height), places


def _below(width: int, height: int, count: int, small: int) -> tuple[QRect, list[QRect]]:
    """Rows of equal length; the views grow a little to fill them."""
    rows = -(-count // max((width + _GAP) // (small + _GAP), 1))
    across = -(-count // rows)
    small = min((width + _GAP) // across - _GAP, small + small // 4)
    cell = small + _GAP
    margin, top = (width - across * cell + _GAP) // 2, max(height - rows * cell, 1)
    places = [QRect(margin + k % across * cell, top + _GAP + k // across * cell, small, small) for k in range(count)]
    return QRect(0, 0, width, top), places


class ViewGrid(QWidget):
    """Shows the pictures of one stamp; a click (or Enter) on a small one makes it the large one.

    ``chosen(title)`` tells which one a person chose.
    """

    chosen = Signal(str)

    def __init__(self, field: Field, ring: Ring, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ""
        self.large = StampView(field, ring, self)
        self.large.crosshair = True
        self.small: list[StampView] = []
        self._field = field
        self._count = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """As large as the panel gives."""
        return QSize(460, 420)

    def minimumSizeHint(self) -> QSize:
        """Enough to tell an arc from a disc."""
        return QSize(260, 220)

    def show_pictures(self, pictures: Sequence[Picture], message: str = "") -> None:
        """Show all pictures, the one of the chosen title large; none of them: a message."""
        while len(self.small) < len(pictures):
            self.small.append(self._make_small())
        for view in self.small[len(pictures) :]:
            view.hide()
        for view, picture in zip(self.small, pictures, strict=False):
            view.show_picture(picture)
            view.setVisible(True)
        self._count = len(pictures)
        self._mark(message)
        self._place()

    def say(self, message: str) -> None:
        """Hide the pixels, keep the places, and say why."""
        for view in (self.large, *self.small):
            view.show_picture(None, message if view is self.large else "")

    def choose(self, title: str) -> None:
        """Make the picture of a title the large one; an unknown title takes the first."""
        self.title = title
        self._mark("")

    def step(self, by: int) -> None:
        """Make the next (or previous) picture the large one, round and round."""
        titles = [view.picture.title for view in self._shown() if view.picture is not None]
        if titles:
            here = titles.index(self.title) if self.title in titles else 0
            self._choose(titles[(here + by) % len(titles)])

    def _choose(self, title: str) -> None:
        self.choose(title)
        self.chosen.emit(title)

    def _shown(self) -> list[StampView]:
        return self.small[: self._count]

    def _mark(self, message: str) -> None:
        pictures = [view.picture for view in self._shown() if view.picture is not None]
        large = next((picture for picture in pictures if picture.title == self.title), next(iter(pictures), None))
        self.large.show_picture(large, message)
        for view in self._shown():
            view.marked = large is not None and view.picture is large
            view.update()

    def _make_small(self) -> StampView:
        view = StampView(self._field, None, self)
        view.small = True
        view.setMinimumSize(_LEAST, _LEAST)
        view.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        view.setCursor(Qt.CursorShape.PointingHandCursor)
        view.clicked.connect(lambda: view.picture is not None and self._choose(view.picture.title))
        return view

    def _place(self) -> None:
        large, small = arrange(self.width(), self.height(), self._count)
        self.large.setGeometry(large)
        for view, place in zip(self.small, small, strict=False):
            view.setGeometry(place)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the views where there is room."""
        self._place()
