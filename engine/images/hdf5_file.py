"""HDF5 images: which dataset, and its pixels by region."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.io import fits

from engine.errors import ImageError
from engine.images.bands import band_name
from engine.images.damage import DAMAGE, reason
from engine.images.hdf5_chunks import ChunkFile, ChunkPlane, chunk_layout
from engine.images.planes import Layer, MappedPlane, Section, SectionPlane, Source
from engine.images.sky import plausible, read_sky
from engine.types import Plane

_PREFERRED = ("image_data", "image", "images", "sci", "science", "flux", "data", "cutouts", "primary")
_AUXILIARY = (
    "exp",
    "psf",
    "kernel",
    "noise",
    "weight",
    "wht",
    "rms",
    "err",
    "sigma",
    "var",
    "mask",
    "flag",
    "background",
)
_HEADERS = ("header", "fits_header", "wcs", "wcs_header", "hdr")
_CHUNK_BYTES = 32 * 2**20  # of unpacked chunks kept, at least
_ROWS_KEPT = 4  # of chunks: two for each of two readers
_MOST_BYTES = 256 * 2**20
_SCALES = ("pixel_scale", "pixelscale", "pixscale", "delta_pix", "deltapix")


@dataclass(frozen=True, slots=True)
class Dataset:
    """An array of a file that could be an image."""

    key: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def rank(self) -> tuple[bool, int, int]:
        """The largest is the image to open, unless its name speaks for or against."""
        name = self.key.rsplit("/", 1)[-1].lower()
        preferred = -_PREFERRED.index(name) if name in _PREFERRED else -len(_PREFERRED)
        return not any(word in name for word in _AUXILIARY), preferred, self.shape[-1] * self.shape[-2]


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """A file; whatever is wrong with it ends in an ImageError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DAMAGE as error:
        raise ImageError(f"{path.name} is not a readable HDF5 file ({reason(error)}): get the file again") from error


def list_datasets(path: Path) -> list[Dataset]:
    """The numeric datasets of two or three axes that have pixels.

    Raises
    ------
    ImageError : missing, not HDF5, or damaged
    """
    found: list[Dataset] = []

    def visit(name: str, item: object) -> None:
        if (
            isinstance(item, h5py.Dataset)
            and isinstance(name, str)  # bytes where the name is not UTF-8
            and item.dtype.kind in "iuf"
            and item.ndim in (2, 3)
            and min(item.shape) > 0
            and max(item.shape[-2:]) > 4  # smaller ones are matrices
        ):
            found.append(Dataset(name, tuple(map(int, item.shape)), str(item.dtype)))

    with _open(path) as file:
        file.visititems(visit)
    return found


def pick_dataset(path: Path, datasets: Sequence[Dataset], dataset: str | None = None) -> Dataset:
    """The dataset asked for, or the one that most likely is the sky.

    Raises
    ------
    ImageError : there is none
    """
    there = ", ".join(one.key for one in datasets) or "none"
    if dataset is not None:
        chosen = next((one for one in datasets if one.key == dataset.strip("/")), None)
        if chosen is None:
            raise ImageError(f"{path.name}: {dataset!r} is not an image of two or three axes; images are: {there}")
        return chosen
    if not datasets:
        raise ImageError(f"{path.name} holds no array of two or three axes: choose a file with an image")
    return max(datasets, key=lambda one: one.rank)


