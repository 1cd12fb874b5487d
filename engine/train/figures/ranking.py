"""Figures of how well scores rank and how honest they are: ROC, precision and recall, purity, reliability, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from engine.train.evaluation import Evaluation
from engine.train.figures.style import ACROSS, BLUE, INK, ORANGE, RED, line_style, named, rates, unit_square
from engine.train.purity import purity_curve

_BINS = 10
_AREAS = {"auc": "AUC", "auprc": "average precision"}
Curve = tuple[str, dict[str, Any], NDArray[np.bool_], NDArray[np.float64]]


def draw_roc(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """True- against false-positive rate; of several classes, one against the rest."""
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, alpha=0.7, linewidth=0.8, linestyle=":")
    for name, style, positive, score in _curves(runs):
        false, true, _ = roc_curve(positive, score)
        axes.plot(false, true, label=name, **style)
    unit_square(axes, "False-positive rate", "True-positive rate")
    axes.legend(loc="lower right")


def draw_few_false_positives(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """The same where it counts on the sky: on a logarithmic axis down to the first false positive."""
    axes = figure.subplots()
    negatives = 0
    for name, style, positive, score in _curves(runs):
        false, true, _ = roc_curve(positive, score, drop_intermediate=False)
        negatives = max(negatives, int((~positive).sum()))
        axes.step(np.maximum(false, 0.5 / negatives), true, where="post", label=name, **style)
    if len(runs) == 1 and runs[0].is_binary:
        _mark_rates(axes, runs[0])
    axes.set(xscale="log", xlim=(0.5 / negatives, 1), ylim=(-0.01, 1.01))
    axes.set(xlabel=f"False-positive rate among {negatives:,} negatives", ylabel="True-positive rate")
    axes.legend(loc="best")


def draw_precision(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """Precision against recall in the set as it is."""
    axes = figure.subplots()
    for name, style, positive, score in _curves(runs, "auprc"):
        precision, recall, _ = precision_recall_curve(positive, score)
        axes.step(recall, precision, where="post", label=name, **style)
    if runs[0].is_binary:
        share = float((runs[0].data.label == 1).mean())
        axes.axhline(share, color=INK, alpha=0.7, linewidth=0.8, linestyle=":")
        axes.annotate(f"by chance: {share:.2g}", (0.02, share), xytext=(0, 3), textcoords="offset points", fontsize=8)
    unit_square(axes, "Recall (completeness)", "Precision in this set")
    axes.legend(loc="lower left")


def draw_purity(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """Purity against completeness on a sky where lenses are as rare as the prior says."""
    axes = figure.subplots()
    for number, (name, seeds) in enumerate(named(runs).items()):
        for k, run in enumerate(seeds):
            completeness, purity = purity_curve(run.data.label, run.score, run.sky_prior)
            label = name if k == 0 and len(named(runs)) > 1 else None
            axes.plot(completeness, purity, label=label, **line_style(number) | _thin(seeds))
    prior = runs[0].sky_prior
    axes.axhline(prior, color=INK, alpha=0.7, linewidth=0.8, linestyle=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(prior / 2, 1.05), yscale="log", xlabel="Completeness")
    axes.set_ylabel(f"Purity, one lens in {1 / prior:,.0f}")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    if len(named(runs)) > 1:
        axes.legend(loc="upper right")


def draw_reliability(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """How often what was given a probability is so; of one model also before calibration."""
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, alpha=0.7, linewidth=0.8, linestyle=":")
    if len(runs) == 1:
        for title, probability, colour in (("uncalibrated", runs[0].uncalibrated, ORANGE),) * bool(
            runs[0].card.calibration
        ) + (("calibrated", runs[0].probability, BLUE),):
            _reliability(axes, runs[0], probability, title, {"color": colour, "marker": "o"})
    else:
        for number, (name, seeds) in enumerate(named(runs).items()):
            for k, run in enumerate(seeds):
                style = line_style(number) | _thin(seeds) | {"marker": "o", "markersize": 3}
                _reliability(axes, run, run.probability, name if k == 0 else None, style)
    what = runs[0].card.classes[1] if runs[0].is_binary else "the most probable class"
    unit_square(axes, f"Probability of {what}", "How often it is so")
    axes.legend(loc="upper left")


def draw_scores(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """How scores are spread: of two classes the probability of the second, of more that of the true one."""
    axes, run = figure.subplots(), runs[0]
    label, edges = run.data.label, np.linspace(0, 1, 41).tolist()
    for number, name in enumerate(run.card.classes):
        column = 1 if run.is_binary else number
        colour = (BLUE, RED)[number] if run.is_binary else line_style(number)["color"]
        axes.hist(run.probability[label == number, column], edges, histtype="stepfilled", color=colour, alpha=0.22)
        axes.hist(run.probability[label == number, column], edges, histtype="step", color=colour, label=name, lw=1.4)
    what = f"Probability of {run.card.classes[1]}" if run.is_binary else "Probability of the true class"
    axes.set(xlim=(0, 1), yscale="log", xlabel=what, ylabel="Stamps")
    axes.legend(loc="upper center")


def draw_anomaly(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """How the anomaly of each class is spread; what lies far out is counted at the edges."""
    axes, run = figure.subplots(), runs[0]
    low, high = np.quantile(run.score, [0.002, 0.998])
    edges = np.linspace(low, high, 41).tolist()
    for number, name in enumerate(run.data.classes):
        values, colour = np.clip(run.score[run.data.label == number], low, high), line_style(number)["color"]
        axes.hist(values, edges, histtype="stepfilled", color=colour, alpha=0.2)
        axes.hist(values, edges, histtype="step", color=colour, label=name, lw=1.4)
    axes.set(xlabel=f"Anomaly (scatter of {run.card.classes[0]})", ylabel="Stamps", yscale="log")
    axes.legend(loc="upper right")


def draw_confusion(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """What each class was taken for: percent of a row, and counts; seeds of one recipe are added up."""
    groups = named(runs)
    columns = min(ACROSS, len(groups))
    grid = figure.subplots(-(-len(groups) // columns), columns, squeeze=False).ravel()
    for axes in grid[len(groups) :]:
        axes.remove()
    for axes, (name, seeds) in zip(grid, groups.items(), strict=False):
        classes = seeds[0].card.classes
        counts = np.zeros((len(classes), len(classes)), int)
        for run in seeds:
            np.add.at(counts, (run.data.label, run.probability.argmax(1)), 1)
        share = counts / counts.sum(1, keepdims=True)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (y, x), value in np.ndenumerate(share):
            text = f"{100 * value:.1f} %\n{counts[y, x]:,}"
            axes.text(x, y, text, ha="center", va="center", fontsize=7.5, color="white" if value > 0.55 else "black")
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes)
        axes.set_yticks(ticks, classes, rotation=90, va="center")
        axes.set(xlabel="Taken for", ylabel="True class", title=name if len(groups) > 1 else "")
        axes.grid(False)
        axes.spines[:].set_visible(False)


def _curves(runs: Sequence[Evaluation], metric: str = "auc") -> Iterator[Curve]:
    """Name with the area under the curve, style, which examples are positive, and their scores."""
    if len(runs) == 1 and runs[0].is_anomaly:
        yield from _of_strangers(runs[0])
        return
    if len(runs) == 1 and not runs[0].is_binary:
        for number, name in enumerate(runs[0].card.classes):
            yield name, line_style(number), runs[0].data.label == number, runs[0].probability[:, number]
        return
    for number, (name, seeds) in enumerate(named(runs).items()):
        # The area is that under the curve that is drawn: of several classes all decisions together.
        micro = not (seeds[0].is_binary or seeds[0].is_anomaly)
        mean = np.mean([run.metrics[f"{metric}_micro" if micro else metric] for run in seeds])
        area = f"{'micro ' * micro}{_AREAS[metric]} {mean:.4f}"
        for k, run in enumerate(seeds):
            title = f"{name}, {area}" if k == 0 else "_"
            yield title, line_style(number) | _thin(seeds), *_decisions(run)


def _decisions(run: Evaluation) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """What is positive and its score; of several classes all decisions together (micro): one curve a model."""
    if run.is_anomaly:
        return run.strange, run.score
    hot = np.eye(len(run.card.classes), dtype=bool)[run.data.label]
    return (hot[:, 1], run.score) if run.is_binary else (hot.ravel(), run.probability.ravel())


def _of_strangers(run: Evaluation) -> Iterator[Curve]:
    """Each other class against the known one."""
    label = run.data.label
    for number, k in enumerate(np.unique(label[run.strange]).tolist()):
        chosen = ~run.strange | (label == k)
        area = run.metrics.get(f"auc_{run.data.classes[k]}", run.metrics["auc"])
        yield f"{run.data.classes[k]}, AUC {area:.4f}", line_style(number), (label == k)[chosen], run.score[chosen]


def _thin(seeds: Sequence[Evaluation]) -> dict[str, Any]:
    return {"linewidth": 0.9, "alpha": 0.85} if len(seeds) > 1 else {}


def _mark_rates(axes: Axes, run: Evaluation) -> None:
    for key, rate in (("tpr_at_fpr_1e-2", 1e-2), ("tpr_at_fpr_1e-3", 1e-3)):
        value = run.metrics[key]
        if rate * run.metrics["negatives"] >= 1:
            low, high = run.interval(key)
            bar = [[max(value - low, 0)], [max(high - value, 0)]]
            axes.errorbar(rate, value, bar, fmt="o", color=RED, capsize=2.5, elinewidth=1.2)
            axes.annotate(f"{value:.2f}", (rate, value), xytext=(7, -9), textcoords="offset points", fontsize=8)


def _reliability(
    axes: Axes, run: Evaluation, probability: NDArray[np.float64], title: str | None, style: dict[str, Any]
) -> None:
    label = run.data.label
    given = probability[:, 1] if run.is_binary else probability.max(1)
    happened = label == 1 if run.is_binary else probability.argmax(1) == label
    index = np.minimum((given * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(index, minlength=_BINS)
    there = counts >= 5  # fewer say nothing
    share, error = rates(np.bincount(index, happened, _BINS)[there], counts[there])
    mean = np.bincount(index, given, _BINS)[there] / counts[there]
    axes.errorbar(mean, share, error, label=title, elinewidth=0.9, **style)
