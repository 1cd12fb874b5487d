"""What is read of files of the sky: mosaics, sheets of stamps, and what is drawn over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.types import Mosaic, ScanRequest, Step

THUMBNAIL = 96  # pixels of the longer side of a picture in a chooser


def open_mosaic(files: Sequence[Path], known_as: str | None, options: Mapping[str, Any]) -> Iterator[Step]:
    """Open files as one mosaic; the item is the Mosaic, under the id the project knows it by."""
    yield Step(0, 1, note=files[0].name)
    from engine.images.mosaic import open_mosaic
    from engine.images.unpack import unpacking

    for file in files:
        yield from unpacking(file)
    mosaic = open_mosaic(files, **options)
    yield Step(1, 1, (replace(mosaic, id=known_as) if known_as else mosaic,))


def list_images(path: Path) -> Iterator[Step]:
    """List the images of a file; the item is the list."""
    yield Step(0, 1, note=path.name)
    from engine.images.mosaic import list_images

    yield Step(1, 1, (list_images(path),))


def thumbnails(path: Path, keys: Sequence[int | str]) -> Iterator[Step]:
    """Read small pictures of the images of a file; each item is a key and brightness (y, x) uint8, its top row first.

    An image that cannot be read has none: the chooser's list says why.
    """
    from engine.images import scaling
    from engine.images.mosaic import open_mosaic

    for number, key in enumerate(keys):
        yield Step(number, len(keys), note=path.name)
        try:
            mosaic = open_mosaic(path, **({"hdu": key} if isinstance(key, int) else {"dataset": str(key)}))
            ny, nx = mosaic.shape
            values = mosaic.read(0, ny, 0, nx, step=max(1, max(ny, nx) // THUMBNAIL), bands=(0,))[0]
        except EngineError:
            continue
        bright = scaling.stretch(values, "asinh", scaling.limits(values, 99))
        yield Step(number + 1, len(keys), ((key, scaling.as_bytes(bright[::-1])),))


def open_sheet(files: Sequence[Path], pixel_scale: float | None, layout: Mapping[str, Any] | None) -> Iterator[Step]:
    """Lay stamps out on a sheet; the item of the last step is the Sheet."""
    yield Step(0, 0, note=files[0].name)
    from engine.images.sheet import open_sheet

    yield from open_sheet(files, pixel_scale=pixel_scale, layout=layout)


def renamed(sheet: Any, identity: str) -> Any:
    """A sheet under the id that the project knows it by."""
    return replace(sheet, mosaic=replace(sheet.mosaic, id=identity))


def painted(mosaic: Mosaic, item: Any) -> Mosaic:
    """A mosaic with the arc of a calibration stamp in its pixels."""
    from engine.detect.calibration import painted

    return painted(mosaic, item)


def demo() -> Iterator[Step]:
    """Make the demo field or take it from the cache; returns its paths."""
    yield Step(0, 0, note="Looking for it")
    from engine.demo import demo_mosaic

    return (yield from demo_mosaic())


def pixel_position(mosaic: Mosaic, text: str) -> tuple[float, float]:
    """The pixel of a position as a person typed it; NaN where it is not on the projection of the mosaic.

    Raises
    ------
    DataError : it is no position
    """
    from engine.images.positions import parse_position

    place = parse_position(text, has_sky=mosaic.wcs is not None)
    if place.in_pixels:
        return place.first, place.second
    x, y = mosaic.pixel(np.array([[place.first, place.second]]))[0]
    return float(x), float(y)


def regions(path: Path, mosaic: Mosaic) -> Iterator[Step]:
    """Read a DS9 region file; the item is a RegionFile."""
    yield Step(0, 1, note=path.name)
    from engine.images.shapes import read_regions

    yield Step(1, 1, (read_regions(path, mosaic),))


def known_objects(path: Path, mosaic: Mosaic) -> Iterator[Step]:
    """Read a catalogue of known objects; the item is their pixels (n, 2) on a mosaic and their names."""
    yield Step(0, 1, note=path.name)
    from engine.catalogue.known_files import read_known

    objects = read_known(path)
    xy = mosaic.pixel(np.column_stack([objects.ra, objects.dec]))
    yield Step(1, 1, ((xy, objects.names),))


def scan_tiles(mosaic: Mosaic) -> list[tuple[int, int, int, int]]:
    """The tiles (y0, y1, x0, x1) of a scan of a mosaic, in the order in which it takes them."""
    from engine.detect.tiles import tile_cores

    return tile_cores(mosaic.shape, ScanRequest(mosaic).tile)
