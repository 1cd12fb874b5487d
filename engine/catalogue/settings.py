"""Values kept with a project, and its scheme, the changes of which stand in the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from engine.catalogue import journal
from engine.catalogue.dialect import insert
from engine.catalogue.records import to_json
from engine.catalogue.schema import settings
from engine.catalogue.scheme import LETTERS, Scheme


def read(connection: Connection, key: str, default: Any = None) -> Any:
    """A value, or the default where none is kept."""
    text = connection.execute(select(settings.c.value).where(settings.c.key == key)).scalar()
    return default if text is None else json.loads(text)


def write(connection: Connection, key: str, value: Any) -> None:
    """Keep a value, anything JSON can hold."""
    statement = insert(connection, settings).values(key=key, value=to_json(value))
    update = statement.on_conflict_do_update(index_elements=["key"], set_={"value": statement.excluded.value})
    connection.execute(update)


def scheme(connection: Connection) -> Scheme:
    """The scheme in force; letters, unless others were chosen."""
    stored = read(connection, "scheme")
    return LETTERS if stored is None else Scheme.restored(stored)


def change_scheme(connection: Connection, operation: int, action: str, grader: str, wanted: Mapping[str, Any]) -> None:
    """Put another scheme in force, and journal it: an event of the project, not of a candidate."""
    payload = {"scheme": wanted, "before": {"scheme": scheme(connection).stored()}}
    journal.append_to_project(connection, operation, action, "scheme", grader, payload)
    write(connection, "scheme", wanted)
