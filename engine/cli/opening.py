"""How the commands on the sky open their images and projects: packed images are unpacked once, with progress."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.program import follow

if TYPE_CHECKING:
    from engine.catalogue import Project
    from engine.types import Mosaic, Step


def open_images(
    files: Sequence[Path],
    *,
    bands: str | None = None,
    hdu: int | None = None,
    dataset: str | None = None,
    pixel_scale: float | None = None,
    quiet: bool = False,
) -> Mosaic:
    """Open files as one mosaic; ``bands`` are names with commas between.

    An interrupt while a file is unpacked leaves no part of it behind.

    Raises
    ------
    ImageError : see `engine.images.mosaic.open_mosaic`
    """
    from engine.images.mosaic import open_mosaic

    names = [name.strip() for name in bands.split(",") if name.strip()] if bands else None
    unpack(files, quiet=quiet)
    return open_mosaic(files, bands=names, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)


def unpack(files: Sequence[Path], *, quiet: bool = False) -> None:
    """Unpack those of some images that are packed and not unpacked yet, with progress."""
    from engine.images.unpack import unpacking

    for file in files:
        job = unpacking(file)
        first = next(job, None)
        if first is not None:
            follow(_from(first, job), "Opening", quiet)


def _from(first: Step, job: Iterator[Step]) -> Generator[Step, None, None]:
    """A job that was begun, from its first step on; closing it closes the job."""
    yield first
    yield from job


def open_or_create(place: Path) -> Project:
    """The project of a name or address, opened, or made anew where there is none."""
    from engine.catalogue import Project, server
    from engine.catalogue.database import SUFFIX

    if server.is_address(place):
        return Project.open(place)
    path = place if place.suffix else place.with_suffix(SUFFIX)
    return Project.open(path) if path.exists() else Project.create(path)
