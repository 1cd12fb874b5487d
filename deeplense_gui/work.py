"""The jobs of the window: generators that the worker advances, each a thin shell around the engine.

They are called in the worker thread, which is where torch, astropy's readers and the rest are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError, ModelError
from engine.types import Candidate, FloatArray, ModelCard, Mosaic, Saliency, ScanRequest, Step

THUMBNAIL = 96  # pixels of the longer side of a picture in a chooser
SLOW_IMPORTS = (
    "engine.images.mosaic", "engine.device", "engine.models.predict", "engine.detect.scan", "engine.catalogue.known",
)  # fmt: skip


def card(name: str) -> ModelCard:
    """The card of a model, by the name in the library or its folder.

    Raises
    ------
    ModelError : there is none of this name
    """
    from engine.models.card import load_card
    from engine.models.library import model_folder

    return load_card(model_folder(name))


def open_mosaic(files: Sequence[Path], known_as: str | None, options: Mapping[str, Any]) -> Iterator[Step]:
    """Open files as one mosaic; the item is the Mosaic, under the id the project knows it by."""
    yield Step(0, 1, note=files[0].name)
    from engine.images.mosaic import open_mosaic
    from engine.images.unpack import unpacking

    for file in files:
        yield from unpacking(file)
    mosaic = open_mosaic(files, **options)
    yield Step(1, 1, (replace(mosaic, id=known_as) if known_as else mosaic,))


def queue(name: str, grader: str, wanted: int) -> Any:
    """The query of a named queue, as one person sees it; ``wanted`` graders each are enough."""
    from engine.catalogue.queues import queue

    return queue(name, grader=grader, wanted=wanted)


def duplicates(project: Any, radius: float) -> Iterator[Step]:
    """Look for candidates that are one object; the item is the list of groups of ids."""
    yield Step(0, 1)
    from engine.catalogue.duplicates import duplicates

    yield Step(1, 1, (duplicates(project, radius),))


def merge(project: Any, paths: Sequence[Path]) -> Iterator[Step]:
    """Merge other projects into one; the item of the last step is a MergeReport."""
    from engine.catalogue.merge import merge

    yield from merge(project, paths)


def import_grades(project: Any, path: Path, grader: str) -> Iterator[Step]:
    """Take up the grades of a CSV; the item of the last step is an ImportReport."""
    from engine.catalogue.imports import import_grades

    yield from import_grades(project, path, grader=grader)


def open_known(path: Path) -> Iterator[Step]:
    """Read a catalogue of known objects; the item is a KnownTable."""
    yield Step(0, 1, note=path.name)
    from engine.catalogue.known_files import open_known

    yield Step(1, 1, (open_known(path),))


def crossmatch(project: Any, table: Any, columns: Mapping[str, str | None], radius: float) -> Iterator[Step]:
    """Match a catalogue of known objects; the item of the last step is a CrossmatchReport."""
    yield Step(0, 0, note=table.path.name)
    from engine.catalogue.known import crossmatch

    yield from crossmatch(project, table.objects(columns), radius)


def matches(project: Any, candidate: int) -> list[Any]:
    """What catalogues of known objects say of a candidate."""
    from engine.catalogue.known import matches

    return matches(project, [candidate]).get(candidate, [])


def calibration(project: Any, ids: Sequence[int] | None = None) -> dict[int, Any]:
    """The calibration stamps of a project, or some of them, by candidate."""
    from engine.catalogue.calibration import stamps

    return stamps(project, ids)


def calibration_kinds(project: Any) -> dict[str, int]:
    """How many calibration stamps of each kind a project has."""
    from engine.catalogue.calibration import kinds

    return kinds(project)


def painted(mosaic: Mosaic, item: Any) -> Mosaic:
    """A mosaic with the arc of a calibration stamp in its pixels."""
    from engine.detect.calibration import painted

    return painted(mosaic, item)


def grader_reports(project: Any) -> list[Any]:
    """How each grader does on the calibration stamps."""
    from engine.catalogue.calibration import grader_report

    return grader_report(project)


def open_sheet(files: Sequence[Path], pixel_scale: float | None, layout: Mapping[str, Any] | None) -> Iterator[Step]:
    """Lay stamps out on a sheet; the item of the last step is the Sheet."""
    yield Step(0, 0, note=files[0].name)
    from engine.images.sheet import open_sheet

    yield from open_sheet(files, pixel_scale=pixel_scale, layout=layout)


def renamed(sheet: Any, identity: str) -> Any:
    """A sheet under the id that the project knows it by."""
    return replace(sheet, mosaic=replace(sheet.mosaic, id=identity))


def list_images(path: Path) -> Iterator[Step]:
    """List the images of a file; the item is the list."""
    yield Step(0, 1, note=path.name)
    from engine.images.mosaic import list_images

    yield Step(1, 1, (list_images(path),))


def thumbnails(path: Path, keys: Sequence[int | str]) -> Iterator[Step]:
    """Read small pictures of the images of a file; each item is a key and brightness (y, x) uint8, its top row first.

    An image that cannot be read has none: the chooser's list says why.
    """
    from engine.images import scaling
    from engine.images.mosaic import open_mosaic

    for number, key in enumerate(keys):
        yield Step(number, len(keys), note=path.name)
        try:
            mosaic = open_mosaic(path, **({"hdu": key} if isinstance(key, int) else {"dataset": str(key)}))
            ny, nx = mosaic.shape
            values = mosaic.read(0, ny, 0, nx, step=max(1, max(ny, nx) // THUMBNAIL), bands=(0,))[0]
        except EngineError:
            continue
        bright = scaling.stretch(values, "asinh", scaling.limits(values, 99))
        yield Step(number + 1, len(keys), ((key, scaling.as_bytes(bright[::-1])),))


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """A stamp (n, n) minus its deflector, asinh of units of noise, and the side it spans: arcsec, or pixels."""

    values: FloatArray
    side: float


def residual(mosaic: Mosaic, candidate: Candidate, model: str) -> Iterator[Step]:
    """Subtract the deflector as the network sees it; the item is a Residual, or None where that cannot be done.

    It is one view of several, asked for with every selection: why a model or a file cannot be used is for the scan
    to report.
    """
    yield Step(0, 1, note=candidate.name)
    from engine.detect.scoring import bands_for
    from engine.images.cutouts import cut
    from engine.models.preprocess import prepare

    try:
        used = card(model)
        scale = used.pixel_scales[0]
        position = np.array([[candidate.x, candidate.y]])
        cutouts = cut(mosaic, position, size=used.size, pixel_scales=(scale,), bands=bands_for(used, mosaic))
    except EngineError:
        yield Step(1, 1, (None,))
        return
    made = prepare(cutouts.pixels, ("residual",))[0, 0]
    made[~np.isfinite(cutouts.pixels[0, 0])] = np.nan
    values = np.where(np.isfinite(made).any(axis=0), np.nan_to_num(made).mean(axis=0), np.float32(np.nan))
    yield Step(1, 1, (Residual(values.astype(np.float32), used.size * (1.0 if mosaic.pixel_scale is None else scale)),))


def news(project: Any) -> Iterator[Step]:
    """Look what others wrote to a project; the item is the Changes, None, or the EngineError where it fails."""
    try:
        yield Step(1, 1, (project.news(),))
    except EngineError as error:
        yield Step(1, 1, (error,))


def find_shared(address: str) -> Iterator[Step]:
    """Look what is at the address of a server; the item is a ``Found``, or the EngineError where it fails."""
    from engine.catalogue import server

    try:
        yield Step(1, 1, (server.find(server.parse(address)),))
    except EngineError as error:
        yield Step(1, 1, (error,))


def fit_lens(
    mosaic: Mosaic, candidate: Candidate, band: int, side: float | None, seeing: float | None
) -> Iterator[Step]:
    """Fit a lens to a candidate; the item is a LensFit, or the error that says why there is none."""
    yield Step(0, 0, note=candidate.name)
    from engine.interpret.lens_model.stamps import fit_lenses, fit_request

    radius = candidate.einstein_radius
    try:
        request = fit_request(
            mosaic, candidate.x, candidate.y, band=band, side=side, seeing=seeing, einstein_radius=radius
        )
    except EngineError as error:
        yield Step(1, 1, (error,))
        return
    for step in fit_lenses([request]):
        yield replace(step, items=tuple(found for _, found in step.items))


def kept(project: Any, run: int, steps: Iterator[Step]) -> Iterator[Step]:
    """Write what a scan finds to the project as it comes; the items are the Changes."""
    for step in steps:
        yield replace(step, items=(project.add(run, step.items),) if step.items else ())


class Models:
    """The models that are loaded; lives in the worker thread."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._search: Any = None

    def search(self) -> Any:
        """What looks for sources: a process of its own, so that the window moves on meanwhile."""
        if self._search is None:
            from engine.detect.search import SearchProcess

            self._search = SearchProcess()
        return self._search

    def close(self) -> None:
        """End the process that looks for sources; for the end of the program."""
        if self._search is not None:
            self._search.close()

    def classifier(self, name: str) -> Any:
        """The loaded model of a name."""
        if name not in self._loaded:
            from engine.device import spare_a_core
            from engine.models.predict import load_classifier

            spare_a_core()
            self._loaded[name] = load_classifier(name)
        return self._loaded[name]

    def warm_up(self, name: str) -> Iterator[Step]:
        """Import what a scan needs and load a model, in steps, so that opening a file can cut in.

        A missing or damaged model is for the scan to report.
        """
        for number, room in enumerate(SLOW_IMPORTS):
            yield Step(number, len(SLOW_IMPORTS) + 1)
            import_module(room)
        yield Step(len(SLOW_IMPORTS), len(SLOW_IMPORTS) + 1)
        self.search().start()
        try:
            self.classifier(name)
        except ModelError:
            return

    def scan(self, request: ScanRequest) -> Iterator[Step]:
        """Scan a mosaic; the items are Detections."""
        if request.model not in self._loaded:
            yield Step(0, 0, note="Loading the lens finder")
        from engine.detect.scan import scan

        yield from scan(request, self.classifier(request.model), self.search())

    def calibrate(self, project: Any, mosaic: Mosaic, model: str, counts: Mapping[str, int]) -> Iterator[Step]:
        """Make calibration stamps, scored as a scan would; the items of the last step are their ids."""
        yield Step(0, 0, note="Loading the lens finder" if model not in self._loaded else "")
        from engine.detect.calibration import CalibrationRequest, calibrate

        yield from calibrate(project, mosaic, CalibrationRequest(**counts), self.classifier(model))

    def score_sheet(self, sheet: Any, model: str) -> Iterator[Step]:
        """Score the stamps of a sheet; the items are Detections."""
        yield Step(0, 0, note="Loading the lens finder" if model not in self._loaded else "")
        from engine.detect.sheets import score_sheet

        yield from score_sheet(sheet, self.classifier(model))

    def explain(self, mosaic: Mosaic, candidate: Candidate, model: str, method: str) -> Iterator[Step]:
        """Explain the score of one candidate; the item is a Saliency."""
        yield Step(0, 1, note=candidate.name)
        from engine.detect.scoring import bands_for
        from engine.images.cutouts import cut

        classifier = self.classifier(model)
        card = classifier.card
        position = np.array([[candidate.x, candidate.y]])
        bands = bands_for(card, mosaic)
        cutouts = cut(mosaic, position, size=card.size, pixel_scales=card.pixel_scales, bands=bands)
        yield Step(1, 1, (saliency_method(method)(classifier, cutouts),))


