"""Two windows on one project of a real server: each sees the other's grades, blind ones do not, and a server may go."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QDialogButtonBox

from deeplense_gui.dialogs.notices import Notice
from deeplense_gui.dialogs.shared import SharedDialog
from deeplense_gui.panels.start import StartPage
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from engine.catalogue.store import Project
from tests.gui.parts import dialog, messages, open_and_scan, press, write_sky
from tests.server_parts import ESCAPED, PASSWORD

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def address(server, monkeypatch):
    monkeypatch.setattr("deeplense_gui.session.core.FOLLOW_MS", 100)
    return server.address()


@pytest.fixture
def vera(qtbot, address, window, sky):
    """A window that made a shared project and scanned a mosaic into it."""
    assert window.session.new_project(address)
    open_and_scan(qtbot, window.session, sky)
    window.session.select(int(window.session.ids()[0]))
    return window


@pytest.fixture
def karl(qtbot, address, vera, tmp_path):
    """Somebody else's session on the same project."""
    preferences = Preferences(QSettings(str(tmp_path / "karl.ini"), QSettings.Format.IniFormat))
    preferences.grader = "Karl"
    session = Session(preferences=preferences)
    assert session.open_project(address)
    yield session
    session.close()


def notices(window) -> list[str]:
    return [notice.text for notice in window.notices.findChildren(Notice) if notice.isVisible()]


def test_each_sees_the_others_grades_within_seconds(qtbot, vera, karl):
    first, second = (int(identity) for identity in vera.session.ids()[:2])
    assert karl.ids().tolist() == vera.session.ids().tolist()
    press(qtbot, vera, KEY.Key_A)
    qtbot.waitUntil(lambda: karl.rows([first])[0].grade == "A", timeout=5_000)
    karl.select(second)
    karl.grade("X")
    qtbot.waitUntil(lambda: vera.session.counts().get("X") == 1, timeout=5_000)
    assert vera.session.rows([second])[0].grader == "Karl"
    assert vera.session.history()[0] == "Grade A"
    press(qtbot, vera, KEY.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: karl.rows([first])[0].grade is None, timeout=5_000)
    assert vera.session.rows([second])[0].grade == "X"


def test_a_blind_grader_sees_nothing_of_it_and_blindness_is_ones_own(qtbot, vera, karl):
    first = int(vera.session.ids()[0])
    vera.session.set_blind(True)
    shuffled = vera.session.ids().tolist()
    assert not karl.blind
    heard = []
    vera.session.changed.connect(heard.append)
    karl.select(first)
    karl.grade("X")
    karl.note("surely not")
    qtbot.waitUntil(lambda: any(first in changes.ids for changes in heard), timeout=5_000)
    assert vera.session.counts() == {None: 40}
    assert (vera.session.rows([first])[0].grade, vera.session.rows([first])[0].note) == (None, "")
    assert vera.session.ids().tolist() == shuffled
    assert vera.session.opinions(vera.session.rows([first])[0]) == []
    place = vera.session.project.place
    vera.session.close_project()
    karl.close_project()
    assert karl.open_project(place.replace("ada@", f"ada:{ESCAPED}@"))
    assert not karl.blind
    assert karl.selection == first or karl.selection is not None


def test_the_others_scan_comes_in_too(qtbot, vera, karl, tmp_path):
    before = len(karl.ids())
    open_and_scan(qtbot, vera.session, write_sky(tmp_path / "second.fits", seed=3))
    qtbot.waitUntil(lambda: len(karl.ids()) == before + 40, timeout=8_000)


def test_each_machine_remembers_where_its_own_mosaic_lies(qtbot, vera, karl, sky, tmp_path):
    mosaic, moved = vera.session.mosaic.id, tmp_path / "elsewhere.fits"
    sky.rename(moved)
    qtbot.waitUntil(lambda: mosaic in karl.mosaics, timeout=8_000)
    karl.mosaics.clear()
    seen = messages(karl)
    karl._reopen_mosaics()
    assert "no longer there" in seen[0][0]
    karl.relocate(mosaic, [moved])
    qtbot.waitUntil(lambda: mosaic in karl.mosaics, timeout=8_000)
    karl.mosaics.clear()
    karl._reopen_mosaics()
    qtbot.waitUntil(lambda: mosaic in karl.mosaics, timeout=8_000)
    assert karl.mosaics[mosaic].paths == (moved,)
    assert len([text for text, *_ in seen if "no longer there" in text]) == 1


def test_a_server_that_goes_away_is_said_once_and_found_again(qtbot, vera, server, request):
    session, seen = vera.session, messages(vera.session)
    first = session.selection
    press(qtbot, vera, KEY.Key_A)
    second = session.selection
    server.stop()
    request.addfinalizer(server.start)
    press(qtbot, vera, KEY.Key_B)
    assert (session.selection, session.rows([second])[0].grade) == (second, None)
    assert ["tried again every few seconds" in text for text in notices(vera)] == [True]
    session.step_selection(1)
    session.step_selection(-1)
    press(qtbot, vera, KEY.Key_B)
    assert ["tried again every few seconds" in text for text in notices(vera)] == [True]
    assert {text for text, level, _ in seen if level == "error"} == {session._away}
    server.start()
    qtbot.waitUntil(lambda: not session._away, timeout=15_000)
    assert not any("tried again" in text for text in notices(vera))
    session.select(second)
    assert session.candidate().grade is None
    press(qtbot, vera, KEY.Key_B)
    with session.project.again() as again:
        assert [again.candidate(number).grade for number in (first, second)] == ["A", "B"]


