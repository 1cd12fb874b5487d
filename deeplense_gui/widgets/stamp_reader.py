"""Reading stamps and making their pictures in a thread of its own; the next candidate's are made ahead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from deeplense_gui.widgets.colours import to_image
from deeplense_gui.widgets.pictures import Pixels, make_picture, make_pictures
from deeplense_gui.widgets.stamp import Picture
from deeplense_gui.widgets.stretch_bar import colour_bands
from deeplense_gui.widgets.survey_levels import levels_or_none
from engine.errors import EngineError
from engine.types import Mosaic

_PATIENCE = 2.0  # seconds
_KEPT = 48  # candidates; a stamp of three bands takes about one megabyte
_WIDEST = 512  # pixels of a stamp; what is wider is decimated
_THUMBNAIL = 128  # pixels of a thumbnail
_STEP = 1.6  # regions grow in steps, so that zooming a little reads nothing


@dataclass(frozen=True, slots=True)
class Wish:
    """A stamp that is wanted: around (x, y) in pixels, ``side`` arcsec wide (pixels without a pixel scale).

    ``lift`` divides the brightness at which white begins; ``view`` is the title of the only view that is wanted, "" for
    all. ``survey`` is what noise and white are measured on, the whole of what the stamp is of; None for the stamp.
    """

    mosaic: Mosaic
    x: float
    y: float
    side: float
    lift: float = 1.0
    view: str = ""
    survey: Mosaic | None = None

    @property
    def key(self) -> tuple[str, float, float, float, float, str]:
        """What tells one stamp from another."""
        return (self.mosaic.id, self.x, self.y, self.side, self.lift, self.view)

    @property
    def unit(self) -> str:
        """The unit of ``side``."""
        return " px" if self.mosaic.pixel_scale is None else "″"


def side_to_read(shown: float) -> float:
    """The side of the region to read for a field of view: somewhat wider, so that it can be moved, in few steps."""
    side = 10.0
    while side < 1.25 * shown:
        side *= _STEP
    return round(side, 3)


def read_stamp(wish: Wish) -> list[Picture]:
    """Read the pixels of a stamp and make all its pictures.

    Raises
    ------
    EngineError, OSError : the file cannot be read there
    """
    return make_pictures(read_pixels(wish, _WIDEST))


def read_thumbnail(wish: Wish) -> QImage:
    """Read the pixels of a stamp and make one picture of it, small enough to keep thousands; raises the same."""
    return to_image(make_picture(read_pixels(wish, _THUMBNAIL), wish.view).pixels)


def read_pixels(wish: Wish, widest: int) -> Pixels:
    """Read the pixels of a stamp, decimated to ``widest`` pixels a side at most."""
    mosaic, scale = wish.mosaic, wish.mosaic.pixel_scale or 1.0
    half = max(round(wish.side / scale / 2), 4)
    step = max(1, -(-(2 * half + 1) // widest))
    half -= half % step  # the candidate's own pixel stays in the middle
    column, row = round(wish.x), round(wish.y)
    values = mosaic.read(row - half, row + half + 1, column - half, column + half + 1, step=step)
    side = values.shape[1] * step * scale
    shift = ((column - wish.x) * scale, (row - wish.y) * scale)
    levels = levels_or_none(wish.survey)
    return Pixels(values, mosaic.bands, colour_bands(mosaic.bands), side, wish.unit, shift, wish.lift, levels)


class StampReader(QObject):
    """Makes what was wished for last, one after the other; ``made(key)`` tells when it is there.

    ``make`` turns a wish into what is kept, the last ``kept`` of them; ``failed(key, text)`` comes where the file
    cannot be read, ``rested()`` when nothing is left to make.
    """

    made = Signal(object)
    failed = Signal(object, str)
    rested = Signal()

    def __init__(
        self, parent: QObject | None = None, *, make: Callable[[Wish], Any] = read_stamp, kept: int = _KEPT
    ) -> None:
        super().__init__(parent)
        self._make, self._most = make, kept
        self._lock = threading.Condition()
        self._wishes: list[Wish] = []
        self._working = self._stopped = False
        self._thread: threading.Thread | None = None
        self._made: OrderedDict[object, Any] = OrderedDict()

    def pictures(self, key: object) -> Any:
        """What was made before and is still kept, else None."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def wait(self, wish: Wish, seconds: float) -> Any:
        """Ask for a stamp and wait for it, but no longer than a person notices; None where it takes longer."""
        self.want([wish])
        with self._lock:
            self._lock.wait_for(lambda: wish.key in self._made or not self._working, seconds)
        return self.pictures(wish.key)

    def want(self, wishes: Sequence[Wish]) -> bool:
        """Ask for stamps, the most wanted first; what was asked before and not begun is dropped.

        False where all of them are there already.
        """
        with self._lock:
            self._wishes = [wish for wish in wishes if wish.key not in self._made]
            if self._wishes and not self._working and not self._stopped:
                self._working = True
                self._thread = threading.Thread(target=self._work, name="stamp reader", daemon=True)
                self._thread.start()
            return bool(self._wishes)

    def stop(self) -> None:
        """Make nothing more."""
        with self._lock:
            self._stopped = True

    def join(self) -> None:
        """Wait, after ``stop``, for the read that is under way, but not for a disk that hangs."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        """Runs in the thread until no wish is left."""
        while True:
            with self._lock:
                if self._stopped or not self._wishes:
                    self._working = False
                    self._lock.notify_all()
                    break
                wish = self._wishes.pop(0)
            try:
                made = self._make(wish)
            except (EngineError, OSError, ValueError) as error:
                self._tell(self.failed, wish.key, str(error))
                continue
            with self._lock:
                self._made[wish.key] = made
                while len(self._made) > self._most:
                    self._made.popitem(last=False)
                self._lock.notify_all()
            self._tell(self.made, wish.key)
        self._tell(self.rested)

    def _tell(self, signal: Signal, *arguments: object) -> None:
        with self._lock:
            stopped = self._stopped
        if not stopped:
            signal.emit(*arguments)
