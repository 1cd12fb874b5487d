"""What the commands share: the application, its options, and how a job is followed on a terminal."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from engine.errors import DataError, EngineError

if TYPE_CHECKING:
    from engine.types import Step

BAD_INPUT = 2
CANCELLED = 130
TELL_SECONDS = 15.0  # between two lines on a long job where nobody looks on
SECTIONS = {
    "Lenses in images": ("demo", "scan", "scan-tiles", "score", "models"),
    "Projects": ("export", "stamps", "fit", "send", "crossmatch", "rescore"),
    "Teams": ("share", "merge", "import-grades", "consensus", "blind", "calibrate", "graders"),
    "Training sets": ("simulate", "patches", "inject", "inspect", "convert"),
    "Models of your own": ("train", "fine-tune", "committee", "evaluate", "compare", "completeness"),
}
"""The commands as ``deeplense --help`` lists them."""


class Commands(TyperGroup):
    """Lists the commands by what they are for; turns what went wrong into one line on standard error and a status."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each section with the first sentence of each command, whole."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(200)) for name in names])

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command named on the command line, then exit."""
        kwargs["standalone_mode"] = False
        status = BAD_INPUT
        try:
            status = int(super().main(*args, **kwargs) or 0)
        except (KeyboardInterrupt, typer.Abort):
            status = CANCELLED
        except EngineError as error:
            complain(str(error))
        except OSError as error:
            if error.filename is None:
                raise
            complain(f"{error.filename}: {error.strerror}; check the path and its permissions")
        except _USAGE as error:
            context = getattr(error, "ctx", None)
            complain(f"{error.format_message()} ({context.command_path if context else self.name} --help tells more)")
        if status == CANCELLED:  # some versions of typer turn an interrupt into this status themselves
            complain("cancelled")
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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
PixelScale = Annotated[
    float | None, typer.Option(metavar="ARCSEC", help="Arcsec per pixel, where the file does not say or is wrong.")
]
Hdu = Annotated[int | None, typer.Option("--hdu", metavar="N", help="FITS image to read, counted from 0.")]
Dataset = Annotated[str | None, typer.Option(metavar="KEY", help="HDF5 dataset to read.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="A model of the library, or a folder.")]
MinScore = Annotated[float, typer.Option(metavar="P", min=0, max=1, help="Keep only scores from here.")]
Detector = Annotated[str, typer.Option(help="Where to look: sources, heatmap or both.")]
HeatmapModel = Annotated[str, typer.Option(metavar="NAME", help="The dense network of the heatmap.")]


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


def check_out(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that cannot be written or would replace an input."""
    if out.is_dir():
        raise DataError(f"{out} is a folder: give a file name")
    if not out.absolute().parent.is_dir():
        raise DataError(f"{out.parent} is not a folder: make it first, or choose another one")
    if not os.access(out.absolute().parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise DataError(f"{out.absolute().parent} cannot be written: choose another folder")
    if out.exists() and any(path.exists() and path.samefile(out) for path in inputs):
        raise DataError(f"{out} is also an input: choose another name for --out")


def complain(message: str) -> None:
    """Say what went wrong, as one line on standard error."""
    typer.echo("deeplense: " + " ".join(message.split()), err=True)


def remark(notes: Sequence[str], quiet: bool) -> None:
    """Say what was chosen or is missing in an image, to a person who looks on."""
    if not quiet and sys.stderr.isatty():
        for note in notes:
            complain(note)


def follow(job: Iterator[Step], title: str, quiet: bool, take: Callable[[Step], object] | None = None) -> Any:
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
    """A bar on standard error, a line now and then where that is no terminal; nothing if quiet was asked for."""
    if quiet:
        yield lambda step: None
        return
    if not sys.stderr.isatty():
        yield _Teller(title)
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


class _Teller:
    """Says how far a job is in plain lines, for logs: none of a short job or of its end, one a while of a long one."""

    def __init__(self, title: str) -> None:
        self._title, self._began = title, time.monotonic()
        self._next = self._began + TELL_SECONDS

    def __call__(self, step: Step) -> None:
        if time.monotonic() < self._next or step.done == step.total > 0:
            return
        now = time.monotonic()
        self._next = now + TELL_SECONDS
        share = f" {100 * step.done // step.total} %" if step.total else ""
        if 0 < step.done < step.total:
            share += f" ({timedelta(seconds=round((now - self._began) * (step.total / step.done - 1)))} left)"
        complain(f"{self._title}:{share} {step.note}".rstrip())
