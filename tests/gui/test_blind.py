"""Blind vetting, queues, kinds, marks and measured rings: what is hidden, what is kept, and by which keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPointF, Qt

from deeplense_gui.models.candidates import COLUMNS
from deeplense_gui.panels.vetting import span
from deeplense_gui.session import Session
from engine.catalogue.store import Project
from tests.gui.parts import dialog, press, show_window

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def blind(qtbot, vetting):
    """Blind, after somebody else has graded the best."""
    session = vetting.session
    session.project.grade(int(session.ids()[0]), "X", grader="Karl")
    session.listing.forget()
    press(qtbot, vetting, KEY.Key_B, CONTROL | SHIFT)
    return vetting


def table_text(window, candidate: int) -> dict[str, str | None]:
    model = window.panels["candidates"].model
    row = model.row_of(candidate)
    return {column.title: model.index(row, k).data() for k, column in enumerate(COLUMNS)}


def test_what_could_sway_the_grade_is_hidden_until_it_is_given(qtbot, blind):
    session, inspector = blind.session, blind.panels["inspector"]
    assert blind.blind_badge.isVisible()
    candidate = session.candidate()
    shown = table_text(blind, candidate.id)
    hidden = ("Score", "±", "Name", "RA", "Dec", "x", "y", "Radius", "S/N", "Model")
    assert [shown[title] for title in hidden] == [None] * 10
    assert candidate.name not in inspector.facts.name.text()
    assert inspector.facts.score.text() == ""
    assert not blind.actions_by_id["explain.gradcam"].isEnabled()
    assert not blind.actions_by_id["stamp.copy"].isEnabled()
    assert session.opinions(candidate) == []
    row = blind.panels["candidates"].model.row_of(candidate.id)
    assert blind.panels["gallery"]._caption(row).text == ""
    assert candidate.name not in blind.panels["mosaic"]._describe(candidate.id)
    press(qtbot, blind, KEY.Key_A)
    session.select(candidate.id)
    assert table_text(blind, candidate.id)["Name"] == candidate.name
    assert inspector.facts.score.text() == f"{candidate.score:.3f}"
    assert blind.actions_by_id["explain.gradcam"].isEnabled()


def test_other_peoples_grades_are_neither_seen_nor_counted(qtbot, blind):
    session = blind.session
    assert session.counts() == {None: 40}
    graded_by_karl = session.project.ids(grades={"X"})
    session.select(int(graded_by_karl[0]))
    assert session.candidate().grade is None
    assert blind.panels["inspector"].facts.grade.text() == "not graded"
    press(qtbot, blind, KEY.Key_B)
    session.select(int(graded_by_karl[0]))
    assert [(one.grader, one.grade) for one in session.opinions(session.candidate())] == [("Karl", "X"), ("Vera", "B")]
    assert "Karl X" in blind.panels["inspector"].facts.model.text()
    press(qtbot, blind, KEY.Key_B, CONTROL | SHIFT)
    assert sum(count for grade, count in session.counts().items() if grade) == 1


def test_seeing_it_is_journaled_and_a_later_change_is_an_event_of_its_own(qtbot, blind):
    session = blind.session
    first = session.selection
    press(qtbot, blind, KEY.Key_A)
    session.select(first)
    press(qtbot, blind, KEY.Key_C)
    told = [
        (event.kind, event.payload.get("grade")) for event in session.project.journal(first) if event.grader == "Vera"
    ]
    assert told == [("grade", "A"), ("reveal", None), ("grade", "C")]
    assert session.project.journal(first)[-1].display["blind"] is True


def test_the_list_is_shuffled_the_same_every_time_and_cannot_be_sorted_by_what_is_hidden(qtbot, blind):
    session = blind.session
    shuffled = session.ids().tolist()
    by_score = session.project.ids().tolist()
    assert sorted(shuffled) == sorted(by_score)
    assert shuffled != by_score
    for order in ("score", "flux", "signal_to_noise", "radius", "x", "ra"):
        session.set_filters(order=order)
        assert session.ids().tolist() == shuffled
    session.set_filters(order="flag", descending=False)
    assert session.filters.order == "flag"
    session.preferences.grader = "Ada"
    session.set_filters(order="random")
    assert session.ids().tolist() != shuffled


def test_no_queue_tells_that_others_spoke(qtbot, blind):
    session, queues = blind.session, blind.panels["vetting"].queue.queue
    everything = session.ids().tolist()
    for name in ("disagreements", "flagged"):
        assert not queues.model().item(queues.findData(name)).isEnabled()
        session.set_filters(queue=name)
        assert session.filters.queue == ""
        assert session.ids().tolist() == everything
    session.set_blind(False)
    assert queues.model().item(queues.findData("flagged")).isEnabled()
    session.set_filters(queue="flagged")
    session.set_blind(True)
    assert session.filters.queue == ""


def test_the_project_remembers_it(qtbot, blind):
    path, preferences = blind.session.project.path, blind.session.preferences
    blind.close()
    again = show_window(qtbot, Session(preferences=preferences))
    again.session.open_project(path)
    assert again.session.blind
    assert again.blind_badge.isVisible()
    assert again.panels["vetting"].queue.blind.isChecked()
    qtbot.mouseClick(again.panels["vetting"].queue.blind, LEFT)
    assert not again.session.blind
    again.close()


# kinds, marks, rings --------------------------------------------------------------------------------------------------


def test_a_kind_is_one_key_before_the_grade(qtbot, vetting):
    session = vetting.session
    first = session.selection
    press(qtbot, vetting, KEY.Key_T)
    assert (session.selection, session.candidate().subclass) == (first, "quad")
    assert vetting.panels["vetting"].grades.kinds["quad"].isChecked()
    press(qtbot, vetting, KEY.Key_A)
    assert session.selection != first
    assert session.rows([first])[0].subclass == "quad"
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    assert (session.candidate().subclass, session.candidate().grade) == ("", None)


def test_a_click_on_a_kind_and_another_takes_it_back(qtbot, vetting):
    button = vetting.panels["vetting"].grades.kinds["merger"]
    qtbot.mouseClick(button, LEFT)
    assert vetting.session.candidate().subclass == "merger"
    qtbot.mouseClick(button, LEFT)
    assert vetting.session.candidate().subclass == ""


def test_digits_grade_too(qtbot, vetting):
    ids = [int(i) for i in vetting.session.ids()[:4]]
    for key in (KEY.Key_3, KEY.Key_2, KEY.Key_1, KEY.Key_0):
        press(qtbot, vetting, key)
    assert [row.grade for row in vetting.session.rows(ids)] == ["A", "B", "C", "X"]


def test_flag_and_come_back_make_queues(qtbot, vetting):
    session, queue = vetting.session, vetting.panels["vetting"].queue
    first, second = (int(i) for i in session.ids()[:2])
    press(qtbot, vetting, KEY.Key_F, SHIFT)
    session.select(second)
    press(qtbot, vetting, KEY.Key_B, SHIFT)
    assert session.counts() == {None: 40}
    queue.queue.setCurrentIndex(queue.queue.findData("flagged"))
    assert session.ids().tolist() == [first]
    assert session.selection == first
    queue.queue.setCurrentIndex(queue.queue.findData("come back"))
    assert session.ids().tolist() == [second]
    press(qtbot, vetting, KEY.Key_B, SHIFT)
    assert len(session.ids()) == 0
    queue.queue.setCurrentIndex(0)
    assert len(session.ids()) == 40


def test_the_dragged_ring_is_kept_in_arcsec_and_can_be_undone(qtbot, vetting):
    session, inspector = vetting.session, vetting.panels["inspector"]
    qtbot.waitUntil(lambda: inspector.grid.large.picture is not None, timeout=10_000)
    press(qtbot, vetting, KEY.Key_R)
    view = inspector.grid.large
    start = view._centre() + QPointF(inspector.ring.radius / view._per_point(), 0)
    target = view._centre() + QPointF(2.5 / view._per_point(), 0)
    qtbot.mousePress(view, LEFT, pos=start.toPoint())
    qtbot.mouseMove(view, target.toPoint())
    qtbot.mouseRelease(view, LEFT, pos=target.toPoint())
    assert session.candidate().einstein_radius == pytest.approx(2.5, abs=0.1)
    kept, first = session.candidate().einstein_radius, session.selection
    press(qtbot, vetting, KEY.Key_Right)
    inspector.ring.set_radius(0.7)
    press(qtbot, vetting, KEY.Key_Left)
    assert inspector.ring.radius == kept
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    assert session.rows([first])[0].einstein_radius is None


# queues and filters ---------------------------------------------------------------------------------------------------


def test_disagreements_are_a_queue(vetting):
    session = vetting.session
    first, second = (int(i) for i in session.ids()[:2])
    for grader, grades in (("Karl", "AA"), ("Ada", "XB")):
        for candidate, grade in zip((first, second), grades, strict=True):
            session.project.grade(candidate, grade, grader=grader)
    session.set_filters(queue="disagreements")
    assert session.ids().tolist() == [first]
    session.set_filters(queue="few graders")
    assert len(session.ids()) == 38


def test_limits_of_columns_are_typed_saved_by_name_and_cleared(qtbot, vetting, monkeypatch):
    from PySide6.QtWidgets import QInputDialog

    from deeplense_gui.dialogs.limits import LimitsDialog

    session = vetting.session
    press(qtbot, vetting, KEY.Key_F, CONTROL | SHIFT)
    asked = dialog(vetting, LimitsDialog)
    low, _ = asked.fields["x"]
    qtbot.keyClicks(low, "200")
    _, high = asked.fields["y"]
    qtbot.keyClicks(high, "150")
    asked.accept()
    rows = session.rows(session.ids())
    assert 0 < len(rows) < 40
    assert all(row.x >= 200 and row.y <= 150 for row in rows)
    assert vetting.panels["vetting"].queue.filter.text() == "Filter (2)"
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("corner", True))
    vetting.actions_by_id["list.save"].trigger()
    vetting.actions_by_id["list.clear"].trigger()
    assert len(session.ids()) == 40
    assert session.saved_filters() == ["corner"]
    queue = vetting.panels["vetting"].queue
    queue._fill()
    next(action for action in queue.menu.actions() if action.text() == "corner").trigger()
    assert [row.id for row in session.rows(session.ids())] == [row.id for row in rows]
    with Project.open(session.project.path, read_only=True) as project:
        assert "corner" in project.setting("saved_filters")


def test_only_what_is_in_view(qtbot, vetting):
    session, canvas = vetting.session, vetting.panels["mosaic"].canvas
    canvas.actual_size()
    canvas.zoom_by(4)
    vetting.actions_by_id["list.in_view"].trigger()
    x0, x1, y0, y1 = canvas.view.edges()
    assert 0 < len(session.ids()) < 40
    assert all(x0 <= row.x <= x1 and y0 <= row.y <= y1 for row in session.rows(session.ids()))


@pytest.mark.parametrize(("name", "key"), [("spread", "spread"), ("flux", "flux"), ("ra", "ra")])
def test_orders(vetting, name, key):
    queue = vetting.panels["vetting"].queue
    queue.order.setCurrentIndex(queue.order.findData(name))
    values = [getattr(row, key) for row in vetting.session.rows(vetting.session.ids())]
    assert values == sorted(values, reverse=name != "ra")


def test_pace_and_what_is_left(qtbot, vetting):
    session = vetting.session
    assert vetting.panels["vetting"].pace.text() == ""
    for _ in range(7):
        press(qtbot, vetting, KEY.Key_X)
    assert session.pace() > 0
    assert "an hour" in vetting.panels["vetting"].pace.text()
    assert [span(value) for value in (40, 720, 12_000)] == ["40 s", "12 min", "3 h 20 min"]


def test_a_text_undoes_itself_before_the_grades(qtbot, vetting):
    session = vetting.session
    press(qtbot, vetting, KEY.Key_A)
    press(qtbot, vetting, KEY.Key_F, CONTROL)
    text = vetting.panels["candidates"].filters.text
    qtbot.keyClicks(text, "xyz")
    qtbot.keyClick(text, KEY.Key_Z, CONTROL)
    assert text.text() == ""
    assert session.counts()["A"] == 1
    qtbot.keyClick(text, KEY.Key_Z, CONTROL)
    assert session.counts() == {None: 40}
