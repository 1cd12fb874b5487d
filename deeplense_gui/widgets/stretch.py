"""From pixel values to colours, fast enough to follow a slider.

Values are first put into 16-bit codes, once, on an asinh scale of the band's own noise: fine at the sky, wide enough
for any star. Each stretch is then a table over the codes, so that a new one costs a look-up and reads nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplense_gui.widgets.colours import Packed, packed_colour, packed_ramp
from engine.images import scaling
from engine.types import FloatArray

LIMITS = ("99.9", "99.5", "99", "98", "95", "min-max", "custom")
LUPTON = "Lupton"
PRESETS = {"standard": ((1.0, 1.0, 1.0), 1.0), "bluer": ((0.7, 1.0, 1.5), 1.0), "brighter": ((1.0, 1.0, 1.0), 4.0)}
"""Gains of red, green and blue, and how many times brighter the faint light is shown, for Lupton colours."""
CodeArray = NDArray[np.uint16]

_CODES = 65536
_REACH = 19.0  # asinh(1e8): codes reach a hundred million times the noise
_BELOW_SKY = 1.5  # noise: what is darker is black, so that the sky is dark
_PER_UNIT = (_CODES - 2) / (2 * _REACH)


@dataclass(frozen=True, slots=True)
class Stretch:
    """How pixels are shown.

    ``limits`` is one of LIMITS; ``low`` and ``high`` are pixel values, used when it is "custom". ``softening`` in
    0..1 lifts the faint (asinh and log); ``midtone`` (MTF) is what is half bright, 0..1 between the limits, None for
    the one that suits the sky. ``bands`` are the indices shown: one, or three for red, green and blue.

    Three bands may also be shown with the kind LUPTON, fixed for a survey: ``Q`` is the contrast between faint and
    bright, ``alpha`` the slope at the faint end, ``preset`` one of PRESETS, and ``noise`` what one unit of each band
    is, by index of the band; where it is not given, the noise of the mosaic.
    """

    kind: scaling.Kind | Literal["Lupton"] = "asinh"
    limits: str = "99.5"
    low: float = 0.0
    high: float = 1.0
    softening: float = 0.5
    colour_map: str = "gray"
    bands: tuple[int, ...] = (0,)
    Q: float = 8.0
    alpha: float = 0.15
    preset: str = "standard"
    noise: tuple[float, ...] = ()
    midtone: float | None = None

    @property
    def is_colour(self) -> bool:
        """Whether three bands are shown as one colour picture."""
        return len(self.bands) == 3

    @property
    def can_soften(self) -> bool:
        """Whether softening does anything with this kind."""
        return self.kind in ("asinh", "log")

    @property
    def is_lupton(self) -> bool:
        """Whether the colours are fixed rather than made from the limits."""
        return self.is_colour and self.kind == LUPTON


@dataclass(frozen=True, slots=True, eq=False)
class Coder:
    """The scale of a band's codes: 0 is no data, 1..65535 go with asinh((value - centre) / noise)."""

    centre: float
    noise: float
    sample: FloatArray = field(repr=False)

    @classmethod
    def of(cls, sample: FloatArray) -> Coder:
        """A scale for a band, from a decimated view of it (any shape, NaN where there are no data)."""
        finite = np.sort(sample[np.isfinite(sample)], axis=None)
        if not len(finite):
            return cls(0.0, 1.0, finite)
        centre, noise = scaling.background(finite)
        noise = noise or float(finite[-1] - finite[0]) / 100 or abs(centre) / 100 or 1.0
        return cls(centre, noise, finite)

    def encode(self, values: FloatArray) -> CodeArray:
        """Codes of values, of the same shape."""
        codes = np.arcsinh((values - np.float32(self.centre)) / np.float32(self.noise))
        codes = np.clip((codes + np.float32(_REACH)) * np.float32(_PER_UNIT), 0, _CODES - 2) + np.float32(1.5)
        return np.where(np.isfinite(values), codes, 0).astype(np.uint16)

    def values(self) -> NDArray[np.float64]:
        """The value that each code stands for, (65536,), read-only; code 0 is NaN."""
        return _values(self.centre, self.noise)

    def limits(self, stretch: Stretch) -> tuple[float, float]:
        """The values shown darkest and brightest; shares of pixels never start far below the sky."""
        if stretch.limits == "custom":
            return stretch.low, max(stretch.high, float(np.nextafter(stretch.low, np.inf)))
        if not len(self.sample):
            return 0.0, 1.0
        last = len(self.sample) - 1
        if stretch.limits == "min-max":
            low, high = float(self.sample[0]), float(self.sample[last])
        else:
            tail = (100 - float(stretch.limits)) / 200
            low = max(float(self.sample[round(tail * last)]), self.centre - _BELOW_SKY * self.noise)
            high = float(self.sample[round((1 - tail) * last)])
        return low, high if high > low else low + self.noise

    def brightness(self, values: NDArray[np.floating], stretch: Stretch) -> FloatArray:
        """How bright values of this band are shown by itself, 0..1; 0 for NaN."""
        kind = "asinh" if stretch.kind == LUPTON else stretch.kind
        midtone = automatic_midtone([self], stretch) if stretch.midtone is None else stretch.midtone
        return scaling.stretch(values, kind, self.limits(stretch), softening=stretch.softening, midtone=midtone)


