"""What all verbs of the session share: its state, its signals, and how it reads, writes and asks the worker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from deeplense_gui import work
from deeplense_gui.filters import CandidateList, Filters
from deeplense_gui.jobs import JobHandle, Jobs, Reason
from deeplense_gui.preferences import Preferences
from engine.errors import ConnectionLostError, EngineError
from engine.types import Candidate, Changes, Mosaic, Step

GRADES = ("A", "B", "C", "X")
PROJECT_SUFFIX = ".deeplense"
EVERYTHING = frozenset({"candidates", "scores", "grades", "subclasses", "notes", "flags", "come_backs", "known"})
"""What may have changed when somebody else has written to the project."""

FOLLOW_MS = 2000  # between two looks at a project that another window writes to
FOUND_MS = 300  # between two words on what a scan has found: each has all panels look at their lists anew


@dataclass(frozen=True, slots=True)
class Choice:
    """A way out that the session offers with a message."""

    label: str
    run: Callable[[], None]


class Core(QObject):
    """One window's work: a project, its mosaics, one selection; the verbs stand in the modules beside this one.

    Signals: ``changed(Changes)`` after each write to the project; ``filtered`` when the list's order or filter is new;
    ``selected(id | None)``, and ``marks_changed`` for what is marked with it; ``mosaic_opened(Mosaic | None)`` for the
    mosaic now shown; ``project_opened(Project | None)``; ``explaining(id, method)``, then ``explained(id, Saliency)``;
    ``residual_made(id, Residual | None)``; ``lens_fitted(id)``; ``substructure_told(id)``;
    ``probed(id)`` with each change that was scored;
    ``overlays_toggled(bool)``; ``blinded(bool)``; ``scheme_changed`` when grades and kinds are others;
    ``scanning(bool)``; ``message(text, level, choices)`` with level "info", "warning" or "error" and a tuple of
    ``Choice``, and ``settled(text)`` once that is no more so; ``models_changed`` when another model scores or there is
    a new one; ``tuning_changed`` as a fine-tuning goes on; ``crashed(title, traceback)``; ``locate(id, path)`` when the
    user wants to find a missing mosaic and ``scale_wanted`` when they want to type a pixel scale; ``image_wanted`` when
    they want another image of the file, ``address_wanted(place)`` when they want to type the password of a server.
    """

    changed = Signal(object)
    filtered = Signal()
    selected = Signal(object)
    marks_changed = Signal()
    blinded = Signal(bool)
    mosaic_opened = Signal(object)
    project_opened = Signal(object)
    explaining = Signal(int, str)
    explained = Signal(int, object)
    residual_made = Signal(int, object)
    lens_fitted = Signal(int)
    substructure_told = Signal(int)
    overlays_toggled = Signal(bool)
    scanning = Signal(bool)
    message = Signal(str, str, object)
    crashed = Signal(str, str)
    locate = Signal(str, str)
    scheme_changed = Signal()
    settled = Signal(str)
    address_wanted = Signal(str)
    scale_wanted = Signal()
    image_wanted = Signal()
    models_changed = Signal()
    probed = Signal(int)
    tuning_changed = Signal()

    def __init__(self, parent: QObject | None = None, *, preferences: Preferences | None = None) -> None:
        super().__init__(parent)
        self.preferences = preferences or Preferences()
        self.jobs = Jobs(self)
        self.listing = CandidateList(lambda name, wanted: work.queue(name, self.preferences.grader, wanted), self._lose)
        self.mosaics: dict[str, Mosaic] = {}
        self.sheets: dict[str, Any] = {}  # of stamps; each is the mosaic of that id too
        self.mosaic: Mosaic | None = None
        self.selection: int | None = None
        self.marked: frozenset[int] = frozenset()  # what a grade is for: the selection, and what is marked with it
        self.model = str(self.preferences.get("model") or "finder")
        self.means = ""  # what runs the model, in words, once it is loaded
        self.overlays = True
        self.display: dict[str, Any] = {}
        self.scan_job: JobHandle | None = None
        self._run: int | None = None
        self._said_of: dict[str, list[str]] = {}  # mosaics, by id: what matters while they are shown
        self._found: list[Changes] = []  # what a scan has kept and nobody was told of
        self._options: dict[str, dict[str, Any]] = {}
        self._endings: dict[int, Callable[[Any], None]] = {}
        self._scan_next = False
        self._models = work.Models()
        self._results: dict[int, Callable[[Any], None]] = {}
        self._selected_at = time.monotonic()
        self._revealed: set[int] = set()
        self._graded_at: deque[float] = deque(maxlen=200)
        self._following = QTimer(self, interval=FOLLOW_MS)
        self._following.timeout.connect(self._follow)
        self._look: JobHandle | None = None  # for what others wrote
        self._ahead: JobHandle | None = None  # reads columns of a long list
        self._placed: tuple[str, Any] = ("", None)  # where candidates of a mosaic were when that was read last
        self._away = ""  # what was said when the server stopped answering
        self._telling = QTimer(self, singleShot=True, interval=FOUND_MS)
        self._telling.timeout.connect(self._tell_found)
        self.jobs.stepped.connect(self._on_stepped)
        self.jobs.finished.connect(self._on_finished)

    def say(self, text: str, level: str = "info", choices: Sequence[Choice] = ()) -> None:
        """Show a message in the window, with ways out where there are any."""
        self.message.emit(text, level, tuple(choices))

    @property
    def project(self) -> Any:
        """The open project, None for none."""
        return self.listing.project

    @property
    def filters(self) -> Filters:
        """Order and filter of the list."""
        return self.listing.filters

    @property
    def read_only(self) -> bool:
        """Whether there is no project that can be written to."""
        return self.project is None or bool(self.project.read_only)

    def candidate(self) -> Candidate | None:
        """The selected candidate."""
        return self.listing.candidate(self.selection)

    def mosaic_of(self, candidate: Candidate) -> Mosaic | None:
        """The mosaic a candidate was found on, None where its file is not open."""
        return self.mosaics.get(candidate.mosaic)

    def _ask(
        self, name: str, job: Callable[[], Iterator[Step]], take: Callable[[Any], None], *, kind: str
    ) -> JobHandle:
        """Submit an interactive job whose items go to ``take``."""
        handle = self.jobs.submit(name, job, priority=True, kind=kind)
        self._results[handle.id] = take
        return handle

    def drop(self, handle: JobHandle) -> None:
        """Give up what was asked for: nothing of it arrives any more."""
        self._results.pop(handle.id, None)
        self.jobs.cancel(handle)

    def _write(self, write: Callable[[], Changes | None]) -> Changes | None:
        """Write to the project and tell the panels; an error leaves everything as it was."""
        try:
            changes = write()
        except EngineError as error:
            self._complain(error)
            return None
        if changes is not None:
            self._announce(changes)
        return changes

    def keep(self, key: str, value: Any) -> bool:
        """Keep a value with the project; an error is said, and is no reason to stop what one is doing."""
        return self._keep(lambda: self.project.set_setting(key, value))

    def keep_among(self, key: str, values: Mapping[str, Any]) -> bool:
        """Keep values with the project beside others of the same key, which others may add to at the same moment."""
        return self._keep(lambda: self.project.add_to_setting(key, values))

    def _keep(self, write: Callable[[], None]) -> bool:
        if self.read_only:
            return False
        try:
            write()
        except EngineError as error:
            self._complain(error)
            return False
        return True

    def own(self, key: str) -> str:
        """Under which key a value of this person is kept with the project: on a server each has their own."""
        return f"{key} of {self.preferences.grader}" if self.project.shared else key

    def remembered(self, key: str) -> Any:
        """A value that this person kept with the project, else the one it came with."""
        mine = self.project.setting(self.own(key))
        return self.project.setting(key) if mine is None else mine

    def _complain(self, error: EngineError) -> None:
        """Say what went wrong with a write; a server that does not answer is said again with each."""
        if isinstance(error, ConnectionLostError) and self._away:
            self.say(self._away, "error")
        else:
            self._lose(error)

    def _read(self, question: Callable[[], Any], otherwise: Any) -> Any:
        """Ask the project; where its server does not answer, say so and go on with something else."""
        try:
            return question()
        except ConnectionLostError as error:
            self._lose(error)
            return otherwise

    def _announce(self, changes: Changes) -> None:
        self.listing.forget(changes.kinds, changes.ids)
        self.changed.emit(changes)

    def _tell_found(self) -> None:
        """Tell what a scan has kept since the last time, and select the best where nothing is selected."""
        self._telling.stop()
        found, self._found = self._found, []
        if found:
            ids = dict.fromkeys(number for changes in found for number in changes.ids)
            kinds = frozenset().union(*(changes.kinds for changes in found))
            self._announce(Changes(found[0].operation, tuple(ids), kinds))
            if self.selection is None and len(self.ids()):
                self.select(int(self.ids()[0]))

    def _on_stepped(self, job: JobHandle, step: Step) -> None:
        if job is self.scan_job:
            self._found.extend(step.items)
            if self._found and not self._telling.isActive():
                self._telling.start()
        elif job.id in self._results:
            for item in step.items:
                self._results[job.id](item)

    def _on_finished(self, job: JobHandle, reason: Reason, error: Exception | None) -> None:
        self._results.pop(job.id, None)
        ending = self._endings.pop(job.id, None)
        if job is self.scan_job:
            self._tell_found()
            self._end_scan(reason.value)
            if reason is Reason.DONE:
                self._finish_scan()
        elif reason is Reason.DONE and ending is not None:
            ending(job.result)
        if isinstance(error, EngineError):
            if not job.cancel_asked:  # else nobody waits for it: the project it wrote to was closed, say
                self.say(str(error), "error")
        elif error is not None:
            self.crashed.emit(job.name, job.traceback)
