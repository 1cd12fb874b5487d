"""What a team adds: other people's projects and grades, catalogues of known objects, calibration stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import EVERYTHING, Core
from engine.types import Candidate, Changes, Mosaic, Step

_WARNED = 3  # warnings named in a message


class TeamVerbs(Core):
    """Merge, import, cross-match, calibrate. Each is a job; what it brought is said in one line."""

    def merge(self, paths: Sequence[Path | str]) -> JobHandle | None:
        """Take up what other projects say: the union of the journals, nothing lost, nobody's grade changed."""
        files = [Path(path) for path in paths]

        def told(report: Any) -> str:
            warned = "".join(f" {text}." for text in report.warnings[:_WARNED])
            who = ", ".join(report.graders) or "nobody new"
            brought = f"{report.events:,} entries of the journal by {who}, {report.candidates:,} new candidates"
            return f"Merged: {brought}.{warned}"

        return self._bring(f"Merging {files[0].name}", lambda project: work.merge(project, files), told)

    def import_grades(self, path: Path | str) -> JobHandle | None:
        """Take up the grades and comments of a CSV as one's own."""
        grader = self.preferences.grader

        def told(report: Any) -> str:
            left = f"; {len(report.unmatched):,} lines found no candidate" if report.unmatched else ""
            odd = f"; not understood: {', '.join(report.unknown[:_WARNED])}" if report.unknown else ""
            return f"Imported {report.grades:,} grades and {report.notes:,} notes as {grader}'s{left}{odd}"

        path = Path(path)
        return self._bring(f"Importing {path.name}", lambda project: work.import_grades(project, path, grader), told)

    def read_catalogue(self, path: Path | str, take: Callable[[Any], None]) -> JobHandle:
        """Read a catalogue of known objects; ``take`` gets the table with what its columns seem to be."""
        path = Path(path)
        return self._ask(f"Reading {path.name}", lambda: work.open_known(path), take, kind="catalogue")

    def crossmatch(self, table: Any, columns: Mapping[str, str | None], radius: float) -> JobHandle | None:
        """Match the candidates with a catalogue of known objects, and keep what it says with them."""

        def told(report: Any) -> str:
            return (
                f"{report.matched:,} of {report.on_mosaics:,} known objects on these mosaics are candidates, "
                f"{report.missed:,} were missed"
            )

        name = f"Matching {table.path.name}"
        return self._bring(name, lambda project: work.crossmatch(project, table, columns, radius), told)

    def calibrate(self, **counts: int) -> JobHandle | None:
        """Make calibration stamps for the shown mosaic: painted arcs, duds and repeats, to be mixed into the queue.

        ``counts`` are ``lenses``, ``duds`` and ``repeats``; each time other ones are made, the same on every machine.
        """
        mosaic = self.mosaic
        if mosaic is None:
            return None
        model, models = self.model, self._models
        seeds = [run.settings["calibration"] for run in self.project.runs() if "calibration" in run.settings]
        wanted = {"seed": max(seeds, default=0) + 1, **counts}
        return self._bring(
            f"Making calibration stamps for {mosaic.name}",
            lambda project: models.calibrate(project, mosaic, model, wanted),
            lambda _: f"Calibration stamps are ready: {self.calibration_text()}. They are mixed in when you vet blind.",
        )

    def calibration_text(self) -> str:
        """How many calibration stamps there are, and how often one comes."""
        count = len(work.calibration(self.project))
        total = len(self.project.ids()) + count
        return f"{count:,} among {total:,} (1 in {round(total / count)})" if count else "none"

    def calibration_kinds(self) -> dict[str, int]:
        """How many calibration stamps of each kind there are."""
        return {} if self.project is None else work.calibration_kinds(self.project)

    def grader_reports(self) -> list[Any]:
        """How each grader does on the calibration stamps."""
        return [] if self.project is None else work.grader_reports(self.project)

    def matches(self, candidate: Candidate) -> list[Any]:
        """What catalogues of known objects say of a candidate; nothing while blind mode conceals it."""
        if self.project is None or self.conceals(candidate):
            return []
        return self._read(lambda: work.matches(self.project, candidate.id), [])

    def mosaic_of(self, candidate: Candidate) -> Mosaic | None:
        """The mosaic to look at for a candidate: with the arc in it, where one was painted for calibration."""
        mosaic = super().mosaic_of(candidate)
        if mosaic is None or candidate.kind != "painted":
            return mosaic
        return self._read(
            lambda: work.painted(mosaic, work.calibration(self.project, [candidate.id])[candidate.id]), None
        )

    def _bring(self, name: str, job: Callable[[Any], Iterator[Step]], told: Callable[[Any], str]) -> JobHandle | None:
        """Run a job that writes to the project, then read everything anew and say what came."""
        if self.read_only:
            self.say("This project is open read-only. Save it as another file to change it.", "warning")
            return None
        project, brought = self.project, []
        handle = self.jobs.submit(name, lambda: job(project), kind=name)
        self._results[handle.id] = brought.append

        def ending(_: Any) -> None:
            if self.project is project:
                self.listing.forget()
                self.changed.emit(Changes(name, (), EVERYTHING))
                self.filtered.emit()
                self.say(told(brought[-1] if brought else None))

        self._endings[handle.id] = ending
        return handle
