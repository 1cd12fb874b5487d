"""The append-only journal: every event, and what follows from it for the candidate, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, CursorResult, Row, func, select

from engine.catalogue import opinions
from engine.catalogue.records import Event, now, to_json
from engine.catalogue.schema import candidates, events, operations
from engine.errors import ProjectError


def inserted(result: CursorResult[Any]) -> int:
    """The id of the row that was just inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def begin_operation(connection: Connection, text: str, grader: str, state: str = "done") -> int:
    """Open a new operation; what this person had undone can no longer be done again."""
    if state == "done":
        undone = (operations.c.state == "undone") & (operations.c.grader == grader)
        connection.execute(operations.update().where(undone).values(state="dropped"))
    row = {"uuid": str(uuid4()), "text": text, "grader": grader, "at": now(), "state": state}
    return inserted(connection.execute(operations.insert(), row))


def models(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """The model whose score each candidate shows; ProjectError for an unknown one."""
    found: dict[int, str] = {}
    for part in opinions.chunks(ids):
        query = select(candidates.c.id, candidates.c.model).where(candidates.c.id.in_(part))
        found.update((row.id, row.model) for row in connection.execute(query))
    for number in ids:
        if number not in found:
            raise ProjectError(f"there is no candidate {number} in this project: reload the list")
    return found


def next_moment(connection: Connection, grader: str) -> str:
    """Now, but after all that this person said before, even where the clock was put back meanwhile."""
    last = connection.execute(select(func.max(events.c.at)).where(events.c.grader == grader)).scalar()
    at = now()
    if last is None or at > last:
        return at
    return (datetime.fromisoformat(last) + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def append(
    connection: Connection,
    operation: int,
    action: str,
    kind: str,
    grader: str,
    stated: Mapping[int, Mapping[str, Any]],
    *,
    display: Mapping[str, Any] | None = None,
    dwell: float | None = None,
    model_of: Mapping[int, str] | None = None,
    standing: Mapping[int, Mapping[Any, Any]] | None = None,
) -> None:
    """Append an event for each candidate with what its grader states of it, and bring what is said up to date.

    Grades and notes that are new get the time of the event. ``model_of`` and ``standing`` are the answers of ``models``
    and ``opinions.of_grader`` where the caller has them: each question is a journey to a server.
    """
    ids = list(stated)
    model_of = models(connection, ids) if model_of is None else model_of
    standing = opinions.of_grader(connection, ids, grader) if standing is None else standing
    at, shown = next_moment(connection, grader), None if display is None else to_json(display)
    stated = {number: _timed(kind, values, at) for number, values in stated.items()}
    lines = [
        {
            "uuid": str(uuid4()),
            "operation": operation,
            "action": action,
            "grader": grader,
            "at": at,
            "candidate": number,
            "kind": kind,
            "payload": to_json({**values, "before": {name: standing[number][name] for name in opinions.STATED[kind]}}),
            "model": model_of[number],
            "display": shown,
            "dwell": dwell,
        }
        for number, values in stated.items()
    ]
    _keep(connection, lines)
    if opinions.STATED[kind]:
        whole = ({**standing[number], **stated[number], "candidate": number, "grader": grader} for number in ids)
        opinions.write(connection, whole)


def _timed(kind: str, values: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    names = opinions.STATED[kind]
    if len(names) < 2 or names[1] in values:
        return values
    return {**values, names[1]: at if values[names[0]] else None}


def append_to_project(
    connection: Connection, operation: int, action: str, kind: str, grader: str, payload: Mapping[str, Any]
) -> None:
    """Append an event that is about the project, and no candidate."""
    line = {"uuid": str(uuid4()), "operation": operation, "action": action, "grader": grader, "kind": kind, "model": ""}
    at = next_moment(connection, grader)
    _keep(connection, [{**line, "at": at, "candidate": None, "payload": to_json(payload)}])


def _keep(connection: Connection, lines: Sequence[Mapping[str, Any]]) -> None:
    """Append events, and note them as those of this transaction."""
    connection.execute(events.insert(), lines)
    connection.get_execution_options().get("appended", set()).update(line["uuid"] for line in lines)


def read(connection: Connection, candidate: int | None = None) -> list[Event]:
    """The events in order of time, of all candidates or of one."""
    query = select(events, operations.c.text).join(operations).order_by(events.c.at, events.c.id)
    if candidate is not None:
        query = query.where(events.c.candidate == candidate)
    return [_event(row) for row in connection.execute(query)]


def _event(row: Row[*tuple[Any, ...]]) -> Event:
    return Event(
        id=row.id,
        uuid=row.uuid,
        operation=row.text,
        action=row.action,
        grader=row.grader,
        at=datetime.fromisoformat(row.at),
        candidate=row.candidate,
        kind=row.kind,
        payload=json.loads(row.payload),
        model=row.model,
        display=None if row.display is None else json.loads(row.display),
        dwell=row.dwell,
    )
