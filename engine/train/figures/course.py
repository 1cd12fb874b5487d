"""Figures of the training itself and of its price: losses by epoch, images a second, parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import FigureBase

from engine.train.evaluation import Evaluation, rank_of, title_of
from engine.train.figures.style import BLUE, INK, ORANGE, line_style, named, plain_numbers


def draw_training(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """Loss, and the metric by which epochs are compared on the validation part, by epoch; a dot marks the one kept."""
    loss, rank = figure.subplots(1, 2)
    alone, metric = len(runs) == 1, rank_of(runs[0].card)
    for number, (name, seeds) in enumerate(named(runs).items()):
        for k, run in enumerate(seeds):
            history, label = run.card.history, name if k == 0 else "_"
            if not history:
                continue
            epoch = [one["epoch"] for one in history]
            style = line_style(number) if not alone else {"color": BLUE}
            style |= {"linewidth": 1.0, "alpha": 0.85} if len(seeds) > 1 else {}
            best = int(run.card.training.get("best_epoch", len(history))) - 1
            for axes, key in ((loss, "loss"), (rank, metric)):
                values = [one[key] for one in history]
                axes.plot(epoch, values, label="validation" if alone else label, **style)
                axes.plot(epoch[best], values[best], "o", color=style["color"])
            if alone:
                loss.plot(epoch, [one["train_loss"] for one in history], color=ORANGE, label="training")
    loss.set(xlabel="Epoch", ylabel="Loss" if alone else "Loss, validation part")
    rank.set(xlabel="Epoch", ylabel=f"{title_of(metric)}, validation part")
    for axes in (loss, rank):
        axes.xaxis.get_major_locator().set_params(integer=True)
    (loss if alone else rank).legend(loc="best")


def draw_cost(figure: FigureBase, runs: Sequence[Evaluation]) -> None:
    """Images a second against parameters, one point a recipe, named."""
    axes = figure.subplots()
    for number, (name, seeds) in enumerate(named(runs).items()):
        x, y = seeds[0].parameters / 1e6, float(np.median([run.images_per_second for run in seeds]))
        axes.plot(x, y, "o", color=line_style(number)["color"], markersize=7)
        axes.annotate(name, (x, y), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
    axes.set(xscale="log", yscale="log", xlabel="Parameters (millions)", ylabel=f"Images a second on {runs[0].device}")
    axes.margins(0.3, 0.2)
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)


def has_history(runs: Sequence[Evaluation]) -> bool:
    """Whether the cards tell how training went (those of committees do not)."""
    return any(len(run.card.history) > 1 for run in runs)
