"""Opening and closing project files, and finding their mosaics again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deeplense_gui.jobs import Reason
from deeplense_gui.session.core import EVERYTHING, PROJECT_SUFFIX, Choice
from deeplense_gui.session.schemes import SchemeVerbs
from engine.errors import EngineError
from engine.types import Changes, Mosaic


class ProjectVerbs(SchemeVerbs):
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
        """Create an empty project file and make it the current one."""
        from engine.catalogue.store import Project

        return self._use_project(lambda: Project.create(Path(path)))

    def open_project(self, path: Path | str, *, read_only: bool = False) -> bool:
        """Open a project file, its mosaics where they still are, and go on where one was."""
        from engine.catalogue.store import Project

        path = Path(path)

        def reader() -> None:
            self.open_project(path, read_only=True)

        return self._use_project(lambda: Project.open(path, read_only=read_only), Choice("Open read-only", reader))

    def save_project_as(self, path: Path | str) -> bool:
        """Copy the project to another file and go on there."""
        if self.project is None:
            return False
        try:
            copy = self.project.save_as(path)
        except EngineError as error:
            self.say(str(error), "error")
            return False
        return self.open_project(copy)

    def close_project(self) -> None:
        """Close the project; every grade is on disk already."""
        if self.project is None:
            return
        if self.scan_job is not None:
            self.jobs.cancel(self.scan_job)
            self._tell_found()
            self._end_scan(Reason.CANCELLED.value)
        self._following.stop()
        self._remember_place()
        self.project.close()
        self.listing.use(None)
        self._use_blind(False)
        self._graded_at.clear()
        self.select(None)
        self.project_opened.emit(None)

    def _use_project(self, opener: Callable[[], Any], reader: Choice | None = None) -> bool:
        try:
            project = opener()
        except (EngineError, OSError) as error:
            advised = reader is not None and "read-only" in str(error)  # not where that would not open it either
            self.say(str(error), "error", (reader,) if advised else ())
            return False
        self.close_project()
        self.listing.use(project)
        self._announce_scheme()
        self._use_blind(bool(project.setting("blind")))
        if self.blind:
            self.listing.filters = self._unbiased(self.filters)
        self.preferences.remember_project(Path(project.path))
        self.project_opened.emit(project)
        self.blinded.emit(self.blind)
        self.filtered.emit()
        if project.read_only:
            self.say(
                f"{Path(project.path).name} is open to read: what others write appears here, grades cannot be given. "
                "File > Save project as makes a copy that you can grade in.",
                "warning",
            )
            self._written = _stamp(Path(project.path))
            self._following.start()
        self._reopen_mosaics()
        last = project.setting("selection")
        ids = self.ids()
        self.select(last if last is not None and last in ids else int(ids[0]) if len(ids) else None)
        return True

    def _follow(self) -> None:
        """In a project that is open to read, take up what another window has written since."""
        written = _stamp(Path(self.project.path))
        if written != self._written:
            self._written = written
            self.listing.forget()
            self._announce_scheme()
            self.changed.emit(Changes("Another window", (), EVERYTHING))
            self.filtered.emit()

    def _reopen_mosaics(self) -> None:
        """Open the mosaics of the project again; name those that are gone, and let the user find them."""
        options = self.project.setting("open_options") or {}
        for entry in self.project.mosaics():
            if entry.id in self.mosaics:
                continue
            missing = [path for path in entry.paths if not Path(path).exists()]
            if missing:
                self.say(
                    f"{missing[0]} is no longer there. The grades and scores are, its pixels are not.",
                    "warning",
                    (Choice("Locate…", partial(self.locate.emit, entry.id, str(missing[0]))),),
                )
            else:
                self._reopen(entry.paths, entry.id, options.get(entry.id, {}))

    def _reopen(self, paths: Sequence[Path | str], known_as: str, options: Mapping[str, Any]) -> None:
        """Open what the project knows, as it was opened before: a mosaic, or stamps."""
        opener = self.open_stamps if "layout" in options else self.open_mosaic
        opener(paths, known_as=known_as, **options)

    def _remember_options(self, mosaic: Mosaic) -> None:
        """Keep how a mosaic was opened with the project."""
        options = self.project.setting("open_options") or {}
        self.keep("open_options", options | {mosaic.id: self._options[mosaic.id]})

    def relocate(self, mosaic_id: str, paths: Sequence[Path | str]) -> None:
        """Open a mosaic that was moved from where it is now, as the one the project knows."""
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
                missing = [str(path) for path in entry.paths if not Path(path).exists()]
                if missing:
                    self.locate.emit(entry.id, missing[0])
                else:
                    self._reopen(entry.paths, entry.id, options.get(entry.id, {}))

    def _remember_place(self) -> None:
        """Write selection and filters to the project, so that reopening goes on here."""
        if self.keep("selection", self.selection):
            self.keep("filters", self.filters.stored())


def _stem(path: Path) -> str:
    """The name without its endings, .fits.gz and the like."""
    return path.name.split(".")[0] or "mosaic"


def _stamp(path: Path) -> tuple[tuple[int, int], ...]:
    """Size and time of a project file and its log: they change with every write."""
    files = [file for file in (path, path.with_name(path.name + "-wal")) if file.exists()]
    return tuple((status.st_size, status.st_mtime_ns) for status in (file.stat() for file in files))
