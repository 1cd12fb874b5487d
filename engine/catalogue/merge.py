"""Joining the projects of a team: the union of their journals, on the candidates both call the same.

Nothing is lost and nothing decided: each person's grades stand beside the others'. Merging again changes nothing, and
the order of merging matters to no journal and no grade. Which candidates are the same is decided by position, each
once, the closest pair first; only where several lie closer together than twice the match radius can the order play a
part, and the projects named in one call are therefore taken in the order of their making.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, bindparam, func, select

from engine.catalogue import identity, opinions
from engine.catalogue.queries import fetch
from engine.catalogue.records import to_json
from engine.catalogue.same_sky import match_mosaics
from engine.catalogue.schema import calibration, candidates, events, meta, mosaics, operations, runs, scores, settings
from engine.catalogue.store import Project
from engine.errors import ProjectError
from engine.types import Step

Rows = list[dict[str, Any]]

#: Rows read at a time, between two steps.
_READ = 20_000

#: What candidates of another project bring along; what is said of them follows from the journal.
_BROUGHT = (
    "name", "ra", "dec", "x", "y", "flux", "radius", "signal_to_noise", "score", "raw_score", "spread", "model", "kind",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge brought; ``warnings`` say what a person should look at."""

    events: int
    operations: int
    candidates: int
    mosaics: int
    graders: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Other:
    """Another project as read: its tables' rows."""

    name: str
    tables: dict[str, Rows]

    def __getitem__(self, table: Table) -> Rows:
        return self.tables[table.name]


def merge(project: Project, others: Sequence[Path | str]) -> Iterator[Step]:
    """Take up all that other projects say; the last step's item is a ``MergeReport``.

    The others are read first, and written in one transaction: a merge that is cancelled or killed leaves the project
    as it was.

    Raises
    ------
    ProjectError : another project cannot be read, is this very one, or this one is read-only
    """
    with ExitStack() as opened:
        theirs = []
        for place in others:
            other = Project.open(place, read_only=True)
            theirs.append((other.path.name if other.path else other.name, opened.enter_context(other)))
            if other.place == project.place or _one_file(other.path, project.path):
                raise ProjectError(f"{other.place} is the project to merge into: name the others only")
        read: list[_Other] = []
        total = sum(_size(other) for _, other in theirs) or 1
        for name, other in sorted(theirs, key=lambda one: _made(one[1])):
            tables: dict[str, Rows] = {}
            for step in _read(other, tables, total, sum(len(rows) for one in read for rows in one.tables.values())):
                yield Step(step, total, note=f"Reading {name}")
            read.append(_Other(name, tables))
    yield Step(total, total, note="Writing")
    with project.writing() as connection:
        reports = [_apply(connection, other) for other in read]
    names = sorted({name for report in reports for name in report.graders})
    whole = MergeReport(
        events=sum(report.events for report in reports),
        operations=sum(report.operations for report in reports),
        candidates=sum(report.candidates for report in reports),
        mosaics=sum(report.mosaics for report in reports),
        graders=tuple(names),
        warnings=tuple(warning for report in reports for warning in report.warnings),
    )
    note = f"{whole.events:,} entries of the journal and {whole.candidates:,} candidates came along"
    yield Step(total, total, (whole,), note)


_TABLES = (meta, settings, mosaics, runs, candidates, scores, operations, events, calibration)


def _one_file(first: Path | None, second: Path | None) -> bool:
    return first is not None and second is not None and first.samefile(second)


def _size(other: Project) -> int:
    with other.reading() as connection:
        return sum(int(connection.execute(select(func.count()).select_from(one)).scalar() or 0) for one in _TABLES)


def _made(other: Project) -> tuple[str, str]:
    """When a project was made, and its first event: an order that does not depend on names of files."""
    with other.reading() as connection:
        created = connection.execute(select(meta.c.value).where(meta.c.key == "created")).scalar()
        return str(created), str(connection.execute(select(func.min(events.c.uuid))).scalar())


def _read(other: Project, tables: dict[str, Rows], total: int, done: int) -> Iterator[int]:
    """Read all tables in parts; yields how many rows are read."""
    with other.reading(snapshot=True) as connection:
        for table in _TABLES:
            rows = tables.setdefault(table.name, [])
            names = [column.name for column in table.columns]
            result = connection.execute(select(table).order_by(*table.primary_key.columns))
            for part in result.partitions(_READ):
                rows.extend(dict(zip(names, row, strict=True)) for row in part)
                done += len(part)
                yield min(done, total)


