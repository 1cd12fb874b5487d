"""PNG and JPEG: pictures whose pixels are stretched already, read as bands of 0 to 255."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import ImageError
from engine.images.damage import reason
from engine.types import FloatArray

SUFFIXES = (".png", ".jpg", ".jpeg")
COLOURS = ("red", "green", "blue")
GREY = ("grey",)
_OPAQUE = 128  # alpha below it: no data


def read_picture(path: Path) -> tuple[FloatArray, tuple[str, ...]]:
    """The pixels (band, y, x) of a picture, first row at the bottom, NaN where it is transparent; and its bands.

    A palette becomes colours; pictures of 16 bits keep their values. A .npy array (y, x, 3 or 4) counts as a picture.

    Raises
    ------
    ImageError : missing, damaged, or no picture
    """
    if path.suffix.lower() == ".npy":
        return _planes(np.asarray(np.load(path, allow_pickle=False), np.float32), alpha=False)
    from PIL import Image

    try:
        with Image.open(path) as picture:
            deep = picture.mode.startswith(("I", "F"))
            grey = picture.mode in ("1", "L", "LA") or deep
            alpha = "A" in picture.getbands() or "transparency" in picture.info
            shown = (
                picture if deep else picture.convert(("LA" if grey else "RGBA") if alpha else "L" if grey else "RGB")
            )
            pixels = np.asarray(shown, np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path.name} is not a readable picture ({reason(error)}): get the file again") from error
    return _planes(pixels, alpha=alpha and not deep)


def is_coloured_array(path: Path) -> bool:
    """Whether a .npy file holds a picture with the colours on its last axis."""
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError):
        return False
    return len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > shape[-1]


def _planes(pixels: FloatArray, *, alpha: bool) -> tuple[FloatArray, tuple[str, ...]]:
    """Pixels (y, x) or (y, x, channel), first row at the top, as bands; the last channel may be the alpha."""
    planes = np.atleast_3d(pixels)[::-1].transpose(2, 0, 1)
    if alpha:
        planes, seen = planes[:-1].copy(), planes[-1] >= _OPAQUE
        planes[:, ~seen] = np.nan
    planes = planes[:3]
    return np.ascontiguousarray(planes), GREY if len(planes) == 1 else COLOURS
