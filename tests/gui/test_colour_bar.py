"""The colour bar and the strip below: values as they are, whatever their size."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QFontMetricsF

from deeplense_gui import style
from deeplense_gui.widgets import colour_bar
from deeplense_gui.widgets.coordinates import number
from deeplense_gui.widgets.stretch import LIMITS, Coder, Stretch
from engine.images.scaling import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limits", [name for name in LIMITS if name != "custom"])
def test_the_colour_bar_tells_the_values_that_are_shown(kind, limits):
    coder = Coder.of(np.random.default_rng(1).normal(100, 3, 50_000).astype(np.float32))
    stretch = Stretch(kind=kind, limits=limits)
    low, high = coder.limits(stretch)
    ticks = colour_bar.ticks(stretch, coder)
    values, heights = np.array(ticks).T
    assert (np.diff(values) > 0).all()
    assert heights == pytest.approx(np.linspace(0, 1, len(ticks)), abs=0.08)
    assert heights == pytest.approx(coder.brightness(values.clip(low, high), stretch), abs=1e-6)


@pytest.mark.parametrize(("level", "noise"), [(100, 3), (0, 2.7e-12), (-31_000, 900), (3e6, 2e5), (-4e-9, 1e-10)])
def test_values_beside_the_colour_bar_keep_their_sign_and_their_digits(qtbot, level, noise):
    coder = Coder.of(np.random.default_rng(1).normal(level, noise, 50_000).astype(np.float32))
    values = [value for value, _ in colour_bar.ticks(Stretch(), coder)]
    letters = QFontMetricsF(style.font(points=8))
    for value in values:
        text = colour_bar.label(value)
        assert float(text) == pytest.approx(value, rel=1e-3, abs=noise / 50)
        assert letters.horizontalAdvance(text) + 2 < colour_bar.ROOM
    assert len({colour_bar.label(value) for value in values}) == len(values)


def test_values_under_the_cursor_are_whole_numbers_where_a_detector_counts():
    assert [number(value) for value in (-11472.0, 65535.0, 1990.25, 0.0)] == ["-11472", "65535", "1990", "0"]
    assert [number(value) for value in (7.26e-11, 123456.0)] == ["7.260e-11", "1.235e+05"]
