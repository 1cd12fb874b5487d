"""Figures of evaluations, each drawn alike on a page of HTML and of PDF: one entry here, one function.

A function ``draw(figure, runs)`` fills an empty figure (or part of one) from the evaluations of one model, or of
several that are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import FigureBase

from engine.train.evaluation import LEVEL, Evaluation
from engine.train.figures import course, ranking, truth, values
from engine.train.figures.style import ACROSS, named

Draw = Callable[[FigureBase, Sequence[Evaluation]], None]


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure on a page: what it is called, what it shows, when it is there; ``size`` in inches.

    One of several ``cells`` side by side takes the width of the page.
    """

    title: str
    caption: str
    draw: Draw
    fits: Callable[[Sequence[Evaluation]], bool] = lambda runs: True
    size: tuple[float, float] = (4.6, 3.7)
    wide: bool = False
    cells: Callable[[Sequence[Evaluation]], int] = lambda runs: 1


def _classifies(runs: Sequence[Evaluation]) -> bool:
    return not runs[0].is_regression and not runs[0].is_anomaly


def _ranks(runs: Sequence[Evaluation]) -> bool:
    return not runs[0].is_regression


def _regresses(runs: Sequence[Evaluation]) -> bool:
    return runs[0].is_regression


def _finds(runs: Sequence[Evaluation]) -> bool:
    return runs[0].is_finder


def _alone(runs: Sequence[Evaluation]) -> bool:
    return _classifies(runs) and len(runs) == 1


def _several(runs: Sequence[Evaluation]) -> bool:
    return len(named(runs)) > 1


_WIDE = (9.6, 3.4)
_BARS = "Bars: 68 % binomial intervals."

PANELS: tuple[Panel, ...] = (
    Panel(
        "ROC",
        "Of one model with several classes, each against the rest; of several models, all classes together (micro). "
        "For a single known class, each other against it.",
        ranking.draw_roc,
        _ranks,
    ),
    Panel(
        "Few false positives",
        "The same curves down to the first false positive. Bars, where one finder is judged: "
        f"{100 * LEVEL:.0f} % intervals over resampled sources.",
        ranking.draw_few_false_positives,
        _ranks,
    ),
    Panel("Precision and recall", "In the set as it is.", ranking.draw_precision, _classifies),
    Panel(
        "Purity on the sky",
        "The false-positive rate counts as (FP + 1) / (N + 2), so that no purity is claimed that the negatives cannot "
        "show. Dotted: all sources taken.",
        ranking.draw_purity,
        _finds,
    ),
    Panel("Reliability", f"In ten bins of probability. {_BARS}", ranking.draw_reliability, _classifies),
    Panel("Scores", "Stamps in bins of calibrated probability, by their true class.", ranking.draw_scores, _alone),
    Panel(
        "Anomaly",
        "How far the surprise lies above that of held-out stamps of the known class, in their scatter.",
        ranking.draw_anomaly,
        lambda runs: runs[0].is_anomaly and len(runs) == 1,
    ),
    Panel(
        "Confusion",
        "By the most probable class; seeds added up.",
        ranking.draw_confusion,
        _classifies,
        cells=lambda runs: len(named(runs)),
    ),
    *(
        Panel(
            f"Completeness by {title}",
            f"Bins of as many lenses each. {_BARS}",
            truth.draw_completeness(column),
            truth.has_lenses(column),
        )
        for column, title in zip(truth.SIZES, ("Einstein radius", "arc signal-to-noise"), strict=True)
    ),
    *(
        Panel(
            f"Accuracy by {title}",
            f"Bins of as many stamps each. {_BARS} Dotted: chance.",
            truth.draw_accuracy(column),
            truth.has_masses(column),
        )
        for column, title in zip(truth.MASSES, ("axion mass", "mass in subhalos"), strict=True)
    ),
    Panel(
        "Predicted and true",
        "Dotted: equal.",
        values.draw_predicted,
        _regresses,
        cells=lambda runs: len(named(runs)) * len(runs[0].card.targets),
    ),
    Panel(
        "Residuals",
        "Line: median; band: the middle 68 %.",
        values.draw_residuals,
        _regresses,
        cells=lambda runs: len(runs[0].card.targets),
    ),
    Panel(
        "Training",
        "Dots: the epoch whose weights were kept.",
        course.draw_training,
        course.has_history,
        size=_WIDE,
        wide=True,
    ),
    Panel("Cost", "The network alone, in batches; preparing stamps comes on top.", course.draw_cost, _several),
)


def panels_for(runs: Sequence[Evaluation]) -> list[Panel]:
    """The figures that some evaluations have."""
    return [_fitted(panel, panel.cells(runs)) for panel in PANELS if panel.fits(runs)]


def _fitted(panel: Panel, cells: int) -> Panel:
    width, height = _WIDE
    return panel if cells == 1 else replace(panel, wide=True, size=(width, height * -(-cells // ACROSS)))
