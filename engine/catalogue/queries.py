"""Reading the list of candidates: sorting and filtering is the database's work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, literal, select

from engine.catalogue import packed
from engine.catalogue.columns import KEPT, LASTING, Columns, sorted_places
from engine.catalogue.duplicates import repeated
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


#: Where fewer than one candidate in so many passes, those are sorted anew.
_FEW = 8

#: Ids to ask the database for, and whether those that it finds are wanted or all others.
Condition = tuple[Select[tuple[int]], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """Which candidates, and in which order.

    ``order`` is one of ORDERS; what has no value comes last, ties are in order of id. ``random`` gives each candidate a
    place of its own, by ``seed``, that stays when others come and go.

    ``grades`` keeps those with one of these grades (None: not graded yet), ``subclasses`` likewise, ``text`` those with
    it in name or note, in either case, ``mosaic`` those of one mosaic's id, ``known`` those that are in a catalogue of
    known objects or not; ``ranges`` limits columns of NUMBER_COLUMNS, inclusive. ``differ_by`` keeps those on which the
    worth of two persons' grades differs by as much or more, until they agreed on one; ``fewer_than`` those that fewer
    persons have graded. ``once`` leaves out what is the same object as another candidate, ``graders`` keeps those that
    one of these persons has graded, ``models`` those that one of these models scored last.

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
    once: bool = False
    graders: Collection[str] | None = None
    models: Collection[str] | None = None
    seen_by: str | None = None
    calibration: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ProjectError(f"candidates cannot be sorted by {self.order!r}: choose one of {', '.join(ORDERS)}")
        wrong = next((name for name in self.ranges if name not in NUMBER_COLUMNS), None)
        if wrong is not None:
            raise ProjectError(f"{wrong!r} is no column of numbers: choose one of {', '.join(NUMBER_COLUMNS)}")


def ids(connection: Connection, query: Query, scheme: Scheme, columns: Columns) -> NDArray[np.int64]:
    """Ids of the candidates that pass, sorted.

    Numbers and names are filtered and sorted in memory, what people said in the database, which has to hand out little.
    """
    conditions = _placed(query) + _said(query) + _teams(query, scheme)
    with columns.lock:
        columns.refresh(connection)
        chosen = np.ones(len(columns.ids), bool) if query.calibration else columns.survey.copy()
        for name, (low, high) in _ranges(query).items():
            value = _numbers_of(connection, columns, name, query.seen_by, scheme)
            if low is not None:
                chosen &= value >= low
            if high is not None:
                chosen &= value <= high
        for condition, wanted in conditions:
            passed = np.full(len(chosen), not wanted)
            passed[columns.places(_fetch_ids(connection, condition))] = wanted
            chosen &= passed
        if query.once:
            chosen[columns.places(repeated(connection))] = False
        if query.text:
            chosen &= columns.named(connection, query.text) | _noted(connection, columns, query.text, query.seen_by)
        found = columns.ids[chosen]
        if query.order == "random":
            return _shuffled(found, query.seed)
        if query.order == "id":
            return found[::-1].copy() if query.descending else found
        numbers = partial(_numbers_of, connection, columns, query.order, query.seen_by, scheme)
        if query.order not in LASTING or len(found) < len(chosen) // _FEW:
            value = numbers()[chosen]
            return found[sorted_places(-value if query.descending else value)]
        order, ordered = columns.ordered(query.order, query.descending, numbers)
        passed_in_order: NDArray[np.int64] = ordered[chosen[order]]
        return passed_in_order


def _ranges(query: Query) -> dict[str, tuple[float | None, float | None]]:
    ranges = {**query.ranges}
    if query.min_score is not None or query.max_score is not None:
        ranges["score"] = (query.min_score, query.max_score)
    return ranges


