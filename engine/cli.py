"""The command line: ``deeplense scan | score | export | simulate | train | committee | models | demo``.

Exit status: 0 done, 2 bad input (one line on standard error says what and what to do), 130 cancelled. Progress goes to
standard error when that is a terminal. Commands import what they need when they run, so that ``--help`` is instant.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from engine.errors import DataError, EngineError, ImageError, ModelError

if TYPE_CHECKING:
    from engine.types import Step

BAD_INPUT = 2
CANCELLED = 130


class Commands(TyperGroup):
    """Turns what went wrong into one line on standard error and an exit status."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command named on the command line, then exit."""
        kwargs["standalone_mode"] = False
        status = BAD_INPUT
        try:
            status = int(super().main(*args, **kwargs) or 0)
        except (KeyboardInterrupt, typer.Abort):
            status = CANCELLED
        except EngineError as error:
            _complain(str(error))
        except OSError as error:
            if error.filename is None:
                raise
            _complain(f"{error.filename}: {error.strerror}; check the path and its permissions")
        except _USAGE as error:
            _complain(f"{error.format_message()} (deeplense --help lists what there is)")
        if status == CANCELLED:  # some versions of typer turn an interrupt into this status themselves
            _complain("cancelled")
        sys.exit(status)


# The base of all usage errors; typer offers it under no name of its own that all its versions share.
_USAGE = cast(
    "type[typer.BadParameter]", next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
)

