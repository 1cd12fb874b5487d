"""Stamps side by side: what a model missed, as a person sees it, with what the network looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from engine.images import scaling
from engine.train.evaluation import Evaluation
from engine.train.figures.style import ORANGE
from engine.types import FloatArray

ACROSS = 6
_LINE = 0.5  # of the largest saliency: where the line runs


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
        rows = sum(-(-len(stamps) // ACROSS) for _, stamps in self.groups)
        return 7.2, rows * (1.16 * len(self.pixel_scales) + 0.42) + 0.34 * len(self.groups)

    def __call__(self, figure: FigureBase, runs: Sequence[Evaluation]) -> None:
        """Draw each group's title, and its stamps in rows with all pixel scales of one below each other."""
        rows = [
            (title if first == 0 else "", stamps[first : first + ACROSS])
            for title, stamps in self.groups
            for first in range(0, len(stamps), ACROSS)
        ]
        bands = np.atleast_1d(np.asarray(figure.subfigures(len(rows), 1, squeeze=False))).ravel()
        for band, (title, stamps) in zip(bands, rows, strict=True):
            if title:
                band.suptitle(title, x=0.01, ha="left", fontsize=7.5, fontweight="bold")
            grid = band.subplots(len(self.pixel_scales), ACROSS, squeeze=False)
            for axes in grid.ravel():
                axes.set_axis_off()
            for column, stamp in enumerate(stamps):
                grid[0, column].set_title(stamp.text, fontsize=6.5, linespacing=1.25)
                for row, plane in enumerate(stamp.pixels):
                    axes = grid[row, column]
                    axes.imshow(picture(plane), origin="lower", cmap="gray", vmin=0, vmax=255)
                    if stamp.saliency is not None and stamp.saliency[row].max() > _LINE:
                        axes.contour(stamp.saliency[row], [_LINE], colors=ORANGE, linewidths=0.7)


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
