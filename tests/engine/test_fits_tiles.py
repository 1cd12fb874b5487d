"""Tiles of compressed FITS images, unpacked by us, hold what astropy reads from them."""

import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ImageError
from engine.images.fits_tiles import TilePlane, _random, tile_layout
from engine.images.levels import Levels, block_sums
from engine.images.mosaic import open_mosaic

SHAPE = (70, 90)


def sky(kind: str) -> np.ndarray:
    random = np.random.default_rng(4)
    image = random.normal(100, 10, SHAPE)
    image[20:30, 40:60] += 3000
    if kind in ("f4", "f8"):
        image = image.astype(kind)
        image[5, 6:9] = np.nan
        image[40:70, :16] = 7.0  # a tile without noise, which scaled integers do not hold
        image[50:52, 70:80] = 0.0
        return image
    return np.round(image).astype(kind)


def packed(path: Path, **options: object) -> TilePlane:
    """A compressed image on disk, opened; it must be one of those we read ourselves."""
    fits.CompImageHDU(**options).writeto(path, overwrite=True)
    (plane,) = open_mosaic(path).planes
    assert isinstance(plane, TilePlane)
    return plane


def by_astropy(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fits.getdata(path, 1).astype(np.float32)


@pytest.mark.parametrize("tile", [(1, 90), (16, 16), (32, 90), (7, 11)])
@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4"])
def test_integers(tmp_path: Path, kind: str, method: str, tile: tuple[int, int]) -> None:
    plane = packed(tmp_path / "a.fits", data=sky(kind), compression_type=method, tile_shape=tile)
    np.testing.assert_array_equal(plane.read(0, 70, 0, 90), sky(kind).astype(np.float32))


@pytest.mark.parametrize("dither", [-1, 1, 2])
@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("tile", [(1, 90), (16, 16)])
def test_scaled_floats(tmp_path: Path, kind: str, method: str, dither: int, tile: tuple[int, int]) -> None:
    options = {"quantize_level": 8, "quantize_method": dither, "dither_seed": 9998}  # the numbers begin anew in between
    path = tmp_path / "a.fits"
    plane = packed(path, data=sky(kind), compression_type=method, tile_shape=tile, **options)
    found = plane.read(0, 70, 0, 90)
    np.testing.assert_array_equal(found, by_astropy(path))
    assert np.isnan(found).sum() == 3
    assert dither == 1 or (found[50:52, 72:78] == 0).all()  # the second kind keeps zeros


@pytest.mark.parametrize("method", ["GZIP_1", "GZIP_2"])
def test_floats_as_they_were(tmp_path: Path, method: str) -> None:
    plane = packed(tmp_path / "a.fits", data=sky("f4"), compression_type=method, quantize_level=0, tile_shape=(16, 16))
    np.testing.assert_array_equal(plane.read(0, 70, 0, 90), sky("f4"))


def test_the_random_numbers_are_those_of_the_standard() -> None:
    assert (_random()[-1] + 0.5) * 2147483647 == pytest.approx(1043618065, abs=64)  # stored as float32


def test_blanks_and_scales(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.CompImageHDU(sky("i2"), tile_shape=(16, 16)).writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as file:
        file[1].header.update(BSCALE=0.5, BZERO=10.0, BLANK=100)
    found = open_mosaic(path).planes[0].read(0, 70, 0, 90)
    blank = sky("i2") == 100
    assert blank.any()
    np.testing.assert_array_equal(np.isnan(found), blank)
    np.testing.assert_array_equal(found[~blank], 0.5 * sky("i2")[~blank] + 10)


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], TilePlane]:
    folder = tmp_path_factory.mktemp("tiles")
    return {
        tile: packed(folder / f"{tile[0]}.fits", data=sky("f4"), tile_shape=tile, quantize_level=8)
        for tile in ((1, 90), (16, 20), (64, 90))
    }


@settings(max_examples=80, deadline=None)
@given(
    tile=st.sampled_from([(1, 90), (16, 20), (64, 90)]),
    y=st.tuples(st.integers(0, 69), st.integers(0, 70)),
    x=st.tuples(st.integers(0, 89), st.integers(0, 90)),
    step=st.integers(1, 40),
)
def test_regions_and_steps(
    planes: dict[tuple[int, int], TilePlane], tile: tuple[int, int], y: tuple[int, int], x: tuple[int, int], step: int
) -> None:
    plane = planes[tile]
    y1, x1 = min(y[0] + y[1], 70), min(x[0] + x[1], 90)
    expected = plane.read(0, 70, 0, 90)[y[0] : y1 : step, x[0] : x1 : step]
    np.testing.assert_array_equal(plane.read(y[0], y1, x[0], x1, step), expected)


def test_planes_of_a_cube(tmp_path: Path) -> None:
    cube = np.round(np.random.default_rng(1).normal(0, 50, (3, 40, 50))).astype(np.int16)
    fits.CompImageHDU(cube, tile_shape=(1, 16, 50)).writeto(tmp_path / "cube.fits")
    planes = open_mosaic(tmp_path / "cube.fits").planes
    assert all(isinstance(plane, TilePlane) for plane in planes)
    for plane, image in zip(planes, cube, strict=True):
        np.testing.assert_array_equal(plane.read(3, 39, 5, 44), image[3:39, 5:44])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(plane)).read(0, 9, 0, 9), image[:9, :9])


