"""The plots of what was graded: right numbers, live, and saved as pictures and tables."""

from __future__ import annotations

import csv

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog

from deeplense_gui.dialogs.statistics import StatisticsDialog
from tests.gui.parts import dialog, messages, press

KEY = Qt.Key
SHIFT_CONTROL = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def plots(qtbot, vetting) -> StatisticsDialog:
    vetting.session.classify("arc")
    vetting.session.grade("A")
    vetting.session.classify("spiral")
    vetting.session.grade("X")
    press(qtbot, vetting, KEY.Key_H, SHIFT_CONTROL)
    return dialog(vetting, StatisticsDialog)


def test_grades_are_counted_by_score_hour_and_kind(vetting, plots):
    session = vetting.session
    head, *rows = plots.scores.table
    assert head == ("score_from", "score_to", "A", "X")
    for place, grade in ((2, "A"), (3, "X")):
        (row,) = [row for row in rows if row[place]]
        graded = next(one for one in session.rows(session.ids()) if one.grade == grade)
        assert row[place] == 1
        assert row[0] <= graded.score <= row[1]
    assert sum(count for _, count in plots.hours.table[1:]) == 2
    assert plots.kinds.table[1:] == [("arc", "lens", 1), ("spiral", "not a lens", 1)]


def test_they_follow_grades_and_undo(qtbot, vetting, plots):
    session = vetting.session
    session.grade("B")
    qtbot.waitUntil(lambda: plots.scores.table[0][2:] == ("A", "B", "X"), timeout=3_000)
    session.undo()
    session.undo()
    qtbot.waitUntil(lambda: plots.scores.table[0][2:] == ("A",), timeout=3_000)
    assert sum(count for _, count in plots.hours.table[1:]) == 1


def test_others_grades_are_not_counted_when_blind(qtbot, vetting, plots):
    session = vetting.session
    other = int(session.ids()[7])
    session.project.grade(other, "C", grader="Karl")
    plots._begin()
    assert plots.scores.table[0][2:] == ("A", "C", "X")
    session.set_blind(True)
    assert plots.scores.table[0][2:] == ("A", "X")


def test_a_plot_is_saved_as_picture_and_as_numbers(vetting, plots, tmp_path, monkeypatch):
    for action, suffix in zip(plots.kinds.menu.actions(), (".png", ".csv"), strict=True):
        name = str(tmp_path / f"k{suffix}")
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (name, ""))
        action.trigger()
    assert QImage(str(tmp_path / "k.png")).width() == plots.kinds.width()
    with (tmp_path / "k.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["kind", "says", "candidates"], ["arc", "lens", "1"], ["spiral", "not a lens", "1"],
        ]  # fmt: skip


def test_what_cannot_be_written_is_said(vetting, plots, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "k.csv"), ""))
    said = messages(vetting.session)
    plots.scores.menu.actions()[1].trigger()
    assert "was not written" in said[0][0]
    assert said[0][1] == "error"


def test_once_closed_they_follow_nothing(qtbot, vetting, plots):
    with qtbot.waitSignal(plots.destroyed, timeout=3_000):
        plots.close()
    with qtbot.captureExceptions() as raised:
        vetting.session.set_blind(True)
        vetting.session.close_project()
    assert raised == []