def read_dataset(path: Path, dataset: Dataset) -> Layer:
    """A dataset as a layer; the first of three axes is the band.

    A WCS is taken from a FITS header in an attribute or dataset (``header``, ``wcs``) or from FITS keywords among the
    attributes; a pixel scale also from an attribute or dataset ``pixel_scale`` or from the matrix
    ``transform_pix2angle`` (arcsec) that lenstronomy's coordinates are stored with.
    """
    shape = (dataset.shape[-2], dataset.shape[-1])
    with _open(path) as file:
        item = file[dataset.key]
        attributes = {**_attributes(file), **_attributes(item.parent), **_attributes(item)}
        near = {name: value[()] for name, value in item.parent.items() if _is_small(value)}
        tile, tile_width = map(int, item.chunks[-2:] if item.chunks else (1, 1))
        offset = None if item.chunks or item.is_virtual or item.external else item.id.get_offset()
        stored = item.dtype.str
        layout = chunk_layout(path, item)
    values = {str(key).lower(): _plain_value(value) for key, value in {**near, **attributes}.items()}
    header = _header(values)
    wcs, scale, notes = read_sky(header, shape) if header is not None else (None, None, ())
    scale = scale if scale is not None else _scale(values)
    source = Source(path, dataset.key, open_dataset)
    count = dataset.shape[0] if len(dataset.shape) == 3 else 1
    leading = [(index,) for index in range(count)] if len(dataset.shape) == 3 else [()]
    planes: tuple[Plane, ...]
    if layout is not None:
        chunks = ChunkFile(layout)
        planes = tuple(ChunkPlane(chunks, index) for index in leading)
    elif offset is None:
        planes = tuple(
            SectionPlane(source, index, shape, tile=tile, tile_width=tile_width, keeps=True) for index in leading
        )
    else:  # in one piece, as in a plain file
        size = shape[0] * shape[1] * np.dtype(stored).itemsize
        planes = tuple(
            MappedPlane(path, offset=offset + index * size, dtype=stored, shape=shape) for index in range(count)
        )
    unit = values.get("bunit", "")
    unit = unit.strip() if isinstance(unit, str) else ""
    return Layer(path, dataset.key, dataset.key, planes, _bands(values, count), wcs, scale, notes, unit)


def open_dataset(path: Path, key: int | str) -> tuple[Any, Section]:
    """Open a dataset for reading by region; the first of the two is to be closed."""
    file = h5py.File(path, "r")
    try:
        found = file[key]
        if not found.chunks:
            return file, found
        # With fewer places than a hundred a chunk, chunks drive each other out although there is room.
        row = -(-found.shape[-1] // found.chunks[-1]) * int(np.prod(found.chunks)) * found.dtype.itemsize
        size = min(max(_ROWS_KEPT * row, _CHUNK_BYTES), _MOST_BYTES)
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(100_003, size, 0.75)
        return file, h5py.Dataset(h5py.h5d.open(file.id, str(key).encode(), access))
    except DAMAGE:
        file.close()
        raise


def _attributes(item: Any) -> dict[str, Any]:
    found = {}
    for key in item.attrs:
        try:
            found[key] = item.attrs[key]
        except (OSError, TypeError, ValueError):  # a type h5py does not know: not one of ours
            continue
    return found


def _is_small(value: object) -> bool:
    """A number, a text or a small matrix, rather than an image."""
    return isinstance(value, h5py.Dataset) and value.size is not None and value.size <= 16


def _plain_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        return [_plain_value(one) for one in value.ravel().tolist()]
    return value.item() if isinstance(value, np.generic) else value


def _header(values: Mapping[str, Any]) -> fits.Header | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key in _HEADERS:
            text = values.get(key)
            if isinstance(text, list):
                text = "\n".join(map(str, text))
            if isinstance(text, str) and "CTYPE1" in text:
                return fits.Header.fromstring(text, sep="\n" if "\n" in text else "")
        if "ctype1" not in values or "ctype2" not in values:
            return None
        header = fits.Header()
        for name, value in values.items():
            if len(name) <= 8 and isinstance(value, str | int | float) and "\n" not in str(value):
                header[name.upper()] = value
        return header


def _scale(values: Mapping[str, Any]) -> float | None:
    for key in _SCALES:
        value = values.get(key)
        if isinstance(value, int | float) and plausible(abs(value)):
            return abs(float(value))
    matrix = values.get("transform_pix2angle")
    if isinstance(matrix, np.ndarray) and matrix.shape == (2, 2) and matrix.dtype.kind == "f":
        scale = float(np.sqrt(abs(np.linalg.det(matrix))))
        return scale if plausible(scale) else None
    return None


def _bands(values: Mapping[str, Any], count: int) -> tuple[str, ...]:
    for key in ("bands", "band", "filters", "filter"):
        value = values.get(key)
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        if isinstance(names, list) and len(names) == count:
            return tuple(band_name(str(name)) or str(name) for name in names)
    return ("",) * count
