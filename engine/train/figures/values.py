"""Figures of a regression: predicted against true values, and what is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from engine.train.evaluation import Evaluation
from engine.train.figures.style import ACROSS, INK, label_of, line_style, named

_MOST = 5000  # points that a figure shows
_BINS = 12


def draw_predicted(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """Predicted against true values, one panel for each recipe and value."""
    groups = named(runs)
    targets = tuple(runs[0].card.targets)
    cells = [(name, seeds, k) for name, seeds in groups.items() for k in range(len(targets))]
    columns = min(ACROSS, len(cells))
    grid = figure.subplots(-(-len(cells) // columns), columns, squeeze=False).ravel()
    for axes in grid[len(cells) :]:
        axes.remove()
    for axes, (name, seeds, k) in zip(grid, cells, strict=False):
        truth = np.concatenate([run.values[:, k] for run in seeds])
        guess = np.concatenate([run.predicted[:, k] for run in seeds])
        chosen = _some(len(truth))
        colour = line_style(list(groups).index(name))["color"]
        axes.scatter(truth[chosen], guess[chosen], s=5, color=colour, alpha=0.35, linewidth=0, rasterized=True)
        ends = [min(truth.min(), guess.min()), max(truth.max(), guess.max())]
        axes.plot(ends, ends, color=INK, alpha=0.6, linewidth=0.8, linestyle=":")
        axes.set(xlabel=f"True: {label_of(targets[k])}", ylabel="Predicted", title=name if len(groups) > 1 else "")
        axes.set_aspect("equal", adjustable="box")


def draw_residuals(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """Predicted minus true against the true value: its median and the middle 68 % in bins of as many examples."""
    groups, targets = named(runs), tuple(runs[0].card.targets)
    grid = figure.subplots(1, len(targets), squeeze=False)[0]
    for k, axes in enumerate(grid):
        axes.axhline(0, color=INK, alpha=0.6, linewidth=0.8, linestyle=":")
        for number, (name, seeds) in enumerate(groups.items()):
            truth = np.concatenate([run.values[:, k] for run in seeds])
            rest = np.concatenate([run.predicted[:, k] for run in seeds]) - truth
            style = line_style(number)
            if len(groups) == 1:
                chosen = _some(len(truth))
                axes.scatter(
                    truth[chosen], rest[chosen], s=5, color=style["color"], alpha=0.2, linewidth=0, rasterized=True
                )
            middle, (low, median, high) = _running(truth, rest)
            axes.fill_between(middle, low, high, color=style["color"], alpha=0.18, linewidth=0)
            axes.plot(middle, median, label=name, **style)
        axes.set(xlabel=f"True: {label_of(targets[k])}", ylabel="Predicted minus true")
    if len(groups) > 1:
        grid[0].legend(loc="best")


def _some(count: int) -> NDArray[np.int64]:
    """Which of so many points to show: all, or a fixed draw of them."""
    return np.sort(np.random.default_rng(0).permutation(count)[:_MOST])


def _running(truth: NDArray[np.float64], rest: NDArray[np.float64]) -> tuple[list[float], NDArray[np.float64]]:
    order = np.argsort(truth, kind="stable")
    parts = np.array_split(order, max(1, min(_BINS, len(order) // 10)))
    quantiles = np.array([np.quantile(rest[part], [0.16, 0.5, 0.84]) for part in parts])
    return [float(np.median(truth[part])) for part in parts], quantiles.T
