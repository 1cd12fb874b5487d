"""The views of a stamp: colours and stretches side by side, all from the same pixels.

Brightness is counted in units of the noise, which is that of the survey where it is known, and so is white in the
colours: stamps of one survey look alike whatever lies in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deeplense_gui import style
from deeplense_gui.widgets.colours import Packed, pack, packed_colour, packed_ramp
from deeplense_gui.widgets.stamp import Picture
from deeplense_gui.widgets.survey_levels import Levels
from engine.images import scaling
from engine.types import FloatArray

_FAINT = 2.0  # noise: below it the stretch is linear
_BELOW_SKY = 1.5  # noise: what is darker is black with MTF
_BLUER = (0.7, 1.0, 1.5)  # gains of red, green and blue
RESIDUAL = "residual"
PICTURES = (("grey",), ("blue", "green", "red"))  # bands of PNG and JPEG, which are stretched already
View = tuple[str, str, Callable[[], Packed]]  # title, tip, and what makes the pixels


def in_noise(plane: FloatArray, usual: tuple[float, float] | None = None) -> FloatArray:
    """A plane (y, x) minus its sky, in units of its noise, which lies between the limits of what is usual."""
    sky, noise = scaling.background(plane)
    if not np.isfinite(sky):
        return plane
    if usual is not None:
        noise = min(max(noise, usual[0]), usual[1])
    scaled: FloatArray = np.subtract(plane, np.float32(sky), dtype=np.float32)
    scaled /= np.float32(noise or np.nanstd(plane) or 1.0)
    return scaled


def bright_end(plane: FloatArray) -> float:
    """Where white begins, in units of noise: the brightest but one in five hundred, 15 at least."""
    finite = plane[np.isfinite(plane)]
    return max(scaling.percentile(finite, 99.8), 15.0) if finite.size else 15.0


def asinh(plane: FloatArray, end: float, *, dark: float = -1.0, faint: float = _FAINT) -> FloatArray:
    """Brightness 0..1 of a plane in units of noise, linear about the sky and logarithmic above."""
    low, high = math.asinh(dark / faint), math.asinh(end / faint)
    part = np.clip(plane, np.float32(dark), np.float32(end)) / np.float32(faint)
    bright: FloatArray = np.log(part + np.sqrt(part * part + 1))  # four times as fast as numpy's arcsinh
    bright -= np.float32(low)
    bright /= np.float32(high - low)
    return np.clip(bright, 0, 1, out=bright)


def single(bright: FloatArray) -> Packed:
    """A brightness (y, x) of 0..1 in grey, turned over: the first row is the top; no data in a muted colour."""
    turned = bright[::-1]
    whole = np.isfinite(turned.sum())  # one quick pass, where most stamps miss nothing
    missing = None if whole else ~np.isfinite(turned)
    levels = (turned if missing is None else np.where(missing, 0, turned)) * 255
    pixels: Packed = packed_ramp("gray").take(np.rint(levels, out=levels).astype(np.uint8))
    if missing is not None:
        pixels[missing] = packed_colour(style.theme().no_data)
    return pixels


def diverging(values: FloatArray, end: float) -> Packed:
    """Values about 0 from blue over black to orange, turned over; no data in a muted colour."""
    scaled = np.clip(np.nan_to_num(values[::-1]) / end, -1, 1)
    above, below = np.clip(scaled, 0, 1)[..., None], np.clip(-scaled, 0, 1)[..., None]
    colours = above**0.8 * np.array([255, 214, 150]) + below**0.8 * np.array([70, 120, 255])
    pixels = pack(np.clip(colours, 0, 255).astype(np.uint8))
    pixels[~np.isfinite(values[::-1])] = packed_colour(style.theme().no_data)
    return pixels


def lupton(planes: FloatArray, end: float, *, gains: Sequence[float] = (1, 1, 1)) -> Packed:
    """Red, green and blue (3, y, x) in units of noise as colours: the mean is stretched, ratios stay, turned over."""
    planes = planes[:, ::-1]
    missing = ~np.isfinite(planes).all(axis=0)
    planes = np.nan_to_num(planes) * np.array(gains, np.float32)[:, None, None]
    mean = planes.mean(axis=0)
    gain = asinh(mean, end, dark=-0.5) / np.maximum(mean + 0.5, 1e-3)
    colours = np.clip((planes + 0.5) * gain, 0, None)
    colours *= 255 / np.maximum(colours.max(axis=0), 1)
    pixels = pack(colours.transpose(1, 2, 0).astype(np.uint8))
    pixels[missing] = packed_colour(style.theme().no_data)
    return pixels


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """What the pictures of a stamp are made of.

    ``values`` is (band, n, n); ``colour`` the bands of red, green and blue, empty for none; ``side`` spans the stamp in
    ``unit`` and ``shift`` is how far the middle pixel lies from the candidate; ``lift`` divides the brightness at which
    white begins; ``levels`` are those of the survey, None for those of the stamp.
    """

    values: FloatArray
    bands: tuple[str, ...]
    colour: tuple[int, ...]
    side: float
    unit: str = "″"
    shift: tuple[float, float] = (0.0, 0.0)
    lift: float = 1.0
    levels: Levels | None = None

    def picture(self, view: View) -> Picture:
        """One of the views."""
        title, tip, paint = view
        return Picture(title, tip, paint(), self.side, self.unit, *self.shift)


def make_pictures(pixels: Pixels) -> list[Picture]:
    """All views of a stamp."""
    return [pixels.picture(view) for view in _views(pixels)]


def make_picture(pixels: Pixels, title: str) -> Picture:
    """The view of a title alone, for a thumbnail; the first one where there is none of that title."""
    views = _views(pixels)
    return pixels.picture(next((view for view in views if view[0] == title), views[0]))


def titles(bands: Sequence[str], colour: Sequence[int]) -> list[str]:
    """The titles of the views that a stamp of these bands has."""
    nothing = np.zeros((len(bands), 1, 1), np.float32)
    return [title for title, _, _ in _views(Pixels(nothing, tuple(bands), tuple(colour), 1.0))]


def _views(pixels: Pixels) -> list[View]:
    bands, lift = pixels.bands, pixels.lift
    stored: list[View] = [("picture", "The picture as it was stored", partial(_as_stored, pixels.values))]
    usual = [None] * len(bands) if pixels.levels is None else pixels.levels.noise
    scaled = np.stack([in_noise(plane, limits) for plane, limits in zip(pixels.values, usual, strict=True)])
    mean = _mean(scaled)
    end = bright_end(mean) / lift
    white = end if pixels.levels is None else pixels.levels.white / lift
    coloured = bool(pixels.colour)
    views = [
        *(stored if bands in PICTURES else ()),
        *(_colours(scaled, pixels, white) if coloured else ()),
        *_stretches(mean, bands, end, lift, coloured),
    ]
    if len(bands) > 1:
        views += [
            (band, f"{band} band, asinh stretch", partial(_band, plane, lift))
            for band, plane in zip(bands, scaled, strict=True)
        ]
    return views


def _as_stored(planes: FloatArray) -> Packed:
    """Levels of 0 to 255 (deeper ones scaled to their peak) as they are, turned over."""
    peak = float(np.nanmax(planes, initial=0.0))
    levels = np.clip(planes[::-1, ::-1] * (255 / peak if peak > 255 else 1.0), 0, 255)
    colours = np.repeat(levels, 3, axis=0) if len(levels) == 1 else levels
    pixels = pack(np.nan_to_num(colours).transpose(1, 2, 0).astype(np.uint8))
    pixels[~np.isfinite(levels).all(axis=0)] = packed_colour(style.theme().no_data)
    return pixels


def _band(plane: FloatArray, lift: float) -> Packed:
    return single(asinh(plane, bright_end(plane) / lift))


def residual_picture(residual: FloatArray, side: float, unit: str) -> Picture:
    """The deflector-subtracted stamp (m, m) as the network sees it: asinh of units of noise, about 0."""
    tip = "The stamp minus the smooth profile of the galaxy in the middle, as the network sees it: what may be arcs"
    finite = np.abs(residual[np.isfinite(residual)])
    end = max(scaling.percentile(finite, 99.5) if finite.size else 1.0, 0.5)
    return Picture(RESIDUAL, tip, diverging(residual, end), side, unit)


def survey_picture(title: str, survey: str, pixels: NDArray[np.uint8], side: float) -> Picture:
    """A survey's picture (n, n, 3), its first row at the top, that spans ``side`` arcsec."""
    return Picture(title, f"{survey}: the same sky, turned as the mosaic is", pack(pixels), side)


