"""The lens model of a candidate in the window: asked by key and button, shown, kept, stopped, and hidden when blind."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PySide6.QtCore import Qt

from deeplense_gui import work
from deeplense_gui.widgets.lens_pictures import make_pictures, numbers
from engine.errors import ImageError
from engine.types import LensFit, Step
from tests.gui.parts import open_and_scan, press, show_window, write_sky

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


def a_fit(radius: float = 1.234, notes: tuple[str, ...] = ()) -> LensFit:
    y, x = np.mgrid[:40, :40] - 19.5
    model = (50 * np.exp(-(x**2 + y**2) / 30)).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 1, model.shape).astype(np.float32)
    return LensFit(
        einstein_radius=radius, einstein_radius_error=0.012, axis_ratio=0.8, angle=-30.0, shear=0.05, shear_angle=10.0,
        magnification=12.3, source_radius=0.2, chi2=1.1, chi2_alone=3.3, side=8.0, source_side=1.6, data=model + noise,
        model=model, arcs=model / 2, residual=np.where(np.hypot(x, y) < 19, noise, np.float32(np.nan)),
        source=model[10:30, 10:30], notes=notes,
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """What was asked of the engine; each is answered at once."""
    calls: list[tuple] = []

    def fit_lens(mosaic, candidate, band, side, seeing):
        calls.append((candidate.id, band, side, seeing))
        yield Step(0, 1)
        yield Step(1, 1, (a_fit(1 + candidate.id / 100),))

    monkeypatch.setattr(work, "fit_lens", fit_lens)
    return calls


@pytest.fixture
def panel(vetting):
    return vetting.panels["lens"]


def fit(qtbot, window) -> None:
    with qtbot.waitSignal(window.session.lens_fitted, timeout=15_000):
        press(qtbot, window, Qt.Key.Key_M, SHIFT)


def test_before_it_is_asked_the_panel_says_how(vetting, panel):
    assert "Shift+M" in panel.message.text()
    assert not panel.keep.isEnabled()


def test_a_key_fits_and_brings_the_panel_to_the_front(qtbot, vetting, panel, asked):
    fit(qtbot, vetting)
    identity = vetting.session.selection
    assert asked == [(identity, 0, None, None)]
    assert not panel.views["data"].visibleRegion().isEmpty()
    assert f"{1 + identity / 100:.3f}″" in panel.numbers.text()
    assert [view.picture.title.split()[0] for view in panel.views.values()] == ["data", "model", "residual", "source"]


def test_the_numbers_that_were_typed_are_used(qtbot, vetting, panel, asked):
    vetting.docks["lens"].raise_()
    panel.side.setValue(9.5)
    panel.seeing.setValue(0.7)
    with qtbot.waitSignal(vetting.session.lens_fitted, timeout=15_000):
        qtbot.mouseClick(panel.fit, LEFT)
    assert asked[-1][1:] == (0, 9.5, 0.7)


def test_fits_stay_with_their_candidates(qtbot, vetting, panel, asked):
    first = vetting.session.selection
    fit(qtbot, vetting)
    vetting.session.step_selection(1)
    assert panel.pages.currentIndex() == 0
    vetting.session.step_selection(-1)
    assert vetting.session.selection == first
    assert panel.pages.currentIndex() == 1
    assert len(asked) == 1


def test_the_radius_is_kept_and_can_be_taken_back(qtbot, vetting, panel, asked):
    fit(qtbot, vetting)
    radius = round(1 + vetting.session.selection / 100, 3)
    qtbot.mouseClick(panel.keep, LEFT)
    assert vetting.session.candidate().einstein_radius == pytest.approx(radius)
    vetting.session.undo()
    assert vetting.session.candidate().einstein_radius is None


def test_what_speaks_against_a_fit_is_shown(vetting, panel):
    vetting.session.lens_fits[vetting.session.selection] = a_fit(notes=("The ring is smaller than the seeing",))
    panel.refresh()
    assert panel.notes.text() == "The ring is smaller than the seeing."
    assert not panel.notes.isHidden()


def test_why_there_is_no_fit_is_said(qtbot, vetting, panel, monkeypatch):
    def refuse(*_):
        yield Step(1, 1, (ImageError("There are hardly any data in this stamp: choose a wider field"),))

    monkeypatch.setattr(work, "fit_lens", refuse)
    fit(qtbot, vetting)
    assert "hardly any data" in panel.message.text()
    assert panel.pages.currentIndex() == 0


def test_a_fit_can_be_stopped(qtbot, vetting, panel, monkeypatch):
    begun: list[bool] = []
    ended: list[bool] = []

    def for_ever(*_):
        begun.append(True)
        try:
            while True:
                yield Step(0, 1)
                time.sleep(0.02)
        finally:
            ended.append(True)

    monkeypatch.setattr(work, "fit_lens", for_ever)
    press(qtbot, vetting, Qt.Key.Key_M, SHIFT)
    qtbot.waitUntil(lambda: bool(begun) and panel.fit.text() == "Stop", timeout=15_000)
    assert "Fitting" in panel.message.text()
    qtbot.mouseClick(panel.fit, LEFT)
    qtbot.waitUntil(lambda: bool(ended) and panel.fit.text() == "Fit", timeout=15_000)
    assert "Shift+M" in panel.message.text()


def test_blind_nothing_is_fitted_before_the_grade(qtbot, vetting, panel, asked):
    vetting.session.set_blind(True)
    assert vetting.session.fit_lens() is None
    assert "Blind" in panel.message.text()
    assert not panel.fit.isEnabled()
    assert asked == []


def test_another_project_forgets_the_fits(qtbot, vetting, panel, asked):
    fit(qtbot, vetting)
    vetting.session.close_project()
    assert vetting.session.lens_fits == {}


def test_a_mosaic_without_a_scale_has_no_rings(qtbot, session, tmp_path):
    window = show_window(qtbot, session)
    open_and_scan(qtbot, session, write_sky(tmp_path / "plain.fits", wcs=False))
    session.select(int(session.ids()[0]))
    panel = window.panels["lens"]
    assert "no pixel scale" in panel.message.text()
    assert not panel.fit.isEnabled()


def test_the_pictures_show_one_sky():
    made = make_pictures(a_fit())
    assert {picture.side for name, picture in made.items() if name != "source"} == {8.0}
    assert made["source"].side == 1.6
    data, model = (made[name].pixels & 0xFF for name in ("data", "model"))
    assert abs(int(data[19, 19]) - int(model[19, 19])) < 30  # in one stretch


def test_the_numbers_have_units_and_errors():
    text = numbers(a_fit())
    assert "<b>1.234″</b> ± 0.012″" in text
    assert "at 150°" in text
    assert "1.10 (galaxy alone 3.30)" in text


def test_the_real_fit_reaches_the_window(qtbot, vetting, panel):
    """Through the engine, in a process of its own."""
    with qtbot.waitSignal(vetting.session.lens_fitted, timeout=120_000):
        press(qtbot, vetting, Qt.Key.Key_M, SHIFT)
    assert isinstance(vetting.session.lens_fits[vetting.session.selection], LensFit)
