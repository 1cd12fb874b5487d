"""Measuring on the mosaic: a line from one place to another, its length and position angle on the sky."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from deeplense_gui import style
from deeplense_gui.widgets.overlays import draw_lines, draw_text
from deeplense_gui.widgets.view import View
from engine.images.positions import separation
from engine.types import Mosaic

_COLOUR = QColor("#ffd166")
_TICK = 5


class Ruler:
    """A line between two pixel positions; None where nothing is measured."""

    def __init__(self) -> None:
        self.start: tuple[float, float] | None = None
        self.end: tuple[float, float] | None = None

    def begin(self, x: float, y: float) -> None:
        """Start a line."""
        self.start = self.end = (x, y)

    def clear(self) -> None:
        """Take the line away."""
        self.start = self.end = None

    def text(self, mosaic: Mosaic) -> str:
        """Length and position angle, east of north; in pixels and from the x axis without a WCS."""
        if self.start is None or self.end is None:
            return ""
        sky = mosaic.world(np.array([self.start, self.end]))
        if np.isfinite(sky).all():
            distance, angle = separation(sky[0], sky[1])
            return f"{length(distance)}   PA {angle:.1f}°"
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        return f"{math.hypot(dx, dy):.1f} px   {math.degrees(math.atan2(dy, dx)) % 360:.1f}° from x"

    def draw(self, painter: QPainter, view: View, mosaic: Mosaic) -> None:
        """The line with its ends, and what it measures beside its middle."""
        if self.start is None or self.end is None:
            return
        start, end = view.point(*self.start), view.point(*self.end)
        along = end - start
        reach = math.hypot(along.x(), along.y())
        across = QPointF(-along.y(), along.x()) / reach if reach else QPointF(0, -1)
        ends = [(point - across * _TICK, point + across * _TICK) for point in (start, end)]
        draw_lines(painter, [(start, end), *ends], _COLOUR)
        text = self.text(mosaic)
        painter.setFont(style.font(points=9, bold=True))
        width = QFontMetricsF(painter.font()).horizontalAdvance(text)
        up = across if across.y() < 0 else -across  # the text lies above the line, clear of it at any angle
        middle = (start + end) / 2 + up * (width / 2 * abs(up.x()) + 9 * abs(up.y()) + 8)
        left = min(max(middle.x() - width / 2, 4), max(view.width - width - 4, 4))
        top = min(max(middle.y() - 9, 4), view.height - 22)
        draw_text(painter, QRectF(left, top, width, 18), text)


def length(arcsec: float) -> str:
    """An angle in the unit that suits it: ``12.34″``, ``2.05′`` or ``1.203°``."""
    if arcsec < 60:
        return f"{arcsec:.2f}″" if arcsec >= 1 else f"{arcsec:.3f}″"
    return f"{arcsec / 60:.3f}′" if arcsec < 3600 else f"{arcsec / 3600:.4f}°"
