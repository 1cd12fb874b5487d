"""How complete a model is on the user's own mosaic: the share of painted arcs it finds, and at what price.

The price is the share of the mosaic's own sources, with nothing painted on them, that score as high.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table
from numpy.typing import NDArray

from engine.detect.injection import Field, InjectRequest, Painted, paint_one, survey
from engine.detect.scoring import Scorer, bands_for, look
from engine.errors import DataError
from engine.images.cutouts import cut
from engine.types import Cutouts, Step

SEEINGS = (0.6, 1.0, 1.5, 2.2, 3.2, 5.0)
SIGNALS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Completeness:
    """Scores of painted galaxies with Einstein radius over seeing and arc S/N, all (n,), and of unpainted sources."""

    resolution: NDArray[np.float64]
    arc_snr: NDArray[np.float64]
    score: NDArray[np.float64]
    unpainted: NDArray[np.float64]
    model: str
    notes: tuple[str, ...] = ()

    def threshold(self, false_positive_rate: float) -> float:
        """The score that this share of the unpainted sources exceeds; of few sources, their highest."""
        ordered = np.sort(self.unpainted)[::-1]
        return float(ordered[min(int(false_positive_rate * len(ordered)), len(ordered) - 1)])

    def table(self, false_positive_rate: float = 0.01) -> Table:
        """Completeness with its 68 % interval (Wilson) in bins of Einstein radius over seeing and of arc S/N.

        Rows whose bin spans a whole range give the margins, the last one the total.
        """
        found = self.score > self.threshold(false_positive_rate)
        spans = [*pairwise(SEEINGS), (0.0, np.inf)]
        signals = [*pairwise(SIGNALS), (0.0, np.inf)]
        rows = []
        for low, high in spans:
            for faint, bright in signals:
                inside = (self.resolution >= low) & (self.resolution < high)
                inside &= (self.arc_snr >= faint) & (self.arc_snr < bright)
                count, hits = int(inside.sum()), int(found[inside].sum())
                share = hits / count if count else np.nan
                low_end, high_end = binom_conf_interval(hits, count, interval="wilson") if count else (np.nan, np.nan)
                rows.append((low, high, faint, bright, count, hits, share, float(low_end), float(high_end)))
        names = ("resolution_low", "resolution_high", "arc_snr_low", "arc_snr_high", "painted", "found",
                 "completeness", "completeness_low", "completeness_high")  # fmt: skip
        table = Table(rows=rows, names=names)
        table.meta.update(
            model=self.model, false_positive_rate=false_positive_rate, unpainted=len(self.unpainted),
            threshold=self.threshold(false_positive_rate), interval="Wilson, 68 %", notes=list(self.notes),
            resolution="Einstein radius over the seeing (FWHM)",
        )  # fmt: skip
        return table


def measure_completeness(request: InjectRequest, classifier: Scorer) -> Generator[Step, None, Completeness]:
    """Paint ``request.count`` arcs over a wide range, visible or not; score them and the mosaic's own sources.

    The stamps are those a scan would cut at the galaxy's place: what source detection loses is not counted. Bands,
    size and pixel scales are the model's.

    Raises
    ------
    ModelError : the model does not fit the mosaic
    DataError : see engine.detect.injection.survey
    """
    bands = bands_for(classifier.card, request.mosaic)
    sky = yield from survey(request)
    total = request.count + len(sky.sources)
    score, resolution, signal = [], [], []
    for start in range(0, request.count, _BATCH):
        batch: list[Painted] = []
        for index in range(start, min(start + _BATCH, request.count)):
            one = paint_one(request, sky, index, evenly=True)
            batch += [one] if one is not None else []
            yield Step(index, total, note="Painting")
        score.append(_score(classifier, request, batch, bands))
        resolution += [one.arc.lens.einstein_radius / sky.telescope.seeing for one in batch]
        signal += [one.arc.snr for one in batch]
    unpainted = []
    for start in range(0, len(sky.sources), _BATCH):
        yield Step(request.count + start, total, note="Scoring the mosaic's own sources")
        unpainted.append(_score_sources(classifier, sky, request, slice(start, start + _BATCH), bands))
    yield Step(total, total, note="Done")
    return Completeness(
        np.array(resolution), np.array(signal), np.concatenate(score), np.concatenate(unpainted),
        classifier.card.key, tuple(sky.notes),
    )  # fmt: skip


def _score(
    classifier: Scorer, request: InjectRequest, batch: Sequence[Painted], bands: tuple[int, ...]
) -> NDArray[np.float64]:
    pixels = np.stack([one.stamp for one in batch])[:, :, list(bands)]
    places = np.array([(one.host["x"], one.host["y"]) for one in batch])
    names = tuple(request.mosaic.bands[band] for band in bands)
    return look(classifier, Cutouts(pixels, request.pixel_scales, names, places)).score


def _score_sources(
    classifier: Scorer, sky: Field, request: InjectRequest, part: slice, bands: tuple[int, ...]
) -> NDArray[np.float64]:
    xy = np.column_stack([sky.sources["x"][part], sky.sources["y"][part]])
    cutouts = cut(request.mosaic, xy, size=request.size, pixel_scales=request.pixel_scales, bands=bands)
    return look(classifier, cutouts).score


def draw_completeness(measured: Completeness, path: Path, false_positive_rate: float = 0.01) -> None:
    """Draw completeness against Einstein radius and arc S/N, and against the false-positive rate, to a PNG or PDF.

    Raises
    ------
    DataError : the file cannot be written
    """
    from matplotlib.figure import Figure

    table = measured.table(false_positive_rate)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    grid, curve = figure.subplots(1, 2)
    shape = (len(SEEINGS), len(SIGNALS))  # the last row and column are the margins
    image = grid.imshow(
        np.array(table["completeness"]).reshape(shape)[:-1, :-1], origin="lower", vmin=0, vmax=1, cmap="viridis"
    )
    for row, column in np.ndindex(shape[0] - 1, shape[1] - 1):
        cell = table[row * shape[1] + column]
        if cell["painted"]:
            text = f"{cell['completeness']:.2f}\n{cell['found']}/{cell['painted']}"
            colour = "white" if cell["completeness"] < 0.6 else "black"
            grid.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    edges = np.arange(shape[0]) - 0.5
    grid.set_xticks(edges, [f"{value:g}" for value in SIGNALS])
    grid.set_yticks(edges, [f"{value:g}" for value in SEEINGS])
    grid.set(xlabel="Arc signal-to-noise", ylabel="Einstein radius / seeing")
    grid.set_title(f"Completeness at {100 * false_positive_rate:g} % false positives")
    figure.colorbar(image, ax=grid)
    thresholds = np.unique(np.concatenate([measured.score, measured.unpainted]))
    visible = (measured.resolution > 1.2) & (measured.arc_snr > 25)
    for chosen, label in ((np.ones(len(visible), bool), "all arcs"), (visible, "above 1.2 seeing and S/N 25")):
        if chosen.any():
            rate = [(measured.unpainted >= t).mean() for t in thresholds]
            curve.plot(rate, [(measured.score[chosen] >= t).mean() for t in thresholds], label=label)
    curve.set(xlabel="False-positive rate of unpainted sources", ylabel="Completeness", ylim=(0, 1))
    curve.set(xscale="log", xlim=(0.7 / len(measured.unpainted), 1))
    curve.legend()
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): choose another folder") from error
