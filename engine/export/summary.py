"""The plots of a report's cover: grades, grades against scores, and where the candidates lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.types import Candidate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"A": "#2e9e4f", "B": "#2b8cbe", "C": "#e0a300", "X": "#c8432f",
            "3": "#2e9e4f", "2": "#2b8cbe", "1": "#e0a300", "0": "#c8432f", "": "#9a9a9a"}  # fmt: skip
_OTHER = "#8457a5"


def summary_figure(rows: Sequence[Candidate], width: float = 7.4) -> Figure:
    """Three plots in a row; ``width`` is inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, width / 2.9), layout="constrained")
    bars, scores, places = figure.subplots(1, 3)
    grades = [row.grade or "" for row in rows]
    counts = Counter(grades)
    names = [*sorted(name for name in counts if name), *([""] if "" in counts else [])]
    colours = [_COLOURS.get(name[:1], _OTHER) for name in names]
    bars.bar([name or "none" for name in names], [counts[name] for name in names], color=colours)
    bars.set(title="Grades", ylabel="candidates")
    bars.yaxis.get_major_locator().set_params(integer=True)
    score = np.array([row.score for row in rows], np.float64)
    edges = np.linspace(0, 1, 21)
    parts = [score[[grade == name for grade in grades]] for name in names]
    parts = [part[np.isfinite(part)] for part in parts]
    if parts:
        scores.hist(parts, edges, stacked=True, color=colours)
    scores.set(title="Scores", xlabel="score", xlim=(0, 1))
    scores.yaxis.get_major_locator().set_params(integer=True)
    on_sky = bool(rows) and all(row.ra is not None for row in rows)
    xy = np.array([(row.ra, row.dec) if on_sky else (row.x, row.y) for row in rows], np.float64).reshape(-1, 2)
    for name, colour in zip(names, colours, strict=True):
        chosen = np.array([grade == name for grade in grades], bool)
        places.plot(*xy[chosen].T, ".", color=colour, markersize=4, zorder=2 if name else 1)
    places.set(title="Positions", xlabel="RA, degrees" if on_sky else "x", ylabel="Dec, degrees" if on_sky else "y")
    places.locator_params(nbins=4)
    places.ticklabel_format(useOffset=False)
    if on_sky:
        places.invert_xaxis()
    for axes in (bars, scores, places):
        axes.tick_params(labelsize=8)
        axes.title.set_fontsize(10)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
