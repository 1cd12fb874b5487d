"""The mosaic: pan, zoom, readout, circles, stretch, with a real mouse over real pixels."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from astropy.io import fits
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent

from deeplense_gui.widgets.coordinates import sexagesimal
from deeplense_gui.widgets.stretch import LIMITS
from deeplense_gui.widgets.stretch_bar import StretchBar
from engine.images.mosaic import open_mosaic
from engine.images.scaling import KINDS
from tests.gui.parts import NONE, press, write_sky

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def mosaic(qtbot, vetting):
    """The mosaic's panel, painted."""
    panel = vetting.panels["mosaic"]
    qtbot.waitUntil(lambda: bool(panel.canvas.coders) and len(panel.canvas.markers) == 40, timeout=10_000)
    drawn(qtbot, panel.canvas)
    return panel


def drawn(qtbot, canvas) -> None:
    """Wait until every tile in view is read."""

    def complete() -> bool:
        canvas.grab()
        return canvas.is_complete

    qtbot.waitUntil(complete, timeout=10_000)


def wheel(canvas, at: QPoint, steps: int) -> None:
    point = QPointF(at)
    canvas.wheelEvent(
        QWheelEvent(
            point, canvas.mapToGlobal(point), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton, NONE,
            Qt.ScrollPhase.NoScrollPhase, False,
        )
    )  # fmt: skip


def test_the_whole_mosaic_is_shown_at_first(mosaic):
    x0, x1, y0, y1 = mosaic.canvas.view.edges()
    assert x0 <= 0
    assert y0 <= 0
    assert x1 >= 399
    assert y1 >= 399


def test_dragging_moves_the_pixels_with_the_mouse(qtbot, mosaic):
    canvas = mosaic.canvas
    wheel(canvas, canvas.rect().center(), 8)
    start, end = canvas.rect().center(), canvas.rect().center() + QPoint(-70, 45)
    grabbed = canvas.view.pixel(QPointF(start))
    qtbot.mousePress(canvas, LEFT, pos=start)
    for share in (0.3, 0.6, 1.0):
        qtbot.mouseMove(canvas, start + (end - start) * share)
    qtbot.mouseRelease(canvas, LEFT, pos=end)
    assert canvas.view.pixel(QPointF(end)) == pytest.approx(grabbed, abs=0.6)


def test_the_wheel_zooms_about_the_cursor(mosaic):
    canvas, at = mosaic.canvas, QPoint(300, 120)
    before, zoom = canvas.view.pixel(QPointF(at)), canvas.view.zoom
    wheel(canvas, at, 5)
    assert canvas.view.zoom > 2 * zoom
    assert canvas.view.pixel(QPointF(at)) == pytest.approx(before)
    wheel(canvas, at, -80)
    assert canvas.view.zoom > 0


@pytest.mark.parametrize(
    ("key", "check"),
    [
        (KEY.Key_1, lambda canvas: canvas.view.zoom == pytest.approx(1 / canvas.devicePixelRatioF())),
        (KEY.Key_F, lambda canvas: canvas.view.edges()[0] <= 0),
        (KEY.Key_Plus, lambda canvas: canvas.view.zoom > 3),
        (KEY.Key_Minus, lambda canvas: canvas.view.zoom < 3),
        (KEY.Key_Z, lambda c: (c.view.x, c.view.y) == pytest.approx(c.markers.position(c.selection))),
    ],
)
def test_keys_of_the_mosaic(qtbot, vetting, mosaic, key, check):
    mosaic.canvas.centre_on(200, 200, zoom=3.0)
    press(qtbot, vetting, key, CONTROL if key == KEY.Key_1 else NONE)
    assert check(mosaic.canvas)


def test_buttons_do_what_the_keys_do(qtbot, mosaic):
    from PySide6.QtWidgets import QToolButton

    mosaic.canvas.centre_on(200, 200, zoom=3.0)
    button = next(b for b in mosaic.findChildren(QToolButton) if b.accessibleName() == "Show the whole mosaic")
    qtbot.mouseClick(button, LEFT)
    assert mosaic.canvas.view.edges()[0] <= 0


