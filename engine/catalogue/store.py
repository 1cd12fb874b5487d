"""The project file: candidates, their scores, and what people said of them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, RowMapping, select
from sqlalchemy.dialects.sqlite import insert

from engine.catalogue import detections as scanned
from engine.catalogue import history, journal, queries, records
from engine.catalogue.database import Database
from engine.catalogue.identity import match_radius
from engine.catalogue.records import Event, MosaicRecord, RunRecord, ScoreRecord, now, to_json
from engine.catalogue.schema import mosaics, runs, scores, settings
from engine.errors import ProjectError
from engine.types import Candidate, Changes, Detection, Mosaic


@dataclass(slots=True)
class _Group:
    """An operation being made of several writes; it gets its id with the first of them."""

    text: str
    id: int | None = None


class Project(Database):
    """An open project; make one with ``create``, ``open`` or ``temporary``, end it with ``close``.

    A write is on disk when its method returns. Every method raises ProjectError when the file cannot be read or
    written; nothing of the write that failed is kept, and the project stays usable.
    """

    def __init__(self, engine: Engine, path: Path | None, lock: FileLock | None, copied: Path | None = None) -> None:
        super().__init__(engine, path, lock, copied)
        self._group: _Group | None = None

    # What scans bring

    def add_mosaic(self, mosaic: Mosaic) -> None:
        """Make a mosaic known; harmless when it is known already."""
        row = {
            "id": mosaic.id,
            "name": mosaic.name,
            "stem": _stem(mosaic),
            "paths": to_json([os.path.abspath(path) for path in mosaic.paths]),
            "ny": mosaic.shape[0],
            "nx": mosaic.shape[1],
            "bands": to_json(mosaic.bands),
            "pixel_scale": mosaic.pixel_scale,
            "has_wcs": int(mosaic.wcs is not None),
            "extension": mosaic.extension,
            "match_radius": match_radius(mosaic),
        }
        with self._writing() as connection:
            connection.execute(insert(mosaics).on_conflict_do_nothing(), row)

    def mosaics(self) -> list[MosaicRecord]:
        """The mosaics of the project, in the order they were added."""
        with self._reading() as connection:
            return [records.mosaic(row) for row in connection.execute(select(mosaics).order_by(mosaics.c.number))]

    def start_run(self, mosaic: Mosaic, model_key: str, settings: Mapping[str, Any] | None = None) -> int:
        """Begin a scan of a mosaic, made known if it is not; returns the id that ``add`` wants."""
        with self._writing() as connection:
            self.add_mosaic(mosaic)
            number = connection.execute(select(mosaics.c.number).where(mosaics.c.id == mosaic.id)).scalar_one()
            row = {
                "mosaic": number,
                "model": model_key,
                "settings": to_json(settings or {}),
                "started": now(),
                "state": "running",
            }
            return journal.inserted(connection.execute(runs.insert(), row))

    def finish_run(self, run: int, state: str) -> None:
        """Say how a scan ended: done, cancelled or failed."""
        with self._writing() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(state=state, finished=now()))

    def runs(self) -> list[RunRecord]:
        """The scans, oldest first."""
        query = select(runs, mosaics.c.id.label("mosaic_id")).join(mosaics).order_by(runs.c.id)
        with self._reading() as connection:
            return [records.run(row) for row in connection.execute(query)]

    def add(self, run: int, detections: Sequence[Detection]) -> Changes:
        """Take up what a scan found, in one transaction; see ``engine.catalogue.detections.add`` for the rules."""
        with self._writing(durable=False) as connection:
            return scanned.add(connection, run, detections)

    # Reading the list

    def ids(
        self,
        *,
        order: str = "score",
        descending: bool = True,
        grades: Collection[str | None] | None = None,
        min_score: float | None = None,
        max_score: float | None = None,
        text: str | None = None,
        mosaic: str | None = None,
    ) -> NDArray[np.int64]:
        """Ids of candidates, sorted by a column of ``queries.ORDERS``; what has no value comes last.

        ``grades`` keeps those with one of these grades (None: not graded yet), ``text`` those with it in name or
        note, in either case, ``mosaic`` those of one mosaic's id; limits of the score are inclusive.
        """
        with self._reading() as connection:
            return queries.ids(
                connection,
                order=order,
                descending=descending,
                grades=grades,
                min_score=min_score,
                max_score=max_score,
                text=text,
                mosaic=mosaic,
            )

    def rows(self, ids: Sequence[int] | NDArray[np.int64]) -> list[Candidate]:
        """The candidates of some ids, in that order, each with its newest score; unknown ids are left out."""
        with self._reading() as connection:
            return queries.rows(connection, ids)

    def positions(self, mosaic: str | None = None) -> records.Positions:
        """Where all candidates are, with grade and score, in order of id; of one mosaic's id, if one is given."""
        with self._reading() as connection:
            return queries.positions(connection, mosaic)

    def candidate(self, id: int) -> Candidate:
        """One candidate; ProjectError when there is none of this id."""
        found = self.rows([id])
        if not found:
            raise ProjectError(f"there is no candidate {id} in this project: reload the list")
        return found[0]

    def scores(self, id: int) -> list[ScoreRecord]:
        """What each run said of a candidate, newest first."""
        query = select(scores, runs.c.started).join(runs).where(scores.c.candidate == id).order_by(scores.c.run.desc())
        with self._reading() as connection:
            return [records.score(row) for row in connection.execute(query)]

    def counts(self, mosaic: str | None = None) -> dict[str | None, int]:
        """How many candidates have each grade; None counts those not graded yet."""
        with self._reading() as connection:
            return queries.counts(connection, mosaic)

    # What people say

    def grade(
        self,
        ids: int | Sequence[int],
        grade: str | None,
        *,
        grader: str,
        display: Mapping[str, Any] | None = None,
        dwell: float | None = None,
    ) -> Changes:
        """Give candidates a grade, or take it away (None); one operation for undo, on disk on return.

        ``display`` is the state of the display the grade was given from, ``dwell`` the seconds spent looking. Where
        the same person gave the same grade before, nothing is written.
        """
        numbers = _numbers(ids)
        text = "Clear grade" if grade is None else f"Grade {grade}"
        with self._writing() as connection:
            standing = journal.current(connection, numbers, "grade")
            said = {"grade": grade, "grader": "" if grade is None else grader}
            at = None if grade is None else now()
            stated = [
                (row, {**said, "graded_at": at})
                for row in standing
                if (row["grade"], row["grader"]) != (grade, said["grader"])
            ]
            return self._state(connection, text, "grade", stated, grader=grader, display=display, dwell=dwell)

    def note(self, ids: int | Sequence[int], text: str, *, grader: str) -> Changes:
        """Replace the note of candidates; an empty text removes it."""
        with self._writing() as connection:
            standing = journal.current(connection, _numbers(ids), "note")
            stated = [(row, {"note": text}) for row in standing if row["note"] != text]
            return self._state(connection, "Note" if text else "Remove note", "note", stated, grader=grader)

    def _state(
        self,
        connection: Connection,
        text: str,
        kind: str,
        stated: Sequence[tuple[RowMapping, Mapping[str, Any]]],
        *,
        grader: str,
        display: Mapping[str, Any] | None = None,
        dwell: float | None = None,
    ) -> Changes:
        if not stated:
            return Changes(text)
        text = text if len(stated) == 1 else f"{text}: {len(stated)} candidates"
        group = self._group or _Group(text)
        if group.id is None:
            group.id = journal.begin_operation(connection, group.text, grader)
        journal.append(connection, group.id, "do", kind, stated, grader=grader, display=display, dwell=dwell)
        return Changes(group.text, tuple(row["id"] for row, _ in stated), frozenset({f"{kind}s"}))

    @contextlib.contextmanager
    def operation(self, text: str) -> Iterator[None]:
        """Make the grades and notes given inside one operation, kept and undone as a whole.

        An exception inside takes all of them back. Other threads' writes wait, so nothing slow belongs inside.
        """
        with self._writing():
            outer, self._group = self._group, self._group or _Group(text)
            try:
                yield
            finally:
                self._group = outer

    def undo(self) -> Changes | None:
        """Take back the last operation, by appending its inverse; None when there is nothing to take back."""
        with self._writing() as connection:
            return history.revert(connection, "undo")

    def redo(self) -> Changes | None:
        """Do again what was undone last, until something else is done; None when there is nothing."""
        with self._writing() as connection:
            return history.revert(connection, "redo")

    @property
    def undo_text(self) -> str | None:
        """What ``undo`` would take back, such as "Grade A"."""
        with self._reading() as connection:
            operation = history.next_operation(connection, "undo")
        return None if operation is None else operation.text

    @property
    def redo_text(self) -> str | None:
        """What ``redo`` would do again."""
        with self._reading() as connection:
            operation = history.next_operation(connection, "redo")
        return None if operation is None else operation.text

    def journal(self, candidate: int | None = None) -> list[Event]:
        """All that was ever said, in order, of all candidates or of one."""
        with self._reading() as connection:
            return journal.read(connection, candidate)

    # Where one was

    def setting(self, key: str, default: Any = None) -> Any:
        """A value kept with the project, such as the last selection."""
        with self._reading() as connection:
            text = connection.execute(select(settings.c.value).where(settings.c.key == key)).scalar()
        return default if text is None else json.loads(text)

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a value, anything JSON can hold, with the project."""
        with self._writing(durable=False) as connection:
            statement = insert(settings).values(key=key, value=to_json(value))
            update = statement.on_conflict_do_update(index_elements=["key"], set_={"value": statement.excluded.value})
            connection.execute(update)


def _numbers(ids: int | Sequence[int]) -> list[int]:
    return [int(ids)] if isinstance(ids, int | np.integer) else list(dict.fromkeys(int(number) for number in ids))


def _stem(mosaic: Mosaic) -> str:
    """The first file's name without its endings, .fits.gz and the like."""
    return mosaic.paths[0].name.split(".")[0] if mosaic.paths else "mosaic"
