"""Undo and redo: both append events, so that they are on disk and outlive the program."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, select

from engine.catalogue import journal
from engine.catalogue.schema import events, operations
from engine.types import Changes

#: The state an operation must be in, and the one it gets.
_STATES = {"undo": ("done", "undone"), "redo": ("undone", "done")}


def next_operation(connection: Connection, action: str) -> Row[*tuple[Any, ...]] | None:
    """Id, text and grader of the operation that ``action`` (undo or redo) would act on."""
    column = operations.c.id
    query = (
        select(column, operations.c.text, operations.c.grader)
        .where(operations.c.state == _STATES[action][0])
        .order_by(column.desc() if action == "undo" else column)
        .limit(1)
    )
    return connection.execute(query).first()


def revert(connection: Connection, action: str) -> Changes | None:
    """Undo the last operation, or redo the last undone one: append its events, inverted or again."""
    operation = next_operation(connection, action)
    if operation is None:
        return None
    query = (
        select(events.c.candidate, events.c.kind, events.c.payload)
        .where(events.c.operation == operation.id, events.c.action == "do")
        .order_by(events.c.id.desc() if action == "undo" else events.c.id)
    )
    lines = connection.execute(query).all()
    for candidate, kind, payload in lines:
        stated = json.loads(payload)
        before = stated.pop("before")
        standing = journal.current(connection, [candidate], kind)
        after = before if action == "undo" else stated
        journal.append(connection, operation.id, action, kind, [(standing[0], after)], grader=operation.grader)
    state = _STATES[action][1]
    connection.execute(operations.update().where(operations.c.id == operation.id).values(state=state))
    ids = tuple(dict.fromkeys(line.candidate for line in lines))
    return Changes(f"{action.capitalize()}: {operation.text}", ids, frozenset(f"{line.kind}s" for line in lines))
