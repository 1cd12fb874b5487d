"""Tiles of a mosaic: their cores, the pixels of one in memory, and which sources were already handed out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.types import FloatArray, Mosaic, Plane, Positions

MARGIN = 8.0
"""How far outside its core a tile keeps sources (pixels): a centre moves a little between two tiles' views of it."""

Core = tuple[int, int, int, int]


def tile_cores(shape: tuple[int, int], tile: int) -> list[Core]:
    """Split an image of ``shape`` (ny, nx) into cores (y0, y1, x0, x1) of about ``tile`` pixels that do not overlap."""
    edges = []
    for length in shape:
        count = max(1, round(length / tile))
        edges.append([length * k // count for k in range(count + 1)])
    return [
        (y0, y1, x0, x1)
        for y0, y1 in zip(edges[0], edges[0][1:], strict=False)
        for x0, x1 in zip(edges[1], edges[1][1:], strict=False)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class HeldPlane:
    """A band of which one region is in memory; what lies outside is read from the disk."""

    plane: Plane
    pixels: FloatArray
    top: int
    left: int

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) pixels of the whole band."""
        return self.plane.shape

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``, as of the band itself."""
        ny, nx = self.pixels.shape
        top, left = y0 - self.top, x0 - self.left
        if top >= 0 and left >= 0 and y1 - self.top <= ny and x1 - self.left <= nx:
            return self.pixels[top : y1 - self.top : step, left : x1 - self.left : step]
        return self.plane.read(y0, y1, x0, x1, step)


def hold(mosaic: Mosaic, region: Core) -> tuple[Mosaic, FloatArray]:
    """The mosaic with one region (y0, y1, x0, x1) of every band in memory, and that region (band, y, x)."""
    y0, y1, x0, x1 = region
    pixels = mosaic.read(y0, y1, x0, x1)
    planes = tuple(HeldPlane(plane, part, y0, x0) for plane, part in zip(mosaic.planes, pixels, strict=True))
    return replace(mosaic, planes=planes), pixels


def grown(core: Core, border: int, shape: tuple[int, int]) -> Core:
    """A core with a border of so many pixels, as far as the image goes."""
    y0, y1, x0, x1 = core
    return max(0, y0 - border), min(shape[0], y1 + border), max(0, x0 - border), min(shape[1], x1 + border)


class Seen:
    """Which sources were already handed out: in this tile, or near its border by a neighbour."""

    def __init__(self, radius: float) -> None:
        self.radius = radius
        self._near_borders: Positions = np.empty((0, 2))

    def new(self, sources: NDArray[np.void], core: Core) -> NDArray[np.void]:
        """The sources not seen before; of several within the match radius, the brightest."""
        y0, y1, x0, x1 = core
        xy = np.column_stack([sources["x"], sources["y"]])
        reach = self.radius + MARGIN
        fresh = np.ones(len(sources), bool)
        if len(sources) and len(self._near_borders):
            fresh = ~np.isfinite(cKDTree(self._near_borders).query(xy, distance_upper_bound=self.radius)[0])
        order = np.argsort(-sources["snr"], kind="stable")
        if len(sources) > 1:
            neighbours = cKDTree(xy).query_ball_point(xy, self.radius)
            taken = np.zeros(len(sources), bool)
            for index in order:
                if fresh[index] and not taken[index]:
                    taken[neighbours[index]] = True
                    taken[index] = False
            fresh &= ~taken
        inner = (xy[:, 0] > x0 + reach) & (xy[:, 0] < x1 - reach) & (xy[:, 1] > y0 + reach) & (xy[:, 1] < y1 - reach)
        self._near_borders = np.concatenate([self._near_borders, xy[fresh & ~inner]])
        # Tiles come in rows: what lies more than two rows of tiles above can no longer be seen again.
        self._near_borders = self._near_borders[self._near_borders[:, 1] > y0 - (y1 - y0) - reach]
        return sources[order[fresh[order]]]
