"""DS9 regions and contours, put where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.images.contours import contours, data_outline
from engine.images.mosaic import open_mosaic
from engine.images.pyramid import Pyramid
from engine.images.shapes import read_regions
from engine.types import FloatArray, Mosaic
from tests.conftest import sky_header

REGIONS = """# Region file format: DS9 version 4.1
global color=green width=1
icrs
circle(215.53,52.78,10") # color=red text={an arc}
ellipse(215.53,52.78,12",6",0) # color=#ff00ff
box(215.53,52.78,20",10",0)
polygon(215.53,52.78,215.54,52.78,215.54,52.79)
line(215.53,52.78,215.54,52.79) # line=0 0
point(215.53,52.78) # point=cross
# text(215.53,52.78) text={hello}
annulus(215.53,52.78,5",10")
image
-circle(101,51,10)
vector(1,2,3,4)
"""


@pytest.fixture
def mosaic(mosaic_file) -> Mosaic:
    return open_mosaic(mosaic_file)


@pytest.fixture
def shapes(tmp_path, mosaic):
    path = tmp_path / "arcs.reg"
    path.write_text(REGIONS)
    return read_regions(path, mosaic)


def test_every_kind_of_region_is_read(shapes):
    kinds = [shape.kind for shape in shapes.shapes]
    assert kinds == ["closed"] * 4 + ["open", "point", "text"] + ["closed"] * 3
    assert "1 regions" in shapes.notes[0]
    assert [shape.excluded for shape in shapes.shapes] == [False] * 9 + [True]
    assert [shape.colour for shape in shapes.shapes][:3] == ["red", "#ff00ff", "#00ff00"]
    assert shapes.shapes[0].text == "an arc"
    assert shapes.shapes[6].text == "hello"


def test_a_circle_on_the_sky_keeps_its_radius(shapes, mosaic):
    centre = mosaic.pixel(np.array([[215.53, 52.78]]))[0]
    radii = np.hypot(*(shapes.shapes[0].xy - centre).T)
    assert radii == pytest.approx(np.full(len(radii), 10 / 0.2), rel=1e-3)
    assert shapes.shapes[5].xy[0] == pytest.approx(centre)


def test_a_box_and_an_ellipse_lie_along_the_sky(shapes):
    for number, (width, height) in {1: (24, 12), 2: (20, 10)}.items():
        assert np.ptp(shapes.shapes[number].xy, axis=0) == pytest.approx([width / 0.2, height / 0.2], rel=2e-3)


def test_image_coordinates_count_from_one(shapes):
    assert shapes.shapes[-1].xy.mean(axis=0) == pytest.approx([100, 50], abs=0.2)


def test_regions_on_the_sky_need_a_sky(tmp_path, mosaic):
    path = tmp_path / "sky.reg"
    path.write_text('icrs\ncircle(215.53,52.78,10")\n')
    with pytest.raises(DataError, match="no WCS"):
        read_regions(path, replace(mosaic, wcs=None))
    path.write_text("image\ncircle(10,10,5)\n")
    assert len(read_regions(path, replace(mosaic, wcs=None)).shapes) == 1


@pytest.mark.parametrize("text", ["", "this is no region file\n", "icrs\ncircle(215.53)\n"])
def test_what_is_no_region_file_says_so(tmp_path, mosaic, text):
    path = tmp_path / "odd.reg"
    path.write_text(text)
    with pytest.raises(DataError, match=r"odd\.reg"):
        read_regions(path, mosaic)


@pytest.mark.parametrize("kind", ["TAN", "TAN-SIP"])
def test_regions_of_the_whole_sky_leave_those_of_this_mosaic(tmp_path, kind):
    """Far from a mosaic the sky has no pixel, which must not spoil what is near."""
    header = sky_header((300, 400))
    if kind == "TAN-SIP":
        header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=2, B_ORDER=2, A_2_0=2e-6, B_0_2=-1e-6)
    fits.PrimaryHDU(np.ones((300, 400), np.float32), header).writeto(tmp_path / "sky.fits")
    mosaic, path = open_mosaic(tmp_path / "sky.fits"), tmp_path / "all.reg"
    random = np.random.default_rng(2)
    places = np.column_stack([random.uniform(0, 360, 400), random.uniform(-90, 90, 400)])
    path.write_text(
        "icrs\n"
        + "".join(f'circle({ra:.6f},{dec:.6f},3")\nbox({ra:.6f},{dec:.6f},3",4",20)\n' for ra, dec in places)
        + 'circle(215.53,52.78,10")\ngalactic\ncircle(95.7,59.3,2d)\nfk5\n'
        + "polygon(215.3,52.785,215.7,52.785,215.7,53.5,215.3,53.5)\n"  # one of its edges crosses the mosaic
    )
    found = read_regions(path, mosaic)
    assert len(found.shapes) == 3
    assert found.notes == ("800 of 803 regions of all.reg lie elsewhere on the sky",)
    path.write_text('icrs\ncircle(35.53,-52.78,10")\n')
    with pytest.raises(DataError, match="1 of 1 regions"):
        read_regions(path, mosaic)


def test_coordinates_that_are_not_read_are_named(tmp_path, mosaic):
    path = tmp_path / "old.reg"
    path.write_text("physical\ncircle(100,100,10)\ncircle(50,50,10)\n")
    with pytest.raises(DataError, match="not read: physical; save it in fk5"):
        read_regions(path, mosaic)
    path.write_text("physical\ncircle(100,100,10)\nimage\ncircle(50,50,10)\n")
    assert "physical" in read_regions(path, mosaic).notes[0]


class Memory:
    """A plane in memory."""

    def __init__(self, pixels: FloatArray) -> None:
        self.pixels, self.shape = pixels, pixels.shape

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        return self.pixels[y0:y1:step, x0:x1:step].copy()


def in_memory(mosaic: Mosaic, pixels: FloatArray) -> Mosaic:
    return replace(mosaic, shape=pixels.shape, planes=(Memory(pixels),), bands=("r",))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_contour_lies_where_the_profile_has_its_value(mosaic, level):
    random = np.random.default_rng(3)
    y, x = np.mgrid[:500, :600]
    pixels = 100 * np.exp(-((x - 310) ** 2 + (y - 222) ** 2) / (2 * 40.0**2)) + random.normal(0, 1, x.shape)
    pyramid = Pyramid(in_memory(mosaic, pixels.astype(np.float32)), tile_size=128)
    (found,) = contours(pyramid, 0, (100, 550, 20, 480), level, sigmas=[60], smoothing=0)
    path = max(found.paths, key=len)
    assert found.value > 10
    radii = np.hypot(*(path - (310, 222)).T)
    assert np.median(radii) == pytest.approx(40 * np.sqrt(2 * np.log(100 / found.value)), abs=1.0)


@given(st.integers(0, 2**31))
def test_outlines_part_what_has_data_from_what_has_not(seed):
    random = np.random.default_rng(seed)
    values = np.ones((20, 30), np.float32)
    x0, x1 = sorted(random.integers(2, 28, 2))
    y0, y1 = sorted(random.integers(2, 18, 2))
    values[y0 : y1 + 1, x0 : x1 + 1] = np.nan
    points = np.concatenate(data_outline(values, 4))
    inside = points[(points[:, 0] > 0) & (points[:, 0] < 116) & (points[:, 1] > 0) & (points[:, 1] < 76)]
    assert points.min(axis=0) == pytest.approx([-2, -2])
    assert points.max(axis=0) == pytest.approx([118, 78])
    assert inside.min(axis=0) == pytest.approx([4 * x0 - 2, 4 * y0 - 2])
    assert inside.max(axis=0) == pytest.approx([4 * x1 + 2, 4 * y1 + 2])


def test_a_mosaic_without_noise_has_no_contours(mosaic):
    pyramid = Pyramid(in_memory(mosaic, np.ones((50, 60), np.float32)), tile_size=32)
    assert all(not one.paths for one in contours(pyramid, 0, (0, 59, 0, 49), 0))
