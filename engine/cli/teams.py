"""Commands for teams and their lists: merge, consensus, crossmatch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.program import Quiet, app, check_out, complain, follow, remark
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.types import Step

ProjectFile = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project: a file, or a postgresql:// address.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def merge(
    project: ProjectFile,
    others: Annotated[list[Path], typer.Argument(metavar="OTHER", help="Projects of the other graders.")],
    out: Annotated[
        Path | None, typer.Option(metavar="MERGED", help="A new project to merge into; PROJECT stays as it is.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Join the grades of a team: everyone's stand side by side, and nothing is lost. Merging again changes nothing."""
    from engine.catalogue.merge import merge as merge_job
    from engine.catalogue.store import Project

    if out is not None:
        out = out if out.suffix else out.with_suffix(".deeplense")
        check_out(out, [project, *others])
        if out.exists():
            raise DataError(f"{out} exists already: choose another name, or merge into it without --out")
        with Project.open(project, read_only=True) as source:
            source.save_as(out)
    last: list[Step] = []
    with Project.open(out or project) as opened:
        follow(merge_job(opened, others), "Merging", quiet, lambda step: last.__setitem__(slice(None), [step]))
    report = last[0].items[0]
    for warning in report.warnings:
        complain(warning)
    graders = f", graded by {', '.join(report.graders)}" if report.graders else ""
    typer.echo(f"{report.events:,} new entries{graders}; {report.candidates:,} new candidates")


@app.command()
def share(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A .deeplense project file.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="postgresql://user@host/database?project=name")],
) -> None:
    """Copy a project to a PostgreSQL server, whole, for a team to grade in together; the file stays as it is."""
    from engine.catalogue import server
    from engine.catalogue.store import Project

    if not server.is_address(address):
        raise DataError(f"{address} is no address of a server: give one like postgresql://user@host/database")
    with Project.open(project, read_only=True) as source:
        source.save_as(address)
    with Project.open(address, read_only=True) as shared:
        typer.echo(f"{len(shared.ids())} candidates are shared at {shared.place}")


@app.command()
def consensus(
    project: ProjectFile,
    out: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="Table of all graded candidates: .csv .ecsv .fits .vot")
    ] = None,
    show: Annotated[int, typer.Option("-n", min=0, help="How many to print, most probable lenses first.")] = 20,
    as_json: Json = False,
) -> None:
    """What the graders say together: mean, scatter, probability of a lens (Dawid & Skene), and how far they agree."""
    from engine.catalogue.consensus import agreement
    from engine.catalogue.consensus import consensus as together
    from engine.catalogue.store import Project
    from engine.export.consensus import consensus_table, write_consensus

    if out is not None:
        check_out(out, [project])
    with Project.open(project, read_only=True) as opened:
        found, agreed = together(opened), agreement(opened)
        table = consensus_table(opened, found)
    if out is not None:
        write_consensus(table, out)
    if as_json:
        rows = [dict(zip(table.colnames, map(_plain, row), strict=True)) for row in table]
        pairs = [
            {"graders": [one.first, one.second], "kappa": _plain(one.kappa), "common": one.common}
            for one in agreed.pairs
        ]
        fleiss = _plain(agreed.fleiss)
        typer.echo(json.dumps({"fleiss": fleiss, "common": agreed.common, "pairs": pairs, "candidates": rows}))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    shown = Table("candidate", "grades", "graders", "mean", "scatter", "P(lens)")
    for row in table[:show]:
        scatter = "" if row["scatter"] != row["scatter"] else f"{row['scatter']:.2f}"
        cells = (str(row["graders"]), f"{row['mean']:.2f}", scatter, f"{row['p_lens']:.3f}")
        shown.add_row(row["name"], row["grades"], *cells)
    if show:
        console.print(shown)
    apart = int((table["span"] >= 2).sum())
    console.print(f"{len(table)} candidates with a grade; on {apart} the graders differ by two or more")
    if agreed.common:
        console.print(f"Fleiss' kappa {agreed.fleiss:.2f} on {agreed.common} candidates with two grades or more")
    for one in agreed.pairs:
        console.print(f"Cohen's kappa of {one.first} and {one.second}: {one.kappa:.2f} on {one.common}")


def _plain(value: Any) -> Any:
    """A number or text as JSON takes it; None for what is not a number."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and value != value else value


@app.command()
def crossmatch(
    project: ProjectFile,
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE", help="CSV, TSV, ECSV, FITS or VOTable.")],
    radius: Annotated[float, typer.Option(metavar="ARCSEC", help="How far apart one object may be.")] = 3.0,
    ra: Annotated[str | None, typer.Option(metavar="COLUMN", help="Right ascension, where the guess is wrong.")] = None,
    dec: Annotated[str | None, typer.Option(metavar="COLUMN", help="Declination.")] = None,
    name: Annotated[str | None, typer.Option(metavar="COLUMN", help="Name of the object.")] = None,
    reference: Annotated[str | None, typer.Option(metavar="COLUMN", help="Who published it.")] = None,
    grading: Annotated[str | None, typer.Option(metavar="COLUMN", help="How it was graded there.")] = None,
    quiet: Quiet = False,
) -> None:
    """Mark the candidates that are in a catalogue of known objects, with reference and grading; needs no network."""
    from engine.catalogue.duplicates import duplicates
    from engine.catalogue.known import crossmatch as crossmatch_job
    from engine.catalogue.known import matches, missed
    from engine.catalogue.known_files import read_known
    from engine.catalogue.store import Project

    objects = read_known(catalogue, ra=ra, dec=dec, name=name, reference=reference, grading=grading)
    remark(objects.notes, quiet)
    last: list[Step] = []
    with Project.open(project) as opened:
        job = crossmatch_job(opened, objects, radius)
        follow(job, "Matching", quiet, lambda step: last.__setitem__(slice(None), [step]))
        found = matches(opened, opened.ids(known=True))
        lost = [one for one in missed(opened) if one.catalogue == catalogue.name]
        twice = duplicates(opened, radius)
        names = {row.id: row.name for row in opened.rows(list(found))}
    report = last[0].items[0]
    taken = ", ".join(f"{what} from {column!r}" for what, column in objects.columns.items())
    typer.echo(f"{report.objects:,} objects ({taken}); {report.on_mosaics:,} of them on these mosaics")
    for number, known in found.items():
        for one in (one for one in known if one.catalogue == catalogue.name):
            typer.echo(f'{names[number]} is {one.name}, {one.separation:.1f}" away: {_said(one)}')
    for one in lost:
        typer.echo(f"no candidate at {one.name} ({one.ra:.5f} {one.dec:+.5f}): {_said(one)}")
    if twice:
        groups = "; ".join(", ".join(map(str, group)) for group in twice[:5])
        typer.echo(f"{len(twice)} groups of candidates lie within the radius of each other, by id: {groups}")


def _said(known: Any) -> str:
    return ", ".join(text for text in (known.grading, known.reference) if text)
