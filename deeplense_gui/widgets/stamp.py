"""A stamp, large: linked zoom among siblings, saliency over it, Einstein ring, scale bar and crosshair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from deeplense_gui import style
from deeplense_gui.widgets import overlays
from deeplense_gui.widgets.colours import Packed, ramp, to_image, to_overlay
from deeplense_gui.widgets.coordinates import nice_length
from engine.types import FloatArray

_RING_REACH = 8  # points from the ring within which it can be taken
_RING = QColor("#ff5cf0")
NARROWEST, WIDEST = 1.0, 300.0  # of a field, arcsec or pixels


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels ready to be shown, first row at the top, and the side they span, arcsec (or pixels without a scale).

    ``x`` and ``y`` (right, up) are how far the middle of the picture lies from the candidate.
    """

    title: str
    tip: str
    pixels: Packed
    side: float
    unit: str = "″"
    x: float = 0.0
    y: float = 0.0


class Field(QObject):
    """What part of the stamp its views show: the side in arcsec and the centre's offset; shared by siblings.

    Without a pixel scale all of it is in pixels.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.side = 15.0
        self.x = self.y = 0.0

    def set(self, side: float, x: float = 0.0, y: float = 0.0) -> None:
        """Show ``side`` around an offset (x right, y up) from the candidate, all in arcsec."""
        side = min(max(side, NARROWEST), WIDEST)
        if (side, x, y) != (self.side, self.x, self.y):
            self.side, self.x, self.y = side, x, y
            self.changed.emit()

    def zoom(self, factor: float) -> None:
        """Closer by a factor, about the middle of the view."""
        self.set(self.side / factor, self.x, self.y)


class Ring(QObject):
    """The Einstein ring that siblings share: its radius in arcsec, and whether it is shown.

    ``dropped`` comes when a person has dragged it somewhere.
    """

    changed = Signal()
    dropped = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.radius = 1.5
        self.shown = False

    def set_radius(self, radius: float) -> None:
        """A radius in arcsec, 0.05 at least."""
        self.radius = max(radius, 0.05)
        self.changed.emit()

    def set_shown(self, shown: bool) -> None:
        """Show or hide it."""
        self.shown = shown
        self.changed.emit()


class StampView(QWidget):
    """One picture of a stamp, north as on the mosaic; wheel zooms, dragging moves, double click resets.

    ``clicked`` tells a click without a drag. Overlays (saliency, ring, crosshair, scale bar) go with ``set_overlays``.
    """

    clicked = Signal()

    def __init__(self, field: Field | None = None, ring: Ring | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field or Field(self)
        self.ring = ring
        self.picture: Picture | None = None
        self.message = ""
        self.smooth = True
        self.crosshair = False
        self.marked = False
        self.small = False
        self.overlays = True
        self.opacity = 0.55
        self.notice = ""
        self._image: QImage | None = None
        self._saliency: tuple[QImage, float] | None = None
        self._drag: tuple[QPointF, float, float] | None = None
        self._moved = self._on_ring = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(64, 64)
        self.setMouseTracking(True)
        self.field.changed.connect(self.update)
        if ring is not None:
            ring.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        """Square."""
        return QSize(96, 96) if self.small else QSize(320, 320)

    def show_picture(self, picture: Picture | None, message: str = "") -> None:
        """Show a picture, or in its absence a message."""
        if picture is not None and picture is self.picture:
            return
        self.picture, self.message = picture, message
        self._image = None if picture is None else to_image(picture.pixels)
        if picture is not None:
            self.setAccessibleName(picture.title)
            self.setToolTip(picture.tip)
        self.update()

    def show_saliency(self, saliency: FloatArray | None, side: float = 0.0) -> None:
        """Lay a map (n, n) of 0..1, first row at the bottom of the sky, over the middle ``side`` arcsec."""
        self._saliency = None if saliency is None else (saliency_image(saliency), side)
        self.update()

    def set_notice(self, text: str) -> None:
        """Say what is under way, over the picture; "" for nothing."""
        self.notice = text
        self.update()

    def set_opacity(self, opacity: float) -> None:
        """How much of the stamp the saliency hides, 0..1."""
        self.opacity = opacity
        self.update()

    def set_overlays(self, shown: bool) -> None:
        """Show or hide all that is drawn over the pixels."""
        self.overlays = shown
        self.update()

    # geometry -----------------------------------------------------------------------------------------------------

    def _square(self) -> QRectF:
        """Where the picture goes: the largest square in the middle."""
        side = min(self.width(), self.height())
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    def _per_point(self) -> float:
        """Arcsec a point of the screen."""
        return self.field.side / self._square().width()

    def _centre(self) -> QPointF:
        """Where the candidate is."""
        middle, scale = self._square().center(), self._per_point()
        return middle + QPointF(-self.field.x / scale, self.field.y / scale)

    def _box(self, side: float, x: float = 0.0, y: float = 0.0) -> QRectF:
        """The square of ``side`` arcsec around an offset (right, up) from the candidate, on the screen."""
        scale = self._per_point()
        box = QRectF(0, 0, side / scale, side / scale)
        box.moveCenter(self._centre() + QPointF(x, -y) / scale)
        return box

    # painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Pixels, saliency, then lines and text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        square = self._square()
        painter.fillRect(square, QColor(style.theme().canvas))
        if self.picture is None or self._image is None:
            painter.setPen(QColor(style.theme().muted))
            painter.drawText(square.adjusted(8, 8, -8, -8), _CENTRED, self.message)
        else:
            painter.setClipRect(square)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.smooth)
            painter.drawImage(self._box(self.picture.side, self.picture.x, self.picture.y), self._image)
            if self.overlays:
                self._draw_overlays(painter, square, self.picture)
            self._draw_title(painter, square, self.picture.title)
            if self.notice:
                painter.setFont(style.font(points=9.5, bold=True))
                overlays.draw_text(painter, QRectF(square.left(), square.top() + 30, square.width(), 18), self.notice)
        painter.setClipping(False)
        if self.marked or self.hasFocus():
            painter.setPen(QPen(QColor(style.theme().accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(square.adjusted(1, 1, -1, -1))

    def _draw_overlays(self, painter: QPainter, square: QRectF, picture: Picture) -> None:
        if self._saliency is not None:
            painter.setOpacity(self.opacity)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            box = self._box(self._saliency[1])
            painter.drawImage(box, self._saliency[0])
            painter.setOpacity(1)
            painter.setPen(QPen(QColor(255, 255, 255, 70), 1, Qt.PenStyle.DotLine))  # so far the network saw
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box)
        if self.crosshair:
            overlays.draw_crosshair(painter, self._centre(), square.width() * 0.05, square.width() * 0.12)
        if self.ring is not None and self.ring.shown:
            self._draw_ring(painter, square, picture.unit, self.ring.radius)
        if not self.small:
            self._draw_scale(painter, square, picture.unit)

    def _draw_ring(self, painter: QPainter, square: QRectF, unit: str, radius: float) -> None:
        length = radius / self._per_point()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in ((QColor(0, 0, 0, 150), 3.4), (_RING, 1.6)):
            painter.setPen(QPen(colour, width))
            painter.drawEllipse(self._centre(), length, length)
        if not self.small:
            painter.setFont(style.font(points=9.5, bold=True))
            box = QRectF(square.right() - 128, square.bottom() - 30, 116, 18)
            overlays.draw_text(painter, box, f"θ = {radius:.2f}{unit}", Qt.AlignmentFlag.AlignRight)

    def _draw_scale(self, painter: QPainter, square: QRectF, unit: str) -> None:
        in_pixels = unit != "″"
        length = nice_length(square.width() / 3 * self._per_point(), angular=not in_pixels)
        end = square.bottomLeft() + QPointF(12 + length / self._per_point(), -12)
        overlays.draw_bar(
            painter, square.bottomLeft() + QPointF(12, -12), end, f"{length:g}{' px' if in_pixels else unit}"
        )

    def _draw_title(self, painter: QPainter, square: QRectF, title: str) -> None:
        painter.setFont(style.font(points=8 if self.small else 9.5, bold=True))
        box = QRectF(
            square.left() + (4 if self.small else 10), square.top() + (2 if self.small else 7), square.width(), 18
        )
        overlays.draw_text(painter, box, title, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    # mouse and keys -----------------------------------------------------------------------------------------------

    def _near_ring(self, point: QPointF) -> bool:
        if self.ring is None or not self.ring.shown or self.small:
            return False
        return abs(self._distance(point) - self.ring.radius / self._per_point()) <= _RING_REACH

    def _distance(self, point: QPointF) -> float:
        away = point - self._centre()
        return math.hypot(away.x(), away.y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the ring, or the field."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._moved = False
            self._on_ring = self._near_ring(event.position())
            self._drag = (event.position(), self.field.x, self.field.y)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag what was taken."""
        point = event.position()
        if self._drag is None:
            near = self._near_ring(point)
            self.setCursor(Qt.CursorShape.SizeAllCursor if near else Qt.CursorShape.ArrowCursor)
            return
        start, x, y = self._drag
        self._moved = self._moved or (point - start).manhattanLength() > 4
        if self._on_ring and self.ring is not None:
            self.ring.set_radius(self._distance(point) * self._per_point())
        elif self._moved and not self.small:
            away = (point - start) * self._per_point()
            self.field.set(self.field.side, x - away.x(), y + away.y())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go; a click that moved nothing chooses this view."""
        if self._drag is not None and not self._moved and not self._on_ring:
            self.clicked.emit()
        if self._on_ring and self._moved and self.ring is not None:
            self.ring.dropped.emit()
        self._drag, self._on_ring = None, False

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Put the candidate back in the middle."""
        self.field.set(self.field.side)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom all siblings."""
        self.field.zoom(1.0015 ** event.angleDelta().y())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter or space chooses this view."""
        if self.small and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)


_CENTRED = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)


def saliency_image(saliency: FloatArray) -> QImage:
    """A map (n, n) of 0..1 as a picture whose transparency goes with the map: what did not matter stays clear."""
    values = np.clip(np.nan_to_num(saliency[::-1]), 0, 1)
    colours = ramp("inferno")[np.rint(values * 255).astype(np.intp)].astype(np.uint32)
    alpha: NDArray[np.uint32] = np.rint(255 * np.sqrt(values)).astype(np.uint32)
    red, green, blue = (colours[..., k] * alpha // 255 for k in range(3))
    return to_overlay((alpha << 24) | (red << 16) | (green << 8) | blue)
