"""What a report on one model says: its sentences, its tables, and the same numbers for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.train.evaluation import LEVEL, Evaluation, shown, title_of
from engine.train.figures import Panel
from engine.train.paper import Page, Table

_LEFT_OUT = ("data", "members")


def page_of_one(run: Evaluation, paths: Sequence[Path], panels: Sequence[Panel], repeats: int) -> Page:
    """The page of an evaluation."""
    card, count = run.card, len(run.data)
    files = ", ".join(path.name for path in paths)
    lead = [
        f"{card.key}: {card.architecture} for {card.task}, evaluated on {count:,} stamps of {files}.",
        f"These are {run.unseen}.",
    ]
    if card.limits:
        lead.append(f"Limits, as its card states them: {card.limits}")
    return Page(
        title=f"{run.name} on {files}",
        lead=lead,
        tables=[_metrics(run, repeats), _examples(run), _model(run)],
        runs=[run],
        panels=panels,
        appendix=[settings_table(run)],
    )


def record(run: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON keeps it: numbers with their intervals, and what they were measured on."""
    numbers = {}
    for name, value in run.metrics.items():
        low, high = run.interval(name) if name in shown(run.metrics) and name in run.resampled else (None, None)
        numbers[name] = {"value": value, "low": low, "high": high} if low is not None else {"value": value}
    return {
        "name": run.name,
        "examples": len(run.data),
        "sources": len(np.unique(run.data.group)),
        "unseen": run.unseen,
        "files": [
            {"name": path.name, "sha256": sha256} for path, sha256 in zip(run.data.paths, run.data.sha256, strict=True)
        ],
        "sky_prior": run.sky_prior if run.is_finder else None,
        "probabilities_for_prior": run.own_prior,
        "interval": LEVEL,
        "metrics": numbers,
        "parameters": run.parameters,
        "images_per_second": round(run.images_per_second, 1),
        "device": run.device,
    }


def number(value: float) -> str:
    """Four significant digits below the point, as metrics are read; large and tiny ones by their exponent."""
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3g}"


def settings_table(run: Evaluation) -> Table:
    """How a model was trained, from its card."""
    card = run.card
    rows = [[name.replace("_", " "), _plain(value)] for name, value in card.training.items() if name not in _LEFT_OUT]
    rows += [["data", ", ".join(one["name"] for one in card.training.get("data", ()))]]
    rows += [[f"version of {name}", str(value)] for name, value in card.versions.items()]
    return Table(f"How {card.name} was trained", ("Setting", "Value"), [row for row in rows if row[1]])


def metric_note(run: Evaluation, repeats: int) -> str:
    """What the table of metrics does not say by itself."""
    words = f"Intervals hold {100 * LEVEL:.0f} % of the values over {repeats} resamplings of the sources."
    if run.is_binary or run.is_anomaly:
        negatives = int(run.metrics["negatives"])
        words += (
            f" TPR0 is the true-positive rate before the first false positive, TPR10 that with fewer than ten, among "
            f"{negatives:,} negatives."
        )
    if run.is_finder:
        words += f" Purities are for a sky with one lens in {1 / run.sky_prior:,.0f} sources."
    if "ece" in run.metrics:
        words += " Resampling repeats stamps and so raises calibration errors: their intervals lie above the value."
    if run.own_prior is not None:
        words += f" Probabilities are for a fraction of {run.own_prior:.3g} of {run.card.classes[1]}, as in this set."
    return words


def _metrics(run: Evaluation, repeats: int) -> Table:
    rows = []
    for name in shown(run.metrics):
        low, high = run.interval(name)
        title = title_of(name)
        if name in ("tpr0", "tpr10"):
            title += f" (of {run.metrics['negatives']:,.0f} negatives)"
        rows.append([title, number(run.metrics[name]), f"{number(low)} to {number(high)}"])
    return Table("Metrics", ("Metric", "Value", f"{100 * LEVEL:.0f} % interval"), rows, metric_note(run, repeats))


def _examples(run: Evaluation) -> Table:
    data = run.data
    rows = [["Stamps", f"{len(data):,} of {len(np.unique(data.group)):,} sources"]]
    if not run.is_regression:
        counts = np.bincount(data.label, minlength=len(data.classes))
        rows += [[name, f"{count:,}"] for name, count in zip(data.classes, counts, strict=True)]
    rows.append(["Size", f"{data.size} px of " + " and ".join(f"{scale:g}″" for scale in data.pixel_scales)])
    rows.append(["Bands", ", ".join(data.bands)])
    return Table("Examples", ("What", "How many"), rows)


def _model(run: Evaluation) -> Table:
    rows = [
        ["Architecture", run.card.architecture],
        ["Channels", ", ".join(run.card.channels)],
        ["Parameters", f"{run.parameters:,}"],
        ["Throughput", f"{run.images_per_second:,.0f} images a second on {run.device} (the network alone)"],
    ]
    return Table("Model", ("What", "Value"), rows)


def _plain(value: Any) -> str:
    if value is None or value == [] or value == "":
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
