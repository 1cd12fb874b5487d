"""Numbers that say how well a classifier separates, and how honest its probabilities are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, confusion_matrix

from engine.errors import DataError

Metric = Callable[[NDArray[Any], NDArray[np.float64]], float]


def binary_metrics(label: ArrayLike, probability: ArrayLike) -> dict[str, float]:
    """AUC, AUPRC, accuracy at 0.5, true-positive rates at fixed false positives, calibration error.

    ``label`` (n,) is 0 or 1; ``probability`` (n,) that of class 1. ``tpr0`` is the true-positive rate before the first
    false positive, ``tpr10`` the one while there are fewer than ten; ``negatives`` says among how many.

    Raises
    ------
    DataError
        Fewer than two classes, or a probability that is not a number.
    """
    label, probability = _checked(label, probability)
    return {
        "auc": auc(label, probability),
        "auprc": float(average_precision_score(label, probability)),
        "accuracy": float(np.mean((probability >= 0.5) == label)),
        "tpr_at_fpr_1e-2": tpr_at_fpr(label, probability, 1e-2),
        "tpr_at_fpr_1e-3": tpr_at_fpr(label, probability, 1e-3),
        "tpr0": tpr_with(label, probability, 0),
        "tpr10": tpr_with(label, probability, 9),
        "ece": expected_calibration_error(label, probability),
        "positives": float(label.sum()),
        "negatives": float(len(label) - label.sum()),
    }


def multiclass_metrics(label: ArrayLike, probability: ArrayLike, classes: Sequence[str] = ()) -> dict[str, float]:
    """Macro (one against the rest) and micro AUC and AUPRC, accuracy, calibration error, recall of each class.

    ``probability`` is (n, class); ``classes`` names them, their numbers by default. ``confusion_A_B`` counts the
    examples of class A that were taken for B.
    """
    truth, chance = np.asarray(label, np.int64), np.asarray(probability, np.float64)
    if not np.isfinite(chance).all():
        raise DataError("some probabilities are not numbers: lower the learning rate and train again")
    names = list(classes) or [str(number) for number in range(chance.shape[1])]
    hot = np.eye(chance.shape[1], dtype=np.int64)[truth]
    if len(np.unique(truth)) < chance.shape[1]:
        raise DataError("some classes have no examples in this part of the data: add examples of every class")
    said = chance.argmax(1)
    found = {
        "auc": macro_auc(truth, chance),
        "auc_micro": auc(hot.ravel(), chance.ravel()),
        "auprc": float(average_precision_score(hot, chance, average="macro")),
        "auprc_micro": float(average_precision_score(hot, chance, average="micro")),
        "accuracy": float(np.mean(said == truth)),
        "ece": _calibration_error(said == truth, chance.max(1), 15),
    }
    confusion = confusion_matrix(truth, said, labels=range(len(names)))
    for row, name in enumerate(names):
        found[f"recall_{name}"] = float(confusion[row, row] / confusion[row].sum())
        found |= {f"confusion_{name}_{other}": float(confusion[row, column]) for column, other in enumerate(names)}
    return found


def regression_metrics(value: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Mean squared and absolute error, R2 and mean deviation of predicted values, (n,) both.

    R2 is one minus the squared error over the variance of the true values: 0 for who always gives their mean.
    """
    truth, guess = np.asarray(value, np.float64), np.asarray(predicted, np.float64)
    if not np.isfinite(guess).all():
        raise DataError("some predicted values are not numbers: lower the learning rate and train again")
    return {
        "mse": mean_squared_error(truth, guess),
        "mae": float(np.mean(np.abs(guess - truth))),
        "r2": r_squared(truth, guess),
        "bias": float(np.mean(guess - truth)),
    }


def values_metrics(values: ArrayLike, predicted: ArrayLike, names: Sequence[str]) -> dict[str, float]:
    """Metrics of several values (n, name): each by its name, and the mean of their R2; of one, its own alone."""
    truth, guess = np.asarray(values, np.float64), np.asarray(predicted, np.float64)
    each = [regression_metrics(truth[:, k], guess[:, k]) for k in range(len(names))]
    if len(names) == 1:
        return each[0]
    found = {"r2": float(np.mean([one["r2"] for one in each]))}
    return found | {f"{key}_{name}": value for name, one in zip(names, each, strict=True) for key, value in one.items()}


def mean_squared_error(value: NDArray[Any], predicted: NDArray[np.float64]) -> float:
    """Mean of the squared errors, in the square of the unit of the values."""
    return float(np.mean((predicted - value) ** 2))


def r_squared(value: NDArray[Any], predicted: NDArray[np.float64]) -> float:
    """Fraction of the variance of the values (n,) that the predicted ones explain."""
    return float(1 - np.mean((predicted - value) ** 2) / np.var(value))


def macro_auc(label: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Mean over the classes of the AUC of one against the rest; ``probability`` is (n, class)."""
    return float(np.mean([auc(label == kind, probability[:, kind]) for kind in range(probability.shape[1])]))


def accuracy(label: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Fraction of examples whose most probable class, of (n, class), is the right one."""
    return float(np.mean(probability.argmax(1) == label))


def fit_temperature(label: ArrayLike, logits: ArrayLike) -> float:
    """Temperature that makes softmax(logits / temperature) most likely (Guo et al. 2017); ``logits`` is (n, class)."""
    truth, value = np.asarray(label, np.int64), np.asarray(logits, np.float64)

    def loss(log_temperature: float) -> float:
        scaled = value * np.exp(-log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))

    # Bounded: the logits of perfectly separated examples would be sharpened without end.
    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def auc(label: ArrayLike, score: ArrayLike) -> float:
    """Area under the receiver's curve: how often a positive scores above a negative, half for equals.

    Mann and Whitney's U over all pairs, from the ranks: several times as fast as the curve, for the bootstrap.
    """
    truth, value = _checked(label, score)
    positives = int(truth.sum())
    above = rankdata(value)[truth == 1].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))


