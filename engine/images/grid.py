"""Lines of equal right ascension and declination over a mosaic, and where north and east are.

A line is sampled on the sky and put through the WCS, so that it is right at the poles, across RA 0 and in rotated,
flipped or distorted fields. What part of the sky is in view is told from a lattice of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.images.positions import Frame, from_frame, to_frame
from engine.types import Mosaic, Positions

Notation = Literal["sexagesimal", "degrees"]
Axis = Literal["longitude", "latitude"]
Box = tuple[float, float, float, float]

_LATTICE = 25  # points along each side of the view
_SAMPLES = 49  # points along a line
_WIDE = 2.0  # degrees of longitude between points of a parallel, at most
_SIXTIETHS = (1, 2, 5, 10, 20, 30)
_FINEST = 1e-4  # arcsec


@dataclass(frozen=True, slots=True, eq=False)
class GridLine:
    """A line of equal longitude or latitude: ``value`` in degrees, ``xy`` (n, 2) pixels with NaN where it breaks."""

    axis: Axis
    value: float
    label: str
    xy: Positions


@dataclass(frozen=True, slots=True, eq=False)
class Orientation:
    """Unit vectors (x, y) in pixels to the north and to the east at a place of the mosaic."""

    north: tuple[float, float]
    east: tuple[float, float]


def orientation(mosaic: Mosaic, x: float, y: float) -> Orientation | None:
    """Where north and east are at a pixel position, None where it is not on the sky.

    The neighbours are taken along tangents of the sphere, so that this holds beside a pole as well.
    """
    ra, dec = np.radians(mosaic.world(np.array([[x, y]]))[0])
    if not math.isfinite(ra):
        return None
    here = np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
    north = np.array([-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec)])
    east = np.array([-math.sin(ra), math.cos(ra), 0.0])
    step = math.radians(5 * (mosaic.pixel_scale or 1.0) / 3600)
    sky = np.stack([here - step * north, here + step * north, here - step * east, here + step * east])
    radec = np.degrees(np.column_stack([np.arctan2(sky[:, 1], sky[:, 0]), np.arcsin(sky[:, 2] / _length(sky))]))
    pixels = mosaic.pixel(radec)
    to_north, to_east = pixels[1] - pixels[0], pixels[3] - pixels[2]
    lengths = np.hypot(*to_north), np.hypot(*to_east)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        return None
    (n_x, n_y), (e_x, e_y) = to_north / lengths[0], to_east / lengths[1]
    return Orientation((float(n_x), float(n_y)), (float(e_x), float(e_y)))


def _length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(vectors, axis=1))


def coordinate_grid(
    mosaic: Mosaic, box: Box, *, frame: Frame = "icrs", notation: Notation = "sexagesimal", count: float = 5
) -> tuple[GridLine, ...]:
    """Lines of equal longitude and latitude that cross a box of pixels.

    Parameters
    ----------
    box : x0, x1, y0, y1 in pixels
    frame : "icrs" for RA and Dec, "galactic" for l and b
    notation : of the labels; sexagesimal is for ICRS alone
    count : how many lines of each kind there are, about

    Returns
    -------
    The lines, meridians first; none where the box is not on the sky.
    """
    x, y = (np.linspace(box[k], box[k + 1], _LATTICE) for k in (0, 2))
    lattice = np.column_stack([part.ravel() for part in np.meshgrid(x, y)])
    sky = mosaic.world(lattice)
    sky = to_frame(sky[np.isfinite(sky).all(axis=1)], frame)
    if len(sky) < 4:
        return ()
    south, north = float(sky[:, 1].min()), float(sky[:, 1].max())
    near = [sign for sign in (1, -1) if 90 - max(sign * south, sign * north) < 2 * (north - south)]
    pole = _poles_inside(mosaic, box, frame, near) if near else set()
    margin = (north - south) / _LATTICE
    south = -90.0 if -1 in pole else max(south - margin, -90.0)
    north = 90.0 if 1 in pole else min(north + margin, 90.0)
    west, width = (0.0, 360.0) if pole else _span(sky[:, 0])
    in_hours = frame == "icrs" and notation == "sexagesimal"
    steps = (
        _step(width / (2 * count if pole else count), hours=in_hours, sixtieths=in_hours),
        _step((north - south) / count, hours=False, sixtieths=in_hours),
    )
    meridians = _multiples(west, west + width, steps[0])[: round(360 / steps[0])]
    parallels = _multiples(south, north, steps[1])
    along = np.linspace(south, north, _SAMPLES)
    around = west + np.linspace(0, width, max(_SAMPLES, math.ceil(width / _WIDE) + 1))
    paths = [np.column_stack([np.full_like(along, value), along]) for value in meridians]
    paths += [np.column_stack([around, np.full_like(around, value)]) for value in parallels if abs(value) < 90]
    labels = [longitude_label(value, steps[0], in_hours) for value in meridians]
    labels += [latitude_label(value, steps[1], in_hours) for value in parallels if abs(value) < 90]
    axes: list[Axis] = ["longitude"] * len(meridians)
    axes += ["latitude"] * (len(paths) - len(meridians))
    values = [value % 360 for value in meridians] + [value for value in parallels if abs(value) < 90]
    return tuple(
        GridLine(axis, value, label, xy)
        for axis, value, label, xy in zip(axes, values, labels, _project(mosaic, paths, frame, box), strict=True)
    )


def _poles_inside(mosaic: Mosaic, box: Box, frame: Frame, signs: Sequence[int]) -> set[int]:
    """Which poles of a frame (1 for the north, -1 for the south) lie in a box of pixels, of those asked for."""
    lonlat = np.array([[0.0, 90.0 * sign] for sign in signs])
    xy = mosaic.pixel(from_frame(lonlat, frame))
    inside = set()
    for sign, place in zip(signs, xy, strict=True):
        if np.isfinite(place).all() and box[0] <= place[0] <= box[1] and box[2] <= place[1] <= box[3]:
            back = to_frame(mosaic.world(place[None]), frame)[0]
            if abs(back[1] - 90 * sign) < 0.01:  # some projections put what is behind the sky somewhere all the same
                inside.add(sign)
    return inside


def _span(longitudes: NDArray[np.float64]) -> tuple[float, float]:
    """Where a set of longitudes begins, and how wide it is: the circle less its widest gap."""
    ordered = np.sort(longitudes % 360)
    gaps = np.diff(np.append(ordered, ordered[0] + 360))
    widest = int(np.argmax(gaps))
    width = 360 - float(gaps[widest])
    margin = width / _LATTICE
    return float(ordered[(widest + 1) % len(ordered)]) - margin, min(width + 2 * margin, 360.0)


def _step(at_least: float, *, hours: bool, sixtieths: bool) -> float:
    """The smallest round step not below a number of degrees: of hours, of degrees and their sixtieths, or decimal."""
    if not sixtieths:
        power = 10.0 ** math.floor(math.log10(max(at_least, _FINEST / 3600)))
        whole = (1, 2, 5, 10) if power < 10 else (1, 2, 3, 4.5, 9, 18)
        return next(k * power for k in whole if k * power >= at_least * (1 - 1e-9))
    unit = 15.0 if hours else 1.0
    wanted = at_least / unit * 3600
    if wanted < 1:
        power = 10.0 ** math.floor(math.log10(max(wanted, _FINEST)))
        return next(k * power for k in (1, 2, 5, 10) if k * power >= wanted * (1 - 1e-9)) * unit / 3600
    steps = [k * size for size in (1, 60) for k in _SIXTIETHS]
    steps += [3600 * k for k in ((1, 2, 3, 6) if hours else (1, 2, 5, 10, 20, 30, 45))]
    return next((s for s in steps if s >= wanted * (1 - 1e-9)), steps[-1]) * unit / 3600


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _project(mosaic: Mosaic, paths: Sequence[Positions], frame: Frame, box: Box) -> list[Positions]:
    """Pixels of lines on the sky; NaN where a line leaves the sky, jumps, or is far from the box."""
    if not paths:
        return []
    xy = mosaic.pixel(from_frame(np.concatenate(paths), frame))
    size = max(box[1] - box[0], box[3] - box[2])
    centre = np.array([(box[0] + box[1]) / 2, (box[2] + box[3]) / 2])
    with np.errstate(invalid="ignore"):
        xy[~(np.abs(xy - centre).max(axis=1) < 3 * size)] = np.nan
    lines = []
    for line in np.split(xy, np.cumsum([len(path) for path in paths])[:-1]):
        with np.errstate(invalid="ignore"):
            jumps = np.flatnonzero(np.hypot(*np.diff(line, axis=0).T) > size) + 1
        lines.append(np.insert(line, jumps, np.nan, axis=0))
    return lines


def longitude_label(value: float, step: float, in_hours: bool) -> str:
    """A longitude with the digits its step needs, such as ``14h22m10s`` or ``215.55°``."""
    if not in_hours:
        return f"{value % 360:.{_decimals(step)}f}°"
    decimals = _decimals(step / 15 * 3600)
    units = round(value % 360 / 15 * 3600 * 10**decimals) % (86400 * 10**decimals)
    return _sixtieths(units, decimals, step / 15 * 3600, ("h", "m", "s"))


def latitude_label(value: float, step: float, sixtieths: bool) -> str:
    """A latitude with the digits its step needs, such as ``+52°46′`` or ``+52.78°``."""
    if not sixtieths:
        return f"{value:+.{_decimals(step)}f}°"
    decimals = _decimals(step * 3600)
    units = round(abs(value) * 3600 * 10**decimals)
    sign = "-" if value < 0 and units else "+"
    return sign + _sixtieths(units, decimals, step * 3600, ("°", "′", "″"))


def _sixtieths(units: int, decimals: int, step: float, names: tuple[str, str, str]) -> str:
    """Whole, minutes and seconds of a count of the smallest digit; those smaller than the step are left out."""
    scale = 10**decimals
    minutes, seconds = divmod(units, 60 * scale)
    whole, minutes = divmod(minutes, 60)
    text = f"{whole:02d}{names[0]}"
    if step < 3600:
        text += f"{minutes:02d}{names[1]}"
    if step < 60:
        text += f"{seconds / scale:0{3 + decimals if decimals else 2}.{decimals}f}{names[2]}"
    return text


def _decimals(step: float) -> int:
    """Digits after the point that tell multiples of a step apart."""
    return next((k for k in range(9) if abs(step * 10**k - round(step * 10**k)) < 1e-6 * step * 10**k), 9)
