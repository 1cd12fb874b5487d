"""Candidates as pictures: the views of a report, and what else is said of them there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.catalogue import Opinion, Project
from engine.catalogue.known import matches
from engine.catalogue.scheme import Scheme
from engine.export.columns import described
from engine.export.consensus import agreed
from engine.images import scaling
from engine.images.cutouts import cut
from engine.models.preprocess import prepare
from engine.types import Candidate, FloatArray, Mosaic

_PIXELS = 96  # of a stamp
_WIDTH = 16.0  # arcsec across a stamp, where the pixel scale is known
_BATCH = 25
_BRIGHTER = 5.0  # how much the second view lifts the faint

Picture = NDArray[np.uint8]
Views = list[tuple[str, Picture]]


def views(mosaic: Mosaic, rows: Sequence[Candidate]) -> Iterator[tuple[Candidate, Views]]:
    """Title and picture of each view of each candidate of a mosaic; pictures begin with the row on top."""
    scale = 1.0 if mosaic.pixel_scale is None else max(_WIDTH / _PIXELS, mosaic.pixel_scale / 2)
    across = f"{scale * _PIXELS:.0f}″" if mosaic.pixel_scale is not None else f"{_PIXELS} px"
    for first in range(0, len(rows), _BATCH):
        part = rows[first : first + _BATCH]
        positions = np.array([(row.x, row.y) for row in part], np.float64)
        cutouts = cut(mosaic, positions, size=_PIXELS, pixel_scales=(scale,))
        residual = prepare(cutouts.pixels.mean(2, keepdims=True), ("residual",))[:, 0, 0]
        for row, pixels, rest in zip(part, cutouts.pixels[:, 0], residual, strict=True):
            yield (
                row,
                [
                    (f"{_title(mosaic)}, {across}", picture(pixels, 1.0)),
                    ("brighter", picture(pixels, _BRIGHTER)),
                    ("residual", _grey(rest, (-1.5, 2.5))),
                ],
            )


def all_views(
    rows: Sequence[Candidate], mosaics: Sequence[Mosaic], found: dict[int, Views]
) -> Iterator[tuple[int, int]]:
    """Fill ``found`` with the views of each candidate whose mosaic is there; yields how many of how many are made."""
    here = {mosaic.id: [row for row in rows if row.mosaic == mosaic.id] for mosaic in mosaics}
    total = sum(len(part) for part in here.values())
    for mosaic in mosaics:
        for row, pictures in views(mosaic, here[mosaic.id]):
            found[row.id] = pictures
            yield len(found), total


def _title(mosaic: Mosaic) -> str:
    return ", ".join(reversed(mosaic.bands[:3])) if len(mosaic.bands) >= 3 else mosaic.bands[0]


def picture(pixels: FloatArray, lift: float = 1.0) -> Picture:
    """Three bands (blue first, as surveys list them) in colour after Lupton et al. (2004), else the first in grey.

    ``pixels`` is (band, y, x); the picture has its last row on top, as the sky is drawn.
    """
    if len(pixels) >= 3:
        blue, green, red = pixels[:3]
        noises = [scaling.background(band)[1] for band in (red, green, blue)]
        red_gain, green_gain, blue_gain = (1 / noise if noise > 0 else 1.0 for noise in noises)
        weights = (red_gain, green_gain, blue_gain)
        return np.ascontiguousarray(scaling.lupton_rgb(red, green, blue, alpha=0.08 * lift, weights=weights)[::-1])
    sky, noise = scaling.background(pixels[0])
    if not np.isfinite(sky):
        return _grey(pixels[0], (0.0, 1.0))
    high = max(float(np.nanpercentile(pixels[0], 99.8)), sky + 15 * noise)
    return _grey(pixels[0], (sky - noise, sky + (high - sky) / lift))


def _grey(plane: FloatArray, limits: tuple[float, float]) -> Picture:
    grey = scaling.as_bytes(scaling.stretch(plane, "asinh", limits, softening=0.4, missing=0.25))
    return np.ascontiguousarray(grey[::-1])


def remarks(project: Project, rows: Sequence[Candidate]) -> Mapping[int, tuple[str, ...]]:
    """What a project says of candidates beside their rows: what each of several graders said, and who published.

    Where there are several, their mean worth and its scatter go with it, and what the team agreed on.
    """
    ids = [row.id for row in rows]
    said, known, scheme = project.opinions(ids), matches(project, ids), project.scheme()
    found = {}
    for number in ids:
        lines = _together(said[number], scheme)
        lines += [described(one) for one in known[number]]
        found[number] = tuple(lines)
    return found


def _together(said: Sequence[Opinion], scheme: Scheme) -> list[str]:
    graded = [one for one in said if one.grade is not None]
    lines = []
    if len(graded) > 1:
        words = [f"{one.grader}: {one.grade}{f' ({one.subclass})' if one.subclass else ''}" for one in graded]
        worth = np.array([value for one in graded if (value := scheme.value(one.grade)) is not None])
        spread = f" (mean {worth.mean():.1f}, scatter {worth.std():.1f})" if len(worth) > 1 else ""
        lines.append("; ".join(words) + spread)
    word = agreed(said)
    return [*lines, f"agreed: {word}"] if word else lines
