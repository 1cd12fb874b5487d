"""The command on the tiles of a survey: scan-tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.opening import open_or_create
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
    complain,
    follow,
)
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.types import Step


@app.command()
def scan_tiles(
    tiles: Annotated[list[Path], typer.Argument(metavar="TILE", help="Images, or folders of images.")],
    project: Annotated[
        Path, typer.Option(metavar="PROJECT", help="Project that keeps the candidates; made if it is not there.")
    ],
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes of this machine that scan a tile each.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers scan, such as tcp://host:8786.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Scan tiles too that the project has already.")] = False,
    bands: Annotated[
        str | None, typer.Option(metavar="g,r,i", help="Bands: files that differ in these words alone are one tile.")
    ] = None,
    hdu: Hdu = None,
    dataset: Dataset = None,
    model: Model = "finder",
    pixel_scale: PixelScale = None,
    min_score: MinScore = 0.0,
    detector: Detector = "sources",
    heatmap_model: HeatmapModel = "heatmap",
    quiet: Quiet = False,
) -> None:
    """Scan the tiles of a survey for lenses, each a mosaic of its own, on many processes or a cluster if asked to.

    Files that differ in the name of a band (--bands) alone are one tile. A tile that cannot be scanned is named at the
    end; the exit status is then 2. The same command again scans what is left.
    """
    from engine.detect.survey import keep, left_to_scan, scan_one_by_one, survey_scan
    from engine.images.tile_files import find_tiles

    if workers and cluster:
        raise DataError("the workers are those of the cluster: give --workers or --cluster, not both")
    names = tuple(name.strip() for name in bands.split(",") if name.strip()) if bands else ()
    found = find_tiles(tiles, names)
    survey = survey_scan(
        model=model,
        detector=detector,
        heatmap_model=heatmap_model,
        min_score=min_score,
        bands=names,
        hdu=hdu,
        dataset=dataset,
        pixel_scale=pixel_scale,
    )
    with open_or_create(project) as kept:
        left = found if again else left_to_scan(kept, found, survey)
        problems: list[str] = []
        candidates = 0

        def take(step: Step) -> None:
            nonlocal candidates
            for tile in step.items:
                if tile.problem:
                    problems.append(tile.problem)
                else:
                    keep(kept, survey, tile)
                    candidates += len(tile.detections)

        if workers or cluster:
            from engine.cluster import scan_tiles as scan_many

            job = scan_many(left, survey, address=cluster, workers=workers or 1)
        else:
            job = scan_one_by_one(left, survey)
        try:
            if left:
                follow(job, f"Scanning {len(left)} tiles", quiet, take)
        finally:
            for problem in problems:
                complain(problem)
    if not quiet:
        scanned = len(left) - len(problems)
        before = f"; {len(found) - len(left)} were in the project already" if len(left) < len(found) else ""
        typer.echo(f"{scanned} tiles scanned, {candidates} candidates{before}")
    if problems:
        raise typer.Exit(BAD_INPUT)
