"""The command that simulates what a dense detector is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.program import Quiet, app, follow


@app.command()
def patches(
    out: Annotated[Path, typer.Option(metavar="SET.h5", help="Set of patches to write.")],
    count: Annotated[int, typer.Option(min=1, help="How many patches.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same set.")] = 1,
    size: Annotated[int, typer.Option(min=64, help="Patch side in pixels.")] = 256,
    pixel_scale: Annotated[float, typer.Option(metavar="ARCSEC", help="Arcsec per pixel.")] = 0.2,
    processes: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
    quiet: Quiet = False,
) -> None:
    """Simulate patches of survey fields with lenses at known positions, to train a dense detector on."""
    from engine.simulate.patch_set import simulate_patches

    job = simulate_patches(out, count=count, seed=seed, size=size, pixel_scale=pixel_scale, processes=processes)
    follow(job, "Simulating patches", quiet)
