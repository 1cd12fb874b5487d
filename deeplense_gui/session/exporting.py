"""Writing catalogues, reports and training sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from deeplense_gui import work
from deeplense_gui.filters import Filters
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.types import Step


class ExportVerbs(Core):
    """Export the list or the whole project."""

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
