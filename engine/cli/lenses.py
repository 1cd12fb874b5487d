"""The command on lens models: fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exporting import Grades, MinScore, ProjectFile, chosen, project_mosaics
from engine.cli.program import Quiet, app, check_out, complain, follow
from engine.errors import DataError, EngineError

if TYPE_CHECKING:
    from engine.interpret.lens_model.view import FitRequest
    from engine.types import Candidate, LensFit, Mosaic, Substructure


@app.command()
def fit(
    project: ProjectFile,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Table to write: .csv, .ecsv, .fits or .vot.")],
    grades: Grades = None,
    min_score: MinScore = None,
    band: Annotated[str | None, typer.Option(metavar="NAME", help="Band to fit; the first by default.")] = None,
    field: Annotated[
        float | None, typer.Option(metavar="ARCSEC", min=0.1, help="Side that is fitted; 12, or six measured radii.")
    ] = None,
    seeing: Annotated[
        float | None, typer.Option(metavar="ARCSEC", min=0.01, help="FWHM of the PSF; measured from stars by default.")
    ] = None,
    substructure: Annotated[
        bool, typer.Option("--substructure", help="Tell the dark substructure of each among copies of its lens.")
    ] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    quiet: Quiet = False,
) -> None:
    """Fit a lens model to each candidate of a project: SIE and shear, a Sersic deflector and a Sersic source."""
    from engine.catalogue.store import Project
    from engine.export.lenses import lens_format, lens_table, write_lenses
    from engine.interpret.lens_model.stamps import fit_lenses

    lens_format(out)
    check_out(out, [project])
    with Project.open(project, read_only=True) as opened:
        rows = chosen(opened, grades, min_score)
        mosaics = {mosaic.id: mosaic for mosaic in project_mosaics(opened, quiet=quiet)}
    known = {name for mosaic in mosaics.values() for name in mosaic.bands}
    if band is not None and band not in known:
        raise DataError(f"{project}: no mosaic has a band {band!r}: choose one of {', '.join(sorted(known))}")
    if not rows:
        raise DataError(f"{opened.name}: no candidate has these grades and scores: choose others")
    fits: list[LensFit | EngineError | None] = [None] * len(rows)
    requests: dict[int, FitRequest] = {}
    for number, row in enumerate(rows):
        if row.mosaic in mosaics:
            try:
                requests[number] = _request(mosaics[row.mosaic], row, band, field, seeing)
            except EngineError as error:
                fits[number] = error
    numbers = list(requests)

    def take(items: tuple[tuple[int, LensFit | EngineError], ...]) -> None:
        for index, found in items:
            fits[numbers[index]] = found

    processes = processes or min(os.cpu_count() or 1, max(1, len(requests)))
    job = fit_lenses(list(requests.values()), processes)
    follow(job, "Fitting lenses", quiet, lambda step: take(step.items))
    told = _told(requests, fits, processes, quiet=quiet) if substructure else None
    write_lenses(lens_table(rows, fits, told), out)
    failed = sum(isinstance(one, EngineError) or one is None for one in fits)
    if failed:
        complain(f"{failed} of {len(rows)} candidates could not be fitted: the column notes says why")
    typer.echo(f"{len(rows) - failed} lens models in {out}")


def _told(
    requests: dict[int, FitRequest], fits: list[LensFit | EngineError | None], processes: int, *, quiet: bool
) -> list[Substructure | None]:
    """The substructure of each lens that was fitted."""
    from engine.interpret.substructure import substructure_models, tell_all
    from engine.models.predict import load_classifier
    from engine.types import LensFit

    found: list[Substructure | None] = [None] * len(fits)
    fitted = {number: fit for number, fit in enumerate(fits) if isinstance(fit, LensFit)}
    classifiers = [load_classifier(name).quicken() for name in substructure_models()]
    numbers = list(fitted)

    def take(items: tuple[tuple[int, Substructure | None], ...]) -> None:
        for index, one in items:
            found[numbers[index]] = one

    job = tell_all([requests[number] for number in numbers], list(fitted.values()), classifiers, processes)
    follow(job, "Telling substructure", quiet, lambda step: take(step.items))
    return found


def _request(mosaic: Mosaic, row: Candidate, band: str | None, field: float | None, seeing: float | None) -> FitRequest:
    from engine.interpret.lens_model.stamps import fit_request

    if band is not None and band not in mosaic.bands:
        raise DataError(f"{mosaic.name} has no band {band!r}: choose one of {', '.join(mosaic.bands)}")
    index = 0 if band is None else mosaic.bands.index(band)
    radius = row.einstein_radius
    return fit_request(mosaic, row.x, row.y, band=index, side=field, seeing=seeing, einstein_radius=radius)
