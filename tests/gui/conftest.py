"""A session over a small sky and a stand-in for the network, real in everything else."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from engine.exchange import ds9, services
from engine.types import Cutouts, Scores
from tests.gui.parts import StandIn, install, open_and_scan, show_window, write_sky


@pytest.fixture(autouse=True)
def _nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the network or starts this machine's DS9, whichever commands it runs."""
    nowhere = "http://127.0.0.1:9/"
    monkeypatch.setattr(ds9, "PROGRAMS", ("no DS9 in tests",))
    for name in ("CATALOGUES", "IMAGES"):
        monkeypatch.setattr(services, name, tuple(replace(one, address=nowhere) for one in getattr(services, name)))


@pytest.fixture
def sky(tmp_path: Path) -> Path:
    return write_sky(tmp_path / "field.fits")


@pytest.fixture
def preferences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preferences:
    made = Preferences(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))
    made.grader = "Vera"
    monkeypatch.setattr(made, "project_folder", lambda: tmp_path)
    return made


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans that last long enough to be stopped, on the fastest machine too."""

    def score_bands(self: StandIn, cutouts: Cutouts, *, views: int = 1) -> Scores:
        time.sleep(0.002 * len(cutouts.pixels))
        return self.score(cutouts, views=views)

    monkeypatch.setattr(StandIn, "score_bands", score_bands)


@pytest.fixture
def session(qtbot, preferences, stand_in):
    made = Session(preferences=preferences)
    yield made
    made.close()


@pytest.fixture
def scanned(qtbot, session, sky):
    """A session with a scanned mosaic."""
    open_and_scan(qtbot, session, sky)
    return session


@pytest.fixture
def window(qtbot, session):
    """The whole window at the smallest size it is made for, nothing open."""
    return show_window(qtbot, session)


@pytest.fixture
def vetting(qtbot, window, sky):
    """The window with a scanned mosaic; its best candidate is selected."""
    open_and_scan(qtbot, window.session, sky)
    window.session.select(int(window.session.ids()[0]))
    # The list gathers what a scan brings for a moment, and the layout settles after it.
    table = window.panels["candidates"].table
    qtbot.waitUntil(lambda: table.model().rowCount() == len(window.session.ids()), timeout=5_000)
    qtbot.waitUntil(lambda: table.currentIndex().row() == 0, timeout=5_000)
    return window
