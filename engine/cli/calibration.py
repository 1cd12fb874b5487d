"""Commands for vetting without bias: calibrate, blind, graders."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.exporting import project_mosaics
from engine.cli.program import Model, Quiet, app, follow
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.catalogue.blind_queue import CutReport
    from engine.catalogue.calibration import Bin

ProjectFile = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project: a file, or a postgresql:// address.")]


@app.command()
def calibrate(
    project: ProjectFile,
    lenses: Annotated[int, typer.Option(min=0, help="Galaxies with a painted arc.")] = 50,
    duds: Annotated[int, typer.Option(min=0, help="Sources at random, hardly ever lenses.")] = 50,
    repeats: Annotated[int, typer.Option(min=0, help="Candidates to show a second time.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same stamps, on any machine.")] = 1,
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
        mosaics = project_mosaics(opened, quiet=quiet)
        if not mosaics:
            raise DataError(f"{opened.place} has no mosaic yet: scan one first")
        classifier = load_classifier(model).quicken()
        count = len(mosaics)
        for number, mosaic in enumerate(mosaics):
            part = [value * (number + 1) // count - value * number // count for value in (lenses, duds, repeats)]
            request = CalibrationRequest(part[0], part[1], part[2], seed, gain=gain, seeing=seeing)
            follow(calibrate_job(opened, mosaic, request, classifier), f"Painting on {mosaic.name}", quiet)
        total = len(opened.ids(calibration=True)) - len(opened.ids())
    typer.echo(f"{total} calibration stamps in {opened.path.name if opened.path else opened.name}")


@app.command()
def blind(
    project: ProjectFile,
    cut: Annotated[float | None, typer.Option(metavar="P", min=0, max=1, help="Least score of what is graded.")] = None,
    controls: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=0.9, help="Of the queue, drawn at random below the cut.")
    ] = None,
    stamps: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=0.9, help="Of the queue, calibration stamps.")
    ] = None,
    feedback: Annotated[
        bool | None, typer.Option("--feedback/--no-feedback", help="Tell graders what a stamp was, once it is graded.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed draws the same controls.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Choose what a blind queue is made of, and tell from its random controls how many lenses lie below the cut."""
    from engine.catalogue.blind_queue import blind_queue, cut_report, draw_controls, mixing, set_mixing
    from engine.catalogue.store import Project

    wanted: dict[str, Any] = {"cut": cut, "controls": controls, "stamps": stamps, "feedback": feedback, "seed": seed}
    changed = {name: value for name, value in wanted.items() if value is not None}
    with Project.open(project, read_only=not changed) as opened:
        chosen = replace(mixing(opened), **changed)
        if changed:
            set_mixing(opened, chosen)
            draw_controls(opened, chosen, grader=getuser())
        queue = blind_queue(opened, chosen)
        report = None if chosen.cut is None else cut_report(opened, chosen.cut)
    if as_json:
        typer.echo(json.dumps(None if report is None else _plain(asdict(report))))
        return
    short = "" if queue.stamps >= queue.stamps_wanted else f" of {queue.stamps_wanted} wanted: make more with calibrate"
    typer.echo(
        f"{len(queue.ids):,} in the blind queue: {queue.above:,} candidates, {queue.controls:,} random controls, "
        f"{queue.stamps:,} calibration stamps{short}"
    )
    for line in () if report is None else cut_text(report):
        typer.echo(line)


def cut_text(report: CutReport) -> list[str]:
    """What random controls tell of a cut, in sentences."""
    lines = [
        f"{report.graded:,} of {report.above:,} candidates above the cut of {report.cut:g} are graded: "
        f"{report.found:,} lenses",
        f"{report.share.count:,} of {report.controls:,} random controls below it are graded: "
        f"{report.share.hits:,} lenses",
    ]
    if not report.share.count:
        return lines
    lost, low, high = (f"{value:,.0f}" for value in report.lost)
    share, least, most = (f"{100 * value:.0f}" for value in report.completeness)
    lines.append(f"so about {lost} lenses ({low}-{high}) are among the {report.below:,} candidates below it")
    if report.completeness[0] == report.completeness[0]:
        unfinished = "" if report.graded == report.above else ", and more once all above it are graded"
        lines.append(f"completeness of the cut: {share} % ({least}-{most} %){unfinished}")
    return lines


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
