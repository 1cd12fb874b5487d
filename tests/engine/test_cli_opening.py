"""Packed images on the command line: unpacked with progress, and an interrupt leaves nothing half done."""

import bz2
import gzip
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.cli.opening import open_images
from engine.detect.stamps import score_stamps
from engine.errors import ImageError
from engine.types import Cutouts, Scores
from tests.engine.cli_parts import CommandLine, tiny_model


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("engine.images.unpack._BEAT", 0.0)
    return tmp_path / "cache" / "images"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Four megabytes, read in several pieces."""
    image = np.random.default_rng(1).normal(size=(1000, 1000)).astype(np.float32)
    fits.PrimaryHDU(image).writeto(tmp_path / "sky.fits")
    path = tmp_path / "sky.fits.gz"
    path.write_bytes(gzip.compress((tmp_path / "sky.fits").read_bytes(), 1))
    return path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_unpacking_is(packed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    mosaic = open_images([packed])
    assert mosaic.shape == (1000, 1000)
    assert "Unpacking sky.fits.gz" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    monkeypatch.setattr(sys, "stderr", again := Terminal())
    open_images([packed, packed.with_suffix("")], bands="g, r")
    assert again.getvalue() == ""  # there is nothing to wait for
    assert len([one for one in cache.iterdir() if one.suffix != ".mark"]) == 1  # unpacked once


def test_quiet_is_silent(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    open_images([packed], quiet=True)
    assert terminal.getvalue() == ""


def test_an_interrupt_leaves_nothing(
    packed: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        assert len(list(cache.iterdir())) == 1  # half of it is there
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.cli.opening.follow", interrupted)
    done = CommandLine(capsys)("scan", packed, "--model", tiny_model(tmp_path / "tiny"), "--out", tmp_path / "out.csv")
    assert (done.status, done.err) == (130, "deeplense: cancelled\n")
    assert list(cache.iterdir()) == []
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_control_c_of_a_running_command_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "large.fits.bz2"  # slow to unpack: the interrupt comes in the middle
    with bz2.open(path, "wb", 9) as file:
        file.write(fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 0}).tostring().encode())
        for _ in range(48):
            file.write(bytes(8 << 20))
    command = [sys.executable, "-m", "engine.cli", "scan", str(path), "--out", str(tmp_path / "out.csv")]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONFAULTHANDLER": ""},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    ) as running:
        while running.poll() is None and not any(cache.glob("*.partial")):
            time.sleep(0.005)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, b"deeplense: cancelled\n")
    assert list(cache.iterdir()) == []


class Even:
    """Scores every stamp 0.5."""

    def __init__(self, card: object) -> None:
        self.card = card

    def score_bands(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        half = np.full(len(cutouts.pixels), 0.5)
        return Scores(half, half, 0 * half)


def test_packed_stamps_tell_that_they_are_unpacked(packed: Path, tmp_path: Path) -> None:
    from engine.models.card import load_card

    damaged = tmp_path / "damaged.fits.gz"
    damaged.write_bytes(packed.read_bytes()[:100_000])
    steps = list(
        score_stamps([packed, damaged], pixel_scale=0.2, classifier=Even(load_card(tiny_model(tmp_path / "tiny"))))
    )
    assert "Unpacking sky.fits.gz" in [step.note for step in steps]
    items = [item for step in steps for item in step.items]
    assert [type(item) is ImageError for item in items] == [False, True]
