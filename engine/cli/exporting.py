"""Commands that take a project's candidates out, and earlier grades in: export, stamps, import-grades."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.opening import unpack
from engine.cli.program import Model, Quiet, app, check_out, complain, follow
from engine.errors import DataError, ImageError

if TYPE_CHECKING:
    from engine.catalogue import Project
    from engine.types import Candidate, Mosaic, Step

ProjectFile = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project: a file, or a postgresql:// address.")]
Grades = Annotated[str | None, typer.Option(metavar="A,B", help="Only these grades.")]
Once = Annotated[bool, typer.Option("--once", help="Each object once: without what is marked as a duplicate.")]
MinScore = Annotated[float | None, typer.Option(metavar="P", min=0, max=1, help="Only scores from here.")]


@app.command()
def export(
    project: ProjectFile,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A catalogue, a report (.html .pdf), or a training set of the grades (.h5)."),
    ],
    grades: Grades = None,
    min_score: MinScore = None,
    once: Once = False,
    journal: Annotated[bool, typer.Option("--journal", help="Every statement ever made, as .csv.")] = False,
    one_a_page: Annotated[bool, typer.Option("--one-a-page", help="PDF: a page a candidate, not six.")] = False,
    model: Model = "finder",
    quiet: Quiet = False,
) -> None:
    """Write a project's candidates as a catalogue or a report, its journal, or its grades as a training set."""
    from engine.catalogue.store import Project
    from engine.export import catalogue_writer, write_catalogue

    kind = out.suffix.lower()
    training, report = kind in {".h5", ".hdf5"}, kind in {".html", ".pdf"}
    if (training or journal) and (grades or min_score is not None or once):
        raise DataError("A training set or journal takes every grade: leave out --grades, --min-score and --once")
    if journal and kind != ".csv":
        raise DataError(f"{out}: the journal is written as CSV: choose a name that ends in .csv")
    if not training and not report:
        catalogue_writer(out)
    check_out(out, [project])
    with Project.open(project, read_only=True) as opened:
        if journal:
            from engine.export.journal import journal_job

            follow(journal_job(opened, out), "Writing the journal", quiet)
        elif training:
            _export_training_set(opened, out, model, quiet)
        elif report:
            from engine.export.report import report_job
            from engine.export.views import remarks

            rows = chosen(opened, grades, min_score, once=once)
            job = report_job(
                rows, project_mosaics(opened, quiet=quiet), out, remarks=remarks(opened, rows), one_a_page=one_a_page
            )
            follow(job, "Writing the report", quiet)
        else:
            from engine.catalogue.known import matches

            rows = chosen(opened, grades, min_score, once=once)
            write_catalogue(rows, out, matches(opened, [row.id for row in rows]))


@app.command()
def stamps(
    project: ProjectFile,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the stamps.")],
    formats: Annotated[
        str, typer.Option("--format", metavar="fits,png", help="FITS with WCS, PNG, or both.")
    ] = "fits,png",
    width: Annotated[float, typer.Option(metavar="ARCSEC", help="Across a stamp.")] = 20.0,
    grades: Grades = None,
    min_score: MinScore = None,
    once: Once = False,
    quiet: Quiet = False,
) -> None:
    """Write a stamp of each candidate: FITS at the mosaic's own pixels, with its WCS, and PNG to look at."""
    from engine.catalogue.store import Project
    from engine.export.stamps import stamps_job

    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: give a folder")
    names = [name.strip().lower() for name in formats.split(",") if name.strip()]
    last: list[Step] = []
    with Project.open(project, read_only=True) as opened:
        rows = chosen(opened, grades, min_score, once=once)
        job = stamps_job(rows, project_mosaics(opened, quiet=quiet), out, formats=names, width=width)
        follow(job, "Writing stamps", quiet, lambda step: last.__setitem__(slice(None), [step]))
    typer.echo(last[0].note)


@app.command()
def import_grades(
    project: ProjectFile,
    classifications: Annotated[
        Path, typer.Argument(metavar="GRADES.csv", help="With file_name (or ra, dec), classification, comment.")
    ],
    grader: Annotated[str, typer.Option(metavar="NAME", help="Whose grades they are.")],
    quiet: Quiet = False,
) -> None:
    """Take up grades that were given with another tool, such as Qt-stamp-visualizer, as one operation for undo."""
    from engine.catalogue.imports import import_grades as import_job
    from engine.catalogue.store import Project

    last: list[Step] = []
    with Project.open(project) as opened:
        job = import_job(opened, classifications, grader=grader)
        follow(job, "Reading grades", quiet, lambda step: last.__setitem__(slice(None), [step]))
    report = last[0].items[0]
    for text, what in ((report.unmatched, "lines match no candidate"), (report.unknown, "grades are not understood")):
        if text:
            complain(f"{len(text)} {what}: {', '.join(text[:5])}{' and more' if len(text) > 5 else ''}")
    typer.echo(f"{report.grades} grades and {report.notes} notes of {grader}")


def chosen(opened: Project, grades: str | None, min_score: float | None, *, once: bool = False) -> list[Candidate]:
    """The candidates of a project with one of some grades, named with commas between, and a score from a limit on.

    Raises
    ------
    DataError : the project has no such grade
    """
    wanted = {grade.strip() for grade in grades.split(",") if grade.strip()} if grades else None
    known = dict.fromkeys([level.name for level in opened.scheme().grades] + [one for one in opened.counts() if one])
    unknown = sorted((wanted or set()) - set(known))
    if unknown:
        raise DataError(f"{opened.name} has no grade {', '.join(unknown)}: choose among {', '.join(known)}")
    return opened.rows(opened.ids(grades=wanted, min_score=min_score, once=once))


def project_mosaics(project: Project, *, quiet: bool = False) -> list[Mosaic]:
    """The mosaics of a project, opened as the window opened them; one that is gone is said and left out.

    A packed one is unpacked first, with progress unless ``quiet``.
    """
    from engine.images.mosaic import open_mosaic
    from engine.images.sheet import open_sheet

    options = project.setting("open_options") or {}
    found: list[Mosaic] = []
    for known in project.mosaics():
        given = options.get(known.id, {})
        try:
            if "layout" in given:
                mosaic = deque(open_sheet(known.paths, **given), maxlen=1)[0].items[0].mosaic
            else:
                unpack(known.paths, quiet=quiet)
                mosaic = open_mosaic(known.paths, **given)
        except ImageError as error:
            complain(str(error))
            continue
        found.append(replace(mosaic, id=known.id))
    return found


def _export_training_set(project: Project, out: Path, model: str, quiet: bool) -> None:
    from engine.export.training_set import training_set_job
    from engine.models.card import load_card
    from engine.models.library import model_folder

    card = load_card(model_folder(model))
    job = training_set_job(project, project_mosaics(project, quiet=quiet), out, card.size, card.pixel_scales)
    follow(job, "Cutting stamps", quiet)
