"""Reading tiles for the canvas in one thread of its own, and keeping what was read within bounds."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from deeplense_gui.widgets.stretch import CodeArray, Coder, Painter
from engine.errors import EngineError
from engine.images.pyramid import Pyramid
from engine.types import Mosaic

Key = tuple[int, int, int, int]  # level, row, column, band
Place = tuple[int, int, int]  # level, row, column

_PATIENCE = 2.0  # seconds
_OVERVIEW = 768  # pixels of the longer side of the first, decimated view
_TILE = 256  # small, so that a frame colours as many as it has time for
_FLOAT_BYTES = 48 * 2**20
_CODE_BYTES = 96 * 2**20
_PICTURE_BYTES = 96 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """The first view of a band: every ``step``-th pixel, and the scale of codes made from it."""

    band: int
    step: int
    coder: Coder
    codes: CodeArray


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What is under the cursor: ICRS degrees (NaN without a WCS) and the value in each band (NaN off the image)."""

    x: float
    y: float
    ra: float
    dec: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Orientation:
    """Unit vectors (x, y) in pixels to the north and to the east at a place of the mosaic."""

    north: tuple[float, float]
    east: tuple[float, float]


class TileReader(QObject):
    """Reads a mosaic in a thread that lives as long as there is something to read.

    Only the latest wishes count: ``want`` and ``probe`` replace what was asked before. Probes come first, then the
    overview of a band, then its tiles.
    """

    overview_read = Signal(object)
    tile_read = Signal(object, object)
    probed = Signal(object)
    oriented = Signal(object)
    failed = Signal(str)

    def __init__(self, mosaic: Mosaic) -> None:
        super().__init__()  # no parent: the thread's reference keeps it alive while it reads
        self.mosaic = mosaic
        self.pyramid = Pyramid(mosaic, tile_size=_TILE, cache_bytes=_FLOAT_BYTES)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._wanted: list[Key] = []
        self._bands: tuple[int, ...] = ()
        self._probe: tuple[float, float] | None = None
        self._orient: tuple[float, float] | None = None
        self._coders: dict[int, Coder] = {}
        self._unreadable: set[Any] = set()

    def want(self, bands: tuple[int, ...], keys: Iterable[Key]) -> None:
        """Ask for the overviews of bands and for tiles, the most wanted first; earlier wishes are dropped."""
        with self._lock:
            self._bands = bands
            self._wanted = [key for key in keys if key not in self._unreadable]
            self._wake()

    def probe(self, x: float, y: float) -> None:
        """Ask what is at a pixel position; ``probed`` follows unless another is asked first."""
        with self._lock:
            self._probe = (x, y)
            self._wake()

    def orient(self, x: float, y: float) -> None:
        """Ask where north and east are at a pixel position."""
        with self._lock:
            self._orient = (x, y)
            self._wake()

    def stop(self) -> None:
        """Read nothing more; what is being read is dropped."""
        with self._lock:
            self._stopped = True

    def join(self) -> None:
        """Wait, after ``stop``, for the read that is under way, but not for a disk that hangs."""
        thread = self._thread
        if thread is not None:
            thread.join(_PATIENCE)

    def _tell(self, signal: Any, *arguments: object) -> None:
        """Emit a signal, unless nobody listens any more."""
        with self._lock:
            stopped = self._stopped
        if not stopped:
            signal.emit(*arguments)

    def _wake(self) -> None:
        if self._thread is None and not self._stopped and self._has_work():
            self._thread = threading.Thread(target=self._work, name="tile reader", daemon=True)
            self._thread.start()

    def _has_work(self) -> bool:
        return bool(self._probe or self._orient or self._wanted or self._missing_band() is not None)

    def _missing_band(self) -> int | None:
        return next((b for b in self._bands if b not in self._coders and ("band", b) not in self._unreadable), None)

    def _work(self) -> None:
        """Runs in the thread: one wish after the other until none is left."""
        while True:
            with self._lock:
                if self._stopped or not self._has_work():
                    self._thread = None
                    return
                probe, self._probe = self._probe, None
                orient, self._orient = (None, self._orient) if probe else (self._orient, None)
                band = self._missing_band()
                key = self._wanted.pop(0) if not (probe or orient) and band is None else None
            what: Any = probe or orient or (("band", band) if band is not None else key)
            try:
                if probe:
                    self._tell(self.probed, self._read_probe(*probe))
                elif orient:
                    self._tell(self.oriented, self._read_orientation(*orient))
                elif band is not None:
                    self._tell(self.overview_read, self._read_overview(band))
                elif key is not None:
                    self._read_tile(key)
            except (EngineError, OSError, ValueError) as error:
                with self._lock:
                    self._unreadable.add(what)
                if not probe and not orient:
                    self._tell(self.failed, f"{self.mosaic.name} cannot be read here: {error}")

    def _read_overview(self, band: int) -> Overview:
        ny, nx = self.mosaic.shape
        step = max(1, math.ceil(max(ny, nx) / _OVERVIEW))
        values = self.mosaic.read(0, ny, 0, nx, step=step, bands=(band,))[0]
        coder = Coder.of(values)
        self._coders[band] = coder
        return Overview(band, step, coder, coder.encode(values))

    def _read_tile(self, key: Key) -> None:
        level, row, column, band = key
        coder = self._coders.get(band)
        if coder is not None:
            self._tell(self.tile_read, key, coder.encode(self.pyramid.tile(level, row, column, band)))

    def _read_probe(self, x: float, y: float) -> Probe:
        ra, dec = self.mosaic.world(np.array([[x, y]]))[0]
        column, row = round(x), round(y)
        values = self.mosaic.read(row, row + 1, column, column + 1)[:, 0, 0]
        return Probe(x, y, float(ra), float(dec), tuple(float(value) for value in values))

    def _read_orientation(self, x: float, y: float) -> Orientation | None:
        mosaic = self.mosaic
        ra, dec = mosaic.world(np.array([[x, y]]))[0]
        if not math.isfinite(ra):
            return None
        step = 5 * (mosaic.pixel_scale or 1.0) / 3600
        up = -step if dec + step > 90 else step
        aside = [(ra + step / max(math.cos(math.radians(dec)), 1e-6)) % 360, dec]
        here, north, east = mosaic.pixel(np.array([[ra, dec], [ra, dec + up], aside]))
        to_north, to_east = (north - here) * np.sign(up), east - here
        lengths = np.hypot(*to_north), np.hypot(*to_east)
        if not all(math.isfinite(length) and length > 0 for length in lengths):
            return None
        (n_x, n_y), (e_x, e_y) = to_north / lengths[0], to_east / lengths[1]
        return Orientation((float(n_x), float(n_y)), (float(e_x), float(e_y)))


