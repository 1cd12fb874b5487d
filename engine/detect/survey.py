"""The tiles of a survey: each is scanned as a mosaic of its own, and kept in a project as a whole or not at all."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.catalogue import Project
from engine.detect.heatmap import Dense, check_detector
from engine.detect.scan import scan
from engine.detect.scoring import Scorer, check_scores
from engine.errors import EngineError, ImageError
from engine.images.mosaic import open_mosaic
from engine.images.tile_files import TileFiles
from engine.images.unpack import unpacking
from engine.models.card import load_card
from engine.models.library import model_folder, model_folders
from engine.types import Changes, Detection, Mosaic, ScanRequest, Step

if TYPE_CHECKING:
    from engine.models.predict import Classifier

_UNITS = 1000  # of progress, a tile


@dataclass(frozen=True, slots=True)
class SurveyScan:
    """What the scans of all tiles share: see ``ScanRequest``, and ``open_mosaic`` from ``bands`` on.

    ``model`` and ``heatmap_model`` are names or absolute folders; ``model_key`` and ``heatmap_key`` those of their
    weights, wherever they are loaded. Made by ``survey_scan``.
    """

    model: str
    model_key: str
    min_score: float = 0.0
    threshold: float = 1.5
    detector: str = "sources"
    heatmap_model: str = ""
    heatmap_key: str = ""
    bands: tuple[str, ...] = ()
    hdu: int | None = None
    dataset: str | None = None
    pixel_scale: float | None = None

    @property
    def opening(self) -> dict[str, Any]:
        """The arguments of ``open_mosaic`` that were chosen."""
        given = {"bands": self.bands or None, "hdu": self.hdu, "dataset": self.dataset, "pixel_scale": self.pixel_scale}
        return {name: value for name, value in given.items() if value is not None}

    def settings(self, files: TileFiles) -> dict[str, Any]:
        """What a run keeps, in values that JSON has: all that decides on its candidates but the model that scores.

        Raises
        ------
        OSError : a file that is not there
        """
        states = [(file, file.stat()) for file in files]
        chosen = {name: list(value) if isinstance(value, tuple) else value for name, value in self.opening.items()}
        return {
            "threshold": self.threshold,
            "min_score": self.min_score,
            "detector": self.detector,
            "heatmap_model": self.heatmap_key,
            "opening": chosen,
            "files": [[str(file), state.st_size, state.st_mtime_ns] for file, state in states],
        }


@dataclass(frozen=True, slots=True, eq=False)
class ScannedTile:
    """What came of a tile; ``mosaic`` has no planes. Where it could not be scanned, ``problem`` says why, in a line."""

    files: TileFiles
    mosaic: Mosaic | None = None
    detections: tuple[Detection, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """What scans the tiles, loaded once."""

    classifier: Classifier | Scorer
    detector: Dense | None = None


def survey_scan(
    *, model: str = "finder", detector: str = "sources", heatmap_model: str = "heatmap", **options: Any
) -> SurveyScan:
    """Freeze what the scans of all tiles share; ``options`` are further fields of SurveyScan.

    Raises
    ------
    ModelError : no such model or detector, or a model that gives no score
    """
    check_detector(detector)
    card = load_card(model_folder(model))
    check_scores(card)
    if detector != "sources":
        options |= {
            "heatmap_model": _anywhere(heatmap_model),
            "heatmap_key": load_card(model_folder(heatmap_model)).key,
        }
    return SurveyScan(_anywhere(model), card.key, detector=detector, **options)


def _anywhere(model: str) -> str:
    """The name or folder of a model, the same in a process that runs elsewhere."""
    return model if model in model_folders() else str(model_folder(model).absolute())


def load_networks(survey: SurveyScan) -> Networks:
    """Load the models of a survey.

    Raises
    ------
    ModelError : they cannot be loaded
    """
    from engine.models.predict import load_classifier

    classifier = load_classifier(survey.model).quicken()
    if not survey.heatmap_model:
        return Networks(classifier)
    from engine.models.heatmap import load_detector

    return Networks(classifier, load_detector(survey.heatmap_model))


def scan_tile(files: TileFiles, survey: SurveyScan, networks: Networks) -> Generator[Step, None, ScannedTile]:
    """Scan one tile; returns what came of it, be it that it cannot be scanned. Steps are as those of ``scan``."""
    found: list[Detection] = []
    try:
        for file in files:
            for step in unpacking(file):
                yield Step(0, 1, note=step.note)
        mosaic = open_mosaic(files, **survey.opening)
        if mosaic.wcs is None and survey.pixel_scale is None:
            raise ImageError(
                f"{mosaic.name} has no WCS: where its candidates are would not be known; give a pixel"
                " scale to scan it all the same"
            )
        request = ScanRequest(
            mosaic,
            survey.model,
            survey.min_score,
            survey.threshold,
            detector=survey.detector,
            heatmap_model=survey.heatmap_model,
        )
        for step in scan(request, networks.classifier, detector=networks.detector):
            found += step.items
            yield step
    except (EngineError, OSError, MemoryError) as error:
        return ScannedTile(files, problem=problem(files, error))
    return ScannedTile(files, replace(mosaic, planes=()), tuple(found))


def problem(files: TileFiles, error: BaseException) -> str:
    """What is wrong with a tile, in one line that names it."""
    said = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, EngineError | OSError):
        said = f"{type(error).__name__}: {said}"
    return said if any(file.name in said for file in files) else f"{files[0].name}: {said}"


def scan_one_by_one(tiles: Sequence[TileFiles], survey: SurveyScan) -> Iterator[Step]:
    """Scan tiles one after the other in this process; see engine.cluster for many at a time.

    Yields
    ------
    Steps at least five a second; ``items`` has the ScannedTile that was finished. Close the generator to cancel.

    Raises
    ------
    ModelError : a model cannot be loaded
    """
    tally = Tally(len(tiles))
    yield tally.step(note=f"Loading the model {survey.model}")
    networks = load_networks(survey)
    for files in tiles:
        with closing(scan_tile(files, survey, networks)) as job:
            scanned = yield from _as_part(job, tally)
        yield tally.take(scanned)


def _as_part(job: Generator[Step, None, ScannedTile], tally: Tally) -> Generator[Step, None, ScannedTile]:
    """The steps of a tile as steps of the survey."""
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield tally.step(step.done / max(step.total, 1))


class Tally:
    """How far the scan of a survey is."""

    def __init__(self, tiles: int) -> None:
        self.tiles, self.done, self.failed, self.candidates = tiles, 0, 0, 0

    def take(self, tile: ScannedTile) -> Step:
        """Count a tile that is done."""
        self.done += 1
        self.failed += bool(tile.problem)
        self.candidates += len(tile.detections)
        return self.step(items=(tile,))

    def step(self, share: float = 0.0, *, items: tuple[ScannedTile, ...] = (), note: str = "") -> Step:
        """The step that tells it; ``share`` is how much of tiles under way is done, in tiles."""
        failed = f", {self.failed} tiles failed" if self.failed else ""
        note = note or f"{self.done} of {self.tiles} tiles, {self.candidates} candidates so far{failed}"
        return Step(int((self.done + share) * _UNITS), self.tiles * _UNITS, items, note)


def left_to_scan(project: Project, tiles: Sequence[TileFiles], survey: SurveyScan) -> list[TileFiles]:
    """The tiles that a project does not have yet, scanned by the same models in the same way from the same files."""
    done = {_key(run.settings) for run in project.runs() if run.state == "done" and run.model == survey.model_key}
    return [files for files in tiles if _wanted(files, survey) not in done]


def _wanted(files: TileFiles, survey: SurveyScan) -> str:
    try:
        return _key(survey.settings(files))
    except OSError:  # it is said when its turn comes
        return ""


def _key(settings: Mapping[str, Any]) -> str:
    return repr(sorted(settings.items()))


def keep(project: Project, survey: SurveyScan, tile: ScannedTile) -> Changes:
    """Take up a tile that was scanned: its run and its candidates, in one transaction."""
    assert tile.mosaic is not None
    with project.writing():
        run = project.start_run(tile.mosaic, survey.model_key, survey.settings(tile.files))
        if survey.opening:
            project.add_to_setting("open_options", {tile.mosaic.id: survey.opening})
        changes = project.add(run, tile.detections)
        project.finish_run(run, "done")
    return changes
