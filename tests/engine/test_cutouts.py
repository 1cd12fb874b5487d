from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ImageError
from engine.images.cutouts import cut, cut_array
from engine.images.mosaic import open_mosaic
from engine.types import Mosaic

SIZE = 33
quick = settings(max_examples=25, deadline=None)
ratios = st.sampled_from([0.25, 0.41, 0.7, 1.0, 1.3, 2.0, 2.7, 5.2])
centres = st.tuples(st.floats(60, 90), st.floats(40, 70))


def one(
    image: np.ndarray, xy: tuple[float, float], ratio: float = 1.0, size: int = SIZE, native: float = 0.2
) -> np.ndarray:
    """A single stamp (size, size) of a single band."""
    return cut_array(image, np.array([xy]), native_scale=native, size=size, pixel_scales=(ratio * native,))[0, 0, 0]


def noise(shape: tuple[int, ...] = (120, 150), seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@quick
@given(st.integers(16, 133), st.integers(16, 103))
def test_whole_pixels_at_the_native_scale_are_a_slice(x: int, y: int) -> None:
    image = noise()
    assert np.array_equal(one(image, (x, y)), image[y - 16 : y + 17, x - 16 : x + 17])


def test_even_stamps_centre_between_two_pixels() -> None:
    image = noise()
    assert np.array_equal(one(image, (70.5, 50.5), size=32), image[35:67, 55:87])


@quick
@given(st.integers(2, 4), st.integers(50, 70), st.integers(40, 50))
def test_whole_ratios_are_block_means(ratio: int, x: int, y: int) -> None:
    image = noise((200, 230))
    side = 9 * ratio
    corner = (x, y)  # the stamp's lower left pixel; its centre follows
    centre = (corner[0] + (side - 1) / 2, corner[1] + (side - 1) / 2)
    block = image[y : y + side, x : x + side].reshape(9, ratio, 9, ratio).mean(axis=(1, 3))
    assert one(image, centre, ratio, size=9) == pytest.approx(block, abs=1e-6)


@quick
@given(ratios, centres, st.floats(-1e4, 1e4, width=32))
def test_a_constant_stays_constant(ratio: float, xy: tuple[float, float], value: float) -> None:
    image = np.full((110, 150), value, np.float32)
    stamp = one(image, xy, ratio, size=15)
    seen = np.isfinite(stamp)
    assert seen.any()
    assert stamp[seen] == pytest.approx(value, rel=1e-5, abs=1e-6)


@quick
@given(ratios, centres)
def test_the_centroid_stays(ratio: float, xy: tuple[float, float]) -> None:
    y, x = np.mgrid[:110, :150]
    blob = np.exp(-((x - xy[0]) ** 2 + (y - xy[1]) ** 2) / (2 * 3.0**2))
    size = int(34 / ratio) | 1
    stamp = np.nan_to_num(one(blob, xy, ratio, size=size))
    offset = (np.arange(size) - (size - 1) / 2) * ratio  # native pixels
    total = stamp.sum()
    assert (stamp.sum(axis=0) * offset).sum() / total == pytest.approx(0, abs=0.05)
    assert (stamp.sum(axis=1) * offset).sum() / total == pytest.approx(0, abs=0.05)
    assert total * ratio**2 == pytest.approx(blob.sum(), rel=0.01)  # surface brightness is kept


@quick
@given(ratios, st.integers(-12, 12), st.integers(-12, 12))
def test_nan_stays_nan_and_spreads_no_further(ratio: float, dx: int, dy: int) -> None:
    image = np.ones((110, 150), np.float32)
    x0, y0 = 75 + dx, 55 + dy
    image[y0 - 6 : y0 + 7, x0 - 6 : x0 + 7] = np.nan
    stamp = one(image, (75.0, 55.0), ratio, size=21)
    at = (np.arange(21) - 10) * ratio
    hole = (np.abs(55 + at - y0)[:, None] < 6.5 - ratio / 2) & (np.abs(75 + at - x0)[None, :] < 6.5 - ratio / 2)
    far = (np.abs(55 + at - y0)[:, None] > 6.5 + ratio / 2) | (np.abs(75 + at - x0)[None, :] > 6.5 + ratio / 2)
    inside = (np.abs(55 - 0.5 - (55 + at - 0.5)) < 55)[:, None] & np.ones(21, bool)
    assert np.isnan(stamp[hole]).all()
    assert stamp[far & inside] == pytest.approx(1.0)  # no ringing beside the hole
    assert np.nanmax(np.abs(stamp - 1), initial=0) < 1e-5


def test_infinities_are_masked() -> None:
    image = noise()
    image[50, 70] = np.inf
    stamp = one(image, (70, 50))
    assert np.isnan(stamp[16, 16])
    assert np.isnan(stamp).sum() == 1


def test_a_coarse_pixel_needs_more_than_half_its_data() -> None:
    image = np.ones((60, 60), np.float32)
    image[:, 30:] = np.nan
    stamp = one(image, (29.5, 30.5), 4, size=1)  # half of it has data
    assert np.isnan(stamp).all()
    assert one(image, (29.0, 30.5), 4, size=1) == pytest.approx(1.0)


@pytest.mark.parametrize("xy", [(-3.0, 50.0), (155.0, 50.0), (70.0, -2.0), (70.0, 124.0)])
def test_off_the_image_is_nan(xy: tuple[float, float]) -> None:
    image = noise()
    stamp = one(image, xy)
    at = np.rint(np.array(xy)).astype(int)
    for j in (0, 16, 32):
        for i in (0, 16, 32):
            x, y = at[0] + i - 16, at[1] + j - 16
            on_image = 0 <= x < 150 and 0 <= y < 120
            assert np.isnan(stamp[j, i]) != on_image
            assert not on_image or stamp[j, i] == image[y, x]


def test_far_and_unknown_positions_are_all_nan() -> None:
    positions = np.array([[1e9, 5.0], [np.nan, 50.0], [-500.0, -500.0], [70.0, 50.0]])
    stamps = cut_array(noise(), positions, native_scale=0.2, size=9, pixel_scales=(0.2, 0.6))
    assert np.isnan(stamps[:3]).all()
    assert np.isfinite(stamps[3]).all()


def test_finer_output_interpolates_to_third_order() -> None:
    x = np.arange(150, dtype=np.float64)
    image = np.broadcast_to(0.01 * (x - 70) ** 2, (120, 150))  # the cubic kernel is exact for parabolas
    stamp = one(image, (70.3, 50.6), 0.25)
    at = 70.3 + (np.arange(SIZE) - 16) * 0.25
    assert stamp[5] == pytest.approx(0.01 * (at - 70) ** 2, abs=1e-4)


def test_scales_and_bands_have_their_axes() -> None:
    image = noise((3, 120, 150))
    stamps = cut_array(image, np.array([[60, 50], [80, 60]]), native_scale=0.1, size=8, pixel_scales=(0.1, 0.2, 0.05))
    assert stamps.shape == (2, 3, 3, 8, 8)
    assert stamps.dtype == np.float32
    alone = cut_array(image[1], np.array([[80, 60]]), native_scale=0.1, size=8, pixel_scales=(0.2,))
    assert np.array_equal(stamps[1, 1, 1], alone[0, 0, 0])


@pytest.fixture
def wide(tmp_path: Path) -> tuple[Mosaic, np.ndarray]:
    """Two bands of a mosaic wider than a cell of the reader, with a hole, at 0.2 arcsec a pixel."""
    image = noise((2, 700, 2300), seed=3)
    image[:, 300:340, 1000:1060] = np.nan
    path = tmp_path / "wide.fits"
    fits.PrimaryHDU(image).writeto(path)
    return open_mosaic(path, pixel_scale=0.2), image


def positions(kind: str) -> np.ndarray:
    random = np.random.default_rng(5)
    if kind == "dense":
        return random.uniform([900, 200], [1150, 400], (120, 2))
    if kind == "sparse":
        return random.uniform([-50, -50], [2350, 750], (25, 2))
    return np.array([[5.0, 5.0], [2295.0, 695.0], [5000.0, 5.0], [np.nan, np.nan], [1024.0, 350.5]])


@pytest.mark.parametrize("kind", ["dense", "sparse", "edges"])
@pytest.mark.parametrize("scales", [(0.2,), (0.14, 0.42)])
def test_a_mosaic_is_cut_like_an_array(wide: tuple[Mosaic, np.ndarray], kind: str, scales: Sequence[float]) -> None:
    mosaic, image = wide
    xy = positions(kind)
    cutouts = cut(mosaic, xy, size=24, pixel_scales=scales)
    expected = cut_array(image, xy, native_scale=0.2, size=24, pixel_scales=scales)
    assert cutouts.pixels == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert cutouts.pixel_scales == tuple(scales)
    assert cutouts.bands == mosaic.bands
    assert np.array_equal(cutouts.positions, xy, equal_nan=True)


def test_some_bands_in_their_order(wide: tuple[Mosaic, np.ndarray]) -> None:
    mosaic, image = wide
    cutouts = cut(mosaic, np.array([[500, 300]]), size=5, pixel_scales=(0.2,), bands=(1, 0))
    assert cutouts.bands == (mosaic.bands[1], mosaic.bands[0])
    assert np.array_equal(cutouts.pixels[0, 0], image[::-1, 298:303, 498:503])


def test_without_a_scale_a_pixel_counts_as_the_first(wide: tuple[Mosaic, np.ndarray]) -> None:
    bare = open_mosaic(wide[0].paths[0])
    assert bare.pixel_scale is None
    cutouts = cut(bare, np.array([[500, 300]]), size=9, pixel_scales=(0.14, 0.42))
    assert np.array_equal(cutouts.pixels[0, 0], wide[1][:, 296:305, 496:505])


def test_no_positions(wide: tuple[Mosaic, np.ndarray]) -> None:
    cutouts = cut(wide[0], np.empty((0, 2)), size=16, pixel_scales=(0.2, 0.6))
    assert cutouts.pixels.shape == (0, 2, 2, 16, 16)


def test_pixels_cannot_be_changed(wide: tuple[Mosaic, np.ndarray]) -> None:
    cutouts = cut(wide[0], np.array([[500, 300]]), size=9, pixel_scales=(0.2,))
    with pytest.raises(ValueError, match="read-only"):
        cutouts.pixels[0] = 0


@pytest.mark.parametrize("native", [0.0, -1.0, float("nan"), 0.0001])
def test_a_wrong_pixel_scale_says_so(native: float) -> None:
    with pytest.raises(ImageError, match=r"[Pp]ixel scale"):
        cut_array(noise(), np.array([[5, 5]]), native_scale=native, size=64, pixel_scales=(0.14,))
