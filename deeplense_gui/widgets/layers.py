"""What can be drawn over the pixels of the mosaic: names for the menu, and what is shown at first."""

from __future__ import annotations

from typing import NamedTuple


class Layer(NamedTuple):
    """An overlay: its id (settings), its text in the menu, what it is, and whether it is shown at first."""

    id: str
    text: str
    tip: str
    shown: bool = True


LAYERS: tuple[Layer, ...] = (
    Layer("candidates", "Candidates", "A circle around each candidate of the list"),
    Layer("scale", "Scale bar", "A round angle at the bottom left"),
    Layer("compass", "Compass", "North and east at the bottom right"),
    Layer("colours", "Colour bar", "Which pixel value has which colour"),
    Layer("grid", "Coordinate grid", "Lines of equal right ascension and declination, or of l and b", shown=False),
    Layer("regions", "Regions", "The shapes of DS9 region files"),
    Layer("known", "Known objects", "The objects of a catalogue file"),
    Layer("contours", "Contours", "Curves of equal brightness of a band", shown=False),
    Layer("footprint", "Footprint", "Where there are data, and what the scan has covered", shown=False),
)
