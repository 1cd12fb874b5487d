"""The append-only journal: every event, and what follows from it for the candidate, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, CursorResult, Row, RowMapping, select

from engine.catalogue.records import Event, now, to_json
from engine.catalogue.schema import candidates, events, operations
from engine.errors import ProjectError

#: What an event of a kind states of a candidate: columns of the candidate, also the keys of the payload.
STATED = {"grade": ("grade", "grader", "graded_at"), "note": ("note",)}


def inserted(result: CursorResult[Any]) -> int:
    """The id of the row that was just inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def begin_operation(connection: Connection, text: str, grader: str) -> int:
    """Open a new operation; what had been undone can no longer be done again."""
    connection.execute(operations.update().where(operations.c.state == "undone").values(state="dropped"))
    row = {"uuid": str(uuid4()), "text": text, "grader": grader, "at": now(), "state": "done"}
    return inserted(connection.execute(operations.insert(), row))


def current(connection: Connection, ids: Sequence[int], kind: str) -> list[RowMapping]:
    """What is stated of candidates now, with their ``id`` and ``model``; ProjectError for an unknown one."""
    columns = [candidates.c.id, candidates.c.model, *(candidates.c[name] for name in STATED[kind])]
    found: dict[int, RowMapping] = {}
    for start in range(0, len(ids), 10_000):
        query = select(*columns).where(candidates.c.id.in_(ids[start : start + 10_000]))
        found.update((row["id"], row) for row in connection.execute(query).mappings())
    for number in ids:
        if number not in found:
            raise ProjectError(f"there is no candidate {number} in this project: reload the list")
    return [found[number] for number in ids]


def append(
    connection: Connection,
    operation: int,
    action: str,
    kind: str,
    stated: Sequence[tuple[RowMapping, Mapping[str, Any]]],
    *,
    grader: str,
    display: Mapping[str, Any] | None = None,
    dwell: float | None = None,
) -> None:
    """Append an event for each (candidate as it stands, what is stated of it), and bring the candidates up to date."""
    at, shown = now(), None if display is None else to_json(display)
    lines, updates = [], []
    for before, after in stated:
        payload = {**after, "before": {name: before[name] for name in STATED[kind]}}
        lines.append(
            {
                "uuid": str(uuid4()),
                "operation": operation,
                "action": action,
                "grader": grader,
                "at": at,
                "candidate": before["id"],
                "kind": kind,
                "payload": to_json(payload),
                "model": before["model"],
                "display": shown,
                "dwell": dwell,
            }
        )
        updates.append(after)
    connection.execute(events.insert(), lines)
    for line, values in zip(lines, updates, strict=True):
        connection.execute(candidates.update().where(candidates.c.id == line["candidate"]).values(**values))


def read(connection: Connection, candidate: int | None = None) -> list[Event]:
    """The events in the order they were appended, of all candidates or of one."""
    query = select(events, operations.c.text).join(operations).order_by(events.c.id)
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
