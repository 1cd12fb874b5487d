"""A team's evening: a folder of stamps, blind, grades and slips, how well one does, a second grader, a catalogue."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QDialogButtonBox, QFileDialog, QPushButton

from deeplense_gui.dialogs.calibration import CalibrationDialog
from deeplense_gui.dialogs.export import ExportDialog
from deeplense_gui.dialogs.graders import GradersDialog
from deeplense_gui.dialogs.resolve import ResolveDialog
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from engine.catalogue.store import Project
from tests.conftest import sky_header
from tests.gui.parts import dialog, install, press, show_window

KEY = Qt.Key
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preferences:
    install(monkeypatch)
    made = Preferences(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))
    made.grader = "Vera"
    return made


def write_galaxies(folder: Path, count: int) -> None:
    """Stamps of galaxies wide enough to be lenses, and of stars, which tell the seeing."""
    folder.mkdir()
    y, x = np.mgrid[-32:33, -32:33]
    star = np.exp(-(x**2 + y**2) / (2 * 1.7**2))
    galaxy = np.exp(-1.68 * np.hypot(np.hypot(x, y / 0.8), 1.5) / 5)
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 1, x.shape)
        light = (200 + 40 * number) * star if number % 3 == 0 else (180 + 9 * number) * galaxy
        header = sky_header(x.shape)
        header["CRVAL1"] += number / 100
        fits.writeto(folder / f"lens{number:02d}.fits", (light + noise).astype(np.float32), header)


def second_grader(project: Project) -> Path:
    """Karl's copy of the project, in which he has graded everything C."""
    copy = project.save_as(project.path.with_name("karl.deeplense"))
    with Project.open(copy) as project:
        project.grade(project.ids().tolist(), "C", grader="Karl")
    return copy


def test_from_a_folder_of_stamps_to_a_catalogue_of_two_graders(qtbot, preferences, tmp_path, monkeypatch):
    write_galaxies(tmp_path / "stamps", 30)
    window = show_window(qtbot, Session(preferences=preferences))
    session, queue = window.session, window.panels["vetting"].queue

    # open a folder, and vet blind
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "stamps"))
    qtbot.mouseClick(window.findChild(QPushButton, "start-file.stamps"), LEFT)
    qtbot.waitUntil(lambda: len(session.ids()) == 30, timeout=20_000)
    karl = second_grader(session.project)
    window.actions_by_id["grade.calibrate"].trigger()
    asked = dialog(window, CalibrationDialog)
    for spin, number in zip(asked.numbers.values(), (6, 6, 3), strict=True):
        spin.setValue(number)
    with qtbot.waitSignal(session.message, timeout=60_000, check_params_cb=lambda text, *_: "are ready" in text):
        qtbot.mouseClick(asked.make, LEFT)
    qtbot.mouseClick(asked.buttons.button(QDialogButtonBox.StandardButton.Ok), LEFT)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5_000)
    assert len(session.ids()) == 30
    qtbot.mouseClick(queue.blind, LEFT)
    assert len(session.ids()) > 40
    assert window.blind_badge.isVisible()
    assert "lens" not in window.panels["inspector"].facts.name.text()

    # thirty grades by single keys, with a kind here and there
    keys = (KEY.Key_A, KEY.Key_B, KEY.Key_C, KEY.Key_X, KEY.Key_0)
    for number in range(30):
        qtbot.waitUntil(lambda: window.panels["inspector"].grid.large.picture is not None, timeout=10_000)
        if number % 5 == 0:
            press(qtbot, window, KEY.Key_Q)
        press(qtbot, window, keys[number % 5])
    assert session.project.graders() == {"Vera": 30}

    # five slips are taken back and given anew
    for _ in range(5):
        press(qtbot, window, KEY.Key_Z, CONTROL)
    assert session.project.graders() == {"Vera": 25}
    press(qtbot, window, KEY.Key_G)
    while session.candidate().grade is None:
        press(qtbot, window, KEY.Key_B)
    assert session.project.graders() == {"Vera": len(session.ids())}

    # how well one does, from the stamps among them whose answer is known
    window.actions_by_id["grade.report"].trigger()
    report = dialog(window, GradersDialog)
    assert report.table.horizontalHeaderItem(0).text() == "Vera"
    told = [report.table.item(row, 0).text() for row in range(report.table.rowCount())]
    assert told[0] == str(len(session.ids()))
    assert all(" of " in share for share in told[1:5])  # completeness, kept, false positives, self-consistency
    qtbot.mouseClick(report.buttons.button(QDialogButtonBox.StandardButton.Close), LEFT)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5_000)
    mine = session.counts()

    # the other grader's project comes in; blind, his grades are neither shown nor counted
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(karl)], ""))
    with qtbot.waitSignal(session.message, timeout=20_000, check_params_cb=lambda text, *_: "Merged" in text):
        press(qtbot, window, KEY.Key_M, CONTROL)
    assert session.counts() == mine
    qtbot.mouseClick(queue.blind, LEFT)

    # where the two differ, look again
    queue.queue.setCurrentIndex(queue.queue.findData("disagreements"))
    differing = [int(identity) for identity in session.ids()]
    assert differing
    session.select(differing[0])
    assert (
        "Vera" in window.panels["inspector"].facts.model.text()
        or "Karl" in window.panels["inspector"].facts.model.text()
    )
    press(qtbot, window, KEY.Key_R, CONTROL | SHIFT)
    resolving = dialog(window, ResolveDialog)
    assert {resolving.table.item(row, 0).text() for row in range(resolving.table.rowCount())} == {"Vera", "Karl"}
    qtbot.mouseClick(resolving.grades["C"], LEFT)
    assert differing[0] not in session.ids()
    assert session.project.rows([differing[0]])[0].grade == "C"
    resolving.close()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5_000)
    queue.queue.setCurrentIndex(0)

    # the catalogue leaves
    press(qtbot, window, KEY.Key_E, CONTROL)
    asked = dialog(window, ExportDialog)
    asked.file.setText(str(tmp_path / "stamps.csv"))
    with qtbot.waitSignal(session.message, timeout=20_000):
        qtbot.mouseClick(asked.buttons.button(QDialogButtonBox.StandardButton.Save), LEFT)
    with (tmp_path / "stamps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert {row["name"] for row in rows} == {f"lens{number:02d}.fits" for number in range(30)}
    before = session.project.counts(seen_by="Vera")
    window.close()

    # tomorrow: the folder again, and everything is there
    again = show_window(qtbot, Session(preferences=preferences))
    again.open_files([tmp_path / "stamps"])
    qtbot.waitUntil(lambda: len(again.session.ids()) == 30 and again.session.mosaic is not None, timeout=20_000)
    assert again.session.project.counts(seen_by="Vera") == before
    assert set(again.session.project.graders()) == {"Karl", "Vera"}
    again.close()
