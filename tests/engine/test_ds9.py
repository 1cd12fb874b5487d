"""What DS9 is told through XPA, by programs that stand in for them on the PATH."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.errors import ExchangeError
from engine.exchange import ds9
from tests.ds9_parts import fake_ds9, told

FILE, REGIONS = Path("/sky/my field.fits"), Path("/tmp/all of them.reg")


@pytest.fixture
def programs(monkeypatch, tmp_path):
    return fake_ds9(monkeypatch, tmp_path / "bin")


def test_it_is_started_loads_the_mosaic_with_regions_and_goes_to_the_candidate(programs):
    assert ds9.is_installed()
    list(ds9.show([FILE], REGIONS, radec=(215.5, -3.25)))
    assert told(programs) == [
        "ds9 -title DeepLense",
        "file {/sky/my field.fits}",
        "scale zscale",
        "regions delete all",
        "regions load {/tmp/all of them.reg}",
        "zoom to 4",
        "pan to 215.5000000 -3.2500000 wcs icrs degrees",
        "raise",
    ]


def test_the_second_time_it_only_goes_there(programs):
    list(ds9.show([FILE]))
    before = len(told(programs))
    list(ds9.show([FILE], xy=(10.0, 20.0)))
    assert told(programs)[before:] == ["zoom to 4", "pan to 11.00 21.00 image", "raise"]


def test_bands_have_a_frame_each_and_move_together(programs):
    list(ds9.show([Path("/g.fits"), Path("/r.fits")]))
    assert told(programs)[1:7] == [
        "file {/g.fits}", "scale zscale", "frame new", "file {/r.fits}", "scale zscale", "lock frame wcs",
    ]  # fmt: skip


def test_what_it_does_not_take_is_said(programs):
    (programs / "refuses").write_text("file")
    with pytest.raises(ExchangeError, match=r"DS9 did not take “file .*unknown command"):
        list(ds9.show([FILE]))


def test_one_that_hands_over_and_ends_has_not_failed(programs):
    (programs / "ds9").write_text(f"#!/bin/sh\n/bin/touch {programs}/running\n")
    asked = 'echo >> "$0.asked"; [ "$(/usr/bin/wc -l < "$0.asked")" -gt 2 ] && echo yes || echo no'
    (programs / "xpaaccess").write_text(f"#!/bin/sh\n{asked}\n")
    for _ in ds9.show([FILE]):
        while not (programs / "running").exists():  # it has ended before it is asked again
            time.sleep(0.01)
    assert "raise" in told(programs)


def test_a_ds9_that_ends_at_once_is_said(programs):
    (programs / "ds9").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ExchangeError, match="ended at once"):
        list(ds9.show([FILE]))


def test_without_the_programs_nothing_is_offered(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not ds9.is_installed()
    with pytest.raises(ExchangeError, match="install ds9 and xpa-tools"):
        list(ds9.show([FILE]))