def test_position_and_value_are_read_under_the_cursor(qtbot, vetting, mosaic):
    canvas, session = mosaic.canvas, vetting.session
    candidate = session.candidate()
    canvas.centre_on(candidate.x, candidate.y, zoom=4.0)
    point = canvas.view.point(candidate.x, candidate.y).toPoint()
    x, y = canvas.view.pixel(QPointF(point))  # before the layout settles and moves the view under the mouse
    qtbot.mouseMove(canvas, point)
    qtbot.waitUntil(lambda: mosaic.readout.values.text() != "", timeout=5_000)
    ra, dec = session.mosaic.world(np.array([[x, y]]))[0]
    assert mosaic.readout.sky.text() == sexagesimal(ra, dec)
    assert f"x {x:.1f}" in mosaic.readout.pixel.text()
    value = float(session.mosaic.read(round(y), round(y) + 1, round(x), round(x) + 1)[0, 0, 0])
    assert float(mosaic.readout.values.text().split()[-1]) == pytest.approx(value, rel=1e-3)


def test_a_click_on_a_circle_selects_everywhere(qtbot, vetting, mosaic):
    session = vetting.session
    wanted = session.rows(session.ids())[7]
    qtbot.mouseClick(mosaic.canvas, LEFT, pos=mosaic.canvas.view.point(wanted.x, wanted.y).toPoint())
    assert session.selection == wanted.id == mosaic.canvas.selection
    table = vetting.panels["candidates"].table
    assert table.model().id_at(table.currentIndex().row()) == wanted.id
    assert vetting.panels["inspector"].candidate.id == wanted.id


def test_a_click_beside_the_circles_selects_nothing(qtbot, vetting, mosaic):
    before = vetting.session.selection
    qtbot.mouseClick(mosaic.canvas, LEFT, pos=QPoint(3, 3))
    assert vetting.session.selection == before


def test_selecting_in_the_list_brings_the_circle_into_view(vetting, mosaic):
    canvas, session = mosaic.canvas, vetting.session
    canvas.centre_on(0, 0, zoom=8.0)
    far = max(session.rows(session.ids()), key=lambda row: row.x + row.y)
    session.select(far.id)
    assert canvas.rect().contains(canvas.view.point(far.x, far.y).toPoint())


def test_circles_take_the_colour_of_the_grade(vetting, mosaic):
    from deeplense_gui.style import GRADE_COLOURS

    canvas, session = mosaic.canvas, vetting.session
    best = session.candidate()
    canvas.centre_on(best.x, best.y, zoom=3.0)
    session.grade("A")
    mosaic._take_pending()
    picture = canvas.grab().toImage()
    wanted = QColor(GRADE_COLOURS["A"])
    centre, radius = canvas.view.point(best.x, best.y), canvas.circles.radius(canvas.view)

    def near(angle: float) -> bool:
        for reach in np.arange(radius - 2, radius + 2.1, 0.5):
            x, y = centre.x() + reach * math.cos(angle), centre.y() + reach * math.sin(angle)
            colour = picture.pixelColor(int(x), int(y))
            if abs(colour.hue() - wanted.hue()) < 12 and colour.saturation() > 60:
                return True
        return False

    assert sum(near(angle) for angle in np.linspace(0.2, 6.2, 24)) > 16


def test_candidates_selected_together_have_a_light_ring(vetting, mosaic):
    canvas, session = mosaic.canvas, vetting.session
    canvas.fit()
    ids = [int(identity) for identity in session.ids()[:4]]

    def ringed(candidate_id: int) -> bool:
        (row,), picture = session.rows([candidate_id]), canvas.grab().toImage()
        centre, radius = canvas.view.point(row.x, row.y), canvas.circles.radius(canvas.view) + 4
        at = [(centre.x() + radius * math.cos(a), centre.y() + radius * math.sin(a)) for a in np.linspace(0, 6, 24)]
        around = [
            max(picture.pixelColor(int(x) + dx, int(y) + dy).lightness() for dx in (-1, 0, 1) for dy in (-1, 0, 1))
            for x, y in at
        ]
        return min(around) > 200

    session.select(ids[0])
    assert not any(ringed(one) for one in ids[1:])
    session.select(ids[0], marked=ids[:3])
    assert [ringed(one) for one in ids] == [True, True, True, False]
    session.select(ids[0])
    assert not any(ringed(one) for one in ids[1:])


