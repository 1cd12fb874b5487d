"""The scheme of a project: chosen and edited by hand, and followed everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QDialogButtonBox, QLabel, QLineEdit

from deeplense_gui import style
from deeplense_gui.actions import TAKEN
from deeplense_gui.dialogs.scheme import SchemeDialog
from deeplense_gui.dialogs.shortcuts import ShortcutsDialog
from deeplense_gui.grading_actions import grading_actions
from deeplense_gui.widgets.markers import colour_numbers
from engine.catalogue import LETTERS, NUMBERS
from engine.catalogue.store import Project
from tests.gui.parts import dialog, press

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def usual_colours():
    yield
    style.set_grades(())


@pytest.fixture
def asked(vetting) -> SchemeDialog:
    vetting.actions_by_id["grade.scheme"].trigger()
    return dialog(vetting, SchemeDialog)


def click(qtbot, button) -> None:
    assert button.isEnabled()
    qtbot.mouseClick(button, LEFT)


def ok(asked: SchemeDialog):
    return asked.buttons.button(QDialogButtonBox.StandardButton.Ok)


def back(qtbot, window) -> None:
    """In the window again, once the dialog is gone."""
    qtbot.waitUntil(lambda: not window.findChildren(SchemeDialog))
    with qtbot.waitActive(window):
        window.activateWindow()
    window.panels["mosaic"].canvas.setFocus()


def test_a_window_without_a_project_has_the_commands_of_a_new_one():
    def told(actions):
        return [(one.id, one.text, one.keys) for one in actions]

    assert told(grading_actions(None, TAKEN)) == told(grading_actions(LETTERS, TAKEN))
    assert grading_actions(LETTERS, TAKEN)[0].keys == ("A", "3")
    assert grading_actions(NUMBERS, TAKEN)[0].keys == ("3",)


def test_no_scheme_of_ours_takes_a_key_of_another_command():
    for scheme in (LETTERS, NUMBERS):
        assert not {one.key for one in (*scheme.grades, *scheme.subclasses)} & set(TAKEN)


def test_numbers_are_chosen_and_everything_follows(qtbot, vetting, asked):
    session = vetting.session
    first = session.selection
    click(qtbot, asked.numbers)
    click(qtbot, ok(asked))
    assert session.project.scheme() == NUMBERS
    back(qtbot, vetting)
    press(qtbot, vetting, KEY.Key_A)
    assert session.rows([first])[0].grade is None
    press(qtbot, vetting, KEY.Key_3)
    assert session.rows([first])[0].grade == "3"
    assert list(vetting.panels["vetting"].buttons) == ["3", "2", "1", "0"]
    chips = vetting.panels["candidates"].filters.chips
    assert list(chips) == ["3", "2", "1", "0", None]
    assert chips["3"].text() == "3: 1"
    assert style.grade_colour("3").name() == style.GRADE_COLOURS["A"]
    assert colour_numbers(["3", None, "0", "A"], 4).tolist() == [1, 0, 4, 0]
    press(qtbot, vetting, KEY.Key_F1)
    texts = {label.text() for label in dialog(vetting, ShortcutsDialog).findChildren(QLabel)}
    assert "Grade 3: certain lens" in texts
    assert not any(text.startswith("Grade A") for text in texts)


def test_a_kind_is_added_with_a_key_and_used(qtbot, vetting, asked):
    click(qtbot, asked.kinds.add)
    row = asked.kinds.table.rowCount() - 1
    qtbot.keyClicks(asked.kinds.table.findChild(QLineEdit), "ghost")
    qtbot.keyClick(asked.kinds.table.findChild(QLineEdit), KEY.Key_Return)
    qtbot.waitUntil(lambda: asked.kinds.rows()[-1][0] == "ghost")
    asked.kinds.table.item(row, 3).setText("f")
    assert "taken by “Whole mosaic”" in asked.message.text()
    asked.kinds.table.item(row, 3).setText("q")
    assert "arc and ghost have the same key Q" in asked.message.text()
    assert not ok(asked).isEnabled()
    asked.kinds.table.item(row, 3).setText("9")
    asked.kinds.table.item(row, 0).setText(" ")
    assert "no name" in asked.message.text()
    asked.kinds.table.item(row, 0).setText("ghost")
    click(qtbot, ok(asked))
    back(qtbot, vetting)
    press(qtbot, vetting, KEY.Key_9)
    assert vetting.session.candidate().subclass == "ghost"
    assert "kind.ghost" in vetting.actions_by_id
    assert "ghost" in vetting.panels["vetting"].grades.kinds


def test_grades_are_moved_removed_and_reset(qtbot, asked):
    asked.grades.table.selectRow(3)
    click(qtbot, asked.grades.up)
    assert [row[0] for row in asked.grades.rows()] == ["A", "B", "X", "C"]
    assert [(one.name, one.value) for one in asked.scheme().grades] == [("A", 3), ("B", 2), ("X", 1), ("C", 0)]
    for _ in range(3):
        click(qtbot, asked.grades.remove)
    assert "two grades at least" in asked.message.text()
    assert not ok(asked).isEnabled()
    click(qtbot, asked.reset)
    assert asked.scheme() == LETTERS
    assert ok(asked).isEnabled()


def test_grades_that_were_given_stay_and_that_is_said_before(qtbot, vetting):
    session = vetting.session
    first = session.selection
    session.classify("arc")
    session.grade("C")
    vetting.ask_scheme()
    asked = dialog(vetting, SchemeDialog)
    assert asked.message.text() == ""
    asked.grades.table.selectRow(2)
    click(qtbot, asked.grades.remove)
    asked.kinds.table.selectRow(0)
    click(qtbot, asked.kinds.remove)
    assert asked.message.text().startswith("1 candidate has grade C; 1 candidate has kind arc. They keep it")
    click(qtbot, ok(asked))
    row = session.rows([first])[0]
    assert (row.grade, row.subclass) == ("C", "arc")
    assert list(vetting.panels["candidates"].filters.chips) == ["A", "B", "X", "C", None]
    path = session.project.path
    session.close_project()
    with Project.open(path) as project:
        assert [level.name for level in project.scheme().grades] == ["A", "B", "X"]


def test_cancelled_nothing_changes(qtbot, vetting, asked):
    click(qtbot, asked.numbers)
    click(qtbot, asked.buttons.button(QDialogButtonBox.StandardButton.Cancel))
    assert vetting.session.project.scheme() == LETTERS
    assert "level.A" in vetting.actions_by_id


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_each_grade_of_any_number_has_its_colour(count):
    style.set_grades([(str(rank), rank < count - 1) for rank in range(count)])
    colours = list(style.grade_colours().values())
    assert len({*colours, style.grade_colour(None).name()}) == count + 1
    assert colours[0] == style.GRADE_COLOURS["A"]


def test_another_scheme_is_undone_in_the_window_and_after_a_restart(qtbot, vetting, asked):
    session = vetting.session
    click(qtbot, asked.numbers)
    click(qtbot, ok(asked))
    back(qtbot, vetting)
    assert "level.3" in vetting.actions_by_id
    press(qtbot, vetting, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert "level.A" in vetting.actions_by_id
    assert list(vetting.panels["vetting"].buttons)[:4] == ["A", "B", "C", "X"]
    path = session.project.path
    session.close_project()
    session.open_project(path)
    session.redo()
    assert session.grade_names() == ["3", "2", "1", "0"]
    assert "level.3" in vetting.actions_by_id


LONG = ("Definitely a lens", "Probably a lens", "Possibly a lens", "No lens at all")


@pytest.mark.parametrize("names", [("3", "2", "1", "0"), LONG], ids=["numbers", "long"])
def test_the_grades_of_another_scheme_do_not_make_the_window_wider(qtbot, vetting, names):
    session = vetting.session
    for identity, letter in zip(session.ids().tolist(), "ABCX", strict=False):
        session.select(identity)
        session.grade(letter)
    levels = [replace(level, name=name, key="") for level, name in zip(LETTERS.grades, names, strict=True)]
    session.set_scheme(replace(LETTERS, grades=tuple(levels)))
    filters = vetting.panels["candidates"].filters
    assert len(filters.chips) == 9
    qtbot.waitUntil(lambda: filters.minimumSizeHint().width() < filters.width(), timeout=5_000)
    qtbot.waitUntil(
        lambda: all(
            chip.isVisible()
            and chip.width() >= chip.sizeHint().width()
            and chip.mapTo(filters, QPoint(chip.width(), 0)).x() < filters.score_label.x()
            for chip in filters.chips.values()
        ),
        timeout=5_000,
    )
    assert (vetting.width(), vetting.height()) == (1280, 800)
