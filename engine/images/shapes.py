"""DS9 region files as shapes in pixels of a mosaic, read by the regions package."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.types import Mosaic, Positions

ShapeKind = Literal["closed", "open", "point", "text"]

_TURN = np.linspace(0, 2 * np.pi, 65)
_COLOURS = {"green": "#00ff00", "blue": "#4f7cff"}  # DS9's green is pure, and its blue unreadable on a dark sky
_DEFAULT = "#00ff00"
_SYSTEMS = re.compile("physical|amplifier|detector|linear|wcs", re.IGNORECASE)  # of coordinates, which are not read


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A region: ``xy`` (n, 2) pixels, one for "point" and "text"; ``excluded`` where DS9 has a minus before it."""

    kind: ShapeKind
    xy: Positions
    colour: str = _DEFAULT
    text: str = ""
    excluded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RegionFile:
    """The shapes of a file, and in words what of it could not be shown."""

    path: Path
    shapes: tuple[Shape, ...]
    notes: tuple[str, ...] = field(default=())


def read_regions(path: Path | str, mosaic: Mosaic) -> RegionFile:
    """Read a DS9 region file (or one of the FITS standard) for a mosaic.

    Circles, ellipses, boxes, polygons, annuli, lines, points and texts are taken, in sky or image coordinates, in
    their colours. Those elsewhere on the sky are left out, with a note. Curves in sky coordinates are put through the
    WCS by the scale and angle at their centre.

    Raises
    ------
    DataError : the file cannot be read, holds no region of this part of the sky, or needs a WCS that the mosaic lacks
    """
    from regions import Regions, SkyRegion

    path = Path(path)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        try:
            found = Regions.read(path, format="fits" if path.suffix.lower() in (".fits", ".fit") else "ds9")
        except (OSError, ValueError, KeyError, TypeError, IndexError, UnicodeDecodeError) as error:
            raise DataError(f"{path.name} cannot be read as DS9 regions ({error}): save it from DS9 again") from error
    on_sky = [region for region in found if isinstance(region, SkyRegion)]
    if on_sky and mosaic.wcs is None:
        raise DataError(f"{path.name} is in sky coordinates and {mosaic.name} has no WCS: save it in image coordinates")
    elsewhere = {id(region) for region, here in zip(on_sky, _on_mosaic(on_sky, mosaic), strict=True) if not here}
    shapes: list[Shape] = []
    left_out, unread = _left_out([str(remark.message) for remark in remarks])
    for region in found:
        if id(region) not in elsewhere:
            made = list(_shapes(region.to_pixel(mosaic.wcs) if isinstance(region, SkyRegion) else region))
            shapes += made
            left_out += not made
    notes = []
    if elsewhere:
        notes.append(f"{len(elsewhere):,} of {len(found):,} regions of {path.name} lie elsewhere on the sky")
    if unread:
        notes.append(
            f"Coordinates of {path.name} that are not read: {unread}; save it in fk5, icrs or image coordinates"
        )
    if left_out:
        notes.append(f"{left_out} regions of {path.name} are of kinds that are not shown")
    if not shapes and (elsewhere or unread):
        raise DataError("; ".join(notes))
    if not shapes:
        raise DataError(f"{path.name} holds no region that can be shown: save circles, boxes, polygons or the like")
    return RegionFile(path, tuple(shapes), tuple(notes))


def _left_out(remarks: Sequence[str]) -> tuple[int, str]:
    """How many regions are of kinds that are not read, and the systems of coordinates that are not."""
    words = [remark.split('"')[1] for remark in remarks if "not supported" in remark and '"' in remark]
    unread = [word for word in words if _SYSTEMS.match(word)]
    return len(words) - len(unread), ", ".join(dict.fromkeys(unread))


