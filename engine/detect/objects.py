"""One candidate an object: a lens shows as several sources, its galaxy and the images around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from engine.detect.scoring import PROMISING
from engine.detect.tiles import Core
from engine.types import Detection, ModelCard, Mosaic, Positions

SAME_OBJECT = 3.0
"""How far apart sources of one object may be (arcsec): across the images of a lens with an Einstein radius of 1.5"."""


class Objects:
    """Lets one promising detection of each object through, its best, and what is not promising as it comes.

    The promising ones of a tile wait for the tile's end, since a better one of the same object may follow. One that
    a neighbouring tile let through stands, so that across a border an object can come twice, the better one second.
    """

    def __init__(self, mosaic: Mosaic, card: ModelCard) -> None:
        self.radius = SAME_OBJECT / (mosaic.pixel_scale or card.pixel_scales[0])
        self._waiting: list[Detection] = []
        self._near_borders: list[Detection] = []

    def hold(self, detections: Sequence[Detection]) -> tuple[Detection, ...]:
        """Keep the promising detections of a tile; returns the others."""
        self._waiting += [one for one in detections if one.raw_score >= PROMISING]
        return tuple(one for one in detections if one.raw_score < PROMISING)

    def release(self, core: Core) -> tuple[Detection, ...]:
        """The best detection of each object of the tile with this core, best first."""
        # Those of other tiles go first among equals; what they outdo is not shown again.
        known = len(self._near_borders)
        every = self._near_borders + self._waiting
        order = sorted(range(len(every)), key=lambda k: -every[k].score)
        xy = _places(every)
        near = cKDTree(xy).query_ball_point(xy, self.radius) if every else []
        taken = np.zeros(len(every), bool)
        for index in order:
            if not taken[index]:
                taken[near[index]] = True
                taken[index] = False
        best = tuple(every[k] for k in order if k >= known and not taken[k])
        self._waiting = []
        y0, y1, x0, x1 = core
        r = self.radius
        inside = [x0 + r < one.x < x1 - r and y0 + r < one.y < y1 - r for one in best]
        self._near_borders += [one for one, inner in zip(best, inside, strict=True) if not inner]
        # Tiles come in rows: what lies more than two rows of tiles above has no neighbours to come.
        self._near_borders = [one for one in self._near_borders if one.y > y0 - (y1 - y0) - r]
        return best


def _places(detections: Sequence[Detection]) -> Positions:
    return np.array([(one.x, one.y) for one in detections], np.float64).reshape(-1, 2)
