"""Images that are the same: to the pixel, or all but, also turned or mirrored."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.types import FloatArray

SIDE = 16
_ALIKE = 0.008  # distance of two normed sketches, a correlation of 0.99997: noise added at 2 % of the contrast
_DIMENSIONS = 12


def pixel_group(image: FloatArray) -> int:
    """A number that equal pixels share in every file: NaN of whatever bits are alike, and so are both zeros."""
    clean = np.where(np.isnan(image), np.float32(np.nan), image) + np.float32(0)
    digest = blake2b(np.ascontiguousarray(clean, "<f4").tobytes(), digest_size=8, salt=str(image.shape).encode()[:16])
    return int.from_bytes(digest.digest(), "big") >> 1


def sketch(image: FloatArray) -> NDArray[np.float16]:
    """A small copy (SIDE, SIDE) of the mean of the bands, flattened; of mean 0 and norm 1, NaN for a constant image.

    It is turned and mirrored so that the light leans to one side, always the same: eight views of an image make one
    sketch.
    """
    small = _shrunk(np.nan_to_num(image).mean(0))
    small -= small.mean()
    norm = np.linalg.norm(small)
    if not norm > 0:
        return np.full(SIDE * SIDE, np.nan, np.float16)
    small /= norm
    ramp = np.linspace(-1, 1, SIDE)
    down, right = ramp @ small.sum(1), ramp @ small.sum(0)
    small = small[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]
    return (small if abs(down) > abs(right) else small.T).ravel().astype(np.float16)


def _shrunk(array: FloatArray) -> NDArray[np.float64]:
    """Means of squares of pixels, (SIDE, SIDE), without what is over at the edges; a small image is padded."""
    ny, nx = (max(side, SIDE) for side in array.shape)
    if (ny, nx) != array.shape:
        array = np.pad(array, ((0, ny - array.shape[0]), (0, nx - array.shape[1])))
    y, x = ny // SIDE, nx // SIDE
    top, left = (ny - y * SIDE) // 2, (nx - x * SIDE) // 2
    cut = array[top : top + y * SIDE, left : left + x * SIDE]
    means: NDArray[np.float64] = cut.reshape(SIDE, y, SIDE, x).mean((1, 3), dtype=np.float64)
    return means


def near_copies(sketches: NDArray[np.float16], group: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs of images whose sketches are alike, though not their pixels; each image with its nearest one.

    A tree over the main directions of the sketches finds the candidates; sketches as a whole decide.
    """
    first = np.unique(group, return_index=True)[1]
    first = first[np.isfinite(sketches[first].astype(np.float32)).all(1)]
    if len(first) < 2:
        return []
    points = sketches[first].astype(np.float32)
    centred = points - points.mean(0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, -_DIMENSIONS:]
    places = np.ascontiguousarray(centred @ directions, np.float64)
    distance, nearest = map(np.asarray, cKDTree(places).query(places, k=2, distance_upper_bound=_ALIKE))
    here = np.flatnonzero(np.isfinite(distance[:, 1]))
    there = np.where(nearest[here, 1] == here, nearest[here, 0], nearest[here, 1])
    alike = np.linalg.norm(points[here] - points[there], axis=1) < _ALIKE
    ones, others = first[here[alike]].tolist(), first[there[alike]].tolist()
    return sorted({(min(one, other), max(one, other)) for one, other in zip(ones, others, strict=True)})
