"""The state of the window and its verbs: open, scan, select, grade, explain, export.

The session and the jobs are the only callers of the engine; panels and dialogs listen to the session's signals and
call its verbs. It runs in the GUI thread; what takes longer than a frame goes to ``jobs``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from deeplense_gui import work
from deeplense_gui.filters import CandidateList, Filters
from deeplense_gui.jobs import JobHandle, Jobs, Reason
from deeplense_gui.preferences import Preferences
from engine.errors import EngineError
from engine.types import Candidate, Changes, ModelCard, Mosaic, ScanRequest, Step

GRADES = ("A", "B", "C", "X")
PROJECT_SUFFIX = ".deeplense"


@dataclass(frozen=True, slots=True)
class Choice:
    """A way out that the session offers with a message."""

    label: str
    run: Callable[[], None]


class Session(QObject):
    """One window's work: a project, its mosaics, one selection.

    Signals: ``changed(Changes)`` after each write to the project; ``filtered`` when the list's order or filter is
    new; ``selected(id | None)``; ``mosaic_opened(Mosaic | None)`` for the mosaic now shown; ``project_opened(Project |
    None)``; ``explaining(id, method)``, then ``explained(id, Saliency)``; ``residual_made(id, Residual | None)``;
    ``overlays_toggled(bool)``;
    ``scanning(bool)``; ``message(text, level, choices)`` with level "info", "warning" or "error" and a tuple of
    ``Choice``; ``crashed(title, traceback)``; ``locate(id, path)`` when the user wants to find a missing mosaic and
    ``scale_wanted`` when they want to type a pixel scale.
    """

    changed = Signal(object)
    filtered = Signal()
    selected = Signal(object)
    mosaic_opened = Signal(object)
    project_opened = Signal(object)
    explaining = Signal(int, str)
    explained = Signal(int, object)
    residual_made = Signal(int, object)
    overlays_toggled = Signal(bool)
    scanning = Signal(bool)
    message = Signal(str, str, object)
    crashed = Signal(str, str)
    locate = Signal(str, str)
    scale_wanted = Signal()

    def __init__(self, parent: QObject | None = None, *, preferences: Preferences | None = None) -> None:
        super().__init__(parent)
        self.preferences = preferences or Preferences()
        self.jobs = Jobs(self)
        self.listing = CandidateList()
        self.mosaics: dict[str, Mosaic] = {}
        self.mosaic: Mosaic | None = None
        self.selection: int | None = None
        self.model = "finder"
        self.overlays = True
        self.display: dict[str, Any] = {}
        self.scan_job: JobHandle | None = None
        self._run: int | None = None
        self._options: dict[str, dict[str, Any]] = {}
        self._endings: dict[int, Callable[[Any], None]] = {}
        self._scan_next = False
        self._models = work.Models()
        self._results: dict[int, Callable[[Any], None]] = {}
        self._selected_at = time.monotonic()
        self.jobs.stepped.connect(self._on_stepped)
        self.jobs.finished.connect(self._on_finished)

    # messages -----------------------------------------------------------------------------------------------------

    def say(self, text: str, level: str = "info", choices: Sequence[Choice] = ()) -> None:
        """Show a message in the window, with ways out where there are any."""
        self.message.emit(text, level, tuple(choices))

    # mosaics ------------------------------------------------------------------------------------------------------

    def open_mosaic(self, paths: Sequence[Path | str], *, known_as: str | None = None, **options: Any) -> JobHandle:
        """Open one or several files as one mosaic, in the worker; ``mosaic_opened`` follows, or a message.

        ``options`` are those of ``engine.images.mosaic.open_mosaic``; ``known_as`` is the id under which the project
        knows a mosaic that was moved.
        """
        files = [Path(path) for path in paths]

        def take(mosaic: Mosaic) -> None:
            self._options[mosaic.id] = options
            self._take_mosaic(mosaic)

        kind = "open" if known_as is None else f"open {known_as}"
        return self._ask(
            f"Opening {files[0].name}", lambda: work.open_mosaic(files, known_as, options), take, kind=kind
        )

    def _ask(
        self, name: str, job: Callable[[], Iterator[Step]], take: Callable[[Any], None], *, kind: str
    ) -> JobHandle:
        """Submit an interactive job whose items go to ``take``."""
        handle = self.jobs.submit(name, job, priority=True, kind=kind)
        self._results[handle.id] = take
        return handle

    def _take_mosaic(self, mosaic: Mosaic) -> None:
        self.mosaics[mosaic.id] = mosaic
        self.preferences.remember_file(mosaic.paths)
        candidate = self.candidate()
        if self.mosaic is None or candidate is None or candidate.mosaic == mosaic.id or not self._known(mosaic):
            self.show_mosaic(mosaic)
        if self.project is None:
            beside = self._automatic_project(mosaic)
            if beside.exists():
                self.open_project(beside)
        if self._scan_next:
            self._scan_next = False
            self._scan_if_new(mosaic)
        for note in mosaic.notes:
            self.say(note)
        if mosaic.pixel_scale is None:
            self.say(
                f"{mosaic.name} does not say how large its pixels are; stamps are taken pixel by pixel.",
                "warning",
                (Choice("Type the pixel scale…", partial(self._want_scale, mosaic)),),
            )

    def _want_scale(self, mosaic: Mosaic) -> None:
        """Let the user type the pixel scale of a mosaic: of this one, whichever is shown by then."""
        if self.mosaics.get(mosaic.id) is mosaic:
            self.show_mosaic(mosaic)
            self.scale_wanted.emit()

    def _known(self, mosaic: Mosaic) -> bool:
        return self.project is not None and any(entry.id == mosaic.id for entry in self.project.mosaics())

    def list_images(self, path: Path, take: Callable[[list[Any]], None]) -> JobHandle:
        """List the images of a file in the worker, and hand the list to ``take``."""
        return self._ask(f"Reading {path.name}", lambda: work.list_images(path), take, kind="list")

    def open_demo(self) -> JobHandle:
        """Make the demo field (or take it from the cache), open it, and scan it."""
        handle = self.jobs.submit("Preparing the demo field", work.demo, kind="demo")
        self._endings[handle.id] = self._take_demo
        return handle

    def _take_demo(self, paths: Sequence[Path]) -> None:
        self._scan_next = True
        self.open_mosaic(paths)

    def show_mosaic(self, mosaic: Mosaic | None) -> None:
        """Make a mosaic the one shown."""
        if mosaic is self.mosaic:
            return
        self.mosaic = mosaic
        self.mosaic_opened.emit(mosaic)

    def mosaic_of(self, candidate: Candidate) -> Mosaic | None:
        """The mosaic a candidate was found on, None where its file is not open."""
        return self.mosaics.get(candidate.mosaic)

    def set_pixel_scale(self, arcsec: float) -> None:
        """Open the shown mosaic again with a pixel scale the user typed."""
        if self.mosaic is not None:
            self.open_mosaic(self.mosaic.paths, bands=self.mosaic.bands, pixel_scale=arcsec)

    # projects -----------------------------------------------------------------------------------------------------

    @property
    def read_only(self) -> bool:
        """Whether there is no project that can be written to."""
        return self.project is None or bool(self.project.read_only)

    def _automatic_project(self, mosaic: Mosaic) -> Path:
        """Where the project of a mosaic lives until the user says otherwise: beside it, or in the user's own folder."""
        first = mosaic.paths[0]
        stem = first.name.split(".")[0] or "mosaic"
        if first.parent.is_dir() and os.access(first.parent, os.W_OK):
            return first.parent / f"{stem}{PROJECT_SUFFIX}"
        return self.preferences.project_folder() / f"{stem}-{mosaic.id[:8]}{PROJECT_SUFFIX}"

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

        offers = () if read_only or not path.is_file() else (Choice("Open read-only", reader),)
        return self._use_project(lambda: Project.open(path, read_only=read_only), offers)

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
            self._end_scan(Reason.CANCELLED.value)
        self._remember_place()
        self.project.close()
        self.listing.use(None)
        self.select(None)
        self.project_opened.emit(None)

    def _use_project(self, opener: Callable[[], Any], offers: Sequence[Choice] = ()) -> bool:
        try:
            project = opener()
        except (EngineError, OSError) as error:
            self.say(str(error), "error", offers)
            return False
        self.close_project()
        self.listing.use(project)
        self.preferences.remember_project(Path(project.path))
        self.project_opened.emit(project)
        self.filtered.emit()
        self._reopen_mosaics()
        last = project.setting("selection")
        ids = self.ids()
        self.select(last if last is not None and last in ids else int(ids[0]) if len(ids) else None)
        return True

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
                self.open_mosaic(entry.paths, known_as=entry.id, **options.get(entry.id, {}))

    def relocate(self, mosaic_id: str, paths: Sequence[Path | str]) -> None:
        """Open a mosaic that was moved from where it is now, as the one the project knows."""
        options = {} if self.project is None else (self.project.setting("open_options") or {}).get(mosaic_id, {})
        self.open_mosaic(paths, known_as=mosaic_id, **options)

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
                    self.open_mosaic(entry.paths, known_as=entry.id, **options.get(entry.id, {}))

    def _remember_place(self) -> None:
        """Write selection and filters to the project, so that reopening goes on here."""
        if not self.read_only:
            self.project.set_setting("selection", self.selection)
            self.project.set_setting("filters", self.filters.stored())

    # scanning -----------------------------------------------------------------------------------------------------

    @property
    def can_scan(self) -> bool:
        """Whether there is a mosaic to scan and no scan under way."""
        return self.mosaic is not None and self.scan_job is None

    def scan(self) -> JobHandle | None:
        """Scan the shown mosaic in the background; candidates come in through ``changed``."""
        if not self.can_scan or self.mosaic is None:
            return None
        request = ScanRequest(mosaic=self.mosaic, model=self.model)
        try:
            card = work.card(request.model)
            if not self._ensure_project(request.mosaic):
                return None
            settings = {"threshold": request.threshold, "min_score": request.min_score}
            self._run = self.project.start_run(request.mosaic, card.key, settings)
            options = self.project.setting("open_options") or {}
            self.project.set_setting("open_options", options | {request.mosaic.id: self._options[request.mosaic.id]})
        except EngineError as error:
            self.say(str(error), "error")
            return None
        self.scan_job = self.jobs.submit(f"Scanning {request.mosaic.name}", lambda: self._models.scan(request))
        self.scanning.emit(True)
        return self.scan_job

    def stop_scan(self) -> None:
        """Cancel the scan; what it found so far stays."""
        if self.scan_job is not None:
            self.jobs.cancel(self.scan_job)

    def _end_scan(self, state: str) -> None:
        run, self._run, self.scan_job = self._run, None, None
        self._write(lambda: self.project.finish_run(run, state))
        self.scanning.emit(False)

    def _ensure_project(self, mosaic: Mosaic) -> bool:
        """Make sure a writable project is open: a scan never happens into nothing."""
        if self.project is not None:
            if self.read_only:
                self.say("This project is open read-only. Save it as another file to scan.", "warning")
            return not self.read_only
        path = self._automatic_project(mosaic)
        return self.open_project(path) if path.exists() else self.new_project(path)

    def card(self) -> ModelCard | None:
        """The card of the model in use, None where it is not installed."""
        try:
            return work.card(self.model)
        except EngineError:
            return None

    def warm_up(self) -> None:
        """Import torch and load the finder in the worker, while the user looks around."""
        self.jobs.submit("Loading the lens finder", lambda: self._models.warm_up(self.model), quiet=True)

    def _scan_if_new(self, mosaic: Mosaic) -> None:
        """Scan, unless this very model has scanned this mosaic to its end before."""
        runs = [] if self.project is None else self.project.runs()
        key = work.card(self.model).key
        if not any((run.mosaic, run.model, run.state) == (mosaic.id, key, Reason.DONE.value) for run in runs):
            self.scan()

    # the list -----------------------------------------------------------------------------------------------------

    @property
    def project(self) -> Any:
        """The open project, None for none."""
        return self.listing.project

    @property
    def filters(self) -> Filters:
        """Order and filter of the list."""
        return self.listing.filters

    def ids(self) -> NDArray[np.int64]:
        """Candidate ids in the order and with the filter of the list."""
        return self.listing.ids()

    def counts(self) -> dict[str | None, int]:
        """How many candidates of the project have each grade; None counts those without."""
        return self.listing.counts()

    def rows(self, ids: Sequence[int] | NDArray[np.int64]) -> list[Candidate]:
        """Candidates by id, in the order asked for."""
        return self.listing.rows(ids)

    def candidate(self) -> Candidate | None:
        """The selected candidate."""
        return self.listing.candidate(self.selection)

    def history(self) -> tuple[str | None, str | None]:
        """What undo and redo would do, in words; None where there is nothing."""
        return self.listing.history()

    def set_filters(self, **values: Any) -> None:
        """Change order or filter of the list (fields of ``Filters``)."""
        filters = replace(self.filters, **values)
        if filters != self.filters:
            self.listing.filters = filters
            self.listing.forget()
            self.filtered.emit()

    def select(self, candidate_id: int | None) -> None:
        """Select a candidate everywhere; its mosaic becomes the shown one."""
        candidate_id = None if candidate_id is None else int(candidate_id)
        if candidate_id == self.selection:
            return
        self.selection = candidate_id
        self._selected_at = time.monotonic()
        candidate = self.candidate()
        if candidate is not None and (mosaic := self.mosaic_of(candidate)) is not None:
            self.show_mosaic(mosaic)
        self.selected.emit(candidate_id)

    def step_selection(self, by: int) -> None:
        """Go ``by`` rows on in the list, stopping at its ends."""
        found = self.listing.step(self.selection, by)
        if found is not None:
            self.select(found)

    def upcoming(self) -> Candidate | None:
        """The candidate that is likely to be looked at next, to prepare its stamp."""
        return self.listing.upcoming(self.selection)

    def next_ungraded(self) -> None:
        """Select the next candidate without a grade, from here on in the list, then from its top."""
        self._advance(self.ids())

    def _advance(self, ids: NDArray[np.int64]) -> None:
        """Select the first ungraded candidate after the selection in ``ids``, wrapping round."""
        if not len(ids):
            return
        found = self.listing.next_ungraded(self.selection, ids)
        if found is None:
            self.say("Every candidate in this list has a grade.")
        else:
            self.select(found)

    # what people say ----------------------------------------------------------------------------------------------

    @property
    def can_grade(self) -> bool:
        """Whether a candidate is selected in a project that can be written to."""
        return self.selection is not None and not self.read_only

    def grade(self, letter: str | None) -> None:
        """Grade the selected candidate and go to the next ungraded one; None takes the grade back and stays."""
        if not self.can_grade:
            return
        before = self.ids()
        self._write(
            lambda: self.project.grade(
                self.selection,
                letter,
                grader=self.preferences.grader,
                display=dict(self.display),
                dwell=round(time.monotonic() - self._selected_at, 2),
            )
        )
        if letter is not None:
            self._advance(before)

    def note(self, text: str) -> None:
        """Write a note to the selected candidate."""
        candidate = self.candidate()
        if candidate is not None and self.can_grade and text.strip() != candidate.note:
            self._write(lambda: self.project.note(candidate.id, text.strip(), grader=self.preferences.grader))

    def undo(self) -> None:
        """Take the last change back, on disk too, and show the candidate it was about."""
        self._step_history("undo")

    def redo(self) -> None:
        """Do again what was undone."""
        self._step_history("redo")

    def _step_history(self, verb: str) -> None:
        if self.read_only:
            return
        changes = self._write(getattr(self.project, verb))
        if changes is not None and changes.ids:
            self.select(changes.ids[0])

    def _write(self, write: Callable[[], Changes | None]) -> Changes | None:
        """Write to the project and tell the panels; an error leaves everything as it was."""
        try:
            changes = write()
        except EngineError as error:
            self.say(str(error), "error")
            return None
        if changes is not None:
            self._announce(changes)
        return changes

    def _announce(self, changes: Changes) -> None:
        self.listing.forget()
        self.changed.emit(changes)

    # looking closer -----------------------------------------------------------------------------------------------

    def saliency_methods(self) -> tuple[str, ...]:
        """Names of the saliency methods; None of them is imported here."""
        return ("gradcam", "integrated_gradients")

    def explain(self, method: str) -> JobHandle | None:
        """Ask why the selected candidate scored so; the newest request wins, ``explained`` follows."""
        candidate = self.candidate()
        mosaic = None if candidate is None else self.mosaic_of(candidate)
        if candidate is None or mosaic is None:
            return None
        model = self.model
        self.explaining.emit(candidate.id, method)
        return self._ask(
            f"Explaining {candidate.name}",
            lambda: self._models.explain(mosaic, candidate, model, method),
            lambda saliency: self.explained.emit(candidate.id, saliency),
            kind="explain",
        )

    @property
    def is_explaining(self) -> bool:
        """Whether an explanation is under way."""
        return any(job.kind == "explain" for job in self.jobs.unfinished)

    def ask_residual(self, candidate: Candidate, *, ahead: bool = False) -> None:
        """Ask for a stamp minus its deflector; the newest request wins, ``residual_made`` follows.

        ``ahead`` is for the candidate that comes next: it supersedes only others of its kind.
        """
        mosaic, model = self.mosaic_of(candidate), self.model
        if mosaic is not None:
            self._ask(
                f"Subtracting the deflector of {candidate.name}",
                lambda: work.residual(mosaic, candidate, model),
                lambda residual: self.residual_made.emit(candidate.id, residual),
                kind="residual ahead" if ahead else "residual",
            )

    def toggle_overlays(self) -> None:
        """Hide or show everything drawn over the pixels."""
        self.overlays = not self.overlays
        self.overlays_toggled.emit(self.overlays)

    # export -------------------------------------------------------------------------------------------------------

    def export(self, path: Path | str, *, filtered: bool = True) -> JobHandle | None:
        """Write the list (or the whole project); the suffix says as what: a catalogue, a report, a training set.

        A training set holds all that is graded, whatever the list shows.
        """
        if self.project is None:
            return None
        path, mosaics = Path(path), tuple(self.mosaics.values())
        if path.suffix.lower() == ".h5":
            project, model = Path(self.project.path), self.model
            text = f"Training set of the graded written to {path}"
            return self._export(path, lambda: work.export_training_set(project, mosaics, path, model), text)
        rows = self.rows(self.ids() if filtered else self.listing.query(Filters()))
        if path.suffix.lower() == ".html":
            text = f"Report of {len(rows):,} candidates written to {path}"
            return self._export(path, lambda: work.export_report(rows, mosaics, path), text)
        text = f"{len(rows):,} candidates written to {path}"
        return self._export(path, lambda: work.export_catalogue(rows, path), text)

    def _export(self, path: Path, job: Callable[[], Iterator[Step]], text: str) -> JobHandle:
        handle = self.jobs.submit(f"Exporting {path.name}", job, kind="export")
        self._endings[handle.id] = lambda _: self.say(text)
        return handle

    # jobs ---------------------------------------------------------------------------------------------------------

    def _on_stepped(self, job: JobHandle, step: Step) -> None:
        if job is self.scan_job and self._run is not None:
            if step.items:
                run = self._run
                self._write(lambda: self.project.add(run, step.items))
                if self.selection is None and len(self.ids()):
                    self.select(int(self.ids()[0]))
        elif job.id in self._results:
            for item in step.items:
                self._results[job.id](item)

    def _on_finished(self, job: JobHandle, reason: Reason, error: Exception | None) -> None:
        self._results.pop(job.id, None)
        ending = self._endings.pop(job.id, None)
        if job is self.scan_job:
            self._end_scan(reason.value)
            if reason is Reason.DONE:
                self._finish_scan()
        elif reason is Reason.DONE and ending is not None:
            ending(job.result)
        if isinstance(error, EngineError):
            self.say(str(error), "error")
        elif error is not None:
            self.crashed.emit(job.name, job.traceback)

    def _finish_scan(self) -> None:
        count = len(self.ids())
        self.say(f"Scan finished: {count:,} candidates" if count else "Scan finished: no source was found")
        if self.selection is None and count:
            self.select(int(self.ids()[0]))

    def close(self) -> None:
        """Remember the place, close the project, and join the worker."""
        self.close_project()
        self.jobs.stop()
