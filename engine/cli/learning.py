"""Commands of learning: simulate, train, committee, models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.program import Quiet, app, follow
from engine.errors import DataError, ModelError
from engine.models.preprocess import KNOWN

# Arguments of ``train`` that are not fields of its request by the same name.
_NOT_OF_REQUEST = {"datasets", "quiet", "name"}


@app.command()
def simulate(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE", help="What to simulate; see --list.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="SET.h5", help="Training set to write.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many stamps.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same set.")] = 1,
    size: Annotated[int | None, typer.Option(help="Stamp side in pixels; the recipe's own by default.")] = None,
    choices: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an option.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the recipes, or the options of one.")] = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a labelled training set with its truth table."""
    from engine.simulate.dataset import RECIPES, find_recipe
    from engine.simulate.dataset import simulate as simulate_job

    if listing:
        for one in RECIPES.values() if recipe is None else [find_recipe(recipe)]:
            typer.echo(f"{one.name:14} {one.summary}")
        for name, option in find_recipe(recipe).options.items() if recipe else ():
            typer.echo(f"  {name}={option.default}  {option.help}")
        return
    if out is None:
        raise DataError("no file to write: give --out SET.h5, or --list to see the recipes")
    wrong = [choice for choice in choices or () if "=" not in choice]
    if wrong:
        raise DataError(f"--set {wrong[0]} sets nothing: write --set name=value")
    options = dict(choice.split("=", 1) for choice in choices or ())
    name = recipe or "finder"
    job = simulate_job(name, out, count=count, seed=seed, size=size, options=options, processes=processes)
    follow(job, f"Simulating {name}", quiet)


