"""What goes wrong around a project: the window says what to do, and nothing that was given is lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import Qt

from deeplense_gui.dialogs.notices import Notice
from engine.catalogue.store import Project
from tests.gui.parts import messages, open_and_scan, press

KEY = Qt.Key


@contextlib.contextmanager
def full_disk(project: Any) -> Iterator[None]:
    """Not one page more can be written to the project's file."""
    with project._home.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    yield
    with project._home.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")


def notices(window) -> list[str]:
    return [notice.text for notice in window.notices.findChildren(Notice) if notice.isVisible()]


def test_on_a_full_disk_a_grade_is_refused_and_can_be_given_once_there_is_room(qtbot, vetting):
    session = vetting.session
    first, path = session.selection, session.project.path
    press(qtbot, vetting, KEY.Key_A)
    second = session.selection
    session.display = {"padding": "x" * 100_000}
    with full_disk(session.project):
        press(qtbot, vetting, KEY.Key_B)
        assert "the disk is full: free some space and repeat" in notices(vetting)[0]
        assert session.selection == second
        assert session.candidate().grade is None
        assert not vetting.panels["vetting"].buttons["B"].isChecked()
    press(qtbot, vetting, KEY.Key_B)
    session.close_project()
    with Project.open(path) as again:
        assert [again.candidate(number).grade for number in (first, second)] == ["A", "B"]


def test_on_a_full_disk_what_is_kept_beside_the_grades_is_no_reason_to_stop(qtbot, vetting):
    session = vetting.session
    path = session.project.path
    session.grade("A")
    seen = messages(session)
    with full_disk(session.project):
        session.set_filters(text="y" * 20_000)
        session.save_filters("long")
        session.close_project()
    assert [level for _, level, _ in seen] == ["error", "error"]
    assert all("disk is full" in text for text, *_ in seen)
    with Project.open(path) as again:
        assert again.counts()["A"] == 1


def test_a_scan_stops_where_its_finds_cannot_be_kept(qtbot, session, sky, monkeypatch):
    from engine.errors import ProjectError

    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([sky])
    seen = messages(session)

    def full(*_: object) -> None:
        raise ProjectError("the disk is full: free some space")

    monkeypatch.setattr(Project, "add", full)
    with qtbot.waitSignal(session.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        session.scan()
    assert ("the disk is full: free some space", "error", ()) in seen
    assert not any("finished" in text for text, *_ in seen)


def test_a_project_of_a_newer_program_is_left_alone(qtbot, vetting):
    session = vetting.session
    path = session.project.path
    session.close_project()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value=value+1 WHERE key='format'")
    before = path.read_bytes()
    seen = messages(session)
    assert not session.open_project(path)
    ((text, level, choices),) = seen
    assert "newer DeepLense" in text
    assert "update DeepLense" in text
    assert (level, choices) == ("error", ())
    assert path.read_bytes() == before


def test_a_project_that_is_open_to_read_says_so_and_takes_no_grade(qtbot, vetting):
    session = vetting.session
    path = session.project.path
    session.grade("A")
    counts = session.counts()
    session.close_project()
    session.open_project(path, read_only=True)
    assert "grades cannot be given. File > Save project as" in notices(vetting)[0]
    press(qtbot, vetting, KEY.Key_B)
    session.set_blind(True)
    session.set_blind(False)
    assert session.counts() == counts
    assert session.save_project_as(path.with_name("copy.deeplense"))
    press(qtbot, vetting, KEY.Key_B)
    assert session.counts()["B"] == 1


def test_without_its_mosaic_a_project_is_graded_on(qtbot, session, sky):
    open_and_scan(qtbot, session, sky)
    path = session.project.path
    session.close_project()
    session.show_mosaic(None)
    session.mosaics.clear()
    sky.unlink()
    seen = messages(session)
    session.open_project(path)
    text, level, choices = seen[0]
    assert "field.fits is no longer there" in text
    assert (level, choices[0].label) == ("warning", "Locate…")
    session.grade("A")
    assert session.counts()["A"] == 1
    assert not session.can_scan
    seen.clear()
    with qtbot.waitSignal(session.message, timeout=20_000):
        session.export(path.with_name("cut.stamps"))
    assert "Stamps of 0 candidates" in seen[0][0]
    assert "40 without pixels: their mosaic is not open" in seen[0][0]
