"""What each person says of each candidate, and what the list shows of it: both derived from the journal."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from engine.catalogue.records import Opinion, moment
from engine.catalogue.schema import candidates, events, opinions

#: What an event of a kind states: columns of ``opinions``, also the keys of its payload.
STATED: Mapping[str, tuple[str, ...]] = {
    "grade": ("grade", "graded_at"),
    "subclass": ("subclass",),
    "note": ("note", "noted_at"),
    "flag": ("flag",),
    "come_back": ("come_back",),
    "einstein_radius": ("einstein_radius",),
    "same_as": ("same_as", "same_at"),
    "agreed": ("agreed", "agreed_at"),
    "reveal": (),
    "control": (),
}

#: The opinion of one who has said nothing.
SILENT: Mapping[str, Any] = {
    "grade": None,
    "graded_at": None,
    "subclass": "",
    "note": "",
    "noted_at": None,
    "flag": 0,
    "come_back": 0,
    "einstein_radius": None,
    "same_as": None,
    "same_at": None,
    "agreed": None,
    "agreed_at": None,
}

#: SQLite takes up to 32,766 parameters.
CHUNK = 10_000

_SHOWN = ("grade", "grader", "graded_at", "subclass", "note", "flag", "come_back", "einstein_radius", "same_as")


def chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Parts of a list that one statement can take."""
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def of_grader(connection: Connection, ids: Sequence[int], grader: str) -> dict[int, Mapping[Any, Any]]:
    """What one person says of candidates; SILENT of those they said nothing of."""
    found: dict[int, Mapping[Any, Any]] = dict.fromkeys(ids, SILENT)
    for part in chunks(ids):
        query = select(opinions).where(opinions.c.candidate.in_(part), opinions.c.grader == grader)
        found.update((row["candidate"], row) for row in connection.execute(query).mappings())
    return found


def read(connection: Connection, ids: Sequence[int]) -> dict[int, list[Opinion]]:
    """What everybody says of candidates, in order of the graders' names."""
    found: dict[int, list[Opinion]] = {number: [] for number in ids}
    for part in chunks(ids):
        query = select(opinions).where(opinions.c.candidate.in_(part)).order_by(opinions.c.candidate, opinions.c.grader)
        for row in connection.execute(query):
            found[row.candidate].append(_opinion(row))
    return found


def _opinion(row: Row[*tuple[Any, ...]]) -> Opinion:
    return Opinion(
        candidate=row.candidate,
        grader=row.grader,
        grade=row.grade,
        graded_at=moment(row.graded_at),
        subclass=row.subclass,
        note=row.note,
        flag=bool(row.flag),
        come_back=bool(row.come_back),
        einstein_radius=row.einstein_radius,
        same_as=row.same_as,
        agreed=row.agreed,
        agreed_at=moment(row.agreed_at),
    )


def write(connection: Connection, stated: Iterable[Mapping[Any, Any]]) -> None:
    """Keep whole opinions, one mapping each with ``candidate`` and ``grader``, and show them in the list."""
    rows = list(stated)
    if not rows:
        return
    keys = [{"a_candidate": row["candidate"], "a_grader": row["grader"]} for row in rows]
    mine = (opinions.c.candidate == bindparam("a_candidate")) & (opinions.c.grader == bindparam("a_grader"))
    connection.execute(opinions.delete().where(mine), keys)
    kept = [row for row in rows if any(row[name] != SILENT[name] for name in SILENT)]
    if kept:
        connection.execute(opinions.insert(), kept)
    show(connection, list(dict.fromkeys(row["candidate"] for row in rows)))


def show(connection: Connection, ids: Sequence[int]) -> None:
    """Bring what the list shows of candidates up to date with what people say of them.

    Shown are the newest grade, given or agreed on, with its grader and subclass, the newest note, the newest word on
    whether it is a duplicate, and what anybody flagged.
    """
    for part in chunks(ids):
        said: dict[int, list[Mapping[Any, Any]]] = {number: [] for number in part}
        query = select(opinions).where(opinions.c.candidate.in_(part))
        for row in connection.execute(query).mappings():
            said[row["candidate"]].append(row)
        update = candidates.update().where(candidates.c.id == bindparam("a_candidate"))
        values: dict[str, Any] = {name: bindparam(f"a_{name}") for name in _SHOWN}
        lines = [{"a_candidate": number, **_shown(rows)} for number, rows in said.items()]
        connection.execute(update.values(**values), lines)


def _shown(rows: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    newest = _newest(rows, "grade", "graded_at")
    agreed = _newest(rows, "agreed", "agreed_at")
    if agreed is not None and (newest is None or agreed["agreed_at"] >= newest["graded_at"]):
        kind = agreed["subclass"] or ("" if newest is None else newest["subclass"])
        newest = {**agreed, "grade": agreed["agreed"], "graded_at": agreed["agreed_at"], "subclass": kind}
    noted, same = _newest(rows, "note", "noted_at"), _newest(rows, "same_as", "same_at")
    order = sorted(rows, key=lambda r: (newest is None or r["grader"] != newest["grader"], r["grader"]))
    return {
        "a_grade": None if newest is None else newest["grade"],
        "a_grader": "" if newest is None else newest["grader"],
        "a_graded_at": None if newest is None else newest["graded_at"],
        "a_subclass": next((row["subclass"] for row in order if row["subclass"]), "") if newest is None
        else newest["subclass"],
        "a_note": "" if noted is None else noted["note"],
        "a_flag": int(any(row["flag"] for row in rows)),
        "a_come_back": int(any(row["come_back"] for row in rows)),
        "a_same_as": None if same is None else same["same_as"],
        "a_einstein_radius": next((r["einstein_radius"] for r in order if r["einstein_radius"] is not None), None),
    }  # fmt: skip


def _newest(rows: Sequence[Mapping[Any, Any]], what: str, when: str) -> Mapping[Any, Any] | None:
    """The row that states something last."""
    stated = (row for row in rows if row[what] not in (None, ""))
    return max(stated, key=lambda row: (row[when] or "", row["grader"]), default=None)


def replay(connection: Connection, ids: Sequence[int]) -> None:
    """Derive what people say of candidates from the whole journal: of each person and kind, the last event counts.

    Events are ordered by time and uuid, never by where they stand, so that it does not matter in which order two
    journals came together.
    """
    for part in chunks(ids):
        said: dict[tuple[int, str], dict[str, Any]] = defaultdict(lambda: dict(SILENT))
        query = (
            select(events.c.candidate, events.c.grader, events.c.kind, events.c.at, events.c.payload)
            .where(events.c.candidate.in_(part))
            .order_by(events.c.at, events.c.uuid)
        )
        for candidate, grader, kind, at, payload in connection.execute(query):
            said[candidate, grader].update(own(json.loads(payload), kind, grader, at))
        write(connection, [{"candidate": key[0], "grader": key[1], **values} for key, values in said.items()])


def own(payload: Mapping[Any, Any], kind: str, grader: str, at: str | None = None) -> dict[str, Any]:
    """What an event states of its grader's opinion.

    Projects of format 1 had one grade for all: an undo there could bring back another person's, which is none of
    this grader's. Their notes had no time of their own, but that ``at`` which they were written.
    """
    if payload.get("grader", grader) not in ("", grader):
        return {name: SILENT[name] for name in STATED[kind]}
    return {name: payload.get(name, at if name == "noted_at" else SILENT[name]) for name in STATED[kind]}
