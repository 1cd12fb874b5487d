"""What is on the screen as files: a FITS cut-out of the mosaic, and the header that says where a picture lies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, Sip
from astropy.wcs.utils import fit_wcs_from_points
from numpy.typing import NDArray

from engine.errors import DataError
from engine.export.atomic import atomic
from engine.types import Mosaic, Step

LARGEST = 2 * 2**30
"""Bytes of the largest cut-out."""

_STRIP = 256  # rows written between two steps
_POINTS = 9  # along each side of a picture, where the distortion is in lookup tables
_WORST = 1.0  # pixels by which a WCS fitted to it may be off

Box = tuple[int, int, int, int]


def view_box(mosaic: Mosaic, edges: tuple[float, float, float, float]) -> Box:
    """The whole pixels (y0, y1, x0, x1) of a mosaic that a view of edges x0, x1, y0, y1 shows.

    Raises
    ------
    DataError : the view shows none, or more than LARGEST bytes of them
    """
    ny, nx = mosaic.shape
    x0, x1 = max(math.floor(edges[0] + 0.5), 0), min(math.ceil(edges[1] + 0.5), nx)
    y0, y1 = max(math.floor(edges[2] + 0.5), 0), min(math.ceil(edges[3] + 0.5), ny)
    if x1 <= x0 or y1 <= y0:
        raise DataError("Nothing of the mosaic is in view: move it into view first")
    size = (y1 - y0) * (x1 - x0) * len(mosaic.bands) * 4
    if size > LARGEST:
        raise DataError(
            f"This view has {x1 - x0:,} × {y1 - y0:,} pixels in {len(mosaic.bands)} bands, {size / 2**30:.1f} GiB: "
            f"zoom in until it is below {LARGEST / 2**30:g} GiB"
        )
    return y0, y1, x0, x1


def write_cutout(mosaic: Mosaic, box: Box, path: Path | str) -> Iterator[Step]:
    """Write a region of all bands as a FITS file: an image of one band, or a cube that opens as the same bands.

    Parameters
    ----------
    box : y0, y1, x0, x1, whole pixels inside the mosaic

    Raises
    ------
    DataError : the file cannot be written
    """
    path = Path(path)
    y0, y1, x0, x1 = box
    header = cutout_header(mosaic, box)
    shape = (len(mosaic.bands), y1 - y0, x1 - x0)
    done, total = 0, shape[0] * shape[1]
    with atomic(path) as partial:
        if shape[0] == 1:
            header["NAXIS"] = 2
            header.remove("NAXIS3", ignore_missing=True)
        file = fits.StreamingHDU(str(partial), header)
        try:
            for band in range(shape[0]):
                for y in range(y0, y1, _STRIP):
                    end = min(y + _STRIP, y1)
                    file.write(mosaic.read(y, end, x0, x1, bands=(band,))[0].astype(">f4"))
                    done += end - y
                    yield Step(done, total, note=path.name)
        finally:
            file.close()
    yield Step(total, total, (path,))


def cutout_header(mosaic: Mosaic, box: Box) -> fits.Header:
    """The header of a cut-out: size, names of the bands, the WCS of its pixels, and where it comes from."""
    y0, y1, x0, x1 = box
    header = fits.Header()
    header["SIMPLE"], header["BITPIX"], header["NAXIS"] = True, -32, 3
    header["NAXIS1"], header["NAXIS2"], header["NAXIS3"] = x1 - x0, y1 - y0, len(mosaic.bands)
    if mosaic.wcs is not None:
        sky = (
            mosaic.wcs[y0:y1, x0:x1]
            if not _has_tables(mosaic.wcs)
            else _fitted(mosaic, x0, y0, 1.0, (x1 - x0, y1 - y0))
        )
        header.update(sky.to_header(relax=True))
        header["WCSAXES"] = 2
    elif mosaic.pixel_scale is not None:
        header["PIXSCALE"] = (mosaic.pixel_scale, "arcsec per pixel")
    if len(mosaic.bands) == 1:
        header["FILTER"] = mosaic.bands[0]
    for number, band in enumerate(mosaic.bands if len(mosaic.bands) > 1 else ()):
        header[f"BAND{number}"] = band
    units = set(mosaic.units)
    if len(units) == 1 and (unit := units.pop()):
        header["BUNIT"] = unit
    header["LTV1"], header["LTV2"] = (-x0, "pixels of the mosaic before the first"), -y0
    header["HISTORY"] = f"Cut out of {mosaic.name}"
    return header


def picture_header(mosaic: Mosaic, centre: tuple[float, float], zoom: float, size: tuple[int, int]) -> fits.Header:
    """Where a picture of the mosaic lies on the sky.

    Pixels count from the bottom left, as FITS has it, so that a reader that turns pictures over (DS9, Aladin, glue)
    puts them right.

    Parameters
    ----------
    centre : the pixel position of the mosaic in the middle of the picture
    zoom : pixels of the picture to one of the mosaic
    size : width and height of the picture, pixels

    Raises
    ------
    DataError : the mosaic has no WCS, or the picture is not on the sky
    """
    if mosaic.wcs is None:
        raise DataError(f"{mosaic.name} has no WCS: the picture is saved without one")
    width, height = size
    sky = mosaic.wcs
    left, bottom = centre[0] - (width - 1) / 2 / zoom, centre[1] - (height - 1) / 2 / zoom
    if not _has_tables(sky):
        scaled = sky.deepcopy()
        scaled.wcs.crpix = [(sky.wcs.crpix[0] - 1 - left) * zoom + 1, (sky.wcs.crpix[1] - 1 - bottom) * zoom + 1]
        if scaled.wcs.has_cd():
            scaled.wcs.cd = sky.wcs.cd / zoom
        else:
            scaled.wcs.cdelt = sky.wcs.cdelt / zoom
        if sky.sip is not None:
            origin = (sky.sip.crpix - 1 - (left, bottom)) * zoom + 1
            terms = (sky.sip.a, sky.sip.b, sky.sip.ap, sky.sip.bp)
            scaled.sip = Sip(*(_of_larger_pixels(term, 1 / zoom) for term in terms), origin)
        header = scaled.to_header(relax=True)
    else:
        header = _fitted(mosaic, left, bottom, zoom, size).to_header(relax=True)
    header["IMAGEW"], header["IMAGEH"] = width, height
    header["COMMENT"] = f"A picture of {mosaic.name}; row 1 is at its bottom"
    return header


def _has_tables(sky: WCS) -> bool:
    """Whether a part of the distortion is in lookup tables, which no header can hold."""
    return any(table is not None for table in (sky.cpdis1, sky.cpdis2, sky.det2im1, sky.det2im2))


def _of_larger_pixels(term: NDArray[np.float64] | None, factor: float) -> NDArray[np.float64] | None:
    """Coefficients (power of x, power of y) of a SIP polynomial of pixels ``factor`` times as large."""
    if term is None:
        return None
    powers = np.add.outer(*(np.arange(side) for side in term.shape))
    scaled: NDArray[np.float64] = term * factor ** (powers - 1.0)
    return scaled


def _fitted(mosaic: Mosaic, left: float, bottom: float, zoom: float, size: tuple[int, int]) -> WCS:
    """A gnomonic WCS with SIP fitted to a picture of a mosaic whose distortion is in lookup tables."""
    x, y = (part.ravel() for part in np.meshgrid(*(np.linspace(0, side - 1, _POINTS) for side in size)))
    radec = mosaic.world(np.column_stack([left + x / zoom, bottom + y / zoom]))
    good = np.isfinite(radec).all(axis=1)
    if good.sum() < 4 * _POINTS:
        raise DataError("Most of this view is not on the sky: move into the mosaic")
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(radec[good, 0], radec[good, 1], unit="deg")
    fitted = fit_wcs_from_points((x[good], y[good]), sky, projection="TAN", sip_degree=3)
    apart = fitted.pixel_to_world(x[good], y[good]).separation(sky).arcsec * zoom / (mosaic.pixel_scale or 1.0)
    if not apart.max() < _WORST:
        raise DataError("The WCS of this mosaic, with its lookup tables, cannot be written for this view: zoom in")
    return fitted


def write_picture_header(
    mosaic: Mosaic, centre: tuple[float, float], zoom: float, size: tuple[int, int], path: Path | str
) -> Path:
    """Write the header of a picture beside it: the same name, ending in ``.wcs``, a FITS file without data."""
    path = Path(path).with_suffix(".wcs")
    header = picture_header(mosaic, centre, zoom, size)
    with atomic(path) as partial:
        fits.PrimaryHDU(header=header).writeto(partial, overwrite=True)
    return path