def _mean(planes: FloatArray) -> FloatArray:
    """Mean over the bands that have data, NaN where none has."""
    if len(planes) == 1:
        return planes[0]
    seen = np.isfinite(planes)
    count = seen.sum(axis=0)
    total = np.where(seen, planes, 0).sum(axis=0)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean


def _colours(scaled: FloatArray, pixels: Pixels, end: float) -> list[View]:
    chosen = scaled[list(pixels.colour)]
    names = ", ".join(pixels.bands[k] for k in pixels.colour)
    bluer = "The blue lifted and the red lowered: arcs are often bluer than their deflector"
    brighter = "The faint light lifted: look for counter-images and faint arcs"
    return [
        ("colour", f"Red, green and blue: {names}", lambda: lupton(chosen, end)),
        ("bluer", bluer, lambda: lupton(chosen, end, gains=_BLUER)),
        ("brighter", brighter, lambda: lupton(chosen, end / 5)),
    ]


def _stretches(mean: FloatArray, bands: Sequence[str], end: float, lift: float, coloured: bool) -> list[View]:
    what = f"{bands[0]} band" if len(bands) == 1 else "Mean of all bands, each in units of its noise"
    stretches: list[View] = [
        ("log", f"{what}, logarithmic: from the sky to the core", lambda: single(_log(mean, end))),
        ("sqrt", f"{what}, square root: the core and what is around it", lambda: single(_sqrt(mean, end))),
        (
            "linear",
            f"{what}, linear to the peak: structure of the core",
            lambda: single(np.clip(mean / _peak(mean), 0, 1)),
        ),
        (
            "MTF",
            f"{what}, midtones transfer function: the sky at a quarter of white, all above it up to the peak",
            lambda: single(_mtf(mean, lift)),
        ),
    ]
    if coloured:
        return stretches
    return [
        ("asinh", f"{what}, asinh stretch", lambda: single(asinh(mean, end))),
        ("brighter", f"{what}, asinh with the faint light lifted", lambda: single(asinh(mean, end / 5))),
        *stretches,
    ]


def _sqrt(plane: FloatArray, end: float) -> FloatArray:
    bright: FloatArray = np.sqrt(np.clip(plane / np.float32(end * 2), 0, 1))
    return bright


def _log(plane: FloatArray, end: float) -> NDArray[np.float32]:
    return np.clip(np.log1p(np.maximum(plane, 0)) / np.log1p(np.float32(end * 2)), 0, 1)


def _mtf(plane: FloatArray, lift: float) -> FloatArray:
    """From a little below the sky to the peak; the midtone suits the sky, and is ``lift`` times smaller."""
    black, white = -_BELOW_SKY, _peak(plane)
    span = np.float32(white - black)
    sky = _BELOW_SKY / float(span)
    return scaling.midtones(np.clip((plane - np.float32(black)) / span, 0, 1), scaling.midtone_for(sky) / lift)


def _peak(plane: FloatArray) -> float:
    size = plane.shape[0]
    core = plane[size * 2 // 5 : size * 3 // 5 + 1, size * 2 // 5 : size * 3 // 5 + 1]
    core = core[np.isfinite(core)]
    return max(float(core.max()), 5.0) if core.size else 5.0
