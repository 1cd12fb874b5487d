"""Tile-compressed FITS images, unpacked tile by tile without holding the interpreter: RICE_1, GZIP_1 and GZIP_2.

The format is that of section 10 of the FITS Standard 4.0: a binary table with a row a tile, whose first column points
into a heap of packed tiles; floats are stored as scaled integers with subtractive dithering. The other compressions
(HCOMPRESS, PLIO) and odder layouts are left to astropy (`engine.images.planes.SectionPlane`).
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import imagecodecs
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.errors import ImageError
from engine.images.damage import DAMAGE, reason
from engine.images.planes import identify, to_float
from engine.images.tiled import KeptTiles, touched
from engine.types import FloatArray

KEPT_BYTES = 96 * 2**20
"""Unpacked tiles a band keeps; more where tiles are whole rows, of which a scan comes back to the same ones."""

_SCAN_ROWS = 1400  # of one of its tiles and the borders
_MOST_BYTES = 256 * 2**20
_PASSING_BYTES = 16 * 2**20

_PACKED = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA")
_METHODS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2")
_DITHERS = {"NONE": 0, "NO_DITHER": 0, "SUBTRACTIVE_DITHER_1": 1, "SUBTRACTIVE_DITHER_2": 2}
_EXACT_ZERO = -2147483646  # what SUBTRACTIVE_DITHER_2 stores for a pixel of exactly 0
_RANDOM = 10_000
_SINGLE = 2**20  # steps from zero up to which single precision is good enough for averages
_ROWS = 16  # of low tiles unpacked together
_RICE_TYPES = {1: np.uint8, 2: np.int16, 4: np.int32}
_Found = TypeVar("_Found")
_COLUMN_BYTES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "P": 8, "Q": 16, "A": 1}


@dataclass(frozen=True, slots=True)
class TileLayout:
    """What the header of a compressed image says of its tiles; all of it travels to another process."""

    path: Path
    offset: int  # of the table, bytes
    heap: int  # of the heap, bytes
    columns: tuple[tuple[str, str, int], ...]  # name, numpy dtype, offset in a row
    row_bytes: int
    shape: tuple[int, ...]
    tile: tuple[int, ...]
    bitpix: int
    method: str
    block: int
    bytepix: int
    dither: int
    seed: int
    blank: int | None
    scale: float
    zero: float


def tile_layout(path: Path, header: fits.Header, offset: int) -> TileLayout | None:
    """The layout of a compressed image, or None where it is one that astropy has to read.

    ``header`` is that of the table and ``offset`` where its data begin, bytes.
    """
    method, quantised = header.get("ZCMPTYPE"), header.get("ZQUANTIZ", "NO_DITHER")
    axes, bitpix = int(header.get("ZNAXIS", 0)), int(header.get("ZBITPIX", 0))
    if method not in _METHODS or quantised not in _DITHERS or axes < 2 or bitpix not in (8, 16, 32, 64, -32, -64):
        return None
    names = [str(header.get(f"TTYPE{k}", "")) for k in range(1, int(header["TFIELDS"]) + 1)]
    columns, position = [], 0
    for number, name in enumerate(names, 1):
        form = re.match(r"(\d*)([A-Z])", str(header.get(f"TFORM{number}", "")))
        if form is None or form[2] not in _COLUMN_BYTES or int(form[1] or 1) != 1:
            return None
        kind = {"P": ">i4", "Q": ">i8", "E": ">f4", "D": ">f8", "J": ">i4", "I": ">i2", "K": ">i8", "B": "u1"}[form[2]]
        columns.append((name, f"2{kind}" if form[2] in "PQ" else kind, position))
        position += _COLUMN_BYTES[form[2]]
    settings = {header[f"ZNAME{k}"]: header.get(f"ZVAL{k}") for k in range(1, 10) if f"ZNAME{k}" in header}
    shape = tuple(int(header[f"ZNAXIS{axis}"]) for axis in range(axes, 0, -1))
    tile = tuple(int(header.get(f"ZTILE{axis}", shape[-1] if axis == 1 else 1)) for axis in range(axes, 0, -1))
    rows = int(np.prod([-(-side // step) for side, step in zip(shape, tile, strict=True)]))
    quantised_columns = {"ZSCALE", "ZZERO"} <= set(names)
    if (
        names[:1] != ["COMPRESSED_DATA"]
        or "UNCOMPRESSED_DATA" in names
        or any(not re.match(r"1?[PQ]B", str(header[f"TFORM{k}"])) for k, n in enumerate(names, 1) if n in _PACKED)
        or (position, rows) != (header["NAXIS1"], header["NAXIS2"])
        or any(step != 1 for step in tile[:-2])
        or int(settings.get("BYTEPIX") or 4) not in (1, 2, 4)
        or (bitpix < 0 and not quantised_columns and ("ZSCALE" in header or method.startswith("RICE")))
    ):
        return None
    blank = header.get("ZBLANK", header.get("BLANK"))
    return TileLayout(
        path, offset, offset + int(header.get("THEAP", position * rows)), tuple(columns), position, shape, tile,
        bitpix, method, int(settings.get("BLOCKSIZE") or 32), int(settings.get("BYTEPIX") or 4), _DITHERS[quantised],
        int(header.get("ZDITHER0", 0)), None if blank is None else int(blank),
        float(header.get("BSCALE", 1.0)), float(header.get("BZERO", 0.0)),
    )  # fmt: skip


class _Table:
    """The table of an open file: a column of numbers, and packed tiles."""

    def __init__(self, layout: TileLayout) -> None:
        self.bytes: NDArray[np.uint8] = np.asarray(np.memmap(layout.path, np.uint8, "r"))
        rows = int(np.prod([-(-side // step) for side, step in zip(layout.shape, layout.tile, strict=True)]))
        names, formats, offsets = zip(*layout.columns, strict=True)
        dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": layout.row_bytes})
        table = self.bytes[layout.offset : layout.offset + rows * layout.row_bytes].view(dtype)
        self.columns = {name: np.array(table[name]).astype(table[name].dtype.newbyteorder("=")) for name in names}
        self.heap = layout.heap

    def packed(self, column: str, row: int) -> NDArray[np.uint8]:
        """The bytes a descriptor points to; none where the column does not hold this tile."""
        if column not in self.columns:
            return self.bytes[:0]
        length, start = (int(value) for value in self.columns[column][row])
        found = self.bytes[self.heap + start : self.heap + start + length]
        if length < 0 or len(found) < length:
            raise ValueError("a tile lies outside the file")
        return found


class TilePlane:
    """A band stored in compressed tiles; any thread may read it, and several unpack at once.

    Tiles are kept for the next region, the least recently used dropped first.
    """

    def __init__(
        self, layout: TileLayout, leading: tuple[int, ...], *, bound: int | None = None, passing: bool = False
    ) -> None:
        self.layout, self.leading, self._passing = layout, leading, passing
        self.shape = (layout.shape[-2], layout.shape[-1])
        self.tile, self.tile_width = layout.tile[-2:]
        self._across = -(-self.shape[1] // self.tile_width)
        self._together = max(1, _ROWS // self.tile) if self._across == 1 else 1
        rows = _SCAN_ROWS * self.shape[1] * 4 if self._across == 1 else 0
        self._kept = KeptTiles(bound or max(KEPT_BYTES, min(rows, _MOST_BYTES)))
        counts = [*layout.shape[:-2], -(-self.shape[0] // self.tile)]
        # Row of the table where the plane begins: the leading axes have tiles of length one.
        self._first = int(np.ravel_multi_index((*leading, 0), counts)) * self._across
        self._lock = threading.Lock()
        self._table: _Table | None = None

    def passing(self) -> TilePlane:
        """The same band for averaging it from end to end: few tiles are kept, and floats computed in single precision.

        Pixels are then off by an eighth of a step of the scaled integers at most, where the brightest are a million
        steps above the faintest, and by far less elsewhere; a step is a fraction of the noise.
        """
        return TilePlane(self.layout, self.leading, bound=_PASSING_BYTES, passing=True)

    @property
    def identity(self) -> str:
        """What tells these pixels from any others on this machine."""
        return identify(self.layout.path, self.layout.offset, self.leading)

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`. Tiles without any of them are skipped."""
        out = np.empty((len(range(y0, y1, step)), len(range(x0, x1, step))), np.float32)
        if not out.size:
            return out
        keep = step == 1 and not (self._passing and self._are_whole(y0, y1, x0, x1))
        height = self.tile * self._together if keep else self.tile
        for row, rows, inner_rows in touched(y0, y1, step, height):
            for column, columns, inner_columns in touched(x0, x1, step, self.tile_width):
                values = self._unpacked_rows(row) if height > self.tile else self._unpacked(row, column, keep)
                if step == 1 and not keep and values.shape == out.shape:
                    return values
                out[rows, columns] = values[inner_rows, inner_columns]
        return out

    def _are_whole(self, y0: int, y1: int, x0: int, x1: int) -> bool:
        """Whether a region consists of whole tiles, which no other region comes back to."""
        (ny, nx), tile, wide = self.shape, self.tile, self.tile_width
        return not (y0 % tile or x0 % wide) and (y1 == ny or not y1 % tile) and (x1 == nx or not x1 % wide)

    def block_sums(self, y0: int, y1: int, x0: int, x1: int, factor: int) -> FloatArray | None:
        """Sums over ``factor`` by ``factor`` blocks of a tile, or of several as wide as the band, for averages.

        As exact as ``passing``, and quicker than reading the pixels: scaled integers are added up before they are
        scaled. None where that cannot be done: parts of tiles, pixels without data, very bright ones, other formats.
        """
        rows, width = y1 - y0, x1 - x0
        whole = self._passing and self._are_whole(y0, y1, x0, x1) and not (rows % factor or width % factor)
        if not whole or width != self.tile_width or rows % self.tile or (rows > self.tile and self._across > 1):
            return None
        first = self._first + y0 // self.tile * self._across + x0 // self.tile_width
        return self._guarded(lambda table: _block_sums(self.layout, table, first, (rows, width), factor))

    def glance(self, step: int) -> FloatArray:
        """About every ``step``-th pixel of the whole band, quickly.

        Of each tile only the first row is unpacked: rows in between repeat it.
        """
        ny, nx = self.shape
        if self.tile <= step:
            return self.read(0, ny, 0, nx, step)
        across = range(-(-nx // self.tile_width))
        rows = [
            np.concatenate([self._first_row(row, column) for column in across])[::step]
            for row in range(-(-ny // self.tile))
        ]
        return np.stack(rows)[np.arange(0, ny, step) // self.tile]

    def _first_row(self, row: int, column: int) -> FloatArray:
        shape = self._tile_shape(row, column)
        return self._decode(self._first + row * self._across + column, shape, pixels=shape[1]).reshape(-1)

    def _tile_shape(self, row: int, column: int) -> tuple[int, int]:
        ny, nx = self.shape
        return min(self.tile, ny - row * self.tile), min(self.tile_width, nx - column * self.tile_width)

    def _unpacked(self, row: int, column: int, keep: bool) -> FloatArray:
        index = self._first + row * self._across + column
        shape = self._tile_shape(row, column)
        pixels = shape[0] * shape[1]
        if not keep:  # of a look at the whole, which would drive out what is looked at closely
            return self._decode(index, shape, pixels=pixels)
        return self._kept.get((index, 1), lambda: self._decode(index, shape, pixels=pixels))

    def _unpacked_rows(self, group: int) -> FloatArray:
        """Low tiles as wide as the band, several at once: looking up each costs more than copying a few rows of it."""
        first = group * self._together
        rows = range(first, min(first + self._together, -(-self.shape[0] // self.tile)))

        def join() -> FloatArray:
            shapes = [self._tile_shape(row, 0) for row in rows]
            tiles = [
                self._decode(self._first + row, s, pixels=s[0] * s[1]) for row, s in zip(rows, shapes, strict=True)
            ]
            return np.concatenate(tiles)

        return self._kept.get((self._first + first, self._together), join)

    def _decode(self, index: int, shape: tuple[int, int], *, pixels: int) -> FloatArray:
        """The first ``pixels`` of a tile, in whole rows."""
        precise = not self._passing
        return self._guarded(
            lambda table: _values(self.layout, table, index, shape[0] * shape[1], pixels, precise=precise)
        ).reshape(-1, shape[1])

    def _guarded(self, work: Callable[[_Table], _Found]) -> _Found:
        """What comes of the table of the file; whatever is wrong with that ends in an ImageError."""
        try:
            with self._lock:
                table = self._table = self._table or _Table(self.layout)
            return work(table)
        except DAMAGE as error:
            raise ImageError(
                f"{self.layout.path.name} is damaged: pixels cannot be unpacked ({reason(error)}); get the file again"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"layout": self.layout, "leading": self.leading}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _values(
    layout: TileLayout, table: _Table, index: int, total: int, wanted: int, *, precise: bool = True
) -> FloatArray:
    """The first ``wanted`` of the ``total`` pixels of a tile, scaled; NaN where there are no data."""
    packed, method = table.packed("COMPRESSED_DATA", index), layout.method
    stored_as_floats = layout.bitpix < 0 and "ZSCALE" not in table.columns
    if not len(packed):  # a tile of floats that scaled integers would not hold
        packed, method, stored_as_floats = table.packed("GZIP_COMPRESSED_DATA", index), "GZIP_1", layout.bitpix < 0
    if method.startswith("RICE"):
        stored = _RICE_TYPES[layout.bytepix]
        # Any buffer will do, and a copy of it takes time.
        raw = imagecodecs.rcomp_decode(packed, shape=(wanted,), dtype=stored, nblock=layout.block)  # type: ignore[arg-type]
    else:
        raw = _gunzip(packed, total, shuffled=method == "GZIP_2", floats=stored_as_floats)[:wanted]
    blank = layout.blank
    if "ZBLANK" in table.columns:
        blank = int(table.columns["ZBLANK"][index])
    if layout.bitpix > 0 or stored_as_floats:
        return to_float(raw, layout.scale, layout.zero, blank)
    low, high = int(np.minimum.reduce(raw)), int(np.maximum.reduce(raw))
    double = precise or max(-low, high) > _SINGLE
    out = _rescaled(raw, table.columns["ZSCALE"][index], table.columns["ZZERO"][index], layout, index, double=double)
    if layout.dither == 2 and low <= _EXACT_ZERO:
        out[raw == _EXACT_ZERO] = 0.0
    if blank is not None and low <= blank <= high:
        out[raw == blank] = np.nan
    if (layout.scale, layout.zero) == (1.0, 0.0) and np.isfinite(out[-1]):
        return out
    return to_float(out, layout.scale, layout.zero)  # scaled once more after rounding, as astropy does


def _block_sums(
    layout: TileLayout, table: _Table, first: int, shape: tuple[int, int], factor: int
) -> FloatArray | None:
    """Sums over blocks of whole tiles of scaled integers, one above the other from ``first`` on."""
    if not layout.method.startswith("RICE") or layout.bitpix > 0 or "ZSCALE" not in table.columns:
        return None
    if (layout.scale, layout.zero) != (1.0, 0.0):
        return None
    (rows, width), tile = shape, layout.tile[-2]
    raw = np.empty((rows // tile, tile * width), _RICE_TYPES[layout.bytepix])
    tiles = slice(first, first + len(raw))
    for index, out in enumerate(raw, first):
        packed = table.packed("COMPRESSED_DATA", index)
        if not len(packed):
            return None
        imagecodecs.rcomp_decode(packed, out=out, nblock=layout.block)  # type: ignore[arg-type]
    low, high = int(raw.min()), int(raw.max())
    blank = table.columns["ZBLANK"][tiles] if "ZBLANK" in table.columns else layout.blank
    if high - low > _SINGLE or (blank is not None and np.any((low <= blank) & (blank <= high))):
        return None
    if layout.dither == 2 and low <= _EXACT_ZERO:
        return None
    scale, zero = (table.columns[name][tiles] for name in ("ZSCALE", "ZZERO"))
    if max(-low, high) > _SINGLE:  # SUBTRACTIVE_DITHER_2 begins next to the least integer there is
        raw -= raw.dtype.type(low)
        zero = zero + scale * low
    values = raw.astype(np.float32)
    if layout.dither:
        for index, tiled in enumerate(values, first):
            _undither(tiled, layout, index, _random_single())
    scale, zero = scale.astype(np.float32), zero.astype(np.float32)
    if tile == 1:  # each row has a scale of its own
        values *= scale[:, None]
        values += zero[:, None]
        scale, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    summed = values.reshape(rows // factor, factor, width).sum(axis=1)
    added = summed.reshape(rows // factor, width // factor, factor) @ np.ones(factor, np.float32)
    total: FloatArray = added * scale[0] + zero[0] * np.float32(factor * factor)
    return total


def _gunzip(packed: NDArray[np.uint8], total: int, *, shuffled: bool, floats: bool) -> NDArray[Any]:
    """Pixels of a gzipped tile; ``shuffled`` if bytes of equal significance stand together."""
    stored = np.frombuffer(zlib.decompressobj(31).decompress(packed.tobytes()), np.uint8)
    size = len(stored) // total
    if size not in (1, 2, 4, 8) or len(stored) != size * total:
        raise ValueError("a tile has the wrong length")
    if shuffled:
        stored = np.ascontiguousarray(stored.reshape(size, total).T)
    kind = f">f{size}" if floats else f">i{size}" if size > 1 else "u1"
    return stored.reshape(-1).view(kind)


@cache
def _random() -> NDArray[np.float64]:
    """The 10,000 numbers of Appendix I of the FITS Standard 4.0 (Park and Miller's generator), less a half."""
    numbers, seed = np.empty(_RANDOM), 1
    for k in range(_RANDOM):
        seed = seed * 16807 % 2147483647
        numbers[k] = seed / 2147483647
    return numbers.astype(np.float32).astype(np.float64) - 0.5


@cache
def _random_single() -> FloatArray:
    return _random().astype(np.float32)


def _rescaled(
    raw: NDArray[Any], scale: float, zero: float, layout: TileLayout, index: int, *, double: bool
) -> FloatArray:
    """Floats of the scaled integers of a tile, without what was added to them before they were rounded.

    Computed in ``double`` precision they are astropy's to the bit.
    """
    values: NDArray[Any] = raw.astype(np.float64 if double else np.float32)
    if layout.dither:
        _undither(values, layout, index, _random() if double else _random_single())
    values *= values.dtype.type(scale)
    out = np.empty(len(values), np.float32) if double else values
    np.add(values, values.dtype.type(zero), out=out, casting="unsafe")
    return out


def _undither(values: NDArray[Any], layout: TileLayout, index: int, numbers: NDArray[Any]) -> None:
    """Take away, in place, what was added to the pixels of a tile before they were rounded."""
    starts, have, seed = _random(), 0, (index + layout.seed - 1) % _RANDOM
    while have < len(values):
        part = numbers[int((starts[seed] + 0.5) * 500) :][: len(values) - have]
        values[have : have + len(part)] -= part
        have, seed = have + len(part), (seed + 1) % _RANDOM
