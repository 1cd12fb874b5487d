"""Taking up what a scan found: positions become candidates, scores are added, grades stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, func, or_, select

from engine.catalogue import identity
from engine.catalogue.dialect import insert, renumber_scores
from engine.catalogue.names import iau_name, pixel_name
from engine.catalogue.queries import fetch
from engine.catalogue.schema import candidates, mosaics, runs, scores
from engine.errors import ProjectError
from engine.types import Changes, Detection, Positions


def add(connection: Connection, run: int, detections: Sequence[Detection]) -> Changes:
    """Add the detections of a run.

    A detection within the match radius of a candidate of the same mosaic is that candidate: it keeps its id, name,
    position, grade and note, and gets a score of this run. Where several detections of one run fall on one
    candidate, the highest score counts. The score a candidate shows is that of the newest run that found it.
    """
    query = select(mosaics.c.number, mosaics.c.stem, mosaics.c.match_radius).join(runs).where(runs.c.id == run)
    mosaic = connection.execute(query).first()
    if mosaic is None:
        raise ProjectError(f"there is no run {run} in this project: start one first")
    found = np.array([(item.x, item.y) for item in detections], np.float64).reshape(-1, 2)
    if not np.isfinite(found).all():
        raise ValueError("a detection has no position")
    if not len(found):
        return Changes("Scan")
    known_ids, known = _known(connection, mosaic, found)
    owner = identity.match(known, found, mosaic.match_radius)
    begins = owner == len(known) + np.arange(len(found))
    first_id = int(connection.execute(select(func.max(candidates.c.id))).scalar() or 0) + 1
    new_ids = np.cumsum(begins) - 1 + first_id
    ids = np.concatenate([known_ids, new_ids])[owner]
    born = [_row(int(ids[i]), mosaic, run, detections[i]) for i in np.flatnonzero(begins).tolist()]
    if born:
        connection.execute(candidates.insert(), born)
    _add_scores(connection, run, {int(number) for number in ids[~begins]}, ids.tolist(), detections)
    kinds = {"scores", "candidates"} if born else {"scores"}
    return Changes("Scan", tuple(dict.fromkeys(ids.tolist())), frozenset(kinds))


def _known(
    connection: Connection, mosaic: Row[*tuple[Any, ...]], found: Positions
) -> tuple[NDArray[np.int64], Positions]:
    """Ids and positions of the candidates around the detections."""
    (x0, y0), (x1, y1) = found.min(0) - mosaic.match_radius, found.max(0) + mosaic.match_radius
    query = select(candidates.c.id, candidates.c.x, candidates.c.y).where(
        candidates.c.kind == "",
        candidates.c.mosaic == mosaic.number,
        candidates.c.y.between(y0, y1),
        candidates.c.x.between(x0, x1),
    )
    # In order of id, so that of two at one distance the older one is chosen, whatever index was used.
    table = np.array(sorted(fetch(connection, query)), np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1:]


def _value(number: float) -> float | None:
    return float(number) if isfinite(number) else None


def _row(number: int, mosaic: Row[*tuple[Any, ...]], run: int, item: Detection) -> dict[str, object]:
    placed = item.ra is not None and item.dec is not None and isfinite(item.ra) and isfinite(item.dec)
    if placed:
        assert item.ra is not None
        assert item.dec is not None
        name = item.name or iau_name(item.ra, item.dec)
    else:
        name = item.name or pixel_name(mosaic.stem, item.x, item.y)
    return {
        "id": number,
        "mosaic": mosaic.number,
        "name": name,
        "ra": item.ra if placed else None,
        "dec": item.dec if placed else None,
        "x": float(item.x),
        "y": float(item.y),
        "flux": _value(item.flux),
        "radius": _value(item.radius),
        "signal_to_noise": _value(item.signal_to_noise),
        "score": _value(item.score),
        "raw_score": _value(item.raw_score),
        "spread": _value(item.spread),
        "model": item.model,
        "run": run,
    }


def _add_scores(
    connection: Connection, run: int, known: set[int], ids: list[int], detections: Sequence[Detection]
) -> None:
    """Write a score row for each candidate found, and show it on those that existed before this batch."""
    best: dict[int, Detection] = {}
    for number, item in zip(ids, detections, strict=True):
        if number not in best or item.score > best[number].score:
            best[number] = item
    lines = [
        {
            "candidate": number,
            "run": run,
            "model": item.model,
            "score": _value(item.score),
            "raw_score": _value(item.raw_score),
            "spread": _value(item.spread),
        }
        for number, item in best.items()
    ]
    statement = insert(connection, scores)
    new = statement.excluded
    upsert = statement.on_conflict_do_update(
        index_elements=["candidate", "run"],
        set_={"model": new.model, "score": new.score, "raw_score": new.raw_score, "spread": new.spread},
        where=or_(scores.c.score.is_(None), new.score > scores.c.score),
    )
    connection.execute(upsert, lines)
    renumber_scores(connection, run, known)
    shown = [{f"new_{key}": value for key, value in line.items()} for line in lines if line["candidate"] in known]
    if shown:
        worse = or_(candidates.c.score.is_(None), candidates.c.score < bindparam("new_score"))
        statement_shown = (
            candidates.update()
            .where(candidates.c.id == bindparam("new_candidate"))
            .where(or_(candidates.c.run < bindparam("new_run"), (candidates.c.run == bindparam("new_run")) & worse))
            .values(
                run=bindparam("new_run"),
                **{name: bindparam(f"new_{name}") for name in ("model", "score", "raw_score", "spread")},
            )
        )
        connection.execute(statement_shown, shown)
