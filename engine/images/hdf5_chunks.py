"""Chunked HDF5 images read where they lie in the file, past the library and its one lock.

Chunks stored as they are cost what a plain file costs; those packed by deflate, shuffled or not, are unpacked in
several threads at once. Other filters (LZF, Blosc and so on) are left to h5py (`engine.images.planes.SectionPlane`).
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import ImageError
from engine.images.damage import DAMAGE, reason
from engine.images.planes import identify, to_float
from engine.images.tiled import KeptTiles, touched
from engine.types import FloatArray

KEPT_BYTES = 96 * 2**20
"""Unpacked chunks that a band keeps."""

_PASSING_BYTES = 16 * 2**20
_DEFLATE, _SHUFFLE = 1, 2  # as the format numbers them


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """How a chunked dataset is stored; all of it travels to another process.

    ``shape`` and ``chunk`` have two or three axes; ``filters`` are in the order in which they packed.
    """

    path: Path
    key: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    filters: tuple[int, ...]
    fill: float

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(-(-side // step) for side, step in zip(self.shape, self.chunk, strict=True))


def chunk_layout(path: Path, dataset: h5py.Dataset) -> ChunkLayout | None:
    """The layout of a dataset, or None where it is one that h5py has to read."""
    plan = dataset.id.get_create_plist()
    filters = tuple(plan.get_filter(k)[0] for k in range(plan.get_nfilters()))
    if (
        not dataset.chunks
        or dataset.is_virtual
        or any(one not in (_DEFLATE, _SHUFFLE) for one in filters)
        or dataset.id.get_type().get_size() != dataset.dtype.itemsize
        or not hasattr(dataset.id, "chunk_iter")
    ):
        return None
    shape, chunk = tuple(map(int, dataset.shape)), tuple(map(int, dataset.chunks))
    return ChunkLayout(path, dataset.name, shape, chunk, dataset.dtype.str, filters, float(dataset.fillvalue))


class _Table:
    """Where each chunk of an open file is: offset and length in bytes (none where it was never written)."""

    def __init__(self, layout: ChunkLayout) -> None:
        count = int(np.prod(layout.counts))
        self.offset, self.length = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.skipped = np.zeros(count, np.uint32)  # filters, one bit each

        def note(chunk: Any) -> None:
            place = [start // step for start, step in zip(chunk.chunk_offset, layout.chunk, strict=True)]
            index = int(np.ravel_multi_index(place, layout.counts))
            self.offset[index], self.length[index] = chunk.byte_offset, chunk.size
            self.skipped[index] = chunk.filter_mask

        with h5py.File(layout.path, "r") as file:
            file[layout.key].id.chunk_iter(note)
        self.bytes: NDArray[np.uint8] = np.asarray(np.memmap(layout.path, np.uint8, "r"))

    def stored(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a chunk."""
        start, length = int(self.offset[index]), int(self.length[index])
        found = self.bytes[start : start + length]
        if len(found) < length:
            raise ValueError("a chunk lies outside the file")
        return found


class ChunkFile:
    """What the planes of a dataset share: its layout and, once it is read, the table of its chunks."""

    def __init__(self, layout: ChunkLayout) -> None:
        self.layout = layout
        self._lock = threading.Lock()
        self._table: _Table | None = None

    def chunk(self, index: int) -> NDArray[Any] | None:
        """A chunk as it is stored, in its full shape and without its filters; None where it was never written.

        Raises
        ------
        ImageError : the file is damaged or gone
        """
        layout = self.layout
        try:
            with self._lock:
                table = self._table = self._table or _Table(layout)
            if not table.length[index]:
                return None
            raw, itemsize = table.stored(index), np.dtype(layout.dtype).itemsize
            for number in reversed(range(len(layout.filters))):
                if table.skipped[index] >> number & 1:
                    continue
                if layout.filters[number] == _DEFLATE:
                    raw = np.frombuffer(zlib.decompress(raw.data), np.uint8)
                else:  # bytes of equal significance stand together
                    raw = np.ascontiguousarray(raw.reshape(itemsize, -1).T).reshape(-1)
            return raw.view(layout.dtype).reshape(layout.chunk)
        except DAMAGE as error:
            raise ImageError(
                f"{layout.path.name} is damaged: pixels cannot be unpacked ({reason(error)}); get the file again"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {"layout": self.layout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class ChunkPlane:
    """A band stored in chunks; any thread may read it. ``packed`` says that its chunks have to be unpacked."""

    def __init__(self, file: ChunkFile, leading: tuple[int, ...], *, bound: int | None = None) -> None:
        layout = file.layout
        self.file, self.leading = file, leading
        self.shape = (layout.shape[-2], layout.shape[-1])
        self.tile, self.tile_width = layout.chunk[-2:]
        self.packed = bool(layout.filters)
        depth = layout.chunk[0] if leading else 1
        self._across = layout.counts[-1]
        self._first = leading[0] // depth * layout.counts[-2] * self._across if leading else 0
        self._within = tuple(index % depth for index in leading)
        self._kept = KeptTiles(bound or KEPT_BYTES)

    def passing(self) -> ChunkPlane:
        """The same band for reading it once from end to end: few chunks are kept."""
        return ChunkPlane(self.file, self.leading, bound=_PASSING_BYTES)

    @property
    def identity(self) -> str:
        """What tells these pixels from any others on this machine."""
        return identify(self.file.layout.path, self.file.layout.key, self.leading)

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`. Chunks without any of them are skipped."""
        out = np.empty((len(range(y0, y1, step)), len(range(x0, x1, step))), np.float32)
        if not out.size:
            return out
        with np.errstate(over="ignore", invalid="ignore"):
            for row, rows, inner_rows in touched(y0, y1, step, self.tile):
                for column, columns, inner_columns in touched(x0, x1, step, self.tile_width):
                    values = self._pixels(self._first + row * self._across + column)
                    out[rows, columns] = values[inner_rows, inner_columns]
            if not np.isfinite(out.sum()):  # one quick pass where all is well
                out[np.isinf(out)] = np.nan
        return out

    def _pixels(self, index: int) -> NDArray[Any]:
        """The pixels of a chunk that belong to this band."""
        return self._kept.get(index, lambda: self._unpacked(index)) if self.packed else self._stored(index)

    def _stored(self, index: int) -> NDArray[Any]:
        found = self.file.chunk(index)
        if found is None:
            return np.full((self.tile, self.tile_width), self.file.layout.fill)
        pixels: NDArray[Any] = found[self._within]
        return pixels

    def _unpacked(self, index: int) -> FloatArray:
        return to_float(self._stored(index))

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "leading": self.leading, "bound": self._kept.bound}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
