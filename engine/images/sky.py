"""Where an image lies on the sky and how large its pixels are, from a FITS header."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from astropy import log, units
from astropy.coordinates import ConvertError, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from engine.images.damage import DAMAGE, reason

LARGEST_SCALE = 600.0  # arcsec; a header that claims coarser pixels holds no real WCS
SMALLEST_SCALE = 1e-4

_SURFACE = re.compile(r'((?:lng|lat)cor\s*=\s*)"([^"]*)"')
_NEXT_TO_ZERO = 1e-30
_OF_PLANES = re.compile(
    r"(NAXIS|CTYPE|CRPIX|CRVAL|CDELT|CUNIT|CROTA|CNAME)[3-9]|(CD|PC)0*([3-9]_0*\d|\d_0*[3-9])|P[VS]0*[3-9]_\d+"
)

_SCALE_KEYS = ("PIXSCALE", "PIXELSCL", "PIXSCAL1", "SECPIX", "SECPIX1", "PIXSIZE", "D001SCAL")


@contextmanager
def _quiet() -> Iterator[None]:
    """What astropy remarks on headers it puts right is of no use to who opens an image."""
    level = log.level
    log.setLevel("ERROR")
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def plausible(scale: float) -> bool:
    """Whether a number can be arcsec per pixel of a survey image."""
    return bool(np.isfinite(scale)) and SMALLEST_SCALE <= scale <= LARGEST_SCALE


def read_sky(
    header: fits.Header, shape: tuple[int, int], file: fits.HDUList | None = None
) -> tuple[WCS | None, float | None, tuple[str, ...]]:
    """The celestial WCS and the pixel scale (arcsec) of an image, each None where the header gives none.

    A WCS is kept only if it places the centre of the image on the sky and finds it back. The notes say, in the user's
    words, why one was dropped.
    """
    scale = header_scale(header)
    with _quiet():
        try:
            wcs = _two_dimensional(WCS(_of_two_axes(_with_plain_surfaces(header)), fobj=file))
            if wcs is None:
                return None, scale, ()
            own = float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs)))) * 3600
            if not plausible(own):
                return None, scale, (f"The WCS is a placeholder ({own:.3g} arcsec a pixel) and is ignored",)
            if not _finds_centre(wcs, shape):
                return None, own, ("The WCS does not place the image on the sky and is ignored",)
        except (*DAMAGE, ConvertError) as error:
            return None, scale, (f"The WCS cannot be used ({reason(error)})",)
    zero = not np.any(wcs.wcs.crval) and str(wcs.wcs.ctype[0]).startswith(("RA", "DEC"))
    return wcs, own, ("The WCS is centred on RA = Dec = 0: it may be a placeholder",) if zero else ()


def header_scale(header: Mapping[str, Any]) -> float | None:
    """Arcsec per pixel from one of the usual keywords, for images without a WCS."""
    for key in _SCALE_KEYS:
        value = header.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and plausible(abs(value)):
            return abs(float(value))
    return None


def _of_two_axes(header: fits.Header) -> fits.Header:
    """The header of a cube without the axes of its planes.

    wcslib and astropy take no distortion of the first two axes where there is a third.
    """
    if header.get("NAXIS", 2) <= 2:
        return header
    flat = header.copy()
    for key in [key for key in flat if _OF_PLANES.fullmatch(key)]:
        flat.remove(key, ignore_missing=True, remove_all=True)
    flat["NAXIS"] = 2
    if "WCSAXES" in flat:
        flat["WCSAXES"] = 2
    return flat


def _with_plain_surfaces(header: fits.Header) -> fits.Header:
    """The header with the correction surfaces of IRAF (TNX, ZPX) written as wcslib can read them.

    wcslib applies these surfaces, but takes a coefficient of zero for the end of the list and fails on numbers without
    a decimal point. Pieces of the text are 68 letters long, of which blanks at the end are lost in reading.
    """
    texts = {axis: "".join(str(header[key]).ljust(68) for key in header[f"WAT{axis}_*"]) for axis in (1, 2)}
    if not any(_SURFACE.search(text) for text in texts.values()):
        return header
    tidy = header.copy()
    for axis, text in texts.items():
        del tidy[f"WAT{axis}_*"]
        tidied = _SURFACE.sub(_plain_surface, text.rstrip())
        for piece in range(0, len(tidied), 68):
            tidy[f"WAT{axis}_{piece // 68 + 1:03d}"] = tidied[piece : piece + 68]
    return tidy


def _plain_surface(found: re.Match[str]) -> str:
    numbers = [float(number) for number in found[2].split()]
    kind = " ".join(f"{number:.0f}." for number in numbers[:4])
    return f'{found[1]}"{kind} {" ".join(f"{number or _NEXT_TO_ZERO:.15E}" for number in numbers[4:])} "'


def _two_dimensional(wcs: WCS) -> WCS | None:
    """The part that describes the first two axes, if these are the two of the sky."""
    if wcs.naxis < 2 or {wcs.wcs.lng, wcs.wcs.lat} != {0, 1}:
        return None
    return wcs if wcs.naxis == 2 else wcs.celestial


def _finds_centre(wcs: WCS, shape: tuple[int, int]) -> bool:
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    sky = wcs.pixel_to_world(x, y)
    if not isinstance(sky, SkyCoord):  # wcslib calls the disc of the Sun celestial too
        return False
    sky = sky.icrs
    back = np.array(wcs.world_to_pixel(sky), np.float64)
    placed = np.isfinite(sky.ra.to_value(units.deg)) and np.isfinite(sky.dec.to_value(units.deg))
    return bool(placed) and bool(np.all(np.abs(back - (x, y)) < 1.0))
