"""The coarse levels of a band: block means made once from all its pixels, and kept on disk for the next opening."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ImageError
from engine.images import disk_cache
from engine.types import FloatArray, Plane

FIRST = 3
"""The finest level made in advance: finer tiles cost no more than a few reads each."""

THREADS = 2
_LARGEST = 64 * 2**20  # bytes of the finest level in memory; of the very largest mosaics it is a coarser one
_SMALLEST = 64  # pixels; the coarsest level is about so wide
_STRIP = 256  # rows of the mosaic at a time, at least
_BLOCK = 1 << 18  # pixels read at a time: about what the cache of a core holds
_BEAT = 0.1  # seconds between two steps of filling
_MAGIC = b"deeplense levels 1\n"
_HEADER = 4096  # bytes; the numbers follow


class Levels:
    """Block means of one band from level ``first`` up, as far as they are made; any thread may read them.

    ``overview`` is every ``step``-th pixel of the band, as it was first shown: limits of brightness come from it, so
    that a mosaic looks the same in each opening.
    """

    def __init__(self, shape: tuple[int, int], overview: FloatArray, step: int) -> None:
        self.shape, self.overview, self.step = shape, overview, step
        self.first, top = level_range(shape)
        self.arrays = {level: np.full(level_shape(shape, level), np.nan, np.float32)
                       for level in range(self.first, top + 1)}  # fmt: skip
        self.strip = -(-_STRIP // 2**top) * 2**top
        self.done: NDArray[np.bool_] = np.zeros(-(-shape[0] // self.strip), np.bool_)
        self.damaged = 0
        self._checks: dict[int, int] = {}

    def region(self, level: int, y0: int, y1: int, x0: int, x1: int) -> FloatArray | None:
        """Pixels ``[y0:y1, x0:x1]`` of a level, None where they are not made or not kept.

        Raises
        ------
        ValueError : what was kept on disk is damaged
        """
        if level not in self.arrays:
            return None
        strips = slice(y0 * 2**level // self.strip, -(-y1 * 2**level // self.strip))
        if not self.done[strips].all():
            return None
        self._check(level)
        return self.arrays[level][y0:y1, x0:x1]

    def fill(self, plane: Plane) -> Iterator[int]:
        """Make the levels from the pixels of a band, in two threads; yields the number of rows done so far.

        A part of the file that cannot be read is left without data, and counted in ``damaged``.
        """
        waiting = iter(range(len(self.done)))
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="pyramid") as pool:
            try:
                while True:
                    for index in islice(waiting, 2 * THREADS - len(running)):
                        running.add(pool.submit(self._fill_strip, plane, index))
                    if not running:
                        return
                    finished, running = wait(running, timeout=_BEAT, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                    yield min(int(self.done.sum()) * self.strip, self.shape[0])
            finally:
                pool.shutdown(cancel_futures=True)

    def _fill_strip(self, plane: Plane, index: int) -> None:
        top = index * self.strip
        bottom = min(top + self.strip, self.shape[0])
        try:
            sums, counts = _strip_sums(plane, top, bottom, 2**self.first)
        except ImageError:
            self.damaged += 1
            self.done[index] = True
            return
        for level, array in self.arrays.items():
            if level > self.first:
                sums, counts = _pairs(sums), _pairs(counts)
            with np.errstate(invalid="ignore", divide="ignore"):
                array[top // 2**level :][: len(sums)] = sums / counts
        self.done[index] = True

    # on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: Path, identity: str) -> None:
        """Keep the levels in the cache.

        Raises
        ------
        OSError : there is no room, or the folder cannot be written
        """
        arrays = {0: np.ascontiguousarray(self.overview), **self.arrays}
        table, offset = [], _HEADER
        for level, array in arrays.items():
            table.append([level, *array.shape, offset, zlib.crc32(array.data)])
            offset += array.nbytes
        header = json.dumps({"identity": identity, "shape": self.shape, "step": self.step, "arrays": table}).encode()
        with disk_cache.writing(path, offset) as partial, partial.open("wb") as file:
            file.write((_MAGIC + header).ljust(_HEADER - 1) + b"\n")
            for array in arrays.values():
                file.write(array.data)

    @classmethod
    def load(cls, path: Path, identity: str, shape: tuple[int, int]) -> Levels:
        """Levels kept in the cache; the numbers stay on disk, and each level is checked when first used.

        Raises
        ------
        OSError, ValueError, LookupError : there are none, or they are not those of these pixels
        """
        with path.open("rb") as file:
            start = file.read(_HEADER)
        if not start.startswith(_MAGIC):
            raise ValueError("not a file of levels")
        header = json.loads(start[len(_MAGIC) :])
        if header["identity"] != identity or tuple(header["shape"]) != shape:
            raise ValueError("levels of other pixels")
        found = cls.__new__(cls)
        whole = np.memmap(path, np.uint8, "r")
        found.shape, found.step, found.arrays, found._checks, found.damaged = shape, int(header["step"]), {}, {}, 0
        for level, ny, nx, offset, check in header["arrays"]:
            numbers = whole[offset : offset + 4 * ny * nx].view(np.float32).reshape(ny, nx)
            found.arrays[level] = np.asarray(numbers)
            found._checks[level] = check
        found._check(0)
        found.overview = found.arrays.pop(0)
        found.first, top = level_range(shape)
        if {k: a.shape for k, a in found.arrays.items()} != {
            k: level_shape(shape, k) for k in range(found.first, top + 1)
        }:
            raise ValueError("levels of another make")
        found.strip, found.done = shape[0], np.ones(1, np.bool_)
        disk_cache.touch(path)
        return found

    def _check(self, level: int) -> None:
        expected = self._checks.pop(level, None)
        if expected is not None and zlib.crc32(self.arrays[level].data) != expected:
            raise ValueError(f"level {level} is damaged")


def level_shape(shape: tuple[int, int], level: int) -> tuple[int, int]:
    """(ny, nx) pixels of a level; the last row and column may stand for fewer pixels than the others."""
    return -(-shape[0] // 2**level), -(-shape[1] // 2**level)


def level_range(shape: tuple[int, int]) -> tuple[int, int]:
    """The finest and the coarsest level that are made in advance."""
    first = FIRST
    while math.prod(level_shape(shape, first)) * 4 > _LARGEST:
        first += 1
    return first, max(first, math.ceil(math.log2(max(max(shape) / _SMALLEST, 1))))


def block_sums(image: FloatArray, factor: int) -> tuple[FloatArray, FloatArray]:
    """Sums over ``factor`` by ``factor`` blocks of an image (y, x) of the pixels that are not NaN, and their number.

    Blocks at the end of an axis may be cut short.
    """
    ny, nx = image.shape
    bottom, right = -ny % factor, -nx % factor
    if bottom or right:
        image = np.pad(image, ((0, bottom), (0, right)), constant_values=np.nan)
    sums = _block_sum(image, factor)
    counts = np.full(sums.shape, factor * factor, np.float32)
    if np.isnan(sums).any():
        valid = ~np.isnan(image)
        counts = _block_sum(valid.astype(np.float32), factor)
        sums = _block_sum(np.where(valid, image, np.float32(0)), factor)
    return sums, counts


def _block_sum(image: FloatArray, factor: int) -> FloatArray:
    # Rows first, then a product with ones: adding along short runs is many times slower.
    ny, nx = image.shape
    rows = image.reshape(ny // factor, factor, nx).sum(axis=1)
    total: FloatArray = rows.reshape(ny // factor, nx // factor, factor) @ np.ones(factor, np.float32)
    return total


def _strip_sums(plane: Plane, top: int, bottom: int, factor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Block sums and counts of some whole rows of a band, read piece by piece along its tiles."""
    nx, quick = plane.shape[1], getattr(plane, "block_sums", None)
    tile = min(getattr(plane, "tile", 1), bottom - top)
    height = math.lcm(factor, tile) if math.lcm(factor, tile) <= bottom - top else bottom - top
    height *= max(1, _BLOCK // (nx * height)) if getattr(plane, "tile", 1) == 1 else 1
    wide = math.lcm(factor, min(getattr(plane, "tile_width", 1), nx))
    width = min(nx, wide * max(1, _BLOCK // (height * wide)))
    rows, columns = level_shape((bottom - top, nx), factor.bit_length() - 1)
    sums, counts = np.empty((rows, columns)), np.empty((rows, columns))
    for y in range(top, bottom, height):
        for x in range(0, nx, width):
            edges = (y, min(y + height, bottom), x, min(x + width, nx))
            added = None if quick is None else quick(*edges, factor)
            pair = block_sums(plane.read(*edges), factor) if added is None else (added, factor * factor)
            down, across = pair[0].shape
            part = np.s_[(y - top) // factor :, x // factor :]
            for whole, one in zip((sums, counts), pair, strict=True):
                whole[part][:down, :across] = one
    return sums, counts


def _pairs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over two by two blocks, which may be cut short at the end."""
    ny, nx = values.shape
    if ny % 2 or nx % 2:
        values = np.pad(values, ((0, ny % 2), (0, nx % 2)))
    total: NDArray[np.float64] = values[::2] + values[1::2]
    return total[:, ::2] + total[:, 1::2]
