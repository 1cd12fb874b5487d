"""How a fine-tuned finder does beside the one it came from, on what neither it nor its choice has seen."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.models.predict import Classifier, load_classifier
from engine.train.data import ANY, PARTS
from engine.train.metrics import auc, resampled
from engine.tuning.examples import GRADES, PAINTED, SIMULATED
from engine.types import Cutouts, ModelCard, Step

REPEATS = 400
_BATCH = 32
_TEST = PARTS.index("test")
_WORDS = {
    GRADES: "your own grades",
    PAINTED: "arcs painted on your mosaic, among sources you or the painter call none",
    SIMULATED: "simulated stamps",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The AUC of both models on held-out examples ``of`` a kind, with 90 % intervals.

    ``better`` is the share of resamplings of the objects in which the new model is ahead, half of a tie counted.
    """

    of: str
    lenses: int
    others: int
    before: float
    before_interval: tuple[float, float]
    after: float
    after_interval: tuple[float, float]
    better: float

    @property
    def words(self) -> str:
        """What was judged on."""
        return _WORDS[self.of]


@dataclass(frozen=True, slots=True, eq=False)
class _HeldOut:
    """Held-out examples of one file, with the scores (model, n) of both models."""

    label: NDArray[np.int64]
    group: NDArray[np.int64]
    scores: NDArray[np.float64]


def judge(
    files: Sequence[Path], before: Path, after: Path, *, seed: int = 0
) -> Generator[Step, None, tuple[Judgement, ...]]:
    """Score the test parts of training sets with two models, as a scan scores, and compare them.

    Painted lenses are judged among the painter's other sources and whatever a person graded as none.
    """
    models = [load_classifier(folder).quicken() for folder in (before, after)]
    held: dict[str, list[_HeldOut]] = {}
    for number, path in enumerate(files):
        for share, found in _scored(path, models):
            yield Step(int(100 * (number + share)), 100 * len(files), note="Judging both models")
            if found is not None:
                held.setdefault(path.stem.split("-")[0], []).append(found)
    own = held.get(GRADES, [])
    kinds = {
        GRADES: own,
        PAINTED: [*held.get(PAINTED, []), *(_nots(one) for one in own)] if PAINTED in held else [],
        SIMULATED: held.get(SIMULATED, []),
    }
    compared = [_compared(of, parts, seed) for of, parts in kinds.items() if parts]
    return tuple(one for one in compared if one is not None)


def _scored(path: Path, models: Sequence[Classifier]) -> Generator[tuple[float, _HeldOut | None], None, None]:
    """The held-out examples of a file, scored batch by batch; the last one has them all."""
    with h5py.File(path) as file:
        part, label = file["truth/part"][()], file["label"][()].astype(np.int64)
        rows = np.flatnonzero((part == _TEST) & (label >= 0))
        group = file["truth/group"][()].astype(np.int64)[rows] if "group" in file["truth"] else rows
        scales = tuple(float(scale) for scale in file.attrs["pixel_scales"])
        bands = tuple(str(band) for band in file.attrs["bands"])
        scores = np.empty((len(models), len(rows)))
        for start in range(0, len(rows), _BATCH):
            chosen = rows[start : start + _BATCH]
            pixels = file["cutouts"][chosen].astype(np.float32)
            for number, model in enumerate(models):
                cutouts = _for(model.card, pixels, scales, bands)
                scores[number, start : start + len(chosen)] = model.score_bands(cutouts).score
                yield start / len(rows), None
    yield 1.0, _HeldOut(label[rows], group, scores) if len(rows) else None


def _for(card: ModelCard, pixels: NDArray[np.float32], scales: tuple[float, ...], bands: tuple[str, ...]) -> Cutouts:
    places = np.zeros((len(pixels), 2))
    if card.bands == ANY:
        return Cutouts(pixels, scales, bands, places)
    return Cutouts(pixels[:, :, [bands.index(band) for band in card.bands]], scales, card.bands, places)


def _nots(one: _HeldOut) -> _HeldOut:
    chosen = one.label == 0
    return _HeldOut(one.label[chosen], one.group[chosen], one.scores[:, chosen])


def _compared(of: str, parts: Sequence[_HeldOut], seed: int) -> Judgement | None:
    label = np.concatenate([one.label for one in parts])
    group = np.concatenate([one.group for one in parts])
    before, after = np.concatenate([one.scores for one in parts], axis=1)
    lenses = int(label.sum())
    if not 0 < lenses < len(label):
        return None
    drawn: list[tuple[float, float]] = []
    for chosen in resampled(group, REPEATS, seed):
        if 0 < label[chosen].sum() < len(chosen):
            drawn.append((auc(label[chosen], before[chosen]), auc(label[chosen], after[chosen])))
    if not drawn:
        raise DataError("too few objects were held out to judge the new model: grade more")
    old, new = np.array(drawn).T
    limits = [tuple(float(value) for value in np.quantile(one, [0.05, 0.95])) for one in (old, new)]
    return Judgement(
        of, lenses, len(label) - lenses, auc(label, before), (limits[0][0], limits[0][1]), auc(label, after),
        (limits[1][0], limits[1][1]), float(np.mean((new > old) + 0.5 * (new == old))),
    )  # fmt: skip
