"""The substructure of a lens in the window: asked by key and button, in words that claim no more than can be told."""

from __future__ import annotations

import csv
import time
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt

from deeplense_gui import work
from deeplense_gui.panels.substructure import in_numbers, verdict
from deeplense_gui.widgets.lens_pictures import make_copies
from engine.errors import ImageError, ModelError
from engine.interpret.substructure import substructure_models
from engine.types import LensFit, Step, Substructure
from tests.gui.parts import open_and_scan, press, show_window, write_sky
from tests.gui.test_lens_panel import a_fit

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


def told(probability=(0.02, 0.96, 0.02), notes: tuple[str, ...] = ()) -> Substructure:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 10)
    places = random.normal(size=(30, 2)) + labels[:, None]
    ring = np.hypot(*(np.mgrid[:40, :40] - 19.5))
    stamp = (20 * np.exp(-((ring - 10) ** 2) / 8) + random.normal(size=ring.shape)).astype(np.float32)
    return Substructure(
        "substructure-2", ("no_sub", "cdm", "axion"), probability, 0.76, 1 / 3, 0.4, np.array([1.0, 1.0]), places,
        labels, stamp, np.stack([stamp] * 3), (0.0, 4.37, 0.06), 4.0, notes, 3.21,
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch, vetting) -> list[tuple]:
    """What was asked of the engine; each is answered at once."""
    calls: list[tuple] = []

    def lens_copies(mosaic, candidate, band, side, seeing):
        calls.append((candidate.id, band, side, seeing))
        yield Step(1, 2, (a_fit(),))
        yield Step(2, 2, ("copies",))

    def tell(copies):
        assert copies == "copies"
        yield Step(1, 1, (told(),))

    monkeypatch.setattr(work, "lens_copies", lens_copies)
    monkeypatch.setattr(vetting.session._models, "tell_substructure", tell)
    return calls


@pytest.fixture
def panel(vetting):
    return vetting.panels["substructure"]


def tell(qtbot, window) -> None:
    with qtbot.waitSignal(window.session.substructure_told, timeout=15_000):
        press(qtbot, window, Qt.Key.Key_D, SHIFT)


def test_before_it_is_asked_the_panel_says_how(panel):
    assert "Shift+D" in panel.message.text()


def test_a_key_tells_fits_the_lens_too_and_brings_the_panel_to_the_front(qtbot, vetting, panel, asked):
    tell(qtbot, vetting)
    identity = vetting.session.selection
    assert asked == [(identity, 0, None, None)]
    assert not panel.views[0].visibleRegion().isEmpty()
    assert [view.picture.title for view in panel.views] == ["stamp", "none", "CDM", "axion"]
    assert panel.verdict.text() == f"{vetting.session.candidate().name}: like copies with subhalos (CDM), 96%"
    assert panel.notes.isHidden()
    assert isinstance(vetting.session.lens_fits[identity], LensFit)


def test_the_button_takes_band_field_and_seeing_of_the_lens_model(qtbot, vetting, panel, asked):
    vetting.docks["substructure"].raise_()
    vetting.panels["lens"].side.setValue(9.5)
    vetting.panels["lens"].seeing.setValue(0.7)
    with qtbot.waitSignal(vetting.session.substructure_told, timeout=15_000):
        qtbot.mouseClick(panel.tell, LEFT)
    assert asked[-1][1:] == (0, 9.5, 0.7)


def test_what_was_told_stays_with_its_candidate_until_another_project(qtbot, vetting, panel, asked):
    tell(qtbot, vetting)
    vetting.session.step_selection(1)
    assert panel.pages.currentIndex() == 0
    vetting.session.step_selection(-1)
    assert panel.pages.currentIndex() == 1
    vetting.session.close_project()
    assert vetting.session.substructures == {}


@pytest.mark.parametrize("error", [ImageError("There are hardly any data"), ModelError("No model tells")])
def test_why_nothing_was_told_is_said(qtbot, vetting, panel, asked, monkeypatch, error):
    def refuse(*_):
        yield Step(1, 1, (error,))

    if isinstance(error, ImageError):
        monkeypatch.setattr(work, "lens_copies", refuse)
    else:
        monkeypatch.setattr(vetting.session._models, "tell_substructure", refuse)
    tell(qtbot, vetting)
    assert panel.message.text() == str(error)
    assert panel.pages.currentIndex() == 0


