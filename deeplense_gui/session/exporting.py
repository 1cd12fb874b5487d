"""Writing catalogues, reports and training sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from deeplense_gui import work
from deeplense_gui.filters import Filters
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.types import Step

JOURNAL, STAMPS, REPORTS, ONE_A_PAGE = ".journal.csv", ".stamps", (".html", ".pdf"), ".pages.pdf"


class ExportVerbs(Core):
    """Export the list or the whole project."""

    def export(self, path: Path | str, *, filtered: bool = True, once: bool = False) -> JobHandle | None:
        """Write the list (or the whole project); the suffix says as what.

        ``once`` leaves out what is marked as the same object as another candidate; calibration stamps are in no list
        that is written.

        A catalogue, a report, a folder of stamps; a journal holds all that was ever said, a training set all that is
        graded, whatever the list shows.
        """
        if self.project is None:
            return None
        path, mosaics = Path(path), tuple(self.mosaics.values())
        if path.suffix.lower() == ".h5":
            project, model = self.project, self.model
            text = f"Training set of the graded written to {path}"
            return self._export(path, lambda: work.export_training_set(project, mosaics, path, model), text)
        if path.name.lower().endswith(JOURNAL):
            project = self.project
            text = f"Journal of all that was said written to {path}"
            return self._export(path, lambda: work.export_journal(project, path), text)
        project, blind = self.project, self.blind
        repeated = set(project.repeated().tolist()) if once else set()
        listed = self.rows(self.ids() if filtered else self.listing.query(Filters()))
        rows = [row for row in listed if not row.kind and row.id not in repeated]
        unseen = sum(row.mosaic not in self.mosaics for row in rows)
        absent = f"; {unseen:,} without pixels: their mosaic is not open" if unseen else ""
        if path.suffix.lower() == STAMPS:
            text = f"Stamps of {len(rows) - unseen:,} candidates written to {path}{absent}"
            return self._export(path, lambda: work.export_stamps(rows, mosaics, path), text)
        if path.suffix.lower() in REPORTS:
            text = f"Report of {len(rows):,} candidates written to {path}{absent}"
            alone = path.name.lower().endswith(ONE_A_PAGE)
            return self._export(
                path,
                lambda: work.export_report(project, rows, mosaics, path, blind=blind, one_a_page=alone),
                text,
            )
        text = f"{len(rows):,} candidates written to {path}"
        return self._export(path, lambda: work.export_catalogue(project, rows, path), text)

    def _export(self, path: Path, job: Callable[[], Iterator[Step]], text: str) -> JobHandle:
        handle = self.jobs.submit(f"Exporting {path.name}", job, kind="export")
        self._endings[handle.id] = lambda _: self.say(text)
        return handle
