"""The midtone of mosaic and stamps: it suits the sky until a person moves it, and then stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt

from deeplense_gui.widgets.midtone import to_midtone, to_place
from deeplense_gui.widgets.pictures import Pixels, make_picture
from deeplense_gui.widgets.stretch import LUPTON, Coder, Painter, Stretch
from deeplense_gui.widgets.stretch_bar import StretchBar
from engine.images import scaling

KEY = Qt.Key


def choose(bar: StretchBar, kind: str) -> None:
    bar.kind.setCurrentText(kind)
    bar.kind.activated.emit(bar.kind.currentIndex())


@pytest.fixture
def bar(vetting) -> StretchBar:
    found = vetting.panels["mosaic"].bar
    choose(found, "MTF")
    return found


@given(st.integers(0, 600))
def test_places_of_the_slider_are_midtones(place: int) -> None:
    assert 0 < to_midtone(place) < 1
    assert to_place(to_midtone(place)) == place


def test_it_suits_the_sky_until_it_is_moved(qtbot, vetting, bar) -> None:
    canvas = vetting.panels["mosaic"].canvas
    assert bar.midtone.isVisible()
    assert not bar.softening.isVisible()
    assert canvas.stretch.midtone is None
    (coder,) = bar._coders.values()
    assert coder.brightness(np.array([coder.centre]), canvas.stretch)[0] == pytest.approx(0.25, abs=1e-3)
    automatic = bar.midtone.slider.value()
    assert automatic > 200
    qtbot.keyClick(bar.midtone.slider, KEY.Key_PageDown)
    assert not bar.midtone.automatic.isChecked()
    assert canvas.stretch.midtone == pytest.approx(to_midtone(automatic - 50))
    darker = coder.brightness(np.array([coder.centre]), canvas.stretch)[0]
    assert darker < 0.2
    qtbot.mouseClick(bar.midtone.automatic, Qt.MouseButton.LeftButton)
    assert canvas.stretch.midtone is None
    assert bar.midtone.slider.value() == automatic


def test_it_stays_for_the_next_candidate_and_the_next_time(qtbot, vetting, bar) -> None:
    qtbot.keyClick(bar.midtone.slider, KEY.Key_PageUp)
    chosen = bar.midtone.value()
    vetting.session.step_selection(1)
    assert vetting.panels["mosaic"].canvas.stretch.midtone == chosen
    again = StretchBar(bar.memory.settings)
    qtbot.addWidget(again)
    assert (again.kind.currentText(), again.midtone.value()) == ("MTF", chosen)
    qtbot.mouseClick(bar.midtone.automatic, Qt.MouseButton.LeftButton)
    later = StretchBar(bar.memory.settings)
    qtbot.addWidget(later)
    assert later.midtone.value() is None


@pytest.mark.parametrize("midtone", [None, 0.1])
@pytest.mark.parametrize("bands", [(0,), (2, 1, 0)])
def test_the_table_gives_what_the_function_gives(bands: tuple[int, ...], midtone: float | None) -> None:
    random = np.random.default_rng(4)
    values = random.normal(0, 1, (3, 40, 50)).astype(np.float32) + random.uniform(0, 60, (40, 50)).astype(np.float32)
    sample = np.sort(random.normal(0, 1, 5000).astype(np.float32))
    coders = {band: Coder(0.0, 1.0, sample) for band in range(3)}
    stretch = Stretch(kind="MTF", limits="custom", low=-1.0, high=70.0, bands=bands, midtone=midtone)
    painted = Painter(stretch, coders, "#000000").paint([coders[band].encode(values[band]) for band in bands])
    shown = np.stack([(painted >> shift) & 255 for shift in (16, 8, 0)]).astype(float)
    mean = np.clip((values[list(bands)] + 1) / 71, 0, None).mean(axis=0)
    wanted = 255 * scaling.midtones(np.clip(mean, 0, 1), midtone or scaling.midtone_for(1 / 71))[::-1]
    brightness = shown.mean(axis=0)
    inside = shown.max(axis=0) < 250  # what saturates keeps its hue, not its brightness
    assert inside.mean() > 0.3
    assert np.abs(brightness - wanted)[inside].max() < 2.5


def test_colours_of_the_survey_have_no_midtone(qtbot, vetting, bar) -> None:
    assert bar.kind.findText(LUPTON) < 0
    choose(bar, "asinh")
    assert not bar.midtone.isVisible()
    assert bar.softening.isVisible()


def test_stamps_have_it_too_and_the_faint_slider_moves_it() -> None:
    values = np.random.default_rng(1).normal(5, 2, (1, 61, 61)).astype(np.float32)
    values[0, 30, 30] = 300

    def sky(lift: float) -> float:
        picture = make_picture(Pixels(values, ("r",), (), 12.0, lift=lift), "MTF")
        assert picture.title == "MTF"
        assert picture.pixels[30, 30] == 0xFFFFFFFF
        return float(np.median(picture.pixels & 255))

    assert sky(1.0) == pytest.approx(64, abs=4)
    assert sky(3.0) > 100
