"""What others have written to a project since one looked last."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, func, select

from engine.catalogue.dialect import SCORE_NUMBER
from engine.catalogue.history import CHANGED
from engine.catalogue.schema import candidates, catalogues, events, scores, settings
from engine.types import Changes

#: More statements than this at once are a merge: then everything is news, and no candidate is named.
_MANY = 5_000

#: What is new where one of the marks moved.
_KINDS = {"candidate": "candidates", "score": "scores", "known": "known", "scheme": "settings"}

EVERYTHING = frozenset({*_KINDS.values(), *CHANGED.values()})


class News:
    """How far one has looked, and what one wrote oneself since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: set[str] = set()
        self._marks: dict[str, Any] | None = None

    def wrote(self, uuids: Iterable[str]) -> None:
        """Say which events are one's own."""
        if self._marks is not None:
            with self._lock:
                self._own.update(uuids)

    def scanned(self, connection: Connection) -> None:
        """Say that the candidates and scores that are there now are known."""
        if self._marks is not None:
            found = _marks(connection)
            self._marks |= {name: found[name] for name in ("candidate", "score")}

    def look(self, connection: Connection) -> Changes | None:
        """What is new since the last look; None where nothing is, as at the first."""
        before, now = self._marks, _marks(connection)
        self._marks = now
        if before is None or before == now:
            return None
        kinds = {kind for name, kind in _KINDS.items() if before[name] != now[name]}
        said = select(events.c.uuid, events.c.candidate, events.c.kind).where(events.c.id > before["event"])
        lines = connection.execute(said.order_by(events.c.id).limit(_MANY + 1)).all()
        if len(lines) > _MANY:
            return Changes("Others", (), EVERYTHING)
        with self._lock:
            others = [line for line in lines if line.uuid not in self._own]
            self._own.difference_update(line.uuid for line in lines)
        kinds |= {CHANGED[line.kind] for line in others if line.kind in CHANGED}
        ids = dict.fromkeys(line.candidate for line in others if line.candidate is not None and line.kind in CHANGED)
        return Changes("Others", tuple(ids), frozenset(kinds)) if kinds else None


def _marks(connection: Connection) -> dict[str, Any]:
    """What grows with each write, in one question."""
    asked = select(
        select(func.max(events.c.id)).scalar_subquery().label("event"),
        select(func.max(candidates.c.id)).scalar_subquery().label("candidate"),
        select(func.max(SCORE_NUMBER)).select_from(scores).scalar_subquery().label("score"),
        select(func.max(catalogues.c.id)).scalar_subquery().label("known"),
        select(settings.c.value).where(settings.c.key == "scheme").scalar_subquery().label("scheme"),
    )
    found = dict(connection.execute(asked).one()._mapping)
    return found | {"event": found["event"] or 0}
