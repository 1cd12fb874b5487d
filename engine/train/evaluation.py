"""What a model said of examples whose answers are known, and how good that is: the numbers behind every figure."""

from __future__ import annotations

import csv
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.export.atomic import atomic
from engine.models.card import class_probabilities, denormalised, unlikeness
from engine.train import metrics
from engine.train.data import TrainingSet
from engine.train.purity import SKY_PRIOR, purity_at
from engine.types import ModelCard

LEVEL = 0.9
"""What share of its resampled values the interval of a metric holds."""
REPEATS = 200
Array = NDArray[np.float64]

TITLES: Mapping[str, str] = {
    "auc": "AUC",
    "auc_micro": "AUC, micro",
    "auprc": "Average precision",
    "auprc_micro": "Average precision, micro",
    "accuracy": "Accuracy",
    "tpr_at_fpr_1e-2": "TPR at FPR 1e-2",
    "tpr_at_fpr_1e-3": "TPR at FPR 1e-3",
    "tpr0": "TPR0",
    "tpr10": "TPR10",
    "ece": "Calibration error",
    "ece_uncalibrated": "Calibration error, uncalibrated",
    "purity_at_completeness_0.5": "Purity at 50 % completeness",
    "purity_at_completeness_0.2": "Purity at 20 % completeness",
    "mse": "Mean squared error",
    "mae": "Mean absolute error",
    "r2": "R²",
    "bias": "Mean deviation",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model said of n labelled examples.

    ``name`` is its place in legends: evaluations of one name are of one recipe, from several seeds. ``data`` are the
    examples; ``outputs`` (n, output) what the network gave of them, the mean over views; ``own_prior`` the fraction of
    the second of two classes that probabilities are given for; ``unseen`` says in words which examples these are, and
    why the model had not seen them. ``resampled`` holds the values of each metric over resampled groups.
    """

    name: str
    card: ModelCard
    data: TrainingSet
    outputs: Array
    unseen: str
    parameters: int
    images_per_second: float
    device: str = "cpu"
    sky_prior: float = SKY_PRIOR
    own_prior: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    resampled: Mapping[str, Array] = field(default_factory=dict)

    @property
    def is_regression(self) -> bool:
        """Whether it gives values instead of classes."""
        return bool(self.card.targets)

    @property
    def is_binary(self) -> bool:
        """Whether it tells two classes apart."""
        return len(self.card.classes) == 2

    @property
    def is_anomaly(self) -> bool:
        """Whether it knows one class alone and says how unlike it a stamp is."""
        return len(self.card.classes) == 1

    @property
    def strange(self) -> NDArray[np.bool_]:
        """Which examples are not of the one class that is known, (n,)."""
        return np.asarray(self.data.label != self.data.classes.index(self.card.classes[0]))

    @property
    def is_finder(self) -> bool:
        """Whether it looks for what is rare on the sky, so that purity and few false positives count."""
        return self.is_binary and self.card.classes[1].lower().startswith("lens")

    @cached_property
    def probability(self) -> Array:
        """Calibrated probability of each class, (n, class)."""
        prior = {} if self.own_prior is None else {"prior": self.own_prior}
        return class_probabilities(self.outputs, {**self.card.calibration, **prior})

    @cached_property
    def uncalibrated(self) -> Array:
        """The network's own probability of each class, (n, class)."""
        return class_probabilities(self.outputs, {})

    @cached_property
    def values(self) -> Array:
        """True values of a regression, (n, target)."""
        return self.data.values(tuple(self.card.targets))

    @cached_property
    def predicted(self) -> Array:
        """The values it gave, (n, target)."""
        return denormalised(self.outputs, self.card.targets)

    @property
    def score(self) -> Array:
        """What examples are ranked by, (n,): the calibrated probability of the second of two classes.

        For one class alone, how far the surprise lies above that of held-out examples of it, in their scatter.
        """
        if self.is_anomaly:
            return unlikeness(self.outputs[:, 0], self.card.calibration)
        return np.asarray(self.probability[:, 1])

    def interval(self, metric: str) -> tuple[float, float]:
        """The interval that holds LEVEL of a metric's resampled values."""
        low, high = np.quantile(self.resampled[metric], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    def measure(self, chosen: NDArray[Any] | slice = slice(None)) -> dict[str, float]:
        """Metrics of the examples that are ``chosen``."""
        if self.is_regression:
            return metrics.values_metrics(self.values[chosen], self.predicted[chosen], tuple(self.card.targets))
        if self.is_anomaly:
            return _of_strangers(self.data.label[chosen], self.score[chosen], self.data.classes, self.card.classes[0])
        label, probability = self.data.label[chosen], self.probability[chosen]
        if not self.is_binary:
            return metrics.multiclass_metrics(label, probability, self.card.classes)
        found = metrics.binary_metrics(label, probability[:, 1])
        found["ece_uncalibrated"] = metrics.expected_calibration_error(label, self.uncalibrated[chosen, 1])
        if self.is_finder:
            for completeness in (0.5, 0.2):
                key = f"purity_at_completeness_{completeness}"
                found[key] = purity_at(label, probability[:, 1], completeness, self.sky_prior)
        return found


def resample(
    evaluation: Evaluation, *, repeats: int = REPEATS, seed: int = 0
) -> Generator[int, None, dict[str, Array]]:
    """Metrics over resampled groups, (repeats,) each; yields 1 a repeat.

    The same are drawn for all models judged on the same examples with the same seed, so that their differences are
    paired. Draws that lack a class are left out.
    """
    label = evaluation.data.label
    kinds = len(np.unique(label))
    found: list[dict[str, float]] = []
    for chosen in metrics.resampled(evaluation.data.group, repeats, seed):
        if evaluation.is_regression or len(np.unique(label[chosen])) == kinds:
            found.append(evaluation.measure(chosen))
        yield 1
    return {name: np.array([one[name] for one in found]) for name in (found[0] if found else {})}


def rank_of(card: ModelCard) -> str:
    """The metric by which epochs and learning rates are compared on the validation part."""
    return "r2" if card.targets else "likelihood" if len(card.classes) == 1 else "auc"


def title_of(metric: str) -> str:
    """A metric as a person reads it; those of several targets carry the target's name."""
    if metric in TITLES:
        return TITLES[metric]
    for key, title in TITLES.items():
        if metric.startswith(f"{key}_"):
            return f"{title}, {metric.removeprefix(f'{key}_').replace('_', ' ')}"
    return metric.replace("_", " ").capitalize()


def shown(metrics_: Mapping[str, float]) -> list[str]:
    """The metrics a table shows: no counts, and no cells of the confusion matrix (it has a figure)."""
    return [name for name in metrics_ if name not in ("positives", "negatives") and not name.startswith("confusion_")]


def write_scores(evaluation: Evaluation, path: Path) -> None:
    """One row an example: where it lies, its label and the calibrated probabilities (or true and predicted values)."""
    data, targets = evaluation.data, tuple(evaluation.card.targets)
    header = ["file", "row", *(["band"] if data.band.max() >= 0 else [])]
    places: list[Any] = [[data.paths[number].name for number in data.file], data.row]
    places += [data.band] if "band" in header else []
    if targets:
        header += [f"{kind}_{name}" for name in targets for kind in ("true", "predicted")]
        numbers = np.stack([evaluation.values, evaluation.predicted], 2).reshape(len(data), -1)
    else:
        header.append("label")
        places.append([data.classes[label] for label in data.label])
        header += ["anomaly"] if evaluation.is_anomaly else [f"probability_{name}" for name in evaluation.card.classes]
        numbers = evaluation.score[:, None] if evaluation.is_anomaly else evaluation.probability
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([*where, *(f"{x:.7g}" for x in row)] for *where, row in zip(*places, numbers, strict=True))


def _of_strangers(label: NDArray[np.int64], score: Array, classes: tuple[str, ...], known: str) -> dict[str, float]:
    """How well a score tells all other classes, and each of them, from the one that is known."""
    normal = label == classes.index(known)
    wanted = ("auc", "auprc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "tpr0", "tpr10", "positives", "negatives")
    # The ranks stand for probabilities, which there are none of: metrics of ranks are the same.
    found = metrics.binary_metrics(~normal, rankdata(score, "dense") / len(score))
    found = {name: found[name] for name in wanted}
    others = [(k, name) for k, name in enumerate(classes) if name != known and (label == k).any()]
    for k, name in others if len(others) > 1 else ():
        chosen = normal | (label == k)
        found[f"auc_{name}"] = metrics.auc(label[chosen] == k, score[chosen])
    return found
