"""Columns of the list in memory: what makes sorting and filtering a million candidates a matter of milliseconds.

A column is read when it is first asked for, and afterwards only what is new: where a candidate lies never changes, and
the table of scores tells whose score did. What people say is not kept here, since it is little and changes at each key.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, Select, func, literal_column, select

from engine.catalogue import packed
from engine.catalogue.opinions import chunks
from engine.catalogue.schema import candidates, scores

#: Columns that a rescan changes.
SCORED = ("score", "raw_score", "spread")

#: Columns of numbers that are kept; the others of them never change.
KEPT = (*SCORED, "ra", "dec", "x", "y", "flux", "radius", "signal_to_noise", "mosaic")

_NEWLINE = ord("\n")


class Columns:
    """Number columns and names of all candidates, in order of id; hold ``lock`` from ``refresh`` on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.survey: NDArray[np.bool_] = np.empty(0, bool)
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._names: bytes | None = None
        self._by_name: NDArray[np.float64] | None = None
        self._by_model: NDArray[np.float64] | None = None
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
        if scored > self._scored or self._stale:
            self._by_model = None
        if self._numbers.keys() & set(SCORED) and (scored > self._scored or self._stale):
            query = select(scores.c.candidate).where(literal_column("scores.rowid") > self._scored)
            again = self._stale | {row[0] for row in connection.execute(query)}
            self._score_again(connection, sorted(number for number in again if number <= last))
        self._scored = scored
        self._stale.clear()
        if newest > last:
            self._append(connection, last, newest)

    def _score_again(self, connection: Connection, ids: Sequence[int]) -> None:
        names = [name for name in SCORED if name in self._numbers]
        for part in chunks(ids):
            query = select(candidates.c.id, *(candidates.c[name] for name in names)).where(candidates.c.id.in_(part))
            table = np.array([tuple(row) for row in connection.execute(query)], np.float64)
            place = self.places(table[:, 0].astype(np.int64))
            for column, name in enumerate(names, 1):
                self._numbers[name][place] = table[:, column]

    def _append(self, connection: Connection, last: int, newest: int) -> None:
        new = candidates.c.id > last
        count = select(func.count()).select_from(candidates)
        if connection.execute(count.where(new) if last else count).scalar_one() == newest - last:
            ids = np.arange(last + 1, newest + 1)  # none is missing, so that they need not be read
        else:
            ids = packed.numbers(connection, _in_order(candidates.c.id).where(new)).astype(np.int64)
        added = select(candidates.c.id).where(candidates.c.kind > "", new)  # few, and an index has them
        drawn = packed.numbers(connection, added).astype(np.int64)
        for name in self._numbers:
            more = packed.numbers(connection, _in_order(candidates.c[name]).where(new))
            self._numbers[name] = np.concatenate([self._numbers[name], more])
        self.ids = np.concatenate([self.ids, ids])
        self.survey = np.concatenate([self.survey, ~np.isin(ids, drawn)])
        self._names = self._by_name = self._by_model = None

    def number(self, connection: Connection, name: str) -> NDArray[np.float64]:
        """A column of KEPT, (n,), NaN where there is no value."""
        if name not in self._numbers:
            self._numbers[name] = packed.numbers(connection, self._those_here(candidates.c[name]))
        return self._numbers[name]

    def named(self, connection: Connection, text: str) -> NDArray[np.bool_]:
        """Which candidates have a text in their name, in either case."""
        found = np.zeros(len(self.ids), bool)
        names, wanted, at, places = self._all_names(connection), text.lower().encode(), -1, []
        while (at := names.find(wanted, at + 1)) >= 0:
            places.append(at)
        starts = np.flatnonzero(np.frombuffer(names, np.uint8) == _NEWLINE) + 1
        found[np.searchsorted(starts, np.array(places, np.int64), side="right")] = True
        return found

    def rank_of_names(self, connection: Connection) -> NDArray[np.float64]:
        """The place (n,) of each candidate in the order of names."""
        if self._by_name is None:
            self._by_name = _ranked(self._all_names(connection).split(b"\n")[:-1])
        return self._by_name

    def rank_of_models(self, connection: Connection) -> NDArray[np.float64]:
        """The place (n,) of each candidate's model in the order of their names, NaN where it has none."""
        if self._by_model is None:
            models = packed.texts(connection, self._those_here(candidates.c.model)).split("\n")[:-1]
            place = {model: number for number, model in enumerate(sorted({*models}))} | {"": np.nan}
            self._by_model = np.fromiter((place[model] for model in models), np.float64, len(models))
        return self._by_model

    def _all_names(self, connection: Connection) -> bytes:
        """All names in small letters as one text, a line each: one search through it finds all."""
        if self._names is None:
            self._names = packed.texts(connection, self._those_here(candidates.c.name)).lower().encode()
        return self._names

    def _those_here(self, column: Column[Any]) -> Select[Any]:
        """A column of the candidates that were there at ``refresh``: more may have come since."""
        return _in_order(column).where(candidates.c.id <= (self.ids[-1] if len(self.ids) else 0))

    def places(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where ids stand in the columns; ids that came since are left out."""
        place = np.searchsorted(self.ids, found)
        known = place < len(self.ids)
        place = place[known]
        same: NDArray[np.int64] = place[self.ids[place] == found[known]]
        return same


def _in_order(column: Column[Any]) -> Select[Any]:
    return select(column).order_by(candidates.c.id)


def _ranked(texts: Sequence[bytes]) -> NDArray[np.float64]:
    """The place (n,) of each text in their order, the same for equal ones; eight letters at a time are one number."""
    if not texts:
        return np.empty(0)
    letters = np.array(texts)
    width = -(-letters.itemsize // 8)
    words = letters.astype(f"S{8 * width}").view(">u8").reshape(-1, width).astype(np.uint64)
    order = np.lexsort(words.T[::-1])
    new = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    place = np.empty(len(texts))
    place[order] = np.concatenate([[0], np.cumsum(new)])
    return place