def test_a_glance_has_the_first_row_of_each_tile(planes: dict[tuple[int, int], TilePlane]) -> None:
    plane = planes[(16, 20)]
    values = plane.glance(3)
    whole = plane.read(0, 70, 0, 90)
    np.testing.assert_array_equal(values, whole[np.arange(0, 70, 3) // 16 * 16, ::3])
    np.testing.assert_array_equal(planes[(1, 90)].glance(7), planes[(1, 90)].read(0, 70, 0, 90, 7))


def test_unpacked_tiles_are_kept_within_bounds(
    planes: dict[tuple[int, int], TilePlane], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.images.fits_tiles.KEPT_BYTES", 5 * 16 * 20 * 4)
    plane = pickle.loads(pickle.dumps(planes[(16, 20)]))
    wrong: list[int] = []
    whole = planes[(16, 20)].read(0, 70, 0, 90)

    def look(seed: int) -> None:
        for y, x in np.random.default_rng(seed).integers(0, 60, (50, 2)).tolist():
            if not np.array_equal(plane.read(y, y + 9, x, x + 9), whole[y : y + 9, x : x + 9], equal_nan=True):
                wrong.append(seed)

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(tile.nbytes for tile in plane._kept.tiles.values()) == plane._kept.used <= 5 * 16 * 20 * 4


@pytest.mark.parametrize("method", ["HCOMPRESS_1", "PLIO_1"])
def test_what_we_do_not_unpack_is_left_to_astropy(tmp_path: Path, method: str) -> None:
    path = tmp_path / "a.fits"
    fits.CompImageHDU(sky("i2"), compression_type=method, tile_shape=(16, 30)).writeto(path)
    with fits.open(path, disable_image_compression=True) as file:
        assert tile_layout(path, file[1].header, 0) is None
    np.testing.assert_array_equal(open_mosaic(path).planes[0].read(0, 70, 0, 90), sky("i2"))


def test_a_damaged_tile_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    plane = packed(path, data=sky("i4"), tile_shape=(16, 90))
    with path.open("rb+") as file:
        file.seek(plane.layout.offset)
        file.write(b"\0\0\0\5")  # the first tile is said to take five bytes
    plane = pickle.loads(pickle.dumps(plane))
    with pytest.raises(ImageError, match=r"a\.fits is damaged: pixels cannot be unpacked"):
        plane.read(0, 16, 0, 90)
    assert plane.read(40, 50, 0, 90).shape == (10, 90)


@pytest.mark.parametrize("dither", [-1, 1, 2])
@pytest.mark.parametrize("tile", [(1, 90), (16, 30)])
def test_what_is_read_for_averages_is_off_by_far_less_than_the_noise(
    tmp_path: Path, dither: int, tile: tuple[int, int]
) -> None:
    image = sky("f4")
    image[33, 44] = 4e5  # far above the others of its tile
    plane = packed(tmp_path / "a.fits", data=image, tile_shape=tile, quantize_method=dither, dither_seed=7)
    exact, passing = plane.read(0, 70, 0, 90), plane.passing()
    parts = [passing.read(y, min(y + 16, 70), x, x + 30) for y in range(0, 70, 16) for x in range(0, 90, 30)]
    whole = np.block([parts[k : k + 3] for k in range(0, len(parts), 3)])
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(exact))
    np.testing.assert_allclose(whole, exact, rtol=3e-7, atol=1e-3)
    np.testing.assert_array_equal(passing.read(3, 60, 7, 80), whole[3:60, 7:80])  # parts of tiles alike


@pytest.mark.parametrize("dither", [-1, 1, 2])
@pytest.mark.parametrize("tile", [(1, 96), (16, 32), (16, 96)])
def test_averages_come_from_the_scaled_integers_of_whole_tiles(
    tmp_path: Path, tile: tuple[int, int], dither: int
) -> None:
    image = np.random.default_rng(2).normal(100, 10, (64, 96)).astype(np.float32)
    image[16:32, 32:64] += 3000
    options = {"compression_type": "RICE_1", "tile_shape": tile, "quantize_level": 8, "quantize_method": dither}
    plane = packed(tmp_path / "a.fits", data=image, **options)
    passing, whole = plane.passing(), plane.read(0, 64, 0, 96)
    height = max(tile[0], 16)
    for y in range(0, 64, height):
        for x in range(0, 96, tile[1]):
            found = passing.block_sums(y, y + height, x, x + tile[1], 8)
            expected, counts = block_sums(whole[y : y + height, x : x + tile[1]], 8)
            assert found is not None
            np.testing.assert_allclose(found / counts, expected / counts, atol=0.01)  # a thousandth of the noise
    assert plane.block_sums(0, height, 0, tile[1], 8) is None  # exact ones are read
    assert passing.block_sums(8, 24, 0, tile[1], 8) is None or tile[0] == 1  # parts of tiles
    assert passing.block_sums(0, height, 0, tile[1], 5) is None


@pytest.mark.parametrize("pixels", [np.nan, 0.0, 3e7, 7.0])
def test_averages_of_what_is_special_are_read_from_the_pixels(tmp_path: Path, pixels: float) -> None:
    image = np.random.default_rng(2).normal(100, 10, (32, 32)).astype(np.float32)
    image[3, 4] = pixels
    if pixels == 7.0:
        image[:16] = pixels  # no noise: stored as it is
    options = {"compression_type": "RICE_1", "tile_shape": (16, 32), "quantize_level": 8, "quantize_method": 2}
    passing = packed(tmp_path / "a.fits", data=image, **options).passing()
    assert passing.block_sums(0, 16, 0, 32, 8) is None
    assert passing.block_sums(16, 32, 0, 32, 8) is not None
    levels = Levels((32, 32), image[::8, ::8], 8)
    assert list(levels.fill(passing))[-1] == 32
    with np.errstate(invalid="ignore"):
        sums, counts = block_sums(passing.read(0, 32, 0, 32), 8)
    np.testing.assert_allclose(levels.arrays[3], sums / counts, rtol=1e-4)
