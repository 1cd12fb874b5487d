"""How figures look: the colours of Okabe and Ito (2008), which all kinds of colour vision tell apart; little ink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import matplotlib
import numpy as np
from astropy.stats import binom_conf_interval
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from engine.train.evaluation import Evaluation

INK = "#24292f"
"""The colour of text and axes; a page replaces it by its own."""
BLUE, RED, GREEN, PINK, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, RED, GREEN, PINK, ORANGE, SKY)
ACROSS = 3
"""Cells side by side on the width of a page."""
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
_STYLES = tuple({"color": colour, "linestyle": dash} for dash, colour in product(_DASHES, COLOURS))

COLUMNS: Mapping[str, str] = {
    "einstein_radius": "Einstein radius (arcsec)",
    "arc_snr": "Arc signal-to-noise",
    "log_axion_mass": "log₁₀ (axion mass / eV)",
    "mass_fraction": "Mass fraction in subhalos",
    "subhalo_mass": "Mass in subhalos (solar masses)",
    "main_mass": "Mass of the lens (solar masses)",
}
"""Columns of truth tables as axes name them."""

_SETTINGS: Any = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.alpha": 0.18,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "mathtext.default": "regular",
    "savefig.facecolor": "none",
    "svg.hashsalt": "deeplense",  # the same figure, the same bytes
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save figures within this."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def named(runs: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Evaluations by their names, in order: those of one name are seeds of one recipe."""
    found: dict[str, list[Evaluation]] = {}
    for run in runs:
        found.setdefault(run.name, []).append(run)
    return found


def line_style(number: int) -> dict[str, Any]:
    """Colour and dashes of the line of that number."""
    return dict(_STYLES[number % len(_STYLES)])


def label_of(column: str) -> str:
    """The label of an axis that shows a column of a truth table."""
    return COLUMNS.get(column, column.replace("_", " ").capitalize())


def rates(hit: ArrayLike, total: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractions (n,) and their distances (2, n) down and up to the 68 % Jeffreys interval, for error bars."""
    value = np.asarray(hit, np.float64) / np.asarray(total, np.float64)
    low, high = binom_conf_interval(hit, total, interval="jeffreys")
    return value, np.maximum(np.stack([value - low, high - value]), 0)


def unit_square(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Axes of two fractions."""
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_aspect("equal", adjustable="box")


def plain_numbers(axis: Axis) -> None:
    """Numbers as people write them on a logarithmic axis, at 1, 2 and 5 where it is short."""
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high / low < 200 else (1.0,)
    axis.set_major_locator(LogLocator(10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())
