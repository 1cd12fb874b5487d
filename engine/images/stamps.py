"""Files that are stamps already: one object at the centre of each image, or of each plane of a cube."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from engine.errors import ImageError
from engine.images.mosaic import open_mosaic
from engine.images.pictures import SUFFIXES as PICTURES
from engine.types import Mosaic

SUFFIXES = (".fits", ".fit", ".fts", ".fz", ".h5", ".hdf5", ".he5", ".npy")
_PACKED = (".gz", ".bz2", ".xz")


FEW = 10
"""Planes of a cube up to which they are the bands of one stamp, where stamps are looked at rather than scored."""


def find_stamps(folder: Path | str, *, pictures: bool = False) -> list[Path]:
    """The image files of a folder by their suffix, in the order of their names; folders in it are not entered.

    ``pictures`` takes PNG and JPEG too, whose pixels are stretched already: good to look at, not to be scored.

    Raises
    ------
    ImageError : there is no such folder, or no image in it
    """
    folder = Path(folder)
    try:
        names = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{folder} cannot be listed ({error.strerror}): check the name") from error
    found = [path for path in names if _suffix(path) in (*SUFFIXES, *(PICTURES if pictures else ()))]
    if not found:
        kinds = "FITS, HDF5, .npy, PNG or JPEG" if pictures else "FITS, HDF5 or .npy"
        raise ImageError(f"{folder} holds no {kinds} image: choose a folder with images")
    return found


def read_stamps(
    path: Path | str, *, hdu: int | None = None, dataset: str | None = None, pixel_scale: float | None = None
) -> list[tuple[int, Mosaic]]:
    """The stamps of a file or a folder, each with the index of its plane and as a mosaic of one band.

    Planes of a cube are stamps of their own; ``paths`` of each mosaic tells the file.

    Raises
    ------
    ImageError : a file cannot be opened; see `engine.images.mosaic.open_mosaic`
    """
    path = Path(path)
    if path.is_dir():
        files = find_stamps(path)
        return [
            stamp for file in files for stamp in read_stamps(file, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)
        ]
    whole = open_mosaic(path, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)
    if len(whole.planes) == 1:
        return [(0, whole)]
    return [(index, _plane(whole, index)) for index in range(len(whole.planes))]


def open_stamp_file(path: Path | str, *, pixel_scale: float | None = None) -> list[tuple[int, Mosaic]]:
    """The stamps of a file to look at: a cube of few planes is one stamp of several bands.

    Raises
    ------
    ImageError : it cannot be opened
    """
    whole = open_mosaic(path, pixel_scale=pixel_scale)
    if len(whole.planes) <= FEW:
        return [(0, whole)]
    return [(index, _plane(whole, index)) for index in range(len(whole.planes))]


def _plane(whole: Mosaic, index: int) -> Mosaic:
    return replace(
        whole,
        id=hashlib.sha256(f"{whole.id}|{index}".encode()).hexdigest()[:16],
        bands=(whole.bands[index],),
        planes=(whole.planes[index],),
        extension=f"{whole.extension} plane {index}".strip(),
    )


def _suffix(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() in _PACKED else path
    return name.suffix.lower()
