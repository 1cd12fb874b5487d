"""Where the canvas looks: the map between pixels of the mosaic and points of the widget, y up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from PySide6.QtCore import QPointF, QRectF

CLOSEST = 40.0  # points of the screen to a pixel


@dataclass(frozen=True, slots=True)
class View:
    """A centre in pixels (x, y), ``zoom`` points to a pixel, and the widget's size in points.

    Pixel (0, 0) is centred on (0, 0) and lies at the bottom left.
    """

    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    width: int = 1
    height: int = 1

    def point(self, x: float, y: float) -> QPointF:
        """Where a pixel position is on the widget."""
        return QPointF(self.width / 2 + (x - self.x) * self.zoom, self.height / 2 - (y - self.y) * self.zoom)

    def pixel(self, point: QPointF) -> tuple[float, float]:
        """The pixel position under a point of the widget."""
        return (
            self.x + (point.x() - self.width / 2) / self.zoom,
            self.y - (point.y() - self.height / 2) / self.zoom,
        )

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, ratio: float) -> QRectF:
        """The rectangle of pixels whose edges are x0..x1, y0..y1, on whole device pixels so that tiles meet."""
        middle, centre, zoom = self.width / 2 * ratio, self.height / 2 * ratio, self.zoom * ratio
        left, right = round(middle + (x0 - self.x) * zoom) / ratio, round(middle + (x1 - self.x) * zoom) / ratio
        top, bottom = round(centre - (y1 - self.y) * zoom) / ratio, round(centre - (y0 - self.y) * zoom) / ratio
        return QRectF(left, top, right - left, bottom - top)

    def edges(self) -> tuple[float, float, float, float]:
        """What is in view, in pixels: x0, x1, y0, y1."""
        half_width, half_height = self.width / 2 / self.zoom, self.height / 2 / self.zoom
        return self.x - half_width, self.x + half_width, self.y - half_height, self.y + half_height

    def fitted(self, shape: tuple[int, int]) -> View:
        """The view that shows all of a mosaic of ``shape`` (ny, nx)."""
        ny, nx = shape
        zoom = min(self.width / nx, self.height / ny, CLOSEST)
        return replace(self, x=(nx - 1) / 2, y=(ny - 1) / 2, zoom=zoom)

    def zoomed(self, factor: float, at: QPointF, shape: tuple[int, int]) -> View:
        """Closer by a factor, with the pixel under a point staying there."""
        farthest = self.fitted(shape).zoom / 4
        zoom = min(max(self.zoom * factor, min(farthest, 1.0)), CLOSEST)
        x, y = self.pixel(at)
        return replace(
            self,
            zoom=zoom,
            x=x - (at.x() - self.width / 2) / zoom,
            y=y + (at.y() - self.height / 2) / zoom,
        )

    def moved(self, dx: float, dy: float, shape: tuple[int, int]) -> View:
        """Dragged by points of the screen; the mosaic never leaves it altogether."""
        ny, nx = shape
        return replace(
            self,
            x=min(max(self.x - dx / self.zoom, -0.5), nx - 0.5),
            y=min(max(self.y + dy / self.zoom, -0.5), ny - 0.5),
        )

    def level(self, levels: int, ratio: float) -> int:
        """The level of the pyramid (level n is 2**n pixels wide) that is nearest to the device's pixels."""
        return min(max(round(-math.log2(self.zoom * ratio)), 0), levels - 1)
