"""The grading panel at the smallest window: nothing elided, nothing cut off, whatever the scheme."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from PySide6.QtWidgets import QPushButton

from deeplense_gui.widgets.flow import Flow
from engine.catalogue import LETTERS, Subclass

MORE = tuple(Subclass(f"another kind {number}", False, "") for number in range(5))


def test_no_button_is_left_over_in_a_row_of_its_own(qtbot):
    buttons = [QPushButton("elliptical") for _ in range(12)]
    flow = Flow(buttons)
    qtbot.addWidget(flow)
    width = 11 * (buttons[0].sizeHint().width() + 3)
    assert [len(row) for row in flow.rows(width)] == [6, 6]


@pytest.mark.parametrize("kinds", [(), MORE], ids=["usual", "many"])
def test_every_kind_and_the_progress_are_whole(qtbot, vetting, kinds):
    vetting.session.set_scheme(replace(LETTERS, subclasses=LETTERS.subclasses + kinds))
    panel = vetting.panels["vetting"]
    assert len(panel.grades.kinds) == 12 + len(kinds)
    kept = (*panel.grades.kinds.values(), panel.progress, panel.undo)
    qtbot.waitUntil(lambda: all(one.visibleRegion().boundingRect() == one.rect() for one in kept), timeout=2_000)
    for button in panel.grades.kinds.values():
        assert button.width() >= button.sizeHint().width()
    assert vetting.height() == 800


@pytest.mark.parametrize("width", [60, 200, 333, 2000])
def test_rows_hold_what_fits_and_fill_the_width(qtbot, width):
    buttons = [QPushButton("x" * (1 + number % 5)) for number in range(9)]
    flow = Flow(buttons)
    qtbot.addWidget(flow)
    flow.resize(width, 10)
    flow.show()
    rows = flow.rows(width)
    assert [button for row in rows for button in row] == buttons
    tops = sorted({button.y() for button in buttons})
    assert len(tops) == len(rows)
    for row in rows:
        least = sum(button.sizeHint().width() for button in row) + 3 * (len(row) - 1)
        assert row[-1].geometry().right() + 1 == max(width, least) or len(row) == 1
        assert all(a.geometry().right() < b.x() for a, b in pairwise(row))
    assert flow.height() == max(button.geometry().bottom() for button in buttons) + 1
