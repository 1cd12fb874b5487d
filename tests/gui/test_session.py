"""The state and its verbs, over real files and a real project."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PySide6.QtCore import QSettings

from deeplense_gui.dialogs.export import FORMATS
from deeplense_gui.filters import CandidateList, Filters
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from engine.catalogue.store import Project
from tests.gui.parts import messages, open_and_scan, put, write_sky


def reopened(session: Session, path: Path) -> Session:
    """Another window, after the first one closed."""
    session.close()
    second = Session(preferences=session.preferences)
    assert second.open_project(path)
    return second


def test_a_scan_makes_a_project_beside_the_mosaic(scanned, sky):
    assert scanned.project.path == sky.with_suffix(".deeplense")
    assert len(scanned.ids()) == 40
    scores = [row.score for row in scanned.rows(scanned.ids())]
    assert scores == sorted(scores, reverse=True)


def test_where_nothing_can_be_written_the_project_lies_in_the_users_folder(qtbot, session, sky, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(session.preferences, "project_folder", lambda: home)
    monkeypatch.setattr("deeplense_gui.session.projects.os.access", lambda path, mode: False)
    open_and_scan(qtbot, session, sky)
    assert session.project.path.parent == home
    assert session.project.path.name.startswith("field-")


def test_a_selection_comes_with_the_first_candidates(scanned):
    assert scanned.selection is not None


@pytest.mark.parametrize("letter", ["A", "B", "C", "X"])
def test_a_grade_is_on_disk_before_the_next_candidate_shows(scanned, letter):
    first, second = (int(i) for i in scanned.ids()[:2])
    scanned.select(first)
    shown, path = [], scanned.project.path

    def look(candidate: int | None) -> None:
        if candidate is not None:
            with Project.open(path, read_only=True) as other:
                shown.append(other.candidate(first).grade)

    scanned.selected.connect(look)
    scanned.grade(letter)
    assert shown == [letter]
    assert scanned.selection == second
    assert scanned.project.candidate(first).grader == "Vera"


def test_grading_goes_on_to_the_next_without_a_grade_and_wraps_round(scanned):
    ids = [int(i) for i in scanned.ids()[:4]]
    scanned.select(ids[1])
    scanned.grade("A")
    assert scanned.selection == ids[2]
    scanned.select(ids[0])
    scanned.grade("B")
    assert scanned.selection == ids[2]
    scanned.select(int(scanned.ids()[-1]))
    scanned.grade("X")
    assert scanned.selection == ids[2]


def test_grading_follows_the_filter(scanned):
    scanned.set_filters(grades=frozenset({None}))
    ids = [int(i) for i in scanned.ids()]
    scanned.select(ids[5])
    scanned.grade("C")
    assert scanned.selection == ids[6]
    assert ids[5] not in scanned.ids()


def test_the_last_candidate_says_that_all_are_graded(scanned):
    heard = messages(scanned)
    scanned.select(int(scanned.ids()[0]))
    for _ in range(40):
        scanned.grade("X")
    assert scanned.counts().get(None, 0) == 0
    assert "has a grade" in heard[-1][0]


def test_taking_a_grade_back_stays(scanned):
    first = int(scanned.ids()[0])
    scanned.select(first)
    scanned.grade("A")
    scanned.select(first)
    scanned.grade(None)
    assert scanned.selection == first
    assert scanned.candidate().grade is None


def test_undo_and_redo_follow_what_they_change(scanned):
    ids = [int(i) for i in scanned.ids()[:3]]
    for identity, letter in zip(ids, "ABC", strict=True):
        scanned.select(identity)
        scanned.grade(letter)
    scanned.undo()
    assert (scanned.selection, scanned.candidate().grade) == (ids[2], None)
    scanned.undo()
    assert (scanned.selection, scanned.candidate().grade) == (ids[1], None)
    scanned.redo()
    assert (scanned.selection, scanned.candidate().grade) == (ids[1], "B")


def test_a_note_is_kept_and_undone(scanned):
    scanned.note("  arc to the north ")
    assert scanned.candidate().note == "arc to the north"
    scanned.note("arc to the north")
    scanned.undo()
    assert scanned.candidate().note == ""


def test_steps_stop_at_the_ends(scanned):
    ids = scanned.ids()
    scanned.select(int(ids[0]))
    scanned.step_selection(-1)
    assert scanned.selection == ids[0]
    scanned.step_selection(1)
    assert scanned.selection == ids[1]
    scanned.select(int(ids[-1]))
    scanned.step_selection(1)
    assert scanned.selection == ids[-1]


def test_filters_change_the_list_and_are_told_once(qtbot, scanned):
    with qtbot.waitSignal(scanned.filtered):
        scanned.set_filters(min_score=0.5, order="x", descending=False)
    rows = scanned.rows(scanned.ids())
    assert all(row.score >= 0.5 for row in rows)
    assert [row.x for row in rows] == sorted(row.x for row in rows)
    with qtbot.assertNotEmitted(scanned.filtered):
        scanned.set_filters(min_score=0.5)


def test_filters_survive_json():
    filters = Filters("x", False, frozenset({None, "A"}), 0.25, "arc")
    assert Filters.restored(filters.stored()) == filters
    assert Filters.restored(None) == Filters()
    assert Filters.restored({"unknown": 1}) == Filters()


def test_reopening_goes_on_where_one_was(qtbot, scanned):
    scanned.set_filters(min_score=0.2)
    third = int(scanned.ids()[3])
    scanned.select(int(scanned.ids()[2]))
    scanned.grade("B")
    assert scanned.selection == third
    second = reopened(scanned, scanned.project.path)
    qtbot.waitUntil(lambda: second.mosaic is not None, timeout=20_000)
    assert (second.selection, second.filters.min_score) == (third, 0.2)
    assert second.counts()["B"] == 1
    assert second.mosaic_of(second.candidate()) is second.mosaic
    second.close()


def test_opening_a_mosaic_takes_up_the_project_beside_it(qtbot, scanned, sky):
    scanned.grade("A")
    scanned.close()
    second = Session(preferences=scanned.preferences)
    with qtbot.waitSignal(second.project_opened, timeout=20_000):
        second.open_mosaic([sky])
    assert second.counts()["A"] == 1
    second.close()


def test_a_mosaic_that_moved_is_named_and_can_be_located(qtbot, scanned, sky, tmp_path):
    path = scanned.project.path
    scanned.close()
    moved = shutil.move(sky, tmp_path / "moved.fits")
    second = Session(preferences=scanned.preferences)
    heard, asked = messages(second), []
    second.locate.connect(lambda *arguments: asked.append(arguments))
    assert second.open_project(path)
    (text, level, choices) = heard[-1]
    assert "field.fits" in text
    assert level == "warning"
    choices[0].run()
    assert asked[0][1].endswith("field.fits")
    with qtbot.waitSignal(second.mosaic_opened, timeout=20_000):
        second.relocate(asked[0][0], [moved])
    assert second.mosaic_of(second.candidate()) is second.mosaic
    second.close()


def test_a_second_window_is_offered_the_project_to_read(scanned):
    second = Session(preferences=scanned.preferences)
    heard = messages(second)
    assert not second.open_project(scanned.project.path)
    _, level, choices = heard[-1]
    assert level == "error"
    assert choices[0].label == "Open read-only"
    choices[0].run()
    assert second.read_only
    assert len(second.ids()) == 40
    before = second.counts()
    second.grade("A")
    second.undo()
    second.note("no")
    assert second.counts() == before
    assert second.scan() is None
    second.close()


def test_saving_under_another_name_goes_on_there(scanned, tmp_path):
    scanned.grade("A")
    old = scanned.project.path
    assert scanned.save_project_as(tmp_path / "copy.deeplense")
    scanned.grade("B")
    assert scanned.project.path == tmp_path / "copy.deeplense"
    assert scanned.counts().get("B") == 1
    with Project.open(old) as project:
        assert "B" not in project.counts()


def test_stopping_a_scan_keeps_what_it_found(qtbot, session, tmp_path, unhurried):
    path = write_sky(tmp_path / "large.fits", count=900, size=2200)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([path])
    session.scan()
    assert session.scan() is None
    qtbot.waitUntil(lambda: len(session.ids()) > 0, timeout=20_000)
    with qtbot.waitSignal(session.scanning, timeout=10_000):
        session.stop_scan()
    kept = len(session.ids())
    assert kept > 0
    assert session.project.runs()[-1].state == "cancelled"
    with qtbot.waitSignal(session.scanning, timeout=60_000, check_params_cb=lambda on: not on):
        session.scan()
    assert len(session.ids()) == 900


def test_a_rescan_keeps_candidates_and_grades(qtbot, scanned):
    before = scanned.ids().tolist()
    scanned.grade("A")
    with qtbot.waitSignal(scanned.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        scanned.scan()
    assert sorted(scanned.ids()) == sorted(before)
    assert scanned.counts()["A"] == 1


def test_closing_in_the_middle_of_a_scan_loses_nothing(qtbot, session, tmp_path, unhurried):
    path = write_sky(tmp_path / "large.fits", count=900, size=2200)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([path])
    session.scan()
    qtbot.waitUntil(lambda: len(session.ids()) > 0, timeout=20_000)
    session.grade("A")
    kept = session.project.path
    session.close()
    with Project.open(kept) as project:
        assert project.counts()["A"] == 1
        assert project.runs()[-1].state == "cancelled"


def test_explaining_reaches_the_panels_under_the_candidate_asked_for(qtbot, scanned):
    wanted = scanned.selection
    with qtbot.waitSignal(scanned.explained, timeout=10_000) as heard:
        scanned.explain("gradcam")
    assert heard.args[0] == wanted
    assert heard.args[1].maps.shape == (2, 32, 32)


@pytest.mark.parametrize("suffix", [suffix for _, suffix in FORMATS])
def test_export_writes_what_the_dialog_offers(qtbot, scanned, tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    scanned.set_filters(min_score=0.3)
    scanned.grade("A")
    with qtbot.waitSignal(scanned.message, timeout=60_000) as heard:
        scanned.export(path)
    assert path.stat().st_size > 0
    assert str(path) in heard.args[0]
    if suffix == ".csv":
        assert len(path.read_text().splitlines()) == len(scanned.ids()) + 1


def test_a_report_tells_what_everyone_said_but_to_one_who_grades_blind(qtbot, scanned, tmp_path):
    best = [int(identity) for identity in scanned.ids()[:2]]
    scanned.project.grade(best, "B", grader="Karl")
    scanned.project.grade(best, "A", grader="Vera")
    scanned.set_filters(grades={"A"})
    for name, told in (("open.html", True), ("blind.html", False)):
        with qtbot.waitSignal(scanned.message, timeout=60_000):
            scanned.export(tmp_path / name)
        assert ("Karl: B; Vera: A" in (tmp_path / name).read_text()) == told
        scanned.set_blind(True)
    with qtbot.waitSignal(scanned.message, timeout=60_000):
        scanned.export(tmp_path / "list.pages.pdf")
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "list.pages.pdf").read_bytes())) == 3  # a cover and two


def test_export_into_a_folder_that_is_gone_is_a_message(qtbot, scanned, tmp_path):
    scanned.grade("A")
    for _, suffix in FORMATS:
        with qtbot.waitSignal(scanned.message, timeout=20_000) as heard:
            scanned.export(tmp_path / "gone" / f"list{suffix}")
        assert heard.args[1] == "error", suffix
        assert "gone" in heard.args[0]


@pytest.mark.parametrize("content", [b"no image at all", b"", b"SIMPLE  =                    T"])
def test_what_is_no_image_is_a_message_and_nothing_is_lost(qtbot, scanned, tmp_path, content):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(content)
    before = scanned.mosaic
    with qtbot.waitSignal(scanned.message, timeout=20_000) as heard:
        scanned.open_mosaic([bad])
    assert heard.args[1] == "error"
    assert "bad.fits" in heard.args[0]
    assert scanned.mosaic is before
    assert len(scanned.ids()) == 40


def test_a_file_that_is_no_project_is_a_message(session, tmp_path):
    bad = tmp_path / "bad.deeplense"
    bad.write_bytes(b"not a database")
    heard = messages(session)
    assert not session.open_project(bad)
    assert heard[-1][1] == "error"
    assert session.project is None


def test_a_mosaic_without_wcs_asks_for_its_scale(qtbot, session, tmp_path):
    path = write_sky(tmp_path / "plain.fits", wcs=False)
    heard = messages(session)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([path])
    text, _, choices = next(entry for entry in heard if entry[2])
    assert "pixels" in text
    with qtbot.waitSignal(session.scale_wanted):
        choices[0].run()
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.set_pixel_scale(0.263)
    assert session.mosaic.pixel_scale == 0.263
    open_and_scan_again = session.scan()
    assert open_and_scan_again is not None
    qtbot.waitUntil(lambda: session.scan_job is None, timeout=30_000)
    assert session.candidate().ra is None
    second = reopened(session, session.project.path)
    qtbot.waitUntil(lambda: second.mosaic is not None, timeout=20_000)
    assert second.mosaic.pixel_scale == 0.263
    second.close()


def test_the_image_that_was_chosen_stays_when_its_scale_or_bands_are_typed(qtbot, session, tmp_path):
    random, path = np.random.default_rng(3), tmp_path / "chips.fits"
    chips = [fits.ImageHDU(random.normal(0, 1, (2, 60, 50)).astype(np.float32), name=f"CHIP{k}") for k in (1, 2, 3)]
    fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(path)

    def opened(verb) -> None:
        with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
            verb()
        assert (session.mosaic.extension, session.mosaic.id) == ("CHIP3", first or session.mosaic.id)

    first = ""
    opened(lambda: session.open_mosaic([path], hdu=3))
    first = session.mosaic.id
    assert session.mosaic.bands == ("1", "2")
    opened(lambda: session.set_pixel_scale(0.263))
    opened(lambda: session.set_band_names(["r", "z"]))
    assert (session.mosaic.bands, session.mosaic.pixel_scale) == (("r", "z"), 0.263)
    assert session.scan() is not None
    qtbot.waitUntil(lambda: session.scan_job is None, timeout=30_000)
    second = reopened(session, session.project.path)
    qtbot.waitUntil(lambda: second.mosaic is not None, timeout=20_000)
    assert (second.mosaic.extension, second.mosaic.bands) == ("CHIP3", ("r", "z"))
    second.close()


def test_an_error_of_the_program_is_reported_whole(qtbot, session, sky, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("engine.images.mosaic.open_mosaic", broken)
    with qtbot.waitSignal(session.crashed, timeout=20_000) as heard:
        session.open_mosaic([sky])
    assert "ZeroDivisionError: oops" in heard.args[1]


def test_recent_files_are_kept_newest_first_and_once(tmp_path):
    preferences = Preferences(QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat))
    for name in ("a", "b", "a"):
        preferences.remember_file([tmp_path / f"{name}_g.fits", tmp_path / f"{name}_r.fits"])
    assert [Path(entry[0]).name for entry in preferences.recent()] == ["a_g.fits", "b_g.fits"]
    for number in range(20):
        preferences.remember_project(tmp_path / f"{number}.deeplense")
    assert len(preferences.recent()) == 10
    assert preferences.folder == str(tmp_path)


def test_the_list_is_empty_without_a_project(session):
    assert len(session.ids()) == 0
    assert session.candidate() is None
    assert session.counts() == {}
    session.grade("A")
    session.next_ungraded()
    session.step_selection(1)
    assert session.explain("gradcam") is None
    assert np.size(session.ids()) == 0


def test_scanning_without_a_model_is_a_message_and_makes_no_project(qtbot, session, sky, monkeypatch):
    from engine.errors import ModelError

    def missing(name: str) -> None:
        raise ModelError("there is no model 'finder'")

    put(monkeypatch, "card", missing)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([sky])
    heard = messages(session)
    assert session.scan() is None
    assert heard[-1][:2] == ("there is no model 'finder'", "error")
    assert session.project is None
    assert not sky.with_suffix(".deeplense").exists()


def test_what_a_scan_finds_is_written_by_the_worker_and_told_a_few_times(qtbot, session, sky, monkeypatch):
    threads, told, add = set(), [], Project.add

    def note(*arguments: object) -> object:
        threads.add(threading.get_ident())
        return add(*arguments)

    monkeypatch.setattr(Project, "add", note)
    session.changed.connect(told.append)
    open_and_scan(qtbot, session, sky)
    assert threads
    assert threading.get_ident() not in threads
    ids = [number for changes in told for number in changes.ids]
    assert sorted(ids) == sorted(session.ids().tolist())
    assert len(told) < 10


def test_rows_are_read_once_until_they_change(scanned):
    class Counting:
        """A project that says what was read of it."""

        def __init__(self) -> None:
            self.read: list[int] = []

        def rows(self, ids, seen_by=None):
            self.read += list(ids)
            return scanned.project.rows(ids, seen_by)

    ids = scanned.ids()[:5].tolist()
    listing = CandidateList()
    listing.project = project = Counting()
    assert [row.id for row in listing.rows(ids)] == ids
    assert [row.id for row in listing.rows(ids[::-1])] == ids[::-1]
    assert project.read == ids
    listing.forget({"scores"}, ids[:2])
    listing.rows(ids)
    assert project.read == ids + ids[:2]
    listing.forget({"grades"}, ids[:1])
    listing.rows(ids)
    assert project.read == ids + ids[:2] + ids[:1]
    listing.forget({"grades"})
    listing.rows(ids)
    assert project.read == ids + ids[:2] + ids[:1] + ids


def test_what_a_closed_project_could_not_take_is_not_complained_of(qtbot, session, tmp_path, unhurried, monkeypatch):
    path = write_sky(tmp_path / "large.fits", count=900, size=2200)
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([path])
    started, may_go, add = threading.Event(), threading.Event(), Project.add

    def slow(*arguments: object) -> object:
        started.set()
        may_go.wait(10)
        return add(*arguments)

    monkeypatch.setattr(Project, "add", slow)
    seen = messages(session)
    job = session.scan()
    qtbot.waitUntil(started.is_set, timeout=20_000)
    session.close_project()
    may_go.set()
    qtbot.waitUntil(lambda: job.reason is not None, timeout=10_000)
    assert not [text for text, level, _ in seen if level == "error"]


def test_the_session_knows_what_runs_the_model(qtbot, session):
    session.warm_up()
    qtbot.waitUntil(lambda: session.means == "a sum of pixels", timeout=5_000)
