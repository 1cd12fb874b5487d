"""Circles around the candidates in view, and which of them is under a point."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage, QPainter

from deeplense_gui.widgets import overlays
from deeplense_gui.widgets.markers import MOST_DRAWN, Markers, draw_circles
from deeplense_gui.widgets.view import View

_MARKER_ARCSEC = 3.5
_WITHOUT_SCALE = 14  # pixels
_AROUND = 4  # points from a circle to the ring of a marked one


class CircleLayer:
    """The markers of a mosaic as circles of a fixed size on the sky, drawn anew only when something has changed."""

    def __init__(self, pixel_scale: float | None = None) -> None:
        self.markers = Markers()
        self.pixel_scale = pixel_scale
        self.shown: NDArray[np.intp] = np.empty(0, np.intp)
        self.marked: NDArray[np.int64] = np.empty(0, np.int64)
        self._in_view = 0
        self._image: tuple[object, QImage] | None = None

    def changed(self) -> None:
        """Draw the circles anew: markers have come, gone or changed colour."""
        self._image = None

    def mark(self, ids: Collection[int]) -> None:
        """Draw a light ring around several that are selected together."""
        self.marked = np.sort(np.fromiter(ids, np.int64, len(ids))) if len(ids) > 1 else np.empty(0, np.int64)
        self.changed()

    def _marks(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of some that are marked."""
        if not len(self.marked):
            return np.empty(0, np.intp)
        ids = self.markers.ids[indices]
        return indices[self.marked[np.searchsorted(self.marked, ids).clip(max=len(self.marked) - 1)] == ids]

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
        size = (round(view.width * ratio), round(view.height * ratio))
        places, shades = self._places(self.shown, view, ratio), self.markers.shades(self.shown)
        image = draw_circles(places, shades, size, radius * ratio, ratio)
        marks = self._marks(near)
        if len(marks):
            rings = self._places(marks, view, ratio), np.zeros(len(marks), np.uint8)
            painter = QPainter(image)
            painter.drawImage(0, 0, draw_circles(*rings, size, (radius + _AROUND) * ratio, ratio, (overlays.INK,)))
            painter.end()
        return image

    def _places(self, indices: NDArray[np.intp], view: View, ratio: float) -> NDArray[np.float32]:
        """Where some are, (n, 2) in device pixels from the top left."""
        centre, middle = np.array([view.x, view.y]), np.array([view.width / 2, view.height / 2])
        places = ((self.markers.xy[indices] - centre) * (view.zoom, -view.zoom) + middle) * ratio
        return places.astype(np.float32)

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