def _numbers_of(
    connection: Connection, columns: Columns, name: str, seen_by: str | None, scheme: Scheme
) -> NDArray[np.float64]:
    """A column as numbers to compare, NaN where there is no value; of texts, their places in alphabetical order.

    Grades have their place in the scheme, the best first; those it does not know come after them.
    """
    if name in KEPT:
        return columns.number(connection, name)
    if name == "name":
        return columns.rank_of_names(connection)
    if name == "model":
        return columns.rank_of_models(connection)
    value = np.full(len(columns.ids), np.nan)
    table, key = (opinions, opinions.c.candidate) if seen_by is not None else (candidates, candidates.c.id)
    said = select(key, table.c[name]).where(table.c[name].is_not(None), table.c[name] != SILENT.get(name, ""))
    rows = fetch(connection, said.where(opinions.c.grader == seen_by) if table is opinions else said)
    rows = [row for row in rows if row[1] != ""]
    if rows:
        at = columns.places(np.array(sorted(row[0] for row in rows), np.int64))
        given = [row[1] for row in sorted(rows)]
        if name in ("einstein_radius", "flag", "come_back"):
            value[at] = given
        else:
            known = [level.name for level in scheme.grades] if name == "grade" else []
            place = {text: k for k, text in enumerate([*known, *sorted({*given} - {*known})])}
            value[at] = [place[text] for text in given]
    return value


def _noted(connection: Connection, columns: Columns, text: str, seen_by: str | None) -> NDArray[np.bool_]:
    """Which candidates have a text in somebody's note, or in that of the one who looks."""
    query = select(opinions.c.candidate).where(opinions.c.note.icontains(text, autoescape=True))
    query = query if seen_by is None else query.where(opinions.c.grader == seen_by)
    found = np.zeros(len(columns.ids), bool)
    found[columns.places(_fetch_ids(connection, query))] = True
    return found


def _placed(query: Query) -> list[Condition]:
    conditions: list[Condition] = []
    if query.mosaic is not None:
        here = candidates.c.mosaic.in_(select(mosaics.c.number).where(mosaics.c.id == query.mosaic))
        conditions.append((select(candidates.c.id).where(here), True))
    if query.models is not None:
        conditions.append((select(candidates.c.id).where(candidates.c.model.in_(list(query.models))), True))
    if query.known is not None:
        conditions.append((select(known.c.candidate).where(known.c.candidate.is_not(None)), query.known))
    return conditions


def _said(query: Query) -> list[Condition]:
    """Conditions on what people said, or the one person who looks."""
    conditions: list[Condition] = []
    eyes = query.seen_by
    if query.grades is not None:
        given = [grade for grade in query.grades if grade is not None]
        if None in query.grades:  # most have no grade: all but those with another
            others = _is_said(eyes, "grade", lambda column: column.is_not(None) & column.not_in(given))
            conditions.append((others, False))
        else:
            conditions.append((_is_said(eyes, "grade", lambda column: column.in_(given)), True))
    if query.subclasses is not None:
        names = list(query.subclasses)
        conditions.append((_is_said(eyes, "subclass", lambda column: column.in_(names)), True))
    for name, on in (("flag", query.flagged), ("come_back", query.come_back)):
        if on is not None:
            conditions.append((_is_said(eyes, name, lambda column: column != 0), on))
    return conditions


