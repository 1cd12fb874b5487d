"""Which detections are the same candidate: identity is position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.types import Mosaic, Positions

#: Two detections closer than this are one candidate: about the smallest Einstein radius that can be seen.
MATCH_ARCSEC = 1.0

#: But never less than this, since centroids of a coarse mosaic move by a pixel or two with the threshold. Also what is
#: used where the pixel scale is not known. A scan merges its sources by the same two numbers (engine.detect.tiles).
MATCH_PIXELS = 3.0


def match_radius(mosaic: Mosaic) -> float:
    """The match radius on a mosaic, in its pixels."""
    return max(MATCH_ARCSEC / mosaic.pixel_scale, MATCH_PIXELS) if mosaic.pixel_scale else MATCH_PIXELS


def match(known: Positions, found: Positions, radius: float) -> NDArray[np.int64]:
    """Say for each found position which candidate it is.

    The result is the same however ``found`` is divided into batches: each position in turn joins the nearest candidate
    within ``radius`` (inclusive), be it known or begun by an earlier position, or else begins one.

    Parameters
    ----------
    known : (m, 2) pixels of the candidates there are
    found : (n, 2) pixels, finite

    Returns
    -------
    (n,) index of the candidate: below m one of ``known``, m + i the one begun by ``found[i]``.
    """
    count, start = len(found), len(known)
    owner = start + np.arange(count)
    if not count:
        return owner
    distance = np.full(count, np.inf)
    if start:
        apart, nearest = cKDTree(known).query(found, distance_upper_bound=float(np.nextafter(radius, np.inf)))
        distance = np.asarray(apart)
        owner = np.where(np.isfinite(distance), nearest, owner)
    # Only positions close to an earlier one of the same batch need the turn-by-turn rule, and they are few.
    pairs = cKDTree(found).query_pairs(radius, output_type="ndarray")
    for earlier, later in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]:
        if owner[earlier] == start + earlier:
            step = float(np.hypot(*(found[earlier] - found[later])))
            if step < distance[later]:
                owner[later], distance[later] = owner[earlier], step
    return owner.astype(np.int64)


def pair(known: Positions, found: Positions, radius: float) -> NDArray[np.int64]:
    """Say for each candidate of another list which one of ours it is, (n,) index or -1.

    Both lists have told their candidates apart already, so each is paired once at the most: the closest pair first.
    """
    owner = np.full(len(found), -1, np.int64)
    if not len(known) or not len(found):
        return owner
    reach = float(np.nextafter(radius, np.inf))
    near = cKDTree(known).sparse_distance_matrix(cKDTree(found), reach, output_type="ndarray")
    taken: set[int] = set()
    for one in np.sort(near, order=("v", "i", "j")):
        ours, theirs = int(one["i"]), int(one["j"])
        if owner[theirs] < 0 and ours not in taken:
            owner[theirs] = ours
            taken.add(ours)
    return owner


def chord(radius: float) -> float:
    """The straight line between two points of the unit sphere, ``radius`` arcsec apart."""
    return float(2 * np.sin(np.radians(radius / 3600) / 2))


def unit_vectors(places: Positions) -> Positions:
    """Unit vectors (n, 3) of sky positions (n, 2) in degrees."""
    ra, dec = np.radians(places).T
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
