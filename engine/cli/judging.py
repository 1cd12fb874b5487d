"""Commands that judge models: evaluate, compare."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.learning import request_fields, train
from engine.cli.program import Quiet, app, follow

if TYPE_CHECKING:
    from engine.train.evaluation import Evaluation

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
    from engine.train.evaluation import shown, title_of
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


def _compare(
    datasets: Datasets,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the runs, the page and the tables.")],
    architecture: Annotated[
        list[str] | None, typer.Option(help="A timm model to train; NAME@3x224 resizes stamps for it. Repeatable.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:KEY=VALUE,...", help="A recipe with settings of its own, or published. Repeatable."),
    ] = None,
    model_folder: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="A model trained apart on the same split. Repeatable.")
    ] = None,
    learning_rate: Annotated[
        list[float] | None, typer.Option(help="A rate to try; the best is taken. Repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each at its best rate.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="At most; patience stops sooner.")] = 60,
    patience: Annotated[int, typer.Option(min=1, metavar="EPOCHS", help="Stop after so many without gain.")] = 8,
    sky_prior: Annotated[
        float, typer.Option(metavar="FRACTION", help="Lenses among the sources of the sky, for purities.")
    ] = 1e-3,
    repeats: Repeats = 200,
    quiet: Quiet = False,
    **options: Any,
) -> None:
    """Train several models on one split at matched convergence and from several seeds, and compare them on one page.

    Takes the settings of train, for all alike. What is finished is kept: the same command goes on where it stopped.
    """
    from engine.train.compare import CompareRequest
    from engine.train.compare import compare as compare_job
    from engine.train.comparison import summary
    from engine.train.contenders import contenders
    from engine.train.evaluation import shown, title_of
    from engine.train.figures.style import named
    from engine.train.page import number
    from engine.train.request import TrainRequest

    base = TrainRequest(tuple(datasets), out, epochs=epochs, patience=patience, **request_fields(options))
    request = CompareRequest(
        base,
        contenders(architecture or (), model or ()),
        tuple(model_folder or ()),
        learning_rates=tuple(learning_rate or (1e-3,)),
        seeds=seeds,
        prior=sky_prior,
        repeats=repeats,
    )
    found: list[tuple[Evaluation, ...]] = []
    follow(compare_job(request), "Comparing", quiet, lambda step: found.extend(step.items))
    metrics = shown(found[-1][0].metrics)[:4]
    typer.echo(f"{'':24}" + "".join(f"{title_of(metric):>26}" for metric in metrics))
    for name, runs in named(found[-1]).items():
        cells = [summary(runs, metric) for metric in metrics]
        typer.echo(f"{name:24}" + "".join(f"{f'{number(one.mean)} ± {number(one.spread)}':>26}" for one in cells))
    typer.echo(out / "report.html")


# The settings of train that all recipes share are its own options: new ones are there without a line here.
_NOT_SHARED = (
    *("datasets", "out", "name", "architecture", "epochs", "learning_rate", "patience", "seed", "start"),
    *("half_weights", "limits", "licence", "resume", "quiet"),
)


def _with_options_of_train() -> inspect.Signature:
    own = inspect.signature(_compare, eval_str=True)
    mine = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    shared = [
        one.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name, one in inspect.signature(train, eval_str=True).parameters.items()
        if name not in _NOT_SHARED
    ]
    return own.replace(parameters=[*mine, *shared])


def _register() -> None:
    signature = _with_options_of_train()
    _compare.__signature__ = signature  # type: ignore[attr-defined]
    _compare.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    app.command("compare")(_compare)


_register()
