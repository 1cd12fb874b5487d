"""Commands on published sets of labelled images: inspect, convert."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.program import BAD_INPUT, PixelScale, Quiet, app, check_out, follow

if TYPE_CHECKING:
    from engine.train.readers.convert import Report

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The unpacked set.")]
LayoutName = Annotated[
    str | None, typer.Option("--layout", metavar="NAME", help="How the set lies on disk; found out by default.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command()
def inspect(folder: Folder, layout: LayoutName = None, json: Json = False, quiet: Quiet = False) -> None:
    """Report what a folder of labelled images holds: classes, shapes, copies, damage.

    The exit status is 2 where a file cannot be read.
    """
    from engine.train.readers.convert import inspect as inspect_job

    _show(follow(inspect_job(folder, layout=layout), "Inspecting", quiet)[0], json)


@app.command()
def convert(
    folder: Folder,
    out: Annotated[Path, typer.Option(metavar="SET.h5", help="Training set to write.")],
    layout: LayoutName = None,
    size: Annotated[int | None, typer.Option(min=2, help="Crop or pad to this side, pixels.")] = None,
    bands: Annotated[str | None, typer.Option(metavar="g,r,i", help="Bands, in the order of the planes.")] = None,
    pixel_scale: PixelScale = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a published set of labelled images into a training set, and report what it holds.

    A file that cannot be read is named and left out; the exit status is then 2.
    """
    from engine.train.readers.convert import convert as convert_job

    check_out(out, [folder])
    names = tuple(name.strip() for name in bands.split(",")) if bands else None
    job = convert_job(folder, out, layout=layout, size=size, bands=names, pixel_scale=pixel_scale)
    _show(follow(job, "Converting", quiet), json)


def _show(report: Report, json: bool) -> None:
    if json:
        typer.echo(dumps(asdict(report), indent=2))
    else:
        for name, value in asdict(report).items():
            if isinstance(value, dict):
                value = ", ".join(f"{key}: {count}" for key, count in value.items())
            elif isinstance(value, list | tuple):
                value = ", ".join(value) or "none"
            typer.echo(f"{name.replace('_', ' '):24}{value}")
    if report.unreadable:
        raise typer.Exit(BAD_INPUT)
