"""Cut-outs and pictures of a view: right pixels, right bands, right WCS."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, DistortionLookupTable
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.export import view
from engine.export.view import cutout_header, picture_header, view_box, write_cutout, write_picture_header
from engine.images.mosaic import open_mosaic
from tests.engine.test_grid import FIELDS
from tests.engine.test_grid import mosaic as field


def test_a_cut_out_opens_as_the_same_bands_pixels_and_sky(band_files, tmp_path):
    mosaic = open_mosaic(band_files)
    steps = list(write_cutout(mosaic, (31, 288, 50, 340), tmp_path / "cut.fits"))
    assert steps[-1].items == (tmp_path / "cut.fits",)
    cut = open_mosaic(tmp_path / "cut.fits")
    assert cut.bands == mosaic.bands
    assert cut.shape == (257, 290)
    np.testing.assert_array_equal(cut.read(0, 257, 0, 290), mosaic.read(31, 288, 50, 340))
    there = np.array([[0.0, 0.0], [289.0, 256.0], [100.5, 7.25]])
    np.testing.assert_allclose(cut.world(there), mosaic.world(there + np.array([50, 31])), atol=1e-9)


def test_a_cut_out_of_one_band_is_an_image(mosaic_file, tmp_path):
    mosaic = open_mosaic(mosaic_file)
    list(write_cutout(mosaic, (0, 40, 10, 60), tmp_path / "cut.fits"))
    with fits.open(tmp_path / "cut.fits") as file:
        assert file[0].data.shape == (40, 50)
        file.verify("exception")


def test_units_are_read_kept_and_written(band_files, tmp_path):
    for path in band_files:
        fits.setval(path, "BUNIT", value="nanomaggy")
    mosaic = open_mosaic(band_files)
    assert mosaic.units == ("nanomaggy",) * 3
    list(write_cutout(mosaic, (0, 20, 0, 20), tmp_path / "cut.fits"))
    assert open_mosaic(tmp_path / "cut.fits").units == mosaic.units
    assert open_mosaic(band_files[0]).units == ("nanomaggy",)


def test_a_cut_out_that_is_given_up_leaves_nothing(mosaic_file, tmp_path):
    steps = write_cutout(open_mosaic(mosaic_file), (0, 300, 0, 400), tmp_path / "cut.fits")
    next(steps)
    steps.close()
    assert not list(tmp_path.glob("*cut*"))


@given(
    x0=st.floats(-500, 390), y0=st.floats(-500, 290), width=st.floats(0.5, 800), height=st.floats(0.5, 800)
)  # fmt: skip
def test_the_box_of_a_view_holds_what_is_in_view(x0, y0, width, height):
    mosaic = FIELDS["plain"]
    try:
        top, bottom, left, right = view_box(mosaic, (x0, x0 + width, y0, y0 + height))
    except DataError:
        assert x0 + width < -0.5 or y0 + height < -0.5
        return
    ny, nx = mosaic.shape
    assert 0 <= left < right <= nx
    assert 0 <= top < bottom <= ny
    assert left - 0.5 <= max(x0, -0.5)
    assert right - 0.5 >= min(x0 + width, nx - 0.5)
    assert top - 0.5 <= max(y0, -0.5)
    assert bottom - 0.5 >= min(y0 + height, ny - 0.5)


def test_a_view_too_large_says_so(monkeypatch):
    monkeypatch.setattr(view, "LARGEST", 1000)
    with pytest.raises(DataError, match="zoom in"):
        view_box(FIELDS["plain"], (0, 100, 0, 100))


WITH_SIP = {
    "distorted at the pole": field(245.0, -89.99, scale=1.2, angle=20, sip=True),
    "distorted across RA 0": field(0.001, 47.0, angle=130, sip=True),
}


@pytest.mark.parametrize("name", [*FIELDS, *WITH_SIP])
@pytest.mark.parametrize("zoom", [0.37, 1.0, 6.0])
def test_a_picture_lies_where_it_was_taken(name, zoom):
    mosaic = {**FIELDS, **WITH_SIP}[name]
    size, centre = (640, 420), (530.0, 360.0)
    sky = WCS(picture_header(mosaic, centre, zoom, size))
    x, y = np.array([0.0, 639.0, 320.0, 17.0]), np.array([0.0, 419.0, 200.0, 300.0])
    places = np.column_stack([centre[0] + (x - 319.5) / zoom, centre[1] + (y - 209.5) / zoom])
    apart = sky.pixel_to_world(x, y).separation(mosaic.wcs.pixel_to_world(*places.T)).arcsec
    assert (apart * zoom / mosaic.pixel_scale).max() < 1e-4


def test_distortion_in_lookup_tables_is_fitted():
    """No header of one image can hold such a table; to leave it out would be off by as much as it corrects."""
    mosaic = field(150.1, 2.2)
    y, x = np.mgrid[-1:1:8j, -1:1:12j]
    for axis, values in ((1, 0.4 * x * y + 0.2 * x**2), (2, -0.3 * y**2 + 0.1 * x)):
        table = DistortionLookupTable(values.astype(np.float32), (1, 1), (1, 1), (100, 100))
        setattr(mosaic.wcs, f"cpdis{axis}", table)
    places = np.array([[220.0, 120.0], [600.0, 333.0], [790.0, 410.0]])
    cut = WCS(cutout_header(mosaic, (100, 450, 200, 800)), naxis=2)
    picture = WCS(picture_header(mosaic, (500, 300), 0.8, (640, 420)))
    for sky, there in ((cut, places - (200, 100)), (picture, (places - (500, 300)) * 0.8 + (319.5, 209.5))):
        apart = sky.pixel_to_world(*there.T).separation(mosaic.wcs.pixel_to_world(*places.T)).arcsec
        assert (apart / mosaic.pixel_scale).max() < 0.02


def test_the_header_is_a_file_beside_the_picture(tmp_path):
    path = write_picture_header(FIELDS["rotated"], (500, 300), 2.0, (640, 420), tmp_path / "view.png")
    assert path == tmp_path / "view.wcs"
    header = fits.getheader(path)
    assert (header["IMAGEW"], header["IMAGEH"]) == (640, 420)
    assert WCS(header).has_celestial
