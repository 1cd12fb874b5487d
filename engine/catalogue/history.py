"""Undo and redo: both append events, so that they are on disk and outlive the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from engine.catalogue import journal, opinions, settings
from engine.catalogue.schema import events, operations
from engine.catalogue.scheme import Scheme
from engine.types import Changes

#: The state an operation must be in, and the one it gets.
_STATES = {"undo": ("done", "undone"), "redo": ("undone", "done")}

#: What a panel has to refresh after an event of a kind.
CHANGED = {
    "grade": "grades",
    "subclass": "subclasses",
    "note": "notes",
    "flag": "flags",
    "come_back": "come_backs",
    "einstein_radius": "measurements",
    "same_as": "duplicates",
    "agreed": "grades",
    "scheme": "settings",
}


def next_operation(connection: Connection, action: str, grader: str | None = None) -> Row[*tuple[Any, ...]] | None:
    """Id, text and grader of the operation that ``action`` (undo or redo) would act on: anybody's, or one person's."""
    column = operations.c.id
    query = (
        select(column, operations.c.text, operations.c.grader)
        .where(operations.c.state == _STATES[action][0])
        .order_by(column.desc() if action == "undo" else column)
        .limit(1)
    )
    if grader is not None:
        query = query.where(operations.c.grader == grader)
    return connection.execute(query).first()


def revert(connection: Connection, action: str, grader: str | None = None) -> Changes | None:
    """Undo the last operation, or redo the last undone one: append its events, inverted or again.

    What the same person said otherwise meanwhile, in a project that was merged, stands.
    """
    operation = next_operation(connection, action, grader)
    if operation is None:
        return None
    query = (
        select(events.c.candidate, events.c.kind, events.c.grader, events.c.payload)
        .where(events.c.operation == operation.id, events.c.action == "do")
        .order_by(events.c.id.desc() if action == "undo" else events.c.id)
    )
    lines = connection.execute(query).all()
    for candidate, kind, who, payload in lines:
        stated = json.loads(payload)
        before = stated.pop("before")
        now, then = (stated, before) if action == "undo" else (before, stated)
        if kind == "scheme":
            _change_scheme(connection, operation.id, action, who, now["scheme"], then["scheme"])
            continue
        names = opinions.STATED[kind]
        standing = opinions.of_grader(connection, [candidate], who)[candidate]
        if names and standing[names[0]] == opinions.own(now, kind, who)[names[0]]:
            journal.append(connection, operation.id, action, kind, who, {candidate: opinions.own(then, kind, who)})
    state = _STATES[action][1]
    connection.execute(operations.update().where(operations.c.id == operation.id).values(state=state))
    ids = tuple(dict.fromkeys(line.candidate for line in lines if line.candidate is not None))
    changed = frozenset(CHANGED[line.kind] for line in lines)
    return Changes(f"{action.capitalize()}: {operation.text}", ids, changed)


def _change_scheme(
    connection: Connection, operation: int, action: str, grader: str, now: Mapping[str, Any], then: Mapping[str, Any]
) -> None:
    """Bring a scheme back, unless another one was chosen meanwhile."""
    if Scheme.restored(now) == settings.scheme(connection):
        settings.change_scheme(connection, operation, action, grader, then)