def test_hidden_overlays_leave_the_pixels_alone(mosaic):
    canvas = mosaic.canvas
    with_circles = canvas.grab().toImage()
    canvas.set_overlays(False)
    alone = canvas.grab().toImage()
    assert alone != with_circles
    grey = [alone.pixelColor(x, y) for x in range(260, 500, 7) for y in range(50, 350, 7)]
    assert all(abs(colour.red() - colour.blue()) < 12 for colour in grey)
    assert canvas.candidate_at(canvas.view.point(*canvas.markers.position(canvas.selection))) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limits", LIMITS)
def test_every_stretch_shows_the_sources_brighter_than_the_sky(qtbot, mosaic, kind, limits):
    bar, canvas = mosaic.bar, mosaic.canvas
    canvas.set_overlays(False)
    for combo, text in ((bar.kind, kind), (bar.limits, limits)):
        combo.setCurrentIndex(max(combo.findText(text), combo.findData(text)))
        combo.activated.emit(combo.currentIndex())
    picture = canvas.grab().toImage()
    star = canvas.view.point(*canvas.markers.position(canvas.selection)).toPoint()
    middle = canvas.view.point(200, 200).toPoint()
    levels = [picture.pixelColor(middle + QPoint(dx, dy)).red() for dx in range(-8, 9) for dy in range(-8, 9)]
    assert picture.pixelColor(star).red() > np.percentile(levels, 40) + 40
    assert canvas.stretch.kind == kind


def test_own_limits_are_typed(qtbot, mosaic):
    bar = mosaic.bar
    bar.limits.setCurrentIndex(bar.limits.findData("custom"))
    bar.limits.activated.emit(bar.limits.currentIndex())
    assert bar.high.isVisible()
    bar.high.selectAll()
    qtbot.keyClicks(bar.high, "50")
    qtbot.keyClick(bar.high, KEY.Key_Return)
    assert (mosaic.canvas.stretch.limits, mosaic.canvas.stretch.high) == ("custom", 50.0)


@pytest.mark.parametrize("room", [0, 2000])
def test_every_control_of_the_stretch_finds_room(qtbot, preferences, sky, room):
    bar = StretchBar(preferences.settings)
    qtbot.addWidget(bar)
    bar.set_mosaic(open_mosaic(sky))
    bar.kind.setCurrentText("MTF")
    bar.limits.setCurrentIndex(bar.limits.findData("custom"))
    bar.limits.activated.emit(bar.limits.currentIndex())
    bar.resize(max(bar.minimumSizeHint().width(), room), 90)
    bar.show()
    with qtbot.waitExposed(bar):
        pass
    qtbot.waitUntil(lambda: bar.midtone.width() >= bar.midtone.sizeHint().width(), timeout=5_000)
    below = bar.low.mapTo(bar, QPoint(0, 0)).y() > bar.limits.geometry().bottom()
    assert below == (not room)
    for control in (bar.view, bar.kind, bar.limits, bar.low, bar.high, bar.midtone, bar.colour_map):
        assert control.isVisible()
        assert control.width() >= min(control.sizeHint().width(), control.maximumWidth())
        assert control.mapTo(bar, QPoint(control.width(), 0)).x() <= bar.width()


