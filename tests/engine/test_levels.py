"""Coarse levels made in advance: exact means in bounded memory, kept on disk and never trusted blindly."""

import os
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ImageError
from engine.images import disk_cache
from engine.images.levels import Levels, level_range
from engine.images.mosaic import open_mosaic
from engine.images.pyramid import Pyramid
from engine.types import FloatArray, Mosaic, Plane
from tests.engine.sky_parts import ArrayPlane, mosaic_of, noise
from tests.engine.test_pyramid import assembled, mean_by_hand

SHAPE = (700, 1100)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("engine.images.pyramid._WORTH_KEEPING", 0)


def sky(shape: tuple[int, int] = SHAPE, holes: float = 0.2) -> FloatArray:
    image = noise(shape, level=5.0)
    image[np.random.default_rng(2).random(shape) < holes] = np.nan
    image[shape[0] // 2 :, : shape[1] // 3] = np.nan
    return image


def stored(path: Path, kind: str, image: FloatArray) -> Mosaic:
    if kind in ("hdf5", "chunks"):
        with h5py.File(path, "w") as file:
            file.create_dataset("image", data=image, chunks=(100, 64), compression="gzip" if kind == "hdf5" else None)
    elif kind.startswith("rice"):
        tile = {"rice rows": (1, image.shape[1]), "rice": (96, 128), "rice odd": (100, 75)}[kind]
        fits.CompImageHDU(image, tile_shape=tile, quantize_method=2, dither_seed=9).writeto(path)
    elif kind == "plain":
        fits.PrimaryHDU(image).writeto(path, overwrite=True)
    else:
        tile = (1, image.shape[1]) if kind == "rows" else (96, 128)
        fits.CompImageHDU(image, tile_shape=tile, compression_type="GZIP_1", quantize_level=0).writeto(path)
    return open_mosaic(path)


@pytest.mark.parametrize("kind", ["plain", "rows", "tiles", "rice rows", "rice", "rice odd", "hdf5", "chunks"])
def test_each_level_is_the_mean_of_the_pixels_themselves(tmp_path: Path, kind: str) -> None:
    image = sky()
    mosaic = stored(tmp_path / "sky.img", kind, image)
    pyramid = Pyramid(mosaic, tile_size=64)
    image = mosaic.planes[0].read(0, SHAPE[0], 0, SHAPE[1])  # packing with losses changes it a little
    assert not pyramid.ready(0)
    steps = list(pyramid.build())
    assert pyramid.ready(0)
    assert [step.items for step in steps if step.items] == [(0,)]
    assert (steps[-1].done, steps[-1].total) == (SHAPE[0], SHAPE[0])
    assert all(a.done <= b.done for a, b in pairwise(steps))
    for level in range(3, pyramid.levels):
        np.testing.assert_allclose(assembled(pyramid, level), mean_by_hand(image, 2**level), rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(ny=st.integers(1, 600), nx=st.integers(1, 600), holes=st.floats(0, 1), tile=st.integers(1, 300))
def test_means_of_any_shape(ny: int, nx: int, holes: float, tile: int) -> None:
    image = sky((ny, nx), holes)
    plane = ArrayPlane(image)
    plane.tile = plane.tile_width = tile  # as a compressed band has them
    levels = Levels((ny, nx), image[:1, :1], 1)
    assert list(levels.fill(plane))[-1] == ny
    for level, array in levels.arrays.items():
        np.testing.assert_allclose(array, mean_by_hand(image, 2**level), rtol=1e-4, atol=1e-4)


def test_the_finest_level_in_memory_is_bounded() -> None:
    for side in (1000, 16_384, 32_768, 65_536, 200_000):
        first, top = level_range((side, side))
        assert (side >> first) ** 2 <= 2**24
        assert side >> top <= 64 or top == first


def test_the_second_opening_reads_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = sky()
    mosaic = stored(tmp_path / "sky.fits", "plain", image)
    first = Pyramid(mosaic, tile_size=64)
    list(first.build())
    expected = assembled(first, 4)
    again = Pyramid(open_mosaic(tmp_path / "sky.fits"), tile_size=64)
    monkeypatch.setattr(type(mosaic.planes[0]), "read", lambda *_: pytest.fail("pixels were read"))
    assert again.ready(0)
    np.testing.assert_array_equal(assembled(again, 4), expected)
    assert again.at_hand(3, 0, 0, 0)
    assert not again.at_hand(2, 0, 0, 0)
    shown, step = again.overview(0)
    np.testing.assert_array_equal(shown, image[::step, ::step])
    assert len(list(again.build())) == 1
    assert again.tile(4, 0, 0, 0).flags.writeable is False


def test_limits_of_brightness_are_the_same_in_each_opening(tmp_path: Path) -> None:
    mosaic = stored(tmp_path / "sky.fits", "plain", sky())
    pyramid = Pyramid(mosaic)
    before, step = pyramid.overview(0)
    list(pyramid.build())
    after = Pyramid(mosaic).overview(0)
    assert after[1] == step
    np.testing.assert_array_equal(after[0], before)


def entries() -> list[Path]:
    return sorted(disk_cache.images_folder().iterdir())


def change(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "other":
        path.write_bytes(data.replace(b'"identity": "/', b'"identity": "#'))
    elif how == "header":
        path.write_bytes(b"x" * len(data))
    else:  # a bit of the finest level
        middle = data.rindex(data[-4000:-3000])
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :])


@pytest.mark.parametrize("how", ["cut short", "empty", "other", "header", "bit"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, how: str) -> None:
    image = noise((640, 640), level=5.0)
    mosaic = stored(tmp_path / "sky.fits", "plain", image)
    list(Pyramid(mosaic, tile_size=64).build())
    (entry,) = entries()
    change(entry, how)
    pyramid = Pyramid(mosaic, tile_size=64)
    for level in range(3, pyramid.levels):
        np.testing.assert_allclose(assembled(pyramid, level), mean_by_hand(image, 2**level), rtol=1e-3, atol=1e-3)
    assert how == "bit" or not pyramid.ready(0)
    list(pyramid.build())
    assert Pyramid(mosaic, tile_size=64).ready(0)
    assert entries() == [entry]


def test_a_changed_file_has_levels_of_its_own(tmp_path: Path) -> None:
    mosaic = stored(tmp_path / "sky.fits", "plain", sky(holes=0.0))
    list(Pyramid(mosaic).build())
    changed = stored(tmp_path / "sky.fits", "plain", sky(holes=0.0) + 100)
    os.utime(tmp_path / "sky.fits", (1, 1))
    assert not Pyramid(changed).ready(0)
    assert not Pyramid(mosaic).ready(0)  # what it was opened from is no more


def test_bands_are_kept_each_for_itself(tmp_path: Path) -> None:
    for name, level in (("a", 0.0), ("b", 50.0)):
        fits.PrimaryHDU(noise(SHAPE, level=level)).writeto(tmp_path / f"{name}.fits")
    both = Pyramid(open_mosaic([tmp_path / "a.fits", tmp_path / "b.fits"]))
    assert [step.items for step in both.build((1,)) if step.items] == [(1,)]
    alone = Pyramid(open_mosaic(tmp_path / "b.fits"))
    assert (both.ready(0), both.ready(1), alone.ready(0)) == (False, True, True)
    assert alone.tile(alone.levels - 1, 0, 0, 0).mean() == pytest.approx(50, abs=0.1)


class Slow(ArrayPlane):
    """A band that lets the test go on between two reads, and may fail."""

    def __init__(self, pixels: FloatArray, bad: range = range(0)) -> None:
        super().__init__(pixels)
        self.bad, self.threads, self.reads = bad, set(), 0

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        self.threads.add(threading.get_ident())
        self.reads += 1
        if y0 in self.bad and step == 1:
            raise ImageError("sky.fits is damaged")
        if step == 1:
            self.largest = max(self.largest, (y1 - y0) * (x1 - x0))
        return self.pixels[y0:y1:step, x0:x1:step].copy()


def of_plane(plane: Plane) -> Mosaic:
    base = mosaic_of(np.zeros((1, 1), np.float32))
    return Mosaic(base.id, base.paths, plane.shape, base.bands, None, None, (plane,))


def test_tiles_of_what_is_done_can_be_had_meanwhile() -> None:
    image = sky((8 * 256, 300), 0.0)
    pyramid = Pyramid(of_plane(Slow(image)), tile_size=32)
    job = pyramid.build()
    while not pyramid.at_hand(3, 0, 0, 0):
        next(job)
    assert not pyramid.ready(0)
    np.testing.assert_allclose(pyramid.tile(3, 0, 0, 0), mean_by_hand(image[:256, :256], 8), rtol=1e-4, atol=1e-4)
    job.close()
    assert not pyramid.at_hand(3, 0, 0, 0)
    assert len(threading.enumerate()) == len([t for t in threading.enumerate() if not t.name.startswith("pyramid")])


def test_two_threads_at_most_and_a_bounded_read() -> None:
    plane = Slow(np.zeros((2100, 9000), np.float32))
    list(Pyramid(of_plane(plane)).build())
    assert len(plane.threads - {threading.get_ident()}) <= 2
    assert plane.largest <= 1 << 20


def test_a_damaged_part_has_no_data_and_is_said() -> None:
    image = np.ones((1024, 300), np.float32)
    pyramid = Pyramid(of_plane(Slow(image, range(256, 300))), tile_size=32)
    steps = list(pyramid.build())
    assert "cannot be read" in steps[-1].note
    assert np.isnan(pyramid.tile(3, 1, 0, 0)).all()
    assert (pyramid.tile(3, 0, 0, 0) == 1).all()
    assert not disk_cache.images_folder().exists()


# the cache ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    disk_cache.images_folder().mkdir(parents=True)
    monkeypatch.setattr("engine.images.disk_cache._held", set())
    return disk_cache.images_folder()


def put(name: str, size: int, age: float) -> Path:
    path = disk_cache.images_folder() / name
    path.write_bytes(bytes(size))
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


def test_the_longest_unused_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_CACHE_GB", "1e-6")  # a thousand bytes
    old, used, new = put("old", 300, 900), put("used", 300, 800), put("new", 300, 10)
    disk_cache.touch(used)
    disk_cache._held.clear()
    with disk_cache.writing(folder / "fresh", 400) as partial:
        partial.write_bytes(bytes(400))
    assert [path.exists() for path in (old, used, new)] == [False, True, True]
    assert used.stat().st_mtime < new.stat().st_mtime - 700  # its own time of change is what it was
    with disk_cache.writing(folder / "more", 400) as partial:
        partial.write_bytes(bytes(400))
    assert sorted(path.name for path in entries()) == ["fresh", "more"] or used.exists()
    assert sum(path.stat().st_size for path in entries()) <= 1100


def test_what_this_program_uses_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_CACHE_GB", "1e-6")
    mine = put("mine", 900, 900)
    disk_cache.touch(mine)
    with pytest.raises(disk_cache.NoRoomError, match="needed"), disk_cache.writing(folder / "fresh", 400):
        pass
    assert mine.exists()


def test_a_failed_entry_leaves_nothing(folder: Path) -> None:
    with pytest.raises(RuntimeError), disk_cache.writing(folder / "x", 10) as partial:  # noqa: PT012
        partial.write_bytes(b"half")
        raise RuntimeError
    assert entries() == []


def test_what_was_left_behind_is_dropped_after_a_day(folder: Path) -> None:
    fresh, abandoned = put("a.partial", 10, 3600), put("b.partial", 10, 2 * 86_400)
    disk_cache.make_room(1)
    assert (fresh.exists(), abandoned.exists()) == (True, False)


def test_a_full_disk_keeps_levels_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_CACHE_GB", "0")
    pyramid = Pyramid(stored(tmp_path / "sky.fits", "plain", sky()), tile_size=64)
    list(pyramid.build())
    assert pyramid.ready(0)
    assert pyramid.at_hand(4, 0, 0, 0)
    assert entries() == []


def test_two_programs_may_build_at_once(tmp_path: Path) -> None:
    mosaic = stored(tmp_path / "sky.fits", "plain", sky(holes=0.0))
    pyramids = [Pyramid(mosaic, tile_size=64) for _ in range(2)]
    jobs = [pyramid.build() for pyramid in pyramids]
    for job in jobs:
        next(job)
    for job in jobs:
        list(job)
    np.testing.assert_array_equal(assembled(pyramids[0], 3), assembled(pyramids[1], 3))
    assert len(entries()) == 1