def test_a_fit_stays_where_no_copies_can_be_made_of_it(qtbot, vetting, panel, asked, monkeypatch):
    def refuse(*_):
        yield Step(1, 2, (a_fit(),))
        yield Step(2, 2, (ImageError("The fit found no lensed source"),))

    monkeypatch.setattr(work, "lens_copies", refuse)
    tell(qtbot, vetting)
    assert "no lensed source" in panel.message.text()
    assert isinstance(vetting.session.lens_fits[vetting.session.selection], LensFit)


def test_it_can_be_stopped(qtbot, vetting, panel, monkeypatch):
    begun: list[bool] = []
    ended: list[bool] = []

    def for_ever(*_):
        begun.append(True)
        try:
            while True:
                yield Step(0, 2)
                time.sleep(0.02)
        finally:
            ended.append(True)

    monkeypatch.setattr(work, "lens_copies", for_ever)
    press(qtbot, vetting, Qt.Key.Key_D, SHIFT)
    qtbot.waitUntil(lambda: bool(begun) and panel.tell.text() == "Stop", timeout=15_000)
    assert "copies" in panel.message.text()
    qtbot.mouseClick(panel.tell, LEFT)
    qtbot.waitUntil(lambda: bool(ended) and panel.tell.text() == "Tell", timeout=15_000)
    assert "Shift+D" in panel.message.text()


def test_blind_nothing_is_told_before_the_grade(vetting, panel, asked):
    session = vetting.session
    session.substructures[session.selection] = told()
    session.set_blind(True)
    assert session.tell_substructure() is None
    assert "Blind" in panel.message.text()
    assert panel.verdict.text() == ""
    assert not panel.tell.isEnabled()
    session.grade("A", stay=True)
    assert panel.pages.currentIndex() == 1
    assert asked == []


def test_a_mosaic_without_a_scale_has_no_lenses(qtbot, session, tmp_path):
    window = show_window(qtbot, session)
    open_and_scan(qtbot, session, write_sky(tmp_path / "plain.fits", wcs=False))
    session.select(int(session.ids()[0]))
    assert "no pixel scale" in window.panels["substructure"].message.text()
    assert not window.panels["substructure"].tell.isEnabled()


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        ((0.95, 0.01, 0.04), "like copies without substructure, 95%"),
        ((0.5, 0.01, 0.49), "like copies without substructure or with a vortex (axion), 99%"),
        ((0.4, 0.3, 0.3), "which copies it is like cannot be told"),
    ],
)
def test_the_verdict_names_as_many_kinds_as_cannot_be_told_apart(probability, words):
    assert verdict(told(probability)) == words


def test_where_nothing_can_be_told_no_kind_is_named(vetting, panel):
    session = vetting.session
    session.substructures[session.selection] = told(notes=("The stamp is like no copy of the lens",))
    panel.refresh()
    assert panel.verdict.text().endswith("nothing can be told")
    assert panel.notes.text() == "The stamp is like no copy of the lens."
    assert not panel.notes.isHidden()


def test_the_numbers_say_how_well_copies_are_told():
    text = in_numbers(told())
    assert "76% (guessing 33%; substructure-2)" in text
    assert "4.37" in text
    assert "3.21" in text
    assert "40%" in text


def test_the_plot_can_be_saved_as_numbers(vetting, panel, tmp_path):
    session = vetting.session
    session.substructures[session.selection] = told()
    panel.refresh()
    panel.plot._write(tmp_path / "plot.csv")
    with (tmp_path / "plot.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + 30 + 1
    assert rows[-1] == ["stamp", "1.0", "1.0"]


def test_all_pictures_are_in_one_stretch():
    found = told()
    made = make_copies(replace(found, examples=np.stack([found.stamp, found.stamp / 2, found.stamp])))
    assert np.array_equal(made["stamp"].pixels, made["no_sub"].pixels)
    assert not np.array_equal(made["stamp"].pixels, made["cdm"].pixels)


def test_the_window_finds_the_bundled_models():
    assert "substructure-2" in substructure_models()