def tpr_at_fpr(label: ArrayLike, score: ArrayLike, fpr: float) -> float:
    """Fraction of positives found at a false-positive rate of at most ``fpr``."""
    label, score = _checked(label, score)
    return tpr_with(label, score, int(fpr * (len(label) - label.sum())))


def tpr_with(label: ArrayLike, score: ArrayLike, false_positives: int) -> float:
    """Fraction of positives above every threshold that lets at most this many negatives through."""
    label, score = _checked(label, score)
    negatives = np.sort(score[label == 0])[::-1]
    if false_positives >= len(negatives):
        return 1.0
    return float(np.mean(score[label == 1] > negatives[false_positives]))


def expected_calibration_error(label: ArrayLike, probability: ArrayLike, bins: int = 15) -> float:
    """Mean distance between probability and frequency over equal bins of probability, weighted by their counts."""
    label, probability = _checked(label, probability)
    return _calibration_error(label, probability, bins)


def _calibration_error(happened: NDArray[Any], probability: NDArray[np.float64], bins: int) -> float:
    index = np.minimum((probability * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    gap = np.bincount(index, happened, bins) - np.bincount(index, probability, bins)
    return float(np.abs(gap)[counts > 0].sum() / len(happened))


def bootstrap(
    metric: Metric,
    label: ArrayLike,
    score: ArrayLike,
    *,
    group: ArrayLike | None = None,
    repeats: int = 200,
    level: float = 0.9,
    seed: int = 0,
) -> tuple[float, float]:
    """Interval that holds ``level`` of a metric's values over resampled groups (those that lack a class left out).

    ``label`` are classes (whole numbers), or the true values of a regression.

    Examples of one ``group`` (n,) are drawn together; without it every example stands for itself.
    """
    truth, value = np.asarray(label), np.asarray(score, np.float64)
    if truth.dtype.kind in "iub":
        truth, value = _checked(truth, value)
    kinds = len(np.unique(truth)) if truth.dtype.kind == "i" else 2  # values: any two, else there is no variance
    found = []
    for chosen in resampled(np.arange(len(truth)) if group is None else group, repeats, seed):
        if len(np.unique(truth[chosen])) >= kinds:
            found.append(metric(truth[chosen], value[chosen]))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(group: ArrayLike, repeats: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of examples drawn anew, as many groups as there are, ``repeats`` times.

    ``group`` (n,) numbers what the examples share, a source seen in several bands say: such examples are not
    independent, and are drawn together (the cluster bootstrap).
    """
    names, index = np.unique(np.asarray(group), return_inverse=True)
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        yield np.concatenate([members[place] for place in random.integers(0, len(names), len(names))])


def completeness(
    label: ArrayLike, score: ArrayLike, truth: ArrayLike, edges: Sequence[float], *, fpr: float = 1e-2
) -> dict[tuple[float, float], tuple[float, int]]:
    """Fraction of positives found at a false-positive rate, in bins of a column of the truth table.

    Returns ``{(low, high): (completeness, number of positives)}`` for the bins that hold any.
    """
    label, score = _checked(label, score)
    value = np.asarray(truth, np.float64)
    negatives = np.sort(score[label == 0])[::-1]
    found = score > negatives[min(int(fpr * len(negatives)), len(negatives) - 1)]
    result = {}
    for low, high in itertools.pairwise(edges):
        inside = (label == 1) & (value >= low) & (value < high)
        if inside.any():
            result[low, high] = (float(found[inside].mean()), int(inside.sum()))
    return result


def fit_calibration(label: ArrayLike, logit: ArrayLike, prior: float | None = None) -> dict[str, float]:
    """Platt's slope and intercept of a logit, by maximum likelihood with his smoothed targets.

    Returns the ``calibration`` of a model card; ``prior`` is the fraction of positives to expect in use, by default
    that of these examples. The smoothed targets (Platt 1999) keep the fit finite where the classes are separated.

    Raises
    ------
    DataError
        One class only, or a prior outside 0..1.
    """
    truth, value = _checked(label, logit)
    positives, count = float(truth.sum()), len(truth)
    if prior is not None and not 0.0 < prior < 1.0:
        raise DataError(f"the prior is the fraction of lenses to expect, between 0 and 1, not {prior}: change it")
    target = np.where(truth == 1, (positives + 1) / (positives + 2), 1 / (count - positives + 2))
    spread = float(np.std(value)) or 1.0

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = parameters[0] * value / spread + parameters[1]
        residual = expit(z) - target
        gradient = np.array([np.mean(residual * value) / spread, np.mean(residual)])
        return float(np.mean(np.logaddexp(0.0, z) - target * z)), gradient

    # A slope below zero would turn the ranking round: such a network is no classifier, and the bound says so.
    fit = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    training = positives / count
    return {
        "slope": float(fit.x[0] / spread),
        "intercept": float(fit.x[1]),
        "prior_training": training,
        "prior": training if prior is None else prior,
    }


def _checked(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, value = np.asarray(label, np.int64), np.asarray(score, np.float64)
    if not np.isfinite(value).all():
        raise DataError("some scores are not numbers: lower the learning rate and train again")
    if not len(truth) or truth.min() == truth.max():
        raise DataError("only one class among the examples: add examples of both classes")
    return truth, value
