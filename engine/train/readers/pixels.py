"""The pixels of one labelled image, whatever file they came in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import DataError
from engine.images.damage import DAMAGE, reason
from engine.images.mosaic import open_mosaic
from engine.train.readers.objects import read_objects
from engine.types import FloatArray

PICTURES = (".jpg", ".jpeg", ".png")
SUFFIXES = (".npy", ".fits", ".fit", ".h5", ".hdf5", *PICTURES)
_BROKEN: tuple[type[Exception], ...] = (*DAMAGE, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """An image (band, y, x) float32, the type it had on disk, its scale (arcsec) and the number pickled with it."""

    image: FloatArray
    dtype: str
    pixel_scale: float | None = None
    value: float = np.nan


def read_pixels(path: Path) -> Pixels:
    """Read .npy (also pickled ``[image, number]``), FITS, HDF5, JPEG or PNG; a grey picture has one band.

    Raises
    ------
    EngineError : the file cannot be read, or holds no image of two or three axes
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            return _array(path)
        if suffix in PICTURES:
            with Image.open(path) as picture:
                grey = picture.mode in ("L", "LA", "I", "I;16", "F", "1")
                colours = np.asarray(
                    picture if grey and picture.mode != "LA" else picture.convert("L" if grey else "RGB")
                )
            if colours.ndim == 3 and (colours == colours[..., :1]).all():
                colours = colours[..., 0]
            return Pixels(_bands_first(colours), str(colours.dtype))
        mosaic = open_mosaic(path)
        return Pixels(mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1]), "float32", mosaic.pixel_scale)
    except _BROKEN as error:
        raise DataError(f"{path.name} cannot be read ({reason(error)}): get the file again") from error


def _array(path: Path) -> Pixels:
    data = np.load(path, mmap_mode=None, allow_pickle=False) if not _of_objects(path) else None
    if data is not None:
        return Pixels(_bands_first(data), str(data.dtype))
    found = read_objects(path.read_bytes())
    if np.ndim(found) == 1 and len(found) == 2 and isinstance(found[1], int | float | np.generic):
        image = np.asarray(found[0])
        return Pixels(_bands_first(image), str(image.dtype), value=float(found[1]))
    raise DataError(f"{path.name} holds objects that are not an image and a number: convert it to a plain array")


def _of_objects(path: Path) -> bool:
    with path.open("rb") as file:
        return b"'|O'" in file.read(128)


def _bands_first(array: NDArray[Any]) -> FloatArray:
    """(band, y, x) native float32; bands that come last, as in pictures, go first; infinite values become NaN."""
    if array.ndim not in (2, 3) or array.dtype.kind not in "biuf" or not array.size:
        raise DataError(f"it holds {array.dtype} of shape {array.shape}, no image of two or three axes")
    if array.ndim == 3 and array.shape[-1] <= 4 < array.shape[0]:
        array = np.moveaxis(array, -1, 0)
    out = np.array(array if array.ndim == 3 else array[None], np.float32)
    out[~np.isfinite(out)] = np.nan
    return out
