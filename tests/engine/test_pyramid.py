"""Tiles at every zoom: each pixel is the mean of those it stands for."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.images.pyramid import Pyramid, block_mean
from engine.types import FloatArray, Mosaic
from tests.engine.sky_parts import mosaic_of, noise

SHAPE = (150, 211)


def mean_by_hand(image: FloatArray, factor: int) -> FloatArray:
    ny, nx = image.shape
    out = np.full((-(-ny // factor), -(-nx // factor)), np.nan)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            block = image[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            if np.isfinite(block).any():
                out[y, x] = np.nanmean(block, dtype=np.float64)
    return out


def assembled(pyramid: Pyramid, level: int, band: int = 0) -> FloatArray:
    ny, nx = pyramid.shape(level)
    rows, columns = range(-(-ny // pyramid.tile_size)), range(-(-nx // pyramid.tile_size))
    return np.block([[pyramid.tile(level, row, column, band) for column in columns] for row in rows])


@settings(max_examples=60, deadline=None)
@given(ny=st.integers(1, 20), nx=st.integers(1, 20), factor=st.integers(1, 9), holes=st.floats(0, 1))
def test_block_means_leave_out_what_has_no_data(ny: int, nx: int, factor: int, holes: float) -> None:
    image = noise((ny, nx), level=5.0)
    image[np.random.default_rng(1).random((ny, nx)) < holes] = np.nan
    np.testing.assert_allclose(block_mean(image, factor), mean_by_hand(image, factor), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_tiles_of_a_level_are_block_means_of_the_whole(level: int) -> None:
    image = noise(SHAPE, level=5.0)
    image[50:70, 100:130] = np.nan
    pyramid = Pyramid(mosaic_of(noise(SHAPE, 9), image), tile_size=32)
    found = assembled(pyramid, level, band=1)
    assert found.shape == pyramid.shape(level)
    np.testing.assert_allclose(found, mean_by_hand(image, 2**level), rtol=1e-4, atol=1e-4)


def test_high_levels_are_made_of_the_ones_below() -> None:
    pyramid = Pyramid(mosaic_of(noise((512, 1024), level=5.0)), tile_size=16)
    assert pyramid.levels == 7
    below, above = assembled(pyramid, 4), assembled(pyramid, 5)
    np.testing.assert_allclose(above, mean_by_hand(below, 2), rtol=1e-5)
    assert pyramid.tile(6, 0, 0, 0).shape == (8, 16)


def test_the_last_level_fits_into_one_tile() -> None:
    for shape in ((1, 1), (64, 64), (65, 10), (300, 421), (10, 5000)):
        pyramid = Pyramid(mosaic_of(np.zeros(shape, np.float32)), tile_size=64)
        assert max(pyramid.shape(pyramid.levels - 1)) <= 64
        assert pyramid.levels == 1 or max(pyramid.shape(pyramid.levels - 2)) > 64


@pytest.mark.parametrize("key", [(0, 5, 0, 0), (0, 0, 7, 0), (9, 0, 0, 0), (-1, 0, 0, 0), (0, -1, 0, 0)])
def test_there_is_no_tile_outside(key: tuple[int, int, int, int]) -> None:
    with pytest.raises(IndexError, match="no tile"):
        Pyramid(mosaic_of(np.zeros(SHAPE, np.float32)), tile_size=64).tile(*key)


def test_tiles_cannot_be_changed_and_are_made_once() -> None:
    mosaic = mosaic_of(noise(SHAPE))
    pyramid = Pyramid(mosaic, tile_size=64)
    first = pyramid.tile(0, 1, 2, 0)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    assert pyramid.tile(0, 1, 2, 0) is first


def _kept(pyramid: Pyramid) -> int:
    return sum(tile.nbytes for tile in pyramid._tiles.values())


def test_the_cache_is_bounded_and_forgets_the_oldest() -> None:
    mosaic = mosaic_of(noise((512, 512)))
    pyramid = Pyramid(mosaic, tile_size=64, cache_bytes=5 * 64 * 64 * 4)
    first = pyramid.tile(0, 0, 0, 0)
    for column in range(1, 4):
        pyramid.tile(0, 0, column, 0)
    assert pyramid.tile(0, 0, 0, 0) is first  # used again, so it is not the oldest any more
    for column in range(4, 8):
        pyramid.tile(0, 0, column, 0)
        assert _kept(pyramid) <= 5 * 64 * 64 * 4
    assert pyramid.tile(0, 0, 0, 0) is first


def test_threads_may_share_a_pyramid() -> None:
    image = noise((256, 256))
    pyramid = Pyramid(mosaic_of(image), tile_size=32, cache_bytes=20 * 32 * 32 * 4)
    wrong: list[tuple[int, int]] = []

    def look(seed: int) -> None:
        for row, column in np.random.default_rng(seed).integers(0, 8, (200, 2)).tolist():
            expected = image[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32]
            if not np.array_equal(pyramid.tile(0, row, column, 0), expected):
                wrong.append((row, column))

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert pyramid._used == _kept(pyramid)


def test_a_coarse_tile_of_a_wide_mosaic_reads_in_strips() -> None:
    class Wide:
        shape = (4096, 4096)
        largest = 0

        def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
            self.largest = max(self.largest, (y1 - y0) * (x1 - x0))
            return np.ones((y1 - y0, x1 - x0), np.float32)

    plane = Wide()
    base = mosaic_of(np.zeros((1, 1), np.float32))
    mosaic = Mosaic(base.id, base.paths, plane.shape, base.bands, None, None, (plane,))
    assert (Pyramid(mosaic, tile_size=512).tile(3, 0, 0, 0) == 1).all()
    assert plane.largest <= 1 << 20
