"""Open survey images: one file or several, FITS, HDF5 or .npy, without reading their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.errors import ImageError
from engine.images import bands as naming
from engine.images.aligned import align
from engine.images.fits_file import find_bands, list_hdus, pick_hdu, read_hdu
from engine.images.hdf5_file import list_datasets, pick_dataset, read_dataset
from engine.images.numpy_file import read_array
from engine.images.planes import Layer
from engine.images.sky import plausible
from engine.images.unpack import first_bytes, plain
from engine.types import Mosaic, Plane

_STRIP = 256  # rows read at a time when looking for data
_MANY = 10  # planes without a name, above which a cube is more likely a set of stamps than one of bands

COARSE = 0.9
"""Pixel scale (arcsec) above which two pixels, the best resolution there is, hide the arcs of single galaxies."""

_OTHERS = {
    b"\x1f\x9d": "is compressed by the old Unix compress (.Z): run uncompress on it first",
    b"\x89PNG": "is a picture: its pixels are already stretched; open the FITS file it was made from",
    b"\xff\xd8\xff": "is a picture: its pixels are already stretched; open the FITS file it was made from",
    b"PK\x03\x04": "is a ZIP archive: unpack it first",
    b"%PDF": "is a PDF document: open a FITS or HDF5 image",
}


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """One image in a file, for choosers: what to pass as ``hdu`` or ``dataset``, and whether it is the one picked.

    ``remark`` says what speaks against it: why it cannot be opened, or that its name is that of an error or a mask.
    """

    key: int | str
    name: str
    shape: tuple[int, ...]
    dtype: str
    picked: bool
    remark: str = ""


def list_images(path: Path | str) -> list[ImageInfo]:
    """All images of a file, those that cannot be opened too; ``picked`` marks the one `open_mosaic` takes.

    Raises
    ------
    ImageError : the file is missing, damaged, or of no known format
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "hdf5":
        datasets = list_datasets(plain(path))
        best = pick_dataset(path, datasets) if datasets else None
        return [ImageInfo(one.key, one.key, one.shape, one.dtype, one is best) for one in datasets]
    if kind == "numpy":
        layer = read_array(plain(path))
        ny, nx = layer.planes[0].shape
        return [ImageInfo(0, "", (len(layer.planes), ny, nx), "", True)]
    hdus = list_hdus(path)
    chosen = pick_hdu(path, hdus) if any(not one.problem for one in hdus) else None
    return [
        ImageInfo(
            one.index,
            one.name,
            one.shape,
            f"{'int' if one.bitpix > 0 else 'float'}{abs(one.bitpix)}",
            one is chosen,
            one.problem or ("an error, weight or mask by its name" if one.auxiliary else ""),
        )
        for one in hdus
    ]


def open_mosaic(
    paths: Path | str | Sequence[Path | str],
    *,
    bands: Sequence[str] | None = None,
    hdu: int | None = None,
    dataset: str | None = None,
    pixel_scale: float | None = None,
) -> Mosaic:
    """Open one image, a cube whose planes are bands, or one file a band; the pixels stay on disk.

    Bands on other grids than the first are resampled to its grid where they are read, and a note says so.

    Parameters
    ----------
    bands : names of the bands in the order of the files or planes; from the headers, else the file names, by default.
        For a single FITS file of several images they choose the HDUs, by name or filter.
    hdu : FITS image to open, counted from 0; the likeliest by default
    dataset : HDF5 array to open; the likeliest by default
    pixel_scale : arcsec per pixel, where the file does not know better than the user

    Raises
    ------
    ImageError : a file is missing, damaged or no image, or bands on different grids have no WCS or do not overlap
    """
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not files:
        raise ImageError("No image is named: give one file, or one a band")
    if pixel_scale is not None and not plausible(pixel_scale):
        raise ImageError(f"A pixel scale of {pixel_scale:g} arcsec cannot be right: give arcsec per pixel, such as 0.2")
    layers = _layers(files, bands, hdu, dataset)
    if len(layers) > 1:
        layers = align(layers)
    planes = tuple(plane for layer in layers for plane in layer.planes)
    names = _band_names(layers, bands)
    first = next((layer for layer in layers if layer.wcs is not None), layers[0])
    scale = pixel_scale or next((layer.pixel_scale for layer in layers if layer.pixel_scale is not None), None)
    notes = [note for layer in layers for note in layer.notes]
    if len(layers) == 1 and bands is None and len(planes) > _MANY and not any(layers[0].bands):
        notes.append(
            f"The {len(planes)} planes are taken for bands of one field; if they are stamps, score them instead"
        )
    if first.wcs is None:
        notes.append("No WCS: positions are in pixels")
    if scale is None:
        notes.append("No pixel scale: type it, or stamps are taken pixel by pixel")
    elif scale > COARSE:
        notes.append(f'Pixels of {scale:.3g}" are coarser than the arcs of most lenses: few can be told here')
    notes += _check_data(files[0], planes, names)
    units = tuple(layer.unit for layer in layers for _ in layer.planes)
    return Mosaic(
        id=_identity(layers),
        paths=tuple(files),
        shape=planes[0].shape,
        bands=names,
        pixel_scale=scale,
        wcs=first.wcs,
        planes=planes,
        notes=tuple(dict.fromkeys(notes)),
        extension=_extension(layers),
        units=units if any(units) else (),
    )


