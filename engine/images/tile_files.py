"""Which files are one tile of a survey: one each, or one a band."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ImageError
from engine.images.stamps import find_stamps

TileFiles = tuple[Path, ...]
"""The images of one tile, absolute: one, or one a band in the order of the bands."""

_WORD = re.compile(r"[^\W_]+")


def find_tiles(paths: Sequence[Path], bands: Sequence[str] = ()) -> list[TileFiles]:
    """The tiles among some files, and in folders, in the order of their names.

    Parameters
    ----------
    bands : names; files whose paths differ in nothing but such a word (``g/tile_7.fits`` and ``r/tile_7.fits``,
        ``tile_7_g.fits`` and ``tile_7_r.fits``) are one tile. A file without such a word is one by itself.

    Raises
    ------
    ImageError : a folder without images, or a file that does not exist
    """
    files = [file.absolute() for path in paths for file in (find_stamps(path) if path.is_dir() else [path])]
    missing = next((file for file in files if not file.exists()), None)
    if missing is not None:
        raise ImageError(f"{missing} does not exist: check the name")
    tiles: dict[str, dict[str, Path]] = {}
    for file in dict.fromkeys(files):
        band, tile = _split(str(file), bands)
        tiles.setdefault(tile, {})[band] = file
    order = {band: number for number, band in enumerate(bands)}
    return [tuple(tile[band] for band in sorted(tile, key=lambda one: order.get(one, 0))) for tile in tiles.values()]


def _split(path: str, bands: Sequence[str]) -> tuple[str, str]:
    """The band that a path names, the last one of several, and the path without it."""
    named = [word[0] for word in _WORD.finditer(path) if word[0] in bands]
    if not named:
        return "", path
    return named[-1], _WORD.sub(lambda word: "*" if word[0] == named[-1] else word[0], path)
