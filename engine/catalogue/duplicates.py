"""One object that is two candidates or more: which lie close together, and which somebody said are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from sqlalchemy import Connection, select

from engine.catalogue.identity import chord, unit_vectors
from engine.catalogue.schema import candidates, opinions

if TYPE_CHECKING:
    from engine.catalogue.store import Project


def duplicates(project: Project, radius: float) -> list[tuple[int, ...]]:
    """Candidates that lie within ``radius`` arcsec of each other, as on mosaics that overlap.

    Where several lie in a chain they are one group, however long it is. Groups of ids, sorted; those without a place on
    the sky are in none.
    """
    query = select(candidates.c.id, candidates.c.ra, candidates.c.dec).where(
        candidates.c.ra.is_not(None), candidates.c.kind == ""
    )
    with project.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query.order_by(candidates.c.id))]
    table = np.array(rows, np.float64).reshape(-1, 3)
    if len(table) < 2:
        return []
    pairs = cKDTree(unit_vectors(table[:, 1:])).query_pairs(chord(radius), output_type="ndarray")
    close, place = np.unique(pairs, return_inverse=True)
    first, second = place.reshape(-1, 2).T
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(close), len(close)))
    group = connected_components(links, directed=False)[1]
    found: dict[int, list[int]] = {}
    for number, one in zip(table[close, 0].astype(int).tolist(), group.tolist(), strict=True):
        found.setdefault(one, []).append(number)
    return sorted(map(tuple, found.values()))


def repeated(connection: Connection) -> NDArray[np.int64]:
    """Ids (n,) of the candidates that are the same object as another one, after the newest statement on each.

    Of candidates that are said to be the same as each other, round in a ring, the first by name is left.
    """
    spoken = select(opinions.c.candidate).where(opinions.c.same_as.is_not(None))
    query = select(candidates.c.id, candidates.c.same_as, candidates.c.name).where(
        candidates.c.id.in_(spoken), candidates.c.same_as != candidates.c.id
    )
    rows = connection.execute(query).all()
    other, names = {row.id: row.same_as for row in rows}, {row.id: row.name for row in rows}
    kept = set()
    for number in other:
        ring = _ring(number, other)
        if ring:
            kept.add(min(ring, key=lambda one: (names[one], one)))
    return np.array(sorted(other.keys() - kept), np.int64)


def _ring(start: int, other: dict[int, int]) -> list[int]:
    """The candidates that lead round to ``start`` again; none where the way ends or goes elsewhere."""
    ring, here = [start], other.get(start)
    while here is not None and here not in ring:
        ring.append(here)
        here = other.get(here)
    return ring if here == start else []
