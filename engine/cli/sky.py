"""Commands on the sky: scan, score, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.opening import open_images
from engine.cli.program import (
    BAD_INPUT,
    Dataset,
    Hdu,
    Model,
    PixelScale,
    Quiet,
    app,
    check_out,
    complain,
    follow,
    remark,
)
from engine.errors import ImageError

if TYPE_CHECKING:
    from engine.types import Step


@app.command()
def scan(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="One image, or one a band.")],
    out: Annotated[Path, typer.Option(metavar="CATALOGUE", help="Catalogue: .csv .ecsv .fits .vot .parquet .reg")],
    bands: Annotated[str | None, typer.Option(metavar="g,r,i", help="Bands, in the order of the files.")] = None,
    hdu: Hdu = None,
    dataset: Dataset = None,
    model: Model = "finder",
    pixel_scale: PixelScale = None,
    min_score: Annotated[float, typer.Option(metavar="P", min=0, max=1, help="Keep only scores from here.")] = 0.0,
    detector: Annotated[str, typer.Option(help="Where to look: sources, heatmap or both.")] = "sources",
    heatmap_model: Annotated[str, typer.Option(metavar="NAME", help="The dense network of the heatmap.")] = "heatmap",
    quiet: Quiet = False,
) -> None:
    """Scan a mosaic for lenses and write the candidates, best first."""
    from engine.catalogue.store import Project
    from engine.detect.scan import scan as scan_job
    from engine.export import catalogue_writer, write_catalogue
    from engine.models.card import load_card
    from engine.models.library import model_folder
    from engine.types import ScanRequest

    catalogue_writer(out)
    check_out(out, files)
    mosaic = open_images(files, bands=bands, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale, quiet=quiet)
    request = ScanRequest(mosaic, model=model, min_score=min_score, detector=detector, heatmap_model=heatmap_model)
    remark(mosaic.notes, quiet)
    project = Project.temporary()
    try:
        run = project.start_run(mosaic, load_card(model_folder(model)).key, {"min_score": min_score})
        follow(scan_job(request), f"Scanning {mosaic.name}", quiet, lambda step: project.add(run, step.items))
        write_catalogue(project.rows(project.ids(order="score", descending=True)), out)
    finally:
        project.close()


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
