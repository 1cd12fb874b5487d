"""Names of bands: from headers, else from file names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_KEYS = ("BAND", "FILTER", "FILTNAM", "FILTER1", "FILTER2", "INSFILTE", "FILT_ID", "HIERARCH ESO INS FILT1 NAME")
_EMPTY = {
    "",
    "clear",
    "clear1l",
    "clear2l",
    "clear1s",
    "clear2s",
    "none",
    "open",
    "empty",
    "unknown",
    "n/a",
    "na",
    "nan",
    "0",
}
_LONG = re.compile(r"^(f\d{3,4}(w|m|n|lp|x|w2|wide)|vis|nir|clear|w[1-4])$", re.IGNORECASE)
_SHORT = re.compile(r"^([ugrizyUBVGRIYJHKZ]|Ks|[ugriz]{2,5}|NB\d{3,4})$")
_PACKED = {".gz", ".bz2", ".xz", ".z", ".fz"}


def band_name(text: str) -> str:
    """A band as an astronomer writes it: 'g.MP9401' is g, 'z DECam SDSS c0004 9260.0' is z, 'HSC_g' is g."""
    words = text.split()
    if not words or words[0].lower() in _EMPTY or words[0].startswith("="):
        return ""
    word = words[0].split(".")[0] or words[0]
    parts = [part for part in re.split(r"[_-]", word) if _SHORT.match(part) or _LONG.match(part)]
    return parts[-1] if parts else word


def header_band(header: Mapping[str, Any]) -> str:
    """The band a header names, or an empty string."""
    for key in _KEYS:
        value = header.get(key)
        if isinstance(value, str) and (name := band_name(value)):
            return name
    return ""


def plane_bands(header: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Bands of the planes of a cube, from BANDS = 'grz' or BAND0, BAND1, ...; empty strings where none are named."""
    listed = header.get("BANDS")
    if isinstance(listed, str):
        names = tuple(re.split(r"[,\s]+", listed.strip())) if re.search(r"[,\s]", listed.strip()) else tuple(listed)
        if len(names) == count:
            return names
    for stem in ("BAND", "FILTER"):
        for first in (0, 1):
            values = [header.get(f"{stem}{index}") for index in range(first, first + count)]
            if all(isinstance(value, str) and value.strip() for value in values):
                return tuple(band_name(str(value)) for value in values)
    return ("",) * count


def file_band(path: Path) -> str:
    """The band in a file name, such as field_g.fits or RXJ1131_F814W_cutout.fits; an empty string if there is none."""
    words = [word for word in re.split(r"[_\-. ]", _stem(path)) if word]
    named = [word for word in words if not word.isdigit()]
    if len(named) > 1 and _SHORT.match(named[-1]):  # first: W3 in cfhtls_w3_g is a field, not a band
        return named[-1]
    return next((word for word in words if _LONG.match(word)), "")


def file_bands(paths: Sequence[Path]) -> tuple[str, ...]:
    """Distinct bands of several files: from the usual suffixes, else the part in which the names differ."""
    names = tuple(file_band(path) for path in paths)
    if all(names) and len(set(names)) == len(names):
        return names
    stems = [_stem(path) for path in paths]
    start = _shared(stems)
    end = _shared([stem[start:][::-1] for stem in stems])
    parts = tuple(stem[start : len(stem) - end].strip("_-. ") for stem in stems)
    if all(parts) and len(set(parts)) == len(parts):
        return parts
    return numbered(len(paths))


def numbered(count: int) -> tuple[str, ...]:
    """Bands without a name: 1, 2, ..."""
    return tuple(str(index + 1) for index in range(count))


def _shared(texts: Sequence[str]) -> int:
    """How many characters all texts begin with."""
    length = min(len(text) for text in texts)
    return next((i for i in range(length) if len({text[i] for text in texts}) > 1), length)


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in _PACKED:
        name = Path(name).stem
    return Path(name).stem
