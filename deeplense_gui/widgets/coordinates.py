"""Positions, angles and values as an astronomer reads them; plain text, no widgets."""

from __future__ import annotations

import math

_NICE_ANGLES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 36000)


def sexagesimal(ra: float, dec: float) -> str:
    """``14:22:09.17 +52:46:52.1`` for ICRS degrees."""
    seconds = round(ra % 360 / 15 * 3600, 2) % 86400
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    arcsec = round(abs(dec) * 3600, 1)
    degrees, rest = divmod(arcsec, 3600)
    arcmin, arcsec = divmod(rest, 60)
    sign = "-" if dec < 0 else "+"
    return f"{hours:02.0f}:{minutes:02.0f}:{seconds:05.2f} {sign}{degrees:02.0f}:{arcmin:02.0f}:{arcsec:04.1f}"


def in_degrees(ra: float, dec: float) -> str:
    """``215.53821° +52.78114°`` for ICRS degrees."""
    return f"{ra:.5f}° {dec:+.5f}°"


def galactic(longitude: float, latitude: float) -> str:
    """``l 236.82115° b +42.13023°`` for Galactic degrees."""
    return f"l {longitude:.5f}° b {latitude:+.5f}°"


def region(ra: float, dec: float, radius: float = 3.0) -> str:
    """A circle of ``radius`` arcsec around ICRS degrees, as a line of a DS9 region file."""
    return f'icrs;circle({ra:.7f},{dec:.7f},{radius:g}")'


def number(value: float) -> str:
    """Four significant digits, in powers of ten where needed; a dash for NaN."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        return f"{value:.3e}"
    return f"{value:.0f}" if size >= 1e4 else f"{value:.4g}"  # counts of a detector are read as they are


def angle(arcsec: float) -> str:
    """``5″``, ``2′`` or ``1°``."""
    for unit, size in (("°", 3600), ("′", 60)):
        if arcsec >= size:
            return f"{arcsec / size:g}{unit}"
    return f"{arcsec:g}″"


def nice_length(at_most: float, *, angular: bool) -> float:
    """The largest round length not above ``at_most``: of an angle in arcsec, or of a number of pixels."""
    if angular:
        below = [size for size in _NICE_ANGLES if size <= at_most]
        if below:
            return below[-1]
    power = 10 ** math.floor(math.log10(at_most))
    return max(step * power for step in (1, 2, 5) if step * power <= at_most * (1 + 1e-9))
