"""Commands that paint arcs on a mosaic's own galaxies: inject, completeness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.opening import open_images
from engine.cli.program import Dataset, Hdu, Model, PixelScale, Quiet, app, check_out, follow, remark
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.types import Step

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="One image, or one a band.")]
Bands = Annotated[str | None, typer.Option(metavar="g,r,i", help="Bands, in the order of the files.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same arcs.")]
Gain = Annotated[float | None, typer.Option(metavar="E", help="Electrons a unit, for the arcs' photon noise.")]
Seeing = Annotated[float | None, typer.Option(metavar="ARCSEC", help="FWHM, where stars are too few to tell.")]


@app.command()
def inject(
    files: Files,
    out: Annotated[Path, typer.Option(metavar="SET.h5", help="Training set to write.")],
    count: Annotated[int, typer.Option(min=3, help="Stamps: a third with arcs, their twins, other sources.")] = 600,
    seed: Seed = 1,
    bands: Bands = None,
    hdu: Hdu = None,
    dataset: Dataset = None,
    pixel_scale: PixelScale = None,
    einstein_radius: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Arcsec; from the galaxies' light by default."),
    ] = None,
    gain: Gain = None,
    seeing: Seeing = None,
    quiet: Quiet = False,
) -> None:
    """Paint arcs on the galaxies of a mosaic: a training set with each galaxy's twin without the arc."""
    from engine.detect.injection import InjectRequest
    from engine.detect.injection import inject as inject_job

    check_out(out, files)
    if einstein_radius is not None and not 0 < einstein_radius[0] < einstein_radius[1]:
        raise DataError("--einstein-radius wants a lower and a higher number of arcsec, such as 1 3")
    mosaic = open_images(files, bands=bands, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale, quiet=quiet)
    request = InjectRequest(mosaic, count=count, seed=seed, einstein_radius=einstein_radius, gain=gain, seeing=seeing)
    last: list[Step] = []
    follow(inject_job(request, out), "Painting arcs", quiet, lambda step: last.__setitem__(slice(None), [step]))
    remark([*last[0].items, last[0].note], quiet)


@app.command()
def completeness(
    files: Files,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the table and the figure.")],
    model: Model = "finder",
    count: Annotated[int, typer.Option(min=10, help="How many arcs to paint.")] = 1000,
    false_positives: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Of the mosaic's own sources, to accept.")
    ] = 0.01,
    seed: Seed = 1,
    bands: Bands = None,
    hdu: Hdu = None,
    dataset: Dataset = None,
    pixel_scale: PixelScale = None,
    gain: Gain = None,
    seeing: Seeing = None,
    quiet: Quiet = False,
) -> None:
    """Measure how many arcs painted on a mosaic's own galaxies a model finds, by their size and brightness."""
    from engine.detect.completeness import draw_completeness, measure_completeness
    from engine.detect.injection import InjectRequest
    from engine.models.predict import load_classifier

    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: give a folder for the table and the figure")
    mosaic = open_images(files, bands=bands, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale, quiet=quiet)
    classifier = load_classifier(model).quicken()
    card = classifier.card
    request = InjectRequest(
        mosaic, count=count, seed=seed, size=card.size, pixel_scales=card.pixel_scales, gain=gain, seeing=seeing
    )
    measured = follow(measure_completeness(request, classifier), "Measuring completeness", quiet)
    out.mkdir(parents=True, exist_ok=True)
    table = measured.table(false_positives)
    table.write(out / "completeness.ecsv", format="ascii.ecsv", overwrite=True)
    draw_completeness(measured, out / "completeness.png", false_positives)
    remark(measured.notes, quiet)
    total = table[-1]
    typer.echo(
        f"{total['found']} of {total['painted']} arcs found ({total['completeness']:.2f}, 68 % interval "
        f"{total['completeness_low']:.2f} to {total['completeness_high']:.2f}) at a score of "
        f"{table.meta['threshold']:.3g}, which {100 * false_positives:g} % of {table.meta['unpainted']} sources exceed"
    )
