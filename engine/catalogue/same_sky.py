"""Which mosaics of two projects are one and the same, though path and time of the files differ between machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Corners may lie apart by so many pixels: one solution of the WCS gives the same numbers, a new one hardly ever.
_TOLERANCE = 0.1


def match_mosaics(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], name: str
) -> tuple[dict[int, int], list[str]]:
    """Our number for each of their mosaics that we have, and warnings; both are rows of the table ``mosaics``.

    The same are those with the same id; else those of one shape, bands and extension that cover the same sky, or, where
    the sky is not known, have the same file names.
    """
    found: dict[int, int] = {}
    warnings = []
    for row in theirs:
        free = [one for one in ours if one["number"] not in found.values()]
        match = next((one for one in free if one["id"] == row["id"]), None)
        match = match or next((one for one in free if _same(one, row)), None)
        if match is not None:
            found[row["number"]] = match["number"]
        elif any(one["name"] == row["name"] for one in ours):
            warnings.append(
                f"{row['name']} of {name} is another image than the one of that name here: it is kept apart"
            )
        else:
            warnings.append(f"{row['name']} of {name} is not in this project: it comes along with its candidates")
    if ours and theirs and not found:
        warnings.append(f"{name} shares no mosaic with this project: make sure that it is of the same survey")
    return found, warnings


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    if any(a[name] != b[name] for name in ("ny", "nx", "bands", "extension", "has_wcs")):
        return False
    if a["footprint"] and b["footprint"]:
        return _covers_the_same(a, b)
    return bool(a["name"] == b["name"]) and bool(np.isclose(a["pixel_scale"] or 0, b["pixel_scale"] or 0))


def _covers_the_same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    first, second = (np.array(json.loads(one["footprint"]), np.float64) for one in (a, b))
    east = ((first[:, 0] - second[:, 0] + 180) % 360 - 180) * np.cos(np.radians(first[:, 1]))
    apart = np.hypot(east, first[:, 1] - second[:, 1]) * 3600
    return bool(np.all(apart < _TOLERANCE * (a["pixel_scale"] or 1.0)))
