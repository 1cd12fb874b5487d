"""The coordinate grid: asked for when the view leaves what is known, labelled where lines meet the edge of the view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from deeplense_gui import style
from deeplense_gui.widgets.overlays import draw_text
from deeplense_gui.widgets.paths import in_pixels, to_path
from deeplense_gui.widgets.view import View
from engine.images.grid import GridLine, Notation, coordinate_grid
from engine.images.positions import Frame
from engine.types import Mosaic, Positions

_LINE = QColor(125, 211, 252, 150)
_SHADOW = QColor(0, 0, 0, 110)
_MARGIN = 0.3  # of the view, known beyond each of its edges
_APART = 85  # points between lines, about
_EDGES = {"longitude": ("bottom", "top", "left", "right"), "latitude": ("left", "right", "bottom", "top")}
_PAD = 3
_POINTS = 8  # of the labels


class GridLayer:
    """Lines of equal longitude and latitude of one mosaic, known for somewhat more than the view."""

    def __init__(self, mosaic: Mosaic) -> None:
        self.mosaic = mosaic
        self.frame: Frame = "icrs"
        self.notation: Notation = "sexagesimal"
        self._lines: tuple[GridLine, ...] = ()
        self._widths: dict[str, float] = {}  # of labels, points
        self._path = to_path(())
        self._asked: tuple[Frame, Notation, View] | None = None

    def set_frame(self, frame: Frame, notation: Notation) -> None:
        """Choose what the lines are of, and how they are labelled."""
        self.frame, self.notation = frame, notation

    def question(self, view: View, *, settled: bool) -> object:
        """What to ask of the engine for a view, None where the lines that are known will do.

        On the way they do as long as they reach beyond the view; once it has ``settled`` they are made for its zoom.
        """
        if self._asked is not None and self._asked[:2] == (self.frame, self.notation):
            made = self._asked[2]
            (x0, x1, y0, y1), (left, right, bottom, top) = _grown(made), view.edges()
            inside = x0 <= left and right <= x1 and y0 <= bottom and top <= y1
            if inside and abs(np.log2(view.zoom / made.zoom)) < (0.2 if settled else 1):
                return None
        self._asked = (self.frame, self.notation, view)
        mosaic, frame, notation, box = self.mosaic, self.frame, self.notation, _grown(view)
        count = max(min(view.width, view.height) / _APART, 2) * (1 + 2 * _MARGIN)
        return lambda: coordinate_grid(mosaic, box, frame=frame, notation=notation, count=count)

    def take(self, lines: tuple[GridLine, ...]) -> None:
        """Keep what the engine answered."""
        self._lines = lines
        metrics = QFontMetricsF(style.font(points=_POINTS))
        self._widths = {line.label: metrics.size(0, line.label).width() for line in lines}
        self._path = to_path([line.xy for line in lines])

    def draw(self, painter: QPainter, view: View, taken: Sequence[QRectF]) -> None:
        """Lines, and labels clear of what is ``taken`` already."""
        with in_pixels(painter, view):  # a shadow beside each line: thin pens are many times faster than a rim
            for colour, shift in ((_SHADOW, 1 / view.zoom), (_LINE, 0.0)):
                pen = QPen(colour, 1)
                pen.setCosmetic(True)
                painter.strokePath(self._path.translated(shift, -shift) if shift else self._path, pen)
        painter.setFont(style.font(points=_POINTS))
        height = QFontMetricsF(painter.font()).height()
        boxes = list(taken)
        for line in self._lines:
            size = self._widths[line.label] + 2 * _PAD, height
            for box in _places(line, view, size):
                if not any(box.intersects(other) for other in boxes):
                    draw_text(painter, box, line.label)
                    boxes.append(box)
                    break


def _grown(view: View) -> tuple[float, float, float, float]:
    """The pixels for which lines are made: those in view and a margin."""
    x0, x1, y0, y1 = view.edges()
    dx, dy = (x1 - x0) * _MARGIN, (y1 - y0) * _MARGIN
    return x0 - dx, x1 + dx, y0 - dy, y1 + dy


def _places(line: GridLine, view: View, size: tuple[float, float]) -> Iterator[QRectF]:
    """Boxes of the label of a line where it meets an edge of the view, the best first; mostly that one will do."""
    points = (line.xy - (view.x, view.y)) * (view.zoom, -view.zoom) + (view.width / 2, view.height / 2)
    width, height = size
    for edge in _EDGES[line.axis]:
        axis = 0 if edge in ("left", "right") else 1
        at = {"left": 0.0, "top": 0.0, "right": view.width, "bottom": view.height}[edge]
        for crossing in _crossings(points, axis, at):
            if not 0 <= crossing <= (view.height if axis == 0 else view.width):
                continue
            if axis == 0:
                left = _PAD if edge == "left" else view.width - width - _PAD
                corner = QPointF(left, crossing - height - 1)
            else:
                top = _PAD if edge == "top" else view.height - height - _PAD
                corner = QPointF(crossing + _PAD, top)
            box = QRectF(corner.x(), corner.y(), width, height)
            if QRectF(0, 0, view.width, view.height).contains(box):
                yield box


def _crossings(points: Positions, axis: int, at: float) -> list[float]:
    """Where a broken line passes ``at`` on one axis: its places on the other."""
    along, across = points[:, axis] - at, points[:, 1 - axis]
    before = along < 0  # where it is NaN, so is the place, which is in no view
    here = (before[:-1] != before[1:]).nonzero()[0]
    share = along[here] / (along[here] - along[here + 1])
    return [float(place) for place in across[here] + share * (across[here + 1] - across[here])]
