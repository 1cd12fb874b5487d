"""Bands on different grids, seen on one: each is resampled to the grid of the first where, and when, it is read.

Surface brightness is kept: a value is that of the sky in units of the band's own pixels. Who measures total fluxes of
a band in flux per pixel multiplies them by the ratio of the areas of the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from engine.errors import ImageError
from engine.images.planes import Layer, Stored
from engine.images.pyramid import block_mean
from engine.types import FloatArray, Mosaic, Plane, Positions

_APART = 0.5  # pixels by which files of a set may disagree on the sky and still count as one grid
_NODES = 16  # pixels between positions taken through both WCS; those in between are interpolated
_MOST = 1 << 23  # pixels of the band read at a time
_COVERED = 0.999  # of the first band; below, the user is told

_Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AlignedPlane:
    """A band seen on another grid, bilinearly; NaN where the band does not reach or its nearest pixel has no data.

    Where its pixels are finer than those of the grid, it is averaged over blocks of about one pixel of the grid first.

    ``grid`` and ``own`` describe the two skies: mosaics without planes.
    """

    plane: Plane
    own: Mosaic
    grid: Mosaic

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) pixels of the grid."""
        return self.grid.shape

    @property
    def identity(self) -> str:
        """What tells these pixels from any others on this machine."""
        if not isinstance(self.plane, Stored):
            raise OSError("these pixels are not those of a file")
        skies = "".join(sky.wcs.to_header_string(relax=True) for sky in (self.own, self.grid) if sky.wcs is not None)
        return f"{self.plane.identity}|{self.shape}|{hashlib.sha256(skies.encode()).hexdigest()}"

    @property
    def ratio(self) -> float:
        """Pixels of the band along one of the grid."""
        return (self.grid.pixel_scale or 1.0) / (self.own.pixel_scale or 1.0)

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`."""
        return self._sample(np.arange(y0, y1, step), np.arange(x0, x1, step), step)

    def covered(self) -> float:
        """The fraction of the grid that the band reaches."""
        rows, columns = (np.linspace(0, side - 1, min(side, 65)) for side in self.shape)
        y, x = np.meshgrid(rows, columns, indexing="ij")
        xy = self._through(np.column_stack([x.ravel(), y.ravel()]))
        ny, nx = self.plane.shape
        with np.errstate(invalid="ignore"):
            inside = np.all((xy > -0.5) & (xy < (nx - 0.5, ny - 0.5)), axis=1)
        return float(inside.mean())

    def _through(self, xy: Positions) -> Positions:
        """Pixels of the band at pixels of the grid."""
        return self.own.pixel(self.grid.world(xy))

    def _sample(self, rows: NDArray[np.int64], columns: NDArray[np.int64], step: int) -> FloatArray:
        out = np.full((len(rows), len(columns)), np.nan, np.float32)
        if not out.size:
            return out
        x, y = self._positions(rows, columns, step)
        ny, nx = self.plane.shape
        with np.errstate(invalid="ignore"):
            inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
        if not inside.any():
            return out
        # Every step-th pixel needs only about as many of the band, and nobody looks at a fraction of a step.
        skip = max(1, int(step * self.ratio)) if step > 1 else 1
        factor = max(1, round(self.ratio)) if step == 1 else 1
        grain = skip * factor
        top, left = (max(0, int(v[inside].min()) // grain * grain - grain) for v in (y, x))
        bottom = min(ny, (int(y[inside].max()) // grain + 2) * grain + 1)
        right = min(nx, (int(x[inside].max()) // grain + 2) * grain + 1)
        if (bottom - top) * (right - left) // skip**2 > _MOST and max(out.shape) > 1:
            if len(rows) >= len(columns):
                halves = [self._sample(part, columns, step) for part in np.array_split(rows, 2)]
                return np.concatenate(halves)
            return np.concatenate([self._sample(rows, part, step) for part in np.array_split(columns, 2)], axis=1)
        pixels = self.plane.read(top, bottom, left, right, skip)
        pixels = block_mean(pixels, factor) if factor > 1 else pixels
        middle = (factor - 1) / 2
        u, v = (x[inside] - left - middle) / grain, (y[inside] - top - middle) / grain
        out[inside] = _nearest(pixels, u, v) if step > 1 else _bilinear(pixels, u, v)
        return out

    def _positions(self, rows: NDArray[np.int64], columns: NDArray[np.int64], step: int) -> tuple[_Doubles, _Doubles]:
        """Positions on the band (x, y) of pixels of the grid, each (rows, columns); NaN where there is none."""
        spacing = _NODES * step
        nodes = [np.linspace(axis[0], axis[-1], -(-(axis[-1] - axis[0]) // spacing) + 1) for axis in (rows, columns)]
        y, x = np.meshgrid(*nodes, indexing="ij")
        through = self._through(np.column_stack([x.ravel(), y.ravel()])).reshape(*x.shape, 2)
        for axis, (pixels, at) in enumerate(zip((rows, columns), nodes, strict=True)):
            through = _between(through, at, pixels, axis)
        return through[..., 0], through[..., 1]


def _between(values: _Doubles, nodes: _Doubles, at: NDArray[np.int64], axis: int) -> _Doubles:
    """Linear interpolation along an axis whose entries belong to evenly spaced nodes."""
    if len(nodes) == 1:
        return np.take(values, np.zeros(len(at), np.int64), axis)
    place = (at - nodes[0]) / (nodes[1] - nodes[0])
    first = np.clip(np.floor(place).astype(np.int64), 0, len(nodes) - 2)
    part = np.expand_dims(place - first, [k for k in range(values.ndim) if k != axis])
    low, high = np.take(values, first, axis), np.take(values, first + 1, axis)
    between: _Doubles = low + (high - low) * part
    return between


def _nearest(image: FloatArray, x: _Doubles, y: _Doubles) -> FloatArray:
    ny, nx = image.shape
    return image[np.clip(np.rint(y), 0, ny - 1).astype(np.int64), np.clip(np.rint(x), 0, nx - 1).astype(np.int64)]


def _bilinear(image: FloatArray, x: _Doubles, y: _Doubles) -> FloatArray:
    """Values between pixels, from those of the four neighbours that have data; NaN where the nearest has none."""
    ny, nx = image.shape
    left, low = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    total, weight = np.zeros(len(x)), np.zeros(len(x))
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = low + dy, left + dx
            part = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - low))
            values = image[np.clip(row, 0, ny - 1), np.clip(column, 0, nx - 1)]
            valid = np.isfinite(values)
            total += np.where(valid, values, 0) * part
            weight += valid * part
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (total / weight).astype(np.float32)
    mean[np.isnan(_nearest(image, x, y))] = np.nan
    return mean


def align(layers: Sequence[Layer]) -> list[Layer]:
    """Layers on the grid of the first: those on another one are resampled when read, and say so in their notes.

    Raises
    ------
    ImageError : one lies on another grid without saying where, or does not overlap the first
    """
    first = layers[0]
    return [first, *(layer if _same_grid(first, layer) else _on_grid(first, layer) for layer in layers[1:])]


def _same_grid(first: Layer, layer: Layer) -> bool:
    ny, nx = first.planes[0].shape
    if layer.planes[0].shape != (ny, nx):
        return False
    if layer.wcs is None or first.wcs is None:
        return True
    corners = np.array([(0, 0), (nx - 1, 0), (0, ny - 1), (nx - 1, ny - 1), ((nx - 1) / 2, (ny - 1) / 2)], np.float64)
    here, there = (wcs.pixel_to_world(corners[:, 0], corners[:, 1]) for wcs in (layer.wcs, first.wcs))
    apart = here.separation(there).arcsec / (first.pixel_scale or 1.0)
    return bool(np.nanmax(apart) <= _APART)


def _on_grid(first: Layer, layer: Layer) -> Layer:
    shape, other = first.planes[0].shape, layer.planes[0].shape
    if layer.wcs is None or first.wcs is None:
        blind = label(layer if layer.wcs is None else first)
        raise ImageError(
            f"{label(layer)} is {other[1]} x {other[0]} pixels, {label(first)} {shape[1]} x {shape[0]}, and {blind} "
            "has no WCS to tell how they lie: give it one, or resample them to one grid"
        )
    grid, own = _sky(first.wcs, shape, first), _sky(layer.wcs, other, layer)
    planes = tuple(AlignedPlane(plane, own, grid) for plane in layer.planes)
    covered = planes[0].covered()
    if covered == 0:
        raise ImageError(f"{label(layer)} does not overlap {label(first)} on the sky: open them one by one")
    note = f"{label(layer)} lies on another grid and is resampled to that of {label(first)}"
    if covered < _COVERED:
        note += f", of which it covers {max(covered, 0.01):.0%}: the rest has no data in this band"
    return replace(layer, planes=planes, notes=(*layer.notes, note))


def _sky(wcs: WCS, shape: tuple[int, int], layer: Layer) -> Mosaic:
    return Mosaic("", (Path(layer.path),), shape, (), layer.pixel_scale, wcs, ())


def label(layer: Layer) -> str:
    """What to call a layer: its file, and which of its images."""
    return f"{layer.path.name}[{layer.name or layer.key}]" if layer.key else layer.path.name
