"""Square pixels around positions, resampled to the pixel scales a model expects.

A grid of output pixels and the grid of the mosaic are aligned, so resampling is separable: each axis has a few
weights an output pixel. Coarser output takes the exact mean over the footprint of a pixel (no aliasing), finer
output the cubic convolution of Keys (1981, IEEE Trans. ASSP 29, 1153; a = -1/2). Surface brightness is kept: values
are per pixel of the mosaic, averaged, not summed.

All stamps of a batch are two products of matrices each, weights times pixels times weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from engine.errors import ImageError
from engine.types import Cutouts, FloatArray, Mosaic, Plane, Positions

_CELL = 256  # mosaic pixels; positions are taken cell by cell, as compressed tiles lie, and share a read where many
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
    for members, box in _regions(xy, mosaic.shape, reach, len(chosen)):
        if box is not None:
            y0, y1, x0, x1 = box
            _resample(mosaic.read(y0, y1, x0, x1, bands=chosen), xy[members] - (x0, y0), ratios, pixels, members)
        else:
            corners = np.floor(xy[members] - reach).astype(np.int64)
            patches = _patches([mosaic.planes[band] for band in chosen], corners, 2 * int(np.ceil(reach)) + 2)
            _resample(patches, xy[members] - corners, ratios, pixels, members)
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
    ordered: bool = False,
) -> FloatArray:
    """Cut square stamps out of an array in memory: the same resampling as `cut`.

    Parameters
    ----------
    image : (band, ny, nx) or (ny, nx); NaN and infinities are masked
    positions : (n, 2) pixels (x, y) of the image
    native_scale : arcsec per pixel of the image
    ordered : add pixels up in their order, which is slower, so that the last bit is the same on any machine

    Returns
    -------
    (n, scale, band, size, size) float32, NaN where there are no data.
    """
    planes = np.asarray(image, np.float32)
    planes = planes[None] if planes.ndim == 2 else planes
    xy = np.asarray(positions, np.float64).reshape(-1, 2)
    ratios = _ratios(native_scale, pixel_scales, size)
    out = np.full((len(xy), len(ratios), len(planes), size, size), np.nan, np.float32)
    _resample(planes, xy, ratios, out, np.arange(len(xy)), ordered=ordered)
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
) -> Iterator[tuple[_Integers, tuple[int, int, int, int] | None]]:
    """Group positions so that a part of the mosaic is read once, in bounded memory.

    Yields indices of positions and the region (y0, y1, x0, x1) that holds their stamps, or None for stamps so
    scattered that each is better read by itself; stamps wholly off the image appear in no group.
    """
    ny, nx = shape
    with np.errstate(invalid="ignore"):
        near = (xy[:, 0] > -reach) & (xy[:, 0] < nx + reach) & (xy[:, 1] > -reach) & (xy[:, 1] < ny + reach)
    indices = np.flatnonzero(near)
    if not len(indices):
        return
    cells = np.floor(xy[indices] / _CELL).astype(np.int64)
    order = np.lexsort((cells[:, 0], cells[:, 1]))
    changes = np.flatnonzero(np.any(np.diff(cells[order], axis=0) != 0, axis=1)) + 1
    most = max(1, int(_WINDOW_VALUES / (bands * (2 * reach) ** 2)))
    scattered: list[_Integers] = []
    for members in np.split(indices[order], changes):
        box = _box(xy[members], reach)
        area = (box[1] - box[0]) * (box[3] - box[2])
        if area <= len(members) * (2 * reach) ** 2 and area * bands <= _MEMORY:
            yield members, box
        else:  # what lies between them need not be read
            scattered.append(members)
        if sum(map(len, scattered)) >= most:
            yield from ((part, None) for part in _parts(scattered, most))
            scattered = []
    yield from ((part, None) for part in _parts(scattered, most))


def _parts(groups: list[_Integers], most: int) -> Iterator[_Integers]:
    """Indices in their order, at most so many at a time."""
    joined = np.concatenate([np.empty(0, np.int64), *groups])
    for start in range(0, len(joined), most):
        yield joined[start : start + most]


def _box(xy: Positions, reach: float) -> tuple[int, int, int, int]:
    x0, y0 = np.floor(xy.min(axis=0) - reach).astype(int)
    x1, y1 = np.ceil(xy.max(axis=0) + reach).astype(int) + 1
    return int(y0), int(y1), int(x0), int(x1)


def _patches(planes: Sequence[Plane], corners: _Integers, length: int) -> FloatArray:
    """Native pixels (n, band, length, length) from corners (n, 2), (x, y), on; NaN off the image."""
    out = np.empty((len(corners), len(planes), length, length), np.float32)
    for band, plane in enumerate(planes):
        ny, nx = plane.shape
        for k, (x, y) in enumerate(corners.tolist()):
            if x >= 0 and y >= 0 and x + length <= nx and y + length <= ny:
                out[k, band] = plane.read(y, y + length, x, x + length)
                continue
            out[k, band] = np.nan
            y0, y1, x0, x1 = max(y, 0), min(y + length, ny), max(x, 0), min(x + length, nx)
            if y0 < y1 and x0 < x1:
                out[k, band, y0 - y : y1 - y, x0 - x : x1 - x] = plane.read(y0, y1, x0, x1)
    return out


def _resample(
    source: FloatArray,
    xy: Positions,
    ratios: Sequence[float],
    out: FloatArray,
    rows: _Integers,
    *,
    ordered: bool = False,
) -> None:
    """Fill ``out[rows]`` (n, scale, band, size, size) from an image (band, ny, nx), or from a patch of it each."""
    size = out.shape[-1]
    for index, ratio in enumerate(ratios):
        reach = _reach(ratio, size)
        with np.errstate(invalid="ignore"):
            near = np.all((xy > -reach) & (xy < np.array(source.shape[:-3:-1]) + reach), axis=1)
        todo = np.flatnonzero(near)
        batch = max(1, int(_WINDOW_VALUES / (source.shape[-3] * (2 * reach) ** 2)))
        for start in range(0, len(todo), batch):
            members = todo[start : start + batch]
            part = source[members] if source.ndim == 4 else source
            out[rows[members], index] = _resample_batch(part, xy[members], ratio, size, ordered)


@dataclass(frozen=True, slots=True)
class _Weights:
    """Weights along one axis: ``values`` (n, size, taps), from native pixel ``first`` (n, size) on."""

    first: _Integers
    values: _Doubles

    def dense(self, start: _Integers, length: int) -> FloatArray:
        """All weights (n, size, length) of windows that begin at native pixel ``start`` (n,)."""
        n, size, taps = self.values.shape
        column = self.first - start[:, None] + (np.arange(n * size) * length).reshape(n, size)
        out = np.zeros(n * size * length, np.float32)
        out[(column[:, :, None] + np.arange(taps)).ravel()] = self.values.ravel()
        return out.reshape(n, size, length)

    def apply(self, windows: FloatArray, start: _Integers) -> FloatArray:
        """Weighted sums along axis 1 of (n, length, ...), of the pixels that have a weight alone."""
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


def _resample_batch(source: FloatArray, xy: Positions, ratio: float, size: int, ordered: bool) -> FloatArray:
    """Stamps (n, band, size, size) at one scale."""
    # A millionth of a pixel is nothing, and rounding makes stamps on the native grid exact.
    centres: _Doubles = np.round(xy[:, :, None] + (np.arange(size, dtype=np.float64) - (size - 1) / 2) * ratio, 6)
    if ratio == 1 and (centres[:, :, 0] % 1 == 0).all():
        first = centres[:, :, 0].astype(np.int64)
        whole = _windows(source, first[:, 1], first[:, 0], size)
        whole[~np.isfinite(whole)] = np.nan
        return whole
    kernel = _area if ratio >= 1 else _cubic
    columns, rows = kernel(centres[:, 0], ratio), kernel(centres[:, 1], ratio)
    length = int(np.ceil((size - 1) * ratio)) + columns.values.shape[-1] + 1
    x0, y0 = columns.first[:, 0], rows.first[:, 0]
    windows = _windows(source, y0, x0, length)
    # Multiplying by all weights is quickest, but spreads what is not finite: windows with holes go the other way.
    if ordered:
        stamps = _apply(windows, rows, columns, y0, x0)
    else:
        vertical, horizontal = rows.dense(y0, length)[:, None], columns.dense(x0, length)[:, None].swapaxes(2, 3)
        stamps = np.matmul(np.matmul(vertical, windows), horizontal, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(stamps).all(axis=(1, 2, 3)))
    if len(bad):
        stamps[bad] = _masked(windows[bad], centres[bad], ratio, y0[bad], x0[bad])
    return stamps


def _apply(windows: FloatArray, rows: _Weights, columns: _Weights, y0: _Integers, x0: _Integers) -> FloatArray:
    """Both axes: (n, band, y, x) native windows to (n, band, size, size)."""
    half = rows.apply(np.ascontiguousarray(windows.transpose(0, 2, 1, 3)), y0)
    whole = columns.apply(np.ascontiguousarray(half.transpose(0, 3, 2, 1)), x0)
    return np.ascontiguousarray(whole.transpose(0, 2, 3, 1))


def _masked(windows: FloatArray, centres: _Doubles, ratio: float, y0: _Integers, x0: _Integers) -> FloatArray:
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
    stamps = _apply(windows, _cubic(centres[:, 1], ratio), _cubic(centres[:, 0], ratio), y0, x0)
    return np.where(np.isfinite(stamps), stamps, mean)


def _windows(source: FloatArray, y0: _Integers, x0: _Integers, length: int) -> FloatArray:
    """Native pixels (n, band, length, length) from (y0, x0) of an image, or of a patch each, on; NaN off it."""
    bands, ny, nx = source.shape[-3:]
    inside = ((y0 >= 0) & (x0 >= 0) & (y0 + length <= ny) & (x0 + length <= nx)).tolist()
    out = np.empty((len(y0), bands, length, length), np.float32)
    for k, (y, x) in enumerate(zip(y0.tolist(), x0.tolist(), strict=True)):
        image = source[k] if source.ndim == 4 else source
        if inside[k]:
            out[k] = image[:, y : y + length, x : x + length]
            continue
        out[k] = np.nan
        rows = slice(max(y, 0), max(min(y + length, ny), 0))
        columns = slice(max(x, 0), max(min(x + length, nx), 0))
        part = image[:, rows, columns]
        if part.size:
            top, left = rows.start - y, columns.start - x
            out[k, :, top : top + part.shape[1], left : left + part.shape[2]] = part
    return out


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
