"""The worst misses of a model, as stamps with the saliency of what it said."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.interpret.saliency.gradcam import explain
from engine.models.anomaly import AnomalyDetector
from engine.models.predict import Classifier, Predictor
from engine.train.data import TrainingSet
from engine.train.evaluation import Evaluation
from engine.train.figures import Panel
from engine.train.figures.stamps import Sheet, Stamp
from engine.types import Cutouts, FloatArray

Group = tuple[str, NDArray[np.int64]]


def sheet_of(run: Evaluation, model: Predictor, count: int, *, saliency: bool = True) -> Panel:
    """A figure of the worst misses, ``count`` of each kind."""
    groups = []
    for title, chosen in worst(run, count):
        pixels = run.data.stamps(chosen)
        kinds = _kinds(run.data, chosen)
        stamps = []
        for index, stamp, kind in zip(chosen, pixels, kinds, strict=True):
            maps = _maps(run, model, int(index), stamp) if saliency else None
            stamps.append(Stamp(stamp, maps, _text(run, int(index), kind)))
        groups.append((title, stamps))
    sheet = Sheet(groups, run.data.pixel_scales)
    caption = "Widths: " + " and ".join(f"{run.data.size * scale:.3g}″" for scale in run.data.pixel_scales) + "."
    if saliency and isinstance(model, Classifier):
        what = run.card.classes[1] if run.is_binary else "the class it was taken for"
        caption += f" Orange: where Grad-CAM for {what} is above half of its maximum."
    elif saliency and isinstance(model, AnomalyDetector):
        caption += f" Orange: where what {run.card.classes[0]} leaves unexplained is above half of its maximum."
    return Panel("Worst misses", caption, sheet, size=sheet.size, wide=True)


def _maps(run: Evaluation, model: Predictor, index: int, stamp: FloatArray) -> FloatArray | None:
    """What speaks for the answer, (scale, y, x) from 0 to 1: Grad-CAM, or the residual of a model of one class."""
    if isinstance(model, AnomalyDetector):
        size = np.abs(model.residuals(stamp[None])[0]).max(1)
        smooth = np.stack([gaussian_filter(one, 1.0) for one in size])
        return np.asarray(smooth / max(float(smooth.max()), 1e-9), np.float32)
    if not isinstance(model, Classifier):
        return None
    said = run.card.classes[1 if run.is_binary else int(run.probability[index].argmax())]
    cutouts = Cutouts(stamp[None], run.data.pixel_scales, run.data.bands, np.zeros((1, 2)))
    return explain(model, cutouts, target=said).maps


def worst(run: Evaluation, count: int) -> Iterator[Group]:
    """Titles and examples, the worst first: lenses of low and others of high score, wrong classes, large residuals."""
    label = run.data.label
    if run.is_regression:
        scale = np.array([one["scale"] for one in run.card.targets.values()])
        error = np.abs((run.predicted - run.values) / scale).max(1)
        yield "Furthest from the truth", np.argsort(-error, kind="stable")[:count]
        return
    if run.is_binary or run.is_anomaly:
        no, yes = run.card.classes if run.is_binary else (run.card.classes[0], f"other than {run.card.classes[0]}")
        label = label if run.is_binary else run.strange.astype(int)
        order = np.argsort(run.score, kind="stable")
        yield f"Lowest-scored: {yes}", order[label[order] == 1][:count]
        yield f"Highest-scored: {no}", order[::-1][label[order[::-1]] == 0][:count]
        return
    said = run.probability.argmax(1)
    for number, name in enumerate(run.card.classes):
        wrong = np.flatnonzero((label == number) & (said != number))
        surest = wrong[np.argsort(-run.probability[wrong].max(1), kind="stable")][: max(1, count // 2)]
        if len(surest):
            yield f"{name}, taken for another with the highest probability", surest


def _kinds(data: TrainingSet, chosen: NDArray[np.int64]) -> list[str]:
    """What the truth table calls the examples (spiral, twin ...), where it has the column kind."""
    found = []
    for index in chosen:
        with h5py.File(data.paths[data.file[index]]) as file:
            column = file.get("truth/kind")
            value = column[data.row[index]] if column is not None and len(column.shape) == 1 else b""
        found.append(value.decode() if isinstance(value, bytes) else str(value))
    return found


def _text(run: Evaluation, index: int, kind: str) -> str:
    truth = {
        name: float(run.data.truth[name][index]) for name in ("einstein_radius", "arc_snr") if name in run.data.truth
    }
    if run.is_regression:
        lines = [
            f"{run.predicted[index, k]:.3g}, true {run.values[index, k]:.3g}" for k in range(len(run.card.targets))
        ]
    elif run.is_anomaly:
        lines = [f"{run.score[index]:+.2f}  {run.data.classes[run.data.label[index]]}"]
    elif run.is_binary:
        lines = [f"{run.score[index]:.3f}" + (f"  {kind}" if kind and run.data.label[index] == 0 else "")]
    else:
        said = int(run.probability[index].argmax())
        lines = [f"{run.card.classes[said]} {run.probability[index, said]:.2f}"]
    found = []
    if np.isfinite(truth.get("einstein_radius", np.nan)) and truth["einstein_radius"] > 0:
        found.append(f"θE {truth['einstein_radius']:.2g}″")
    if truth.get("arc_snr", 0) > 0:
        found.append(f"S/N {truth['arc_snr']:.0f}")
    return "\n".join([*lines, *([", ".join(found)] if found else [])])
