"""Sky positions as people write them, in ICRS and Galactic coordinates, and angles between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import DataError
from engine.types import Positions

Frame = Literal["icrs", "galactic"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_PIXELS = re.compile(rf"(?:px|pix|pixels?|xy|x)\s*[=:]?\s*({_NUMBER})\s*[,;\s]\s*(?:y\s*[=:]?\s*)?({_NUMBER})$", re.I)
_PIXELS_AFTER = re.compile(rf"({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*(?:px|pix|pixels?)$", re.I)
_GALACTIC = re.compile(
    rf"(?:gal(?:actic)?|g|l)\s*[=:]?\s*({_NUMBER})°?\s*[,;\s]?\s*(?:b\s*[=:]?\s*)?({_NUMBER})°?$", re.I
)
_DEGREES = re.compile(rf"({_NUMBER})\s*[°d]?\s*[,;\s]\s*({_NUMBER})\s*[°d]?$")
_DESIGNATION = re.compile(r"(?:.*\s)?J?(\d{2})(\d{2})(\d{2}(?:\.\d*)?)([+-]\d{2})(\d{2})(\d{2}(?:\.\d*)?)$")
_HELP = "write RA and Dec (10:02:14.3 +02:30:20, or 150.56 +2.51), l 236.8 b 42.1, px 1024 2048, or a candidate"


@dataclass(frozen=True, slots=True)
class Place:
    """A position that was typed: ICRS degrees, or pixels counted from 0 where ``in_pixels``."""

    first: float
    second: float
    in_pixels: bool = False


def parse_position(text: str, *, has_sky: bool = True) -> Place:
    """Read a position as people write it.

    Taken are RA and Dec in sexagesimal notation (with colons, spaces, or h, m, s and d) or in degrees, a designation
    such as ``J100214.3+023020``, Galactic coordinates after ``l`` or ``gal``, and pixels after ``px``. Two bare
    numbers are degrees, or pixels where ``has_sky`` is false.

    Raises
    ------
    DataError : it is no position, or one beyond the sky; the message says how to write one
    """
    text = " ".join(text.strip().split()).replace("−", "-")
    pixels = _PIXELS.match(text) or _PIXELS_AFTER.match(text)
    plain = _DEGREES.match(text)
    if pixels or (plain and not has_sky):
        x, y = (float(number) for number in (pixels or plain).groups())  # type: ignore[union-attr]
        return Place(x, y, in_pixels=True)
    if not has_sky:
        raise DataError(f"“{text}” is no pixel position, and this mosaic has no WCS: write x and y, such as 1024 2048")
    galactic = _GALACTIC.match(text)
    if galactic:
        longitude, latitude = _checked(text, *(float(number) for number in galactic.groups()))
        ra, dec = from_frame(np.array([[longitude, latitude]]), "galactic")[0]
        return Place(float(ra), float(dec))
    if plain:
        return Place(*_checked(text, *(float(number) for number in plain.groups())))
    return _sexagesimal(text)


def _sexagesimal(text: str) -> Place:
    from astropy.coordinates import SkyCoord

    designation = _DESIGNATION.match(text)
    if designation:
        text = "{}:{}:{} {}:{}:{}".format(*designation.groups())
    if not any(character.isdigit() for character in text):
        raise DataError(f"“{text}” is neither a candidate nor a position: {_HELP}")
    try:
        sky = SkyCoord(text.replace(",", " "), unit=("hourangle", "deg"))
        return Place(float(sky.ra.deg), float(sky.dec.deg))
    except (ValueError, TypeError) as error:  # astropy's own errors of angles are ValueErrors
        raise DataError(f"“{text}” is no position: {_HELP}") from error


def _checked(text: str, longitude: float, latitude: float) -> tuple[float, float]:
    if not (-360 <= longitude <= 360 and -90 <= latitude <= 90):
        raise DataError(f"“{text}” lies beyond the sky: write px before a pixel position, such as px {text}")
    return longitude % 360, latitude


def to_frame(radec: Positions, frame: Frame) -> Positions:
    """Positions (n, 2) ICRS degrees as longitude and latitude of a frame, degrees."""
    if frame == "icrs":
        return radec
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(radec[:, 0], radec[:, 1], unit="deg").galactic
    return np.column_stack([sky.l.deg, sky.b.deg])


def from_frame(lonlat: Positions, frame: Frame) -> Positions:
    """Longitudes and latitudes (n, 2) of a frame as ICRS degrees."""
    if frame == "icrs":
        return lonlat
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(lonlat[:, 0], lonlat[:, 1], unit="deg", frame="galactic").icrs
    return np.column_stack([sky.ra.deg, sky.dec.deg])


def separation(start: Positions, end: Positions) -> tuple[float, float]:
    """Distance in arcsec and position angle in degrees, east of north, from one position (2,) to another (2,).

    Both are ICRS degrees. The distance is Vincenty's (1975, Survey Review 23, 88) on the sphere, exact for the
    smallest and the largest; NaN where a position is.
    """
    (ra0, dec0), (ra1, dec1) = np.radians(start), np.radians(end)
    turn = ra1 - ra0
    east = np.cos(dec1) * np.sin(turn)
    north = np.cos(dec0) * np.sin(dec1) - np.sin(dec0) * np.cos(dec1) * np.cos(turn)
    along = np.sin(dec0) * np.sin(dec1) + np.cos(dec0) * np.cos(dec1) * np.cos(turn)
    distance = np.degrees(np.arctan2(np.hypot(east, north), along)) * 3600
    return float(distance), float(np.degrees(np.arctan2(east, north)) % 360)