def _kind(path: Path) -> str:
    """The format, by content: names lie."""
    start = first_bytes(path)
    for magic, reason in _OTHERS.items():
        if start.startswith(magic):
            raise ImageError(f"{path.name} {reason}")
    inner = first_bytes(plain(path))
    if inner.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if inner.startswith(b"\x93NUMPY"):
        return "numpy"
    if inner.startswith(b"SIMPLE  ="):
        return "fits"
    raise ImageError(f"{path.name} is neither FITS nor HDF5 nor .npy by its content: open an image file")


def _layers(files: Sequence[Path], bands: Sequence[str] | None, hdu: int | None, dataset: str | None) -> list[Layer]:
    if len(files) == 1 and hdu is None and bands is not None and len(bands) > 1 and _kind(files[0]) == "fits":
        several = find_bands(list_hdus(files[0]), bands)
        if several is not None:
            return [replace(read_hdu(files[0], one), bands=(band,)) for one, band in zip(several, bands, strict=True)]
    layers = [_layer(path, hdu, dataset) for path in files]
    if len(layers) > 1:
        for layer in layers:
            if len(layer.planes) > 1:
                raise ImageError(f"{layer.path.name} is a cube of {len(layer.planes)} planes: open it by itself")
    return layers


def _layer(path: Path, hdu: int | None, dataset: str | None) -> Layer:
    kind = _kind(path)
    if kind == "numpy":
        return replace(read_array(plain(path)), path=path)
    if kind == "hdf5":
        datasets = list_datasets(plain(path))
        chosen = pick_dataset(path, datasets, dataset)
        layer = replace(read_dataset(plain(path), chosen), path=path)
        others = len(datasets) - 1
        note = f"Dataset {chosen.key}, one of {len(datasets)}" if others and dataset is None else ""
    else:
        hdus = list_hdus(path)
        picked = pick_hdu(path, hdus, hdu)
        layer = read_hdu(path, picked)
        others = sum(not one.problem for one in hdus) - 1
        label = f"HDU {picked.index} {picked.name}".strip()
        note = f"{label}, one of {others + 1} images" if others and hdu is None else ""
    return replace(layer, notes=(note, *layer.notes)) if note else layer


def _band_names(layers: Sequence[Layer], bands: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(name for layer in layers for name in layer.bands)
    if bands is not None:
        if len(bands) != len(names):
            raise ImageError(
                f"{len(bands)} bands are named ({','.join(bands)}) for {len(names)} images: name each once"
            )
        names = tuple(bands)
    if all(names) and len(set(names)) == len(names):
        return names
    if bands is not None:
        raise ImageError(f"The bands {','.join(bands)} are not distinct: name each once")
    if len(layers) == 1:
        return (
            (naming.file_band(layers[0].path),)
            if len(names) == 1 and naming.file_band(layers[0].path)
            else (naming.numbered(len(names)))
        )
    return naming.file_bands([layer.path for layer in layers])


def _check_data(path: Path, planes: Sequence[Plane], names: Sequence[str]) -> list[str]:
    """Notes on bands without any data.

    Raises
    ------
    ImageError : no band has a single number
    """
    empty = [name for plane, name in zip(planes, names, strict=True) if not _has_data(plane)]
    if len(empty) == len(planes):
        raise ImageError(f"{path.name} holds no data: every pixel is NaN or blank; choose another image")
    return [f"Band {name} holds no data: every pixel is NaN or blank" for name in empty]


def _has_data(plane: Plane) -> bool:
    ny, nx = plane.shape
    y, x = ny // 2, nx // 2
    if np.isfinite(plane.read(max(y - 32, 0), min(y + 32, ny), max(x - 32, 0), min(x + 32, nx))).any():
        return True
    return any(np.isfinite(plane.read(y, min(y + _STRIP, ny), 0, nx)).any() for y in range(0, ny, _STRIP))


def _identity(layers: Sequence[Layer]) -> str:
    """Stable while the files are: path, size, time of change and HDU of each."""
    text = []
    for layer in layers:
        status = layer.path.stat()
        text.append(f"{layer.path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{layer.key}")
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def _extension(layers: Sequence[Layer]) -> str:
    names = [layer.key if isinstance(layer.key, str) else layer.name or f"HDU {layer.key}" for layer in layers]
    shown = [name for name, layer in zip(names, layers, strict=True) if layer.key]
    return ", ".join(dict.fromkeys(shown))
