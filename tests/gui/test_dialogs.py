"""The dialogs and the bars of messages, filled in by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtWidgets import QDialogButtonBox, QFileDialog, QLabel, QPushButton

from deeplense_gui import style
from deeplense_gui.actions import ACTIONS
from deeplense_gui.dialogs.about import AboutDialog
from deeplense_gui.dialogs.error import ErrorDialog
from deeplense_gui.dialogs.export import FORMATS, ExportDialog
from deeplense_gui.dialogs.images import BandsDialog, PixelScaleDialog
from deeplense_gui.dialogs.notices import KEPT, NoticeBar
from deeplense_gui.dialogs.preferences import PreferencesDialog
from deeplense_gui.dialogs.shortcuts import ShortcutsDialog
from deeplense_gui.session import Choice
from engine.export import FORMATS as CATALOGUES
from tests.gui.parts import CARD, dialog, press

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


def button(box, which: QDialogButtonBox.StandardButton) -> QPushButton:
    return box.findChild(QDialogButtonBox).button(which)


def test_the_list_is_exported_with_keys_and_clicks(qtbot, vetting, tmp_path):
    vetting.session.set_filters(min_score=0.4)
    press(qtbot, vetting, KEY.Key_E, CONTROL)
    asked = dialog(vetting, ExportDialog)
    asked.file.selectAll()
    qtbot.keyClicks(asked.file, str(tmp_path / "best"))
    with qtbot.waitSignal(vetting.session.message, timeout=20_000):
        qtbot.mouseClick(button(asked, QDialogButtonBox.StandardButton.Save), LEFT)
    assert len((tmp_path / "best.csv").read_text().splitlines()) == len(vetting.session.ids()) + 1
    assert "best.csv" in vetting.statusBar().currentMessage()


def test_all_of_the_project_can_be_exported(qtbot, vetting, tmp_path):
    vetting.session.set_filters(min_score=0.4)
    vetting.ask_export()
    asked = dialog(vetting, ExportDialog)
    asked.file.setText(str(tmp_path / "all.csv"))
    asked.all.setChecked(True)
    with qtbot.waitSignal(vetting.session.message, timeout=20_000):
        asked.accept()
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 41


def test_the_dialog_offers_every_catalogue_format(qtbot, tmp_path, monkeypatch):
    asked = ExportDialog(tmp_path / "field.deeplense", 3, 40)
    qtbot.addWidget(asked)
    assert set(CATALOGUES) <= {suffix for _, suffix in FORMATS}
    for index, (_, suffix) in enumerate(FORMATS):
        asked.format.setCurrentIndex(index)
        assert asked.path() == tmp_path / f"field{suffix}"
        assert asked.all.isEnabled() == (suffix not in (".h5", ".journal.csv"))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "other"), ""))
    next(found for found in asked.findChildren(QPushButton) if found.text() == "Browse…").click()
    assert asked.path() == tmp_path / "other.h5"


def test_preferences_are_kept_when_accepted(qtbot, vetting):
    press(qtbot, vetting, KEY.Key_Comma, CONTROL)
    asked = dialog(vetting, PreferencesDialog)
    asked.grader.selectAll()
    qtbot.keyClicks(asked.grader, "Cecilia")
    asked.theme.setCurrentIndex(asked.theme.findData("light"))
    try:
        qtbot.keyClick(asked.grader, KEY.Key_Return)
        assert style.theme() is style.LIGHT
        vetting.session.grade("A")
        assert vetting.session.rows(vetting.session.ids()[:1])[0].grader == "Cecilia"
    finally:
        style.apply(QGuiApplication.instance(), "dark")
        QGuiApplication.instance().setStyleSheet("")


def test_preferences_are_dropped_when_cancelled(qtbot, session):
    asked = PreferencesDialog(session.preferences)
    qtbot.addWidget(asked)
    asked.grader.setText("Somebody")
    asked.reject()
    assert session.preferences.grader == "Vera"


def test_the_sheet_shows_every_key(qtbot, window):
    press(qtbot, window, KEY.Key_F1)
    sheet = dialog(window, ShortcutsDialog)
    shown = {label.text() for label in sheet.findChildren(QLabel)}
    for action in ACTIONS:
        if action.keys:
            assert action.text in shown
            assert any(QKeySequence(action.key).toString() in text for text in shown), action.id
    assert sheet.sizeHint().width() <= 1280
    assert sheet.sizeHint().height() <= 760


@pytest.mark.parametrize("card", [CARD, None])
def test_about_tells_the_model(qtbot, card):
    about = AboutDialog(card, "PyTorch on the processor" if card else "")
    qtbot.addWidget(about)
    texts = " ".join(label.text() for label in about.findChildren(QLabel))
    assert (CARD.key in texts) == (card is not None)
    assert ("PyTorch on the processor" if card else "not loaded yet") in texts
    assert "Version" in texts


def test_each_band_gets_one_name(qtbot, window, band_files):
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.session.open_mosaic(band_files)
    window.actions_by_id["scan.bands"].trigger()
    asked = dialog(window, BandsDialog)
    assert asked.names() == ["g", "r", "i"]
    ok = button(asked, QDialogButtonBox.StandardButton.Ok)
    for text, taken in (("g, r", False), ("g r r", False), ("u, g, z", True)):
        asked.line.selectAll()
        qtbot.keyClicks(asked.line, text)
        assert ok.isEnabled() == taken
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        qtbot.mouseClick(ok, LEFT)
    assert window.session.mosaic.bands == ("u", "g", "z")
    canvas = window.panels["mosaic"].canvas
    assert [canvas.mosaic.bands[band] for band in canvas.stretch.bands] == ["z", "g", "u"]


def test_a_pixel_scale_is_typed(qtbot):
    asked = PixelScaleDialog("field.fits", None)
    qtbot.addWidget(asked)
    asked.show()
    asked.scale.selectAll()
    qtbot.keyClicks(asked.scale, "0.168")
    with qtbot.waitSignal(asked.accepted):
        qtbot.keyClick(asked.scale, KEY.Key_Return)
    assert asked.scale.value() == pytest.approx(0.168)


def test_a_report_can_be_copied(qtbot):
    shown = ErrorDialog("Scanning x.fits", "Traceback …\nZeroDivisionError: oops")
    qtbot.addWidget(shown)
    shown.copy.click()
    copied = QGuiApplication.clipboard().text()
    assert "Scanning x.fits" in copied
    assert "PySide6" in copied
    assert copied.endswith("oops")


def test_messages_offer_their_way_out_once(qtbot):
    bar, ran = NoticeBar(), []
    qtbot.addWidget(bar)
    bar.show()
    for _ in range(2):
        bar.show_message("It is gone", "warning", (Choice("Find it…", lambda: ran.append(1)),))
    (notice,) = bar.notices()
    qtbot.mouseClick(notice.buttons[0], LEFT)
    assert ran == [1]
    assert not bar.notices()


def test_only_the_last_messages_stay(qtbot):
    bar = NoticeBar()
    qtbot.addWidget(bar)
    for number in range(KEPT + 3):
        bar.show_message(f"Message {number}", "error")
    assert [notice.text for notice in bar.notices()] == [f"Message {number}" for number in (5, 4, 3)]


@pytest.mark.parametrize(
    ("verb", "name"),
    [("ask_new_project", "fresh"), ("ask_save_as", "copy")],
)
def test_projects_get_their_suffix(qtbot, vetting, tmp_path, monkeypatch, verb, name):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / name), ""))
    getattr(vetting, verb)()
    assert Path(vetting.session.project.path) == tmp_path / f"{name}.deeplense"
    assert len(vetting.session.ids()) == (40 if name == "copy" else 0)


def test_an_open_project_is_asked_for(qtbot, vetting, monkeypatch):
    path = vetting.session.project.path
    vetting.session.close_project()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    press(qtbot, vetting, KEY.Key_O, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert len(vetting.session.ids()) == 40
