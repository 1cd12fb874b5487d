"""Files for other programs, and those they name to us."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from engine.errors import ExchangeError
from engine.exchange import files
from engine.images.mosaic import open_mosaic
from engine.types import Candidate
from tests.service_parts import BROKEN, running_server


def last(steps):
    return list(steps)[-1].items[0]


def candidate(mosaic, x=100.0, y=80.0) -> Candidate:
    (ra, dec) = mosaic.world(np.array([[x, y]]))[0]
    return Candidate(7, "J1422+5246", ra, dec, x, y, 1.0, 2.0, 9.0, 0.9, 0.9, 0.1, "m", mosaic.id)


def test_candidates_go_out_as_a_table_in_their_order(mosaic_file, tmp_path):
    mosaic = open_mosaic([mosaic_file])
    path = last(files.write_table([candidate(mosaic), candidate(mosaic, 50.0)], tmp_path, "my lenses: 1/2"))
    assert path.parent == tmp_path
    assert path.suffix == ".vot"
    assert list(Table.read(path)["x"]) == [100.0, 50.0]


def test_a_stamp_goes_out_with_its_wcs(mosaic_file, tmp_path):
    mosaic = open_mosaic([mosaic_file])
    one = candidate(mosaic)
    path = last(files.write_stamp(one, mosaic, tmp_path))
    header = fits.getheader(path)
    x, y = WCS(header).celestial.world_to_pixel_values(one.ra, one.dec)
    assert (x, y) == pytest.approx(((header["NAXIS1"] - 1) / 2, (header["NAXIS2"] - 1) / 2), abs=1e-3)


def test_fits_files_go_out_as_they_are_and_others_as_fits(mosaic_file, band_files, tmp_path):
    assert last(files.fits_files(open_mosaic([mosaic_file]), tmp_path)) == (mosaic_file,)
    assert last(files.fits_files(open_mosaic(band_files), tmp_path)) == tuple(band_files)
    pixels = np.arange(600.0, dtype=np.float32).reshape(20, 30)
    with h5py.File(tmp_path / "cube.h5", "w") as file:
        file["image"] = pixels
    (path,) = last(files.fits_files(open_mosaic([tmp_path / "cube.h5"]), tmp_path / "."))
    assert np.array_equal(fits.getdata(path), pixels)
    (copy,) = last(files.fits_files(open_mosaic([mosaic_file]), tmp_path, as_opened=False))
    assert copy != mosaic_file
    assert np.array_equal(fits.getdata(copy), fits.getdata(mosaic_file))


@pytest.fixture
def lasting(tmp_path, monkeypatch):
    """A folder that does not count as one of temporary files."""
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_a_file_that_stays_is_taken_where_it_lies_and_a_temporary_one_is_kept(lasting):
    for folder, where in ((lasting, lasting), (lasting / "temporary", lasting / "kept")):
        source = folder / "sky of them.fits"
        source.write_bytes(b"SIMPLE")
        path = last(files.received(source.as_uri(), "from Aladin", lasting / "kept"))
        assert path.parent == where
        assert path.read_bytes() == b"SIMPLE"


def test_a_table_gets_the_ending_by_which_it_is_read(lasting):
    (lasting / "t").write_text("<VOTABLE/>")
    path = last(files.received((lasting / "t").as_uri(), "lens list", lasting / "kept", suffix=".vot"))
    assert path == lasting / "kept" / "lens_list.vot"
    assert path.read_text() == "<VOTABLE/>"


def test_a_file_of_the_network_is_fetched_whole_or_not_at_all(lasting, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # leads nowhere, and not to programs on this machine
    with running_server() as server:
        server.replies = {"/a.fits": (200, "image/fits", os.urandom(700_000)), "/b.fits": BROKEN}
        path = last(files.received(f"{server.address}/a.fits", "a", lasting / "kept"))
        assert path.read_bytes() == server.replies["/a.fits"][2]
        with pytest.raises(ExchangeError, match=r"answered with an error \(500\)"):
            last(files.received(f"{server.address}/b.fits", "b", lasting / "kept"))
    assert sorted(one.name for one in (lasting / "kept").iterdir()) == ["a.fits"]


@pytest.mark.parametrize("url", ["file:///nowhere/at.fits", "gopher://x/y", str(Path("/nowhere.fits"))])
def test_what_is_not_there_is_said(lasting, url):
    with pytest.raises(ExchangeError, match="was sent"):
        last(files.received(url, "x", lasting))