app = typer.Typer(
    cls=Commands,
    name="deeplense",
    help="Find, vet and interpret strong gravitational lenses in survey mosaics.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
main = app

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
PixelScale = Annotated[
    float | None, typer.Option(metavar="ARCSEC", help="Arcsec per pixel, where the file does not say or is wrong.")
]
Hdu = Annotated[int | None, typer.Option("--hdu", metavar="N", help="FITS image to read, counted from 0.")]
Dataset = Annotated[str | None, typer.Option(metavar="KEY", help="HDF5 dataset to read.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="A model of the library, or a folder.")]


@app.callback()
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    if version:
        import engine

        typer.echo(engine.__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # odd headers are the rule; what matters is said as an error or a note


@app.command()
def scan(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="One image, or one a band on one grid.")],
    out: Annotated[Path, typer.Option(metavar="CATALOGUE", help="Catalogue: .csv .ecsv .fits .vot .parquet .reg")],
    bands: Annotated[str | None, typer.Option(metavar="g,r,i", help="Bands, in the order of the files.")] = None,
    hdu: Hdu = None,
    dataset: Dataset = None,
    model: Model = "finder",
    pixel_scale: PixelScale = None,
    min_score: Annotated[float, typer.Option(metavar="P", min=0, max=1, help="Keep only scores from here.")] = 0.0,
    quiet: Quiet = False,
) -> None:
    """Scan a mosaic for lenses and write the candidates, best first."""
    from engine.catalogue.store import Project
    from engine.detect.scan import scan as scan_job
    from engine.export import catalogue_writer, write_catalogue
    from engine.images.mosaic import open_mosaic
    from engine.models.card import load_card
    from engine.models.library import model_folder
    from engine.types import ScanRequest

    catalogue_writer(out)
    _check_out(out, files)
    names = [name.strip() for name in bands.split(",") if name.strip()] if bands else None
    mosaic = open_mosaic(files, bands=names, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)
    request = ScanRequest(mosaic, model=model, min_score=min_score)
    _remark(mosaic.notes, quiet)
    project = Project.temporary()
    try:
        run = project.start_run(mosaic, load_card(model_folder(model)).key, {"min_score": min_score})
        _follow(scan_job(request), f"Scanning {mosaic.name}", quiet, lambda step: project.add(run, step.items))
        write_catalogue(project.rows(project.ids(order="score", descending=True)), out)
    finally:
        project.close()


@app.command()
def score(
    stamps: Annotated[list[Path], typer.Argument(metavar="STAMP", help="Stamps, cubes of stamps, or folders.")],
    out: Annotated[Path, typer.Option(metavar="SCORES.csv", help="Table: file, plane, score, raw_score.")],
    pixel_scale: PixelScale = None,
    dataset: Dataset = None,
    hdu: Hdu = None,
    model: Model = "finder",
    quiet: Quiet = False,
) -> None:
    """Score the object at the centre of each stamp, or of each plane of a cube.

    A file that cannot be read is named on standard error and left out; the exit status is then 2.
    """
    from engine.detect.stamps import score_stamps, write_scores

    _check_out(out, stamps)
    rows: list[Any] = []
    bad: list[str] = []

    def take(step: Step) -> None:
        for item in step.items:
            if isinstance(item, ImageError):
                bad.append(str(item))
                _complain(str(item))
            else:
                rows.append(item)

    job = score_stamps(stamps, model=model, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)
    _follow(job, "Scoring", quiet, take)
    if rows:
        write_scores(rows, out)
    silent = {row.file for row in rows if row.pixel_scale is None}
    if silent:
        files = len({row.file for row in rows})
        note = f"No pixel scale in {len(silent)} of {files} files: the model's was assumed; give it with --pixel-scale"
        _remark([note], quiet)
    if bad:
        raise typer.Exit(BAD_INPUT)


@app.command()
def export(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A .deeplense project file.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A catalogue, or .h5 for a training set of the grades.")],
    grades: Annotated[str | None, typer.Option(metavar="A,B", help="Only these grades.")] = None,
    min_score: Annotated[float | None, typer.Option(metavar="P", min=0, max=1, help="Only scores from here.")] = None,
    model: Model = "finder",
    quiet: Quiet = False,
) -> None:
    """Write a project's candidates as a catalogue, or its grades as a training set (.h5) in the model's layout."""
    from engine.catalogue.store import Project
    from engine.export import catalogue_writer, write_catalogue

    training = out.suffix.lower() in {".h5", ".hdf5"}
    if training and (grades or min_score is not None):
        raise DataError("A training set takes every grade: leave out --grades and --min-score")
    if not training:
        catalogue_writer(out)
    _check_out(out, [project])
    opened = Project.open(project, read_only=True)
    try:
        if training:
            _export_training_set(opened, out, model, quiet)
        else:
            chosen = {grade.strip() for grade in grades.split(",")} if grades else None
            write_catalogue(opened.rows(opened.ids(grades=chosen, min_score=min_score)), out)
    finally:
        opened.close()


def _export_training_set(project: Any, out: Path, model: str, quiet: bool) -> None:
    from engine.export.training_set import training_set_job
    from engine.images.mosaic import open_mosaic
    from engine.models.card import load_card
    from engine.models.library import model_folder

    card = load_card(model_folder(model))
    options = project.setting("open_options") or {}  # how the window opened each mosaic, by its id
    mosaics = [
        replace(open_mosaic(known.paths, **options.get(known.id, {})), id=known.id) for known in project.mosaics()
    ]
    _follow(training_set_job(project, mosaics, out, card.size, card.pixel_scales), "Cutting stamps", quiet)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(metavar="SET.h5", help="Training set to write.")],
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="What to simulate.")] = "finder",
    count: Annotated[int, typer.Option(min=1, help="How many stamps.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same set.")] = 1,
    processes: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
    quiet: Quiet = False,
) -> None:
    """Simulate a labelled training set with its truth table."""
    from engine.simulate.dataset import simulate as simulate_job

    job = simulate_job(recipe, out, count=count, seed=seed, processes=processes)
    _follow(job, f"Simulating {recipe}", quiet)


