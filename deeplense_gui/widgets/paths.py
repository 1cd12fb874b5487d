"""Curves in pixels of the mosaic as Qt draws them: made once, drawn through the view's transformation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from PySide6.QtGui import QPainter, QPainterPath, QPolygonF, QTransform
from shiboken6 import VoidPtr

from deeplense_gui.widgets.view import View
from engine.types import Positions


@contextmanager
def in_pixels(painter: QPainter, view: View) -> Iterator[None]:
    """Draw in pixels of the mosaic, y up; pens have to be cosmetic."""
    painter.save()
    painter.setTransform(
        QTransform(
            view.zoom, 0, 0, -view.zoom, view.width / 2 - view.x * view.zoom, view.height / 2 + view.y * view.zoom
        ),
        True,
    )
    yield
    painter.restore()


def to_path(curves: Iterable[Positions], *, closed: bool = False) -> QPainterPath:
    """Curves (n, 2) as one path; they break where they are NaN. No Python runs for a single point."""
    path = QPainterPath()
    for curve in curves:
        breaks = np.flatnonzero(~np.isfinite(curve).all(axis=1))
        for part in np.split(curve, breaks):
            whole = part[np.isfinite(part).all(axis=1)]
            if len(whole) > 1:
                path.addPolygon(to_polygon(whole))
                if closed:
                    path.closeSubpath()
    return path


def to_polygon(points: Positions) -> QPolygonF:
    """Points (n, 2) as a polygon, copied at once."""
    polygon = QPolygonF()
    polygon.resize(len(points))
    memory = VoidPtr(polygon.data(), 16 * len(points), True)
    np.frombuffer(memory, np.float64).reshape(-1, 2)[:] = points
    return polygon
