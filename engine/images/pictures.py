"""PNG and JPEG: pictures whose pixels are stretched already, read as bands of 0 to 255."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import ImageError
from engine.images.damage import reason
from engine.types import FloatArray

SUFFIXES = (".png", ".jpg", ".jpeg")
COLOURS = ("blue", "green", "red")  # as all bands: from blue to red
GREY = ("grey",)
_OPAQUE = 128  # alpha below it: no data


def is_picture(path: Path) -> bool:
    """Whether a file is a picture: by its suffix, or a .npy array with three or four colours on its last axis."""
    suffix = path.suffix.lower()
    if suffix != ".npy":
        return suffix in SUFFIXES
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError):
        return False
    return len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > shape[-1]


def picture_shape(path: Path) -> tuple[tuple[int, int], tuple[str, ...], int]:
    """(ny, nx), the bands and the number of frames of a picture, without decoding it; only a PNG has several.

    Raises
    ------
    ImageError : missing, damaged, or no picture
    """
    if path.suffix.lower() == ".npy":
        ny, nx, _ = np.load(path, mmap_mode="r", allow_pickle=False).shape
        return (ny, nx), COLOURS, 1
    with _opened(path) as picture:
        # Others than PNG carry previews of other sizes as further frames.
        frames = getattr(picture, "n_frames", 1) if picture.format == "PNG" else 1
        return (picture.height, picture.width), GREY if _is_grey(picture) else COLOURS, frames


def read_picture(path: Path, frame: int = 0) -> FloatArray:
    """The pixels (band, y, x) of a frame of a picture, first row at the bottom, NaN where it is transparent.

    A palette becomes colours; pictures of 16 bits keep their values.

    Raises
    ------
    ImageError : missing, damaged, or no picture
    """
    if path.suffix.lower() == ".npy":
        return _planes(np.asarray(np.load(path, allow_pickle=False), np.float32)[..., :3])
    with _opened(path) as picture:
        grey = _is_grey(picture)  # of the first frame: later ones are always in colour
        if frame:
            picture.seek(frame)
        if _is_deep(picture):
            return _planes(np.asarray(picture, np.float32))
        alpha = "A" in picture.getbands() or "transparency" in picture.info
        mode = {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}
        pixels = np.asarray(picture.convert(mode[grey, alpha]), np.float32)
    if alpha:
        pixels, seen = pixels[..., :-1].copy(), pixels[..., -1] >= _OPAQUE
        pixels[~seen] = np.nan
    return _planes(pixels)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path.name} is not a readable picture ({reason(error)}): get the file again") from error


def _is_deep(picture: Any) -> bool:
    return str(picture.mode).startswith(("I", "F"))


def _is_grey(picture: Any) -> bool:
    return picture.mode in ("1", "L", "LA") or _is_deep(picture)


def _planes(pixels: FloatArray) -> FloatArray:
    """Pixels (y, x) or (y, x, colour), first row at the top, as bands."""
    return np.ascontiguousarray(np.atleast_3d(pixels)[::-1].transpose(2, 0, 1)[::-1])
