"""The window as a whole: start, opening, scanning, keys, messages, closing."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from astropy.io import fits
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QPushButton, QToolButton

from deeplense_gui.dialogs.images import ImageDialog, PixelScaleDialog
from deeplense_gui.session import Session
from engine.catalogue.store import Project
from engine.types import Step
from tests.gui.parts import NONE, dialog, messages, open_and_scan, press, show_window, write_sky

KEY = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier


def test_the_window_is_there_before_torch():
    code = (
        "import sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from deeplense_gui.__main__ import parse, start\n"
        "application = QApplication([])\n"
        "window = start(parse([]), application)\n"
        "heavy = {'torch', 'timm', 'astropy', 'sqlalchemy', 'lenstronomy', 'scipy'} & set(sys.modules)\n"
        "window.close()\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_it_starts_on_a_page_that_says_what_to_do(window):
    assert window.pages.currentWidget() is window.start
    assert not any(dock.isVisible() for dock in window.docks.values())
    assert window.windowTitle() == "DeepLense"


def test_it_fits_a_small_screen(vetting):
    hint = vetting.minimumSizeHint()
    assert hint.width() <= 1280
    assert hint.height() <= 800
    assert (vetting.width(), vetting.height()) == (1280, 800)
    assert vetting.panels["mosaic"].width() > vetting.width() / 2


def test_the_open_button_of_the_start_page(qtbot, window, sky, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(sky)], ""))
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        qtbot.mouseClick(window.findChild(QPushButton, "start-file.open"), Qt.MouseButton.LeftButton)
    assert "field" in window.windowTitle()
    assert window.docks["inspector"].isVisible()
    assert not window.actions_by_id["edit.undo"].isEnabled()


def drop(window, *paths) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, copy = Qt.MouseButton.LeftButton, Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(50, 50), copy, data, buttons, NONE)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    window.dropEvent(QDropEvent(QPointF(50, 50), copy, data, buttons, NONE))


def test_dropped_files_of_several_bands_are_one_mosaic(qtbot, window, band_files):
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        drop(window, *band_files)
    assert set(window.session.mosaic.bands) == {"g", "r", "i"}
    assert window.panels["mosaic"].canvas.stretch.is_colour


def test_recent_files_open_again(qtbot, window, sky):
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([sky])
    window._fill_recent()
    assert [action.text() for action in window.recent.actions()] == [sky.name]
    window.start.refresh()
    entry = window.start.findChild(QPushButton, "recent")
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        entry.click()


def test_what_cannot_be_opened_is_said_in_the_window(qtbot, window, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"no image at all")
    with qtbot.waitSignal(window.session.message, timeout=20_000):
        drop(window, bad)
    (notice,) = window.notices.notices()
    assert notice.level == "error"
    assert "bad.fits" in notice.text
    qtbot.mouseClick(notice.findChild(QToolButton, "dismiss"), Qt.MouseButton.LeftButton)
    assert not window.notices.notices()


def test_f5_scans_and_the_candidates_show_everywhere(qtbot, window, sky):
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([sky])
    with qtbot.waitSignal(window.session.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        press(qtbot, window, KEY.Key_F5)
    panels = window.panels
    qtbot.waitUntil(lambda: panels["candidates"].model.rowCount() == 40, timeout=5_000)
    qtbot.waitUntil(lambda: len(panels["mosaic"].canvas.markers) == 40, timeout=5_000)
    assert panels["inspector"].candidate.id == window.session.selection == panels["mosaic"].canvas.selection
    assert any("Done" in row.words.text() for row in panels["jobs"].rows.values())


def test_a_scan_is_cancelled_from_the_status_bar(qtbot, window, tmp_path, unhurried):
    path = write_sky(tmp_path / "large.fits", count=2500, size=4200)
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([path])
    press(qtbot, window, KEY.Key_F5)
    qtbot.waitUntil(lambda: len(window.session.ids()) > 0, timeout=20_000)
    assert window.job_status.isVisible()
    assert "Scanning large.fits" in window.job_status.words.text()
    qtbot.mouseClick(window.job_status.cancel, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.session.scan_job is None, timeout=10_000)
    assert 0 < len(window.session.ids()) < 2500
    assert window.session.project.runs()[-1].state == "cancelled"


def test_a_job_with_a_long_name_does_not_make_the_window_wider(qtbot, window):
    go_on = threading.Event()

    def job():
        yield Step(0, 2, note="a note as long as the name of a file in a deep folder may be " * 5)
        while not go_on.is_set():
            yield Step(1, 2, note="a note as long as the name of a file in a deep folder may be " * 5)

    window.session.jobs.submit("A job " + "with a long name " * 8, job, quiet=False)
    qtbot.waitUntil(lambda: "deep folder" in window.job_status.words.text(), timeout=5_000)
    assert window.job_status.cancel.isVisible()
    assert window.minimumSizeHint().width() <= 1280
    assert window.width() == 1280
    assert window.job_status.words.toolTip() == window.job_status.words.text()
    go_on.set()


def test_closing_in_the_middle_of_a_scan_is_quick_and_loses_nothing(qtbot, window, tmp_path, unhurried):
    path = write_sky(tmp_path / "large.fits", count=900, size=2200)
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([path])
    press(qtbot, window, KEY.Key_F5)
    qtbot.waitUntil(lambda: len(window.session.ids()) > 0, timeout=20_000)
    press(qtbot, window, KEY.Key_A)
    window.close()
    with Project.open(path.with_suffix(".deeplense")) as project:
        assert project.counts()["A"] == 1


def test_letters_grade_and_bring_the_next(qtbot, vetting):
    ids = [int(identity) for identity in vetting.session.ids()[:4]]
    for key in (KEY.Key_A, KEY.Key_B, KEY.Key_X):
        press(qtbot, vetting, key)
    assert vetting.session.selection == ids[3]
    assert [row.grade for row in vetting.session.rows(ids)] == ["A", "B", "X", None]
    press(qtbot, vetting, KEY.Key_Z, CONTROL)
    assert vetting.session.selection == ids[2]
    assert vetting.session.candidate().grade is None
    press(qtbot, vetting, KEY.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert vetting.session.candidate().grade == "X"


def test_letters_grade_wherever_the_keys_are(qtbot, vetting):
    places = (
        vetting.panels["candidates"].table,
        vetting.panels["mosaic"].canvas,
        vetting.panels["mosaic"].bar.softening,
        vetting.panels["inspector"].saliency.opacity,
    )
    for graded, place in enumerate(places, start=1):
        place.setFocus()
        press(qtbot, vetting, KEY.Key_B)
        assert vetting.session.counts()["B"] == graded, place


def test_letters_in_a_note_are_letters(qtbot, vetting):
    press(qtbot, vetting, KEY.Key_N)
    note = vetting.panels["vetting"].note
    assert note.hasFocus()
    qtbot.keyClicks(note, "a bx")
    assert vetting.session.counts() == {None: 40}
    qtbot.keyClick(note, KEY.Key_Return)
    assert vetting.session.candidate().note == "a bx"
    press(qtbot, vetting, KEY.Key_A)
    assert vetting.session.counts()["A"] == 1


def test_a_note_that_is_undone_while_one_is_in_the_line_stays_undone(qtbot, vetting):
    session, note = vetting.session, vetting.panels["vetting"].note
    session.note("two arcs")
    press(qtbot, vetting, KEY.Key_N)
    press(qtbot, vetting, KEY.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (session.candidate().note, note.text()) == ("", "")
    press(qtbot, vetting, KEY.Key_Return)
    assert session.candidate().note == ""
    assert session.history()[1] is not None


def test_space_goes_on_but_presses_the_button_in_focus(qtbot, vetting):
    first, second = (int(identity) for identity in vetting.session.ids()[:2])
    press(qtbot, vetting, KEY.Key_Space)
    assert vetting.session.selection == second
    button = vetting.panels["vetting"].buttons["C"]
    button.setFocus()
    qtbot.keyClick(button, KEY.Key_Space)
    assert vetting.session.rows([second])[0].grade == "C"
    assert vetting.session.selection not in (first, second)


def test_one_key_hides_everything_drawn_over_the_pixels(qtbot, vetting):
    press(qtbot, vetting, KEY.Key_H)
    assert not vetting.panels["mosaic"].canvas.overlays
    assert not vetting.panels["inspector"].grid.large.overlays
    press(qtbot, vetting, KEY.Key_H)
    assert vetting.panels["mosaic"].canvas.overlays


def test_a_second_window_reads_along(qtbot, vetting):
    other = show_window(qtbot, Session(preferences=vetting.session.preferences))
    other.session.open_project(vetting.session.project.path)
    notice = other.notices.notices()[0]
    assert notice.level == "error"
    notice.buttons[0].click()
    qtbot.waitUntil(lambda: other.session.mosaic is not None, timeout=20_000)
    assert "(read-only)" in other.windowTitle()
    assert not other.actions_by_id["level.A"].isEnabled()
    assert not other.panels["vetting"].buttons["A"].isEnabled()
    assert len(other.session.ids()) == 40
    vetting.session.grade("B")  # and follows what is said in the first
    qtbot.waitUntil(lambda: other.session.counts().get("B") == 1, timeout=10_000)
    assert other.panels["candidates"].filters.chips["B"].text() == "B 1"
    other.close()


def test_an_image_without_wcs_works_in_pixels_and_takes_a_scale(qtbot, window, tmp_path):
    path = write_sky(tmp_path / "plain.fits", wcs=False)
    open_and_scan(qtbot, window.session, path)
    inspector = window.panels["inspector"]
    assert inspector.side.suffix() == " px"
    assert inspector.facts.degrees.text() == "no position on the sky"
    assert not window.panels["mosaic"].readout.sky.isVisible()
    notice = next(notice for notice in window.notices.notices() if notice.buttons)
    notice.buttons[0].click()
    asked = dialog(window, PixelScaleDialog)
    asked.scale.setValue(0.25)
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        qtbot.keyClick(asked.scale, KEY.Key_Return)
    assert window.session.mosaic.pixel_scale == 0.25


def test_an_image_of_nothing_but_nan_is_said_in_one_line(qtbot, window, tmp_path):
    path = tmp_path / "empty.fits"
    fits.writeto(path, np.full((300, 300), np.nan, np.float32))
    with qtbot.waitSignal(window.session.message, timeout=20_000):
        window.open_files([path])
    assert "every pixel is NaN" in window.notices.notices()[0].text
    assert window.pages.currentWidget() is window.start


def test_an_image_without_sources_is_an_empty_list_not_an_error(qtbot, window, tmp_path):
    path = tmp_path / "empty.fits"
    plane = np.full((300, 300), np.nan, np.float32)
    plane[:40, :40] = np.random.default_rng(1).normal(0, 1, (40, 40))
    fits.writeto(path, plane)
    heard = messages(window.session)
    open_and_scan(qtbot, window.session, path)
    window.grab()
    assert len(window.session.ids()) == 0
    assert not [text for text, level, _ in heard if level == "error"]
    assert "no source" in heard[-1][0]


def test_another_image_of_the_file(qtbot, window, tmp_path):
    path = tmp_path / "two.fits"
    plane = np.random.default_rng(3).normal(0, 1, (200, 200)).astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(plane, name="SCI"), fits.ImageHDU(plane[:99], name="WHT")]).writeto(
        path
    )
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([path])
    notice = next(notice for notice in window.notices.notices() if "one of 2 images" in notice.text)
    way = next(button for button in notice.findChildren(QAbstractButton) if "Choose another" in button.text())
    qtbot.mouseClick(way, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any(found.isVisible() for found in window.findChildren(ImageDialog)), timeout=10_000)
    asked = dialog(window, ImageDialog)
    rows = range(asked.table.rowCount())
    qtbot.waitUntil(lambda: sum(not asked.table.item(row, 0).icon().isNull() for row in rows) == 2, timeout=10_000)
    asked.table.selectRow(asked.table.rowCount() - 1)
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        asked.accept()
    assert window.session.mosaic.shape == (99, 200)


def test_a_chooser_may_be_closed_before_its_pictures_are_there_and_its_notice_goes_with_the_file(
    qtbot, window, tmp_path
):
    path, other = tmp_path / "many.fits", write_sky(tmp_path / "other.fits")
    plane = np.random.default_rng(3).normal(0, 1, (300, 300)).astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=f"SCI{k}") for k in range(30))]).writeto(path)
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([path])
    window.ask_image()
    qtbot.waitUntil(lambda: any(found.isVisible() for found in window.findChildren(ImageDialog)), timeout=10_000)
    asked = dialog(window, ImageDialog)
    gone = []
    asked.destroyed.connect(lambda: gone.append(True))
    asked.reject()
    asked.close()
    qtbot.waitUntil(lambda: bool(gone) and not window.session.jobs.unfinished, timeout=10_000)
    assert any("one of 30 images" in notice.text for notice in window.notices.notices())
    with qtbot.waitSignal(window.session.mosaic_opened, timeout=20_000):
        window.open_files([other])
    assert not any("one of 30 images" in notice.text for notice in window.notices.notices())


def test_the_layout_comes_back(qtbot, vetting):
    session = vetting.session
    vetting.docks["jobs"].close()
    vetting.resize(1400, 850)
    path = session.project.path
    vetting.close()
    again = show_window(qtbot, Session(preferences=session.preferences))
    again.session.open_project(path)
    assert not again.docks["jobs"].isVisible()
    again.reset_layout()
    assert not again.docks["jobs"].isHidden()
    again.close()


def test_messages_go_with_their_project(qtbot, vetting):
    vetting.session.say("Something about this project", "warning")
    assert vetting.notices.notices()
    vetting.session.close_project()
    assert not vetting.notices.notices()


def test_a_pixel_scale_is_asked_for_the_mosaic_it_was_missing_on(qtbot, window, sky, tmp_path):
    session = window.session
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        window.open_files([write_sky(tmp_path / "plain.fits", wcs=False)])
    plain = session.mosaic
    qtbot.waitUntil(lambda: bool(window.notices.notices()), timeout=5_000)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        window.open_files([sky])
    window.notices.notices()[0].buttons[0].click()
    assert session.mosaic is plain
    dialog(window, PixelScaleDialog).reject()


def test_selecting_at_the_edge_leaves_the_whole_mosaic_in_view(vetting):
    canvas = vetting.panels["mosaic"].canvas
    canvas.fit()
    before = canvas.view
    for candidate in vetting.session.ids():
        vetting.session.select(int(candidate))
    assert canvas.view == before


def test_an_error_of_the_program_shows_its_report(qtbot, window, sky, monkeypatch):
    from deeplense_gui.dialogs.error import ErrorDialog

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("engine.images.mosaic.open_mosaic", broken)
    with qtbot.waitSignal(window.session.crashed, timeout=20_000):
        window.open_files([sky])
    shown = dialog(window, ErrorDialog)
    assert "ZeroDivisionError: oops" in shown.report.toPlainText()
    shown.copy.click()
    shown.reject()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_paints_in_both_themes(qtbot, vetting, theme):
    from PySide6.QtWidgets import QApplication

    from deeplense_gui import style

    style.apply(QApplication.instance(), theme)
    try:
        picture = vetting.grab().toImage()
        colours = {picture.pixelColor(x, y).name() for x in range(0, 1280, 9) for y in range(0, 800, 9)}
        assert len(colours) > 30
    finally:
        style.apply(QApplication.instance(), "dark")
        QApplication.instance().setStyleSheet("")
