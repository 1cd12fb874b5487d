"""Stamps side by side: what a model missed, as a person sees it, with what the network looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from engine.images import scaling
from engine.train.evaluation import Evaluation
from engine.train.figures.style import ORANGE
from engine.types import FloatArray

ACROSS = 6
_LINE = 0.5  # of the largest saliency: where the line runs
_GAP, _TEXT, _HEADING = 0.08, 0.26, 0.28  # in sides of a stamp


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """One example: its ``pixels`` (scale, band, y, x), maps of saliency (scale, y, x) or None, and lines of text."""

    pixels: FloatArray
    saliency: FloatArray | None
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Stamps under titles; callable as the ``draw`` of a panel."""

    groups: Sequence[tuple[str, Sequence[Stamp]]]
    pixel_scales: tuple[float, ...]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 7.2, 7.2 * self._down() / self._across()

    def __call__(self, figure: FigureBase, runs: Sequence[Evaluation]) -> None:
        """Draw each group's title, and its stamps in rows with all pixel scales of one below each other.

        All stamps share one pair of axes, in units of their side: axes of their own would take seconds.
        """
        axes, down = figure.subplots(), 0.0
        for title, stamps in self.groups:
            axes.text(0, down + 0.6 * _HEADING, title, fontsize=7.5, fontweight="bold", va="center")
            down += _HEADING
            for first in range(0, len(stamps), ACROSS):
                for column, stamp in enumerate(stamps[first : first + ACROSS]):
                    self._draw(axes, stamp, column * (1 + _GAP), down)
                down += self._row()
        axes.set(xlim=(0, self._across()), ylim=(self._down(), 0), aspect="equal")
        axes.set_axis_off()

    def _draw(self, axes: Axes, stamp: Stamp, x: float, y: float) -> None:
        axes.text(x + 0.5, y + 0.9 * _TEXT, stamp.text, fontsize=6, linespacing=1.2, ha="center", va="bottom")
        for row, plane in enumerate(stamp.pixels):
            top = y + _TEXT + row * (1 + _GAP / 2)
            # The first row of a stamp is its lowest, as on the sky.
            axes.imshow(picture(plane)[::-1], extent=(x, x + 1, top + 1, top), cmap="gray", vmin=0, vmax=255)
            if stamp.saliency is not None and stamp.saliency[row].max() > _LINE:
                side = (np.arange(plane.shape[-1]) + 0.5) / plane.shape[-1]
                axes.contour(x + side, top + 1 - side, stamp.saliency[row], [_LINE], colors=ORANGE, linewidths=0.8)

    def _row(self) -> float:
        return _TEXT + len(self.pixel_scales) * (1 + _GAP / 2) + _GAP

    def _across(self) -> float:
        return ACROSS * (1 + _GAP) - _GAP

    def _down(self) -> float:
        return sum(_HEADING + -(-len(stamps) // ACROSS) * self._row() for _, stamps in self.groups)


def picture(bands: FloatArray) -> NDArray[np.uint8]:
    """Bands (band, y, x) as a person sees them: three in colour, blue first as surveys list them; else one in grey."""
    if len(bands) >= 3:
        blue, green, red = bands[:3]
        noises = [scaling.background(band)[1] for band in (red, green, blue)]
        red_gain, green_gain, blue_gain = (1 / noise if noise > 0 else 1.0 for noise in noises)
        return scaling.lupton_rgb(red, green, blue, alpha=0.08, weights=(red_gain, green_gain, blue_gain))
    sky, noise = scaling.background(bands[0])
    if not np.isfinite(sky):
        return np.full(bands[0].shape, 64, np.uint8)
    high = max(float(np.nanpercentile(bands[0], 99.7)), sky + 12 * noise)
    low = sky - noise if noise > 0 else float(np.nanmin(bands[0]))
    return scaling.as_bytes(scaling.stretch(bands[0], "asinh", (low, high), softening=0.3, missing=0.25))
