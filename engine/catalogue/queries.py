"""Reading the list of candidates: sorting and filtering is the database's work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, literal, or_, select

from engine.catalogue.opinions import SILENT, chunks
from engine.catalogue.records import Positions, moment, number
from engine.catalogue.schema import candidates, known, mosaics, opinions
from engine.catalogue.scheme import Scheme
from engine.errors import ProjectError
from engine.types import Candidate

#: Number columns that ranges can limit.
NUMBER_COLUMNS = (
    "score", "raw_score", "spread", "ra", "dec", "x", "y", "flux", "radius", "signal_to_noise", "einstein_radius",
)  # fmt: skip

#: What the list can be sorted by.
ORDERS = (
    *NUMBER_COLUMNS, "id", "name", "model", "mosaic", "grade", "grader", "graded_at", "note", "subclass", "flag",
    "come_back", "random",
)  # fmt: skip

_SAID = ("grade", "graded_at", "subclass", "note", "flag", "come_back", "einstein_radius")


@dataclass(frozen=True, slots=True)
class Query:
    """Which candidates, and in which order.

    ``order`` is one of ORDERS; what has no value comes last, ties are in order of id. ``random`` gives each candidate a
    place of its own, by ``seed``, that stays when others come and go.

    ``grades`` keeps those with one of these grades (None: not graded yet), ``subclasses`` likewise, ``text`` those with
    it in name or note, in either case, ``mosaic`` those of one mosaic's id, ``known`` those that are in a catalogue of
    known objects or not; ``ranges`` limits columns of NUMBER_COLUMNS, inclusive. ``differ_by`` keeps those on which the
    worth of two persons' grades differs by as much or more, ``fewer_than`` those that fewer persons have graded.

    ``seen_by`` is whose eyes to look with: grade, subclass, note, flags and measures are then this person's own, and
    what the others said plays no part but in ``differ_by`` and ``fewer_than``. ``calibration`` takes calibration stamps
    in, which every list leaves out else.
    """

    order: str = "score"
    descending: bool = True
    grades: Collection[str | None] | None = None
    min_score: float | None = None
    max_score: float | None = None
    text: str | None = None
    mosaic: str | None = None
    subclasses: Collection[str] | None = None
    flagged: bool | None = None
    come_back: bool | None = None
    known: bool | None = None
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    differ_by: float | None = None
    fewer_than: int | None = None
    seen_by: str | None = None
    calibration: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ProjectError(f"candidates cannot be sorted by {self.order!r}: choose one of {', '.join(ORDERS)}")
        wrong = next((name for name in self.ranges if name not in NUMBER_COLUMNS), None)
        if wrong is not None:
            raise ProjectError(f"{wrong!r} is no column of numbers: choose one of {', '.join(NUMBER_COLUMNS)}")


def ids(connection: Connection, query: Query, scheme: Scheme) -> NDArray[np.int64]:
    """Ids of the candidates that pass, sorted."""
    wanted = select(candidates.c.id).where(*_conditions(query, scheme))
    if query.order == "random":
        return _shuffled(_numbers(connection, wanted), query.seed)
    column = _column(query.order, query.seen_by)
    if query.order == "id":
        wanted = wanted.order_by(column.desc() if query.descending else column)
    else:
        wanted = wanted.order_by((column.desc() if query.descending else column.asc()).nulls_last(), candidates.c.id)
    return _numbers(connection, wanted)


def _column(name: str, seen_by: str | None) -> ColumnElement[Any]:
    """A column of the list; of what is said, only what one person said if one is named."""
    if seen_by is None or name not in _SAID:
        return candidates.c[name]
    own = select(opinions.c[name]).where(opinions.c.candidate == candidates.c.id, opinions.c.grader == seen_by)
    return func.coalesce(own.scalar_subquery(), SILENT[name])


def _conditions(query: Query, scheme: Scheme) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if not query.calibration:
        conditions.append(candidates.c.kind == "")
    ranges = {**query.ranges}
    if query.min_score is not None or query.max_score is not None:
        ranges["score"] = (query.min_score, query.max_score)
    for name, (low, high) in ranges.items():
        if low is not None:
            conditions.append(candidates.c[name] >= low)
        if high is not None:
            conditions.append(candidates.c[name] <= high)
    if query.mosaic is not None:
        conditions.append(candidates.c.mosaic.in_(select(mosaics.c.number).where(mosaics.c.id == query.mosaic)))
    if query.known is not None:
        listed = candidates.c.id.in_(select(known.c.candidate).where(known.c.candidate.is_not(None)))
        conditions.append(listed if query.known else ~listed)
    return conditions + _said(query) + _teams(query, scheme)


def _said(query: Query) -> list[ColumnElement[bool]]:
    """Conditions on what people said, or the one person who looks."""
    conditions: list[ColumnElement[bool]] = []
    eyes = query.seen_by
    if query.grades is not None:
        given = [grade for grade in query.grades if grade is not None]
        wanted = _is_said(eyes, "grade", lambda column: column.in_(given))
        none = ~_is_said(eyes, "grade", lambda column: column.is_not(None))
        conditions.append(or_(wanted, none) if None in query.grades else wanted)
    if query.subclasses is not None:
        names = list(query.subclasses)
        conditions.append(_is_said(eyes, "subclass", lambda column: column.in_(names)))
    for name, on in (("flag", query.flagged), ("come_back", query.come_back)):
        if on is not None:
            said = _is_said(eyes, name, lambda column: column != 0)
            conditions.append(said if on else ~said)
    if query.text:
        text = query.text
        in_note = _is_said(eyes, "note", lambda column: column.icontains(text, autoescape=True))
        conditions.append(or_(candidates.c.name.icontains(text, autoescape=True), in_note))
    return conditions


def _is_said(
    seen_by: str | None, name: str, test: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> ColumnElement[bool]:
    if seen_by is None:
        return test(candidates.c[name])
    return candidates.c.id.in_(select(opinions.c.candidate).where(opinions.c.grader == seen_by, test(opinions.c[name])))


def _teams(query: Query, scheme: Scheme) -> list[ColumnElement[bool]]:
    """Conditions on several persons' grades."""
    conditions: list[ColumnElement[bool]] = []
    graded = select(opinions.c.candidate).where(opinions.c.grade.is_not(None)).group_by(opinions.c.candidate)
    if query.differ_by is not None:
        worth = case(
            *((opinions.c.grade == level.name, literal(level.value)) for level in scheme.grades),
            *((func.substr(opinions.c.grade, 1, 1) == level.name, literal(level.value)) for level in scheme.grades),
        )
        apart = func.max(worth) - func.min(worth) >= query.differ_by
        conditions.append(candidates.c.id.in_(graded.having(apart)))
    if query.fewer_than is not None:
        conditions.append(candidates.c.id.not_in(graded.having(func.count() >= query.fewer_than)))
    return conditions


