"""Commands for calibration stamps: calibrate, graders."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.exporting import project_mosaics
from engine.cli.program import Model, Quiet, app, follow
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.catalogue.calibration import Bin

ProjectFile = Annotated[Path, typer.Argument(metavar="PROJECT", help="A .deeplense project file.")]


@app.command()
def calibrate(
    project: ProjectFile,
    lenses: Annotated[int, typer.Option(min=0, help="Galaxies with a painted arc.")] = 50,
    duds: Annotated[int, typer.Option(min=0, help="Sources at random, hardly ever lenses.")] = 50,
    repeats: Annotated[int, typer.Option(min=0, help="Candidates to show a second time.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same stamps, on any machine.")] = 1,
    gain: Annotated[float | None, typer.Option(metavar="E", help="Electrons a unit, for the arcs' noise.")] = None,
    seeing: Annotated[float | None, typer.Option(metavar="ARCSEC", help="FWHM, where stars are too few.")] = None,
    model: Model = "finder",
    quiet: Quiet = False,
) -> None:
    """Put calibration stamps into a project: painted arcs, duds and repeats, to learn how well people grade."""
    from engine.catalogue.store import Project
    from engine.detect.calibration import CalibrationRequest
    from engine.detect.calibration import calibrate as calibrate_job
    from engine.models.predict import load_classifier

    with Project.open(project) as opened:
        mosaics = project_mosaics(opened)
        if not mosaics:
            raise DataError(f"{project} has no mosaic yet: scan one first")
        classifier = load_classifier(model)
        count = len(mosaics)
        for number, mosaic in enumerate(mosaics):
            part = [value * (number + 1) // count - value * number // count for value in (lenses, duds, repeats)]
            request = CalibrationRequest(part[0], part[1], part[2], seed, gain=gain, seeing=seeing)
            follow(calibrate_job(opened, mosaic, request, classifier), f"Painting on {mosaic.name}", quiet)
        total = len(opened.ids(calibration=True)) - len(opened.ids())
    typer.echo(f"{total} calibration stamps in {project.name}")


@app.command()
def graders(
    project: ProjectFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """How well each person grades, from calibration stamps: completeness, false positives, consistency."""
    from engine.catalogue.calibration import grader_report
    from engine.catalogue.store import Project

    with Project.open(project, read_only=True) as opened:
        reports = grader_report(opened)
    if as_json:
        typer.echo(json.dumps([_plain(asdict(report)) for report in reports]))
        return
    if not reports:
        typer.echo("nobody has graded in this project yet")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    for report in reports:
        table = Table("", "of", "share", "68 % interval", title=f"{report.grader}: {report.graded} graded")
        for title, share in (
            ("lenses called lenses", report.completeness),
            ("lenses not rejected", report.kept),
            *((f'  painted, Einstein radius {_range(one)}"', one.found) for one in report.by_radius),
            *((f"  painted, arc S/N {_range(one)}", one.found) for one in report.by_signal),
            ("duds called lenses", report.false_positives),
            ("repeats graded the same", report.consistency),
        ):
            told = (f"{share.share:.2f}", f"{share.low:.2f}-{share.high:.2f}") if share.count else ("-", "-")
            table.add_row(title, f"{share.hits}/{share.count}", *told)
        console.print(table)


def _range(one: Bin) -> str:
    return f"above {one.low:g}" if one.high == float("inf") else f"{one.low:g}-{one.high:g}"


def _plain(value: Any) -> Any:
    """As JSON takes it: None for what is not a finite number."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
