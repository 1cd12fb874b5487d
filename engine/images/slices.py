"""Square stamps of a mosaic's own pixels, nothing resampled: as many a second as the disk or the decoder gives.

For what has to be the measured pixels (files for other programs, photometry, a quick look); a network's stamps come
from `engine.images.cutouts.cut`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.images.planes import MappedPlane
from engine.types import Cutouts, FloatArray, Mosaic, Plane, Positions

_CELL = 256  # pixels; stamps are taken cell by cell, so that each compressed tile is unpacked once
_SEVERAL = 3  # stamps of a cell from which on one read of them all is quicker
_THREADS = 2
_FAR = 1 << 40  # pixels


def cut_pixels(
    mosaic: Mosaic, positions: Positions, *, size: int, bands: tuple[int, ...] | None = None
) -> tuple[Cutouts, Positions]:
    """Cut the pixels around the pixel nearest to each position (for an even size: the nearest corner of four).

    Parameters
    ----------
    positions : (n, 2) pixels (x, y) of the mosaic
    size : stamp side, pixels
    bands : indices of the bands, all of them by default

    Returns
    -------
    Cutouts of shape (n, 1, band, size, size), NaN where the mosaic has no data; and the corners (n, 2), (x, y): the
    pixel of the mosaic that the first pixel of each stamp is, NaN for positions that are none.
    """
    xy = np.asarray(positions, np.float64).reshape(-1, 2)
    chosen = tuple(range(len(mosaic.planes))) if bands is None else tuple(bands)
    with np.errstate(invalid="ignore"):
        corners = np.floor(xy - (size - 1) / 2 + 0.5)
        known = np.all(np.abs(corners) < _FAR, axis=1)
    corners[~known] = np.nan
    pixels = np.empty((len(xy), 1, len(chosen), size, size), np.float32)
    pixels[~known] = np.nan
    indices = np.flatnonzero(known)
    first = corners[indices].astype(np.int64)
    order = np.lexsort((first[:, 0], first[:, 0] // _CELL, first[:, 1] // _CELL))
    for number, band in enumerate(chosen):
        _fill(mosaic.planes[band], indices[order], first[order], pixels[:, 0, number])
    pixels.flags.writeable = False
    scale = (float(mosaic.pixel_scale or 1.0),)
    return Cutouts(pixels, scale, tuple(mosaic.bands[band] for band in chosen), xy), corners


def _fill(plane: Plane, rows: NDArray[np.int64], corners: NDArray[np.int64], out: FloatArray) -> None:
    """Fill ``out[rows]`` (n, size, size) of one band; compressed bands in two threads, each its part of the mosaic."""
    if isinstance(plane, MappedPlane):
        _fill_part(plane, rows, corners, out)
        return
    edges = np.linspace(0, len(rows), _THREADS + 1).astype(int)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="stamps") as pool:
        parts = [pool.submit(_fill_part, plane, rows[a:b], corners[a:b], out) for a, b in pairwise(edges)]
        for part in parts:
            part.result()


def _fill_part(plane: Plane, rows: NDArray[np.int64], corners: NDArray[np.int64], out: FloatArray) -> None:
    size, (ny, nx) = out.shape[-1], plane.shape
    inside = np.all((corners >= 0) & (corners + size <= (nx, ny)), axis=1)
    whole, places = rows[inside], corners[inside]
    if isinstance(plane, MappedPlane):
        plane.stamps(places, whole, out)
    elif len(whole):
        changes = np.flatnonzero(np.any(np.diff(places // _CELL, axis=0) != 0, axis=1)) + 1
        for members, corner in zip(np.split(whole, changes), np.split(places, changes), strict=True):
            _fill_cell(plane, members, corner, out)
    for row, (x, y) in zip(rows[~inside].tolist(), corners[~inside].tolist(), strict=True):
        out[row] = np.nan
        y0, y1, x0, x1 = max(y, 0), min(y + size, ny), max(x, 0), min(x + size, nx)
        if y0 < y1 and x0 < x1:
            out[row, y0 - y : y1 - y, x0 - x : x1 - x] = plane.read(y0, y1, x0, x1)


def _fill_cell(plane: Plane, rows: NDArray[np.int64], corners: NDArray[np.int64], out: FloatArray) -> None:
    """Fill ``out[rows]`` from corners near each other: in one read if there are several."""
    size = out.shape[-1]
    left, top = corners.min(axis=0).tolist()
    right, bottom = (corners.max(axis=0) + size).tolist()
    if len(rows) >= _SEVERAL:
        region = plane.read(top, bottom, left, right)
        for row, (x, y) in zip(rows.tolist(), (corners - (left, top)).tolist(), strict=True):
            out[row] = region[y : y + size, x : x + size]
    else:
        for row, (x, y) in zip(rows.tolist(), corners.tolist(), strict=True):
            out[row] = plane.read(y, y + size, x, x + size)
