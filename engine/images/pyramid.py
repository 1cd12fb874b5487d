"""Tiles of a mosaic at every zoom: level n has pixels of 2**n by 2**n of the mosaic's own, each their mean."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.images import disk_cache
from engine.images.levels import FIRST, Levels, block_sums, level_shape
from engine.images.planes import Stored
from engine.types import FloatArray, Mosaic, Step

_STRIP = 1 << 20  # pixels read at a time
_WORTH_KEEPING = 1 << 23  # pixels of a mosaic above which its levels go to the disk; others are made in no time


class Pyramid:
    """Tiles of block means; may be used from any thread.

    ``tile`` makes a tile from the pixels when it is asked for, and keeps it in memory within bounds. ``build`` makes
    all coarse levels of a band at once and keeps them on disk, also for the next opening of the same file: from then
    on their tiles are immediate.

    ``levels`` counts the levels; the last fits into one tile. A tile is ``tile_size`` pixels wide, less at the right
    and upper edges of the mosaic.
    """

    def __init__(self, mosaic: Mosaic, *, tile_size: int = 512, cache_bytes: int = 128 * 2**20) -> None:
        self.mosaic, self.tile_size = mosaic, tile_size
        self.levels = max(1, math.ceil(math.log2(max(mosaic.shape) / tile_size)) + 1)
        self._cache_bytes = cache_bytes
        self._used = 0
        self._tiles: OrderedDict[tuple[int, int, int, int], FloatArray] = OrderedDict()
        self._built: dict[int, Levels | None] = {}
        self._overviews: dict[tuple[int, int], tuple[FloatArray, int]] = {}
        self._lock = threading.Lock()

    def shape(self, level: int) -> tuple[int, int]:
        """(ny, nx) pixels of a level; the last row and column may stand for fewer pixels than the others."""
        return level_shape(self.mosaic.shape, level)

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
        y0, y1, x0, x1 = self._edges(level, row, column)
        built = self._from_levels(level, y0, y1, x0, x1, band)
        if built is not None:
            return built
        values = self._direct(level, y0, y1, x0, x1, band) if level <= FIRST else self._from_tiles(key)
        values.flags.writeable = False
        self._keep(key, values)
        return values

    def at_hand(self, level: int, row: int, column: int, band: int) -> bool:
        """Whether a tile is made already, so that ``tile`` returns at once."""
        with self._lock:
            if (level, row, column, band) in self._tiles:
                return True
        return self._from_levels(level, *self._edges(level, row, column), band) is not None

    def overview(self, band: int, longest: int = 768) -> tuple[FloatArray, int]:
        """A first picture of a band, and the step it was taken with: every step-th pixel, from the cache if it can be.

        Where only whole tiles can be unpacked, pixels come from the first row of each; rows in between repeat it.
        ``longest`` is about the pixels of the longer side.
        """
        levels = self._levels(band)
        if levels is not None:
            return levels.overview, levels.step
        if (band, longest) not in self._overviews:
            ny, nx = self.mosaic.shape
            step = max(1, math.ceil(max(ny, nx) / longest))
            glance = getattr(self.mosaic.planes[band], "glance", None)
            read = (lambda: glance(step)) if glance else lambda: self.mosaic.planes[band].read(0, ny, 0, nx, step)
            self._overviews[band, longest] = read(), step
        return self._overviews[band, longest]

    def ready(self, band: int) -> bool:
        """Whether the coarse levels of a band are made, in this program or an earlier one."""
        levels = self._levels(band)
        return levels is not None and bool(levels.done.all())

    def build(self, bands: Sequence[int] | None = None) -> Iterator[Step]:
        """Make the coarse levels of some bands, all of them by default; a job of rows, in two threads.

        Tiles of what is done can be had while it runs. The items of a step are the bands that became ready.
        """
        chosen = range(len(self.mosaic.bands)) if bands is None else bands
        ny = self.mosaic.shape[0]
        total = ny * len(chosen)
        for index, band in enumerate(chosen):
            note = f"Averaging {self.mosaic.bands[band]}"
            if not self.ready(band):
                levels = Levels(self.mosaic.shape, *self.overview(band))
                self._built[band] = levels
                plane = self.mosaic.planes[band]
                passing = getattr(plane, "passing", None)
                try:
                    for done in levels.fill(passing() if passing else plane):
                        yield Step(index * ny + done, total, note=note)
                finally:
                    if not levels.done.all():
                        self._built.pop(band, None)
                if levels.damaged:
                    note = f"Part of {self.mosaic.bands[band]} cannot be read: the file is damaged"
                else:
                    self._save(band, levels)
            yield Step((index + 1) * ny, total, (band,), note)

    def _edges(self, level: int, row: int, column: int) -> tuple[int, int, int, int]:
        ny, nx = self.shape(max(level, 0))
        y0, x0 = row * self.tile_size, column * self.tile_size
        if not (0 <= level < self.levels and 0 <= y0 < ny and 0 <= x0 < nx):
            raise IndexError(f"no tile {row}, {column} at level {level}")
        return y0, min(y0 + self.tile_size, ny), x0, min(x0 + self.tile_size, nx)

    # levels made in advance ---------------------------------------------------------------------------------------

    def _levels(self, band: int) -> Levels | None:
        """The coarse levels of a band as far as they are made, or those kept on disk."""
        if band not in self._built:
            levels = None
            kept = self._entry(band)
            if kept is not None:
                with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # none, or not to be used
                    levels = Levels.load(*kept, self.mosaic.shape)
            self._built.setdefault(band, levels)
        return self._built[band]

    def _from_levels(self, level: int, y0: int, y1: int, x0: int, x1: int, band: int) -> FloatArray | None:
        if level < FIRST:
            return None
        levels = self._levels(band)
        try:
            found = None if levels is None else levels.region(level, y0, y1, x0, x1)
        except ValueError:  # damaged on the disk: made from the pixels from here on
            self._built[band] = None
            return None
        if found is not None:
            found = found.view()
            found.flags.writeable = False
        return found

    def _entry(self, band: int) -> tuple[Path, str] | None:
        """Where the levels of a band are kept, and what they are made from; None where they are not."""
        plane = self.mosaic.planes[band]
        if math.prod(self.mosaic.shape) < _WORTH_KEEPING or not isinstance(plane, Stored):
            return None
        try:
            identity = plane.identity
        except OSError:  # the file is gone
            return None
        return disk_cache.entry(identity, ".levels"), identity

    def _save(self, band: int, levels: Levels) -> None:
        """Move levels from memory to the disk; where that cannot be written they stay in memory."""
        kept = self._entry(band)
        if kept is not None:
            with contextlib.suppress(OSError, ValueError, LookupError):
                levels.save(*kept)
                self._built[band] = Levels.load(*kept, self.mosaic.shape)

    # tiles made when asked for ------------------------------------------------------------------------------------

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
        """A tile from the four below it: where these lack data in part, an estimate until the levels are built."""
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
    sums, counts = block_sums(image, factor)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = sums / counts
    return mean