@lru_cache(maxsize=8)
def _values(centre: float, noise: float) -> NDArray[np.float64]:
    """Made once for each band: every change of contrast asks for them."""
    values = centre + noise * np.sinh((np.arange(_CODES) - 1) / _PER_UNIT - _REACH)
    values[0] = np.nan
    values.flags.writeable = False
    return values


def common_limits(coders: Sequence[Coder], stretch: Stretch) -> NDArray[np.float64]:
    """Darkest and brightest value of each band (n, 2): the same for all in units of their noise, unless typed."""
    ends = np.array([coder.limits(stretch) for coder in coders])
    if len(coders) > 1 and stretch.limits != "custom":
        scales = np.array([[coder.centre, coder.noise] for coder in coders])
        ends = scales[:, :1] + scales[:, 1:] * ((ends - scales[:, :1]) / scales[:, 1:]).mean(axis=0)
    return ends


def automatic_midtone(coders: Sequence[Coder], stretch: Stretch) -> float:
    """The midtone that suits the sky of these bands between their limits."""
    low, high = common_limits(coders, stretch).T
    skies = (np.array([coder.centre for coder in coders]) - low) / (high - low)
    return scaling.midtone_for(float(skies.mean()))


class Painter:
    """Turns codes into colours for one stretch; cheap to make anew when the stretch changes.

    ``number`` counts the painters: of two, the later one has the higher.
    """

    _numbers = itertools.count(1)

    def __init__(self, stretch: Stretch, coders: dict[int, Coder], no_data: str) -> None:
        self.number = next(self._numbers)
        self.stretch = stretch
        self._no_data = packed_colour(no_data)
        shown = [coders[band] for band in stretch.bands]
        self._midtone = automatic_midtone(shown, stretch) if stretch.midtone is None else stretch.midtone
        if stretch.is_lupton:
            self._tables: list[NDArray[Any]] = self._lupton_tables(shown)
        else:
            self._tables = self._colour_tables(shown) if stretch.is_colour else [self._table(shown[0])]

    def _table(self, coder: Coder) -> NDArray[np.uint32]:
        """The colour of each code of a single band."""
        stretch = self.stretch
        bright = coder.brightness(coder.values(), stretch)
        colours: NDArray[np.uint32] = packed_ramp(stretch.colour_map)[np.rint(bright * 255).astype(np.intp)]
        colours[0] = self._no_data
        return colours

    def _colour_tables(self, coders: list[Coder]) -> list[FloatArray]:
        """Each band's values in units of its noise, so that the sky is grey, with one black and one white for all."""
        ends = common_limits(coders, self.stretch)
        tables = [(coder.values() - low) / (high - low) for coder, (low, high) in zip(coders, ends, strict=True)]
        return [np.clip(np.nan_to_num(table), 0, 1e4).astype(np.float32) for table in tables]

    def _lupton_tables(self, coders: list[Coder]) -> list[FloatArray]:
        """Each band above its sky less half its noise, in the units of the survey and with the preset's gain."""
        stretch = self.stretch
        gains = PRESETS[stretch.preset][0]
        tables = []
        for band, coder, gain in zip(stretch.bands, coders, gains, strict=True):
            unit = stretch.noise[band] if band < len(stretch.noise) else coder.noise
            table = (coder.values() - coder.centre) / unit * gain + 0.5 * coder.noise / unit
            tables.append(np.clip(np.nan_to_num(table), -1e4, 1e6).astype(np.float32))
        return tables

    def paint(self, codes: list[CodeArray]) -> Packed:
        """Pixels of the codes (y, x) of each shown band, turned over: the first row is the top of the sky."""
        flipped = [plane[::-1] for plane in codes]
        if not self.stretch.is_colour:
            packed: Packed = self._tables[0].take(flipped[0])
            return packed
        return self._colour(flipped)

    def _colour(self, codes: list[CodeArray]) -> Packed:
        """Colours after Lupton et al. (2004, PASP 116, 133): the stretch acts on the mean, ratios of bands stay."""
        planes = np.stack([table.take(plane) for table, plane in zip(self._tables, codes, strict=True)])
        mean = np.maximum(planes.mean(axis=0), np.float32(1e-6))
        planes *= np.float32(255) * self._bright(mean) / mean
        np.maximum(planes, 0, out=planes)
        peak = planes.max(axis=0)
        planes *= np.float32(255) / np.maximum(peak, np.float32(255))
        parts = planes.astype(np.uint32)
        packed: Packed = np.uint32(0xFF000000) | (parts[0] << 16) | (parts[1] << 8) | parts[2]
        missing = (codes[0] == 0) | (codes[1] == 0) | (codes[2] == 0)
        packed[missing] = self._no_data
        return packed

    def _bright(self, mean: FloatArray) -> FloatArray:
        """How bright a mean of three bands is shown; beyond 1 colours keep their hue."""
        stretch = self.stretch
        if stretch.is_lupton:
            contrast = np.float32(stretch.Q)
            alpha = np.float32(stretch.alpha * PRESETS[stretch.preset][1])
            bright: FloatArray = np.arcsinh(alpha * contrast * mean) / contrast
            return bright
        kind = "asinh" if stretch.kind == LUPTON else stretch.kind
        return scaling.stretch(mean, kind, (0.0, 1.0), softening=stretch.softening, midtone=self._midtone)
