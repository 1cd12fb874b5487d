"""Circles around the candidates in view, and which of them is under a point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage, QPainter

from deeplense_gui.widgets import overlays
from deeplense_gui.widgets.markers import MOST_DRAWN, Markers, draw_circles
from deeplense_gui.widgets.view import View

_MARKER_ARCSEC = 3.5
_WITHOUT_SCALE = 14  # pixels


class CircleLayer:
    """The markers of a mosaic as circles of a fixed size on the sky, drawn anew only when something has changed."""

    def __init__(self, pixel_scale: float | None = None) -> None:
        self.markers = Markers()
        self.pixel_scale = pixel_scale
        self.shown: NDArray[np.intp] = np.empty(0, np.intp)
        self._in_view = 0
        self._image: tuple[object, QImage] | None = None

    def changed(self) -> None:
        """Draw the circles anew: markers have come, gone or changed colour."""
        self._image = None

    def radius(self, view: View) -> float:
        """Radius of the circles, in points."""
        pixels = _MARKER_ARCSEC / self.pixel_scale if self.pixel_scale else _WITHOUT_SCALE
        return min(max(pixels * view.zoom, 7), 60)

    def draw(self, painter: QPainter, view: View, ratio: float, selection: int | None) -> str:
        """Draw what is in view. Returns what is to be said about it: that not all could be drawn."""
        if not len(self.markers):
            return ""
        key = (view, ratio)
        if self._image is None or self._image[0] != key:
            self._image = (key, self._circles(view, ratio))
        painter.drawImage(0, 0, self._image[1])
        place = self.markers.position(selection)
        if place is not None:
            overlays.draw_selection(painter, view.point(*place), self.radius(view))
        if len(self.shown) < self._in_view:
            return f"the best {len(self.shown):,} candidates in view: zoom in for more"
        return ""

    def _circles(self, view: View, ratio: float) -> QImage:
        radius = self.radius(view)
        x0, x1, y0, y1 = view.edges()
        margin = radius / view.zoom
        near = self.markers.inside(x0 - margin, x1 + margin, y0 - margin, y1 + margin, MOST_DRAWN + 1)
        self.shown, self._in_view = self.markers.worth_drawing(near), len(near)
        centre, middle = np.array([view.x, view.y]), np.array([view.width / 2, view.height / 2])
        points = ((self.markers.xy[self.shown] - centre) * (view.zoom, -view.zoom) + middle) * ratio
        size = (round(view.width * ratio), round(view.height * ratio))
        return draw_circles(points.astype(np.float32), self.markers.shades(self.shown), size, radius * ratio, ratio)

    def at(self, point: QPointF, view: View) -> int | None:
        """The id of the candidate whose circle is nearest to a point, if it is within the circle."""
        if not len(self.markers):
            return None
        x, y = view.pixel(point)
        reach = (self.radius(view) + 2) / view.zoom
        near = self.markers.inside(x - reach, x + reach, y - reach, y + reach)
        if not len(near):
            return None
        distances = np.hypot(*(self.markers.xy[near] - (x, y)).T)
        nearest = int(np.argmin(distances))
        return int(self.markers.ids[near[nearest]]) if distances[nearest] <= reach else None
