"""Colour maps as tables of packed pixels, small enough to live here: no plotting library for four gradients."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage

# Equidistant points of the gradients of matplotlib (CC0), linear in between: within 2 % of the originals.
_POINTS = {
    "gray": ("000000", "ffffff"),
    "inverted gray": ("ffffff", "000000"),
    "viridis": (
        "440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725",
    ),
    "magma": (
        "000004", "180f3d", "440f76", "721f81", "9e2f7f", "cd4071", "f1605d", "fd9668", "feca8d", "fcfdbf",
    ),
    "inferno": (
        "000004", "1b0c41", "4a0c6b", "781c6d", "a52c60", "cf4446", "ed6925", "fb9b06", "f7d13d", "fcffa4",
    ),
}  # fmt: skip
COLOUR_MAPS = ("gray", "inverted gray", "viridis", "magma")

Packed = NDArray[np.uint32]


def pack(rgb: NDArray[np.uint8]) -> Packed:
    """Colours (..., 3) as opaque 32-bit pixels (...)."""
    parts = rgb.astype(np.uint32)
    packed: Packed = np.uint32(0xFF000000) | (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]
    return packed


def ramp(name: str, count: int = 256) -> NDArray[np.uint8]:
    """A colour map as (count, 3) colours."""
    points = np.array([[int(text[k : k + 2], 16) for k in (0, 2, 4)] for text in _POINTS[name]], float)
    at = np.linspace(0, len(points) - 1, count)
    columns = [np.interp(at, np.arange(len(points)), points[:, k]) for k in range(3)]
    return np.rint(np.column_stack(columns)).astype(np.uint8)


@lru_cache(maxsize=len(_POINTS))
def packed_ramp(name: str) -> Packed:
    """A colour map as 256 opaque pixels, made once."""
    pixels = pack(ramp(name))
    pixels.flags.writeable = False
    return pixels


def packed_colour(name: str) -> np.uint32:
    """A named colour as an opaque 32-bit pixel."""
    return np.uint32(QColor(name).rgba())


def to_image(pixels: Packed) -> QImage:
    """A picture of packed pixels (y, x), first row at the top; it keeps no reference to the array."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()


def to_overlay(pixels: Packed) -> QImage:
    """A picture with premultiplied transparency, first row at the top."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()
