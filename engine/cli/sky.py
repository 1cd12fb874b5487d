"""Commands on the sky: scan, score, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.opening import open_images, open_or_create
from engine.cli.program import (
    BAD_INPUT,
    Dataset,
    Detector,
    Hdu,
    HeatmapModel,
    MinScore,
    Model,
    PixelScale,
    Quiet,
    app,
    check_out,
    complain,
    follow,
    remark,
)
from engine.errors import DataError, ImageError

if TYPE_CHECKING:
    from engine.types import Step


@app.command()
def scan(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="One image, or one a band.")],
    out: Annotated[
        Path | None, typer.Option(metavar="CATALOGUE", help="Catalogue: .csv .ecsv .fits .vot .parquet .reg")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(metavar="PROJECT", help="Project that keeps the candidates; made if it is not there.")
    ] = None,
    bands: Annotated[str | None, typer.Option(metavar="g,r,i", help="Bands, in the order of the files.")] = None,
    hdu: Hdu = None,
    dataset: Dataset = None,
    model: Model = "finder",
    pixel_scale: PixelScale = None,
    min_score: MinScore = 0.0,
    detector: Detector = "sources",
    heatmap_model: HeatmapModel = "heatmap",
    quiet: Quiet = False,
) -> None:
    """Scan a mosaic for lenses and write the candidates, best first, to a catalogue, a project or both."""
    from engine.catalogue import Project
    from engine.detect.scan import scan as scan_job
    from engine.export import catalogue_writer, write_catalogue
    from engine.models.card import load_card
    from engine.models.library import model_folder
    from engine.types import ScanRequest

    if out is None and project is None:
        raise DataError("nothing would be kept: name a catalogue with --out, a project with --project, or both")
    if out is not None:
        catalogue_writer(out)
        check_out(out, files)
    mosaic = open_images(files, bands=bands, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale, quiet=quiet)
    request = ScanRequest(mosaic, model=model, min_score=min_score, detector=detector, heatmap_model=heatmap_model)
    key = load_card(model_folder(model)).key
    remark(mosaic.notes, quiet)
    with Project.temporary() if project is None else open_or_create(project) as kept:
        run = kept.start_run(mosaic, key, {"threshold": request.threshold, "min_score": min_score})
        given = {"bands": mosaic.bands if bands else None, "hdu": hdu, "dataset": dataset, "pixel_scale": pixel_scale}
        options = {name: value for name, value in given.items() if value is not None}
        kept.add_to_setting("open_options", {mosaic.id: options})
        state = "failed"
        try:
            follow(scan_job(request), f"Scanning {mosaic.name}", quiet, lambda step: kept.add(run, step.items))
            state = "done"
        except KeyboardInterrupt:
            state = "cancelled"
            raise
        finally:
            kept.finish_run(run, state)
        if out is not None:
            found = kept.ids(
                order="score", descending=True, mosaic=mosaic.id, models={key}, min_score=min_score or None
            )
            write_catalogue(kept.rows(found), out)


@app.command()
def score(
    stamps: Annotated[list[Path], typer.Argument(metavar="STAMP", help="Stamps, cubes of stamps, or folders.")],
    out: Annotated[
        Path, typer.Option(metavar="SCORES.csv", help="Table: file, plane, score, raw_score, or what the model gives.")
    ],
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

    check_out(out, stamps)
    rows: list[Any] = []
    bad: list[str] = []

    def take(step: Step) -> None:
        for item in step.items:
            if isinstance(item, ImageError):
                bad.append(str(item))
                complain(str(item))
            else:
                rows.append(item)

    job = score_stamps(stamps, model=model, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)
    follow(job, "Scoring", quiet, take)
    if rows:
        write_scores(rows, out)
    silent = {row.file for row in rows if row.pixel_scale is None}
    if silent:
        files = len({row.file for row in rows})
        note = f"No pixel scale in {len(silent)} of {files} files: the model's was assumed; give it with --pixel-scale"
        remark([note], quiet)
    if bad:
        raise typer.Exit(BAD_INPUT)


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
    written = follow(field.run_headless(headless, model=model), "Demo", quiet)
    for path in written:
        typer.echo(path)
