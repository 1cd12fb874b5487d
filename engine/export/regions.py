"""Catalogues as DS9 regions: circles coloured by grade."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.export.columns import Known, described
from engine.types import Candidate

_HEADER = """# Region file format: DS9 version 4.1
global color=white width=1 font="helvetica 10 normal" select=1 edit=1 move=1 delete=1 include=1
"""

#: Colours that DS9 knows by name, by the first letter of the grade.
COLOURS = {"A": "green", "B": "cyan", "C": "yellow", "X": "red"}
_UNGRADED = "white"

_RADIUS_ARCSEC = 3.0
_RADIUS_PIXELS = 12.0


def write_regions(rows: Sequence[Candidate], path: Path, known: Known) -> None:
    """Circles in ICRS degrees, or in image pixels, which DS9 counts from 1, where there is no WCS.

    Known objects stand in tags, which DS9 can select by.
    """
    lines = [_HEADER]
    for row in rows:
        if row.ra is None or row.dec is None:
            circle = f"image;circle({row.x + 1:.2f},{row.y + 1:.2f},{_RADIUS_PIXELS:g})"
        else:
            circle = f'icrs;circle({row.ra:.7f},{row.dec:.7f},{_RADIUS_ARCSEC:g}")'
        colour = COLOURS.get((row.grade or "")[:1], _UNGRADED)
        tags = [row.grade or "ungraded", *(f"known: {described(one)}" for one in known.get(row.id, ()))]
        tagged = " ".join(f"tag={{{_plain(tag)}}}" for tag in tags)
        lines.append(f"{circle} # color={colour} text={{{_label(row)}}} {tagged}\n")
    path.write_text("".join(lines), encoding="utf-8")


def _label(row: Candidate) -> str:
    """Name, score, grade and note; without what would end the text of a region."""
    score = f"{row.score:.3f}" if row.score == row.score else ""
    parts = [row.name, score, row.grade or "", row.note]
    return " ".join(_plain(part) for part in parts if part)


def _plain(text: str) -> str:
    return " ".join(text.translate({ord("{"): "(", ord("}"): ")"}).split())