@app.command()
def train(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET", help="Training sets (HDF5).")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the model.")],
    name: Annotated[str | None, typer.Option(help="Name on the card; that of the folder by default.")] = None,
    architecture: Annotated[str, typer.Option(help="A timm model, over:MODEL, or several joined by +.")] = "resnet18",
    channels: Annotated[str, typer.Option(help=f"What the network sees: {', '.join(KNOWN)}.")] = "stretch,residual",
    together: Annotated[bool, typer.Option("--together", help="All bands of a stamp at once, not any one.")] = False,
    task: Annotated[str | None, typer.Option(help="What the model is for, for the card.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch_size: Annotated[int, typer.Option(min=1)] = 128,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    optimizer: Annotated[str, typer.Option(help="A timm optimizer.")] = "adamw",
    scheduler: Annotated[str, typer.Option(help="cosine, poly, tanh, step, multistep or none.")] = "cosine",
    weight_decay: Annotated[float, typer.Option()] = 0.02,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Learn this value of the truth table instead of classes; repeatable."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Learn this class alone, to tell how unlike it other stamps are."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="cross_entropy, focal, or a class of torch.nn or timm.loss; MSELoss for a target."),
    ] = None,
    label_smoothing: Annotated[float, typer.Option()] = 0.0,
    drop_rate: Annotated[float, typer.Option(help="Dropout before the head.")] = 0.0,
    ema_decay: Annotated[float | None, typer.Option(help="Use a moving average of the weights.")] = None,
    noise: Annotated[float, typer.Option(help="Noise added to prepared stamps.")] = 0.0,
    balance: Annotated[str, typer.Option(help="none, weights (in the loss) or sampler (drawn alike).")] = "none",
    shift: Annotated[int, typer.Option(min=0, metavar="PIXELS", help="Move stamps by up to so many pixels.")] = 0,
    blur: Annotated[
        float, typer.Option(min=0, metavar="ARCSEC", help="Add seeing of up to this FWHM to stamps.")
    ] = 0.0,
    turns: Annotated[bool, typer.Option("--turns/--no-turns", help="Turn and mirror stamps in training.")] = True,
    patience: Annotated[
        int | None, typer.Option(min=1, metavar="EPOCHS", help="Stop after so many without gain.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PART.NAME=VALUE", help="Argument of loss, optimizer, scheduler."),
    ] = None,
    prior: Annotated[float | None, typer.Option(help="Fraction of lenses to expect in use.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    split_seed: Annotated[int, typer.Option(help="Draws the validation and test parts.")] = 0,
    given_parts: Annotated[
        bool, typer.Option("--given-parts", help="Keep the parts that a converted set was published in.")
    ] = False,
    pretrained: Annotated[Path | None, typer.Option(help="A local timm checkpoint to start from.")] = None,
    start: Annotated[Path | None, typer.Option(help="A model folder whose weights to go on from.")] = None,
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network first (torch.compile).")] = False,
    half_weights: Annotated[bool, typer.Option("--half-weights", help="Store weights as float16.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best by default.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    limits: Annotated[str, typer.Option(help="Known limits, for the card.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier or a regression; writes model.json and model.safetensors, and resumes exactly."""
    chosen = request_fields({key: value for key, value in locals().items() if key not in _NOT_OF_REQUEST})
    from engine.train.heatmap import train_heatmap
    from engine.train.heatmap_data import is_patch_set
    from engine.train.loop import TrainRequest
    from engine.train.loop import train as train_job

    request = TrainRequest(tuple(datasets), name=name or out.resolve().name, **chosen)
    job = train_heatmap if is_patch_set(datasets[0]) else train_job
    follow(job(request), f"Training {request.name}", quiet)


def request_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a TrainRequest from options of train, by their names there."""
    chosen = {key: value for key, value in options.items() if key not in ("together", "target", "task")}
    target, only = options.get("target"), options.get("only")
    chosen["targets"] = tuple(target or ())
    learned = f"regression of {', '.join(target)}" if target else f"what is unlike {only}" if only else "lens finding"
    chosen["task"] = options.get("task") or learned
    chosen["settings"] = tuple(options.get("settings") or ())
    chosen["channels"] = tuple(name.strip() for name in options["channels"].split(","))
    if options.get("together"):
        chosen["bands"] = ()
    return chosen


@app.command()
def committee(
    members: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Folders of models trained apart.")],
    data: Annotated[list[Path], typer.Option(metavar="DATASET", help="Training set to calibrate and test on.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the committee.")],
    name: Annotated[str | None, typer.Option(help="Name on the card; that of the folder by default.")] = None,
    prior: Annotated[float | None, typer.Option(help="Fraction of lenses to expect in use.")] = None,
    half_weights: Annotated[bool, typer.Option("--half-weights", help="Store weights as float16.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best by default.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    limits: Annotated[str, typer.Option(help="Known limits, for the card.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "",
    quiet: Quiet = False,
) -> None:
    """Join models of one kind into one that averages them, and whose spread tells where they disagree."""
    from engine.train.committee import CommitteeRequest, form_committee

    request = CommitteeRequest(
        tuple(members),
        tuple(data),
        out,
        name=name or out.resolve().name,
        prior=prior,
        half_weights=half_weights,
        device=device,
        threads=threads,
        limits=limits,
        licence=licence,
    )
    follow(form_committee(request), f"Joining {request.name}", quiet)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show this model's card.")] = None,
) -> None:
    """List the models there are, or show the card of one."""
    from engine.models.card import CARD
    from engine.models.library import list_models, model_folder

    if name is not None:
        typer.echo((model_folder(name) / CARD).read_text(encoding="utf-8").rstrip())
        return
    cards = list_models()
    if not cards:
        raise ModelError("There are no models: train one with deeplense train")
    for card in cards:
        scales = " and ".join(f'{scale:g}"' for scale in card.pixel_scales)
        auc = f"  AUC {card.metrics['auc']:.3f}" if "auc" in card.metrics else ""
        typer.echo(
            f"{card.key}  {card.task}  {card.architecture}  {','.join(card.bands)}  {card.size} px at {scales}{auc}"
        )
