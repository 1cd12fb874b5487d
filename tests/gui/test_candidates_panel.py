"""The list: order, filters, selection, and staying in place while a scan streams in."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt

from deeplense_gui.models.candidates import COLUMNS, GRADE, SCORE
from engine.types import Detection
from tests.gui.parts import press

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(qtbot, vetting):
    found = vetting.panels["candidates"]
    qtbot.waitUntil(lambda: found.model.rowCount() == 40, timeout=5_000)
    return found


def cell(panel, row: int, column: int) -> QPoint:
    return panel.table.visualRect(panel.model.index(row, column)).center()


def texts(panel, title: str) -> list[str]:
    column = next(index for index, column in enumerate(COLUMNS) if column.title == title)
    return [panel.model.index(row, column).data() for row in range(panel.model.rowCount())]


def click_header(qtbot, panel, title: str) -> None:
    header = panel.table.horizontalHeader()
    section = next(index for index, column in enumerate(COLUMNS) if column.title == title)
    panel.table.scrollTo(panel.model.index(0, section))
    x = header.sectionViewportPosition(section) + header.sectionSize(section) // 2
    qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(x, header.height() // 2))


def test_the_best_come_first(panel):
    scores = [float(text) for text in texts(panel, "Score")]
    assert scores == sorted(scores, reverse=True)
    assert texts(panel, "#")[:3] == ["1", "2", "3"]


def test_every_cell_has_a_text_a_tip_and_its_place(panel):
    for column in range(len(COLUMNS)):
        index = panel.model.index(0, column)
        assert isinstance(index.data(), str)
        assert "score" in index.data(Qt.ItemDataRole.ToolTipRole)
        assert panel.model.headerData(column, Qt.Orientation.Horizontal)
        assert panel.model.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)


def test_the_columns_that_matter_are_seen_at_once(panel):
    seen = panel.table.viewport().width()
    name = next(index for index, column in enumerate(COLUMNS) if column.title == "Name")
    assert panel.table.columnViewportPosition(name) + panel.table.columnWidth(name) <= seen
    metrics = panel.table.fontMetrics()
    for column in range(len(COLUMNS) - 2):
        text = panel.model.index(0, column).data()
        assert metrics.horizontalAdvance(text) + 8 <= panel.table.columnWidth(column), COLUMNS[column].title


def test_a_click_selects_and_arrows_go_on(qtbot, vetting, panel):
    qtbot.mouseClick(panel.table.viewport(), LEFT, pos=cell(panel, 2, SCORE))
    assert vetting.session.selection == panel.model.id_at(2)
    qtbot.keyClick(panel.table, KEY.Key_Down)
    assert vetting.session.selection == panel.model.id_at(3)
    press(qtbot, vetting, KEY.Key_Left)
    assert panel.table.currentIndex().row() == 2


@pytest.mark.parametrize("title", ["x", "Dec", "Name", "S/N"])
def test_a_click_on_a_header_sorts_and_another_turns_it_round(qtbot, vetting, panel, title):
    selected = vetting.session.selection
    click_header(qtbot, panel, title)
    first = texts(panel, title)
    click_header(qtbot, panel, title)
    assert texts(panel, title) == first[::-1]
    assert first != texts(panel, title)
    assert vetting.session.selection == selected


def test_grade_chips_filter(qtbot, vetting, panel):
    session = vetting.session
    for letter in ("A", "A", "X"):
        session.grade(letter)
    assert panel.filters.chips["A"].text() == "A 2"
    assert panel.filters.chips[None].text() == "Ungraded 37"
    qtbot.mouseClick(panel.filters.chips["A"], LEFT)
    assert panel.model.rowCount() == 2
    qtbot.mouseClick(panel.filters.chips["X"], LEFT)
    assert panel.model.rowCount() == 3
    assert panel.filters.count.text() == "3 of 40 candidates"
    qtbot.mouseClick(panel.filters.chips["A"], LEFT)
    qtbot.mouseClick(panel.filters.chips["X"], LEFT)
    assert panel.model.rowCount() == 40


def test_the_score_slider_filters(qtbot, vetting, panel):
    panel.filters.score.setFocus()
    for _ in range(5):
        qtbot.keyClick(panel.filters.score, KEY.Key_PageUp)
    assert panel.filters.score_label.text() == "Score ≥ 0.50"
    assert 0 < panel.model.rowCount() < 40
    assert min(float(text) for text in texts(panel, "Score")) >= 0.5


def test_text_filters_by_name_and_note(qtbot, vetting, panel):
    vetting.session.note("arc to the north")
    press(qtbot, vetting, KEY.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert panel.filters.text.hasFocus()
    qtbot.keyClicks(panel.filters.text, "ARC")
    qtbot.waitUntil(lambda: panel.model.rowCount() == 1, timeout=5_000)
    qtbot.keyClick(panel.filters.text, KEY.Key_Return)
    press(qtbot, vetting, KEY.Key_A)
    assert vetting.session.counts()["A"] == 1
    panel.filters.text.clear()
    qtbot.waitUntil(lambda: panel.model.rowCount() == 40, timeout=5_000)


def test_where_nothing_passes_it_says_so(qtbot, vetting, panel):
    vetting.session.set_filters(text="no such name")
    assert panel.empty.isVisible()
    assert "No candidate passes" in panel.empty.text()
    assert not panel.table.isVisible()
    assert panel.filters.text.text() == "no such name"


def test_grading_repaints_the_row_at_once(vetting, panel):
    vetting.session.grade("B")
    assert panel.model.index(0, GRADE).data() == "B"


def test_a_growing_list_keeps_what_one_looks_at(qtbot, vetting, panel):
    session = vetting.session
    session.select(panel.model.id_at(20))
    panel.table.scrollTo(panel.model.index(20, SCORE))
    before = panel.table.rowViewportPosition(20)
    run = session.project.start_run(session.mosaic, "another-model")
    found = [Detection(9.0 * k, 3.0, None, None, 1, 2, 9, 1.0, 1.0, 0.0, "another-model") for k in range(30)]
    session._write(lambda: session.project.add(run, found))
    qtbot.waitUntil(lambda: panel.model.rowCount() > 60, timeout=5_000)
    row = panel.model.row_of(session.selection)
    assert row != 20
    assert panel.table.currentIndex().row() == row
    assert panel.table.rowViewportPosition(row) == before


def test_what_is_selected_before_the_list_knows_it_is_scrolled_to(qtbot, vetting, panel):
    session = vetting.session
    panel.table.scrollTo(panel.model.index(39, SCORE))
    run = session.project.start_run(session.mosaic, "another-model")
    found = [Detection(9.0 * k, 3.0, None, None, 1, 2, 9, 1.0, 1.0, 0.0, "another-model") for k in range(30)]
    session._write(lambda: session.project.add(run, found))
    best = int(session.ids()[0])
    session.select(best)
    assert panel.model.row_of(best) is None
    qtbot.waitUntil(lambda: panel.model.row_of(best) is not None, timeout=5_000)
    assert panel.table.currentIndex().row() == panel.model.row_of(best)
    assert panel.table.viewport().rect().contains(cell(panel, panel.model.row_of(best), SCORE))


def test_before_a_mosaic_and_before_a_scan_it_says_what_to_do(qtbot, window, sky):
    panel = window.panels["candidates"]
    assert "Open a mosaic" in panel.empty.text()
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([sky])
    assert "F5" in panel.empty.text()
