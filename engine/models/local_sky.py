"""What a dense network sees of a region of a mosaic: channels that depend on the pixels nearby alone.

Sky and noise are those of cells of a grid that is fixed on the sky of the mosaic, so that a pixel looks the same in
whatever tile it is seen. Like the channels of a stamp (engine.models.preprocess), these are blind to the zero point
and zero where there are no data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.types import FloatArray

CHANNELS = ("stretch", "detail")
CELL = 64
"""Side of a cell of the grid of sky and noise, pixels of the model."""

REACH = 3 * CELL
"""How far the value of a pixel depends on others: a region is exact so far from its border (pixels)."""

_STEP = 2  # every second row and column is enough for the sky of a cell
_FEWEST = 64  # of those pixels with data, that tell the sky of a cell
_PIECE, _ROWS = 1 << 15, 32  # pixels and rows at a time, so that they stay in the processor's cache
_SMOOTH = 9  # pixels, the width of the running mean: wider than an arc, narrower than a galaxy's halo
_FRACTIONAL_ERROR = 0.08  # of the smooth light, as in the residual of a stamp


def prepare_region(pixels: FloatArray, channels: Sequence[str] = CHANNELS) -> FloatArray:
    """Turn a region into the channels of a dense network; several bands are first added in units of their noise.

    Parameters
    ----------
    pixels : (band, ny, nx), NaN where there are no data; the region begins at a corner of the grid of cells
    channels : of "stretch" (asinh of the sky-subtracted light in units of the noise) and "detail" (the same minus its
        running mean, in units of the noise and of a fraction of that mean: what an arc is beside a bright galaxy)

    Returns
    -------
    (channel, ny, nx) float32, zero where there are no data

    Raises
    ------
    ModelError
        for an unknown channel
    """
    unknown = [name for name in channels if name not in CHANNELS]
    if unknown:
        raise ModelError(f"The model asks for the unknown channel {unknown[0]!r}; known are {', '.join(CHANNELS)}.")
    signal, seen = _together(pixels)
    out = np.empty((len(channels), *signal.shape), np.float32)
    for made, name in zip(out, channels, strict=True):
        if name == "stretch":
            np.multiply(signal, np.float32(0.5), out=made)
        else:
            smooth = _running_mean(signal)
            np.subtract(signal, smooth, out=made)
            np.maximum(smooth, 0, out=smooth)
            smooth *= np.float32(_FRACTIONAL_ERROR)
            made /= _hypotenuse(smooth)
        _compress(made)
        made *= seen
    return out


def _running_mean(image: FloatArray) -> FloatArray:
    """The mean of ``_SMOOTH`` by ``_SMOOTH`` pixels around each, zero beyond the edges.

    Each is the sum of the same pixels in the same order, wherever it lies: no running total carries what is far away.
    """
    reach, out = _SMOOTH // 2, np.empty_like(image)
    padded = np.pad(image, reach)
    for top in range(0, len(image), _ROWS):
        rows = _sums(padded[top : top + _ROWS + 2 * reach])
        np.multiply(_sums(rows.T).T, np.float32(1 / _SMOOTH**2), out=out[top : top + _ROWS])
    return out


def _sums(values: FloatArray) -> FloatArray:
    """The sums of each ``_SMOOTH`` = 9 neighbours along axis 0, in four additions."""
    two = values[:-1] + values[1:]
    four = two[:-2] + two[2:]
    eight = four[:-4] + four[4:]
    nine: FloatArray = eight[:-1] + values[8:]
    return nine


def _hypotenuse(values: FloatArray) -> FloatArray:
    """The square root of 1 + values**2, in place: numpy's hypot takes five times as long."""
    np.square(values, out=values)
    values += 1
    return np.sqrt(values, out=values)


