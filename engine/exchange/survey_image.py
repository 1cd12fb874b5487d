"""A picture of the sky from a survey's service, turned as the mosaic is, and kept once it has proved to be one."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import map_coordinates

from engine.errors import ExchangeError
from engine.exchange.background import wait_for
from engine.exchange.network import get
from engine.exchange.services import ImageService
from engine.images import disk_cache
from engine.types import Mosaic, Step

SIDE = 60.0  # arcsec of sky asked for
SECONDS = 45.0
_LARGEST = 512  # pixels a side that the services give
_MOST = 8_000_000  # bytes


@dataclass(frozen=True, slots=True, eq=False)
class SurveyImage:
    """A picture (n, n, 3) uint8 around a position, its first row at the top, turned as the mosaic; ``side`` is arcsec.

    ``address`` is where it came from, ``title`` a short name of the service.
    """

    service: str
    title: str
    pixels: NDArray[np.uint8]
    side: float
    address: str


def survey_image(
    service: ImageService, ra: float, dec: float, *, mosaic: Mosaic | None = None, xy: tuple[float, float] = (0, 0)
) -> Iterator[Step]:
    """Fetch the picture of a position, or take it from the cache; the item of the last step is a SurveyImage.

    Parameters
    ----------
    mosaic, xy : what the picture is to be turned like, and the position's pixel there; north up without

    Raises
    ------
    ExchangeError : the service cannot be reached, or answers with no picture, or with an empty one
    """
    side = min(math.ceil(SIDE / service.scale), _LARGEST)
    fov = side * service.scale
    address = service.address.format(
        ra=f"{ra:.6f}", dec=f"{dec:.6f}", side=side, scale=service.scale, fov=f"{fov / 3600:.7f}"
    )
    yield Step(0, 0, note=service.name)
    kept = disk_cache.entry(address, ".survey")
    data = _kept(kept)
    if data is None:
        data, kind = yield from wait_for(service.name, lambda: get(service.name, address, most=_MOST), seconds=SECONDS)
        pixels = _decode(service, data, kind, side)
        try:
            with disk_cache.writing(kept, len(data)) as partial:
                partial.write_bytes(data)
        except OSError:
            pass  # a full disk or cache: the next time it is fetched again
    else:
        pixels = _decode(service, data, "", side)
    if mosaic is not None and mosaic.wcs is not None and mosaic.pixel_scale is not None:
        pixels = turned(pixels, service.scale, (ra, dec), mosaic, xy)
    yield Step(1, 1, (SurveyImage(service.name, service.title, pixels, fov, address),))


def _kept(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    disk_cache.touch(path)
    return data


def _decode(service: ImageService, data: bytes, kind: str, side: int) -> NDArray[np.uint8]:
    """The pixels of a picture that is one: decoded to the end, of the size asked for, and with something on it."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        what = kind.split(";")[0] or "something else"
        raise ExchangeError(f"{service.name} answered with no picture ({what}): try again later") from error
    if pixels.shape[:2] != (side, side):
        raise ExchangeError(f"{service.name} answered with a picture of another size: it may have changed")
    if np.ptp(pixels.reshape(-1, 3), axis=0).max() <= 2:  # what services send where they have no data is of one colour
        raise ExchangeError(f"{service.name} has no data here; it covers {service.covers}")
    return pixels


def turned(
    pixels: NDArray[np.uint8], scale: float, radec: tuple[float, float], mosaic: Mosaic, xy: tuple[float, float]
) -> NDArray[np.uint8]:
    """A picture with north up, resampled to lie as the mosaic does: turned or flipped over about the position.

    What the picture does not reach is black.
    """
    n = pixels.shape[0]
    sky = WCS(naxis=2)
    sky.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    sky.wcs.crval = radec
    sky.wcs.crpix = [(n + 1) / 2, (n + 1) / 2]
    sky.wcs.cdelt = [-scale / 3600, scale / 3600]
    offset = (np.arange(n) - (n - 1) / 2) * scale / (mosaic.pixel_scale or scale)
    x, y = np.meshgrid(offset + xy[0], offset[::-1] + xy[1])  # the first row is the top
    places = mosaic.world(np.column_stack([x.ravel(), y.ravel()]))
    column, row = sky.wcs_world2pix(places, 0).T
    where = np.nan_to_num(np.array([n - 1 - row, column]), nan=-1e6)
    planes = [map_coordinates(pixels[..., k].astype(np.float32), where, order=1, cval=0.0) for k in range(3)]
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8).reshape(n, n, 3)