def _apply(connection: Connection, other: _Other) -> MergeReport:
    warnings = _scheme_warnings(connection, other)
    mosaic_of, new_mosaics, more = _take_mosaics(connection, other)
    run_of, new_runs = _take_runs(connection, other, mosaic_of)
    candidate_of, born = _take_candidates(connection, other, mosaic_of, run_of)
    _take_calibration(connection, other, candidate_of, born)
    _take_scores(connection, other, candidate_of, {run_of[number] for number in new_runs}, run_of)
    count, done, touched, graders = _take_journal(connection, other, candidate_of)
    opinions.replay(connection, touched)
    return MergeReport(count, done, len(born), new_mosaics, tuple(graders), tuple(warnings + more))


def _scheme_warnings(connection: Connection, other: _Other) -> list[str]:
    ours = connection.execute(select(settings.c.value).where(settings.c.key == "scheme")).scalar()
    theirs = next((row["value"] for row in other[settings] if row["key"] == "scheme"), None)
    if ours == theirs:
        return []
    return [f"{other.name} has other grades than this project: compare the two schemes before counting on means"]


def _take_mosaics(connection: Connection, other: _Other) -> tuple[dict[int, int], int, list[str]]:
    """Number here of each mosaic there; those that are not here are added."""
    ours = [dict(row) for row in connection.execute(select(mosaics).order_by(mosaics.c.number)).mappings()]
    found, warnings = match_mosaics(ours, other[mosaics], other.name)
    new = [row for row in other[mosaics] if row["number"] not in found]
    for row in new:
        found[row["number"]] = _insert(connection, mosaics, {**row, "number": None})
    return found, len(new), warnings


def _insert(connection: Connection, table: Table, row: Mapping[str, Any]) -> int:
    given = {name: value for name, value in row.items() if name not in table.primary_key.columns or value is not None}
    key = connection.execute(table.insert(), given).inserted_primary_key
    assert key is not None
    return int(key[0])


def _take_runs(connection: Connection, other: _Other, mosaic_of: Mapping[int, int]) -> tuple[dict[int, int], list[int]]:
    """Number here of each scan there; a scan is the same if mosaic, model and moment are."""
    known = {
        (row.mosaic, row.model, row.started): row.id
        for row in connection.execute(select(runs.c.id, runs.c.mosaic, runs.c.model, runs.c.started))
    }
    found: dict[int, int] = {}
    new = []
    for row in other[runs]:
        key = (mosaic_of[row["mosaic"]], row["model"], row["started"])
        if key not in known:
            state = "interrupted" if row["state"] == "running" else row["state"]
            known[key] = _insert(connection, runs, {**row, "id": None, "mosaic": key[0], "state": state})
            new.append(row["id"])
        found[row["id"]] = known[key]
    return found, new


def _take_candidates(
    connection: Connection, other: _Other, mosaic_of: Mapping[int, int], run_of: Mapping[int, int]
) -> tuple[dict[int, int], list[int]]:
    """Id here of each candidate there, and those ids there that are new here."""
    found: dict[int, int] = {}
    radius = {row.number: row.match_radius for row in connection.execute(select(mosaics))}
    for theirs, ours in mosaic_of.items():
        rows = [row for row in other[candidates] if row["mosaic"] == theirs and not row["kind"]]
        known = np.array(
            fetch(
                connection,
                select(candidates.c.id, candidates.c.x, candidates.c.y)
                .where(candidates.c.mosaic == ours, candidates.c.kind == "")
                .order_by(candidates.c.id),
            ),
            np.float64,
        ).reshape(-1, 3)
        places = np.array([(row["x"], row["y"]) for row in rows], np.float64).reshape(-1, 2)
        owner = identity.pair(known[:, 1:], places, radius[ours])
        found.update((row["id"], int(known[i, 0])) for row, i in zip(rows, owner, strict=True) if i >= 0)
    stamps = {row["candidate"]: row["uuid"] for row in other[calibration]}
    here = {row.uuid: row.candidate for row in connection.execute(select(calibration.c.uuid, calibration.c.candidate))}
    found.update((number, here[uuid]) for number, uuid in stamps.items() if uuid in here)
    free = int(connection.execute(select(func.max(candidates.c.id))).scalar() or 0) + 1
    new = [row for row in other[candidates] if row["id"] not in found]
    found.update((row["id"], number) for number, row in enumerate(new, free))
    if new:
        connection.execute(
            candidates.insert(),
            [
                {
                    **{name: row[name] for name in _BROUGHT},
                    "id": found[row["id"]],
                    "mosaic": mosaic_of[row["mosaic"]],
                    "run": run_of[row["run"]],
                }
                for row in new
            ],
        )
    return found, [row["id"] for row in new]


