"""Detection on planted skies, whose sources are known."""

import numpy as np
import pytest
import sep
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from engine.detect.sources import SOURCE, _extracted, detection_image, extract_sources, find_sources, sigma_image
from engine.detect.tiles import Seen, tile_cores
from tests.engine.sky_parts import gaussians, grid, noise

SHAPE = (300, 420)
SIGMA = 2.5


def planted(peak: float = 60.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    xy = grid(SHAPE)
    return gaussians(noise(SHAPE, seed), xy, peak, SIGMA), xy


def detect(*bands: np.ndarray) -> np.ndarray:
    image, light = detection_image(np.stack(bands).astype(np.float32))
    return find_sources(image, light=light, threshold=3.0)


def positions(found: np.ndarray) -> np.ndarray:
    return np.column_stack([found["x"], found["y"]])


def test_planted_sources_are_found_once_where_they_are() -> None:
    image, xy = planted()
    found = detect(image)
    apart, nearest = cKDTree(xy).query(positions(found))
    assert sorted(nearest) == list(range(len(xy)))  # every one, and none twice
    assert apart.max() < 0.2


def test_flux_and_size_are_those_planted() -> None:
    image, _ = planted(peak=500.0)
    found = detect(image)
    # Within the ellipse of three rms axes lies 1 - exp(-9 / 2) of a Gaussian, and half of it within 1.1774 sigma.
    assert np.median(found["flux"]) == pytest.approx(0.989 * 2 * np.pi * SIGMA**2 * 500, rel=0.03)
    assert np.median(found["radius"]) == pytest.approx(1.1774 * SIGMA, rel=0.05)
    assert (found["snr"][:-1] >= found["snr"][1:]).all()


@pytest.mark.parametrize(("gain", "level"), [(1e-11, 0.0), (1e-11, 1e-9), (1.0, 1e4), (1e6, 3e9), (1e25, 0.0)])
def test_units_and_pedestals_do_not_matter(gain: float, level: float) -> None:
    image, xy = planted()
    found = detect((image.astype(np.float64) * gain + level).astype(np.float32))
    assert len(found) == len(xy)
    assert np.median(found["flux"]) == pytest.approx(0.989 * 2 * np.pi * SIGMA**2 * 60 * gain, rel=0.05)


def test_a_sloping_background_is_taken_off() -> None:
    image, xy = planted()
    slope = np.linspace(0, 20, SHAPE[1], dtype=np.float32)[None, :]
    assert len(detect(image + slope)) == len(xy)


def test_sources_in_any_band_are_found() -> None:
    xy = grid(SHAPE)
    blue = gaussians(noise(SHAPE, 1), xy[::2], 60.0)
    red = gaussians(noise(SHAPE, 2), xy[1::2], 60.0)
    found = detect(blue, red * np.float32(1000))  # a band does not count more for its units
    _, nearest = cKDTree(xy).query(positions(found))
    assert sorted(nearest) == list(range(len(xy)))


def test_the_noise_of_several_bands_is_one() -> None:
    image, _ = detection_image(np.stack([noise(SHAPE, k) * (k + 1) for k in range(3)]))
    assert float(image.std()) == pytest.approx(1.0, rel=0.05)


def test_a_band_with_holes_leaves_the_others() -> None:
    image, xy = planted()
    holed = noise(SHAPE, 9)
    holed[:, : SHAPE[1] // 2] = np.nan
    both, light = detection_image(np.stack([image, holed]))
    assert np.isfinite(both).all()
    assert np.isfinite(light).all()
    assert float(both[:, : SHAPE[1] // 2].std()) > 1  # the sources are there
    found = find_sources(both, light=light, threshold=3.0)
    assert (cKDTree(positions(found)).query(xy)[0] < 0.5).all()


def test_nothing_without_data_or_light() -> None:
    for image in (
        np.full(SHAPE, np.nan, np.float32),
        np.full(SHAPE, 7.5, np.float32),
        np.zeros(SHAPE, np.float32),
        np.full((3, 3), 1.0, np.float32),
    ):
        found = detect(image)
        assert found.dtype == SOURCE
        assert len(found) == 0
    subtracted, normalised, sigma = sigma_image(np.full(SHAPE, 7.5, np.float32))
    assert (sigma, subtracted.shape) == (0.0, SHAPE)
    assert np.isnan(normalised).all()


def test_borders_without_data_make_no_sources() -> None:
    image, xy = planted()
    framed = np.full((SHAPE[0] + 80, SHAPE[1] + 60), np.nan, np.float32)
    framed[50:-30, 40:-20] = image + 1000  # a step as high as this would be found everywhere
    found = detect(framed)
    apart, nearest = cKDTree(xy + np.array([40, 50])).query(positions(found))
    assert sorted(nearest) == list(range(len(xy)))
    assert apart.max() < 0.3


def test_hot_pixels_and_dead_columns_are_no_sources() -> None:
    image, xy = planted()
    image[100, 99] = image[31, 203] = 5000
    image[:, 330] = 300
    found = detect(image)
    clear = np.abs(xy[:, 0] - 330) > 12
    assert (cKDTree(positions(found)).query(xy[clear])[0] < 0.5).all()
    assert not np.any(np.hypot(found["x"] - 99, found["y"] - 100) < 3)
    assert not np.any(np.hypot(found["x"] - 203, found["y"] - 31) < 3)
    assert len(found) <= len(xy) + 3


def test_an_arc_is_told_from_its_galaxy_and_the_galaxy_is_one() -> None:
    y, x = np.mgrid[:200, :240]
    radius = np.hypot(x - 120, y - 100)
    galaxy = 3000 * np.exp(-7.67 * ((radius / 12 + 1e-3) ** 0.25 - 0))
    angle = np.arctan2(y - 100, x - 120)
    arc = 40 * np.exp(-((radius - 22) ** 2) / (2 * 2.0**2)) * (np.abs(angle) < 0.6)
    image = noise((200, 240)) + galaxy * 100 + arc
    found = detect(image)
    apart = np.hypot(found["x"] - 120, found["y"] - 100)
    assert (apart < 2).sum() == 1
    on_arc = (np.abs(apart - 22) < 4) & (np.abs(np.arctan2(found["y"] - 100, found["x"] - 120)) < 0.7)
    assert on_arc.sum() >= 1
    assert (apart < 40).sum() <= 6  # not shredded


def test_the_centre_of_a_large_galaxy_is_not_drawn_to_its_neighbour() -> None:
    y, x = np.mgrid[:160, :200]
    galaxy = 250 * np.exp(-np.hypot(x - 100.3, y - 80.6) / 7)
    neighbour = 200 * np.exp(-np.hypot(x - 97, y - 67) / 3)
    found = detect(noise((160, 200)) + galaxy + neighbour)
    assert cKDTree(positions(found)).query([100.3, 80.6])[0] < 0.5


def test_one_island_of_light_raises_the_threshold() -> None:
    image = noise((200, 200)) + 20  # everything is above 1.5 sigma
    found = extract_sources(image.astype(np.float32))
    assert len(found) < 400


@settings(max_examples=60, deadline=None)
@given(ny=st.integers(1, 5000), nx=st.integers(1, 5000), tile=st.integers(32, 2000))
def test_cores_cover_every_pixel_once(ny: int, nx: int, tile: int) -> None:
    cores = tile_cores((ny, nx), tile)
    assert sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in cores) == ny * nx
    assert {core[0] for core in cores} | {ny} == {core[1] for core in cores} | {0}
    assert {core[2] for core in cores} | {nx} == {core[3] for core in cores} | {0}
    assert max(core[1] - core[0] for core in cores) <= 1.5 * tile + 1


def test_of_several_within_the_match_radius_the_brightest_stays() -> None:
    sources = np.zeros(4, SOURCE)
    sources["x"], sources["y"] = [50, 52, 80, 54.5], [50, 50, 80, 50]
    sources["snr"] = [10, 30, 5, 8]
    new = Seen(3.0).new(sources, (0, 100, 0, 100))
    assert new["x"].tolist() == [52, 80]


def test_what_a_neighbouring_tile_handed_out_is_not_new() -> None:
    seen = Seen(3.0)
    sources = np.zeros(2, SOURCE)
    sources["x"], sources["y"], sources["snr"] = [99, 20], [50, 50], 10
    assert len(seen.new(sources, (0, 100, 0, 100))) == 2
    again = np.zeros(2, SOURCE)
    again["x"], again["y"], again["snr"] = [100.5, 150], [50, 50], 10
    assert seen.new(again, (0, 100, 100, 200))["x"].tolist() == [150]


@pytest.mark.parametrize("kind", ["sky", "stripes", "rows", "checks", "all", "edges", "nothing", "planted"])
@pytest.mark.parametrize("threshold", [0.3, 1.5])
def test_the_stack_holds_whatever_is_bright(kind: str, threshold: float) -> None:
    """SEP raises where more pixels are above the threshold than its stack holds, and is slow where it holds many."""
    rows, columns = np.mgrid[:120, :150]
    sky = np.random.default_rng(1).normal(0, 1, rows.shape)
    patterns = {"sky": sky, "stripes": 9 * (columns % 3 == 0), "rows": 9 * (rows % 3 == 0), "nothing": 0 * sky,
                "checks": 9 * ((rows + columns) % 2), "all": sky + 9,
                "planted": detection_image(planted(300.0)[0][None])[0],
                "edges": 9 * ((rows % 119 == 0) | (columns % 149 == 0))}  # fmt: skip
    image = np.ascontiguousarray(patterns[kind], np.float32)
    options = {"err": 1.0, "minarea": 5, "deblend_cont": 1.0}
    found = _extracted(image, threshold, minarea=5, deblend_cont=1.0)
    assert sep.get_extract_pixstack() <= image.size + 2
    sep.set_extract_pixstack(4 * image.size)
    np.testing.assert_array_equal(found, sep.extract(image, threshold, **options))


def test_a_mask_of_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are data everywhere, SEP gets no mask."""
    without = detect(planted(300.0)[0])
    monkeypatch.setattr("engine.detect.sources._missing", lambda image: ~np.isfinite(image))
    np.testing.assert_array_equal(detect(planted(300.0)[0]), without)
