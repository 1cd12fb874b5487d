"""Single bands on disk: how pixels of a region become float32 with NaN where there are no data.

A plane opens its file when first read, may be read from any thread, and travels to another process as a path.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from engine.errors import ImageError
from engine.images.damage import DAMAGE, reason
from engine.types import FloatArray, Plane

_MANY_ROWS = 256  # worth a second thread
_STRIP_BYTES = 96 * 2**20  # of whole rows kept; the tiles of a scan and their borders, up to 19,000 pixels wide


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One image of a file: what the readers of the formats hand to `open_mosaic`.

    ``key`` is the number of the HDU or the name of the dataset; ``bands`` has a name for each plane, empty where the
    file gives none.
    """

    path: Path
    key: int | str
    name: str
    planes: tuple[Plane, ...]
    bands: tuple[str, ...]
    wcs: WCS | None = None
    pixel_scale: float | None = None
    notes: tuple[str, ...] = ()
    unit: str = ""


def identify(path: Path, *parts: object) -> str:
    """What tells the pixels of a band from any others on this machine, also after the file has changed.

    ``parts`` say where in the file they are.
    """
    status = path.stat()
    return "|".join(str(part) for part in (path.resolve(), status.st_size, status.st_mtime_ns, *parts))


def to_float(raw: NDArray[Any], scale: float = 1.0, zero: float = 0.0, blank: int | None = None) -> FloatArray:
    """A native float32 copy of stored pixels, scaled; NaN for blanks, infinities and what float32 cannot hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        if scale == 1.0 and zero == 0.0:
            out = np.array(raw, np.float32, order="C")
        else:
            out = (raw.astype(np.float64) * scale + zero).astype(np.float32)
        if raw.dtype.kind == "f" and not np.isfinite(out.sum()):  # one quick pass where all is well
            out[np.isinf(out)] = np.nan
    if blank is not None and raw.dtype.kind in "iu":
        out[raw == blank] = np.nan
    return out


@runtime_checkable
class Stored(Protocol):
    """A plane whose pixels are those of files, which what is made of them can be kept for."""

    @property
    def identity(self) -> str:
        """What tells these pixels from any others on this machine."""


class MappedPlane:
    """A band stored plainly: memory-mapped, so a region costs its own pixels only."""

    def __init__(
        self,
        path: Path,
        *,
        offset: int,
        dtype: str,
        shape: tuple[int, int],
        scale: float = 1.0,
        zero: float = 0.0,
        blank: int | None = None,
    ) -> None:
        self.path, self.offset, self.dtype, self.shape = path, offset, dtype, shape
        self.scale, self.zero, self.blank = scale, zero, blank
        self._array: NDArray[Any] | None = None

    @property
    def identity(self) -> str:
        """What tells these pixels from any others on this machine."""
        return identify(self.path, self.offset, self.dtype, self.shape, self.scale, self.zero, self.blank)

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`."""
        if step > 1:
            return to_float(self._rows(range(y0, y1, step), x0, x1, step), self.scale, self.zero, self.blank)
        return to_float(self._mapped()[y0:y1:step, x0:x1:step], self.scale, self.zero, self.blank)

    def _rows(self, wanted: range, x0: int, x1: int, step: int) -> NDArray[Any]:
        """Every ``step``-th pixel of rows. Read row by row: a map fetches each page by itself from a cold disk."""
        dtype = np.dtype(self.dtype)
        out = np.empty((len(wanted), len(range(x0, x1, step))), dtype)

        def read(start: int, stop: int) -> None:
            row = np.empty(x1 - x0, dtype)
            with self.path.open("rb", buffering=0) as file:
                for k in range(start, stop):
                    file.seek(self.offset + (wanted[k] * self.shape[1] + x0) * dtype.itemsize)
                    if file.readinto(row.view(np.uint8).data) != row.nbytes:
                        raise EOFError("it is shorter than when it was opened")
                    out[k] = row[::step]

        middle = len(wanted) // 2
        try:
            if len(wanted) < _MANY_ROWS:
                read(0, len(wanted))
            else:  # the first look at a mosaic
                with ThreadPoolExecutor(1) as pool:
                    other = pool.submit(read, middle, len(wanted))
                    read(0, middle)
                    other.result()
        except DAMAGE as error:
            raise ImageError(f"{self.path.name} cannot be read any more ({reason(error)}): open it again") from error
        return out

    def stamps(self, corners: NDArray[np.int64], rows: NDArray[np.int64], out: FloatArray) -> None:
        """Fill ``out[rows]`` (n, size, size) with pixels from corners (n, 2), (x, y), on; all inside the band."""
        array, size = self._mapped(), out.shape[-1]
        if array.dtype.kind == "f" and (self.scale, self.zero) == (1.0, 0.0):
            with np.errstate(over="ignore", invalid="ignore"):
                for row, (x, y) in zip(rows.tolist(), corners.tolist(), strict=True):
                    out[row] = array[y : y + size, x : x + size]
                if not np.isfinite(out.sum()):
                    out[np.isinf(out)] = np.nan
        else:
            for row, (x, y) in zip(rows.tolist(), corners.tolist(), strict=True):
                out[row] = self.read(y, y + size, x, x + size)

    def _mapped(self) -> NDArray[Any]:
        if self._array is None:
            try:  # as a plain array: slicing a memmap costs four times as much
                self._array = np.asarray(np.memmap(self.path, self.dtype, "r", self.offset, self.shape))
            except DAMAGE as error:
                raise ImageError(
                    f"{self.path.name} cannot be read any more ({reason(error)}): open it again"
                ) from error
        return self._array

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}


