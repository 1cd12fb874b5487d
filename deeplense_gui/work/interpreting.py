"""What networks and the lens model say of candidates: scores, why, what is left over, and the fit."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from engine.errors import EngineError, ModelError
from engine.types import Candidate, FloatArray, ModelCard, Mosaic, Saliency, ScanRequest, Step

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


def fit_lens(
    mosaic: Mosaic, candidate: Candidate, band: int, side: float | None, seeing: float | None
) -> Iterator[Step]:
    """Fit a lens to a candidate; the item is a LensFit, or the error that says why there is none."""
    yield Step(0, 0, note=candidate.name)
    from engine.interpret.lens_model.stamps import fit_lenses

    try:
        request = _fit_request(mosaic, candidate, band, side, seeing)
    except EngineError as error:
        yield Step(1, 1, (error,))
        return
    for step in fit_lenses([request]):
        yield replace(step, items=tuple(found for _, found in step.items))


def lens_copies(
    mosaic: Mosaic, candidate: Candidate, band: int, side: float | None, seeing: float | None
) -> Iterator[Step]:
    """Fit a lens to a candidate and make copies of it; the items are a LensFit and its Copies, or an error."""
    yield Step(0, 2, note=candidate.name)
    from engine.interpret.lens_model.stamps import fit_lenses
    from engine.interpret.substructure import copies_of

    try:
        request = _fit_request(mosaic, candidate, band, side, seeing)
    except EngineError as error:
        yield Step(2, 2, (error,))
        return
    found: Any = None
    for step in fit_lenses([request]):
        found = step.items[0][1] if step.items else found
        yield Step(0, 2, note=step.note)
    yield Step(1, 2, (found,))
    if not isinstance(found, EngineError):
        for step in copies_of(request, found):
            yield Step(1 + step.done, 2, step.items, step.note)


def _fit_request(mosaic: Mosaic, candidate: Candidate, band: int, side: float | None, seeing: float | None) -> Any:
    from engine.interpret.lens_model.stamps import fit_request

    radius = candidate.einstein_radius
    return fit_request(mosaic, candidate.x, candidate.y, band=band, side=side, seeing=seeing, einstein_radius=radius)


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
            self._loaded[name] = load_classifier(name).quicken()
        return self._loaded[name]

    def warm_up(self, name: str) -> Iterator[Step]:
        """Import what a scan needs and load a model, in steps, so that opening a file can cut in.

        The item is what runs the model, in words; a missing or damaged one is for the scan to report.
        """
        gc.disable()  # what is imported stays: to look through its million objects for garbage would stop the window
        try:
            for number, room in enumerate(SLOW_IMPORTS):
                yield Step(number, len(SLOW_IMPORTS) + 1)
                import_module(room)
            yield Step(len(SLOW_IMPORTS), len(SLOW_IMPORTS) + 1)
            self.search().start()
            means = ""
            with suppress(ModelError):
                means = self.classifier(name).means
            if not gc.get_freeze_count():
                gc.freeze()
        finally:
            gc.enable()
        yield Step(len(SLOW_IMPORTS) + 1, len(SLOW_IMPORTS) + 1, (means,))

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

    def rescore(self, project: Any, mosaic: Mosaic, model: str) -> Iterator[Step]:
        """Score the candidates of a mosaic again; the items are Detections."""
        yield Step(0, 0, note="Loading the lens finder" if model not in self._loaded else "")
        from engine.detect.rescore import rescore_all

        yield from rescore_all(project, mosaic, self.classifier(model))

    def probe(self, mosaic: Mosaic, candidate: Candidate, model: str) -> Iterator[Step]:
        """Score a candidate as it is and changed; the items are Probes."""
        yield Step(0, 0, note=candidate.name)
        from engine.interpret.sensitivity import probe

        yield from probe(mosaic, (candidate.x, candidate.y), self.classifier(model))

    def tell_substructure(self, copies: Any) -> Iterator[Step]:
        """Tell the substructure of a lens among its copies; the item is a Substructure, or the error in the way."""
        yield Step(0, 0, note="Loading the networks")
        from engine.interpret.substructure import substructure_models, tell

        try:
            yield from tell(copies, [self.classifier(name) for name in substructure_models()])
        except EngineError as error:
            yield Step(1, 1, (error,))

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
