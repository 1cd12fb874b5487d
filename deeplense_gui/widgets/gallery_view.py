"""Hundreds of stamps at a time: paints and reads those in view alone, whatever the length of the list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip

from deeplense_gui import style
from deeplense_gui.filters import row_of
from deeplense_gui.widgets.gallery_layout import GAP, HEADING, GalleryLayout

SMALLEST, LARGEST = 48, 320
CAPTION = 20
_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
_CENTRED = Qt.AlignmentFlag.AlignCenter
_MIDDLE = Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands under a stamp: the grade, a text at the right, and signs (flag, note)."""

    grade: str | None = None
    text: str = ""
    signs: str = ""


class GalleryView(QAbstractScrollArea):
    """Stamps in rows, with a keyboard cursor and a selection of several.

    ``picked(id, ids)`` tells the candidate that a click or a key made the current one, and all that are selected with
    it; whoever listens answers with ``show_selection``. ``clicked`` follows a click that chose one stamp, or with Shift
    all from the last one on. ``view_changed`` comes when other stamps are in view, ``resized(side)`` when the wheel
    made the stamps another size.
    """

    picked = Signal(int, object)
    clicked = Signal()
    view_changed = Signal()
    resized = Signal(int)

    def __init__(
        self,
        caption: Callable[[int], Caption],
        picture: Callable[[int], QImage | None],
        tip: Callable[[int], str] = lambda row: "",
    ) -> None:
        super().__init__()
        self._caption, self._picture, self._tip = caption, picture, tip
        self._font = style.font(points=8.5)
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.current: int | None = None
        self._anchor: int | None = None
        self._row = 0  # that was asked for last
        self._marked: frozenset[int] = frozenset()
        self._titles: tuple[str, ...] = ()
        self._counts: tuple[int, ...] = (0,)
        self._side = self._drawn = 112
        self._layout = GalleryLayout((0,), 1, (1, 1))
        self.setObjectName("gallery")
        self.setAccessibleName("Gallery of stamps")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.verticalScrollBar().valueChanged.connect(lambda _: self._moved())

    # what is shown ------------------------------------------------------------------------------------------------

    @property
    def side(self) -> int:
        """Least side of the stamps, points."""
        return self._side

    def set_side(self, side: int) -> None:
        """Make the stamps larger or smaller; the first in view stays in view."""
        side = min(max(side, SMALLEST), LARGEST)
        if side != self._side:
            seen = self.in_view()
            self._side = side
            self._arrange(seen.start if seen else None)

    def set_ids(self, ids: NDArray[np.int64], sections: Sequence[tuple[str, int]] = ()) -> None:
        """Show candidates in this order, in sections of (title, count) where there are any; the place is kept."""
        seen = self.in_view()
        top = int(self.ids[seen.start]) if seen and self.verticalScrollBar().value() else None
        self.ids = ids
        self._titles = tuple(title for title, _ in sections)
        self._counts = tuple(count for _, count in sections) or (len(ids),)
        self._arrange(self.row_of(top))

    def show_selection(self, current: int | None, marked: Collection[int], *, scroll: bool = True) -> None:
        """Draw the cursor around a candidate, and a frame around those selected with it."""
        if current != self.current:
            self._anchor = current
        self.current, self._marked = current, frozenset(marked)
        row = self.row_of(current)
        if scroll and row is not None:
            self._reveal(row)
        self.viewport().update()

    def row_of(self, identity: int | None) -> int | None:
        """The place of a candidate in the list."""
        row = row_of(self.ids, identity, near=self._row)
        self._row = self._row if row is None else row
        return row

    def in_view(self) -> range:
        """The rows of the list whose stamps are in view."""
        top = self.verticalScrollBar().value()
        return self._layout.between(top, top + self.viewport().height())

    def around_view(self) -> list[int]:
        """The rows to read: those in view, then a page below, then a page above."""
        top, tall = self.verticalScrollBar().value(), self.viewport().height()
        seen = self._layout.between(top, top + tall)
        return [
            *seen,
            *range(seen.stop, self._layout.between(top, top + 2 * tall).stop),
            *range(self._layout.between(top - tall, top).start, seen.start),
        ]

    def update_row(self, row: int) -> None:
        """Paint one stamp anew."""
        self.viewport().update(self.cell(row))

    def cell(self, row: int) -> QRect:
        """Where the stamp of a row is on the viewport, with its caption."""
        x, y = self._layout.place(row)
        return QRect(QPoint(x, y - self.verticalScrollBar().value()), QSize(*self._layout.cell))

    def _arrange(self, keep: int | None) -> None:
        """Lay out anew; the row ``keep`` stays the first in view."""
        width = self.viewport().width()
        columns = max((width - GAP) // (self._side + GAP), 1)
        self._drawn = max((width - GAP) // columns - GAP, SMALLEST)  # the stamps grow a little to fill the rows
        cell = (self._drawn, self._drawn + CAPTION)
        self._layout = GalleryLayout(self._counts, width, cell, bool(self._titles))
        bar = self.verticalScrollBar()
        bar.setRange(0, max(self._layout.height - self.viewport().height(), 0))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(max(cell[1] // 3, 1))
        if keep is not None and keep < len(self.ids):
            above = HEADING if self._titles else 0
            bar.setValue(self._layout.place(keep)[1] - above - 4)
        self._moved()

    def _moved(self) -> None:
        self.viewport().update()
        self.view_changed.emit()

    def _reveal(self, row: int) -> None:
        """Scroll as little as shows the whole cell."""
        top, tall = self._layout.place(row)[1], self._layout.cell[1]
        bar, height = self.verticalScrollBar(), self.viewport().height()
        if top - 4 < bar.value():
            bar.setValue(top - 4 - (HEADING if self._titles else 0))
        elif top + tall + 4 > bar.value() + height:
            bar.setValue(top + tall + 4 - height)

    # painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """The stamps that meet what has to be painted."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        colours, top = style.theme(), self.verticalScrollBar().value()
        painter.fillRect(event.rect(), QColor(colours.base))
        for section, y in self._layout.headings(top, top + self.viewport().height()):
            painter.setPen(QColor(colours.muted))
            painter.setFont(style.font(points=9.5, bold=True))
            box = QRect(8, y - top, self.viewport().width() - 16, HEADING)
            painter.drawText(box, _MIDDLE, f"{self._titles[section]}   {self._counts[section]:,}")
        region = event.region()
        for row in self._layout.between(top + event.rect().top(), top + event.rect().bottom() + 1):
            cell = self.cell(row)
            if region.intersects(cell):
                self._draw(painter, row, cell)

    def _draw(self, painter: QPainter, row: int, cell: QRect) -> None:
        colours, identity = style.theme(), int(self.ids[row])
        square = QRect(cell.topLeft(), QSize(self._drawn, self._drawn))
        picture = self._picture(row)
        if picture is None:
            painter.fillRect(square, QColor(colours.canvas))
        else:
            painter.drawImage(square, picture)
        self._draw_caption(painter, QRect(cell.left(), square.bottom() + 1, cell.width(), CAPTION), self._caption(row))
        if identity in self._marked or identity == self.current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.accent), 3 if identity == self.current else 2))
            painter.drawRect(cell.adjusted(0, 0, -1, -1))
            if identity in self._marked and len(self._marked) > 1:
                shade = QColor(colours.accent)
                shade.setAlpha(46)
                # The caption alone: the stamp keeps its colours.
                painter.fillRect(cell.adjusted(0, self._drawn, 0, 0), shade)

    def _draw_caption(self, painter: QPainter, strip: QRect, caption: Caption) -> None:
        colours = style.theme()
        painter.fillRect(strip, QColor(colours.panel))
        inner = strip.adjusted(4, 0, -4, 0)
        if caption.grade:
            ratio = painter.device().devicePixelRatioF()
            chip = _chip(caption.grade, style.grade_colour(caption.grade).name(), ratio)
            painter.drawImage(QPointF(inner.left(), strip.top() + 3), chip)
            inner.setLeft(inner.left() + round(chip.width() / ratio) + 4)
        painter.setFont(self._font)
        painter.setPen(QColor(colours.warning))
        if caption.signs:
            painter.drawText(inner, _MIDDLE | Qt.AlignmentFlag.AlignLeft, caption.signs)
        if inner.width() > 24:
            painter.setPen(QColor(colours.muted))
            painter.drawText(inner, _MIDDLE | Qt.AlignmentFlag.AlignRight, caption.text)

    # mouse and keys -----------------------------------------------------------------------------------------------

    def index_at(self, point: QPoint) -> int | None:
        """The row under a point of the viewport."""
        return self._layout.index_at(point.x(), point.y() + self.verticalScrollBar().value())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Click: this one. Ctrl: this one too, or no longer. Shift: all from the last one on."""
        row = self.index_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and row is not None:
            self._pick(row, event.modifiers())
            if not event.modifiers() & _CONTROL:
                self.clicked.emit()

    def _pick(self, row: int, modifiers: Qt.KeyboardModifier) -> None:
        identity = int(self.ids[row])
        if modifiers & _SHIFT:
            start = self.row_of(self._anchor)
            first, last = sorted((row, row if start is None else start))
            anchor = self._anchor
            self.picked.emit(identity, frozenset(self.ids[first : last + 1].tolist()))
            self._anchor = anchor
        elif modifiers & _CONTROL:
            marked = self._marked ^ {identity}
            staying = (
                identity if identity in marked or not marked else min(marked, key=lambda one: self._away(one, row))
            )
            self.picked.emit(staying, marked)
        else:
            self.picked.emit(identity, frozenset({identity}))

    def _away(self, identity: int, row: int) -> int:
        """How many rows a candidate is from a row."""
        place = self.row_of(identity)
        return len(self.ids) if place is None else abs(place - row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the cursor, with Shift selecting; letters are left to the grades."""
        key, row = event.key(), self.row_of(self.current)
        if event.matches(QKeySequence.StandardKey.SelectAll) and len(self.ids):
            self.picked.emit(int(self.ids[row or 0]), frozenset(self.ids.tolist()))
        elif key == Qt.Key.Key_Escape and self.current is not None:
            self.picked.emit(self.current, frozenset({self.current}))
        elif (aim := self._aim(key, row)) is not None:
            self._pick(aim, event.modifiers() & _SHIFT)
        else:
            event.ignore()

    def _aim(self, key: int, row: int | None) -> int | None:
        """The row a key goes to, None where it goes nowhere."""
        if not len(self.ids):
            return None
        last, row = len(self.ids) - 1, row or 0
        page = max(self.viewport().height() // (self._layout.cell[1] + 6), 1)
        return {
            Qt.Key.Key_Left: lambda: max(row - 1, 0),
            Qt.Key.Key_Right: lambda: min(row + 1, last),
            Qt.Key.Key_Up: lambda: self._layout.up_or_down(row, -1),
            Qt.Key.Key_Down: lambda: self._layout.up_or_down(row, 1),
            Qt.Key.Key_PageUp: lambda: self._layout.up_or_down(row, -page),
            Qt.Key.Key_PageDown: lambda: self._layout.up_or_down(row, page),
            Qt.Key.Key_Home: lambda: 0,
            Qt.Key.Key_End: lambda: last,
        }.get(key, lambda: None)()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll; with Ctrl, other sizes."""
        if event.modifiers() & _CONTROL:
            self.resized.emit(round(self._side * 1.0012 ** event.angleDelta().y()))
            event.accept()
        else:
            super().wheelEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other columns; the first in view stays."""
        seen = self.in_view()
        self._arrange(seen.start if seen and self.verticalScrollBar().value() else None)

    def viewportEvent(self, event: QEvent) -> bool:
        """A tip for the stamp under the cursor."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = self.index_at(event.pos())
            QToolTip.showText(event.globalPos(), self._tip(row) if row is not None else "", self)
            return True
        return super().viewportEvent(event)

    def sizeHint(self) -> QSize:
        """A few rows."""
        return QSize(700, 400)


@lru_cache(maxsize=64)
def _chip(grade: str, colour: str, ratio: float) -> QImage:
    """A grade on its colour, drawn once: a page has hundreds."""
    font = style.font(points=8.5, bold=True)
    box = QRectF(0, 0, max(QFontMetrics(font).horizontalAdvance(grade) + 10, 18), CAPTION - 6)
    image = QImage(round(box.width() * ratio), round(box.height() * ratio), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor("#10131a"))
    painter.setFont(font)
    painter.drawText(box, _CENTRED, grade)
    painter.end()
    return image
