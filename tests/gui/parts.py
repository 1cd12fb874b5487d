"""A small sky, a stand-in for the network, and how to open and scan: shared by the tests of the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PySide6.QtCore import Qt

from deeplense_gui import work
from deeplense_gui.main_window import MainWindow
from deeplense_gui.session import Session
from deeplense_gui.work import exporting, interpreting
from engine.detect.search import SearchProcess
from engine.types import Cutouts, ModelCard, Saliency, Scores

NONE = Qt.KeyboardModifier.NoModifier
CARD = ModelCard(
    name="finder",
    architecture="stand-in",
    task="lens",
    classes=("not", "lens"),
    bands=("any",),
    size=32,
    pixel_scales=(0.2, 0.6),
    channels=("stretched",),
    weights_sha256="0123456789abcdef",
)


class StandIn:
    """Scores a stamp by how bright it is: the order is known without a network."""

    card = CARD
    note = ""
    means = "a sum of pixels"

    def score(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        total = np.nansum(cutouts.pixels[:, 0, 0, 12:20, 12:20], axis=(1, 2)).astype(np.float64)
        score = 1 / (1 + np.exp(-(total - 1200) / 500))
        return Scores(score, score, np.full(len(score), 0.02))

    score_bands = score


def explain(classifier: StandIn, cutouts: Cutouts) -> Saliency:
    size = classifier.card.size
    y, x = np.mgrid[:size, :size] - size / 2
    blob = np.exp(-(x**2 + y**2) / 30).astype(np.float32)
    return Saliency(np.stack([blob, blob]), CARD.pixel_scales, "gradcam", CARD.key, "lens")


def write_sky(path: Path, *, count: int = 40, size: int = 400, seed: int = 1, wcs: bool = True) -> Path:
    """Gaussian blobs of different brightness on noise, with a WCS of 0.2 arcsec a pixel."""
    generator = np.random.default_rng(seed)
    image = generator.normal(0, 1, (size, size)).astype(np.float32)
    y, x = np.mgrid[-12:13, -12:13]
    steps = int(np.ceil(np.sqrt(count)))
    for number in range(count):
        cx, cy = ((k + 0.5) * size / steps + generator.uniform(-4, 4) for k in (number % steps, number // steps))
        column, row = round(cx), round(cy)
        blob = np.exp(-((x + column - cx) ** 2 + (y + row - cy) ** 2) / (2 * 2.0**2))
        image[row - 12 : row + 13, column - 12 : column + 13] += (15 + 3 * number) * blob
    header = fits.Header()
    if wcs:
        projection = WCS(naxis=2)
        projection.wcs.ctype = "RA---TAN", "DEC--TAN"
        projection.wcs.crval = 215.5, 52.7
        projection.wcs.crpix = size / 2, size / 2
        projection.wcs.cdelt = -0.2 / 3600, 0.2 / 3600
        header = projection.to_header()
    fits.writeto(path, image, header)
    return path


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where the network would be; nothing imports torch then, and no other process is started."""
    monkeypatch.setattr(SearchProcess, "start", lambda self: None)
    monkeypatch.setattr(work.Models, "classifier", lambda self, name: StandIn())
    monkeypatch.setattr(interpreting, "SLOW_IMPORTS", ())
    put(monkeypatch, "card", lambda name: CARD)
    put(monkeypatch, "saliency_method", lambda name: explain)


def put(monkeypatch: pytest.MonkeyPatch, name: str, stand_in: Any) -> None:
    """Put a stand-in for something of ``work`` wherever it is known under its name."""
    for room in (work, interpreting, exporting):
        if hasattr(room, name):
            monkeypatch.setattr(room, name, stand_in)


def open_and_scan(qtbot, session: Session, path: Path) -> None:
    with qtbot.waitSignal(session.mosaic_opened, timeout=20_000):
        session.open_mosaic([path])
    with qtbot.waitSignal(session.scanning, timeout=30_000, check_params_cb=lambda on: not on):
        session.scan()


def messages(session: Session) -> list[tuple]:
    """All the session says from now on: (text, level, choices)."""
    seen: list[tuple] = []
    session.message.connect(lambda *arguments: seen.append(arguments))
    return seen


def show_window(qtbot, session: Session) -> MainWindow:
    """A window as it is at 1280 x 800, in front and with the keys."""
    window = MainWindow(session)
    window.resize(1280, 800)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitActive(window)
    return window


def press(qtbot, window: MainWindow, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
    """Press a key where the window has its focus, as a person does."""
    qtbot.keyClick(window.focusWidget() or window, key, modifiers)


def dialog(window: MainWindow, kind: type) -> Any:
    """The dialog of a kind that is open."""
    return next(found for found in window.findChildren(kind) if found.isVisible())