def saliency_method(name: str) -> Callable[..., Saliency]:
    """The saliency method of a name; imports torch."""
    from engine.interpret.saliency import METHODS

    return METHODS[name]


def pixel_position(mosaic: Mosaic, text: str) -> tuple[float, float]:
    """The pixel of a position as a person typed it; NaN where it is not on the projection of the mosaic.

    Raises
    ------
    DataError : it is no position
    """
    from engine.images.positions import parse_position

    place = parse_position(text, has_sky=mosaic.wcs is not None)
    if place.in_pixels:
        return place.first, place.second
    x, y = mosaic.pixel(np.array([[place.first, place.second]]))[0]
    return float(x), float(y)


def regions(path: Path, mosaic: Mosaic) -> Iterator[Step]:
    """Read a DS9 region file; the item is a RegionFile."""
    yield Step(0, 1, note=path.name)
    from engine.images.shapes import read_regions

    yield Step(1, 1, (read_regions(path, mosaic),))


def known_objects(path: Path, mosaic: Mosaic) -> Iterator[Step]:
    """Read a catalogue of known objects; the item is their pixels (n, 2) on a mosaic and their names."""
    yield Step(0, 1, note=path.name)
    from engine.catalogue.known_files import read_known

    objects = read_known(path)
    xy = mosaic.pixel(np.column_stack([objects.ra, objects.dec]))
    yield Step(1, 1, ((xy, objects.names),))


