"""What bands stored in tiles share: which tiles a region touches, and unpacked ones kept for the next region."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator

from engine.types import FloatArray


class KeptTiles:
    """Unpacked tiles within a bound of bytes, the least recently used dropped first; any thread may ask."""

    def __init__(self, bound: int) -> None:
        self.bound, self.used = bound, 0
        self.tiles: OrderedDict[Hashable, FloatArray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], FloatArray]) -> FloatArray:
        """The tile of a key, made where it is not there; several threads make tiles at once."""
        with self._lock:
            if key in self.tiles:
                self.tiles.move_to_end(key)
                return self.tiles[key]
        made = make()
        with self._lock:
            if key not in self.tiles:
                self.tiles[key] = made
                self.used += made.nbytes
            while self.used > self.bound and len(self.tiles) > 1:
                self.used -= self.tiles.popitem(last=False)[1].nbytes
        return made


def touched(start: int, stop: int, step: int, side: int) -> Iterator[tuple[int, slice, slice]]:
    """Along one axis, the tiles of length ``side`` that hold any of ``range(start, stop, step)``.

    Yields the number of a tile, which part of that range lies in it, and where, counted from the tile's first pixel.
    """
    for number in range(start // side, (stop - 1) // side + 1):
        low = number * side
        first = max(0, -(-(low - start) // step))
        last = -(-(min(stop, low + side) - start) // step)
        if first < last:
            inner = start + first * step - low
            yield number, slice(first, last), slice(inner, inner + (last - first - 1) * step + 1, step)