def _compress(values: FloatArray) -> None:
    """Put the inverse hyperbolic sine in the place of values; numpy's takes five times as long."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        part = flat[start : start + _PIECE]
        size = np.abs(part)
        np.copysign(np.log(size + _hypotenuse(size.copy()), out=size), part, out=part)


def _together(pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The bands added in units of their noise so that the sum has noise 1, zero where none has data; 0.5 where any has.

    Both (ny, nx); the half brings the channels to the order of one.
    """
    signal, seen = np.zeros(pixels.shape[1:], np.float32), np.zeros(pixels.shape[1:], np.float32)
    for band in pixels:
        normalised = normalise(band)
        valid = np.isfinite(normalised)
        if not valid.all():
            normalised[~valid] = 0
        signal += normalised
        seen += valid
    if len(pixels) > 1:
        signal /= np.sqrt(np.maximum(seen, 1))
    return signal, np.minimum(seen, np.float32(0.5))


def normalise(band: FloatArray) -> FloatArray:
    """A band (ny, nx) minus its local sky in units of its local noise; NaN where that cannot be told."""
    every = np.ascontiguousarray(band[::_STEP, ::_STEP])
    side = CELL // _STEP
    rows, columns = (-(-length // side) for length in every.shape)
    padded = np.full((rows * side, columns * side), np.nan, np.float32)
    padded[: every.shape[0], : every.shape[1]] = every
    cells = padded.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows, columns, side**2)
    sky, noise = (_interpolated(_typical(grid), band.shape) for grid in _sky_and_noise(cells))
    with np.errstate(invalid="ignore"):
        signal = np.subtract(band, sky, out=sky)
        signal /= noise
        return np.asarray(np.clip(signal, -50, 1e5, out=signal))


def _sky_and_noise(cells: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sky and noise (rows, columns) of cells (rows, columns, pixel); NaN where too few pixels have data.

    The sky is the median of what lies within three sigma above the median, the noise the scatter below the sky:
    galaxies hardly count in either.
    """
    ordered = np.sort(cells, -1)  # puts NaN last
    count = np.isfinite(ordered).sum(-1)

    def rank(position: NDArray[np.float64]) -> FloatArray:
        index = np.clip(position, 0, np.maximum(count - 1, 0)).astype(np.int64)
        return np.take_along_axis(ordered, index[..., None], -1)[..., 0]

    middle = rank(0.5 * (count - 1))
    deviation = middle - rank(0.1587 * (count - 1))
    with np.errstate(invalid="ignore"):
        kept = (ordered < (middle + 3 * deviation)[..., None]).sum(-1)
        sky = rank(0.5 * np.maximum(kept - 1, 0))
        below = (ordered < sky[..., None]).sum(-1)
    noise = sky - rank(0.3173 * below)
    told = (count >= _FEWEST) & (noise > 0)
    return np.where(told, sky, np.float32(np.nan)), np.where(told, noise, np.float32(np.nan))


def _typical(grid: FloatArray) -> FloatArray:
    """The median of each cell and its eight neighbours, of those that are known."""
    around = np.pad(grid, 1, constant_values=np.nan)
    nine = np.sort(sliding_window_view(around, (3, 3)).reshape(*grid.shape, 9), -1)
    middle = np.maximum(np.isfinite(nine).sum(-1) - 1, 0) // 2
    return np.take_along_axis(nine, middle[..., None], -1)[..., 0]


def _interpolated(grid: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Values at the middles of cells, linearly interpolated to pixels; a cell without a value takes no part."""
    known = np.isfinite(grid)
    weights = [_axis(cells, length) for cells, length in zip(grid.shape, shape, strict=True)]
    total = weights[0] @ np.where(known, grid, np.float32(0)) @ weights[1].T
    if known.all():
        return total
    weight = weights[0] @ known.astype(np.float32) @ weights[1].T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 0, total / weight, np.float32(np.nan))


def _axis(cells: int, length: int) -> FloatArray:
    """Weights (length, cells) of linear interpolation between the middles of cells, constant beyond the last."""
    position = np.clip((np.arange(length) - (CELL - 1) / 2) / CELL, 0, cells - 1)
    low = np.minimum(position.astype(int), max(cells - 2, 0))
    out = np.zeros((length, cells), np.float32)
    rows = np.arange(length)
    out[rows, low] = 1 - (position - low)
    if cells > 1:
        out[rows, low + 1] = position - low
    return out
