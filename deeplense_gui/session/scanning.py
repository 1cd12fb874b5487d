"""Scanning the shown mosaic, and the model that scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle, Reason
from deeplense_gui.session.core import Core
from engine.errors import EngineError
from engine.types import ModelCard, Mosaic, ScanRequest, Step


class ScanVerbs(Core):
    """Scan, stop, load the model ahead."""

    @property
    def can_scan(self) -> bool:
        """Whether there is a mosaic to scan and no scan under way."""
        return self.mosaic is not None and self.scan_job is None

    def scan(self) -> JobHandle | None:
        """Scan the shown mosaic in the background; candidates come in through ``changed``, kept by the worker."""
        if not self.can_scan or self.mosaic is None:
            return None
        request = ScanRequest(mosaic=self.mosaic, model=self.model)
        try:
            card = work.card(request.model)
            if not self._ensure_project(request.mosaic):
                return None
            settings = {"threshold": request.threshold, "min_score": request.min_score}
            self._run = self.project.start_run(request.mosaic, card.key, settings)
            self._remember_options(request.mosaic)
        except EngineError as error:
            self.say(str(error), "error")
            return None
        sheet, models = self.sheets.get(request.mosaic.id), self._models
        return self._start(
            f"Scanning {request.mosaic.name}" if sheet is None else f"Scoring {request.mosaic.name}",
            lambda: models.scan(request) if sheet is None else models.score_sheet(sheet, request.model),
        )

    @property
    def can_rescore(self) -> bool:
        """Whether the shown mosaic has candidates that the model in use could score again."""
        return self.can_scan and not self.read_only and not self.listing.empty

    def rescore(self) -> JobHandle | None:
        """Score the candidates of the shown mosaic again with the model in use; grades stay, the ranking is new."""
        mosaic, model = self.mosaic, self.model
        if mosaic is None or not self.can_rescore:
            return None
        if mosaic.id in self.sheets:
            return self.scan()
        try:
            self._run = self.project.start_run(mosaic, work.card(model).key, {"rescored": True})
        except EngineError as error:
            self.say(str(error), "error")
            return None
        project, models = self.project, self._models
        return self._start(f"Scoring {mosaic.name} again", lambda: models.rescore(project, mosaic, model))

    def _start(self, name: str, found: Callable[[], Iterator[Step]]) -> JobHandle:
        """Submit a job whose items are Detections of the run that was begun."""
        project, run = self.project, self._run
        assert run is not None
        self.scan_job = self.jobs.submit(name, lambda: work.kept(project, run, found()))
        self.scanning.emit(True)
        return self.scan_job

    def use_model(self, name: str) -> None:
        """Score with another model from now on, after the next start too."""
        if name != self.model:
            self.model = name
            self.preferences.set("model", name)
            self.warm_up()
            self.models_changed.emit()

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
        handle = self.jobs.submit("Loading the lens finder", lambda: self._models.warm_up(self.model), quiet=True)
        self._results[handle.id] = self._take_means

    def _take_means(self, means: str) -> None:
        self.means = means

    def _scan_if_new(self, mosaic: Mosaic) -> None:
        """Scan, unless this very model has scanned this mosaic to its end before."""
        runs = [] if self.project is None else self.project.runs()
        key = work.card(self.model).key
        if not any((run.mosaic, run.model, run.state) == (mosaic.id, key, Reason.DONE.value) for run in runs):
            self.scan()

    def _finish_scan(self) -> None:
        count = len(self.ids())
        self.say(f"Scan finished: {count:,} candidates" if count else "Scan finished: no source was found")
        if self.selection is None and count:
            self.select(int(self.ids()[0]))