def _take_calibration(
    connection: Connection, other: _Other, candidate_of: Mapping[int, int], born: Sequence[int]
) -> None:
    fresh = set(born)
    rows = [
        {**row, "candidate": candidate_of[row["candidate"]], "repeats": candidate_of.get(row["repeats"])}
        for row in other[calibration]
        if row["candidate"] in fresh
    ]
    if rows:
        connection.execute(calibration.insert(), rows)


def _take_scores(
    connection: Connection, other: _Other, candidate_of: Mapping[int, int], new: set[int], run_of: Mapping[int, int]
) -> None:
    """Scores of the scans that are new here; a candidate shows that of the scan begun last."""
    lines = {
        (candidate_of[row["candidate"]], run_of[row["run"]]): row for row in other[scores] if run_of[row["run"]] in new
    }
    if not lines:
        return
    rows = [{**row, "candidate": key[0], "run": key[1]} for key, row in lines.items()]
    connection.execute(scores.insert(), rows)
    started = {row.id: row.started for row in connection.execute(select(runs.c.id, runs.c.started))}
    shown = dict(fetch(connection, select(candidates.c.id, candidates.c.run)))
    names = ("run", "model", "score", "raw_score", "spread")
    newer: dict[int, dict[str, Any]] = {}
    for row in rows:
        number = row["candidate"]
        standing = newer[number]["a_run"] if number in newer else shown[number]
        if started[row["run"]] > started[standing]:
            newer[number] = {"a_id": number, **{f"a_{name}": row[name] for name in names}}
    if newer:
        update = candidates.update().where(candidates.c.id == bindparam("a_id"))
        values: dict[str, Any] = {name: bindparam(f"a_{name}") for name in names}
        connection.execute(update.values(**values), list(newer.values()))


def _take_journal(
    connection: Connection, other: _Other, candidate_of: Mapping[int, int]
) -> tuple[int, int, list[int], list[str]]:
    """Events that are not here yet: how many, of how many operations, of which candidates, by whom."""
    have = {row[0] for row in fetch(connection, select(events.c.uuid))}
    lines = [row for row in other[events] if row["uuid"] not in have]
    if not lines:
        return 0, 0, [], []
    here = {row[0]: row[1] for row in fetch(connection, select(operations.c.uuid, operations.c.id))}
    theirs = {row["id"]: row for row in other[operations]}
    wanted = {row["operation"] for row in lines}
    operation_of = {number: here[theirs[number]["uuid"]] for number in wanted if theirs[number]["uuid"] in here}
    shared = set(operation_of)
    for number in sorted(wanted - shared):
        row = theirs[number]
        state = "noted" if row["state"] == "noted" else "merged"
        operation_of[number] = _insert(connection, operations, {**row, "id": None, "state": state})
    connection.execute(
        events.insert(),
        [
            {
                **{name: value for name, value in row.items() if name != "id"},
                "operation": operation_of[row["operation"]],
                "candidate": candidate_of.get(row["candidate"]),
                "payload": _here(row, candidate_of),
            }
            for row in lines
        ],
    )
    _settle(connection, [operation_of[number] for number in shared])
    touched = list(dict.fromkeys(candidate_of[row["candidate"]] for row in lines if row["candidate"] is not None))
    return len(lines), len(wanted), touched, sorted({row["grader"] for row in lines})


def _here(row: Mapping[str, Any], candidate_of: Mapping[int, int]) -> str:
    """The payload of an event; where it names another candidate, by the id it has here."""
    if row["kind"] != "same_as":
        return str(row["payload"])
    payload = json.loads(row["payload"])
    for part in (payload, payload["before"]):
        if part["same_as"] is not None:
            part["same_as"] = candidate_of[part["same_as"]]
    return to_json(payload)


def _settle(connection: Connection, shared: Sequence[int]) -> None:
    """Where a copy of this project undid or redid an operation that stands here too, it is no more ours to undo."""
    for number in shared:
        last = connection.execute(
            select(events.c.action).where(events.c.operation == number).order_by(events.c.at.desc(), events.c.id.desc())
        ).scalar()
        wanted = "dropped" if last == "undo" else "done"
        moved = (operations.c.id == number) & (operations.c.state == ("done" if last == "undo" else "undone"))
        connection.execute(operations.update().where(moved).values(state=wanted))