def scan_tiles(mosaic: Mosaic) -> list[tuple[int, int, int, int]]:
    """The tiles (y0, y1, x0, x1) of a scan of a mosaic, in the order in which it takes them."""
    from engine.detect.tiles import tile_cores

    return tile_cores(mosaic.shape, ScanRequest(mosaic).tile)


def write_cutout(mosaic: Mosaic, edges: tuple[float, float, float, float], path: Path) -> Iterator[Step]:
    """Write what a view of edges x0, x1, y0, y1 shows as a FITS file of all bands."""
    yield Step(0, 0, note=path.name)
    from engine.export.view import view_box, write_cutout

    yield from write_cutout(mosaic, view_box(mosaic, edges), path)


def write_picture_header(
    mosaic: Mosaic, centre: tuple[float, float], zoom: float, size: tuple[int, int], path: Path
) -> Path:
    """Write beside a picture where it lies on the sky."""
    from engine.export.view import write_picture_header

    return write_picture_header(mosaic, centre, zoom, size, path)


def demo() -> Iterator[Step]:
    """Make the demo field or take it from the cache; returns its paths."""
    yield Step(0, 0, note="Looking for it")
    from engine.demo import demo_mosaic

    return (yield from demo_mosaic())


def export_catalogue(project: Any, rows: Sequence[Candidate], path: Path) -> Iterator[Step]:
    """Write a catalogue with what is known of its candidates; the suffix says in which format."""
    yield Step(0, 0, note=path.name)
    from engine.catalogue.known import matches
    from engine.export import write_catalogue

    write_catalogue(rows, path, matches(project, [row.id for row in rows]))
    yield Step(len(rows), len(rows))


