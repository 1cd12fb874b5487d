"""Columns of the list in memory: what makes sorting and filtering a million candidates a matter of milliseconds.

A column is read when it is first asked for, and afterwards only what is new: where a candidate lies never changes, and
the table of scores tells whose score did. What people say is not kept here, since it is little and changes at each key.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from engine.catalogue.opinions import chunks
from engine.catalogue.schema import candidates, scores

#: Columns that a rescan changes.
SCORED = ("score", "raw_score", "spread")

#: Columns of numbers that are kept; the others of them never change.
KEPT = (*SCORED, "ra", "dec", "x", "y", "flux", "radius", "signal_to_noise", "mosaic")

_PART = 50_000
_BETWEEN = "\n"


class Columns:
    """Number columns and names of all candidates, in order of id; hold ``lock`` from ``refresh`` on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.survey: NDArray[np.bool_] = np.empty(0, bool)
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._names: tuple[str, NDArray[np.int64]] | None = None
        self._by_name: NDArray[np.float64] | None = None
        self._scored = 0
        self._stale: set[int] = set()

    def changed(self, ids: Iterable[int]) -> None:
        """Say that these candidates have new scores."""
        with self.lock:
            self._stale.update(ids)

    def refresh(self, connection: Connection) -> None:
        """Take up what is new since the last time."""
        last = int(self.ids[-1]) if len(self.ids) else 0
        scored = int(connection.execute(select(func.max(literal_column("rowid"))).select_from(scores)).scalar() or 0)
        newest = int(connection.execute(select(func.max(candidates.c.id))).scalar() or 0)
        if self._numbers.keys() & set(SCORED) and (scored > self._scored or self._stale):
            query = select(scores.c.candidate).where(literal_column("scores.rowid") > self._scored)
            again = self._stale | {row[0] for row in connection.execute(query)}
            self._score_again(connection, sorted(number for number in again if number <= last))
        self._scored = scored
        self._stale.clear()
        if not self._numbers:
            self._numbers["score"] = np.empty(0)  # it is wanted first, and lies in one index with id and kind
        if newest > last:
            self._append(connection, last)

    def _score_again(self, connection: Connection, ids: Sequence[int]) -> None:
        names = [name for name in SCORED if name in self._numbers]
        for part in chunks(ids):
            query = select(candidates.c.id, *(_value(name) for name in names)).where(candidates.c.id.in_(part))
            table = _read(connection, query, 1 + len(names))
            place = self.places(table[:, 0].astype(np.int64))
            for column, name in enumerate(names, 1):
                self._numbers[name][place] = table[:, column]

    def _append(self, connection: Connection, last: int) -> None:
        names = list(self._numbers)
        columns = (candidates.c.id, candidates.c.kind == "", *(_value(name) for name in names))
        # In no order, so that an index that holds these columns can be read instead of the table.
        query = select(*columns) if last == 0 else select(*columns).where(candidates.c.id > last)
        table = _read(connection, query, 2 + len(names))
        table = table[np.argsort(table[:, 0], kind="stable")]
        self.ids = np.concatenate([self.ids, table[:, 0].astype(np.int64)])
        self.survey = np.concatenate([self.survey, table[:, 1] != 0])
        for column, name in enumerate(names, 2):
            self._numbers[name] = np.concatenate([self._numbers[name], table[:, column]])
        self._names = self._by_name = None

    def number(self, connection: Connection, name: str) -> NDArray[np.float64]:
        """A column of KEPT, (n,), NaN where there is no value."""
        if name not in self._numbers:
            query = select(_value(name)).order_by(candidates.c.id)
            self._numbers[name] = _read(connection, query, 1)[: len(self.ids), 0]
        return self._numbers[name]

    def named(self, connection: Connection, text: str) -> NDArray[np.bool_]:
        """Which candidates have a text in their name, in either case."""
        found = np.zeros(len(self.ids), bool)
        names, starts = self._all_names(connection)
        wanted, at, places = text.lower().replace(_BETWEEN, " "), -1, []
        while (at := names.find(wanted, at + 1)) >= 0:
            places.append(at)
        found[np.searchsorted(starts, np.array(places, np.int64), side="right") - 1] = True
        return found

    def rank_of_names(self, connection: Connection) -> NDArray[np.float64]:
        """The place (n,) of each candidate in the order of names."""
        if self._by_name is None:
            names = self._all_names(connection)[0].split(_BETWEEN)[:-1]
            self._by_name = np.unique(np.array([name.encode() for name in names]), return_inverse=True)[1].astype(float)
        return self._by_name

    def _all_names(self, connection: Connection) -> tuple[str, NDArray[np.int64]]:
        """All names in small letters as one text, and where each begins: one search through it finds all."""
        if self._names is None:
            cursor = connection.execute(select(candidates.c.name).order_by(candidates.c.id)).cursor
            rows = [] if cursor is None else cursor.fetchall()
            names = [row[0].replace(_BETWEEN, " ").lower() for row in rows[: len(self.ids)]]
            lengths = np.fromiter((len(name) + 1 for name in names), np.int64, len(names))
            self._names = (_BETWEEN.join([*names, ""]), np.cumsum(lengths) - lengths)
        return self._names

    def places(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where ids stand in the columns; ids that came since are left out."""
        place = np.searchsorted(self.ids, found)
        known = place < len(self.ids)
        place = place[known]
        same: NDArray[np.int64] = place[self.ids[place] == found[known]]
        return same


def _value(name: str) -> ColumnElement[float]:
    """A column with infinity for what is missing, which numpy takes as a number; no candidate has one."""
    return func.coalesce(candidates.c[name], literal_column("9e999"))


def _read(connection: Connection, query: Select[*tuple[object, ...]], width: int) -> NDArray[np.float64]:
    """Numbers (n, width), a part at a time: a million rows without a million tuples at once."""
    cursor = connection.execute(query).cursor
    parts = [np.empty(0)]
    while cursor is not None and (rows := cursor.fetchmany(_PART)):
        parts.append(np.fromiter(chain.from_iterable(rows), np.float64, width * len(rows)))
    table = np.concatenate(parts).reshape(-1, width)
    table[np.isinf(table)] = np.nan
    return table
