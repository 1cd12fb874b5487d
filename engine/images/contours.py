"""Contours of a band, in units of its noise, for drawing over another; and the outline of where there are data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.images import scaling
from engine.types import FloatArray, Positions

if TYPE_CHECKING:  # the window starts without astropy, which the pyramid's planes import
    from engine.images.pyramid import Pyramid

_BLOCK = 256  # pixels traced in one call: the tracer holds the interpreter, and the window must not wait for it
_SHORTEST = 8  # points; shorter closed curves are single peaks of the noise


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """All curves of one level, ``sigma`` times the noise above the sky; each ``paths`` (n, 2) in pixels."""

    sigma: float
    value: float
    paths: tuple[Positions, ...]


def contours(
    pyramid: Pyramid,
    band: int,
    box: tuple[float, float, float, float],
    level: int,
    *,
    sigmas: Sequence[float] = (3, 5, 10, 20, 50),
    smoothing: float = 1.5,
) -> tuple[Contour, ...]:
    """Curves of equal brightness of a band within a box, traced on a level of the pyramid.

    Parameters
    ----------
    box : x0, x1, y0, y1, pixels of the mosaic
    level : of the pyramid; pixels of 2**level
    sigmas : heights above the sky, in units of the noise of the smoothed band in this box
    smoothing : sigma of the Gaussian it is smoothed with first, pixels of the level; 0 for none

    Returns
    -------
    A Contour for each of ``sigmas``, with no curves where nothing is that bright or there is no noise to count in.
    """
    image, x0, y0 = _assemble(pyramid, band, box, level)
    if smoothing:
        image = _smoothed(image, smoothing)
    sky, noise = scaling.background(image)
    side = 2.0**level
    shift = np.array([x0, y0]) * side + (side - 1) / 2
    found = []
    for sigma in sorted(sigmas):
        value = sky + sigma * noise
        paths = _trace(image, value) if np.isfinite(value) and noise > 0 else []
        kept = [path for path in paths if len(path) >= _SHORTEST or sigma >= 10]
        found.append(Contour(float(sigma), float(value), tuple(path * side + shift for path in kept)))
    return tuple(found)


def data_outline(values: FloatArray, step: float) -> tuple[Positions, ...]:
    """Curves around the pixels that have data, (n, 2) pixels of the mosaic; ``values`` is every ``step``-th pixel."""
    ny, nx = values.shape
    mask = np.zeros((ny + 2, nx + 2), np.float32)
    mask[1:-1, 1:-1] = np.isfinite(values)
    return tuple((path - 1) * step for path in _trace(mask, 0.5))


def _assemble(
    pyramid: Pyramid, band: int, box: tuple[float, float, float, float], level: int
) -> tuple[FloatArray, int, int]:
    """A region of a level (y, x), from its tiles, and its first column and row."""
    ny, nx = pyramid.shape(level)
    side, size = 2**level, pyramid.tile_size
    x0, x1 = (int(np.clip(edge // side, 0, nx - 1)) for edge in box[:2])
    y0, y1 = (int(np.clip(edge // side, 0, ny - 1)) for edge in box[2:])
    rows, columns = range(y0 // size, y1 // size + 1), range(x0 // size, x1 // size + 1)
    tiles = np.block([[pyramid.tile(level, row, column, band) for column in columns] for row in rows])
    top, left = rows[0] * size, columns[0] * size
    return tiles[y0 - top : y1 - top + 1, x0 - left : x1 - left + 1], x0, y0


def _smoothed(image: FloatArray, sigma: float) -> FloatArray:
    """A Gaussian mean of the pixels that have data, NaN where none was."""
    from scipy.ndimage import gaussian_filter

    valid = np.isfinite(image)
    total = gaussian_filter(np.where(valid, image, np.float32(0)), sigma, mode="nearest")
    weight = gaussian_filter(valid.astype(np.float32), sigma, mode="nearest")
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth: FloatArray = np.where(valid, total / weight, np.float32(np.nan))
    return smooth


def _trace(image: NDArray[np.float32], value: float) -> list[Positions]:
    """Curves at a value, block by block; (n, 2) pixels of the image."""
    from contourpy import contour_generator

    ny, nx = image.shape
    paths: list[Positions] = []
    for y in range(0, max(ny - 1, 0), _BLOCK):
        for x in range(0, max(nx - 1, 0), _BLOCK):
            block = np.ma.masked_invalid(image[y : y + _BLOCK + 1, x : x + _BLOCK + 1])
            if block.count() and block.min() < value < block.max():
                traced = contour_generator(z=block, name="serial", line_type="Separate").lines(value)
                corner = np.array([x, y], np.float64)
                paths += [np.asarray(path, np.float64) + corner for path in traced]
    return paths
