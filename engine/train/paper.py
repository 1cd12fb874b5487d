"""A report on paper: pages of A4 with words, tables and figures, for a PDF."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from engine.train.evaluation import Evaluation
from engine.train.figures import Panel
from engine.train.figures.style import INK, figure_style

_WIDTH, _HEIGHT = 8.27, 11.69  # inches
_MARGIN = 0.6
_EDGE = 0.35
_ROW = (_HEIGHT - 2 * _EDGE) / 3  # of two figures side by side
_FAINT = "#656d76"
_LETTER = 0.56  # mean width of a letter by its height
_WIDEST = 46  # letters of a column, before it is wrapped


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; a cell's lines below the first are set small."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What a report says: its title, the sentences under it, tables, figures of ``runs``, and tables at the end."""

    title: str
    lead: Sequence[str]
    tables: Sequence[Table]
    runs: Sequence[Evaluation]
    panels: Sequence[Panel]
    appendix: Sequence[Table] = ()


def pages(page: Page) -> Iterator[Figure]:
    """The sheets of a report, in order: words and tables, figures, the tables at the end."""
    words = _Sheets()
    words.write(page.title, 15, weight="bold")
    for sentence in (*page.lead, f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."):
        words.write(sentence, 8.5)
    for table in page.tables:
        words.tabulate(table)
    yield from words.sheets
    yield from _figures(page)
    words = _Sheets()
    for table in page.appendix:
        words.tabulate(table)
    if page.appendix:
        yield from words.sheets


@dataclass(slots=True)
class _Sheets:
    """Sheets of words, and how far down the last one is written, in inches."""

    sheets: list[Figure] = field(default_factory=lambda: [Figure(figsize=(_WIDTH, _HEIGHT))])
    down: float = _MARGIN

    def write(self, text: str, size: float, *, colour: str = INK, weight: str = "normal", gap: float = 0.05) -> None:
        """A paragraph."""
        lines = textwrap.wrap(text, int((_WIDTH - 2 * _MARGIN) * 72 / (size * _LETTER)))
        self._room(len(lines) * _line(size))
        for line in lines:
            self._put(_MARGIN, self.down, line, size, colour, weight)
            self.down += _line(size)
        self.down += gap

    def tabulate(self, table: Table) -> None:
        """A table; where a sheet is full it goes on on the next."""
        columns = [[_wrapped(row[k]) for row in (table.header, *table.rows)] for k in range(len(table.header))]
        letters = [max(len(line) for cell in column for line in cell) + 2 for column in columns]
        size = min(8.0, (_WIDTH - 2 * _MARGIN) * 72 / (sum(letters) * _LETTER))
        places = [_MARGIN + sum(letters[:k]) * size * _LETTER / 72 for k in range(len(letters))]
        self.down += 0.16
        self._room(1.0)
        self.write(table.title, 10.5, weight="bold")
        for number, cells in enumerate(zip(*columns, strict=True)):
            height = max(len(cell) for cell in cells) * _line(size) + 0.05
            self._room(height)
            for x, cell in zip(places, cells, strict=True):
                for k, line in enumerate(cell):
                    colour = _FAINT if k or not number else INK
                    self._put(x, self.down + k * _line(size), line, size, colour, "normal")
            self.down += height
            end = 1 - _MARGIN / _WIDTH
            y = 1 - (self.down - 0.03) / _HEIGHT
            self.sheets[-1].add_artist(Line2D([_MARGIN / _WIDTH, end], [y, y], color="#d0d7de", linewidth=0.5))
        if table.note:
            self.write(table.note, 7, colour=_FAINT)

    def _room(self, height: float) -> None:
        if self.down + height > _HEIGHT - _MARGIN:
            self.sheets.append(Figure(figsize=(_WIDTH, _HEIGHT)))
            self.down = _MARGIN

    def _put(self, x: float, down: float, text: str, size: float, colour: str, weight: str) -> None:
        self.sheets[-1].text(
            x / _WIDTH, 1 - down / _HEIGHT, text, fontsize=size, color=colour, fontweight=weight, va="top"
        )


def _line(size: float) -> float:
    """Inches from line to line."""
    return size * 1.38 / 72


def _wrapped(text: str) -> list[str]:
    return [part for line in text.split("\n") for part in textwrap.wrap(line, _WIDEST) or [""]]


def _figures(page: Page) -> Iterator[Figure]:
    """Figures two in a row, the wide ones alone, as many rows on a sheet as fit."""
    rows: list[list[Panel]] = []
    for panel in page.panels:
        if panel.wide or not rows or rows[-1][0].wide or len(rows[-1]) == 2:
            rows.append([])
        rows[-1].append(panel)
    while rows:
        taken: list[list[Panel]] = []
        room = _HEIGHT - 2 * _EDGE
        while rows and (not taken or _height(rows[0]) <= room + 1e-6):
            room -= _height(rows[0])
            taken.append(rows.pop(0))
        with figure_style():
            figure = Figure(figsize=(_WIDTH, _HEIGHT))
            heights = [_height(row) for row in taken] + [room + _EDGE]  # what is left stays empty
            margins = [_EDGE, _WIDTH - 2 * _EDGE, _EDGE]
            bands = figure.subfigures(
                len(heights) + 1, 3, height_ratios=[_EDGE, *heights], width_ratios=margins, squeeze=False
            )[1:, 1]
            for band, row in zip(bands, taken, strict=False):
                cells = band.subfigures(1, 1 if row[0].wide else 2, squeeze=False).ravel()
                for cell, panel in zip(cells, row, strict=False):
                    cell.suptitle(panel.title, x=0.03, ha="left", fontsize=10, fontweight="bold")
                    caption = textwrap.fill(panel.caption, 125 if panel.wide else 62)
                    cell.supxlabel(caption, x=0.03, ha="left", fontsize=6.5, color=_FAINT)
                    panel.draw(cell, page.runs)
        yield figure


def _height(row: Sequence[Panel]) -> float:
    """Inches of a row."""
    if not row[0].wide:
        return _ROW
    return min(row[0].size[1] * (_WIDTH - 2 * _EDGE) / row[0].size[0] + 0.45, _HEIGHT - 2 * _EDGE)