@app.command()
def train(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET", help="Training sets (HDF5).")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the model.")],
    name: Annotated[str | None, typer.Option(help="Name on the card; that of the folder by default.")] = None,
    architecture: Annotated[str, typer.Option(help="A timm model, or several joined by +.")] = "resnet18",
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch_size: Annotated[int, typer.Option(min=1)] = 128,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    optimizer: Annotated[str, typer.Option(help="A timm optimizer.")] = "adamw",
    scheduler: Annotated[str, typer.Option(help="cosine, poly, tanh, step or none.")] = "cosine",
    weight_decay: Annotated[float, typer.Option()] = 0.02,
    loss: Annotated[str, typer.Option()] = "cross_entropy",
    label_smoothing: Annotated[float, typer.Option()] = 0.0,
    drop_rate: Annotated[float, typer.Option(help="Dropout before the head.")] = 0.0,
    ema_decay: Annotated[float | None, typer.Option(help="Use a moving average of the weights.")] = None,
    noise: Annotated[float, typer.Option(help="Noise added to prepared stamps.")] = 0.0,
    balance: Annotated[bool, typer.Option("--balance", help="Weigh the classes alike.")] = False,
    prior: Annotated[float | None, typer.Option(help="Fraction of lenses to expect in use.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    split_seed: Annotated[int, typer.Option(help="Draws the validation and test parts.")] = 0,
    pretrained: Annotated[Path | None, typer.Option(help="A local timm checkpoint to start from.")] = None,
    start: Annotated[Path | None, typer.Option(help="A model folder whose weights to go on from.")] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    half_weights: Annotated[bool, typer.Option("--half-weights", help="Store weights as float16.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best by default.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    limits: Annotated[str, typer.Option(help="Known limits, for the card.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a lens finder; writes model.json and model.safetensors, and resumes exactly."""
    chosen = {key: value for key, value in locals().items() if key not in {"datasets", "quiet", "name"}}
    from engine.train.loop import TrainRequest
    from engine.train.loop import train as train_job

    request = TrainRequest(tuple(datasets), name=name or out.resolve().name, **chosen)
    _follow(train_job(request), f"Training {request.name}", quiet)


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
    _follow(form_committee(request), f"Joining {request.name}", quiet)


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


@app.command()
def demo(
    headless: Annotated[
        Path | None, typer.Option(metavar="DIR", help="No window: write catalogue, report and screenshot here.")
    ] = None,
    model: Model = "finder",
    quiet: Quiet = False,
) -> None:
    """Scan a simulated survey field: in the window, or headless."""
    from engine import demo as field

    if headless is None:
        raise typer.Exit(field.open_window())
    written = _follow(field.run_headless(headless, model=model), "Demo", quiet)
    for path in written:
        typer.echo(path)


def _check_out(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that cannot be written or would replace an input."""
    if out.is_dir():
        raise DataError(f"{out} is a folder: give a file name")
    if not out.absolute().parent.is_dir():
        raise DataError(f"{out.parent} is not a folder: make it first, or choose another one")
    if not os.access(out.absolute().parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise DataError(f"{out.absolute().parent} cannot be written: choose another folder")
    if out.exists() and any(path.exists() and path.samefile(out) for path in inputs):
        raise DataError(f"{out} is also an input: choose another name for --out")


def _complain(message: str) -> None:
    typer.echo("deeplense: " + " ".join(message.split()), err=True)


def _remark(notes: Sequence[str], quiet: bool) -> None:
    """Say what was chosen or is missing in an image, to a person who looks on."""
    if not quiet and sys.stderr.isatty():
        for note in notes:
            _complain(note)


def _follow(job: Iterator[Step], title: str, quiet: bool, take: Callable[[Step], object] | None = None) -> Any:
    """Run a job to its end, showing progress and handing on each step; returns what the generator returns."""

    def watched() -> Generator[Step, None, Any]:
        return (yield from job)

    with closing(watched()) as steps, _progress(title, quiet) as show:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            if take is not None:
                take(step)
            show(step)


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """A bar on standard error; nothing where that is no terminal or quiet was asked for."""
    if quiet or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    def text(content: str) -> TextColumn:
        return TextColumn(content, markup=False)  # a file may be called [/b].fits

    columns = (text("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, text("{task.fields[note]}"), console=Console(stderr=True))
    with bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda step: bar.update(task, completed=step.done, total=step.total or None, note=step.note)


if __name__ == "__main__":
    main()
