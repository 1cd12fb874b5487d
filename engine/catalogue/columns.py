"""Columns of the list in memory: what makes sorting and filtering a million candidates a matter of milliseconds.

A column is read when it is first asked for, or ahead of that, a part at a time, beside the window's work. Afterwards
only what is new is read: where a candidate lies never changes, and the table of scores tells whose score did. What
people say is not kept here, since it is little and changes at each key.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
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

#: Orders that stay until there are other candidates or scores.
LASTING = (*KEPT, "name", "model")

#: Columns that are read ahead: what the list is sorted and filtered by most.
AHEAD = ("spread", "flux", "radius", "signal_to_noise", "ra", "dec", "x", "y")

_PART = 50_000  # candidates that are read at once when reading ahead: others may have a turn in between
_ORDERS_KEPT = 2

_NEWLINE = ord("\n")

Ids = NDArray[np.int64]


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
        self._orders: OrderedDict[tuple[str, bool], tuple[NDArray[np.intp], Ids]] = OrderedDict()
        self._scored = 0
        self._state = 0  # another number whenever what was read before may be old
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
            self._renewed()
        if self._numbers.keys() & set(SCORED) and (scored > self._scored or self._stale):
            query = select(scores.c.candidate).where(literal_column("scores.rowid") > self._scored)
            again = self._stale | {row[0] for row in connection.execute(query)}
            self._score_again(connection, sorted(number for number in again if number <= last))
        self._scored = scored
        self._stale.clear()
        if newest > last:
            self._append(connection, last, newest)

    def _renewed(self) -> None:
        self._state += 1
        self._orders.clear()

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
        self._renewed()

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
            self._by_name = _ranked(np.array(self._all_names(connection).split(b"\n")[:-1]))
        return self._by_name

    def rank_of_models(self, connection: Connection) -> NDArray[np.float64]:
        """The place (n,) of each candidate's model in the order of their names, NaN where it has none."""
        if self._by_model is None:
            models: dict[str, int] = {}
            codes = _coded(packed.texts(connection, self._those_here(candidates.c.model)), models)
            self._by_model = _ranks(models)[codes]
        return self._by_model

    def _all_names(self, connection: Connection) -> bytes:
        """All names in small letters as one text, a line each: one search through it finds all."""
        if self._names is None:
            self._names = packed.texts(connection, self._those_here(candidates.c.name)).lower().encode()
        return self._names

    def ordered(
        self, name: str, descending: bool, values: Callable[[], NDArray[np.float64]]
    ) -> tuple[NDArray[np.intp], Ids]:
        """All places in the order of a column of numbers or ranks, and the ids there; the last few orders are kept."""
        key = (name, descending)
        if key not in self._orders:
            value = values()
            order = sorted_places(-value if descending else value)
            self._orders[key] = (order, self.ids[order])
            if len(self._orders) > _ORDERS_KEPT:
                self._orders.popitem(last=False)
        self._orders.move_to_end(key)
        return self._orders[key]

    def read_ahead(self, reading: Callable[[], AbstractContextManager[Connection]]) -> Iterator[float]:
        """Read what is likely to be asked for, a part of the candidates at a time; yields the share that is done.

        Nobody waits meanwhile. Where there are others or new scores in the end, what was read is dropped.
        """
        with reading() as connection, self.lock:
            self.refresh(connection)
            state, ids = self._state, self.ids
            wanted = [name for name in AHEAD if name not in self._numbers]
        numbers, codes, models = np.empty((len(wanted), len(ids))), np.empty(len(ids), np.intp), dict[str, int]()
        names: list[bytes] = []
        letters: list[NDArray[np.bytes_]] = []
        for start in range(0, len(ids), _PART):
            some = ids[start : start + _PART]
            with reading() as connection:
                here = candidates.c.id.between(int(some[0]), int(some[-1]))
                query = select(*(candidates.c[name] for name in wanted)).order_by(candidates.c.id).where(here)
                part = packed.table(connection, query) if wanted else 0.0
                texts, of_models = (
                    packed.texts(connection, _in_order(column).where(here))
                    for column in (candidates.c.name, candidates.c.model)
                )
            if state != self._state:
                return
            numbers[:, start : start + len(some)] = part
            names.append(texts.lower().encode())
            letters.append(np.array(names[-1].split(b"\n")[:-1]))
            codes[start : start + len(some)] = _coded(of_models, models)
            yield (start + len(some)) / len(ids)
        by_name = _ranked(np.concatenate(letters)) if letters else np.empty(0)
        with self.lock:
            if state == self._state:
                self._numbers = {**dict(zip(wanted, numbers, strict=True)), **self._numbers}
                self._names, self._by_name, self._by_model = b"".join(names), by_name, _ranks(models)[codes]

    def _those_here(self, column: Column[Any]) -> Select[Any]:
        """A column of the candidates that were there at ``refresh``: more may have come since."""
        return _in_order(column).where(candidates.c.id <= (self.ids[-1] if len(self.ids) else 0))

    def places(self, found: Ids) -> Ids:
        """Where ids stand in the columns; ids that came since are left out."""
        if not len(self.ids):
            return np.empty(0, np.int64)
        if self.ids[-1] - self.ids[0] == len(self.ids) - 1:  # none is missing between them
            at: Ids = found - self.ids[0]
            return at[(at >= 0) & (at < len(self.ids))]
        place = np.searchsorted(self.ids, found)
        known = place < len(self.ids)
        place = place[known]
        same: NDArray[np.int64] = place[self.ids[place] == found[known]]
        return same


def _in_order(column: Column[Any]) -> Select[Any]:
    return select(column).order_by(candidates.c.id)


def sorted_places(value: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices (n,) in order of value, NaN last, equals in the order they are in: as a stable sort, in half its time."""
    missing = np.isnan(value)
    there = np.flatnonzero(~missing)
    value = value[there]
    order = np.argsort(value)
    ordered = value[order]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        run = np.concatenate([[0], np.cumsum(~same)])
        tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
        order[tied] = order[tied][np.lexsort((order[tied], run[tied]))]
    return np.concatenate([there[order], np.flatnonzero(missing)])


def _coded(texts: str, codes: dict[str, int]) -> NDArray[np.intp]:
    """A number (n,) for each line, the same for equal ones; new ones are put into ``codes``."""
    lines = texts.split("\n")[:-1]
    return np.fromiter((codes.setdefault(line, len(codes)) for line in lines), np.intp, len(lines))


def _ranks(codes: Mapping[str, int]) -> NDArray[np.float64]:
    """The place of each code in the order of their texts, NaN for the empty one."""
    ranks = np.full(len(codes), np.nan)
    for place, text in enumerate(sorted(codes)):
        if text:
            ranks[codes[text]] = place
    return ranks


def _ranked(letters: NDArray[np.bytes_]) -> NDArray[np.float64]:
    """The place (n,) of each text in their order, the same for equal ones; eight letters at a time are one number."""
    if not len(letters):
        return np.empty(0)
    width = -(-letters.itemsize // 8)
    words = letters.astype(f"S{8 * width}").view(">u8").reshape(-1, width).astype(np.uint64)
    order = np.lexsort(words.T[::-1])
    new = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    place = np.empty(len(letters))
    place[order] = np.concatenate([[0], np.cumsum(new)])
    return place