def test_typed_limits_stay_with_their_survey(qtbot, preferences, sky, tmp_path):
    other = write_sky(tmp_path / "other_r.fits")
    with fits.open(other, mode="update") as file:
        file[0].header["BUNIT"] = "adu"
    bar = StretchBar(preferences.settings)
    qtbot.addWidget(bar)
    bar.set_mosaic(open_mosaic(sky))
    bar.limits.setCurrentIndex(bar.limits.findData("99"))
    bar.limits.activated.emit(0)
    bar.limits.setCurrentIndex(bar.limits.findData("custom"))
    bar.low.setText("-3")
    bar.high.setText("50")
    bar.limits.activated.emit(0)
    bar.set_mosaic(open_mosaic(other))
    assert bar.stretch().limits == "99"
    bar.set_mosaic(open_mosaic(sky))
    assert (bar.stretch().limits, bar.stretch().low, bar.stretch().high) == ("custom", -3.0, 50.0)
    again = StretchBar(preferences.settings)
    qtbot.addWidget(again)
    again.set_mosaic(open_mosaic(sky))
    assert again.stretch() == bar.stretch()


def test_circles_are_those_of_the_list(qtbot, vetting, mosaic):
    session, markers = vetting.session, mosaic.canvas.markers
    best = int(session.ids()[0])
    session.set_filters(min_score=0.5)
    assert 0 < len(markers) < 40
    assert set(markers.ids.tolist()) == set(session.ids().tolist())
    session.set_filters(min_score=None, grades=frozenset({None}))
    session.select(best)
    session.grade("A")
    qtbot.waitUntil(lambda: len(markers) == 39, timeout=5_000)
    assert markers.position(best) is None
    session.undo()
    qtbot.waitUntil(lambda: markers.position(best) is not None, timeout=5_000)


def test_another_order_of_the_list_reads_no_circles_again(vetting, mosaic, monkeypatch):
    session, read = vetting.session, []
    positions = session.positions
    monkeypatch.setattr(session, "positions", lambda *which: read.append(which) or positions(*which))
    before = set(mosaic.canvas.markers.ids.tolist())
    for order in ({"order": "flux"}, {"descending": False}, {"group": "score"}, {"order": "random", "seed": 5}):
        session.set_filters(**order)
    assert not read
    session.set_filters(order="score", min_score=0.5)
    assert len(read) == 1
    assert set(mosaic.canvas.markers.ids.tolist()) == set(session.ids().tolist()) < before
    session.filtered.emit()  # everything is another
    assert len(read) == 2
    session.set_blind(True)
    assert len(mosaic.canvas.markers) == 0
    session.set_blind(False)
    session.set_filters(min_score=None)
    assert set(mosaic.canvas.markers.ids.tolist()) == before


def test_unlikely_candidates_have_faint_circles(mosaic):
    markers = mosaic.canvas.markers
    markers.set(np.zeros((3, 2)), np.arange(3), [None, None, "X"], np.array([0.05, 0.9, 0.05]))
    order = np.argsort(markers.ids)
    assert markers.shades(order).tolist() == [0, 1, 5]


def test_a_crowd_of_unlikely_candidates_hides_no_pixels(mosaic):
    markers = mosaic.canvas.markers
    scores = np.full(1000, 0.01)
    scores[:30] = 0.9
    mosaic.canvas.set_candidates(np.full((1000, 2), 200.0), np.arange(1000), [None] * 1000, scores)
    assert sorted(markers.ids[markers.worth_drawing(np.arange(1000))].tolist()) == list(range(30))
    assert len(markers.worth_drawing(np.arange(300))) == 300
    mosaic.canvas.fit()
    mosaic.canvas.grab()
    assert len(mosaic.canvas.circles.shown) == 30


def test_nothing_is_left_of_a_closed_mosaic(vetting, mosaic):
    vetting.session.show_mosaic(None)
    assert len(mosaic.canvas.markers) == 0
    mosaic.canvas.grab()
    assert not mosaic.bar.isEnabled()


def test_a_frame_with_many_circles_is_quick(qtbot, mosaic):
    canvas, count = mosaic.canvas, 200_000
    random = np.random.default_rng(5)
    grades = random.choice(np.array([None, "A", "X"], object), count)
    canvas.set_candidates(random.uniform(0, 400, (count, 2)), np.arange(count), grades, random.random(count))
    canvas.grab()
    started = time.perf_counter()
    for step in range(5):
        canvas.centre_on(200 + step, 200)
        canvas.grab()
    assert (time.perf_counter() - started) / 5 < 0.25  # a busy machine; 15 ms on an idle one
