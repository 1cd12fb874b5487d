"""Stamps of a mosaic's own pixels are slices of it, whichever way it is stored."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.images.mosaic import open_mosaic
from engine.images.slices import cut_pixels
from engine.types import Mosaic

SHAPE = (330, 420)
KINDS = ("plain", "scaled", "tiles", "rows", "hdf5", "chunks", "lzf", "cube")


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mosaic]:
    folder = tmp_path_factory.mktemp("slices")
    random = np.random.default_rng(3)
    image = random.normal(10, 3, SHAPE).astype(np.float32)
    image[100:110, 200:230] = np.nan
    image[40, 50], image[41, 50] = np.inf, -np.inf
    counts = np.round(random.normal(0, 300, SHAPE)).astype(np.int16)
    fits.PrimaryHDU(image).writeto(folder / "plain.fits")
    scaled = fits.PrimaryHDU(counts)
    scaled.header.update(BSCALE=0.5, BZERO=3.0, BLANK=17)
    scaled.writeto(folder / "scaled.fits")
    fits.CompImageHDU(image, tile_shape=(64, 64), quantize_level=16).writeto(folder / "tiles.fits")
    fits.CompImageHDU(counts, tile_shape=(1, SHAPE[1])).writeto(folder / "rows.fits")
    for name, compression in {"hdf5": "gzip", "chunks": None, "lzf": "lzf"}.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("image", data=image, chunks=(64, 64), compression=compression)
    fits.PrimaryHDU(np.stack([image, image + 1, image * 2])).writeto(folder / "cube.fits")
    return {path.stem: open_mosaic(path) for path in folder.iterdir()}


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), size=st.integers(1, 80), seed=st.integers(0, 1000))
def test_stamps_are_slices(mosaics: dict[str, Mosaic], kind: str, size: int, seed: int) -> None:
    mosaic = mosaics[kind]
    ny, nx = SHAPE
    xy = np.random.default_rng(seed).uniform(-60, (nx + 60, ny + 60), (30, 2))
    cutouts, corners = cut_pixels(mosaic, xy, size=size)
    border = 200
    whole = np.pad(mosaic.read(0, ny, 0, nx), ((0, 0), (border, border), (border, border)), constant_values=np.nan)
    assert cutouts.pixels.shape == (30, 1, len(mosaic.bands), size, size)
    for stamp, (x, y), centre in zip(cutouts.pixels[:, 0], corners.astype(int), xy, strict=True):
        expected = whole[:, border + y : border + y + size, border + x : border + x + size]
        np.testing.assert_array_equal(stamp, expected)
        assert np.abs(np.array((x, y)) + (size - 1) / 2 - centre).max() <= 0.5  # the nearest there is


def test_infinities_and_blanks_are_masked(mosaics: dict[str, Mosaic]) -> None:
    stamp = cut_pixels(mosaics["plain"], np.array([[50.0, 40.0]]), size=9)[0].pixels[0, 0, 0]
    assert np.argwhere(np.isnan(stamp)).tolist() == [[4, 4], [5, 4]]
    assert not np.isinf(stamp).any()


def test_unknown_and_far_positions_are_all_nan(mosaics: dict[str, Mosaic]) -> None:
    xy = np.array([[np.nan, 5.0], [1e300, 5.0], [1e6, -1e6], [50.0, 60.0]])
    cutouts, corners = cut_pixels(mosaics["plain"], xy, size=8)
    assert np.isnan(cutouts.pixels[:3]).all()
    assert np.isnan(corners[:2]).all()
    assert np.isfinite(cutouts.pixels[3]).all()


def test_some_bands_in_their_order_and_none(mosaics: dict[str, Mosaic]) -> None:
    cutouts, _ = cut_pixels(mosaics["cube"], np.array([[300.0, 300.0]]), size=5, bands=(2, 0))
    np.testing.assert_array_equal(cutouts.pixels[0, 0, 0], 2 * cutouts.pixels[0, 0, 1])
    assert cutouts.bands == ("3", "1")
    assert cut_pixels(mosaics["rows"], np.empty((0, 2)), size=5)[0].pixels.shape == (0, 1, 1, 5, 5)
    assert not cutouts.pixels.flags.writeable