def test_the_dialog_tries_the_address_makes_a_project_and_keeps_no_password(qtbot, window, address):
    window.actions_by_id["file.shared"].trigger()
    asked = dialog(window, SharedDialog)
    plain = address.replace(f":{ESCAPED}", "")
    asked.place.setText(plain)
    asked.password.setText("wrong")
    qtbot.mouseClick(asked.test, LEFT)
    qtbot.waitUntil(lambda: "refuses this user or password" in asked.answer.text(), timeout=8_000)
    assert asked.focusWidget() is not asked.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Cancel)
    asked.password.setText(PASSWORD)
    qtbot.mouseClick(asked.go, LEFT)
    qtbot.waitUntil(lambda: asked.go.text() == "Make it", timeout=8_000)
    assert "no project at this address yet" in asked.answer.text()
    qtbot.mouseClick(asked.go, LEFT)
    qtbot.waitUntil(lambda: window.session.project is not None, timeout=8_000)
    session = window.session
    assert session.project.place == plain
    assert window.windowTitle().startswith(session.project.name)
    assert session.preferences.recent()[0] == (plain,)
    session.preferences.settings.sync()
    kept = Path(session.preferences.settings.fileName()).read_text()
    assert "project" in kept
    assert not [text for text in (kept, window.windowTitle()) if PASSWORD in text or ESCAPED in text]
    session.close_project()
    page = StartPage(session)
    qtbot.addWidget(page)
    assert plain in [entry.text() for entry in page.findChildren(type(page._entry((plain,))), "recent")]
    window.actions_by_id["file.shared"].trigger()
    asked = dialog(window, SharedDialog)
    assert (asked.place.text(), asked.password.text()) == (plain, "")
    asked.password.setText(PASSWORD)
    qtbot.mouseClick(asked.test, LEFT)
    qtbot.waitUntil(lambda: "a project of 0 candidates, not graded yet" in asked.answer.text(), timeout=8_000)
    qtbot.mouseClick(asked.go, LEFT)
    qtbot.waitUntil(lambda: session.project is not None, timeout=8_000)


def test_a_recent_address_without_its_password_asks_for_it(qtbot, window, address):
    Project.create(address).close()
    plain = address.replace(f":{ESCAPED}", "")
    window.open_files([plain])
    notice = next(notice for notice in window.notices.findChildren(Notice) if "refuses this user" in notice.text)
    qtbot.mouseClick(notice.buttons[0], LEFT)
    asked = dialog(window, SharedDialog)
    assert asked.place.text() == plain
    asked.password.setText(PASSWORD)
    qtbot.keyClick(asked.password, KEY.Key_Return)
    qtbot.waitUntil(lambda: window.session.project is not None, timeout=8_000)


def test_what_is_no_address_is_said_in_the_dialog(qtbot, window):
    window.ask_shared()
    asked = dialog(window, SharedDialog)
    assert not asked.go.isEnabled()
    asked.place.setText("lenses.example.org")
    qtbot.mouseClick(asked.go, LEFT)
    assert "no address of a shared project" in asked.answer.text()
    asked.reject()


def share(qtbot, window, address: str) -> SharedDialog:
    """Ask for the project to be shared at an address, by the menu, the fields and Share."""
    window.actions_by_id["file.share"].trigger()
    asked = dialog(window, SharedDialog)
    asked.place.setText(address.replace(f":{ESCAPED}", ""))
    asked.password.setText(PASSWORD)
    qtbot.mouseClick(asked.go, LEFT)
    return asked


def test_a_project_is_shared_from_its_window(qtbot, vetting, address):
    session = vetting.session
    press(qtbot, vetting, KEY.Key_A)
    file, ids = session.project.path, session.ids().tolist()
    grades = {row.id: row.grade for row in session.project.rows(ids)}
    said = messages(session)
    share(qtbot, vetting, address)
    qtbot.waitUntil(lambda: session.project is not None and session.project.shared, timeout=15_000)
    assert session.ids().tolist() == ids
    assert {row.id: row.grade for row in session.project.rows(ids)} == grades
    assert str(file) in said[-1][0]
    assert "stays as it is" in said[-1][0]
    assert not vetting.actions_by_id["file.share"].isEnabled()
    with Project.open(file, read_only=True) as before:
        assert {row.id: row.grade for row in before.rows(ids)} == grades


def test_nothing_is_shared_over_a_project_that_is_there(qtbot, vetting, address):
    Project.create(address).close()
    asked = share(qtbot, vetting, address)
    qtbot.waitUntil(lambda: "is at this address already" in asked.answer.text(), timeout=8_000)
    assert not vetting.session.project.shared
    asked.reject()


def test_a_shared_project_is_saved_to_a_file_beside_the_work(qtbot, vera, tmp_path):
    session, ids = vera.session, vera.session.ids().tolist()
    assert session.save_project_as(tmp_path / "mine.deeplense")
    qtbot.waitUntil(lambda: session.project.path == tmp_path / "mine.deeplense", timeout=15_000)
    assert session.ids().tolist() == ids
