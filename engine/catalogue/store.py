"""The project file: candidates, their scores, and what people said of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from engine.catalogue import detections as scanned
from engine.catalogue import duplicates, journal, queries, records, settings
from engine.catalogue.columns import Columns
from engine.catalogue.database import Home
from engine.catalogue.dialect import insert
from engine.catalogue.identity import match_radius
from engine.catalogue.queries import Query
from engine.catalogue.records import MosaicRecord, RunRecord, ScoreRecord, now, to_json
from engine.catalogue.schema import mosaics, runs, scores
from engine.catalogue.scheme import Scheme
from engine.catalogue.vetting import Vetting
from engine.errors import ProjectError
from engine.types import Candidate, Changes, Detection, Mosaic, Step


class Project(Vetting):
    """An open project; make one with ``create``, ``open`` or ``temporary``, end it with ``close``.

    A write is on disk when its method returns. Every method raises ProjectError when the file cannot be read or
    written; nothing of the write that failed is kept, and the project stays usable.
    """

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._columns = Columns()

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
            "footprint": _footprint(mosaic),
        }
        with self.writing() as connection:
            connection.execute(insert(connection, mosaics).on_conflict_do_nothing(), row)
            if row["footprint"]:  # a project of an older format did not know where the mosaic lies
                unplaced = (mosaics.c.id == mosaic.id) & mosaics.c.footprint.is_(None)
                connection.execute(mosaics.update().where(unplaced).values(footprint=row["footprint"]))

    def mosaics(self) -> list[MosaicRecord]:
        """The mosaics of the project, in the order they were added."""
        with self.reading() as connection:
            return [records.mosaic(row) for row in connection.execute(select(mosaics).order_by(mosaics.c.number))]

    def start_run(self, mosaic: Mosaic, model_key: str, settings: Mapping[str, Any] | None = None) -> int:
        """Begin a scan of a mosaic, made known if it is not; returns the id that ``add`` wants."""
        with self.writing() as connection:
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
        with self.writing() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(state=state, finished=now()))

    def runs(self) -> list[RunRecord]:
        """The scans, oldest first."""
        query = select(runs, mosaics.c.id.label("mosaic_id")).join(mosaics).order_by(runs.c.id)
        with self.reading() as connection:
            return [records.run(row) for row in connection.execute(query)]

    def add(self, run: int, detections: Sequence[Detection]) -> Changes:
        """Take up what a scan found, in one transaction; see ``engine.catalogue.detections.add`` for the rules."""
        with self.writing(durable=False) as connection:
            changes = scanned.add(connection, run, detections)
            self._news.scanned(connection)
        self._columns.changed(changes.ids)
        return changes

    # Reading the list

    def ids(self, query: Query | None = None, **changes: Any) -> NDArray[np.int64]:
        """Ids of candidates, filtered and sorted; ``changes`` are fields of the query, see ``queries.Query``."""
        with self.reading(snapshot=True) as connection:
            query = replace(query or Query(), **changes)
            return queries.ids(connection, query, settings.scheme(connection), self._kept())

    def read_ahead(self) -> Iterator[Step]:
        """Read what the list is likely to be sorted by: a job that may be given up at any step, and changes nothing."""
        for share in self._columns.read_ahead(self.reading):
            yield Step(round(1000 * share), 1000)

    def _kept(self) -> Columns:
        """The columns in memory; inside a transaction there may be what is then taken back: nothing of it is kept."""
        return Columns() if self.in_transaction else self._columns

    def rows(self, ids: Sequence[int] | NDArray[np.int64], seen_by: str | None = None) -> list[Candidate]:
        """The candidates of some ids, in that order, each with its newest score; unknown ids are left out.

        ``seen_by`` names a person: what the others said is left out.
        """
        with self.reading() as connection:
            return queries.rows(connection, ids, seen_by)

    def positions(self, mosaic: str | None = None) -> records.Positions:
        """Where all candidates are, with grade and score, in order of id; of one mosaic's id, if one is given."""
        with self.reading(snapshot=True) as connection:
            return queries.positions(connection, mosaic, self._kept())

    def candidate(self, id: int, seen_by: str | None = None) -> Candidate:
        """One candidate; ProjectError when there is none of this id."""
        found = self.rows([id], seen_by)
        if not found:
            raise ProjectError(f"there is no candidate {id} in this project: reload the list")
        return found[0]

    def scores(self, id: int) -> list[ScoreRecord]:
        """What each run said of a candidate, newest first."""
        query = select(scores, runs.c.started).join(runs).where(scores.c.candidate == id).order_by(scores.c.run.desc())
        with self.reading() as connection:
            return [records.score(row) for row in connection.execute(query)]

    def counts(self, mosaic: str | None = None, seen_by: str | None = None) -> dict[str | None, int]:
        """How many candidates have each grade; None counts those not graded yet."""
        with self.reading(snapshot=True) as connection:
            return queries.counts(connection, mosaic, seen_by, self._kept())

    def repeated(self) -> NDArray[np.int64]:
        """Ids of the candidates that are the same object as another one, after what people said last."""
        with self.reading() as connection:
            return duplicates.repeated(connection)

    # How grades are called

    def scheme(self) -> Scheme:
        """The grades and subclasses of this project; letters, unless others were chosen."""
        with self.reading() as connection:
            return settings.scheme(connection)

    def set_scheme(self, scheme: Scheme, *, grader: str = "") -> Changes:
        """Choose the grades and subclasses, as one operation for undo; what was given before stays as it was."""
        with self.writing() as connection:
            if scheme == settings.scheme(connection):
                return Changes("Scheme")
            text = f"Scheme {' '.join(level.name for level in scheme.grades)}"
            operation = journal.begin_operation(connection, text, grader)
            settings.change_scheme(connection, operation, "do", grader, scheme.stored())
        return Changes(text, (), frozenset({"settings"}))

    # Where one was

    def setting(self, key: str, default: Any = None) -> Any:
        """A value kept with the project, such as the last selection."""
        with self.reading() as connection:
            return settings.read(connection, key, default)

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a value, anything JSON can hold, with the project."""
        with self.writing(durable=False) as connection:
            settings.write(connection, key, value)

    def add_to_setting(self, key: str, values: Mapping[str, Any]) -> None:
        """Keep values beside those that a setting holds already, whoever else adds to it at the same moment."""
        with self.writing(durable=False) as connection:
            settings.write(connection, key, {**(settings.read(connection, key) or {}), **values})


def _stem(mosaic: Mosaic) -> str:
    """The first file's name without its endings, .fits.gz and the like."""
    return mosaic.paths[0].name.split(".")[0] if mosaic.paths else "mosaic"


def _footprint(mosaic: Mosaic) -> str | None:
    """The sky positions of the four corners, ICRS degrees, counter-clockwise from the first pixel."""
    ny, nx = mosaic.shape
    corners = mosaic.world(np.array([(-0.5, -0.5), (nx - 0.5, -0.5), (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5)]))
    return to_json(corners.round(7)) if np.isfinite(corners).all() else None