def export_report(
    project: Any, rows: Sequence[Candidate], mosaics: Sequence[Mosaic], path: Path, *, blind: bool, one_a_page: bool
) -> Iterator[Step]:
    """Write a report with stamps, HTML or PDF by its suffix; blind, without what others said and what is known."""
    yield Step(0, 0, note=path.name)
    from engine.export.report import report_job
    from engine.export.views import remarks

    told = {} if blind else remarks(project, rows)
    yield from report_job(rows, mosaics, path, remarks=told, one_a_page=one_a_page)


def export_stamps(rows: Sequence[Candidate], mosaics: Sequence[Mosaic], folder: Path) -> Iterator[Step]:
    """Write a FITS and a PNG stamp of each candidate into a folder."""
    yield Step(0, 0, note=folder.name)
    from engine.export.stamps import stamps_job

    yield from stamps_job(rows, mosaics, folder)


def export_journal(project: Any, path: Path) -> Iterator[Step]:
    """Write all that was ever said as CSV."""
    yield Step(0, 0, note=path.name)
    from engine.export.journal import journal_job

    yield from journal_job(project, path)


def export_training_set(project: Any, mosaics: Sequence[Mosaic], path: Path, model: str) -> Iterator[Step]:
    """Write the graded candidates of a project as a training set in the layout of a model.

    The project is opened a second time, to read: the window goes on writing to it meanwhile.
    """
    yield Step(0, 0, note=path.name)
    from engine.export.training_set import training_set_job

    layout = card(model)
    opened = project.again()
    try:
        yield from training_set_job(opened, mosaics, path, layout.size, layout.pixel_scales)
    finally:
        opened.close()
