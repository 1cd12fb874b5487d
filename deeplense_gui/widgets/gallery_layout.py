"""Where the stamps of a gallery go: sections of rows of equal cells, told without a loop over the candidates."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

GAP = 6
HEADING = 26


@dataclass(frozen=True, slots=True)
class GalleryLayout:
    """Cells of ``cell`` (width, height) points in a column ``width`` points wide.

    ``counts`` is how many candidates each section holds, in the order of the list; with ``headed`` each section has a
    line for its title above it. Places count from the top of the whole gallery.
    """

    counts: tuple[int, ...]
    width: int
    cell: tuple[int, int]
    headed: bool = False
    starts: tuple[int, ...] = field(init=False)
    tops: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        heights = [self._heading + self._rows(count) * self._down + GAP for count in self.counts]
        object.__setattr__(self, "starts", tuple(accumulate(self.counts, initial=0)))
        object.__setattr__(self, "tops", tuple(accumulate(heights, initial=GAP)))

    @property
    def columns(self) -> int:
        """Cells beside each other, at least one."""
        return max((self.width - GAP) // (self.cell[0] + GAP), 1)

    @property
    def count(self) -> int:
        """Candidates in all."""
        return self.starts[-1]

    @property
    def height(self) -> int:
        """Of all of it, points."""
        return self.tops[-1]

    @property
    def _down(self) -> int:
        return self.cell[1] + GAP

    @property
    def _heading(self) -> int:
        return HEADING if self.headed else 0

    def _rows(self, count: int) -> int:
        return -(-count // self.columns)

    def section(self, index: int) -> int:
        """The section of a candidate; empty ones hold none."""
        return bisect_right(self.starts, index) - 1

    def place(self, index: int) -> tuple[int, int]:
        """The left and the top of a cell."""
        section = self.section(index)
        row, column = divmod(index - self.starts[section], self.columns)
        return GAP + column * (self.cell[0] + GAP), self.tops[section] + self._heading + row * self._down

    def index_at(self, x: int, y: int) -> int | None:
        """The candidate at a point, None between the cells."""
        section = bisect_right(self.tops, y) - 1
        if not 0 <= section < len(self.counts) or x < GAP:
            return None
        column, inside = divmod(x - GAP, self.cell[0] + GAP)
        row, below = divmod(y - self.tops[section] - self._heading, self._down)
        index = row * self.columns + column
        if row < 0 or column >= self.columns or inside >= self.cell[0] or below >= self.cell[1]:
            return None
        return self.starts[section] + index if index < self.counts[section] else None

    def between(self, top: int, bottom: int) -> range:
        """The candidates whose rows meet a strip of the gallery."""
        return range(self._first_below(top, self.cell[1]), self._first_below(bottom, 0))

    def _first_below(self, y: int, reach: int) -> int:
        """The first candidate whose cell, ``reach`` points of it, ends below ``y``."""
        section = bisect_right(self.tops, y) - 1
        if section < 0:
            return 0
        if section >= len(self.counts):
            return self.count
        row = max(-(-(y - reach - self.tops[section] - self._heading + 1) // self._down), 0)
        return min(self.starts[section] + row * self.columns, self.starts[section + 1])

    def headings(self, top: int, bottom: int) -> Iterator[tuple[int, int]]:
        """Sections whose title is seen in a strip, each with the top of its title."""
        if self.headed:
            for section, y in enumerate(self.tops[:-1]):
                if y < bottom and y + HEADING > top and self.counts[section]:
                    yield section, y

    def up_or_down(self, index: int, rows: int) -> int:
        """The candidate so many rows below (above, where negative), in the same column where there is one."""
        lines = self._lines()
        section = self.section(index)
        row, column = divmod(index - self.starts[section], self.columns)
        line = min(max(lines[section] + row + rows, 0), lines[-1] - 1)
        section = bisect_right(lines, line) - 1
        inside = (line - lines[section]) * self.columns + column
        return self.starts[section] + min(inside, self.counts[section] - 1)

    def _lines(self) -> Sequence[int]:
        """The number of the first row of each section."""
        return tuple(accumulate((self._rows(count) for count in self.counts), initial=0))
