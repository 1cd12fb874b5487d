"""Commands that judge models: evaluate, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.program import Quiet, app, follow

Datasets = Annotated[list[Path], typer.Argument(metavar="DATASET", help="Labelled sets (HDF5).")]
Prior = Annotated[float, typer.Option(metavar="FRACTION", help="Lenses among the sources of the sky, for purities.")]
Repeats = Annotated[int, typer.Option(min=10, help="Resamplings of the sources, for intervals.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best by default.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.")]


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the library, or a folder.")],
    datasets: Datasets,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the page, the numbers and the scores.")],
    prior: Prior = 1e-3,
    views: Annotated[int, typer.Option(help="Views of each stamp that are averaged: 1, 2, 4 or 8.")] = 1,
    misses: Annotated[int, typer.Option(min=1, help="Worst misses of each kind that are drawn.")] = 12,
    saliency: Annotated[bool, typer.Option("--saliency/--no-saliency", help="Draw why on the misses.")] = True,
    repeats: Repeats = 200,
    device: Device = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Judge a model on labelled stamps that it has not seen: metrics with intervals, figures, its worst misses.

    Of sets that it was trained on, only the held-out test part is used.
    """
    from engine.train.evaluate import EvaluateRequest
    from engine.train.evaluate import evaluate as evaluate_job
    from engine.train.evaluation import Evaluation, shown, title_of
    from engine.train.page import number

    request = EvaluateRequest(
        model,
        tuple(datasets),
        out,
        prior=prior,
        views=views,
        misses=misses,
        saliency=saliency,
        repeats=repeats,
        device=device,
        threads=threads,
    )
    found: list[Evaluation] = []
    follow(evaluate_job(request), "Evaluating", quiet, lambda step: found.extend(step.items))
    run = found[-1]
    typer.echo(f"{run.card.key} on {len(run.data):,} stamps, {run.unseen}")
    for name in shown(run.metrics):
        low, high = run.interval(name)
        typer.echo(f"{title_of(name):32} {number(run.metrics[name]):>9}  {number(low)} to {number(high)}")
    typer.echo(out / "report.html")
