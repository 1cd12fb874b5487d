"""Opening and closing project files, and finding their mosaics again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle, Reason
from deeplense_gui.preferences import is_address
from deeplense_gui.session.core import PROJECT_SUFFIX, Choice
from deeplense_gui.session.following import FollowVerbs
from engine.errors import EngineError
from engine.types import Mosaic

LONG = 50_000  # candidates of a list whose columns are read before they are asked for
AHEAD_MS = 1000  # after opening: the window shows the list first


class ProjectVerbs(FollowVerbs):
    """Make, open, copy and close projects."""

    def _automatic_project(self, mosaic: Mosaic) -> Path:
        """Where the project of a mosaic lives until the user says otherwise: beside it, or in the user's own folder."""
        first = mosaic.paths[0]
        if first.parent.is_dir() and os.access(first.parent, os.W_OK):
            return self._beside(first)
        return self.preferences.project_folder() / f"{_stem(first)}-{mosaic.id[:8]}{PROJECT_SUFFIX}"

    def _beside(self, path: Path) -> Path:
        """The project file beside a mosaic or a folder of stamps."""
        return path.parent / f"{_stem(path)}{PROJECT_SUFFIX}"

    def new_project(self, path: Path | str) -> bool:
        """Create an empty project, in a file or at the address of a server, and make it the current one."""
        from engine.catalogue.store import Project

        return self._use_project(lambda: Project.create(path))

    def open_project(self, path: Path | str, *, read_only: bool = False) -> bool:
        """Open a project, its mosaics where they still are, and go on where one was."""
        from engine.catalogue.store import Project

        def reader() -> None:
            self.open_project(path, read_only=True)

        choices = {"read-only": Choice("Open read-only", reader)}  # not where that would not open it either
        if is_address(path):
            choices["PGPASSWORD"] = Choice("Type the password…", partial(self.address_wanted.emit, str(path)))
        return self._use_project(lambda: Project.open(path, read_only=read_only), choices)

    def save_project_as(self, path: Path | str) -> bool:
        """Copy the project to another file and go on there; from a server that is done in the background."""
        if self.project is None:
            return False
        if self.project.shared:
            return self.copy_project(path) is not None
        try:
            copy = self.project.save_as(path)
        except EngineError as error:
            self.say(str(error), "error")
            return False
        return self.open_project(copy)

    def copy_project(self, place: Path | str) -> JobHandle | None:
        """Copy the project, whole, to a file or to the address of a server, in the background; then go on there."""
        project = self.project
        if project is None:
            return None
        name, was = project.name, project.place

        def done(copy: Path | str) -> None:
            if self.project is project and self.open_project(copy):
                self.say(f"“{name}” was copied, and you go on in the copy. {was} stays as it is.")

        job = self.jobs.submit(f"Copying {name}", lambda: work.copied(project, place), outside=True)
        self._results[job.id] = done
        return job

    def close_project(self) -> None:
        """Close the project; every grade is on disk already."""
        if self.project is None:
            return
        if self.scan_job is not None:
            self.jobs.cancel(self.scan_job)
            self._tell_found()
            self._end_scan(Reason.CANCELLED.value)
        if self._ahead is not None:
            self.jobs.cancel(self._ahead)
            self._ahead = None
        self._following.stop()
        self._remember_place()
        self.project.close()
        self.listing.use(None)
        self._placed = ("", None)
        self._use_blind(False)
        self._graded_at.clear()
        self.select(None)
        self.project_opened.emit(None)

    def with_password(self, place: str, password: str) -> str:
        """The address of a shared project with the password that was typed for it; EngineError where it is none."""
        from engine.catalogue import server

        return server.with_password(place, password)

    def find_shared(self, address: str, take: Callable[[Any], None]) -> JobHandle:
        """Look, beside the window's work, what is at the address of a server; ``take`` gets it, or the EngineError."""
        handle = self.jobs.submit(
            "Looking at the server", lambda: work.find_shared(address), priority=True, kind="find", outside=True
        )
        self._results[handle.id] = take
        return handle

    def _use_project(self, opener: Callable[[], Any], choices: Mapping[str, Choice] | None = None) -> bool:
        """Make a project the current one; ``choices`` are the ways out by a word of the message they belong to."""
        try:
            project = opener()
            project.setting("blind")
        except (EngineError, OSError) as error:
            ways = [choice for word, choice in (choices or {}).items() if word in str(error)]
            self.say(str(error), "error", ways[:1])
            return False
        self.close_project()
        self.listing.project = project
        self.listing.use(project, self.remembered("filters"))
        self._start_following()
        self._announce_scheme()
        self._use_blind(bool(self.remembered("blind")))
        if self.blind:
            self.listing.filters = self._unbiased(self.filters)
        self.preferences.remember_project(project.place)
        self.project_opened.emit(project)
        self.blinded.emit(self.blind)
        self.filtered.emit()
        if project.read_only:
            self.say(
                f"{project.name} is open to read: what others write appears here, grades cannot be given. "
                "File > Save project as makes a copy that you can grade in.",
                "warning",
            )
        self._reopen_mosaics()
        last = self.remembered("selection")
        ids = self.ids()
        self.select(last if last is not None and last in ids else int(ids[0]) if len(ids) else None)
        if not project.shared and sum(self.counts().values()) >= LONG:  # a server is not asked for what nobody wants
            QTimer.singleShot(AHEAD_MS, self, partial(self._read_ahead, project))
        return True

    def _read_ahead(self, project: Any) -> None:
        """Read columns of a long list beside all other work, so that the first sort by one need not wait for that."""
        if self.project is project:
            name = "Reading the columns of the list"
            self._ahead = self.jobs.submit(name, project.read_ahead, quiet=True, outside=True)

    def _reopen_mosaics(self) -> None:
        """Open the mosaics of the project again; name those that are gone, and let the user find them."""
        options = self.project.setting("open_options") or {}
        for entry in self.project.mosaics():
            if entry.id in self.mosaics:
                continue
            paths, missing = self._here(entry)
            if missing:
                self.say(
                    f"{missing[0]} is no longer there. The grades and scores are, its pixels are not.",
                    "warning",
                    (Choice("Locate…", partial(self.locate.emit, entry.id, str(missing[0]))),),
                )
            else:
                self._reopen(paths, entry.id, options.get(entry.id, {}))

    def _here(self, entry: Any) -> tuple[Sequence[Path], list[Path]]:
        """The files of a mosaic where the project says they are, or where they were found on this machine before.

        With them those that are missing.
        """
        missing = [path for path in entry.paths if not path.exists()]
        found = [Path(path) for path in self.preferences.located(entry.id)] if missing else []
        return (found, []) if found and all(path.exists() for path in found) else (entry.paths, missing)

    def _reopen(self, paths: Sequence[Path | str], known_as: str, options: Mapping[str, Any]) -> None:
        """Open what the project knows, as it was opened before: a mosaic, or stamps."""
        opener = self.open_stamps if "layout" in options else self.open_mosaic
        opener(paths, known_as=known_as, **options)

    def _remember_options(self, mosaic: Mosaic) -> None:
        """Keep how a mosaic was opened with the project."""
        self.keep_among("open_options", {mosaic.id: self._options[mosaic.id]})

    def relocate(self, mosaic_id: str, paths: Sequence[Path | str]) -> None:
        """Open a mosaic that was moved from where it is now, as the one the project knows, and remember where."""
        self.preferences.remember_located(mosaic_id, [str(path) for path in paths])
        options = {} if self.project is None else (self.project.setting("open_options") or {}).get(mosaic_id, {})
        self._reopen(paths, mosaic_id, options)

    def find_mosaic(self) -> None:
        """Open the mosaic of the selected candidate; where its file is gone, let the user say where it is now."""
        candidate = self.candidate()
        if candidate is None or candidate.mosaic in self.mosaics:
            return
        options = self.project.setting("open_options") or {}
        for entry in self.project.mosaics():
            if entry.id == candidate.mosaic:
                paths, missing = self._here(entry)
                if missing:
                    self.locate.emit(entry.id, str(missing[0]))
                else:
                    self._reopen(paths, entry.id, options.get(entry.id, {}))

    def _remember_place(self) -> None:
        """Write selection and filters to the project, so that reopening goes on here."""
        if not self._away and self.keep(self.own("selection"), self.selection):
            self.keep(self.own("filters"), self.filters.stored())


def _stem(path: Path) -> str:
    """The name without its endings, .fits.gz and the like."""
    return path.name.split(".")[0] or "mosaic"
