"""Reading tiles for the canvas in one thread of its own, and keeping what was read within bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from deeplense_gui.widgets.stretch import CodeArray, Coder, Painter
from engine.errors import EngineError
from engine.images.positions import Frame, to_frame
from engine.types import Mosaic, Step

Key = tuple[int, int, int, int]  # level, row, column, band
Place = tuple[int, int, int]  # level, row, column
Task = tuple[Any, Callable[[], object]]  # what it is, for the record of what cannot be read, and how it is done

_PATIENCE = 2.0  # seconds
_OVERVIEW = 768  # pixels of the longer side of the first, decimated view
_COARSE = 3  # levels from here on are built all at once
_TILE = 256  # small, so that a frame colours as many as it has time for
_FIRST_PICTURE = 0.05  # seconds to wait for it to be drawn; the mosaic may be hidden
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
    """What is under the cursor: ICRS degrees, longitude and latitude of the frame that is shown, values of the bands.

    Positions are NaN without a WCS, values off the image.
    """

    x: float
    y: float
    ra: float
    dec: float
    longitude: float
    latitude: float
    values: tuple[float, ...]


class TileReader(QObject):
    """Reads a mosaic in a thread that lives as long as there is something to read.

    Only the latest wishes count: ``want`` replaces the tiles asked for before, ``ask`` a question of the same kind.
    Questions come first (what is under the cursor, where is north), then the overview of a band, then its tiles, then
    questions that can wait (contours). ``answered(kind, answer)`` follows a question. In between, the coarse levels of
    the bands in use are built, a moment at a time; a coarse tile waits for them rather than read all pixels below it.
    """

    overview_read = Signal(object)
    tile_read = Signal(object, object)
    answered = Signal(str, object)
    failed = Signal(str)

    def __init__(self, mosaic: Mosaic) -> None:
        super().__init__()  # no parent: the thread's reference keeps it alive while it reads
        self.mosaic = mosaic
        from engine.images.pyramid import Pyramid  # imports astropy: the window starts without it

        self.pyramid = Pyramid(mosaic, tile_size=_TILE, cache_bytes=_FLOAT_BYTES)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._wanted: list[Key] = []
        self._bands: tuple[int, ...] = ()
        self._questions: dict[str, Callable[[], object]] = {}
        self._later: dict[str, Callable[[], object]] = {}
        self._coders: dict[int, Coder] = {}
        self._built: set[int] = set()
        self._builder: tuple[int, Generator[Step, None, None]] | None = None
        self._unreadable: set[Any] = set()
        self._drawn = threading.Event()

    def want(self, bands: tuple[int, ...], keys: Iterable[Key]) -> None:
        """Ask for the overviews of bands and for tiles, the most wanted first; earlier wishes are dropped."""
        with self._lock:
            self._bands = bands
            self._wanted = [key for key in keys if key not in self._unreadable]
            self._wake()

    def drawn(self) -> None:
        """Tell that there is a first picture on the screen: building, which takes all cores, waited for it."""
        self._drawn.set()

    def ask(self, kind: str, question: Callable[[], object], *, later: bool = False) -> None:
        """Ask something that takes a moment; ``answered`` follows unless another of its kind is asked first.

        ``later`` waits until all tiles are read.
        """
        with self._lock:
            (self._later if later else self._questions)[kind] = question
            self._wake()

    def probe(self, x: float, y: float, frame: Frame = "icrs") -> None:
        """Ask what is at a pixel position: a Probe, the answer of kind "probe"."""
        self.ask("probe", lambda: self._read_probe(x, y, frame))

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
        wishes = self._questions or self._wanted or self._later
        return bool(wishes) or self._missing_band() is not None or self._unbuilt() is not None

    def _missing_band(self) -> int | None:
        return next((b for b in self._bands if b not in self._coders and ("band", b) not in self._unreadable), None)

    def _unbuilt(self) -> int | None:
        """A band in use whose coarse levels are not built; None where the mosaic is too small to have any."""
        if self.pyramid.levels <= _COARSE:
            return None
        return next((b for b in self._bands if b not in self._built and ("build", b) not in self._unreadable), None)

    def _urgent(self) -> Task | None:
        """A question or an overview, before any tile. Called with the lock held."""
        if self._questions:
            kind = next(iter(self._questions))
            return kind, self._answer(kind, self._questions.pop(kind))
        band = self._missing_band()
        if band is not None:
            return ("band", band), lambda: self._tell(self.overview_read, self._read_overview(band))
        return None

    def _patient(self, wanted: Sequence[Key]) -> Task | None:
        """A tile that can be had now, else a moment of building, else a question that could wait."""
        band = self._unbuilt()
        at_hand = self.pyramid.at_hand
        key = next((k for k in wanted if band is None or k[0] < _COARSE or at_hand(*k)), None)
        with self._lock:
            if key is not None:
                self._wanted = [other for other in self._wanted if other != key]
                return key, lambda: self._read_tile(key)
            if band is not None:
                return ("build", band), lambda: self._build(band)
            if self._later:
                kind = next(iter(self._later))
                return kind, self._answer(kind, self._later.pop(kind))
        return None

    def _answer(self, kind: str, question: Callable[[], object]) -> Callable[[], object]:
        return lambda: self._tell(self.answered, kind, question())

    def _work(self) -> None:
        """Runs in the thread: one wish after the other until none is left."""
        while True:
            with self._lock:
                if self._stopped or not self._has_work():
                    self._thread = None
                    break
                task, wanted = self._urgent(), list(self._wanted)
            task = task or self._patient(wanted)
            if task is not None:
                self._do(*task)
        if self._stopped and self._builder is not None:
            self._builder[1].close()

    def _do(self, what: Any, work: Callable[[], object]) -> None:
        try:
            work()
        except (EngineError, OSError, ValueError) as error:
            with self._lock:
                self._unreadable.add(what)
            if what != "probe":
                self._tell(self.failed, f"{self.mosaic.name} cannot be read here: {error}")

    def _build(self, band: int) -> None:
        """Build the coarse levels of a band for a moment."""
        if self._builder is not None and self._builder[0] != band:
            self._builder[1].close()
            self._builder = None
        if self._builder is None:
            self._drawn.wait(_FIRST_PICTURE)
            self._builder = band, self.pyramid.build([band])
        step = next(self._builder[1], None)
        if step is None or band in step.items:
            self._builder = None
            self._built.add(band)

    def _read_overview(self, band: int) -> Overview:
        values, step = self.pyramid.overview(band, _OVERVIEW)
        coder = Coder.of(values)
        self._coders[band] = coder
        return Overview(band, step, coder, coder.encode(values))

    def _read_tile(self, key: Key) -> None:
        level, row, column, band = key
        coder = self._coders.get(band)
        if coder is not None:
            self._tell(self.tile_read, key, coder.encode(self.pyramid.tile(level, row, column, band)))

    def _read_probe(self, x: float, y: float, frame: Frame) -> Probe:
        radec = self.mosaic.world(np.array([[x, y]]))
        longitude, latitude = to_frame(radec, frame)[0] if np.isfinite(radec).all() else radec[0]
        column, row = round(x), round(y)
        values = self.mosaic.read(row, row + 1, column, column + 1)[:, 0, 0]
        place = (float(number) for number in (*radec[0], longitude, latitude))
        return Probe(x, y, *place, tuple(float(value) for value in values))


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
