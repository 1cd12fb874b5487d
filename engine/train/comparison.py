"""What a comparison found: means and spreads over seeds with intervals, as tables, numbers and the page."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.export.atomic import atomic
from engine.train.evaluation import LEVEL, Evaluation, rank_of, shown, title_of, write_scores
from engine.train.figures import Panel
from engine.train.figures.style import named
from engine.train.page import metric_note, number, record, settings_table
from engine.train.paper import Page, Table
from engine.train.request import TrainRequest

JSON, SUMMARY, ALL_RUNS = "comparison.json", "comparison.csv", "runs.csv"
SCORES = "scores.csv"
_COLUMNS = 6  # metrics a table shows at most


@dataclass(frozen=True, slots=True)
class Outcome:
    """A recipe after training: the folders of its seeds, the validation metric of each rate tried, the rate taken."""

    name: str
    folders: tuple[Path, ...]
    tried: Mapping[float, float]
    rate: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All that was found: every run on the test part, and how the recipes came to their rates."""

    runs: tuple[Evaluation, ...]
    outcomes: tuple[Outcome, ...]
    base: TrainRequest
    repeats: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over the seeds of a recipe: mean, standard deviation (0 for one seed), interval of the mean."""

    mean: float
    spread: float
    low: float
    high: float


def summary(seeds: Sequence[Evaluation], metric: str) -> Summary:
    """Sum up a metric; the interval holds LEVEL of the means over the same resampled sources."""
    values = [run.metrics[metric] for run in seeds]
    means = np.mean([run.resampled[metric] for run in seeds], axis=0)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Summary(float(np.mean(values)), spread, float(low), float(high))


def difference(seeds: Sequence[Evaluation], others: Sequence[Evaluation], metric: str) -> Summary:
    """The mean of a metric minus that of another recipe, paired: both judged on the same resampled sources."""
    mine, theirs = (np.mean([run.resampled[metric] for run in runs], axis=0) for runs in (seeds, others))
    low, high = np.quantile(mine - theirs, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = np.mean([run.metrics[metric] for run in seeds]) - np.mean([run.metrics[metric] for run in others])
    return Summary(float(mean), 0.0, float(low), float(high))


def page_of_many(comparison: Comparison, paths: Sequence[Path], panels: Sequence[Panel]) -> Page:
    """The page of a comparison."""
    runs, base = comparison.runs, comparison.base
    files = ", ".join(path.name for path in paths)
    groups = named(runs)
    seeds = " or ".join(map(str, sorted({len(group) for group in groups.values()})))
    rank = title_of(rank_of(runs[0].card))
    lead = [
        f"{len(groups)} models on one split of {files}, judged on {len(runs[0].data):,} stamps of "
        f"{len(np.unique(runs[0].data.group)):,} sources: {runs[0].unseen}.",
        f"Seeds a model: {seeds}. Training stopped after {base.patience} epochs without gain in the {rank} of the "
        f"validation part, or after {base.epochs}."
        if base.patience
        else f"Seeds a model: {seeds}. Each was trained for {base.epochs} epochs.",
    ]
    if any(len(outcome.tried) > 1 for outcome in comparison.outcomes):
        lead.append(f"Learning rates were chosen by the {rank} of the validation part, with the first seed.")
    metrics = shown(runs[0].metrics)
    parts = np.array_split(np.array(metrics), -(-len(metrics) // _COLUMNS))
    tables = [_table(groups, part.tolist(), comparison) for part in parts]
    tables = [*tables[:1], *_differences(groups, metrics), _cost(groups), *tables[1:], *_rates(comparison)]
    return Page(
        title=f"{len(groups)} models compared on {files}",
        lead=lead,
        tables=tables,
        runs=runs,
        panels=panels,
        appendix=[settings_table(group[0]) for group in groups.values()],
    )


def write_tables(comparison: Comparison, out: Path) -> None:
    """Write comparison.json, comparison.csv (a row a model), runs.csv (a row a run) and the scores of each run."""
    groups, metrics = named(comparison.runs), shown(comparison.runs[0].metrics)
    first = next(iter(groups.values()))
    models = []
    for outcome, (name, seeds) in zip(_by_name(comparison), groups.items(), strict=True):
        found = {metric: summary(seeds, metric) for metric in metrics}
        models.append(
            {
                "name": name,
                "architecture": seeds[0].card.architecture,
                "learning_rate": outcome.rate,
                "learning_rates": {f"{rate:g}": value for rate, value in outcome.tried.items()},
                "metrics": {key: _plain(value) for key, value in found.items()},
                "minus_first": {key: _plain(difference(seeds, first, key)) for key in metrics},
                "runs": [record(run) for run in seeds],
            }
        )
    text = json.dumps(
        {"interval": LEVEL, "repeats": comparison.repeats, "models": models}, indent=1, ensure_ascii=False
    )
    with atomic(out / JSON) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    header = ["model", "seeds", "learning_rate", "parameters", "images_per_second"]
    header += [f"{metric}{end}" for metric in metrics for end in ("", "_spread", "_low", "_high")]
    rows = []
    for outcome, (name, seeds) in zip(_by_name(comparison), groups.items(), strict=True):
        numbers = [value for metric in metrics for value in _plain(summary(seeds, metric)).values()]
        rows.append([name, len(seeds), outcome.rate or "", seeds[0].parameters, _speed(seeds), *numbers])
    _write_csv(out / SUMMARY, header, rows)
    folders = [folder for outcome in comparison.outcomes for folder in outcome.folders]
    rows = [
        [run.name, str(folder), *(run.metrics[metric] for metric in metrics)]
        for run, folder in zip(comparison.runs, folders, strict=True)
    ]
    _write_csv(out / ALL_RUNS, ["model", "folder", *metrics], rows)
    for run, folder in zip(comparison.runs, folders, strict=True):
        if folder.is_relative_to(out):  # a model trained apart is left as it is
            write_scores(run, folder / SCORES)


def _by_name(comparison: Comparison) -> list[Outcome]:
    """One outcome a name, in order: folders given apart may share one."""
    return list({outcome.name: outcome for outcome in reversed(comparison.outcomes)}.values())[::-1]


def _table(groups: Mapping[str, list[Evaluation]], metrics: Sequence[str], comparison: Comparison) -> Table:
    rows = []
    for name, seeds in groups.items():
        cells = [summary(seeds, metric) for metric in metrics]
        rows.append([name, *(_cell(cell, len(seeds)) for cell in cells)])
    run = comparison.runs[0]
    note = f"Mean and standard deviation over seeds. {metric_note(run, comparison.repeats)}"
    title = "Metrics on the test part" if "auc" in metrics or "mse" in metrics else "More metrics"
    return Table(title, ["Model", *map(title_of, metrics)], rows, note if title.startswith("Metrics") else "")


def _differences(groups: Mapping[str, list[Evaluation]], metrics: Sequence[str]) -> list[Table]:
    if len(groups) < 2:
        return []
    (name, first), *others = groups.items()
    chosen = [metric for metric in ("auc", "auprc", "accuracy", "tpr_at_fpr_1e-2", "mse", "r2") if metric in metrics]
    rows = []
    for other, seeds in others:
        cells = [difference(seeds, first, metric) for metric in chosen]
        rows.append([other, *(f"{_signed(cell.mean)}\n{_signed(cell.low)} to {_signed(cell.high)}" for cell in cells)])
    note = "Paired: both are judged on the same resampled sources. An interval without 0 is a difference."
    return [Table(f"Minus {name}", ["Model", *map(title_of, chosen)], rows, note)]


def _cost(groups: Mapping[str, list[Evaluation]]) -> Table:
    rows = []
    for name, seeds in groups.items():
        epochs = [f"{run.card.training.get('best_epoch', '?')} of {len(run.card.history)}" for run in seeds]
        minutes = np.mean([run.card.training.get("seconds", np.nan) for run in seeds]) / 60
        took = f"{minutes:.1f} min" if np.isfinite(minutes) else ""
        rows.append([name, f"{seeds[0].parameters / 1e6:.2f} M", f"{_speed(seeds):,.0f}", took, ", ".join(epochs)])
    header = ["Model", "Parameters", "Images a second", "Training", "Epoch kept"]
    open_ended = [name for name, seeds in groups.items() if any(map(_unconverged, seeds))]
    note = f"Images a second through the network alone on {next(iter(groups.values()))[0].device}."
    if open_ended:
        note += f" Still gaining when the last epoch came: {', '.join(open_ended)}; more epochs may change its place."
    return Table("Cost", header, rows, note)


def _unconverged(run: Evaluation) -> bool:
    """Whether training ended because its epochs did, at a rate that had not sunk, with its best among the last."""
    training, history = run.card.training, run.card.history
    patience = training.get("patience")
    if not history or training.get("scheduler") != "none" or len(history) < int(training.get("epochs", 0)):
        return False
    return len(history) - int(training["best_epoch"]) < (patience or 1)


def _rates(comparison: Comparison) -> list[Table]:
    rows = []
    for outcome in comparison.outcomes:
        if len(outcome.tried) > 1:
            values = [f"{rate:g}: {number(value)}" for rate, value in outcome.tried.items()]
            rows.append([outcome.name, f"{outcome.rate:g}", ", ".join(values)])
    what = f"Best {title_of(rank_of(comparison.runs[0].card))} of the validation part by rate"
    return [Table("Learning rates", ["Model", "Taken", what], rows)] if rows else []


def _cell(found: Summary, seeds: int) -> str:
    spread = f" ± {number(found.spread)}" if seeds > 1 else ""
    return f"{number(found.mean)}{spread}\n{number(found.low)} to {number(found.high)}"


def _signed(value: float) -> str:
    return f"{value:+.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:+.2g}"


def _speed(seeds: Sequence[Evaluation]) -> float:
    return round(float(np.median([run.images_per_second for run in seeds])), 1)


def _plain(found: Summary) -> dict[str, float]:
    return {"mean": found.mean, "spread": found.spread, "low": found.low, "high": found.high}


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([header, *rows])
