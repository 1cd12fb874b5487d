"""The pixels of one labelled image, whatever file they came in."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
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
_TINY = float(np.finfo(np.float32).tiny)  # below it float32 has fewer digits, and no flux


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """An image (band, y, x) float32, the type it had on disk, its scale (arcsec) and the number pickled with it.

    ``half`` says whether every value would survive as float16; ``loss`` is the largest error that float32 makes,
    relative to the value; ``infinite`` counts infinite values, which became NaN.
    """

    image: FloatArray
    dtype: str
    pixel_scale: float | None = None
    value: float = np.nan
    half: bool = False
    loss: float = 0.0
    infinite: int = 0


def read_pixels(path: Path, *, sky: bool = True) -> Pixels:
    """Read .npy (also pickled ``[image, number]``), FITS, HDF5, JPEG or PNG; a grey picture has one band.

    Parameters
    ----------
    sky : find the pixel scale, which takes ten times as long as the pixels of a small FITS file

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
            return _pixels(colours)
        single = None if sky else _single_hdu(path)
        if single is not None:
            return _pixels(single)
        mosaic = open_mosaic(path)
        return replace(_pixels(mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])), pixel_scale=mosaic.pixel_scale)
    except _BROKEN as error:
        raise DataError(f"{path.name} cannot be read ({reason(error)}): get the file again") from error


def _single_hdu(path: Path) -> NDArray[Any] | None:
    """The pixels of a FITS file of one image; None of any other, which is chosen from with more care."""
    if path.suffix.lower() not in (".fits", ".fit"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers do not matter to the pixels; damage to them is an error
        with fits.open(path, memmap=False) as hdus:
            data = hdus[0].data if len(hdus) == 1 else None
    return data if data is not None and np.isfinite(data).any() else None


def _array(path: Path) -> Pixels:
    data = np.load(path, mmap_mode=None, allow_pickle=False) if not _of_objects(path) else None
    if data is not None:
        return _pixels(data)
    found = read_objects(path.read_bytes())
    if np.ndim(found) == 1 and len(found) == 2 and isinstance(found[1], int | float | np.generic):
        image = np.asarray(found[0])
        return replace(_pixels(image), value=float(found[1]))
    raise DataError(f"{path.name} holds objects that are not an image and a number: convert it to a plain array")


def _of_objects(path: Path) -> bool:
    with path.open("rb") as file:
        return b"'|O'" in file.read(128)


def _pixels(array: NDArray[Any]) -> Pixels:
    """(band, y, x) native float32; bands that come last, as in pictures, go first; infinite values become NaN."""
    if array.ndim not in (2, 3) or array.dtype.kind not in "biuf" or not array.size:
        raise DataError(f"it holds {array.dtype} of shape {array.shape}, no image of two or three axes")
    if array.ndim == 3 and array.shape[-1] <= 4 < array.shape[0]:
        array = np.moveaxis(array, -1, 0)
    array = array if array.ndim == 3 else array[None]
    with np.errstate(over="ignore"):
        image = np.array(array, np.float32)
        half = image.astype(np.float16)
    infinite = int(np.isinf(array).sum())
    image[~np.isfinite(image)] = np.nan
    loss, exact = 0.0, array.dtype.itemsize <= 2 or array.dtype == np.float32
    if not exact:
        apart = np.abs(image.astype(np.float64) - array)
        with np.errstate(invalid="ignore"):
            loss = float(np.nanmax(apart / np.maximum(np.abs(array), _TINY), initial=0.0))
    survives = loss == 0 and np.array_equal(half.astype(np.float32), image, equal_nan=True)
    return Pixels(image, array.dtype.name, half=survives, loss=loss, infinite=infinite)
