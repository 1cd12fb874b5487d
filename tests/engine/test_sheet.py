"""Folders of stamps on one sheet: each in its cell, centred right, where it was when files come and go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import ImageError
from engine.images.pictures import COLOURS, GREY, picture_shape, read_picture
from engine.images.sheet import Sheet, open_sheet
from tests.conftest import sky_header


def opened(*paths, **options) -> Sheet:
    steps = list(open_sheet(paths, **options))
    assert [step.done for step in steps] == list(range(len(steps)))
    return steps[-1].items[0]


def write(path, shape, value=1.0, header=None) -> np.ndarray:
    pixels = np.full(shape, value, np.float32) + np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 1e4
    fits.writeto(path, pixels, header)
    return pixels


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "stamps"
    made.mkdir()
    for number, shape in enumerate([(20, 20), (21, 20), (20, 31), (9, 9), (30, 11)]):
        write(made / f"stamp{number}.fits", shape, number + 1.0, sky_header(shape, 0.25))
    return made


def test_each_stamp_is_in_its_cell_and_its_centre_in_the_middle(folder):
    sheet = opened(folder)
    assert [stamp.name for stamp in sheet.stamps] == [f"stamp{k}.fits" for k in range(5)]
    assert sheet.mosaic.pixel_scale == pytest.approx(0.25)
    for stamp in sheet.stamps:
        pixels = fits.getdata(stamp.path)
        ny, nx = pixels.shape
        assert (stamp.x - stamp.x0, stamp.y - stamp.y0) == ((nx - 1) / 2, (ny - 1) / 2)
        assert np.array_equal(sheet.mosaic.read(stamp.y0, stamp.y0 + ny, stamp.x0, stamp.x0 + nx)[0], pixels)
        assert (stamp.ra, stamp.dec) == pytest.approx((215.53, 52.78), abs=1e-6)


def test_alone_no_neighbour_is_seen(folder):
    sheet = opened(folder)
    ny, nx = sheet.mosaic.shape
    for stamp in sheet.stamps:
        seen = sheet.alone(stamp.x, stamp.y).read(0, ny, 0, nx)[0]
        assert np.isfinite(seen).sum() == np.prod(stamp.shape)
        assert np.nanmin(seen) >= int(stamp.name[5]) + 1


@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 40), st.integers(1, 60), st.integers(1, 5), st.booleans())
def test_any_region_is_that_of_the_whole(sheet_of_five, y0, tall, x0, wide, step, alone):
    stamp = sheet_of_five.stamps[1]
    mosaic = sheet_of_five.alone(stamp.x, stamp.y) if alone else sheet_of_five.mosaic
    whole = mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])
    y1, x1 = min(y0 + tall, mosaic.shape[0]), min(x0 + wide, mosaic.shape[1])
    part = mosaic.planes[0].read(y0, y1, x0, x1, step)
    assert np.array_equal(part, whole[0, y0:y1:step, x0:x1:step], equal_nan=True)


@pytest.fixture(scope="module")
def sheet_of_five(tmp_path_factory):
    made = tmp_path_factory.mktemp("five")
    for number, shape in enumerate([(20, 20), (21, 20), (20, 31), (9, 9), (30, 11)]):
        write(made / f"stamp{number}.fits", shape, number + 1.0)
    return opened(made)


def test_laid_out_again_each_is_where_it_was(folder):
    sheet = opened(folder)
    before = {stamp.name: (stamp.x, stamp.y) for stamp in sheet.stamps}
    (folder / "stamp1.fits").unlink()
    write(folder / "a_new_one.fits", (20, 20), 9.0)
    again = opened(folder, layout=sheet.layout)
    after = {stamp.name: (stamp.x, stamp.y) for stamp in again.stamps}
    assert again.mosaic.id == sheet.mosaic.id
    assert "stamp1.fits" not in after
    assert {name: after[name] for name in before if name in after} == {
        name: place for name, place in before.items() if name != "stamp1.fits"
    }
    assert after["a_new_one.fits"] not in before.values()


def test_cubes_arrays_and_pictures_are_stamps(tmp_path):
    write(tmp_path / "cube.fits", (3, 20, 24))
    np.save(tmp_path / "bands.npy", np.zeros((3, 20, 24), np.float32))
    np.save(tmp_path / "colours.npy", np.zeros((20, 24, 3), np.float32))
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / "picture.png")
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / "photo.jpg")
    sheet = opened(tmp_path)
    assert [(stamp.name, stamp.shape) for stamp in sheet.stamps] == [
        (name, (20, 24)) for name in ("bands.npy", "colours.npy", "cube.fits", "photo.jpg", "picture.png")
    ]
    assert len(sheet.mosaic.planes) == 3


def test_planes_of_a_large_cube_are_stamps_of_their_own(tmp_path):
    np.save(tmp_path / "many.npy", np.random.default_rng(1).normal(0, 1, (25, 12, 12)).astype(np.float32))
    sheet = opened(tmp_path / "many.npy")
    assert [stamp.name for stamp in sheet.stamps][:2] == ["many.npy 0", "many.npy 1"]
    assert len(sheet.stamps) == 25


def test_what_cannot_be_read_is_named_and_the_rest_opens(folder):
    (folder / "bad.png").write_bytes(b"no picture")
    write(folder / "three.fits", (3, 20, 20))
    sheet = opened(folder)
    assert len(sheet.stamps) == 5
    assert [any(name in problem for problem in sheet.problems) for name in ("bad.png", "three.fits")] == [True, True]
    (folder / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no"):
        opened(folder / "empty")


def test_transparent_pixels_have_no_data_and_the_first_row_is_the_top(tmp_path):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[0, :, 0] = 200
    pixels[..., 3] = 255
    pixels[:, 5, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    planes = read_picture(tmp_path / "alpha.png")
    assert picture_shape(tmp_path / "alpha.png") == ((4, 6), ("blue", "green", "red"), 1)
    assert planes[2, 3, :5].tolist() == [200] * 5
    assert planes[2, 0, :5].tolist() == [0] * 5
    assert np.isnan(planes[:, :, 5]).all()


def test_grey_palette_and_deep_pictures(tmp_path):
    Image.fromarray(np.full((5, 5), 7, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((5, 5), 40_000, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((5, 5, 3), 90, np.uint8)).quantize(4).save(tmp_path / "palette.png")
    bands = [picture_shape(tmp_path / f"{name}.png")[1] for name in ("grey", "deep", "palette")]
    assert bands == [GREY, GREY, COLOURS]
    assert read_picture(tmp_path / "deep.png").max() == 40_000
    assert read_picture(tmp_path / "palette.png").max() == pytest.approx(90, abs=2)


def test_grey_pictures_are_shown_among_coloured_ones(tmp_path):
    colours = np.zeros((12, 12, 3), np.uint8) + np.array([200, 100, 50], np.uint8)
    for name in ("a", "c"):
        Image.fromarray(colours).save(tmp_path / f"{name}.png")
    Image.fromarray(np.full((12, 12), 77, np.uint8)).save(tmp_path / "b.png")
    sheet = opened(tmp_path)
    assert (sheet.mosaic.bands, sheet.problems) == (COLOURS, ())
    grey = next(stamp for stamp in sheet.stamps if stamp.name == "b.png")
    seen = sheet.mosaic.read(grey.y0, grey.y0 + 12, grey.x0, grey.x0 + 12)
    assert (seen == 77).all()
    assert seen.shape == (3, 12, 12)


def test_most_stamps_say_how_many_bands_and_those_known_before_stay(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 20, 24), np.float32))
    for name in "bc":
        np.save(tmp_path / f"{name}.npy", np.zeros((20, 24), np.float32))
    sheet = opened(tmp_path)
    assert [stamp.name for stamp in sheet.stamps] == ["b.npy", "c.npy"]
    assert sheet.problems == ("a.npy has 3 bands, most of the others 1 band: it is left out",)
    for name in "defgh":
        np.save(tmp_path / f"{name}.npy", np.zeros((3, 20, 24), np.float32))
    again = opened(tmp_path, layout=sheet.layout)
    assert [stamp.name for stamp in again.stamps] == ["b.npy", "c.npy"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_each_frame_of_an_animated_picture_is_a_stamp(tmp_path, mode):
    levels = (10, 200, 90)
    frames = [Image.fromarray(np.full((8, 9), level, np.uint8)).convert(mode) for level in levels]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:], duration=100)
    sheet = opened(tmp_path)
    assert [stamp.name for stamp in sheet.stamps] == ["moving.png", "moving.png 1", "moving.png 2"]
    for stamp, level in zip(sheet.stamps, levels, strict=True):
        seen = sheet.mosaic.read(stamp.y0, stamp.y0 + 8, stamp.x0, stamp.x0 + 9)
        assert seen == pytest.approx(np.full(seen.shape, level), abs=1)


def test_a_stamp_alone_belongs_to_the_sheet_it_is_asked_of(folder):
    sheet = opened(folder)
    first = sheet.stamps[0]
    assert sheet.alone(first.x, first.y) is sheet.alone(first.x, first.y)
    renamed = replace(sheet, mosaic=replace(sheet.mosaic, id="another"))
    assert renamed.alone(first.x, first.y).id == "another"
