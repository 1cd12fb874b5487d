"""What a dense network should say, how wrong it is, and how well its peaks find the lenses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.models.heatmap import Peaks

MATCH = 2.0
"""Within how many arcsec of a lens a peak has found it."""

DENSITIES = (0.1, 0.3, 1.0, 3.0)
"""False positives per square arcmin at which the completeness is told."""

_NARROWEST = 0.7  # cells: sigma of the target of a small lens
_OFFSET_WEIGHT = 1.0


def targets(lenses: Sequence[NDArray[np.float64]], *, cells: int, stride: int, pixel_scale: float) -> Tensor:
    """Targets (n, 4, cells, cells): heatmap, x and y offsets, and where these count.

    A lens is a Gaussian of peak 1 in the cell of its centre, with a sigma of a third of its Einstein radius or 0.7
    cells; of overlapping ones the larger value counts. The offsets are from the middle of that cell, in cells.

    Parameters
    ----------
    lenses : for each patch (m, 3): x, y in pixels from 0, Einstein radius in arcsec
    """
    out = np.zeros((len(lenses), 4, cells, cells), np.float32)
    row, column = np.mgrid[:cells, :cells]
    for patch, table in zip(out, lenses, strict=True):
        for x, y, radius in table:
            place = (np.array([x, y]) + 0.5) / stride
            i, j = (int(value) for value in np.clip(np.floor(place), 0, cells - 1))
            sigma = max(radius / pixel_scale / stride / 3, _NARROWEST)
            np.maximum(patch[0], np.exp(-0.5 * ((column - i) ** 2 + (row - j) ** 2) / sigma**2), out=patch[0])
            patch[1:3, j, i] = place - (i + 0.5, j + 0.5)
            patch[3, j, i] = 1
    return torch.from_numpy(out)


def heatmap_loss(outputs: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss of the heatmap and the absolute error of the offsets, per lens.

    Equation 1 of Zhou, Wang and Kraehenbuehl (2019, arXiv:1904.07850) with alpha 2 and beta 4; batches without a lens
    count as one.
    """
    logit, wanted, centre = outputs[:, 0], target[:, 0], target[:, 3]
    probability = logit.sigmoid()
    positive = (1 - probability) ** 2 * F.logsigmoid(logit) * centre
    negative = (1 - wanted) ** 4 * probability**2 * F.logsigmoid(-logit) * (1 - centre)
    offset = ((outputs[:, 1:] - target[:, 1:3]).abs() * centre[:, None]).sum()
    return (_OFFSET_WEIGHT * offset - positive.sum() - negative.sum()) / centre.sum().clamp(min=1)


def turned(lenses: NDArray[np.float64], number: int, size: int) -> NDArray[np.float64]:
    """Where lenses (m, 3) of a patch are in its view of that number (engine.models.predict.view)."""
    x, y, radius = lenses.T
    for _ in range(number % 4):
        x, y = y, size - 1 - x
    if number >= 4:
        x = size - 1 - x
    return np.stack([x, y, radius], 1)


def matched(
    peaks: Sequence[Peaks], lenses: Sequence[NDArray[np.float64]], *, pixel_scale: float
) -> NDArray[np.float64]:
    """All peaks of some patches, best first, as rows (logit, whether it found a lens).

    A lens is found by the best peak within MATCH arcsec that found no other; further peaks on it are false.
    """
    rows = []
    for found, table in zip(peaks, lenses, strict=True):
        free = np.ones(len(table), bool)
        for (x, y), logit in zip(found.xy, found.logit, strict=True):
            distance = np.where(free, np.hypot(table[:, 0] - x, table[:, 1] - y) * pixel_scale, np.inf)
            hit = bool(len(table)) and distance.min() <= MATCH
            if hit:
                free[distance.argmin()] = False
            rows.append((logit, float(hit)))
    ranked = np.array(rows, np.float64).reshape(-1, 2)
    return ranked[np.argsort(-ranked[:, 0], kind="stable")]


def detection_metrics(found: NDArray[np.float64], *, lenses: int, area: float) -> dict[str, float]:
    """Average precision, and completeness at DENSITIES of false positives with the logit where these are reached.

    Parameters
    ----------
    found : peaks, best first (see ``matched``)
    lenses : how many there are
    area : square arcmin
    """
    true = np.cumsum(found[:, 1]) if len(found) else np.zeros(0)
    precision = true / np.arange(1, len(found) + 1)
    out = {"average_precision": float(np.sum(precision * found[:, 1]) / lenses) if lenses else float("nan")}
    false = np.arange(1, len(found) + 1) - true
    for density in DENSITIES:
        allowed = int(np.searchsorted(false, density * area, "right"))
        out[f"completeness_at_{density:g}_false"] = float(true[allowed - 1] / lenses) if allowed and lenses else 0.0
        out[f"logit_at_{density:g}_false"] = float(found[allowed - 1, 0]) if allowed else float("inf")
    return out
