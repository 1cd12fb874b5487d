"""What a score means on the sky, where lenses are rare: purity at a prior, from rates measured on balanced sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import DataError

SKY_PRIOR = 1e-3


def purity_curve(label: ArrayLike, score: ArrayLike, prior: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Completeness and purity at the threshold of each positive, the highest first, (positives,) both.

    Contamination FP / TP on the sky is (FPR / TPR) (1 - prior) / prior. The false-positive rate is taken as
    (FP + 1) / (N + 2), the mean of its posterior under a flat prior: with none among N it is not zero, and purities
    that N negatives cannot show are not claimed.

    Raises
    ------
    DataError
        A prior outside 0..1, or no examples of one kind.
    """
    if not 0 < prior < 1:
        raise DataError(f"the prior is the fraction of lenses on the sky, between 0 and 1, not {prior:g}: change it")
    truth, value = np.asarray(label, np.int64), np.asarray(score, np.float64)
    positives, negatives = np.sort(value[truth == 1])[::-1], np.sort(value[truth == 0])
    if not len(positives) or not len(negatives):
        raise DataError("only one class among the examples: add examples of both classes")
    found = len(positives) - np.searchsorted(positives[::-1], positives, "left")  # ties are let through together
    false = len(negatives) - np.searchsorted(negatives, positives, "left")
    completeness = found / len(positives)
    contamination = (false + 1) / (len(negatives) + 2) / completeness * (1 - prior) / prior
    return completeness, 1 / (1 + contamination)


def purity_at(label: ArrayLike, score: ArrayLike, completeness: float, prior: float) -> float:
    """Purity at the highest threshold that finds at least this fraction of the positives."""
    reached, purity = purity_curve(label, score, prior)
    return float(purity[np.argmax(reached >= completeness)])
