"""What comes from files or is derived, over the mosaic: DS9 regions, known objects, contours, where a scan has been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from deeplense_gui import style
from deeplense_gui.widgets.overlays import draw_text
from deeplense_gui.widgets.paths import in_pixels, to_path
from deeplense_gui.widgets.tiles import Overview
from deeplense_gui.widgets.view import View
from engine.images.contours import Contour, data_outline
from engine.images.shapes import RegionFile, Shape
from engine.types import Positions

_RIM = QColor(0, 0, 0, 110)
_KNOWN = QColor("#ff7ae5")
_MOST_NAMED = 60
_MOST_KNOWN = 4000
_SIZE = 6.0  # of points and known objects, on the screen
_SMOOTH = 20_000  # points of a path, above which it is drawn without smoothing
_LEVELS = ("#3f8efc", "#38d1c5", "#9be564", "#ffe066", "#ff9f45", "#ff5d5d")


def stroke(
    painter: QPainter, view: View, path: QPainterPath, colour: QColor, *, width: float = 1.4, dashed: bool = False
) -> None:
    """A path in pixels with a dark rim, of one width at any zoom."""
    plain = path.elementCount() > _SMOOTH
    with in_pixels(painter, view):
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, not plain)
        for pen_colour, pen_width in ((colour, 0.0),) if plain else ((_RIM, width + 2), (colour, width)):
            pen = QPen(pen_colour, pen_width, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine)
            pen.setCosmetic(True)
            painter.strokePath(path, pen)


class RegionLayer:
    """The shapes of region files, in their own colours."""

    def __init__(self) -> None:
        self.files: dict[Path, RegionFile] = {}
        self._paths: list[tuple[QColor, bool, QPainterPath]] = []
        self._marks: list[Shape] = []

    def set(self, files: Sequence[RegionFile]) -> None:
        """Show these files in place of those before."""
        self.files = {file.path: file for file in files}
        shapes = [shape for file in files for shape in file.shapes]
        self._paths = []
        for colour in dict.fromkeys(shape.colour for shape in shapes):
            for excluded in (False, True):
                for kind in ("closed", "open"):
                    curves = [
                        shape.xy
                        for shape in shapes
                        if (shape.colour, shape.excluded, shape.kind) == (colour, excluded, kind)
                    ]
                    if curves:
                        path = to_path(curves, closed=kind == "closed")
                        self._paths.append((_colour(colour), excluded, path))
        self._marks = [shape for shape in shapes if shape.text or shape.kind == "point"]

    def draw(self, painter: QPainter, view: View) -> None:
        """Draw what is in view; texts only where they do not crowd."""
        for colour, excluded, path in self._paths:
            stroke(painter, view, path, colour, dashed=excluded)
        x0, x1, y0, y1 = view.edges()
        near = [mark for mark in self._marks if x0 <= mark.xy[:, 0].max() and mark.xy[:, 0].min() <= x1]
        near = [mark for mark in near if y0 <= mark.xy[:, 1].max() and mark.xy[:, 1].min() <= y1]
        painter.setFont(style.font(points=8, bold=True))
        for mark in near[:_MOST_KNOWN]:
            if mark.kind == "point":
                _draw_cross(painter, view.point(*mark.xy[0]), _colour(mark.colour))
        for mark in near if len(near) <= _MOST_NAMED else ():
            if mark.text:
                x, y = mark.xy[:, 0].mean(), mark.xy[:, 1].max()
                point = view.point(float(x), float(y))
                rise = 0 if mark.kind == "text" else 10
                box = QRectF(point.x() - 100, point.y() - 8 - rise, 200, 16)
                draw_text(painter, box, mark.text)


class KnownLayer:
    """Objects of a catalogue as diamonds with their names."""

    def __init__(self) -> None:
        self.source = ""
        self.xy: Positions = np.empty((0, 2))
        self.names: Sequence[str] = ()

    def set(self, source: str, xy: Positions, names: Sequence[str]) -> None:
        """Show objects at pixel positions (n, 2); those off the sky are NaN and not shown."""
        self.source, self.xy, self.names = source, np.asarray(xy, np.float64).reshape(-1, 2), names

    def inside(self, view: View) -> list[int]:
        """Indices of the objects in view."""
        x0, x1, y0, y1 = view.edges()
        x, y = self.xy.T
        return [int(k) for k in np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))]

    def draw(self, painter: QPainter, view: View) -> None:
        """Draw what is in view; names only where they do not crowd."""
        near = self.inside(view)
        painter.setFont(style.font(points=8, bold=True))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        size = min(max(_SIZE, 2.5 * view.zoom), 22)
        for k in near[:_MOST_KNOWN]:
            point = view.point(float(self.xy[k, 0]), float(self.xy[k, 1]))
            diamond = [point + QPointF(*arm) * size for arm in ((0, -1), (1, 0), (0, 1), (-1, 0))]
            for colour, width in ((_RIM, 3.4), (_KNOWN, 1.6)):
                painter.setPen(QPen(colour, width))
                painter.drawPolygon(diamond)
            if len(near) <= _MOST_NAMED:
                box = QRectF(point.x() + size + 4, point.y() - 8, 200, 16)
                draw_text(painter, box, self.names[k], Qt.AlignmentFlag.AlignLeft)


@dataclass(frozen=True, slots=True, eq=False)
class ContourPaths:
    """Contours as paths in pixels, the faintest first; made where they are traced, so that the window does not wait."""

    sigmas: tuple[float, ...]
    paths: tuple[QPainterPath, ...]

    @classmethod
    def of(cls, contours: Sequence[Contour]) -> ContourPaths:
        """The paths of contours."""
        return cls(tuple(one.sigma for one in contours), tuple(to_path(one.paths) for one in contours))

    def draw(self, painter: QPainter, view: View) -> None:
        """Draw the levels, from blue to red."""
        for number, path in enumerate(self.paths):
            stroke(painter, view, path, level_colour(number, len(self.paths)), width=1.2)


def level_colour(number: int, count: int) -> QColor:
    """The colour of one of several levels, the faintest first."""
    return QColor(_LEVELS[round(number * (len(_LEVELS) - 1) / max(count - 1, 1))])


class FootprintLayer:
    """Where there are data, and which tiles a scan has covered."""

    def __init__(self) -> None:
        self._outline = QPainterPath()
        self._covered: tuple[tuple[int, int, int, int], ...] = ()

    def set_outline(self, curves: Sequence[Positions]) -> None:
        """Curves around the data."""
        self._outline = to_path(curves)

    def set_covered(self, tiles: Sequence[tuple[int, int, int, int]]) -> None:
        """The tiles (y0, y1, x0, x1) that a scan has covered."""
        self._covered = tuple(tiles)

    def draw(self, painter: QPainter, view: View) -> None:
        """The covered part in faint green, the edge of the data dashed."""
        painter.setPen(QPen(QColor(74, 222, 128, 60), 1))
        painter.setBrush(QColor(74, 222, 128, 28))
        for y0, y1, x0, x1 in self._covered:
            painter.drawRect(QRectF(view.point(x0 - 0.5, y1 - 0.5), view.point(x1 - 0.5, y0 - 0.5)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        stroke(painter, view, self._outline, QColor("#38d1c5"), dashed=True)


def outline(overview: Overview) -> tuple[Positions, ...]:
    """Curves around the data of a band, as its overview tells them."""
    return data_outline(np.where(overview.codes > 0, np.float32(1), np.float32(np.nan)), overview.step)


def _draw_cross(painter: QPainter, point: QPointF, colour: QColor) -> None:
    arms = [(point - QPointF(*arm) * _SIZE, point + QPointF(*arm) * _SIZE) for arm in ((1, 1), (1, -1))]
    for pen_colour, width in ((_RIM, 3.4), (colour, 1.6)):
        painter.setPen(QPen(pen_colour, width))
        for start, end in arms:
            painter.drawLine(start, end)


def _colour(name: str) -> QColor:
    """A colour by its name, DS9's green where Qt does not know it."""
    colour = QColor(name)
    return colour if colour.isValid() else QColor("#00ff00")
