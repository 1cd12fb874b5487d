"""The gallery: stamps of the list, one selection everywhere, grades for many at once, groups, and reading in view."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QHelpEvent, QWheelEvent
from PySide6.QtWidgets import QBoxLayout, QToolTip

from deeplense_gui.session import Session
from tests.gui.parts import NONE, press, show_window

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def gallery(qtbot, vetting):
    """The gallery in front, all the stamps in view read."""
    press(qtbot, vetting, KEY.Key_T, CONTROL)
    panel = vetting.panels["gallery"]
    qtbot.waitUntil(lambda: not panel.view.visibleRegion().isEmpty(), timeout=5_000)
    qtbot.waitUntil(lambda: all(panel._picture(row) for row in panel.view.in_view()), timeout=10_000)
    return panel


def click(qtbot, panel, row: int, modifiers: Qt.KeyboardModifier = NONE) -> None:
    qtbot.mouseClick(panel.view.viewport(), LEFT, modifiers, panel.view.cell(row).center())


def ids(panel, *rows: int) -> set[int]:
    return {int(panel.view.ids[row]) for row in rows}


def test_it_shows_the_list_in_its_order(vetting, gallery):
    assert gallery.view.ids.tolist() == vetting.session.ids().tolist()
    assert len(gallery.view.in_view()) >= 5
    assert gallery.view.current == vetting.session.selection


def test_a_key_swaps_table_and_gallery_and_the_choice_is_remembered(qtbot, vetting, gallery):
    table = vetting.panels["candidates"].table
    press(qtbot, vetting, KEY.Key_T, CONTROL)
    qtbot.waitUntil(lambda: not table.visibleRegion().isEmpty(), timeout=5_000)
    press(qtbot, vetting, KEY.Key_T, CONTROL)
    qtbot.waitUntil(lambda: not gallery.view.visibleRegion().isEmpty(), timeout=5_000)
    path, preferences = vetting.session.project.path, vetting.session.preferences
    vetting.close()
    again = show_window(qtbot, Session(preferences=preferences))
    again.session.open_project(path)
    qtbot.waitUntil(lambda: not again.panels["gallery"].view.visibleRegion().isEmpty(), timeout=5_000)
    again.close()


def test_a_click_selects_everywhere(qtbot, vetting, gallery):
    click(qtbot, gallery, 3)
    (wanted,) = ids(gallery, 3)
    assert vetting.session.selection == wanted
    assert vetting.panels["inspector"].candidate.id == wanted
    assert vetting.panels["mosaic"].canvas.selection == wanted
    assert vetting.panels["candidates"].table.currentIndex().row() == 3


def test_ctrl_and_shift_click_select_several_everywhere(qtbot, vetting, gallery):
    session, table = vetting.session, vetting.panels["candidates"]
    click(qtbot, gallery, 0)
    click(qtbot, gallery, 3, SHIFT)
    assert session.marked == ids(gallery, 0, 1, 2, 3)
    click(qtbot, gallery, 1, CONTROL)
    assert session.marked == ids(gallery, 0, 2, 3)
    assert table._marked() == session.marked
    click(qtbot, gallery, 1, SHIFT)  # from the last one clicked on
    assert session.selection in ids(gallery, 1)
    click(qtbot, gallery, 4)
    assert session.marked == ids(gallery, 4)


def test_clicks_give_the_chosen_grade_and_take_it_back(qtbot, vetting, gallery):
    session = vetting.session
    gallery.click.setCurrentIndex(gallery.click.findData("X"))
    click(qtbot, gallery, 0)
    click(qtbot, gallery, 3, SHIFT)
    wanted = sorted(ids(gallery, 0, 1, 2, 3))
    assert [row.grade for row in session.rows(wanted)] == ["X"] * 4
    assert session.selection in ids(gallery, 3)  # it stays where one clicked
    click(qtbot, gallery, 1)
    assert [row.grade for row in session.rows(wanted)].count("X") == 3
    click(qtbot, gallery, 2, CONTROL)  # only selects
    assert [row.grade for row in session.rows(wanted)].count("X") == 3
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    assert [row.grade for row in session.rows(wanted)].count("X") == 1
    gallery.click.setCurrentIndex(0)
    click(qtbot, gallery, 0)
    assert [row.grade for row in session.rows(wanted)].count("X") == 1


def test_rows_selected_in_the_table_are_selected_in_the_gallery(qtbot, vetting, gallery):
    press(qtbot, vetting, KEY.Key_T, CONTROL)
    panel = vetting.panels["candidates"]
    qtbot.waitUntil(lambda: not panel.table.visibleRegion().isEmpty(), timeout=5_000)
    for row, modifiers in ((1, NONE), (3, SHIFT)):
        place = panel.table.visualRect(panel.model.index(row, 1)).center()
        qtbot.mouseClick(panel.table.viewport(), LEFT, modifiers, place)
    assert vetting.session.marked == ids(gallery, 1, 2, 3) == gallery.view._marked


def test_a_grade_is_for_all_that_are_selected_and_one_undo_takes_it_back(qtbot, vetting, gallery):
    session = vetting.session
    click(qtbot, gallery, 1)
    click(qtbot, gallery, 4, SHIFT)
    press(qtbot, vetting, KEY.Key_X)
    assert session.counts() == {None: 36, "X": 4}
    assert session.selection in ids(gallery, 5)
    assert session.marked == ids(gallery, 5)
    assert "4 candidates" in vetting.statusBar().currentMessage()
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    assert session.counts() == {None: 40}
    assert session.marked == ids(gallery, 1, 2, 3, 4)
    assert "Undo" in vetting.statusBar().currentMessage()
    press(qtbot, vetting, KEY.Key_Z, CONTROL | SHIFT)
    assert session.counts() == {None: 36, "X": 4}


def test_what_the_filter_hides_is_not_graded_along(qtbot, vetting, gallery):
    session = vetting.session
    click(qtbot, gallery, 0)
    press(qtbot, vetting, KEY.Key_A, CONTROL)
    assert len(session.marked) == 40
    session.set_filters(min_score=0.5)
    shown = len(session.ids())
    press(qtbot, vetting, KEY.Key_B)
    assert session.counts() == {None: 40 - shown, "B": shown}


def test_keys_move_the_cursor_and_shift_selects(qtbot, vetting, gallery):
    session, view = vetting.session, gallery.view
    click(qtbot, gallery, 0)
    view.setFocus()
    across = view._layout.columns
    for key, row in (
        (KEY.Key_Right, 1),
        (KEY.Key_Down, 1 + across),
        (KEY.Key_Up, 1),
        (KEY.Key_End, 39),
        (KEY.Key_Right, 39),
        (KEY.Key_Home, 0),
        (KEY.Key_Left, 0),
    ):
        press(qtbot, vetting, key)
        assert session.selection == int(view.ids[row]), key
        assert row in view.in_view()
    press(qtbot, vetting, KEY.Key_PageDown)
    assert session.selection in ids(gallery, *range(across, 40))
    press(qtbot, vetting, KEY.Key_PageUp)
    assert session.selection in ids(gallery, 0)
    press(qtbot, vetting, KEY.Key_Right, SHIFT)
    press(qtbot, vetting, KEY.Key_Right, SHIFT)
    assert session.marked == ids(gallery, 0, 1, 2)
    press(qtbot, vetting, KEY.Key_Left, SHIFT)
    assert session.marked == ids(gallery, 0, 1)
    press(qtbot, vetting, KEY.Key_Escape)
    assert session.marked == {session.selection}


def test_groups_by_grade_and_by_score(qtbot, vetting, gallery):
    session = vetting.session
    for letter in "BAX":
        session.grade(letter)
    gallery.group.setCurrentIndex(gallery.group.findData("grade"))
    assert [title for title, _ in session.sections()] == ["Grade A", "Grade B", "Grade X", "No grade yet"]
    assert [row.grade for row in session.rows(session.ids()[:4])] == ["A", "B", "X", None]
    assert sorted(session.ids()) == sorted(gallery.view.ids)
    gallery.view.grab()
    gallery.group.setCurrentIndex(gallery.group.findData("score"))
    titles = [title for title, _ in session.sections()]
    assert titles == ["Score 0.9 and more", "Score 0.5 to 0.9", "Score 0.1 to 0.5", "Score 0.01 to 0.1"][: len(titles)]
    assert sum(count for _, count in session.sections()) == 40
    scores = [row.score for row in session.rows(session.ids())]
    assert scores == sorted(scores, reverse=True)
    gallery.group.setCurrentIndex(0)
    assert session.sections() == []


def test_a_project_can_be_closed_while_the_list_is_in_groups(qtbot, vetting, gallery):
    gallery.group.setCurrentIndex(gallery.group.findData("grade"))
    vetting.session.listing.use(None)
    assert (len(vetting.session.ids()), vetting.session.sections()) == (0, [])


def test_selected_stamps_keep_their_own_colours(qtbot, vetting, gallery):
    rows = gallery.view.in_view()[:3]
    qtbot.waitUntil(lambda: all(gallery._picture(row) for row in rows), timeout=10_000)
    first, second, third = (int(gallery.view.ids[row]) for row in rows)
    vetting.session.select(third)
    before = gallery.view.viewport().grab(gallery.view.cell(rows[0])).toImage()
    vetting.session.select(third, marked={first, second})
    after = gallery.view.viewport().grab(gallery.view.cell(rows[0])).toImage()
    middle = before.width() // 2
    assert [after.pixel(middle, y) for y in range(8, 60)] == [before.pixel(middle, y) for y in range(8, 60)]
    assert after.pixel(0, 0) != before.pixel(0, 0)  # the frame


def test_hiding_the_graded_keeps_the_place(qtbot, vetting, gallery):
    session = vetting.session
    qtbot.mouseClick(gallery.filters.chips[None], LEFT)
    first, second = (int(i) for i in session.ids()[:2])
    session.select(first)
    press(qtbot, vetting, KEY.Key_C)
    assert session.selection == second
    qtbot.waitUntil(lambda: first not in gallery.view.ids, timeout=5_000)
    assert gallery.view.current == second


def test_size_field_and_view_change_the_stamps_and_stay(qtbot, vetting, gallery):
    view = gallery.view
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum() // 2)
    first = view.in_view().start
    qtbot.waitUntil(lambda: gallery._picture(first) is not None, timeout=10_000)
    before = gallery._picture(first)
    gallery.look.setCurrentText("log")
    assert gallery._picture(first) is None
    qtbot.waitUntil(lambda: gallery._picture(first) is not None, timeout=10_000)
    assert gallery._picture(first) != before
    gallery.field.setValue(20)
    qtbot.waitUntil(lambda: gallery._picture(first) is not None, timeout=10_000)
    assert gallery._picture(first).width() == pytest.approx(2 * before.width(), abs=3)
    centre = QPointF(view.viewport().rect().center())
    wheel = QWheelEvent(
        centre, view.mapToGlobal(centre), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton, CONTROL,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    columns = view._layout.columns
    view.wheelEvent(wheel)
    assert gallery.size.value() > 112
    assert view._layout.columns < columns
    assert first in view.in_view()
    again = show_window(qtbot, vetting.session).panels["gallery"]
    assert (again.size.value(), again.field.value(), again.look.currentText()) == (gallery.size.value(), 20, "log")


def test_the_stamps_in_view_are_read_first_and_those_around_once_they_are_there(qtbot, vetting, gallery, monkeypatch):
    view, wanted, seen = gallery.view, [], []
    read = gallery.reader.want

    def want(wishes):
        wanted.append([gallery._wanted[wish.key] for wish in wishes])
        seen.append([gallery._picture(row) is not None for row in view.in_view()])
        return read(wishes)

    gallery._ahead.stop()
    monkeypatch.setattr(gallery.reader, "want", want)
    gallery.field.setValue(33)  # nothing of it has been read
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    qtbot.waitUntil(lambda: len(wanted) > 1, timeout=10_000)
    rows = list(view.in_view())
    assert wanted[0] == rows
    assert not any(seen[0])
    assert wanted[1][: len(rows)] == rows
    assert wanted[1][-1] == rows[0] - 1
    assert all(seen[1])
    qtbot.waitUntil(lambda: all(gallery._picture(row) for row in wanted[1]), timeout=10_000)
    qtbot.waitUntil(lambda: not gallery._ahead.isActive() and not gallery._looking_ahead, timeout=5_000)
    assert len(wanted) == 2


def test_a_page_that_was_read_ahead_still_has_the_next_one_read(qtbot, vetting, gallery):
    view, bar = gallery.view, gallery.view.verticalScrollBar()
    qtbot.waitUntil(lambda: all(gallery._picture(row) for row in view.around_view()), timeout=10_000)
    bar.setValue(bar.value() + view.viewport().height())
    assert all(gallery._picture(row) for row in view.in_view())
    qtbot.waitUntil(lambda: all(gallery._picture(row) for row in view.around_view()), timeout=10_000)


def test_it_fills_the_window_and_gives_it_back(qtbot, vetting, gallery):
    before = len(gallery.view.in_view())
    press(qtbot, vetting, KEY.Key_T, CONTROL | SHIFT)
    qtbot.waitUntil(lambda: len(gallery.view.in_view()) > 2 * before, timeout=5_000)
    vetting.session.say("Something to read", "warning")
    assert vetting.notices.notices()[0].isVisible()
    press(qtbot, vetting, KEY.Key_T, CONTROL | SHIFT)
    qtbot.waitUntil(lambda: len(gallery.view.in_view()) <= before + 6, timeout=5_000)


def test_a_tip_names_the_candidate(qtbot, vetting, gallery, monkeypatch):
    told = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, widget: told.append(text))
    place = gallery.view.cell(2).center()
    gallery.view.viewportEvent(QHelpEvent(QHelpEvent.Type.ToolTip, place, gallery.view.mapToGlobal(place)))
    assert vetting.session.rows(ids(gallery, 2))[0].name in told[0]


def test_an_empty_list_says_so(vetting, gallery):
    vetting.session.set_filters(text="no such name")
    assert gallery.pages.currentWidget() is gallery.empty


def test_a_window_that_was_wide_gets_narrow_again(qtbot, vetting, gallery):
    vetting.resize(1920, 1080)
    qtbot.waitUntil(lambda: gallery.bars.direction() == QBoxLayout.Direction.LeftToRight, timeout=3_000)
    vetting.resize(1280, 800)
    qtbot.waitUntil(lambda: vetting.width() == 1280, timeout=3_000)
    qtbot.waitUntil(lambda: gallery.bars.direction() == QBoxLayout.Direction.TopToBottom, timeout=3_000)
