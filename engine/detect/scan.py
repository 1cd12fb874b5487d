"""The main job: from a mosaic to scored candidates, tile by tile.

Memory does not depend on the mosaic's size: one tile of pixels and one batch of stamps are held at a time, and of the
sources already seen only those near a border that a later tile can see again.

Every source gets one quick look; those that look promising get the eight of test-time views, whose mean is their
score and whose spread its uncertainty (engine.detect.scoring). Both are calibrated alike, so they are comparable, the
second being the less noisy; a spread of 0 says "looked at once", not "certain".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.catalogue.identity import match_radius
from engine.detect.heatmap import Dense, HeatmapSearch, heatmap_search
from engine.detect.objects import Objects
from engine.detect.scoring import Scorer, bands_for, check_scores, expected, look
from engine.detect.search import Region, Search, search_here
from engine.detect.sources import SOURCE
from engine.detect.tiles import MARGIN, Core, Seen, grown, hold, tile_cores
from engine.images.cutouts import cut
from engine.models.card import load_card
from engine.models.library import model_folder
from engine.types import Detection, ModelCard, Mosaic, Positions, ScanRequest, Scores, Step

if TYPE_CHECKING:
    from engine.models.predict import Classifier

_LARGEST_BORDER = 512  # pixels around a tile that are held for its stamps; wider stamps are cut from the disk
_UNITS = 1000  # of progress, a tile
_SEARCH = 0.3  # of a tile's work
_STEP_SECONDS = 0.15


def scan(
    request: ScanRequest,
    classifier: Classifier | Scorer | None = None,
    search: Search = search_here,
    detector: Dense | None = None,
) -> Iterator[Step]:
    """Find and score the sources of a mosaic.

    Parameters
    ----------
    classifier : the loaded ``request.model``; loaded here when None
    search : how the sources of a tile are found; ``engine.detect.search.SearchProcess`` leaves this process alone
    detector : the loaded ``request.heatmap_model``; loaded here when None and asked for

    Yields
    ------
    Steps at least five a second; ``items`` are new Detections, best first within a step, no source twice and of the
    promising sources of one object (engine.detect.objects) the best.
    ``done`` of ``total`` counts thousandths of tiles. Close the generator to cancel.

    Raises
    ------
    ModelError : the model does not fit the mosaic
    """
    tiles = tile_cores(request.mosaic.shape, request.tile)
    total = len(tiles) * _UNITS
    yield Step(0, total, note=f"Loading the model {request.model}" if classifier is None else "Starting")
    if classifier is None:
        from engine.models.predict import load_classifier

        card = load_card(model_folder(request.model))
        check_scores(card)  # before the seconds that torch takes
        bands_for(card, request.mosaic)
        classifier = load_classifier(request.model).quicken()
        yield Step(0, total, note=f"Scoring by {classifier.means}")
    bands = bands_for(classifier.card, request.mosaic)
    dense = heatmap_search(request, detector)
    pace, seen = Pace(), Seen(match_radius(request.mosaic))
    objects = Objects(request.mosaic, classifier.card)
    found = kept = 0
    for number, core in enumerate(tiles):
        start = number * _UNITS
        tile = Tile(request, core, classifier.card, dense)
        for share in tile.search(search):
            yield Step(
                start + int(_SEARCH * share * _UNITS), total, note=f"Tile {number + 1} of {len(tiles)}: searching"
            )
        sources = seen.new(tile.sources, core)
        found += len(sources)
        for count, detections in tile.score(sources, classifier, bands, pace):
            unlikely = objects.hold(detections)
            kept += len(unlikely)
            done = start + int((_SEARCH + (1 - _SEARCH) * count / len(sources)) * _UNITS)
            yield Step(done, total, unlikely, f"Tile {number + 1} of {len(tiles)}: {found} sources so far")
        promising = objects.release(core)
        kept += len(promising)
        yield Step(start + _UNITS, total, promising, f"Tile {number + 1} of {len(tiles)}: {found} sources so far")
    yield Step(total, total, note=_summary(request, found, kept))


class Pace:
    """How many stamps to score between two steps, so that five steps a second are made on any machine."""

    def __init__(self, batch: int = 16, largest: int = 512) -> None:
        self.batch, self.largest = batch, largest

    def record(self, seconds: float) -> None:
        """Adapt the batch to the time the last one took."""
        wanted = self.batch * _STEP_SECONDS / max(seconds, 1e-4)
        self.batch = int(np.clip(wanted, max(1, self.batch // 4), min(self.largest, 2 * self.batch)))


class Tile:
    """One tile: its pixels in memory with a border for stamps, and its sources in mosaic pixels."""

    def __init__(self, request: ScanRequest, core: Core, card: ModelCard, dense: HeatmapSearch | None = None) -> None:
        self.request, self.core, self.dense = request, core, dense
        native = request.mosaic.pixel_scale or card.pixel_scales[0]
        reach = int(0.5 * card.size * max(card.pixel_scales) / native + MARGIN) + 4
        self.border = max(request.overlap, min(reach, _LARGEST_BORDER))
        self.mosaic: Mosaic = request.mosaic
        self.sources = np.empty(0, SOURCE)

    def search(self, search: Search) -> Iterator[float]:
        """Read the pixels and find the sources whose centre lies in the core; yields the fraction done."""
        yield 0.0
        held = grown(self.core, self.border, self.mosaic.shape)
        self.mosaic, pixels = hold(self.mosaic, held)
        peaks = None
        if self.dense is not None:
            for share in self.dense.search(self.core):
                yield 0.1 + 0.2 * share
            peaks = self.dense.within(self.core)
        y0, y1, x0, x1 = grown(self.core, self.request.overlap, self.mosaic.shape)
        top, bottom, left, right = self.core
        region = Region(
            pixels[:, y0 - held[0] : y1 - held[0], x0 - held[2] : x1 - held[2]],
            None if self.request.detector == "heatmap" else self.request.threshold,
            (left - x0 - MARGIN, right - x0 + MARGIN, top - y0 - MARGIN, bottom - y0 + MARGIN),
            None if peaks is None else peaks - (x0, y0),
            match_radius(self.mosaic),
        )
        with closing(search(region)) as looking:
            try:
                while True:
                    yield 0.3 + 0.7 * next(looking)
            except StopIteration as end:
                self.sources = end.value
        self.sources["x"] += x0
        self.sources["y"] += y0

    def score(
        self, sources: NDArray[np.void], classifier: Scorer, bands: tuple[int, ...], pace: Pace
    ) -> Iterator[tuple[int, tuple[Detection, ...]]]:
        """Score sources batch by batch: how many are done, and the new detections, best first."""
        card, start = classifier.card, 0
        while start < len(sources):
            began = time.perf_counter()
            batch = sources[start : start + pace.batch]
            positions = np.column_stack([batch["x"], batch["y"]]).astype(np.float64)
            cutouts = cut(self.mosaic, positions, size=card.size, pixel_scales=card.pixel_scales, bands=bands)
            scores = expected(look(classifier, cutouts), self.mosaic.pixel_scale)
            detections = self._detections(batch, positions, scores, card.key)
            start += len(batch)
            pace.record(time.perf_counter() - began)
            yield start, detections

    def _detections(
        self, sources: NDArray[np.void], positions: Positions, scores: Scores, model: str
    ) -> tuple[Detection, ...]:
        """Scored sources as detections of at least the wanted score, best first."""
        sky = self.mosaic.world(positions)
        on_sky = np.isfinite(sky.sum(axis=1))
        order = [int(k) for k in np.argsort(-scores.score, kind="stable") if scores.score[k] >= self.request.min_score]
        return tuple(
            Detection(
                x=float(positions[k, 0]),
                y=float(positions[k, 1]),
                ra=float(sky[k, 0]) if on_sky[k] else None,
                dec=float(sky[k, 1]) if on_sky[k] else None,
                flux=float(sources["flux"][k]),
                radius=float(sources["radius"][k]),
                signal_to_noise=float(sources["snr"][k]),
                score=float(scores.score[k]),
                raw_score=float(scores.raw_score[k]),
                spread=float(scores.spread[k]),
                model=model,
            )
            for k in order
        )


def _summary(request: ScanRequest, found: int, kept: int) -> str:
    if not found:
        return "No sources found: the mosaic is empty, or nothing in it stands out of the noise."
    wanted = f" at or above a score of {request.min_score:g}" if request.min_score > 0 else ""
    return f"{found} sources, {kept} candidates{wanted}"
