"""From pixel values to brightness: robust to what surveys contain, and monotone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.images.scaling import (
    KINDS,
    as_bytes,
    background,
    limits,
    lupton_rgb,
    midtone_for,
    midtones,
    percentile,
    stretch,
)
from tests.engine.sky_parts import gaussians, grid, noise

ANY_IMAGE = arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([np.nan, np.inf, -np.inf]),
)


@pytest.mark.parametrize(("gain", "level"), [(1.0, 0.0), (3e-12, 1e-10), (20.0, 5000.0)])
def test_the_sky_is_measured_under_sources_and_holes(gain: float, level: float) -> None:
    image = gaussians(noise((300, 400)), grid((300, 400)), 500.0) * gain + level
    image[:40] = np.nan
    centre, sigma = background(image.astype(np.float32))
    assert centre == pytest.approx(level, abs=0.1 * gain)
    assert sigma == pytest.approx(gain, rel=0.1)


def test_a_large_image_is_sampled_along_both_axes() -> None:
    image = noise((1500, 1500))
    image[:, ::2] += 50  # every other column: a sample along columns would see only half of them
    centre, _ = background(image)
    assert 0.0 < centre < 50.0


def test_images_without_data_or_noise() -> None:
    assert np.isnan(background(np.full((5, 5), np.nan))).all()
    assert background(np.full((5, 5), 3.0)) == (3.0, 0.0)
    assert limits(np.full((5, 5), np.nan)) == (0.0, 1.0)
    low, high = limits(np.full((5, 5), 3.0))
    assert low < 3.0 < high


def test_one_hot_pixel_does_not_set_the_limits() -> None:
    image = noise((100, 100))
    image[3, 4] = 1e6
    low, high = limits(image, 99.0)
    assert -4 < low < -1
    assert 1 < high < 4


def test_a_few_bright_pixels_on_a_constant_are_shown() -> None:
    image = np.zeros((100, 100), np.float32)
    image[3, 4] = 8
    assert limits(image) == (0.0, 8.0)


@settings(max_examples=80, deadline=None)
@given(image=ANY_IMAGE, kind=st.sampled_from(KINDS), softening=st.floats(0, 1))
def test_brightness_lies_between_0_and_1(image: np.ndarray, kind: str, softening: float) -> None:
    bright = stretch(image, kind, softening=softening, missing=0.25)  # type: ignore[arg-type]
    assert bright.shape == image.shape
    assert ((bright >= 0) & (bright <= 1)).all()
    assert (bright[np.isnan(image)] == 0.25).all()
    low, high = limits(image)
    assert np.isfinite([low, high]).all()
    assert low < high


@pytest.mark.parametrize("kind", KINDS)
def test_a_stretch_keeps_the_order_and_the_ends(kind: str) -> None:
    values = np.linspace(-2, 12, 200, dtype=np.float32)[None]
    bright = stretch(values, kind, (0.0, 10.0), midtone=0.1)[0]  # type: ignore[arg-type]
    assert (np.diff(bright) >= 0).all()
    assert bright[0] == 0
    assert bright[-1] == pytest.approx(1)
    inside = (values[0] > 0) & (values[0] < 10)
    assert (np.diff(bright[inside]) > 0).all()
    if kind != "linear":
        assert (bright[inside] > values[0][inside] / 10).all()  # the faint is lifted


def test_bytes_are_rounded_and_bounded() -> None:
    assert as_bytes(np.array([-1.0, 0.0, 0.5, 1.0, 7.0])).tolist() == [0, 0, 128, 255, 255]


def test_colours_of_bright_cores_stay() -> None:
    sky = [noise((60, 60), seed) for seed in range(3)]
    for plane, peak in zip(sky, (9000.0, 3000.0, 1000.0), strict=True):
        gaussians(plane, np.array([[30.0, 30.0]]), peak)
    picture = lupton_rgb(*sky)
    assert (picture.shape, picture.dtype) == ((60, 60, 3), np.uint8)
    red, green, blue = picture[30, 30].astype(float)
    assert red == 255
    assert green / red == pytest.approx(1 / 3, abs=0.05)
    assert blue / red == pytest.approx(1 / 9, abs=0.05)
    assert abs(picture[:15, :15].astype(float).mean(axis=(0, 1)).std()) < 5  # the sky is grey


@pytest.mark.filterwarnings("error")
@settings(max_examples=40, deadline=None)
@given(image=ANY_IMAGE)
def test_any_three_bands_make_a_picture(image: np.ndarray) -> None:
    picture = lupton_rgb(image, image * np.float32(0.5), np.zeros_like(image))
    assert picture.shape == (*image.shape, 3)


def test_missing_data_in_one_band_is_its_sky() -> None:
    red, green, blue = (noise((40, 40), seed) for seed in range(3))
    holed = green.copy()
    holed[10:20, 10:20] = np.nan
    picture = lupton_rgb(red, holed, blue)
    assert picture[10:20, 10:20, 1].max() == 0
    assert picture[10:20, 10:20, 0].max() > 0


@pytest.mark.parametrize(
    ("midtone", "value", "expected"),  # by hand, from (m - 1) x / ((2 m - 1) x - m)
    [(0.25, 0.25, 0.5), (0.25, 0.5, 0.75), (0.1, 0.5, 0.9), (0.5, 0.3, 0.3), (0.75, 0.5, 0.25), (0.2, 0.1, 4 / 13)],
)
def test_midtones_of_known_values(midtone: float, value: float, expected: float) -> None:
    assert midtones(np.array([value]), midtone)[0] == pytest.approx(expected, rel=1e-5)


@given(midtone=st.floats(1e-5, 1 - 1e-5), sky=st.floats(1e-4, 0.999), brightness=st.floats(0.05, 0.95))
def test_midtones_keep_ends_and_order_and_put_the_sky_where_it_is_wanted(
    midtone: float, sky: float, brightness: float
) -> None:
    bright = midtones(np.array([0, *np.linspace(0, 1, 101), 1, np.nan]), midtone)
    assert (bright[0], bright[-2]) == (0, 1)
    assert np.isnan(bright[-1])
    assert (np.diff(bright[:-1]) >= 0).all()
    assert midtones(np.array([midtone]), midtone)[0] == pytest.approx(0.5, rel=1e-3)
    assert midtones(np.array([sky]), midtone_for(sky, brightness))[0] == pytest.approx(brightness, rel=1e-2)


def test_the_midtone_of_an_image_suits_its_sky() -> None:
    image = gaussians(noise((200, 200)), grid((200, 200)), 300.0) + 50
    bright = stretch(image, "MTF", (45.0, 400.0))
    assert np.median(bright) == pytest.approx(0.25, abs=0.02)
    assert midtone_for(-0.1) == midtone_for(float("nan")) == 0.5


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_beside_numpys(values: list[float], percent: float) -> None:
    array = np.array(values, np.float32)
    low, high = (np.percentile(array, percent, method=method) for method in ("lower", "higher"))
    assert percentile(array, percent) in (low, high)


@given(ANY_IMAGE)
def test_the_sky_is_that_of_medians_taken_again_and_again(image: np.ndarray) -> None:
    values, level, sigma = image[np.isfinite(image)], np.nan, np.nan
    for _ in range(5):
        if not len(values):
            break
        level = float(np.median(values))
        sigma = 1.4826 * float(np.median(np.abs(values - level)))
        kept = values[np.abs(values - level) <= 3 * sigma]
        if sigma == 0 or len(kept) == len(values):
            break
        values = kept
    assert background(image) == pytest.approx((level, sigma), rel=1e-4, nan_ok=True)