def _on_mosaic(regions: Sequence[Any], mosaic: Mosaic) -> NDArray[np.bool_]:
    """Whether regions in sky coordinates come as near to a mosaic as it is wide.

    Those farther off may have no pixel at all, and a catalogue of the whole sky would take long, one by one.
    """
    from astropy.coordinates import SkyCoord

    points: dict[str, list[tuple[int, Any]]] = {}
    for number, region in enumerate(regions):
        for part in ("center", "vertices", "start", "end"):
            if (point := getattr(region, part, None)) is not None:
                points.setdefault(point.frame.name, []).append((number, point))
    first, last = np.full((len(regions), 2), np.inf), np.full((len(regions), 2), -np.inf)
    for pairs in points.values():
        numbers = np.concatenate([np.full(np.size(point), number) for number, point in pairs])
        sky = [np.concatenate([np.atleast_1d(getattr(point.spherical, axis).deg) for _, point in pairs])
               for axis in ("lon", "lat")]  # fmt: skip
        radec = SkyCoord(*sky, unit="deg", frame=pairs[0][1].frame.replicate_without_data()).icrs
        xy = mosaic.pixel(np.column_stack([radec.ra.deg, radec.dec.deg]))
        np.minimum.at(first, numbers, xy)  # NaN stays
        np.maximum.at(last, numbers, xy)
    reach = np.array([_reach(region) for region in regions]).reshape(-1, 1) / (mosaic.pixel_scale or 1.0) + max(
        mosaic.shape
    )
    size = np.array(mosaic.shape[::-1])
    return np.asarray(np.all((last + reach > 0) & (first - reach < size), axis=1))


def _reach(region: Any) -> float:
    """How far a region in sky coordinates reaches from its centre at most, arcsec."""
    sizes = ("radius", "width", "height", "outer_radius", "outer_width", "outer_height")
    return max(
        (float(getattr(region, size).to_value("arcsec")) for size in sizes if hasattr(region, size)), default=0.0
    )


def _shapes(region: Any) -> Iterator[Shape]:
    """The shapes of a region in pixels: two for an annulus, none for a kind that is not known."""
    visual, meta = region.visual, region.meta
    colour = str(visual.get("edgecolor") or visual.get("color") or _DEFAULT)
    style: dict[str, Any] = {
        "colour": _COLOURS.get(colour, colour),
        "text": str(meta.get("text") or meta.get("label") or ""),
        "excluded": not meta.get("include", True),
    }
    kind = type(region).__name__.removesuffix("PixelRegion")
    if kind in ("Text", "Point"):
        words = str(getattr(region, "text", "")) or style["text"]
        place = np.array([[region.center.x, region.center.y]], np.float64)
        yield Shape("text" if kind == "Text" else "point", place, **(style | {"text": words}))
    elif kind == "Polygon" or kind == "Rectangle":
        corners = region.vertices.xy if kind == "Polygon" else np.transpose(region.corners)
        yield Shape("closed", np.asarray(corners, np.float64).T, **style)
    elif kind == "Line":
        yield Shape("open", np.array([[p.x, p.y] for p in (region.start, region.end)], np.float64), **style)
    else:
        for width, height in _sizes(region, kind):
            xy = _ellipse if kind.startswith(("Circle", "Ellipse")) else _rectangle
            yield Shape("closed", xy(region, width, height), **style)
            style["text"] = ""  # once is enough


def _sizes(region: Any, kind: str) -> list[tuple[float, float]]:
    """Full widths and heights of the curves of a round region or an annulus."""
    if kind == "Circle":
        return [(2 * region.radius, 2 * region.radius)]
    if kind == "Ellipse":
        return [(region.width, region.height)]
    if kind == "CircleAnnulus":
        return [(2 * radius, 2 * radius) for radius in (region.outer_radius, region.inner_radius)]
    if kind in ("EllipseAnnulus", "RectangleAnnulus"):
        return [(region.outer_width, region.outer_height), (region.inner_width, region.inner_height)]
    return []


def _ellipse(region: Any, width: float, height: float) -> Positions:
    return _turned(region, np.column_stack([np.cos(_TURN) * width, np.sin(_TURN) * height]) / 2)


def _rectangle(region: Any, width: float, height: float) -> Positions:
    return _turned(region, np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2))


def _turned(region: Any, offsets: Positions) -> Positions:
    """Offsets from the centre, turned by the angle of the region."""
    angle = float(getattr(getattr(region, "angle", None), "rad", 0.0))
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(offsets @ np.array([[cosine, sine], [-sine, cosine]]) + (region.center.x, region.center.y))
