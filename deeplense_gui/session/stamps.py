"""Folders of stamps: vetting without a mosaic, each stamp a candidate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle, Reason
from deeplense_gui.session.core import Core
from engine.errors import EngineError
from engine.types import Candidate, Detection, Mosaic

UNSCORED = "stamps"
_SHOWN = 3  # files that could not be read, named in the message


class StampVerbs(Core):
    """Open stamps as a sheet; each is a candidate at the middle of its cell."""

    def open_stamps(
        self,
        paths: Sequence[Path | str],
        *,
        known_as: str | None = None,
        layout: Mapping[str, Any] | None = None,
        pixel_scale: float | None = None,
    ) -> JobHandle | None:
        """Open a folder of stamps, or several files; ``layout`` and ``known_as`` are those the project knows.

        None where they are being opened by their project, each where it was.
        """
        files = [Path(path) for path in paths]
        if known_as is None and self._opened_by_project(files):
            return None
        known = None if layout is None else frozenset(layout["names"])
        handle = self.jobs.submit(
            f"Opening stamps of {files[0].name}",
            lambda: work.open_sheet(files, pixel_scale, layout),
            kind=f"stamps of {files[0]}",
            priority=True,  # torch may be loading
            quiet=False,
        )
        self._results[handle.id] = lambda sheet: self._take_sheet(sheet, known_as, known, pixel_scale)
        return handle

    def _opened_by_project(self, files: Sequence[Path]) -> bool:
        """Whether the open project, or the one beside the stamps, knows them and opens them."""
        if self.project is None:
            beside = self._beside(files[0])
            return beside.exists() and self.open_project(beside) and self._entry(files) is not None
        entry = self._entry(files)
        options = (self.project.setting("open_options") or {}).get(entry.id, {}) if entry is not None else {}
        if "layout" not in options:
            return False
        self.open_stamps(files, known_as=entry.id, **options)
        return True

    def _entry(self, files: Sequence[Path]) -> Any:
        """What the project knows of these very files, None for nothing."""
        wanted = [os.path.abspath(path) for path in files]
        return next((one for one in self.project.mosaics() if [str(path) for path in one.paths] == wanted), None)

    def _take_sheet(
        self, sheet: Any, known_as: str | None, known: frozenset[str] | None, pixel_scale: float | None
    ) -> None:
        sheet = work.renamed(sheet, known_as) if known_as else sheet
        mosaic = sheet.mosaic
        self.sheets[mosaic.id] = sheet
        self._options[mosaic.id] = {"layout": dict(sheet.layout), "pixel_scale": pixel_scale}
        self._take_mosaic(mosaic)
        if known is None:
            if self._ensure_project(mosaic):
                self._add_stamps(mosaic, [stamp.detection() for stamp in sheet.stamps])
        elif not self.read_only:
            new = [stamp.detection() for stamp in sheet.stamps if stamp.name not in known]
            self._add_stamps(mosaic, new)
        if sheet.problems:
            more = len(sheet.problems) - _SHOWN
            text = "; ".join(sheet.problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
            self.say(f"Not all stamps could be opened. {text}", "warning")

    def _add_stamps(self, mosaic: Mosaic, found: Sequence[Detection]) -> None:
        """Make stamps candidates of the project."""
        if not found:
            return
        try:
            run = self.project.start_run(mosaic, UNSCORED)
            self._remember_options(mosaic)
            self._write(lambda: self.project.add(run, found))
            self.project.finish_run(run, Reason.DONE.value)
        except EngineError as error:
            self.say(str(error), "error")
        if self.selection is None and len(self.ids()):
            self.select(int(self.ids()[0]))

    def stamp_side(self, mosaic: Mosaic) -> float | None:
        """Side of the stamps of a sheet, arcsec or pixels; None for a mosaic."""
        sheet = self.sheets.get(mosaic.id)
        return None if sheet is None else sheet.side

    def mosaic_of(self, candidate: Candidate) -> Mosaic | None:
        """The mosaic a candidate was found on, None where its file is not open; of a sheet, its own cell alone."""
        sheet = self.sheets.get(candidate.mosaic)
        return super().mosaic_of(candidate) if sheet is None else sheet.alone(candidate.x, candidate.y)