class TileCache:
    """Codes and pictures of tiles, the least recently used dropped first."""

    def __init__(self) -> None:
        self._codes: OrderedDict[Key, CodeArray] = OrderedDict()
        self._pictures: OrderedDict[Place, tuple[Painter, QImage]] = OrderedDict()
        self._code_bytes = 0
        self._picture_bytes = 0

    def add(self, key: Key, codes: CodeArray) -> None:
        """Keep the codes of a tile."""
        old = self._codes.pop(key, None)
        self._code_bytes += codes.nbytes - (0 if old is None else old.nbytes)
        self._codes[key] = codes
        while self._code_bytes > _CODE_BYTES:
            self._code_bytes -= self._codes.popitem(last=False)[1].nbytes

    def codes(self, place: Place, bands: tuple[int, ...]) -> list[CodeArray] | None:
        """Codes of a tile in some bands, None while one is missing."""
        keys = [(*place, band) for band in bands]
        if any(key not in self._codes for key in keys):
            return None
        for key in keys:
            self._codes.move_to_end(key)
        return [self._codes[key] for key in keys]

    def missing(self, place: Place, bands: tuple[int, ...]) -> list[Key]:
        """Keys of a tile that are still to be read."""
        return [(*place, band) for band in bands if (*place, band) not in self._codes]

    def picture(self, place: Place) -> tuple[Painter, QImage] | None:
        """The picture of a tile and what painted it, perhaps with an older stretch."""
        found = self._pictures.get(place)
        if found is not None:
            self._pictures.move_to_end(place)
        return found

    def keep_picture(self, place: Place, painter: Painter, picture: QImage) -> None:
        """Keep the picture of a tile."""
        old = self._pictures.pop(place, None)
        self._picture_bytes += picture.sizeInBytes() - (0 if old is None else old[1].sizeInBytes())
        self._pictures[place] = (painter, picture)
        while self._picture_bytes > _PICTURE_BYTES:
            self._picture_bytes -= self._pictures.popitem(last=False)[1][1].sizeInBytes()
