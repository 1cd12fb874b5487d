"""Calibration stamps: candidates put in to learn how well people grade, and what they tell of each grader.

Four kinds: ``painted`` (a galaxy of the mosaic with a simulated arc), ``known`` (a published lens that no scan found),
``dud`` (a source drawn at random, hardly ever a lens) and ``repeat`` (a candidate a second time). They are graded like
any other candidate and left out of every list, count and catalogue.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from engine.catalogue.names import iau_name, pixel_name
from engine.catalogue.opinions import chunks
from engine.catalogue.queries import fetch
from engine.catalogue.schema import calibration, candidates, known, mosaics, opinions, runs
from engine.catalogue.store import Project
from engine.types import Changes, FloatArray

KINDS = ("painted", "known", "dud", "repeat")

#: Edges of the bins of Einstein radius (arcsec) and of the arc's signal-to-noise in which completeness is told.
RADII = (0.0, 0.75, 1.0, 1.5, 2.0, 3.0, np.inf)
SIGNALS = (0.0, 20.0, 40.0, 80.0, 160.0, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationItem:
    """A calibration stamp: where it is, what is true of it, and the arc to add to the mosaic's pixels.

    ``uuid`` is the same wherever the same stamp is made anew. ``is_lens`` is None of a repeat. ``arc`` is
    (band, ny, nx) in units of the mosaic, its first pixel at (x0, y0).
    """

    uuid: str
    kind: str
    x: float
    y: float
    ra: float | None = None
    dec: float | None = None
    is_lens: bool | None = None
    einstein_radius: float | None = None
    arc_snr: float | None = None
    repeats: int | None = None
    arc: FloatArray | None = None
    x0: int = 0
    y0: int = 0
    score: float = float("nan")
    raw_score: float = float("nan")
    spread: float = float("nan")
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``count``, with the 68 % interval of Wilson; NaN where nothing was counted."""

    hits: int
    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Completeness between two values."""

    low: float
    high: float
    found: Share


@dataclass(frozen=True, slots=True)
class GraderReport:
    """How one person grades.

    ``completeness`` is of the lenses shown those called a lens, ``kept`` those not rejected; ``by_radius`` and
    ``by_signal`` are of painted arcs alone. ``false_positives`` are of the duds those called a lens, ``consistency`` of
    the repeats those given the same grade again.
    """

    grader: str
    graded: int
    completeness: Share
    kept: Share
    by_radius: tuple[Bin, ...]
    by_signal: tuple[Bin, ...]
    false_positives: Share
    consistency: Share


def add_stamps(project: Project, mosaic_id: str, items: Sequence[CalibrationItem], model: str) -> Changes:
    """Put calibration stamps of a known mosaic into a project; those that are there already are left out."""
    with project.writing() as connection:
        have = {row[0] for row in fetch(connection, select(calibration.c.uuid))}
        new = [item for item in items if item.uuid not in have]
        if not new:
            return Changes("Calibration stamps")
        mosaic = connection.execute(select(mosaics).where(mosaics.c.id == mosaic_id)).one()
        run = connection.execute(select(func.max(runs.c.id)).where(runs.c.mosaic == mosaic.number)).scalar_one()
        first = int(connection.execute(select(func.max(candidates.c.id))).scalar() or 0) + 1
        rows, truths = [], []
        for number, item in enumerate(new, first):
            row = _candidate(item, mosaic.stem)
            rows.append({**row, "id": number, "mosaic": mosaic.number, "model": model, "run": run})
            truths.append({**_truth(item), "candidate": number})
        connection.execute(candidates.insert(), rows)
        connection.execute(calibration.insert(), truths)
    return Changes("Calibration stamps", tuple(row["id"] for row in rows), frozenset({"candidates"}))


def _candidate(item: CalibrationItem, stem: str) -> dict[str, Any]:
    placed = item.ra is not None and item.dec is not None
    name = iau_name(item.ra or 0.0, item.dec or 0.0) if placed else pixel_name(stem, item.x, item.y)
    scores = {name: getattr(item, name) for name in ("score", "raw_score", "spread")}
    return {
        **{what: None if value != value else value for what, value in scores.items()},
        **{what: getattr(item, what) for what in ("kind", "x", "y", "ra", "dec")},
        "name": name,
    }


def _truth(item: CalibrationItem) -> dict[str, Any]:
    return {
        **{name: getattr(item, name) for name in ("uuid", "kind", "einstein_radius", "arc_snr", "repeats", "x0", "y0")},
        "is_lens": None if item.is_lens is None else int(item.is_lens),
        "arc": None if item.arc is None else _packed(item.arc),
    }


def _packed(arc: FloatArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(arc, np.float32), allow_pickle=False)
    return zlib.compress(buffer.getvalue())


def stamps(project: Project, ids: Sequence[int] | NDArray[np.int64] | None = None) -> dict[int, CalibrationItem]:
    """The calibration stamps among some candidates, or all there are, by id."""
    columns = [candidates.c[name] for name in ("id", "x", "y", "ra", "dec", "score", "raw_score", "spread")]
    query = select(calibration, *columns).join(candidates, candidates.c.id == calibration.c.candidate)
    found: dict[int, CalibrationItem] = {}
    with project.reading() as connection:
        if ids is None:
            rows = list(connection.execute(query))
        else:
            parts = [query.where(candidates.c.id.in_(part)) for part in chunks([int(number) for number in ids])]
            rows = [row for part in parts for row in connection.execute(part)]
    for row in rows:
        values: dict[str, Any] = {name: row._mapping[name] for name in CalibrationItem.__slots__}
        scores = {name: np.nan if values[name] is None else values[name] for name in ("score", "raw_score", "spread")}
        is_lens = None if row.is_lens is None else bool(row.is_lens)
        arc = None if row.arc is None else np.load(io.BytesIO(zlib.decompress(row.arc)), allow_pickle=False)
        corner = {"x0": row.x0 or 0, "y0": row.y0 or 0}
        found[row.id] = CalibrationItem(**{**values, **scores, **corner, "is_lens": is_lens, "arc": arc})
    return found


def kinds(project: Project) -> dict[str, int]:
    """How many stamps of each kind there are, without reading their arcs."""
    query = select(calibration.c.kind, func.count()).group_by(calibration.c.kind)
    with project.reading() as connection:
        return {row[0]: int(row[1]) for row in fetch(connection, query)}


def grader_report(project: Project) -> list[GraderReport]:
    """What calibration stamps tell of each grader, in order of names; candidates that are known lenses count too."""
    items = stamps(project)
    listed = select(known.c.candidate).where(known.c.candidate.is_not(None)).distinct()
    given: dict[str, dict[int, str]] = {}
    with project.reading() as connection:
        lenses = {row[0] for row in fetch(connection, listed)}
        said = select(opinions.c.grader, opinions.c.candidate, opinions.c.grade).where(opinions.c.grade.is_not(None))
        for grader, candidate, grade in fetch(connection, said.order_by(opinions.c.grader)):
            given.setdefault(grader, {})[candidate] = grade
    scheme = project.scheme()

    def calls(grade: str) -> bool | None:
        level = scheme.level(grade)
        return None if level is None else level.lens

    return [_report(grader, grades, items, lenses, calls) for grader, grades in given.items()]


def _report(
    grader: str,
    grades: dict[int, str],
    items: dict[int, CalibrationItem],
    known_lenses: set[int],
    calls: Callable[[str], bool | None],
) -> GraderReport:
    shown = {number: calls(grade) for number, grade in grades.items()}
    true = [n for n in shown if n in known_lenses or (n in items and items[n].is_lens)]
    painted = [(items[n], shown[n]) for n in true if n in items and items[n].kind == "painted"]
    duds = [shown[n] for n in shown if n in items and items[n].is_lens is False]
    twice = [
        grade == grades[item.repeats]
        for n, grade in grades.items()
        if (item := items.get(n)) is not None and item.repeats is not None and item.repeats in grades
    ]
    return GraderReport(
        grader,
        len(grades),
        share(shown[n] is True for n in true),
        share(shown[n] is not False for n in true),
        _bins(((item.einstein_radius, call is True) for item, call in painted), RADII),
        _bins(((item.arc_snr, call is True) for item, call in painted), SIGNALS),
        share(call is True for call in duds),
        share(twice),
    )


def _bins(found: Iterable[tuple[float | None, bool]], edges: Sequence[float]) -> tuple[Bin, ...]:
    pairs = [(value, hit) for value, hit in found if value is not None]
    return tuple(
        Bin(low, high, share(inside))
        for low, high in pairwise(edges)
        if (inside := [hit for value, hit in pairs if low <= value < high])
    )


def share(hits: Iterable[bool]) -> Share:
    """How many of some are true, with the interval of Wilson (1927, JASA 22, 209)."""
    from astropy.stats import binom_conf_interval

    counted = list(hits)
    if not counted:
        return Share(0, 0, np.nan, np.nan, np.nan)
    low, high = binom_conf_interval(sum(counted), len(counted), interval="wilson")
    return Share(sum(counted), len(counted), sum(counted) / len(counted), float(low), float(high))
