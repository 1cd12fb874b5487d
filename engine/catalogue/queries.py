"""Reading the list of candidates: sorting and filtering is the database's work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from engine.catalogue.records import Positions, number
from engine.catalogue.schema import candidates, mosaics
from engine.errors import ProjectError
from engine.types import Candidate

#: Columns the list can be sorted by.
ORDERS = (
    "score",
    "raw_score",
    "spread",
    "id",
    "name",
    "ra",
    "dec",
    "x",
    "y",
    "flux",
    "radius",
    "signal_to_noise",
    "model",
    "mosaic",
    "grade",
    "grader",
    "graded_at",
    "note",
)

#: Rows are fetched so many at a time; SQLite takes up to 32,766 parameters.
_CHUNK = 10_000


def ids(
    connection: Connection,
    *,
    order: str,
    descending: bool,
    grades: Collection[str | None] | None,
    min_score: float | None,
    max_score: float | None,
    text: str | None,
    mosaic: str | None,
) -> NDArray[np.int64]:
    """Ids of the candidates that pass the filters, sorted; what has no value comes last, ties are in order of id."""
    if order not in ORDERS:
        raise ProjectError(f"candidates cannot be sorted by {order!r}: choose one of {', '.join(ORDERS)}")
    column = candidates.c[order]
    query = select(candidates.c.id).where(*_conditions(grades, min_score, max_score, text, mosaic))
    if order == "id":
        query = query.order_by(column.desc() if descending else column)
    else:
        query = query.order_by((column.desc() if descending else column.asc()).nulls_last(), candidates.c.id)
    return _numbers(connection, query)


def _conditions(
    grades: Collection[str | None] | None,
    min_score: float | None,
    max_score: float | None,
    text: str | None,
    mosaic: str | None,
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if grades is not None:
        wanted = candidates.c.grade.in_([grade for grade in grades if grade is not None])
        conditions.append(or_(wanted, candidates.c.grade.is_(None)) if None in grades else wanted)
    if min_score is not None:
        conditions.append(candidates.c.score >= min_score)
    if max_score is not None:
        conditions.append(candidates.c.score <= max_score)
    if text:
        conditions.append(or_(*(candidates.c[name].icontains(text, autoescape=True) for name in ("name", "note"))))
    if mosaic is not None:
        conditions.append(candidates.c.mosaic.in_(select(mosaics.c.number).where(mosaics.c.id == mosaic)))
    return conditions


def fetch(connection: Connection, query: Select[Any]) -> list[tuple[Any, ...]]:
    """All rows as plain tuples of the driver: a million of them without a million objects of SQLAlchemy."""
    cursor = connection.execute(query).cursor
    return [] if cursor is None else list(cursor.fetchall())


def _numbers(connection: Connection, query: Select[tuple[int]]) -> NDArray[np.int64]:
    return np.fromiter((row[0] for row in fetch(connection, query)), np.int64)


def positions(connection: Connection, mosaic: str | None) -> Positions:
    """Where all candidates are, with grade and score, in order of id."""
    columns = (candidates.c[name] for name in ("id", "x", "y", "grade", "score"))
    query = select(*columns).where(*_conditions(None, None, None, None, mosaic)).order_by(candidates.c.id)
    found = fetch(connection, query)
    xy = np.fromiter((value for row in found for value in row[1:3]), np.float64, 2 * len(found)).reshape(-1, 2)
    return Positions(
        np.fromiter((row[0] for row in found), np.int64, len(found)),
        xy,
        tuple(row[3] for row in found),
        np.fromiter((number(row[4]) for row in found), np.float64, len(found)),
    )


def rows(connection: Connection, wanted: Sequence[int] | NDArray[np.int64]) -> list[Candidate]:
    """The candidates of some ids, in their order; an id that does not exist is left out."""
    numbers = [int(id) for id in wanted]
    names = {row.number: row.id for row in connection.execute(select(mosaics.c.number, mosaics.c.id))}
    found: dict[int, Candidate] = {}
    for start in range(0, len(numbers), _CHUNK):
        query = select(candidates).where(candidates.c.id.in_(numbers[start : start + _CHUNK]))
        found.update((row.id, _candidate(row, names)) for row in connection.execute(query))
    return [found[id] for id in numbers if id in found]


def _candidate(row: Row[*tuple[Any, ...]], mosaic_ids: dict[int, str]) -> Candidate:
    return Candidate(
        id=row.id,
        name=row.name,
        ra=row.ra,
        dec=row.dec,
        x=row.x,
        y=row.y,
        flux=number(row.flux),
        radius=number(row.radius),
        signal_to_noise=number(row.signal_to_noise),
        score=number(row.score),
        raw_score=number(row.raw_score),
        spread=number(row.spread),
        model=row.model,
        mosaic=mosaic_ids[row.mosaic],
        grade=row.grade,
        grader=row.grader,
        graded_at=None if row.graded_at is None else datetime.fromisoformat(row.graded_at),
        note=row.note,
    )


def counts(connection: Connection, mosaic: str | None) -> dict[str | None, int]:
    """How many candidates have each grade; None counts those that have none yet."""
    query = select(candidates.c.grade, func.count()).group_by(candidates.c.grade)
    for condition in _conditions(None, None, None, None, mosaic):
        query = query.where(condition)
    return {row[0]: row[1] for row in connection.execute(query)}
