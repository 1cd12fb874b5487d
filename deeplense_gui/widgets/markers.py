"""Circles around candidates, drawn in one go: a million of them must not hurt."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from deeplense_gui.style import UNGRADED_COLOUR, grade_colours
from deeplense_gui.widgets.colours import Packed, to_overlay
from engine.types import Positions

MOST_DRAWN = 3000
CROWDED = 400
"""How many circles in view hide the pixels rather than point to them."""

_FAINT = QColor(UNGRADED_COLOUR)
_FAINT.setAlpha(80)
UNLIKELY = 0.1
"""Score below which a candidate without a grade has a faint circle: most of a field's sources, and hardly a lens."""

_CHUNK = 65536
_FEW = 8  # that change at once are each moved to their place


class Markers:
    """Positions, grades and scores of candidates, the graded first, then the best.

    That order is also the order of drawing: where more than MOST_DRAWN are in view, the best are shown.
    """

    def __init__(self) -> None:
        self.set(np.empty((0, 2)), np.empty(0, np.int64), ())

    def __len__(self) -> int:
        return len(self.ids)

    def set(
        self,
        xy: Positions,
        ids: NDArray[np.int64],
        grades: Sequence[str | None] | NDArray[np.object_],
        scores: NDArray[np.floating] | None = None,
    ) -> None:
        """Replace all: positions (n, 2) in pixels, ids (n,), grades (n,) and scores (n,)."""
        colours = colour_numbers(grades, len(ids))
        scores = np.zeros(len(ids), np.float32) if scores is None else np.asarray(scores, np.float32)
        self._take(np.asarray(xy, np.float32).reshape(-1, 2), np.asarray(ids, np.int64), colours, scores)

    def update(self, xy: Positions, ids: Sequence[int], grades: Sequence[str | None], scores: Sequence[float]) -> None:
        """Add candidates, or replace those that are there already."""
        if not len(ids):
            return
        new, colours = np.asarray(ids, np.int64), colour_numbers(grades, len(ids))
        if self._are_here(ids):
            for number, *values in zip(ids, xy, colours, scores, strict=True):
                self._replace(self._place(number), *values)
            return
        kept = ~np.isin(self.ids, new)
        self._take(
            np.concatenate([self.xy[kept], np.asarray(xy, np.float32).reshape(-1, 2)]),
            np.concatenate([self.ids[kept], new]),
            np.concatenate([self.colours[kept], colours]),
            np.concatenate([self.scores[kept], np.asarray(scores, np.float32)]),
        )

    def remove(self, ids: Sequence[int]) -> None:
        """Take candidates away."""
        if not len(ids):
            return
        kept = np.flatnonzero(~np.isin(self.ids, np.asarray(ids, np.int64)))
        self.xy, self.ids, self.colours, self.scores = (values.take(kept, axis=0) for values in self._all())

    def _all(self) -> tuple[NDArray[Any], ...]:
        return self.xy, self.ids, self.colours, self.scores

    def _are_here(self, ids: Sequence[int]) -> bool:
        """Whether these are few, and all of them are here already."""
        return 0 < len(ids) <= _FEW and all(self._place(number) is not None for number in ids)

    def _place(self, candidate_id: int | None) -> int | None:
        found = np.flatnonzero(self.ids == candidate_id) if candidate_id is not None else ()
        return int(found[0]) if len(found) else None

    def _replace(self, place: int, xy: Any, colour: Any, score: Any) -> None:
        """Change one and move it to its new place: a million need not be sorted again for it."""
        self.xy[place], self.colours[place], self.scores[place] = xy, colour, score
        others = range(len(self) - 1)
        target = bisect_right(others, self._rank(place), key=lambda k: self._rank(k if k < place else k + 1))
        first, last = min(place, target), max(place, target)
        for values in self._all():
            values[first : last + 1] = np.roll(values[first : last + 1], 1 if target < place else -1, axis=0)

    def _rank(self, index: int) -> tuple[bool, float]:
        score = float(self.scores[index])
        return bool(self.colours[index] == 0), -score if score == score else 0.0

    def _take(
        self, xy: NDArray[np.float32], ids: NDArray[np.int64], colours: NDArray[np.uint8], scores: NDArray[np.float32]
    ) -> None:
        graded = colours != 0
        order = np.concatenate(
            [part[np.argsort(-np.nan_to_num(scores[part]))] for part in map(np.flatnonzero, (graded, ~graded))]
        )
        self.xy, self.ids = xy[order], ids[order]
        self.colours, self.scores = colours[order], scores[order]

    def shades(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        """What ``draw_circles`` draws some of them in: faint for the unlikely, else by grade."""
        colours = self.colours[indices]
        return (colours + 1 - ((colours == 0) & (self.scores[indices] < UNLIKELY))).astype(np.uint8)

    def worth_drawing(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Of candidates in view those to draw: where they crowd, none of the unlikely, and MOST_DRAWN at the most."""
        likely = self.shades(indices) > 0
        return indices[:MOST_DRAWN] if len(indices) <= CROWDED or not likely.any() else indices[likely][:MOST_DRAWN]

    def inside(self, x0: float, x1: float, y0: float, y1: float, most: int = MOST_DRAWN) -> NDArray[np.intp]:
        """Indices of those in a rectangle of pixels, the best ``most`` of them."""
        found: list[NDArray[np.intp]] = []
        count = 0
        for start in range(0, len(self), _CHUNK):  # a far view is full after the first chunk
            x, y = self.xy[start : start + _CHUNK].T
            some = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)) + start
            found.append(some)
            count += len(some)
            if count >= most:
                break
        return np.concatenate(found)[:most] if found else np.empty(0, np.intp)

    def position(self, candidate_id: int | None) -> tuple[float, float] | None:
        """Where a candidate is, None if it is not here."""
        place = self._place(candidate_id)
        return None if place is None else (float(self.xy[place, 0]), float(self.xy[place, 1]))


def colour_numbers(grades: Sequence[str | None] | NDArray[np.object_], count: int) -> NDArray[np.uint8]:
    """Grades as indices of colours: 0 is ungraded; what is no grade itself has the colour of its first letter."""
    colours = np.zeros(count, np.uint8)
    if not len(grades):
        return colours
    graded = np.flatnonzero(np.asarray(grades, object) != None)  # noqa: E711
    if not len(graded):
        return colours
    names = {name: number for number, name in enumerate(grade_colours(), 1)}
    given, places = np.unique([str(grades[index]) for index in graded], return_inverse=True)
    numbers = [names.get(str(name)) or names.get(str(name)[:1].upper(), 0) for name in given]
    colours[graded] = np.array(numbers, np.uint8)[places]
    return colours


def draw_circles(
    points: NDArray[np.float32],
    shades: NDArray[np.uint8],
    size: tuple[int, int],
    radius: float,
    ratio: float,
    colours: Sequence[QColor] = (),
) -> QImage:
    """All circles in one transparent picture of ``size`` (width, height) device pixels.

    ``points`` is (n, 2) in device pixels from the top left, ``shades`` those of Markers or indices of ``colours``,
    ``radius`` in device pixels, ``ratio`` device pixels to a point of the screen. Circles
    are stamped with numpy: no call of Qt for a single one.
    """
    width, height = size
    pad = 2 * _half(radius, ratio) + 2  # circles that stick out need no test of each pixel
    across = width + 2 * pad
    picture: Packed = np.zeros((height + 2 * pad) * across, np.uint32)
    at = np.rint(points).astype(np.int32)
    near = ((at > -pad // 2) & (at < np.array(size) + pad // 2)).all(axis=1)
    usual = (_FAINT, *(QColor(name) for name in (UNGRADED_COLOUR, *grade_colours().values())))
    for number, shade in enumerate(colours or usual):  # the graded on top of the ungraded
        members = at[near & (shades == number)] + pad
        if len(members):
            offsets, pixels = _stamp(shade.rgba(), radius, ratio)
            places = (members @ (1, across))[:, None] + (offsets @ (1, across)).astype(np.int32)
            picture[places] = pixels
    picture = picture.reshape(-1, across)[pad:-pad, pad:-pad]
    image = to_overlay(picture)
    image.setDevicePixelRatio(ratio)
    return image


@lru_cache(maxsize=64)
def _stamp(rgba: int, radius: float, ratio: float) -> tuple[NDArray[np.int32], Packed]:
    """Offsets (m, 2) of the pixels of one circle with a dark rim, and their colours (m,), premultiplied."""
    colour = QColor.fromRgba(rgba)
    half = _half(radius, ratio)
    side = 2 * half + 1
    image = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    centre, box = QPointF(half + 0.5, half + 0.5), QRectF()
    box.setSize(QRectF(0, 0, 2 * radius, 2 * radius).size())
    box.moveCenter(centre)
    rim = QColor(0, 0, 0, 110 * colour.alpha() // 255)
    for pen_colour, pen_width in ((rim, 3.0), (colour, 1.6)):
        painter.setPen(QPen(pen_colour, pen_width * ratio))
        painter.drawEllipse(box)
    painter.end()
    pixels = np.frombuffer(image.constBits(), np.uint32).reshape(side, side)
    rows, columns = np.nonzero(pixels >> 24 > 24)
    return np.column_stack([columns - half, rows - half]).astype(np.int32), pixels[rows, columns].copy()


def _half(radius: float, ratio: float) -> int:
    """Pixels from the middle of a circle to the edge of its stamp."""
    return int(radius + 3 * ratio) + 1
