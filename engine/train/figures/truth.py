"""Figures against the truth table: what is found by Einstein radius and signal-to-noise, who is right by mass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from engine.train.evaluation import Evaluation
from engine.train.figures.style import INK, label_of, line_style, named, plain_numbers, rates

FALSE_POSITIVES = 1e-2
"""The false-positive rate at which completeness is drawn."""
SIZES = ("einstein_radius", "arc_snr")
MASSES = ("log_axion_mass", "mass_fraction")
_BINS = 8
_FEWEST = 8  # examples a point stands for


def draw_completeness(column: str) -> Callable[[FigureBase, Sequence[Evaluation]], None]:
    """Draw what fraction of the positives is found, in bins of a column with as many in each."""

    def draw(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
        axes = figure.subplots()
        for number, (name, seeds) in enumerate(named(runs).items()):
            lenses = _there(seeds[0], column, seeds[0].data.label == 1)
            found = np.concatenate([_found(run)[lenses] for run in seeds])
            value = np.concatenate([run.data.truth[column][lenses] for run in seeds]).astype(float)
            _draw_rates(axes, found, value, len(seeds), number, name if len(named(runs)) > 1 else None)
        _finish(axes, column, runs)
        axes.set_ylabel(f"Completeness at {100 * FALSE_POSITIVES:g} % false positives")

    return draw


def draw_accuracy(column: str) -> Callable[[FigureBase, Sequence[Evaluation]], None]:
    """Draw how often the class is right, in bins of a column with as many examples in each.

    Of one model each class that has the column is a line; of several, those classes are taken together.
    """

    def draw(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
        axes, groups = figure.subplots(), named(runs)
        lines: list[tuple[str, list[Evaluation], NDArray[np.bool_]]] = []
        if len(groups) == 1:
            seeds = next(iter(groups.values()))
            for name, chosen in _classes_with(seeds[0], column):
                lines.append((name, seeds, chosen))
        else:
            lines = [(name, seeds, _there(seeds[0], column)) for name, seeds in groups.items()]
        for number, (name, seeds, chosen) in enumerate(lines):
            right = np.concatenate([(run.probability.argmax(1) == run.data.label)[chosen] for run in seeds])
            value = np.concatenate([run.data.truth[column][chosen] for run in seeds]).astype(float)
            _draw_rates(axes, right, value, len(seeds), number, name)
        chance = 1 / len(runs[0].card.classes)
        axes.axhline(chance, color=INK, alpha=0.7, linewidth=0.8, linestyle=":")
        _finish(axes, column, runs)
        kinds = ", ".join(name for name, _ in _classes_with(runs[0], column))
        axes.set_ylabel(f"Fraction classified rightly ({kinds})")

    return draw


def has_lenses(column: str) -> Callable[[Sequence[Evaluation]], bool]:
    """Whether the truth table knows a column of enough positives."""
    return lambda runs: (
        runs[0].is_finder
        and column in runs[0].data.truth
        and _there(runs[0], column, runs[0].data.label == 1).sum() >= 2 * _FEWEST
    )


def has_masses(column: str) -> Callable[[Sequence[Evaluation]], bool]:
    """Whether the truth table knows a column of some classes."""
    return lambda runs: bool(
        not (runs[0].is_regression or runs[0].is_anomaly)
        and column in runs[0].data.truth
        and list(_classes_with(runs[0], column))
    )


def _found(run: Evaluation) -> NDArray[np.bool_]:
    negatives = np.sort(run.score[run.data.label == 0])[::-1]
    return np.asarray(run.score > negatives[min(int(FALSE_POSITIVES * len(negatives)), len(negatives) - 1)])


def _there(run: Evaluation, column: str, among: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Examples that have a column: a finite value, above 0 where it is no logarithm."""
    value = np.asarray(run.data.truth[column], float)
    there = np.isfinite(value) & ((value > 0) | column.startswith("log_"))
    return np.asarray(there if among is None else there & among)


def _classes_with(run: Evaluation, column: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for number, name in enumerate(run.card.classes):
        chosen = _there(run, column, run.data.label == number)
        if chosen.sum() >= 2 * _FEWEST:
            yield name, chosen


def _draw_rates(
    axes: Axes, hit: NDArray[np.bool_], value: NDArray[np.float64], seeds: int, number: int, name: str | None
) -> None:
    """Rates in bins of as many examples each; error bars count an example of several seeds once."""
    bins = int(np.clip(len(value) // (seeds * _FEWEST), 1, _BINS))
    edges = np.unique(np.quantile(value, np.linspace(0, 1, bins + 1)))
    index = np.clip(np.searchsorted(edges, value, "right") - 1, 0, max(len(edges) - 2, 0))
    total = np.bincount(index)
    rate, error = rates(np.bincount(index, hit) / seeds, total / seeds)
    middle = [np.median(value[index == k]) for k in range(len(total))]
    axes.errorbar(middle, rate, error, marker="o", elinewidth=0.9, label=name, **line_style(number))


def _finish(axes: Axes, column: str, runs: Sequence[Evaluation]) -> None:
    axes.set(xlabel=label_of(column), ylim=(-0.02, 1.02))
    if not column.startswith("log_"):
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="best")
