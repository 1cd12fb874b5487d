"""Folders of stamps: each a candidate, vetted like those of a mosaic, and found again where they were."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from PySide6.QtCore import Qt

from deeplense_gui.session import Session
from tests.conftest import sky_header
from tests.gui.parts import messages, press, show_window

KEY = Qt.Key


def write_stamps(folder, count: int = 12, bands: int = 1) -> None:
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[:41, :37]
    for number in range(count):
        pixels = np.random.default_rng(number).normal(0, 1, (bands, 41, 37))
        pixels += (20 + 10 * number) * np.exp(-((x - 18) ** 2 + (y - 20) ** 2) / 18)
        header = sky_header((41, 37))
        header["CRVAL1"] += number / 100
        fits.writeto(folder / f"lens{number:02d}.fits", pixels.squeeze().astype(np.float32), header)


@pytest.fixture
def folder(tmp_path):
    write_stamps(tmp_path / "stamps")
    return tmp_path / "stamps"


@pytest.fixture
def opened(qtbot, window, folder):
    window.open_files([folder])
    qtbot.waitUntil(lambda: len(window.session.ids()) == 12, timeout=20_000)
    return window


def test_each_stamp_is_a_candidate_by_the_name_of_its_file(opened, folder):
    session = opened.session
    rows = session.rows(session.ids())
    assert sorted(row.name for row in rows) == sorted(path.name for path in folder.iterdir())
    assert all(np.isnan(row.score) for row in rows)
    assert [row.ra for row in sorted(rows, key=lambda row: row.name)] == pytest.approx(
        [215.53 + k / 100 for k in range(12)], abs=1e-5
    )
    assert session.project.path == folder.with_suffix(".deeplense")


def test_the_gallery_comes_first_and_shows_the_whole_stamps(qtbot, opened):
    gallery = opened.panels["gallery"]
    qtbot.waitUntil(lambda: not gallery.view.visibleRegion().isEmpty(), timeout=10_000)
    qtbot.waitUntil(lambda: all(gallery._picture(row) for row in gallery.view.in_view()), timeout=10_000)
    assert gallery.field.value() == pytest.approx(45 * 0.2, abs=0.06)
    assert opened.panels["inspector"].field.side == pytest.approx(45 * 0.2)
    assert opened.panels["inspector"].facts.details.text() == "no score yet"


def test_no_neighbour_is_seen_however_wide_the_field(qtbot, opened):
    inspector = opened.panels["inspector"]
    inspector.field.set(40)
    qtbot.waitUntil(lambda: inspector.grid.large.picture and inspector.grid.large.picture.side >= 40, timeout=10_000)
    mosaic = opened.session.mosaic_of(opened.session.candidate())
    assert np.isfinite(mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])).sum() == 41 * 37


def test_grades_are_found_again_where_they_were_when_files_come_and_go(qtbot, opened, folder):
    session = opened.session
    for letter in "AXB":
        press(qtbot, opened, getattr(KEY, f"Key_{letter}"))
    graded = {row.name: row.grade for row in session.rows(session.ids()) if row.grade}
    assert len(graded) == 3
    preferences = session.preferences
    opened.close()
    (folder / "lens11.fits").unlink()
    write_stamps(folder.with_name("more"), 13)
    (folder.with_name("more") / "lens12.fits").rename(folder / "a_new_one.fits")
    again = show_window(qtbot, Session(preferences=preferences))
    again.open_files([folder])
    qtbot.waitUntil(lambda: len(again.session.ids()) == 13, timeout=20_000)
    rows = {row.name: row for row in again.session.rows(again.session.ids())}
    assert {name: row.grade for name, row in rows.items() if row.grade} == graded
    for name in ("lens03.fits", "a_new_one.fits"):
        mosaic = again.session.mosaic_of(rows[name])
        seen = mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])[0]
        assert np.array_equal(seen[np.isfinite(seen)], fits.getdata(folder / name).ravel())
    gone = again.session.mosaic_of(rows["lens11.fits"])
    assert np.isnan(gone.read(0, gone.shape[0], 0, gone.shape[1])).all()
    again.close()


def test_scan_scores_the_stamps_where_they_are(qtbot, opened):
    session = opened.session
    with qtbot.waitSignal(session.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        press(qtbot, opened, KEY.Key_F5)
    rows = session.rows(session.ids())
    assert len(rows) == 12
    scores = [row.score for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert rows[0].name == "lens11.fits"


def test_pictures_are_shown_as_stored_and_not_scored(qtbot, window, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.zeros((30, 50, 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = 250, 255
    pixels[:, 40:, 3] = 0
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(folder / name)
    (folder / "bad.png").write_bytes(b"no picture")
    heard = messages(window.session)
    window.open_files([folder])
    qtbot.waitUntil(lambda: len(window.session.ids()) == 2, timeout=20_000)
    assert any("bad.png" in text and level == "warning" for text, level, _ in heard)
    inspector = window.panels["inspector"]
    qtbot.waitUntil(lambda: inspector.grid.large.picture is not None, timeout=10_000)
    assert inspector.grid.large.picture.title == "picture"
    stored = inspector.grid.large.picture.pixels
    middle = stored[stored.shape[0] // 2]
    assert (middle == 0xFFFA0000).sum() == 40  # the object is in the middle of what is not square
    window.session.scan()
    qtbot.waitUntil(lambda: any("stretched already" in text for text, _, _ in heard), timeout=20_000)


def test_many_files_dropped_at_once_are_stamps(qtbot, window, tmp_path):
    write_stamps(tmp_path / "many", 14)
    window.open_files(sorted((tmp_path / "many").iterdir()))
    qtbot.waitUntil(lambda: len(window.session.ids()) == 14, timeout=20_000)


def test_a_pixel_scale_is_taken_for_all(qtbot, window, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    for name in "ab":
        np.save(folder / f"{name}.npy", np.random.default_rng(1).normal(0, 1, (32, 32)).astype(np.float32))
    window.open_files([folder])
    qtbot.waitUntil(lambda: len(window.session.ids()) == 2, timeout=20_000)
    window.session.set_pixel_scale(0.3)
    qtbot.waitUntil(lambda: window.session.mosaic.pixel_scale == 0.3, timeout=10_000)
    assert len(window.session.ids()) == 2


def test_the_long_name_of_a_file_does_not_make_the_window_wider(qtbot, window, tmp_path):
    folder = tmp_path / "long"
    write_stamps(folder, 2)
    for number in range(2):
        name = f"{'a survey and all that is known of it_' * 5}{number}.fits"
        (folder / f"lens{number:02d}.fits").rename(folder / name)
    window.open_files([folder])
    qtbot.waitUntil(lambda: len(window.session.ids()) == 2, timeout=20_000)
    for name in ("lens", "sensitivity", "online"):
        window.docks[name].raise_()
        qtbot.waitUntil(lambda panel=window.panels[name]: panel.title.isVisible(), timeout=5_000)
        assert window.panels[name].title.text() == window.session.candidate().name
        assert window.minimumSizeHint().width() <= 1280
    assert window.width() == 1280
