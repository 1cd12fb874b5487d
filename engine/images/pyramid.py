"""Tiles of a mosaic at every zoom: level n has pixels of 2**n by 2**n of the mosaic's own, each their mean."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import numpy as np

from engine.types import FloatArray, Mosaic

_DIRECT = 3  # levels up to this are made from the pixels, higher ones from tiles of this level, which stay cached
_STRIP = 1 << 20  # pixels read at a time


class Pyramid:
    """Tiles of block means, made when asked for and kept in memory within bounds; may be used from any thread.

    ``levels`` counts the levels; the last fits into one tile. A tile is ``tile_size`` pixels wide, less at the right
    and upper edges of the mosaic.
    """

    def __init__(self, mosaic: Mosaic, *, tile_size: int = 512, cache_bytes: int = 128 * 2**20) -> None:
        self.mosaic, self.tile_size = mosaic, tile_size
        self.levels = max(1, math.ceil(math.log2(max(mosaic.shape) / tile_size)) + 1)
        self._cache_bytes = cache_bytes
        self._used = 0
        self._tiles: OrderedDict[tuple[int, int, int, int], FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    def shape(self, level: int) -> tuple[int, int]:
        """(ny, nx) pixels of a level; the last row and column may stand for fewer pixels than the others."""
        ny, nx = self.mosaic.shape
        return -(-ny // 2**level), -(-nx // 2**level)

    def tile(self, level: int, row: int, column: int, band: int) -> FloatArray:
        """Pixels of a tile (y, x), read-only: means of the pixels that have data, NaN where none has.

        Raises
        ------
        IndexError : there is no such tile
        ImageError : the file is damaged there
        """
        key = (level, row, column, band)
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
        ny, nx = self.shape(level)
        y0, x0 = row * self.tile_size, column * self.tile_size
        if not (0 <= level < self.levels and 0 <= y0 < ny and 0 <= x0 < nx):
            raise IndexError(f"no tile {row}, {column} at level {level}")
        y1, x1 = min(y0 + self.tile_size, ny), min(x0 + self.tile_size, nx)
        values = self._direct(level, y0, y1, x0, x1, band) if level <= _DIRECT else self._from_tiles(key)
        values.flags.writeable = False
        self._keep(key, values)
        return values

    def _direct(self, level: int, y0: int, y1: int, x0: int, x1: int, band: int) -> FloatArray:
        """A region of a level from the pixels themselves, strip by strip."""
        factor = 2**level
        ny, nx = self.mosaic.shape
        left, right = x0 * factor, min(x1 * factor, nx)
        rows = max(1, _STRIP // ((x1 - x0) * factor * factor))
        out = np.empty((y1 - y0, x1 - x0), np.float32)
        for y in range(y0, y1, rows):
            end = min(y + rows, y1)
            strip = self.mosaic.planes[band].read(y * factor, min(end * factor, ny), left, right)
            out[y - y0 : end - y0] = block_mean(strip, factor)
        return out

    def _from_tiles(self, key: tuple[int, int, int, int]) -> FloatArray:
        """A tile from the four below it."""
        level, row, column, band = key
        ny, nx = self.shape(level - 1)
        rows = [r for r in (2 * row, 2 * row + 1) if r * self.tile_size < ny]
        columns = [c for c in (2 * column, 2 * column + 1) if c * self.tile_size < nx]
        below = np.block([[self.tile(level - 1, r, c, band) for c in columns] for r in rows])
        return block_mean(below, 2)

    def _keep(self, key: tuple[int, int, int, int], values: FloatArray) -> None:
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = values
                self._used += values.nbytes
            while self._used > self._cache_bytes and len(self._tiles) > 1:
                self._used -= self._tiles.popitem(last=False)[1].nbytes


def block_mean(image: FloatArray, factor: int) -> FloatArray:
    """Means of ``factor`` by ``factor`` blocks of an image (y, x), of the pixels that are not NaN.

    Blocks at the end of an axis may be cut short; blocks without data are NaN.
    """
    if factor == 1:
        return image
    ny, nx = image.shape
    bottom, right = -ny % factor, -nx % factor
    if bottom or right:
        image = np.pad(image, ((0, bottom), (0, right)), constant_values=np.nan)
    mean = _block_sum(image, factor) / np.float32(factor * factor)
    if np.isnan(mean).any():
        valid = ~np.isnan(image)
        counts = _block_sum(valid.astype(np.float32), factor)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = _block_sum(np.where(valid, image, np.float32(0)), factor) / counts
    return mean


def _block_sum(image: FloatArray, factor: int) -> FloatArray:
    # Rows first: adding whole rows is many times faster than adding along short runs.
    ny, nx = image.shape
    rows = image.reshape(ny // factor, factor, nx).sum(axis=1)
    total: FloatArray = rows.reshape(ny // factor, nx // factor, factor).sum(axis=2)
    return total
