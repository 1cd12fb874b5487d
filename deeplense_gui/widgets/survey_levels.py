"""How noisy the bands of a survey are, and where white begins in its colours: measured once for a mosaic.

A stamp is too small to tell: a galaxy that fills it passes for noise, in one band more than in another, and what is
faint would look as bright as what is bright. So all stamps of a mosaic have the same colours.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from engine.errors import EngineError
from engine.images import scaling
from engine.types import FloatArray, Mosaic

_SQUARES = 4  # a row and a column of them, spread over the mosaic
_SIDE = 64  # pixels of a square
_FEWEST = 4  # squares with data, of which noise can be told
_BRIGHTEST = 99.8  # per cent of the pixels of a square
_BRIGHT = 75  # per cent of the squares that are less bright: a star in one of them makes no galaxy dark
_WHITE = (80.0, 300.0)  # noise: an empty field does not make noise bright
_KEPT = 32  # mosaics


@dataclass(frozen=True, slots=True)
class Levels:
    """``noise`` is the least and the most that is usual in each band, in its unit; ``white`` counts noise."""

    noise: tuple[tuple[float, float], ...]
    white: float


_measured: OrderedDict[tuple[object, ...], Levels | None] = OrderedDict()
_lock = threading.Lock()


def survey_levels(mosaic: Mosaic) -> Levels | None:
    """The levels of a mosaic, measured when they are first asked for; None where there are too few data.

    Raises
    ------
    EngineError, OSError : the file cannot be read
    """
    key = (mosaic.id, mosaic.bands, mosaic.shape)
    with _lock:
        if key in _measured:
            _measured.move_to_end(key)
            return _measured[key]
    found = _measure(mosaic)
    with _lock:
        _measured[key] = found
        while len(_measured) > _KEPT:
            _measured.popitem(last=False)
    return found


def _measure(mosaic: Mosaic) -> Levels | None:
    squares = [square for square in _squares(mosaic) if np.isfinite(square).mean() > 0.2]
    skies = np.array([[scaling.background(plane) for plane in square] for square in squares], np.float64)
    if len(squares) < _FEWEST:
        return None
    noise = skies[..., 1]
    noise[~(noise > 0)] = np.nan
    if not np.isfinite(noise).any(axis=0).all():
        return None
    least, usual, most = np.nanpercentile(noise, (25, 50, 75), axis=0)
    ends = [
        np.nanpercentile((square - sky[:, None, None]) / usual[:, None, None], _BRIGHTEST)
        for square, sky in zip(squares, skies[..., 0], strict=True)
    ]
    white = float(np.clip(np.nanpercentile(ends, _BRIGHT), *_WHITE))
    return Levels(tuple(zip(least.tolist(), most.tolist(), strict=True)), white)


def _squares(mosaic: Mosaic) -> list[FloatArray]:
    """Pixels of squares all over a mosaic, each once."""
    rows, columns = (
        sorted({max(round((k + 0.5) * (length - _SIDE) / _SQUARES), 0) for k in range(_SQUARES)})
        for length in mosaic.shape
    )
    return [mosaic.read(y, y + _SIDE, x, x + _SIDE) for y in rows for x in columns]


def levels_or_none(mosaic: Mosaic | None) -> Levels | None:
    """The levels of a mosaic where there is one that can be read; a stamp is then measured by itself."""
    try:
        return None if mosaic is None else survey_levels(mosaic)
    except (EngineError, OSError):
        return None
