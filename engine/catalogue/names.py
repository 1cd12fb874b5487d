"""Names of candidates, made from where they are."""

from __future__ import annotations

from math import floor

#: Guards a position such as 9.17 s, stored as 9.1699999..., against losing its last digit; 1e-6 of that digit.
_ROUNDING = 1e-6


def iau_name(ra: float, dec: float) -> str:
    """The IAU-style designation of a sky position, such as ``DLG J142209.17+524652.1``.

    ``ra`` and ``dec`` are ICRS degrees. The digits are truncated, not rounded, as the IAU asks
    (https://cdsweb.u-strasbg.fr/Dic/iau-spec.html), so that a name is the corner of the box the object is in.
    """
    hundredths = floor(ra % 360 * 24000 + _ROUNDING) % 8_640_000
    tenths = floor(abs(dec) * 36000 + _ROUNDING)
    hours, minutes, seconds = hundredths // 360_000, hundredths // 6000 % 60, hundredths % 6000
    degrees, arcminutes, arcseconds = tenths // 36_000, tenths // 600 % 60, tenths % 600
    sign = "-" if dec < 0 else "+"
    return (
        f"DLG J{hours:02d}{minutes:02d}{seconds // 100:02d}.{seconds % 100:02d}"
        f"{sign}{degrees:02d}{arcminutes:02d}{arcseconds // 10:02d}.{arcseconds % 10}"
    )


def pixel_name(stem: str, x: float, y: float) -> str:
    """The name of a position without a WCS, such as ``field_x0992y0799``: the file's stem and the nearest pixel."""
    return f"{stem}_x{max(floor(x + 0.5), 0):04d}y{max(floor(y + 0.5), 0):04d}"
