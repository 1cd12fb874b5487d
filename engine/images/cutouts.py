"""Square pixels around positions, resampled to the pixel scales a model expects.

A grid of output pixels and the grid of the mosaic are aligned, so resampling is separable: each axis has a few
weights an output pixel. Coarser output takes the exact mean over the footprint of a pixel (no aliasing), finer
output the cubic convolution of Keys (1981, IEEE Trans. ASSP 29, 1153; a = -1/2). Surface brightness is kept: values
are per pixel of the mosaic, averaged, not summed.

The weights of a whole batch form one block-diagonal sparse matrix, so that no Python runs for a single stamp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import csr_array

from engine.errors import ImageError
from engine.types import Cutouts, FloatArray, Mosaic, Positions

_CELL = 1024  # mosaic pixels; positions within one cell share a read
_WINDOW_VALUES = 2_000_000  # values gathered at a time, about what the processor's cache holds
_WIDEST = 8192  # mosaic pixels across one stamp; beyond, the pixel scale is surely wrong
_MEMORY = 64_000_000  # values of one read of the mosaic

_Integers = NDArray[np.int64]
_Doubles = NDArray[np.float64]


def cut(
    mosaic: Mosaic,
    positions: Positions,
    *,
    size: int,
    pixel_scales: Sequence[float],
    bands: tuple[int, ...] | None = None,
) -> Cutouts:
    """Cut square stamps around pixel positions of a mosaic, at one or more pixel scales.

    Parameters
    ----------
    positions : (n, 2) pixels (x, y), counted from 0 at the centre of the first pixel; the centre of each stamp, which
        is pixel ``(size - 1) / 2`` of the output (between two pixels when ``size`` is even)
    size : stamp side, pixels of the output
    pixel_scales : output pixel scales, arcsec. Without a scale of the mosaic its pixel counts as ``pixel_scales[0]``.
    bands : indices of the bands, all of them by default

    Returns
    -------
    Cutouts of shape (n, scale, band, size, size), float32; NaN where the mosaic has no data.

    Raises
    ------
    ImageError : a stamp would span more than 8192 pixels of the mosaic
    """
    xy = np.asarray(positions, np.float64).reshape(-1, 2)
    chosen = tuple(range(len(mosaic.planes))) if bands is None else tuple(bands)
    native = pixel_scales[0] if mosaic.pixel_scale is None else mosaic.pixel_scale
    ratios = _ratios(native, pixel_scales, size)
    pixels = np.full((len(xy), len(ratios), len(chosen), size, size), np.nan, np.float32)
    reach = max(_reach(ratio, size) for ratio in ratios)
    for members, (y0, y1, x0, x1) in _regions(xy, mosaic.shape, reach, len(chosen)):
        region = mosaic.read(y0, y1, x0, x1, bands=chosen)
        _resample(region, xy[members] - (x0, y0), ratios, pixels, members)
    pixels.flags.writeable = False
    names = tuple(mosaic.bands[band] for band in chosen)
    return Cutouts(pixels, tuple(float(scale) for scale in pixel_scales), names, xy)


def cut_array(
    image: NDArray[np.floating],
    positions: Positions,
    *,
    native_scale: float,
    size: int,
    pixel_scales: Sequence[float],
) -> FloatArray:
    """Cut square stamps out of an array in memory: the same resampling as `cut`.

    Parameters
    ----------
    image : (band, ny, nx) or (ny, nx); NaN and infinities are masked
    positions : (n, 2) pixels (x, y) of the image
    native_scale : arcsec per pixel of the image

    Returns
    -------
    (n, scale, band, size, size) float32, NaN where there are no data.
    """
    planes = np.asarray(image, np.float32)
    planes = planes[None] if planes.ndim == 2 else planes
    xy = np.asarray(positions, np.float64).reshape(-1, 2)
    ratios = _ratios(native_scale, pixel_scales, size)
    out = np.full((len(xy), len(ratios), len(planes), size, size), np.nan, np.float32)
    _resample(planes, xy, ratios, out, np.arange(len(xy)))
    return out


def _ratios(native: float, pixel_scales: Sequence[float], size: int) -> list[float]:
    """Output pixels in units of native ones; rounded, so that 0.14 / 0.07 is 2."""
    if not (np.isfinite(native) and native > 0 and all(np.isfinite(s) and s > 0 for s in pixel_scales)):
        raise ImageError(f"Pixel scales must be positive, not {native} and {tuple(pixel_scales)}: type the right one")
    ratios = [round(float(scale) / float(native), 9) for scale in pixel_scales]
    widest = max(_reach(ratio, size) for ratio in ratios) * 2
    if widest > _WIDEST:
        raise ImageError(
            f"A stamp would span {widest:.0f} pixels at {native:g} arcsec a pixel: check the pixel scale of the image"
        )
    return ratios


def _reach(ratio: float, size: int) -> float:
    """Native pixels from the centre of a stamp that any weight can touch."""
    return size * ratio / 2 + 3


def _regions(
    xy: Positions, shape: tuple[int, int], reach: float, bands: int
) -> Iterator[tuple[_Integers, tuple[int, int, int, int]]]:
    """Group positions so that a region of the mosaic is read once, in bounded memory.

    Yields indices of positions and the region (y0, y1, x0, x1) that holds their stamps; stamps wholly off the image
    appear in none.
    """
    ny, nx = shape
    with np.errstate(invalid="ignore"):
        near = (xy[:, 0] > -reach) & (xy[:, 0] < nx + reach) & (xy[:, 1] > -reach) & (xy[:, 1] < ny + reach)
    indices = np.flatnonzero(near)
    if not len(indices):
        return
    side = max(64.0, min(_CELL, np.sqrt(_MEMORY / max(bands, 1)) - 2 * reach))
    cells = np.floor(xy[indices] / side).astype(np.int64)
    order = np.lexsort((cells[:, 0], cells[:, 1]))
    changes = np.flatnonzero(np.any(np.diff(cells[order], axis=0) != 0, axis=1)) + 1
    for members in np.split(indices[order], changes):
        box = _box(xy[members], reach)
        together = (box[1] - box[0]) * (box[3] - box[2])
        if together <= len(members) * (2 * reach) ** 2 or together < 256**2:
            yield members, box
        else:  # scattered over the cell: what lies between them need not be read
            for member in members:
                yield np.array([member]), _box(xy[member : member + 1], reach)


def _box(xy: Positions, reach: float) -> tuple[int, int, int, int]:
    x0, y0 = np.floor(xy.min(axis=0) - reach).astype(int)
    x1, y1 = np.ceil(xy.max(axis=0) + reach).astype(int) + 1
    return int(y0), int(y1), int(x0), int(x1)


def _resample(image: FloatArray, xy: Positions, ratios: Sequence[float], out: FloatArray, rows: _Integers) -> None:
    """Fill ``out[rows]`` (n, scale, band, size, size) from an image (band, ny, nx)."""
    size = out.shape[-1]
    for index, ratio in enumerate(ratios):
        reach = _reach(ratio, size)
        with np.errstate(invalid="ignore"):
            near = np.all((xy > -reach) & (xy < np.array(image.shape[:0:-1]) + reach), axis=1)
        todo = np.flatnonzero(near)
        batch = max(1, int(_WINDOW_VALUES / (len(image) * (2 * reach) ** 2)))
        for start in range(0, len(todo), batch):
            members = todo[start : start + batch]
            out[rows[members], index] = _resample_batch(image, xy[members], ratio, size)


@dataclass(frozen=True, slots=True)
class _Weights:
    """Weights along one axis: ``values`` (n, size, taps), from native pixel ``first`` (n, size) on."""

    first: _Integers
    values: _Doubles

    def apply(self, windows: FloatArray, start: _Integers) -> FloatArray:
        """Weighted sums along axis 1 of (n, length, ...), whose first entry is native pixel ``start`` (n,)."""
        n, length = windows.shape[:2]
        size, taps = self.values.shape[1:]
        column = self.first - start[:, None] + (np.arange(n) * length)[:, None]
        indices = (column[:, :, None] + np.arange(taps)).astype(np.int32)
        pointers = np.arange(0, n * size * taps + 1, taps, dtype=np.int32)
        matrix = csr_array(
            (self.values.astype(np.float32).ravel(), indices.ravel(), pointers), shape=(n * size, n * length)
        )
        out: FloatArray = (matrix @ windows.reshape(n * length, -1)).reshape(n, size, *windows.shape[2:])
        return out


def _resample_batch(image: FloatArray, xy: Positions, ratio: float, size: int) -> FloatArray:
    """Stamps (n, band, size, size) at one scale."""
    # A millionth of a pixel is nothing, and rounding makes stamps on the native grid exact.
    centres: _Doubles = np.round(xy[:, :, None] + (np.arange(size, dtype=np.float64) - (size - 1) / 2) * ratio, 6)
    kernel = _area if ratio >= 1 else _cubic
    columns, rows = kernel(centres[:, 0], ratio), kernel(centres[:, 1], ratio)
    length = int(np.ceil((size - 1) * ratio)) + columns.values.shape[-1] + 1
    x0, y0 = columns.first[:, 0], rows.first[:, 0]
    windows = _windows(image, y0, x0, length)
    stamps = _apply(windows, rows, columns, y0, x0)
    bad = np.flatnonzero(~np.isfinite(stamps).all(axis=(1, 2, 3)))
    if len(bad):
        stamps[bad] = _masked(windows[bad], stamps[bad], centres[bad], ratio, y0[bad], x0[bad])
    return stamps


def _apply(windows: FloatArray, rows: _Weights, columns: _Weights, y0: _Integers, x0: _Integers) -> FloatArray:
    """Both axes: (n, y, band, x) native windows to (n, band, size, size)."""
    half = rows.apply(windows, y0)
    whole = columns.apply(np.ascontiguousarray(half.transpose(0, 3, 2, 1)), x0)
    return np.ascontiguousarray(whole.transpose(0, 2, 3, 1))


def _masked(
    windows: FloatArray, stamps: FloatArray, centres: _Doubles, ratio: float, y0: _Integers, x0: _Integers
) -> FloatArray:
    """The same where some pixels have no data: the mean of those that have.

    A coarser pixel is masked where no more than half of it has data, a finer one where its nearest neighbour has none.
    Near masked pixels finer output is bilinear: the negative lobes of the cubic would ring.
    """
    valid = np.isfinite(windows)
    present = valid.astype(np.float32)
    kernel = _area if ratio >= 1 else _linear
    columns, rows = kernel(centres[:, 0], ratio), kernel(centres[:, 1], ratio)
    weight = _apply(present, rows, columns, y0, x0)
    total = _apply(np.where(valid, windows, np.float32(0)), rows, columns, y0, x0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = total / weight
    if ratio >= 1:
        return np.where(weight > 0.5, mean, np.float32(np.nan))
    nearest = _apply(present, _nearest(centres[:, 1]), _nearest(centres[:, 0]), y0, x0)
    mean = np.where(nearest > 0, mean, np.float32(np.nan))
    return np.where(np.isfinite(stamps), stamps, mean)


def _windows(image: FloatArray, y0: _Integers, x0: _Integers, length: int) -> FloatArray:
    """Native pixels (n, length, band, length) from (y0, x0) on; NaN off the image."""
    bands, ny, nx = image.shape
    inside = (y0 >= 0) & (x0 >= 0) & (y0 + length <= ny) & (x0 + length <= nx)
    out = np.empty((len(y0), bands, length, length), np.float32)
    if inside.any():
        views = sliding_window_view(image, (length, length), axis=(1, 2))
        out[inside] = views[:, y0[inside], x0[inside]].swapaxes(0, 1)
    for k in np.flatnonzero(~inside):
        y, x = int(y0[k]), int(x0[k])
        out[k] = np.nan
        rows = slice(max(y, 0), max(min(y + length, ny), 0))
        columns = slice(max(x, 0), max(min(x + length, nx), 0))
        part = image[:, rows, columns]
        if part.size:
            top, left = rows.start - y, columns.start - x
            out[k, :, top : top + part.shape[1], left : left + part.shape[2]] = part
    return np.ascontiguousarray(out.transpose(0, 2, 1, 3))


def _area(centres: _Doubles, ratio: float) -> _Weights:
    """The mean over the footprint of an output pixel."""
    low = centres - ratio / 2 + 0.5  # in edges: pixel k spans k to k + 1
    low = np.round(low, 6)
    first = np.floor(low).astype(np.int64)
    edges = first[:, :, None] + np.arange(int(np.ceil(ratio)) + 1)
    overlap = np.minimum(edges + 1, (low + ratio)[:, :, None]) - np.maximum(edges, low[:, :, None])
    return _Weights(first, np.clip(overlap, 0, None) / ratio)


def _cubic(centres: _Doubles, ratio: float) -> _Weights:
    """Keys' cubic convolution: four pixels, third order, exact at native pixels."""
    first = np.floor(centres).astype(np.int64)
    t = centres - first
    values = np.stack(
        [
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        ],
        axis=-1,
    )
    return _Weights(first - 1, values)


def _linear(centres: _Doubles, ratio: float) -> _Weights:
    first = np.floor(centres).astype(np.int64)
    t = centres - first
    return _Weights(first, np.stack([1 - t, t], axis=-1))


def _nearest(centres: _Doubles) -> _Weights:
    return _Weights(np.floor(centres + 0.5).astype(np.int64), np.ones((*centres.shape, 1)))
