"""The pixels of the canvas: tiles at the right level, coloured within the time of a frame."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from deeplense_gui import style
from deeplense_gui.widgets.colours import to_image
from deeplense_gui.widgets.stretch import Coder, Painter, Stretch
from deeplense_gui.widgets.tiles import Key, Overview, Place, TileCache, TileReader
from deeplense_gui.widgets.view import View

_PAINT_SECONDS = 0.007  # for colouring tiles within one frame; the rest follows in the next ones


class TileLayer:
    """Tiles and overviews of one mosaic, and their colours for the stretch of the moment."""

    def __init__(self, reader: TileReader, stretch: Stretch) -> None:
        self.reader = reader
        self.stretch = stretch
        self.overviews: dict[int, Overview] = {}
        self.painter: Painter | None = None
        self._cache = TileCache()
        self._background: tuple[Painter, QImage] | None = None

    # what is known ------------------------------------------------------------------------------------------------

    def coders(self) -> Mapping[int, Coder]:
        """The scales of the bands whose overviews are read."""
        return {band: overview.coder for band, overview in self.overviews.items()}

    def set_stretch(self, stretch: Stretch) -> bool:
        """Colour anew; nothing is read again. Whether that can be done at once: the scale of each band is known."""
        self.stretch = stretch
        if not all(band in self.overviews for band in stretch.bands):
            return False  # the old colours serve until then
        self.painter = Painter(stretch, self.coders(), style.theme().no_data)
        return True

    def take_overview(self, overview: Overview) -> bool:
        """Keep an overview. Whether there are new colours with it."""
        self.overviews[overview.band] = overview
        return overview.band in self.stretch.bands and self.set_stretch(self.stretch)

    def take_tile(self, key: Key, codes: NDArray[np.uint16]) -> None:
        """Keep the codes of a tile."""
        self._cache.add(key, codes)

    def is_complete(self, view: View, ratio: float) -> bool:
        """Whether every tile in view is read."""
        bands = self.stretch.bands
        return all(self._cache.codes(place, bands) is not None for place in self._places(view, ratio))

    # drawing ------------------------------------------------------------------------------------------------------

    def draw(self, painter: QPainter, view: View, ratio: float) -> bool:
        """Draw what is in view, and ask for what is missing. Whether some of it could not be coloured in time."""
        places = self._places(view, ratio)
        bands = self.stretch.bands
        self.reader.want(bands, [key for place in places for key in self._cache.missing(place, bands)])
        if self.painter is None:
            return False
        smooth = _smooth(view, ratio, self._level(view, ratio))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        pictures, late = self._pictures(places)
        missing = [place for place in places if place not in pictures]
        coarser = {place: known[1] for place in missing if (known := self._cache.picture(_parent(place))) is not None}
        if len(coarser) < len(missing):
            self._draw_background(painter, view, ratio)
        for place, picture in coarser.items():
            self._draw_quarter(painter, view, ratio, place, picture)
        for place, picture in pictures.items():
            painter.drawImage(self._rectangle(view, ratio, place, picture), picture)
        self.reader.drawn()
        return late

    def _level(self, view: View, ratio: float) -> int:
        return view.level(self.reader.pyramid.levels, ratio)

    def _places(self, view: View, ratio: float) -> list[Place]:
        """Tiles in view, from the middle outwards."""
        level = self._level(view, ratio)
        x0, x1, y0, y1 = view.edges()
        side = self.reader.pyramid.tile_size * 2**level
        ny, nx = self.reader.mosaic.shape
        columns = range(max(int((x0 + 0.5) // side), 0), min(int((x1 + 0.5) // side), (nx - 1) // side) + 1)
        rows = range(max(int((y0 + 0.5) // side), 0), min(int((y1 + 0.5) // side), (ny - 1) // side) + 1)
        middle = (view.y / side - 0.5, view.x / side - 0.5)
        places = [(level, row, column) for row in rows for column in columns]
        return sorted(places, key=lambda place: (place[1] - middle[0]) ** 2 + (place[2] - middle[1]) ** 2)

    def _pictures(self, places: list[Place]) -> tuple[dict[Place, QImage], bool]:
        """Pictures of the tiles that are read; those not coloured in time keep their last colours for a frame.

        Those whose colours are oldest come first, so that none waits while somebody drags a slider.
        """
        pictures: dict[Place, QImage] = {}
        until = time.perf_counter() + _PAINT_SECONDS
        late = False
        known_at = {place: self._cache.picture(place) for place in places}
        for place in sorted(places, key=lambda place: 0 if (known := known_at[place]) is None else known[0].number):
            known = known_at[place]
            if known is None or known[0] is not self.painter:
                codes = self._cache.codes(place, self.stretch.bands) if self.painter is not None else None
                if codes is not None and self.painter is not None and time.perf_counter() < until:
                    known = (self.painter, to_image(self.painter.paint(codes)))
                    self._cache.keep_picture(place, *known)
                else:
                    late = late or codes is not None
            if known is not None:
                pictures[place] = known[1]
        return pictures, late

    def _rectangle(self, view: View, ratio: float, place: Place, picture: QImage) -> QRectF:
        level, row, column = place
        side, step = self.reader.pyramid.tile_size * 2**level, 2**level
        x0, y0 = column * side - 0.5, row * side - 0.5
        return view.rectangle(x0, y0, x0 + picture.width() * step, y0 + picture.height() * step, ratio)

    def _draw_background(self, painter: QPainter, view: View, ratio: float) -> None:
        """The overview under tiles that are not read yet."""
        if self.painter is None:
            return
        if self._background is None or self._background[0] is not self.painter:
            codes = [self.overviews[band].codes for band in self.painter.stretch.bands]
            self._background = (self.painter, to_image(self.painter.paint(codes)))
        picture, step = self._background[1], self.overviews[self.painter.stretch.bands[0]].step
        edges = (-0.5, -0.5, picture.width() * step - 0.5, picture.height() * step - 0.5)
        painter.drawImage(view.rectangle(*edges, ratio), picture)

    def _draw_quarter(self, painter: QPainter, view: View, ratio: float, place: Place, parent: QImage) -> None:
        """The part of a coarser tile that is already there in place of a finer one that is not."""
        level, row, column = _parent(place)
        half, step = self.reader.pyramid.tile_size // 2, 2**level
        left, below = place[2] % 2 * half, place[1] % 2 * half  # the first row of a picture is the top of the sky
        width, height = min(half, parent.width() - left), min(half, parent.height() - below)
        x0, y0 = 2 * half * column * step - 0.5 + left * step, 2 * half * row * step - 0.5 + below * step
        target = view.rectangle(x0, y0, x0 + width * step, y0 + height * step, ratio)
        painter.drawImage(target, parent, QRectF(left, parent.height() - below - height, width, height))


def _parent(place: Place) -> Place:
    level, row, column = place
    return level + 1, row // 2, column // 2


def _smooth(view: View, ratio: float, level: int) -> bool:
    """Whether to interpolate: not at whole device pixels, nor where a person wants to see the pixels."""
    shown = view.zoom * ratio * 2**level
    return shown < 3 and abs(shown - 1) > 1e-6
