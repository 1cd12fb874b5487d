"""An evening of vetting: open, scan, look, grade, undo, note, export, close, and find everything again tomorrow."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QDialogButtonBox

from deeplense_gui.dialogs.export import ExportDialog
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from tests.gui.parts import dialog, install, press, show_window, write_sky

KEY = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preferences:
    install(monkeypatch)
    made = Preferences(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))
    made.grader = "Vera"
    return made


def test_from_a_file_to_a_catalogue_and_back(qtbot, preferences, tmp_path):
    sky = write_sky(tmp_path / "field.fits", count=30)

    # the first evening: open and scan
    window = show_window(qtbot, Session(preferences=preferences))
    session, inspector = window.session, window.panels["inspector"]
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        window.open_files([sky])
    with qtbot.waitSignal(session.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        press(qtbot, window, KEY.Key_F5)
    table = window.panels["candidates"].table
    qtbot.waitUntil(lambda: table.model().rowCount() == 30, timeout=5_000)
    ids = [int(identity) for identity in session.ids()]
    qtbot.mouseClick(table.viewport(), LEFT, pos=table.visualRect(table.model().index(0, 1)).center())
    assert session.selection == ids[0]

    # look closer, then grade with one key each
    qtbot.waitUntil(lambda: inspector.grid.large.picture is not None, timeout=10_000)
    with qtbot.waitSignal(session.explained, timeout=10_000):
        press(qtbot, window, KEY.Key_E)
    for key in (KEY.Key_A, KEY.Key_B, KEY.Key_X, KEY.Key_C):
        press(qtbot, window, key)
        qtbot.waitUntil(lambda: inspector.grid.large.picture is not None, timeout=10_000)
    assert session.selection == ids[4]

    # a slip is taken back, and the right grade given
    press(qtbot, window, KEY.Key_Z, CONTROL)
    assert session.selection == ids[3]
    press(qtbot, window, KEY.Key_B)

    # a note to the best
    qtbot.mouseClick(table.viewport(), LEFT, pos=table.visualRect(table.model().index(0, 1)).center())
    press(qtbot, window, KEY.Key_N)
    qtbot.keyClicks(window.panels["vetting"].note, "two arcs, one counter-image")
    qtbot.keyClick(window.panels["vetting"].note, KEY.Key_Return)

    # the lenses leave as a table
    for letter in ("A", "B"):
        qtbot.mouseClick(window.panels["candidates"].filters.chips[letter], LEFT)
    press(qtbot, window, KEY.Key_E, CONTROL)
    asked = dialog(window, ExportDialog)
    asked.file.setText(str(tmp_path / "lenses.csv"))
    with qtbot.waitSignal(session.message, timeout=20_000):
        qtbot.mouseClick(asked.buttons.button(QDialogButtonBox.StandardButton.Save), LEFT)
    with (tmp_path / "lenses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["grade"] for row in rows] == ["A", "B", "B"]
    assert rows[0]["note"] == "two arcs, one counter-image"
    assert abs(float(rows[0]["ra"]) - 215.5) < 0.1
    window.close()

    # the next evening: everything is where it was
    again = show_window(qtbot, Session(preferences=preferences))
    with qtbot.waitSignal(again.session.mosaic_opened, timeout=20_000):
        again.open_files([sky])
    qtbot.waitUntil(lambda: again.session.project is not None, timeout=10_000)
    assert again.session.counts() == {"A": 1, "B": 2, "X": 1, None: 26}
    assert again.session.filters.grades == {"A", "B"}
    assert again.session.selection == ids[0]
    assert again.panels["vetting"].note.text() == "two arcs, one counter-image"
    assert again.panels["candidates"].model.rowCount() == 3
    qtbot.waitUntil(lambda: again.panels["inspector"].grid.large.picture is not None, timeout=10_000)
    press(qtbot, again, KEY.Key_Z, CONTROL)  # even what was done yesterday can be taken back
    assert again.session.candidate().note == ""
    again.close()
