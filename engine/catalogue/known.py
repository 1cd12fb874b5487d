"""Known objects: which candidates are in catalogues, by whom and how graded, and which objects no scan found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sqlalchemy import ColumnElement, Connection, select

from engine.catalogue.identity import chord, unit_vectors
from engine.catalogue.journal import inserted
from engine.catalogue.known_files import KnownObjects
from engine.catalogue.opinions import chunks
from engine.catalogue.queries import fetch
from engine.catalogue.records import now, to_json
from engine.catalogue.schema import candidates, catalogues, known, mosaics
from engine.catalogue.store import Project
from engine.errors import ProjectError
from engine.types import Positions, Step

#: Arcsec within which a catalogue's position and a candidate are one object, unless said otherwise.
RADIUS = 3.0
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class KnownMatch:
    """What a catalogue says of an object; ``separation`` is arcsec, ``candidate`` None where no scan found it."""

    candidate: int | None
    name: str
    ra: float
    dec: float
    separation: float | None
    reference: str
    grading: str
    catalogue: str


@dataclass(frozen=True, slots=True)
class CrossmatchReport:
    """How many objects of a catalogue lie on the mosaics, are candidates, or were missed; and how many candidates."""

    objects: int
    on_mosaics: int
    matched: int
    missed: int
    candidates: int


def crossmatch(project: Project, objects: KnownObjects, radius: float = RADIUS) -> Iterator[Step]:
    """Match a catalogue with the candidates and keep the result; the last step's item is a ``CrossmatchReport``.

    Each object goes to the candidate next to it within ``radius`` arcsec, and a candidate may be several objects. What
    the same file gave before is replaced.

    Raises
    ------
    ProjectError : no candidate has a place on the sky, or a radius of 0 and less
    """
    if not radius > 0:
        raise ProjectError("the radius is some arcsec above 0: give one such as 3")
    places, prints = _places(project)
    if not len(places) and not prints:
        raise ProjectError("no mosaic of this project has a WCS: a catalogue cannot be matched without sky positions")
    tree = cKDTree(unit_vectors(places[:, 2:])) if len(places) else None
    lines: list[dict[str, Any]] = []
    for start in range(0, len(objects), _BATCH):
        yield Step(start, len(objects), note=f"{len(lines)} objects on these mosaics")
        part = np.arange(start, min(start + _BATCH, len(objects)))
        sky = np.column_stack([objects.ra[part], objects.dec[part]])
        on = np.full(len(part), -1, np.int64)
        for number, corners in prints:
            on[_inside(sky, corners)] = number
        near, apart = _nearest(tree, sky, radius)
        for k, row, distance, mosaic in zip(part.tolist(), near.tolist(), apart.tolist(), on.tolist(), strict=True):
            if row >= 0:
                lines.append(_line(objects, k, int(places[row, 0]), int(places[row, 1]), round(distance, 3)))
            elif mosaic >= 0:
                lines.append(_line(objects, k, None, mosaic, None))
    with project.writing() as connection:
        _keep(connection, objects, radius, lines)
    found_ids = [line["candidate"] for line in lines if line["candidate"] is not None]
    report = CrossmatchReport(
        len(objects), len(lines), len(found_ids), len(lines) - len(found_ids), len(set(found_ids))
    )
    yield Step(len(objects), len(objects), (report,), f"{report.candidates} candidates are known")


def _places(project: Project) -> tuple[NDArray[np.float64], list[tuple[int, Positions]]]:
    """Id, mosaic, RA and Dec (n, 4) of the candidates on the sky; number and corners of each mosaic."""
    found = select(*(candidates.c[name] for name in ("id", "mosaic", "ra", "dec")))
    found = found.where(candidates.c.ra.is_not(None), candidates.c.kind == "")
    prints = select(mosaics.c.number, mosaics.c.footprint).where(mosaics.c.footprint.is_not(None))
    with project.reading() as connection:
        table = np.array(fetch(connection, found), np.float64).reshape(-1, 4)
        corners = [(int(row[0]), np.array(json.loads(row[1]), np.float64)) for row in fetch(connection, prints)]
    return table, corners


def _nearest(tree: cKDTree | None, sky: Positions, radius: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Row of the nearest candidate and its distance in arcsec; -1 where there is none within the radius."""
    near, apart = np.full(len(sky), -1, np.int64), np.full(len(sky), np.inf)
    if tree is not None:
        found = tree.query(unit_vectors(sky), distance_upper_bound=chord(radius))
        length, index = np.asarray(found[0]), np.asarray(found[1])
        close = np.isfinite(length)
        near[close], apart[close] = index[close], np.degrees(2 * np.arcsin(length[close] / 2)) * 3600
    return near, apart


def _line(
    objects: KnownObjects, k: int, candidate: int | None, mosaic: int, separation: float | None
) -> dict[str, Any]:
    return {
        "candidate": candidate,
        "mosaic": mosaic,
        "name": objects.names[k],
        "ra": float(objects.ra[k]),
        "dec": float(objects.dec[k]),
        "separation": separation,
        "reference": objects.references[k],
        "grading": objects.gradings[k],
    }


def _keep(connection: Connection, objects: KnownObjects, radius: float, lines: Sequence[dict[str, Any]]) -> None:
    name = objects.source.name
    old = connection.execute(select(catalogues.c.id).where(catalogues.c.name == name)).scalar()
    if old is not None:
        connection.execute(known.delete().where(known.c.catalogue == old))
        connection.execute(catalogues.delete().where(catalogues.c.id == old))
    row = {
        "name": name,
        "path": str(objects.source.absolute()),
        "columns": to_json(objects.columns),
        "matched_at": now(),
        "radius": radius,
        "objects": len(objects),
    }
    number = inserted(connection.execute(catalogues.insert(), row))
    if lines:
        connection.execute(known.insert(), [{**line, "catalogue": number} for line in lines])


def matches(project: Project, ids: Sequence[int] | NDArray[np.int64]) -> dict[int, list[KnownMatch]]:
    """What catalogues say of candidates, the nearest first; a candidate in none has an empty list."""
    numbers = [int(number) for number in ids]
    found: dict[int, list[KnownMatch]] = {number: [] for number in numbers}
    for part in chunks(numbers):
        for match in _read(project, known.c.candidate.in_(part)):
            assert match.candidate is not None
            found[match.candidate].append(match)
    return found


def missed(project: Project) -> list[KnownMatch]:
    """Objects of the catalogues that lie on a mosaic and are no candidate."""
    return _read(project, known.c.candidate.is_(None))


def _read(project: Project, condition: ColumnElement[bool]) -> list[KnownMatch]:
    columns = [known.c[name] for name in ("candidate", "name", "ra", "dec", "separation", "reference", "grading")]
    query = select(*columns, catalogues.c.name).join(catalogues).where(condition)
    with project.reading() as connection:
        return [KnownMatch(*row) for row in fetch(connection, query.order_by(known.c.separation, known.c.id))]


def _inside(places: Positions, corners: Positions) -> NDArray[np.bool_]:
    """Whether sky positions lie in the convex patch between great circles through its corners, given in turn."""
    points, edges = unit_vectors(places), unit_vectors(corners)
    side = points @ np.cross(edges, np.roll(edges, -1, axis=0)).T
    centre = edges.mean(0)
    return np.asarray((np.all(side >= 0, axis=1) | np.all(side <= 0, axis=1)) & (points @ centre > 0))