def _is_said(
    seen_by: str | None, name: str, test: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> Select[tuple[int]]:
    if seen_by is not None:
        return select(opinions.c.candidate).where(opinions.c.grader == seen_by, test(opinions.c[name]))
    # By kind first, as the index is; calibration stamps are few.
    kinds = candidates.c.kind.in_(("", "painted", "known", "dud", "repeat"))
    return select(candidates.c.id).where(kinds, test(candidates.c[name]))


def _teams(query: Query, scheme: Scheme) -> list[Condition]:
    """Conditions on several persons' grades."""
    conditions: list[Condition] = []
    given, agreed = opinions.c.grade.is_not(None), opinions.c.agreed.is_not(None)
    graded = select(opinions.c.candidate).where(given | agreed).group_by(opinions.c.candidate)
    if query.differ_by is not None:
        worth = case(
            *((opinions.c.grade == level.name, literal(level.value)) for level in scheme.grades),
            *((func.substr(opinions.c.grade, 1, 1) == level.name, literal(level.value)) for level in scheme.grades),
        )
        apart = func.max(worth) - func.min(worth) >= query.differ_by
        last_agreed = func.max(opinions.c.agreed_at)
        still = last_agreed.is_(None) | (last_agreed < func.max(opinions.c.graded_at))
        conditions.append((graded.having(apart, still), True))
    if query.graders is not None:
        theirs = select(opinions.c.candidate).where(opinions.c.grader.in_(list(query.graders)), given)
        conditions.append((theirs, True))
    if query.fewer_than is not None:
        conditions.append((graded.having(func.count(opinions.c.grade) >= query.fewer_than), False))
    return conditions


def fetch(connection: Connection, query: Select[Any]) -> list[tuple[Any, ...]]:
    """All rows as plain tuples of the driver: a million of them without a million objects of SQLAlchemy."""
    cursor = connection.execute(query).cursor
    return [] if cursor is None else list(cursor.fetchall())


def _fetch_ids(connection: Connection, query: Select[tuple[int]]) -> NDArray[np.int64]:
    return packed.numbers(connection, query).astype(np.int64)


def _shuffled(found: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """In the order of a hash of id and seed (splitmix64, Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = found.astype(np.uint64) + np.uint64(seed % 2**32 << 32)
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return found[np.lexsort((found, mixed))]


def positions(connection: Connection, mosaic: str | None, columns: Columns) -> Positions:
    """Where all candidates are, with grade and score, in order of id."""
    with columns.lock:
        columns.refresh(connection)
        chosen = _found_on(connection, mosaic, columns)
        x, y, score = (columns.number(connection, name)[chosen] for name in ("x", "y", "score"))
        grades = np.full(len(chosen), None, object)
        given = select(candidates.c.id, candidates.c.grade).where(candidates.c.kind == "", candidates.c.grade > "")
        said = dict(fetch(connection, given.order_by(candidates.c.id)))
        at = columns.places(np.fromiter(said, np.int64, len(said)))
        grades[at] = [said[id] for id in columns.ids[at].tolist()]
        return Positions(columns.ids[chosen], np.stack([x, y], axis=1), grades[chosen], score)


def _found_on(connection: Connection, mosaic: str | None, columns: Columns) -> NDArray[np.bool_]:
    """Which candidates (n,) a scan found, of one mosaic's id if one is given; hold the lock of the columns."""
    if mosaic is None:
        return columns.survey
    numbers = {row.id: row.number for row in connection.execute(select(mosaics.c.id, mosaics.c.number))}
    if numbers.keys() == {mosaic}:  # the only one: its number need not be read a million times
        return columns.survey
    here: NDArray[np.bool_] = columns.survey & (columns.number(connection, "mosaic") == numbers.get(mosaic, 0))
    return here


def rows(
    connection: Connection, wanted: Sequence[int] | NDArray[np.int64], seen_by: str | None = None
) -> list[Candidate]:
    """The candidates of some ids, in their order; an id that does not exist is left out.

    With ``seen_by``, what people said of them is only what this person said.
    """
    numbers = [int(id) for id in wanted]
    found: dict[int, Candidate] = {}
    names: dict[int, str] = {}
    for part in chunks(numbers):
        own: dict[int, Mapping[Any, Any]] = {}
        if seen_by is not None:
            mine = select(opinions).where(opinions.c.candidate.in_(part), opinions.c.grader == seen_by)
            own = {row["candidate"]: row for row in connection.execute(mine).mappings()}
        rows = connection.execute(select(candidates).where(candidates.c.id.in_(part))).all()
        if not names.keys() >= {row.mosaic for row in rows}:  # after them: somebody may add both meanwhile
            names = {row.number: row.id for row in connection.execute(select(mosaics.c.number, mosaics.c.id))}
        for row in rows:
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
        same_as=said["same_as"],
    )


def counts(connection: Connection, mosaic: str | None, seen_by: str | None, columns: Columns) -> dict[str | None, int]:
    """How many candidates have each grade; None counts those that have none yet."""
    listed = [candidates.c.kind == ""]
    if mosaic is not None:
        listed.append(candidates.c.mosaic.in_(select(mosaics.c.number).where(mosaics.c.id == mosaic)))
    grade = candidates.c.grade if seen_by is None else opinions.c.grade
    counted = select(grade, func.count(candidates.c.id)).where(*listed, grade.is_not(None)).group_by(grade)
    if seen_by is not None:
        mine = (opinions.c.candidate == candidates.c.id) & (opinions.c.grader == seen_by)
        counted = counted.select_from(candidates.join(opinions, mine))
    found: dict[str | None, int] = {row[0]: row[1] for row in connection.execute(counted)}
    with columns.lock:  # the database would count them one by one
        columns.refresh(connection)
        left = int(np.count_nonzero(_found_on(connection, mosaic, columns))) - sum(found.values())
    return found | ({None: left} if left else {})
