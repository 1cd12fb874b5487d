"""Bands on different grids: each source stays where it is on the sky, and nothing is invented."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.images.aligned import AlignedPlane
from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.images.pyramid import Pyramid
from engine.types import Mosaic
from tests.conftest import sky_header

SHAPE = (240, 300)  # of the grid, 0.2 arcsec a pixel
BLUR = 0.7  # arcsec, sigma of each source
GRIDS = {
    "shifted": (0.2, 0.0, (31.3, -22.7), False),
    "rotated": (0.2, 37.0, (0.0, 0.0), False),
    "flipped": (0.2, 180.0, (4.0, 7.0), True),
    "finer": (0.07, 12.0, (0.0, 0.0), False),
    "coarser": (0.5, -20.0, (0.0, 0.0), False),
}


def header(kind: str) -> tuple[fits.Header, tuple[int, int]]:
    """The header of a grid about the same field, large enough to hold all of the first grid unless shifted."""
    scale, angle, shift, flip = GRIDS[kind]
    grown = 1.0 if kind == "shifted" else 1.45
    shape = (int(SHAPE[0] * 0.2 / scale * grown), int(SHAPE[1] * 0.2 / scale * grown))
    head = sky_header(shape, scale)
    turn = np.deg2rad(angle)
    side = -1.0 if flip else 1.0
    head.update(PC1_1=np.cos(turn), PC1_2=-np.sin(turn), PC2_1=side * np.sin(turn), PC2_2=side * np.cos(turn))
    head["CRPIX1"] += shift[0]
    head["CRPIX2"] += shift[1]
    return head, shape


def places() -> np.ndarray:
    """Sky positions of the sources, from pixels of the first grid."""
    x, y = np.meshgrid(np.arange(40, 280, 55.0), np.arange(35, 220, 50.0))
    return np.column_stack([x.ravel(), y.ravel()]) + np.random.default_rng(2).uniform(-3, 3, (x.size, 2))


def painted(folder: Path, name: str, head: fits.Header, shape: tuple[int, int], sky: np.ndarray) -> Path:
    """Gaussians of one surface brightness at sky positions, on a level of 5."""
    path = folder / f"{name}.fits"
    fits.PrimaryHDU(np.zeros(shape, np.float32) + 5, head).writeto(path)
    mosaic = open_mosaic(path)
    image = np.full(shape, 5.0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for x0, y0 in mosaic.pixel(sky):
        image += 100 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) * mosaic.pixel_scale**2 / (2 * BLUR**2))
    fits.PrimaryHDU(image.astype(np.float32), head).writeto(path, overwrite=True)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mosaic]:
    folder = tmp_path_factory.mktemp("grids")
    fits.PrimaryHDU(np.zeros(SHAPE, np.float32) + 5, sky_header(SHAPE)).writeto(folder / "blank.fits")
    sky = open_mosaic(folder / "blank.fits").world(places())
    first = painted(folder, "sky_g", sky_header(SHAPE), SHAPE, sky)
    made = {}
    for kind in GRIDS:
        (folder / kind).mkdir()
        made[kind] = open_mosaic([first, painted(folder / kind, "sky_r", *header(kind), sky)])
    return made


def whole(mosaic: Mosaic) -> np.ndarray:
    return mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])


@pytest.mark.parametrize("kind", GRIDS)
def test_sources_stay_where_they_are(pairs: dict[str, Mosaic], kind: str) -> None:
    mosaic = pairs[kind]
    assert mosaic.bands == ("g", "r")
    assert mosaic.shape == SHAPE
    assert any("lies on another grid and is resampled" in note for note in mosaic.notes)
    seen = 0
    for x, y in places():
        left, low = round(x) - 14, round(y) - 14
        stamp = mosaic.read(low, low + 29, left, left + 29)
        if np.isnan(stamp).any():
            continue
        weight = np.clip(stamp - 5 - 0.5, 0, None)
        rows, columns = np.mgrid[low : low + 29, left : left + 29]
        for band in weight:
            assert (band * columns).sum() / band.sum() == pytest.approx(x, abs=0.03)
            assert (band * rows).sum() / band.sum() == pytest.approx(y, abs=0.03)
        seen += 1
    assert seen >= (12 if kind == "shifted" else 20)


@pytest.mark.parametrize("kind", GRIDS)
def test_surface_brightness_is_kept(pairs: dict[str, Mosaic], kind: str) -> None:
    first, other = whole(pairs[kind])
    both = np.isfinite(other)
    assert both.mean() == pytest.approx(1.0 if kind != "shifted" else 0.81, abs=0.02)
    assert np.median(other[both]) == pytest.approx(5, abs=1e-3)
    # Bilinear samples of pixels of half an arcsec flatten the peaks; their sum stays.
    assert (other[both] - 5).sum() == pytest.approx((first[both] - 5).sum(), rel=0.02)
    if kind in ("shifted", "rotated", "flipped", "finer"):
        assert np.abs(other[both] - first[both]).max() < 4


def test_what_the_band_does_not_reach_has_no_data_and_is_said(pairs: dict[str, Mosaic]) -> None:
    mosaic = pairs["shifted"]
    assert any("covers 81%" in note for note in mosaic.notes), mosaic.notes
    other = whole(mosaic)[1]
    assert np.isnan(other[:, -31:]).all() or np.isnan(other[:, :31]).all()


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(sorted(GRIDS)),
    y=st.tuples(st.integers(-9, 230), st.integers(1, 60)),
    x=st.tuples(st.integers(-9, 290), st.integers(1, 60)),
)
def test_a_region_is_that_part_of_the_whole(
    pairs: dict[str, Mosaic], kind: str, y: tuple[int, int], x: tuple[int, int]
) -> None:
    mosaic = pairs[kind]
    border = 80
    padded = np.pad(whole(mosaic), ((0, 0), (border, border), (border, border)), constant_values=np.nan)
    y0, y1, x0, x1 = y[0], sum(y), x[0], sum(x)
    expected = padded[:, border + y0 : border + y1, border + x0 : border + x1]
    # Positions between nodes are interpolated: a billionth of a pixel either way may decide on the edge of the data.
    found = mosaic.read(y0, y1, x0, x1)
    assert (np.isnan(found) != np.isnan(expected)).mean() < 0.01
    np.testing.assert_allclose(found, np.where(np.isnan(found), np.nan, expected), atol=0.01)


def test_large_bands_are_read_in_parts(pairs: dict[str, Mosaic], monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("rotated",):
        expected = whole(pairs[kind])[1]
        monkeypatch.setattr("engine.images.aligned._MOST", 20_000)
        np.testing.assert_allclose(whole(pairs[kind])[1], expected, atol=0.01)
        monkeypatch.undo()


def test_a_coarse_look_takes_nearby_pixels(pairs: dict[str, Mosaic]) -> None:
    mosaic = pairs["finer"]
    look = mosaic.read(0, SHAPE[0], 0, SHAPE[1], step=5)[1]
    assert look.shape == (48, 60)
    fine = whole(mosaic)[1]
    for row, column in ((10, 20), (30, 41)):
        near = fine[5 * row - 5 : 5 * row + 6, 5 * column - 5 : 5 * column + 6]
        assert near.min() - 0.5 <= look[row, column] <= near.max() + 0.5


def test_holes_stay_holes(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.ones(SHAPE, np.float32), sky_header(SHAPE)).writeto(tmp_path / "sky_g.fits")
    head, shape = header("rotated")
    image = np.full(shape, 3.0, np.float32)
    found = []
    for name, hole in (("r", np.s_[:0]), ("i", np.s_[150:180, 200:240])):
        image[hole] = np.nan
        fits.PrimaryHDU(image, head).writeto(tmp_path / f"sky_{name}.fits")
        found.append(whole(open_mosaic([tmp_path / "sky_g.fits", tmp_path / f"sky_{name}.fits"]))[1])
    other = found[1]
    assert (np.isnan(other) & ~np.isnan(found[0])).sum() == pytest.approx(30 * 40, rel=0.02)
    assert (other[np.isfinite(other)] == 3).all()  # nothing of the hole leaks out


def test_it_serves_cutouts_pyramids_and_other_processes(pairs: dict[str, Mosaic]) -> None:
    mosaic = pairs["coarser"]
    (plane,) = [plane for plane in mosaic.planes if isinstance(plane, AlignedPlane)]
    copy = pickle.loads(pickle.dumps(plane))
    np.testing.assert_array_equal(copy.read(50, 90, 60, 120), plane.read(50, 90, 60, 120))
    assert copy.identity == plane.identity != pairs["finer"].planes[1].identity
    stamp = cut(mosaic, places()[:1], size=20, pixel_scales=(0.2,)).pixels[0, 0]
    assert np.argmax(stamp[1]) // 20 in (9, 10)
    pyramid = Pyramid(mosaic, tile_size=64)
    list(pyramid.build())
    assert pyramid.tile(3, 0, 0, 1).mean() == pytest.approx(whole(mosaic)[1].mean(), rel=0.02)
