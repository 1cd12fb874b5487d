"""Commands on published sets of labelled images: inspect, convert."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.program import BAD_INPUT, PixelScale, Quiet, app, check_out, follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.train.readers.report import Report

Source = Annotated[Path, typer.Argument(metavar="SET", help="Folder or archive (.zip, .tar, .tar.gz, .tar.xz).")]
LayoutName = Annotated[
    str | None, typer.Option("--layout", metavar="NAME", help="How the set lies on disk; found out by default.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]

_FEW = 3


@app.command()
def inspect(source: Source, layout: LayoutName = None, json: Json = False, quiet: Quiet = False) -> None:
    """Report what a set of labelled images holds: classes, shapes, values, copies, damage; and how to train on it.

    The exit status is 2 where a file is missing or cannot be read.
    """
    from engine.train.readers.report import inspect as inspect_job

    _show(follow(inspect_job(source, layout=layout), "Inspecting", quiet), json)


@app.command()
def convert(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="SET.h5", help="Training set to write.")],
    layout: LayoutName = None,
    size: Annotated[int | None, typer.Option(min=2, help="Crop or pad to this side, pixels.")] = None,
    bands: Annotated[str | None, typer.Option(metavar="g,r,i", help="Bands, in the order of the planes.")] = None,
    pixel_scale: PixelScale = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a published set of labelled images into a training set, and report what it holds.

    A file that is missing or cannot be read is named and left out; the exit status is then 2.
    """
    from engine.train.readers.convert import convert as convert_job

    check_out(out, [source])
    names = tuple(name.strip() for name in bands.split(",")) if bands else None
    job = convert_job(source, out, layout=layout, size=size, bands=names, pixel_scale=pixel_scale)
    _show(follow(job, "Converting", quiet), json)


def _show(report: Report, json: bool) -> None:
    if json:
        typer.echo(dumps(asdict(report), indent=2))
    else:
        _print(report)
    if not report.whole:
        raise typer.Exit(BAD_INPUT)


def _print(report: Report) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    table = Table(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(report):
        table.add_row(name, Text(value))
    console.print(table)
    parts = Table(box=SIMPLE_HEAD, pad_edge=False)
    parts.add_column("images")
    for kind in report.classes:
        parts.add_column(Text(kind), justify="right")
    for part in dict.fromkeys(key.split(" ", 1)[0] for key in report.counts):
        parts.add_row(part, *(str(report.counts.get(f"{part} {kind}", 0)) for kind in report.classes))
    console.print(parts)
    # Lines that are searched or copied are not folded at the edge of the terminal.
    for title, lines in (("missing", report.missing), ("unreadable", report.unreadable), ("leak", report.leaks)):
        for line in lines[:_FEW]:
            typer.echo(f"{title}: {line}")
        if len(lines) > _FEW:
            typer.echo(f"{title}: and {len(lines) - _FEW} more (--json names all)")
    for note in report.notes:
        typer.echo(f"note: {note}")
    for command in report.commands:
        typer.echo(f"next: {command}")


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "layout", report.layout
    yield "images", f"{report.files}" + (f", {len(report.unreadable)} of them unreadable" if report.unreadable else "")
    yield "bands x height x width", _counted(report.shapes)
    yield "bands", "one, of any name" if report.bands == ("any",) else ", ".join(report.bands) or "not known"
    yield "pixel scale", f'{report.pixel_scale:.4g}"' if report.pixel_scale else "not known"
    yield "types", _counted(report.dtypes)
    if report.lowest is not None:
        yield "values", f"{report.lowest:.6g} to {report.highest:.6g}"
    if report.storage_error:
        yield "kept as", f"{report.storage}, relative error {report.storage_error:.1e} at most"
    else:
        yield "kept as", f"{report.storage}, without loss"
    yield "pixels without data", _pixels(report)
    yield "constant images", str(report.constant)
    yield "copies", _copies(report)
    yield "near copies", f"{report.near_copies}" + _across(report.near_copies_across_parts, "parts")
    yield from report.truth.items()


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(counts) if len(counts) == 1 else ", ".join(f"{key} ({count})" for key, count in counts.items())


def _pixels(report: Report) -> str:
    if not report.pixels_without_data:
        return "none"
    infinite = f" ({report.infinite_pixels} infinite)" if report.infinite_pixels else ""
    return f"{report.pixels_without_data}{infinite} in {report.images_without_all_data} images"


def _copies(report: Report) -> str:
    text = str(report.copies) + _across(report.copies_across_parts, "parts")
    return text + _across(report.copies_across_classes, "classes")


def _across(count: int, what: str) -> str:
    return f", {count} across {what}" if count else ""