class Section(Protocol):
    """What can be sliced: an h5py dataset or the section of a FITS HDU."""

    def __getitem__(self, index: Any, /) -> Any: ...


class Source:
    """A file kept open for sections of it, one read at a time."""

    def __init__(self, path: Path, key: int | str, opener: Callable[[Path, int | str], tuple[Any, Section]]) -> None:
        self.path, self.key, self.opener = path, key, opener
        self._lock = threading.Lock()
        self._section: Section | None = None

    def read(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """The pixels as stored, or scaled if the format's reader does so.

        Raises
        ------
        ImageError : the file is damaged or gone
        """
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy's remarks on odd headers
            try:
                if self._section is None:
                    file, self._section = self.opener(self.path, self.key)
                    weakref.finalize(self, file.close)
                return np.asarray(self._section[index])
            except DAMAGE as error:
                raise ImageError(
                    f"{self.path.name} is damaged: pixels cannot be unpacked ({reason(error)}); get the file again"
                ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "key": self.key, "opener": self.opener}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class SectionPlane:
    """A band stored in compressed tiles or chunks: only those a region touches are unpacked.

    ``tile`` and ``tile_width`` are the height and width of a tile; ``keeps`` says that the reader keeps what it has
    unpacked, a row of tiles. A step reads one row of tiles after the other, and
    skips those without any of its rows. Tiles wider than a region, such as whole rows, are kept as far as they reach:
    the neighbouring region, which a scan reads next, would unpack the same ones.
    """

    def __init__(
        self,
        source: Source,
        leading: tuple[int, ...],
        shape: tuple[int, int],
        *,
        tile: int = 1,
        tile_width: int = 1,
        keeps: bool = False,
    ) -> None:
        self.source, self.leading, self.shape = source, leading, shape
        self.tile, self.tile_width, self.keeps = tile, tile_width, keeps
        self._strip: tuple[int, int, FloatArray] | None = None

    @property
    def identity(self) -> str:
        """What tells these pixels from any others on this machine."""
        return identify(self.source.path, self.source.key, self.leading)

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`."""
        if step > 1:
            return self._decimated(range(y0, y1, step), x0, x1, step)
        nx = self.shape[1]
        if self.tile_width <= x1 - x0 or (y1 - y0) * nx * 4 > _STRIP_BYTES:
            return self._pixels(y0, y1, x0, x1)
        strip = self._strip  # another thread may put its own there at any time
        if strip is None or y0 < strip[0] or y1 > strip[1]:
            strip = self._strip = (y0, y1, self._pixels(y0, y1, 0, nx))
        return strip[2][y0 - strip[0] : y1 - strip[0], x0:x1].copy()

    def _decimated(self, wanted: range, x0: int, x1: int, step: int) -> FloatArray:
        # Each row by itself where the reader keeps what it unpacked, else all rows of a tile together.
        tile = 1 if self.keeps else self.tile
        starts = [k for k, y in enumerate(wanted) if not k or y // tile != (y - step) // tile]
        out = np.empty((len(wanted), len(range(x0, x1, step))), np.float32)
        for start, end in zip(starts, [*starts[1:], len(wanted)], strict=True):
            rows = wanted[start:end]
            out[start:end] = self._pixels(rows[0], rows[-1] + 1, x0, x1)[::step, ::step]
        return out

    def _pixels(self, y0: int, y1: int, x0: int, x1: int) -> FloatArray:
        pixels = self.source.read((*self.leading, slice(y0, y1), slice(x0, x1)))
        if pixels.shape != (y1 - y0, x1 - x0):
            raise ImageError(f"{self.source.path.name} is damaged: its header and its pixels differ in shape")
        return to_float(pixels)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_strip": None}
