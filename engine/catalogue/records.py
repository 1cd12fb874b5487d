"""What a project hands out beside candidates: mosaics, runs, scores and events of the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row


@dataclass(frozen=True, slots=True)
class MosaicRecord:
    """A mosaic as a project knows it; ``paths`` open it again, ``match_radius`` is in pixels."""

    id: str
    name: str
    paths: tuple[Path, ...]
    shape: tuple[int, int]
    bands: tuple[str, ...]
    pixel_scale: float | None
    has_wcs: bool
    extension: str
    match_radius: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One scan of a mosaic; ``state`` is running, interrupted, or what the scan ended with."""

    id: int
    mosaic: str
    model: str
    settings: Mapping[str, Any]
    started: datetime
    finished: datetime | None
    state: str


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Where candidates are, to draw them all: ids (n,), ``xy`` (n, 2) in pixels, grades (n,) and scores (n,).

    A grade is None where there is none.
    """

    ids: NDArray[np.int64]
    xy: NDArray[np.float64]
    grades: NDArray[np.object_]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """What one model said of a candidate in one run."""

    run: int
    model: str
    score: float
    raw_score: float
    spread: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the journal: what was said of a candidate, by whom, when and looking at what.

    ``kind`` is grade, subclass, note, flag, come_back, einstein_radius, same_as, agreed, reveal, control (drawn at
    random) or scheme, which is about the project: its ``candidate`` is None. ``payload`` has what was stated and, under
    ``before``, what the same person said until then; ``action`` is do, undo or redo; events of one operation are
    undone together. ``model`` is the key of the score that was shown, ``display`` the state of the display, ``dwell``
    the seconds spent on the candidate.
    """

    id: int
    uuid: str
    operation: str
    action: str
    grader: str
    at: datetime
    candidate: int | None
    kind: str
    payload: Mapping[str, Any]
    model: str
    display: Mapping[str, Any] | None
    dwell: float | None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person says of one candidate.

    ``einstein_radius`` is arcsec; ``same_as`` the candidate that this one is a duplicate of, or its own id where it is
    an object of its own; ``agreed`` the grade that the team agreed on, as this person wrote it down.
    """

    candidate: int
    grader: str
    grade: str | None
    graded_at: datetime | None
    subclass: str
    note: str
    flag: bool
    come_back: bool
    einstein_radius: float | None
    same_as: int | None = None
    agreed: str | None = None
    agreed_at: datetime | None = None


def mosaic(row: Row[*tuple[Any, ...]]) -> MosaicRecord:
    """A row of the table ``mosaics``."""
    return MosaicRecord(
        id=row.id,
        name=row.name,
        paths=tuple(Path(path) for path in json.loads(row.paths)),
        shape=(row.ny, row.nx),
        bands=tuple(json.loads(row.bands)),
        pixel_scale=row.pixel_scale,
        has_wcs=bool(row.has_wcs),
        extension=row.extension,
        match_radius=row.match_radius,
    )


def run(row: Row[*tuple[Any, ...]]) -> RunRecord:
    """A row of the table ``runs`` with the ``mosaic_id``."""
    return RunRecord(
        id=row.id,
        mosaic=row.mosaic_id,
        model=row.model,
        settings=json.loads(row.settings),
        started=datetime.fromisoformat(row.started),
        finished=None if row.finished is None else datetime.fromisoformat(row.finished),
        state=row.state,
    )


def score(row: Row[*tuple[Any, ...]]) -> ScoreRecord:
    """A row of the table ``scores`` with the time its run ``started``."""
    return ScoreRecord(
        run=row.run,
        model=row.model,
        score=number(row.score),
        raw_score=number(row.raw_score),
        spread=number(row.spread),
        at=datetime.fromisoformat(row.started),
    )


def number(value: float | None) -> float:
    """A stored number; what is not a number is stored as no value."""
    return nan if value is None else value


def moment(value: str | None) -> datetime | None:
    """A stored time."""
    return None if value is None else datetime.fromisoformat(value)


def now() -> str:
    """The time as it is stored: ISO 8601, UTC, microseconds, so that text sorts as time does."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_json(value: object) -> str:
    """Compact JSON; numpy numbers and arrays become plain ones, paths text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be stored in a project")
