"""The inspector: facts, views at one zoom, stamps made ahead, saliency, ring, and what it says when it has nothing."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QWheelEvent

from deeplense_gui import work
from deeplense_gui.panels import inspector as inspector_panel
from deeplense_gui.widgets import pictures
from deeplense_gui.widgets.facts import Facts, position_text
from deeplense_gui.widgets.pictures import Pixels, make_picture, make_pictures, residual_picture
from deeplense_gui.widgets.stamp_reader import Wish, read_stamp, side_to_read
from deeplense_gui.widgets.view_grid import arrange
from engine.errors import ImageError
from engine.types import Candidate, Mosaic
from tests.gui.parts import NONE, open_and_scan, press, put, show_window, write_sky

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def inspector(qtbot, vetting):
    """The inspector of a window with a scanned mosaic, its stamp and residual shown."""
    panel = vetting.panels["inspector"]
    wait_for_stamp(qtbot, panel)
    return panel


def wait_for_stamp(qtbot, panel) -> None:
    qtbot.waitUntil(lambda: "residual" in titles(panel), timeout=10_000)


def titles(panel) -> list[str]:
    return [view.picture.title for view in panel.grid.small if view.isVisible() and view.picture is not None]


def wheel(view, steps: int) -> None:
    centre = QPointF(view.rect().center())
    event = QWheelEvent(
        centre, view.mapToGlobal(centre), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton, NONE,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    view.wheelEvent(event)


def test_nothing_selected_is_said(window):
    panel = window.panels["inspector"]
    assert panel.pages.currentIndex() == 0
    assert "Nothing selected" in panel.message.text()
    assert panel.facts.isHidden()


def test_the_facts_of_the_candidate(vetting, inspector):
    candidate = vetting.session.candidate()
    assert inspector.facts.name.text() == candidate.name
    assert inspector.facts.score.text() == f"{candidate.score:.3f}"
    assert "raw" in inspector.facts.details.text()
    assert inspector.facts.grade.text() == "not graded"
    vetting.session.grade("B")
    vetting.session.select(candidate.id)
    assert inspector.facts.grade.text() == "B"
    assert "Vera" in inspector.facts.grade.toolTip()


def test_the_position_is_copied(qtbot, vetting, inspector):
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    press(qtbot, vetting, KEY.Key_C, modifiers)
    copied = QGuiApplication.clipboard().text()
    assert copied == position_text(vetting.session.candidate())
    assert copied.startswith("14:2")
    assert f"{vetting.session.candidate().ra:.6f}" in copied


def test_views_of_one_band(inspector):
    assert titles(inspector) == ["asinh", "brighter", "log", "sqrt", "linear", "MTF", "residual"]
    assert inspector.grid.large.picture.title == "asinh"


def test_views_of_three_bands(qtbot, window, band_files):
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.session.open_mosaic(band_files)
    with qtbot.waitSignal(window.session.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        window.session.scan()
    panel = window.panels["inspector"]
    wait_for_stamp(qtbot, panel)
    assert titles(panel) == ["colour", "bluer", "brighter", "log", "sqrt", "linear", "MTF", "g", "r", "i", "residual"]
    sizes = [(view.width(), view.height()) for view in panel.grid.small if view.isVisible()]
    assert len(set(sizes)) == 1
    assert sizes[0][0] == sizes[0][1] >= 60
    assert min(panel.grid.large.width(), panel.grid.large.height()) > 2.5 * sizes[0][0]


def test_a_click_on_a_small_view_shows_it_large_and_it_stays(qtbot, vetting, inspector):
    view = next(view for view in inspector.grid.small if view.picture.title == "log")
    qtbot.mouseClick(view, LEFT)
    assert inspector.grid.large.picture is view.picture
    assert view.marked
    press(qtbot, vetting, KEY.Key_Right)
    wait_for_stamp(qtbot, inspector)
    assert inspector.grid.large.picture.title == "log"
    again = show_window(qtbot, vetting.session)
    assert again.panels["inspector"].grid.title == "log"


def test_keys_go_through_the_views(qtbot, vetting, inspector):
    seen = []
    for _ in titles(inspector):
        seen.append(inspector.grid.large.picture.title)
        press(qtbot, vetting, KEY.Key_V)
    assert seen == titles(inspector)
    assert inspector.grid.large.picture.title == seen[0]
    press(qtbot, vetting, KEY.Key_V, Qt.KeyboardModifier.ShiftModifier)
    assert inspector.grid.large.picture.title == seen[-1]
    small = inspector.grid.small[1]
    small.setFocus()
    qtbot.keyClick(small, KEY.Key_Return)
    assert inspector.grid.large.picture is small.picture


def test_all_views_zoom_together(qtbot, vetting, inspector):
    before = inspector.field.side
    wheel(inspector.grid.small[2], 2)
    assert inspector.field.side < before
    assert inspector.side.value() == pytest.approx(inspector.field.side, abs=0.06)
    assert {view.field for view in inspector.grid.small} == {inspector.grid.large.field}
    press(qtbot, vetting, KEY.Key_BracketLeft)
    press(qtbot, vetting, KEY.Key_BracketLeft)
    assert inspector.field.side > before


def test_a_typed_field_is_read_and_remembered(qtbot, vetting, inspector):
    inspector.side.setFocus()
    inspector.side.selectAll()
    qtbot.keyClicks(inspector.side, "41")  # 1 is a command, but not while a number is typed
    qtbot.keyClick(inspector.side, KEY.Key_Return)
    assert inspector.field.side == 41
    qtbot.waitUntil(lambda: inspector.grid.large.picture.side >= 41, timeout=10_000)
    press(qtbot, vetting, KEY.Key_A)
    assert vetting.session.counts()["A"] == 1
    assert show_window(qtbot, vetting.session).panels["inspector"].field.side == 41


def test_dragging_moves_the_field_and_a_double_click_brings_it_back(qtbot, inspector):
    view = inspector.grid.large
    middle = view.rect().center()
    qtbot.mousePress(view, LEFT, pos=middle)
    qtbot.mouseMove(view, middle + QPoint(30, 0))
    qtbot.mouseMove(view, middle + QPoint(60, 20))
    qtbot.mouseRelease(view, LEFT, pos=middle + QPoint(60, 20))
    per_point = inspector.field.side / min(view.width(), view.height())
    assert inspector.field.x == pytest.approx(-60 * per_point, rel=0.05)
    assert inspector.field.y == pytest.approx(20 * per_point, rel=0.05)
    qtbot.mouseDClick(view, LEFT, pos=middle)
    assert (inspector.field.x, inspector.field.y) == (0, 0)


def test_the_next_stamp_is_made_ahead(qtbot, vetting, inspector):
    session = vetting.session
    following = session.neighbours()[0]
    wish = inspector._wish(session.mosaic, following)
    qtbot.waitUntil(lambda: inspector.reader.pictures(wish.key) is not None, timeout=10_000)
    qtbot.waitUntil(lambda: following.id in inspector._residuals, timeout=10_000)
    press(qtbot, vetting, KEY.Key_B)
    assert session.selection == following.id
    assert inspector.grid.large.picture is not None
    assert "residual" in titles(inspector)


def test_a_stamp_that_was_not_made_ahead_does_not_flash(qtbot, vetting, inspector, monkeypatch):
    """A jump to the end of the list, where nothing is prepared, shows the stamp at once rather than "Reading…"."""
    monkeypatch.setattr(inspector_panel, "_NOTICED", 5.0)  # a busy machine
    last = int(vetting.session.ids()[-1])
    wish = inspector._wish(vetting.session.mosaic, vetting.session.rows([last])[0])
    assert inspector.reader.pictures(wish.key) is None
    vetting.session.select(last)
    assert inspector.grid.large.picture is not None
    assert inspector.grid.large.picture is inspector.reader.pictures(wish.key)[0]


def test_a_slow_disk_is_not_waited_for(qtbot, vetting, inspector, monkeypatch):
    held = threading.Event()
    make = inspector.reader._make
    monkeypatch.setattr(inspector.reader, "_make", lambda wish: held.wait(20) and make(wish))
    try:
        vetting.session.select(int(vetting.session.ids()[-1]))
        assert inspector.grid.large.picture is None
        assert inspector.grid.large.message == "Reading…"
    finally:
        held.set()
    qtbot.waitUntil(lambda: inspector.grid.large.picture is not None, timeout=10_000)


def test_the_faint_slider_makes_the_sky_brighter(qtbot, inspector):
    def mean() -> float:
        return float((inspector.grid.large.picture.pixels & 255).mean())

    before = mean()
    inspector.lift.setFocus()
    for _ in range(6):
        qtbot.keyClick(inspector.lift, KEY.Key_PageUp)
    qtbot.waitUntil(lambda: mean() > before + 5, timeout=10_000)
    assert float(inspector.session.preferences.get("inspector/lift")) > 0


@pytest.mark.parametrize(("key", "modifiers", "method"), [
    (KEY.Key_E, NONE, "gradcam"), (KEY.Key_E, Qt.KeyboardModifier.ShiftModifier, "integrated_gradients"),
])  # fmt: skip
def test_a_key_explains_and_the_map_lies_over_the_stamp(qtbot, vetting, inspector, key, modifiers, method):
    press(qtbot, vetting, key, modifiers)
    qtbot.waitUntil(lambda: inspector.grid.large._saliency is not None, timeout=10_000)
    qtbot.waitUntil(lambda: not inspector.grid.large.notice, timeout=5_000)
    assert inspector.saliency.method.currentData() == method
    assert inspector.saliency.explain.text() == "Explain"
    assert [inspector.saliency.field.itemText(k) for k in range(2)] == ["6.4″", "19.2″"]
    covered = inspector.grid.large.grab().toImage()
    qtbot.mouseClick(inspector.saliency.clear, LEFT)
    plain = inspector.grid.large.grab().toImage()
    assert covered.size() == plain.size()
    assert covered != plain
    assert inspector.grid.large._saliency is None


def test_while_it_explains_it_says_so(qtbot, vetting, inspector, monkeypatch):
    import threading

    ready = threading.Event()
    method = work.saliency_method("gradcam")

    def slow(*arguments, **options):
        ready.wait(10)
        return method(*arguments, **options)

    put(monkeypatch, "saliency_method", lambda name: slow)
    qtbot.mouseClick(inspector.saliency.explain, LEFT)
    qtbot.waitUntil(lambda: inspector.grid.large.notice == "explaining…", timeout=5_000)
    press(qtbot, vetting, KEY.Key_A)  # grading goes on meanwhile
    assert vetting.session.counts()["A"] == 1
    ready.set()
    qtbot.waitUntil(lambda: not inspector.grid.large.notice, timeout=10_000)


def test_a_map_belongs_to_its_candidate(qtbot, vetting, inspector):
    press(qtbot, vetting, KEY.Key_E)
    qtbot.waitUntil(lambda: inspector.grid.large._saliency is not None, timeout=10_000)
    press(qtbot, vetting, KEY.Key_Right)
    assert inspector.grid.large._saliency is None
    press(qtbot, vetting, KEY.Key_Left)
    assert inspector.grid.large._saliency is not None


def test_the_opacity_changes_the_picture_and_is_remembered(qtbot, vetting, inspector):
    press(qtbot, vetting, KEY.Key_E)
    qtbot.waitUntil(lambda: inspector.grid.large._saliency is not None, timeout=10_000)
    before = inspector.grid.large.grab().toImage()
    inspector.saliency.opacity.setFocus()
    qtbot.keyClick(inspector.saliency.opacity, KEY.Key_Home)
    assert inspector.grid.large.opacity == 0
    assert inspector.grid.large.grab().toImage() != before
    assert show_window(qtbot, vetting.session).panels["inspector"].grid.large.opacity == 0


def test_the_ring_is_dragged_to_the_arcs(qtbot, vetting, inspector):
    press(qtbot, vetting, KEY.Key_R)
    assert inspector.ring.shown
    assert inspector.ring_button.isChecked()
    view = inspector.grid.large
    start = view._centre() + QPointF(inspector.ring.radius / view._per_point(), 0)
    target = view._centre() + QPointF(3.0 / view._per_point(), 0)
    qtbot.mousePress(view, LEFT, pos=start.toPoint())
    qtbot.mouseMove(view, target.toPoint())
    qtbot.mouseRelease(view, LEFT, pos=target.toPoint())
    assert inspector.ring.radius == pytest.approx(3.0, abs=0.1)
    press(qtbot, vetting, KEY.Key_R)
    assert not inspector.ring.shown


def test_a_mosaic_that_is_not_open_is_said_and_can_be_found(qtbot, vetting, sky, tmp_path):
    session = vetting.session
    path = session.project.path
    moved = sky.rename(tmp_path / "moved.fits")
    session.close_project()
    session.mosaics.clear()
    session.show_mosaic(None)
    session.open_project(path)
    panel = vetting.panels["inspector"]
    assert panel.candidate is not None
    assert panel.pages.currentIndex() == 0
    assert "not open" in panel.message.text()
    with qtbot.waitSignal(session.locate) as asked:
        session.locate.disconnect(vetting.ask_moved)
        qtbot.mouseClick(panel.find, LEFT)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.relocate(asked.args[0], [moved])
    assert panel.pages.currentIndex() == 1
    wait_for_stamp(qtbot, panel)


def test_what_cannot_be_read_is_said_in_the_place_of_the_stamp(qtbot, vetting, inspector):
    class Broken:
        shape = (400, 400)

        def read(self, *_: object) -> np.ndarray:
            raise ImageError("the disk is gone")

    session = vetting.session
    broken = replace(session.mosaic, planes=(Broken(),))
    session.mosaics[broken.id] = broken
    session.select(int(session.ids()[-1]))
    qtbot.waitUntil(lambda: "the disk is gone" in inspector.grid.large.message, timeout=10_000)


def test_without_a_model_there_is_simply_no_residual(qtbot, vetting, inspector, monkeypatch):
    from engine.errors import ModelError

    def missing(name: str) -> None:
        raise ModelError("no model")

    put(monkeypatch, "card", missing)
    session = vetting.session
    last = int(session.ids()[-1])
    mine = lambda identity, residual: identity == last and residual is None  # noqa: E731
    with (
        qtbot.assertNotEmitted(session.message),
        qtbot.waitSignal(session.residual_made, timeout=10_000, check_params_cb=mine),
    ):
        session.select(last)
    qtbot.waitUntil(lambda: titles(inspector) == ["asinh", "brighter", "log", "sqrt", "linear", "MTF"], timeout=10_000)


def test_fields_in_pixels_are_remembered_apart(qtbot, vetting, inspector, tmp_path):
    session = vetting.session
    session.close_project()
    open_and_scan(qtbot, session, write_sky(tmp_path / "plain.fits", wcs=False, seed=4))
    assert inspector.side.suffix() == " px"
    assert inspector.field.side == 60
    inspector.side.setValue(90)
    assert float(session.preferences.get("inspector/side_in_pixels")) == 90


# pieces ---------------------------------------------------------------------------------------------------------------


@given(st.integers(200, 1500), st.integers(200, 1200), st.integers(1, 14))
def test_views_never_overlap_and_stay_inside(width, height, count):
    large, small = arrange(width, height, count)
    assert len(small) == count
    places = [large, *small]
    assert not any(a.intersects(b) for i, a in enumerate(places) for b in places[i + 1 :])
    if min(width, height) >= 300:
        assert all(p.left() >= 0 and p.right() <= width and p.top() >= 0 and p.bottom() <= height for p in places)
        assert min(large.width(), large.height()) >= small[0].width()


@pytest.mark.parametrize(("x", "y"), [(50, 50), (50.4, 49.7), (0, 99), (-30, 400)])
def test_a_stamp_is_centred_on_the_candidate(x, y):
    class Ramp:
        shape = (100, 100)

        def read(self, y0, y1, x0, x1, step=1):
            rows, columns = np.mgrid[y0:y1:step, x0:x1:step]
            return (rows * 1000 + columns).astype(np.float32)

    mosaic = Mosaic("m", (), (100, 100), ("g",), 0.5, None, (Ramp(),))
    picture = read_stamp(Wish(mosaic, x, y, 10.0))[0]
    assert picture.pixels.shape[0] % 2 == 1
    assert picture.side == picture.pixels.shape[0] * 0.5
    assert (picture.x, picture.y) == pytest.approx(((round(x) - x) * 0.5, (round(y) - y) * 0.5))


def test_regions_grow_in_few_steps():
    sides = {side_to_read(shown) for shown in np.linspace(1, 300, 2000)}
    assert len(sides) < 12
    assert all(side_to_read(shown) >= 1.25 * shown for shown in np.linspace(1, 300, 50))


@pytest.mark.parametrize("bands", [("g",), ("g", "r"), ("g", "r", "i"), ("g", "r", "i", "z"), *pictures.PICTURES])
@pytest.mark.parametrize("kind", ["noise", "constant", "nan", "one band missing"])
def test_any_pixels_make_pictures(bands, kind):
    pixels = np.random.default_rng(2).normal(5, 2, (len(bands), 41, 41)).astype(np.float32)
    if kind == "constant":
        pixels[:] = 3
    elif kind == "nan":
        pixels[:] = np.nan
    elif kind == "one band missing":
        pixels[-1] = np.nan
    colour = (2, 1, 0) if len(bands) >= 3 else ()
    with np.errstate(all="raise", under="ignore"):
        made = make_pictures(Pixels(pixels, bands, colour, 8.0))
    assert all(picture.pixels.shape == (41, 41) and picture.pixels.dtype == np.uint32 for picture in made)
    names = [picture.title for picture in made]
    assert len(names) == len(set(names))
    assert names == pictures.titles(bands, colour)
    assert np.array_equal(make_picture(Pixels(pixels, bands, colour, 8.0), names[-1]).pixels, made[-1].pixels)


def test_what_many_graders_said_does_not_make_the_window_wider(qtbot, vetting):
    session, facts = vetting.session, vetting.panels["inspector"].facts
    first, second = session.ids()[:2].tolist()
    for number in range(12):
        session.project.grade(first, "ABCX"[number % 4], grader=f"A grader of a long name, number {number}")
    session.listing.forget()
    session.select(second)
    session.select(first)
    qtbot.waitUntil(lambda: "number 3 X" in facts.model.text(), timeout=5_000)
    assert vetting.minimumSizeHint().width() <= 1280
    assert vetting.width() == 1280
    assert "number 3 X" in facts.model.toolTip()


def test_a_residual_of_nothing_is_a_picture():
    assert residual_picture(np.full((8, 8), np.nan, np.float32), 1.6, "″").pixels.shape == (8, 8)


def test_facts_without_a_position_on_the_sky(qtbot):
    facts = Facts()
    qtbot.addWidget(facts)
    facts.show_candidate(Candidate(1, "x", None, None, 3.25, 4.5, 1, 1, 1, 0.5, 0.5, 0.1, "m", "id"))
    facts.copy_position()
    assert QGuiApplication.clipboard().text() == "x 3.25  y 4.50"


def test_the_asinh_stretch_is_what_the_formula_says_for_any_value():
    values = np.array([[-np.inf, -1e30, -1.0, -0.3, 0.0, 0.3, 5.0, 39.9, 40.0, 1e30, np.inf, np.nan]], np.float32)
    low, high = np.arcsinh(-0.5), np.arcsinh(20.0)
    expected = np.clip((np.arcsinh(values.astype(float) / 2) - low) / (high - low), 0, 1)
    bright = pictures.asinh(values, 40.0)
    assert bright.dtype == np.float32
    assert np.allclose(bright, expected, atol=1e-6, equal_nan=True)