def fetch(connection: Connection, query: Select[Any]) -> list[tuple[Any, ...]]:
    """All rows as plain tuples of the driver: a million of them without a million objects of SQLAlchemy."""
    cursor = connection.execute(query).cursor
    return [] if cursor is None else list(cursor.fetchall())


def _numbers(connection: Connection, query: Select[tuple[int]]) -> NDArray[np.int64]:
    return np.fromiter((row[0] for row in fetch(connection, query)), np.int64)


def _shuffled(found: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """In the order of a hash of id and seed (splitmix64, Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = found.astype(np.uint64) + np.uint64(seed % 2**32 << 32)
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return found[np.lexsort((found, mixed))]


def positions(connection: Connection, mosaic: str | None) -> Positions:
    """Where all candidates are, with grade and score, in order of id."""
    query = select(*(candidates.c[name] for name in ("id", "x", "y", "grade", "score"))).where(candidates.c.kind == "")
    if mosaic is not None:
        query = query.where(candidates.c.mosaic.in_(select(mosaics.c.number).where(mosaics.c.id == mosaic)))
    found = fetch(connection, query.order_by(candidates.c.id))
    xy = np.fromiter((value for row in found for value in row[1:3]), np.float64, 2 * len(found)).reshape(-1, 2)
    return Positions(
        np.fromiter((row[0] for row in found), np.int64, len(found)),
        xy,
        tuple(row[3] for row in found),
        np.fromiter((number(row[4]) for row in found), np.float64, len(found)),
    )


def rows(
    connection: Connection, wanted: Sequence[int] | NDArray[np.int64], seen_by: str | None = None
) -> list[Candidate]:
    """The candidates of some ids, in their order; an id that does not exist is left out.

    With ``seen_by``, what people said of them is only what this person said.
    """
    numbers = [int(id) for id in wanted]
    names = {row.number: row.id for row in connection.execute(select(mosaics.c.number, mosaics.c.id))}
    found: dict[int, Candidate] = {}
    for part in chunks(numbers):
        own: dict[int, Mapping[Any, Any]] = {}
        if seen_by is not None:
            mine = select(opinions).where(opinions.c.candidate.in_(part), opinions.c.grader == seen_by)
            own = {row["candidate"]: row for row in connection.execute(mine).mappings()}
        query = select(candidates).where(candidates.c.id.in_(part))
        for row in connection.execute(query):
            said = row._mapping if seen_by is None else own.get(row.id, {**SILENT, "grader": ""})
            found[row.id] = _candidate(row, names, said)
    return [found[id] for id in numbers if id in found]


def _candidate(row: Row[*tuple[Any, ...]], mosaic_ids: dict[int, str], said: Mapping[Any, Any]) -> Candidate:
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
        grade=said["grade"],
        grader=said["grader"] if said["grade"] is not None else "",
        graded_at=moment(said["graded_at"]),
        note=said["note"],
        subclass=said["subclass"],
        flag=bool(said["flag"]),
        come_back=bool(said["come_back"]),
        einstein_radius=said["einstein_radius"],
        kind=row.kind,
    )


def counts(connection: Connection, query: Query, scheme: Scheme) -> dict[str | None, int]:
    """How many candidates have each grade; None counts those that have none yet."""
    grade = _column("grade", query.seen_by)
    counted = select(grade, func.count()).where(*_conditions(query, scheme)).group_by(grade)
    return {row[0]: row[1] for row in connection.execute(counted)}
