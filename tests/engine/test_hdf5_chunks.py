"""Chunked HDF5 images, read where they lie in the file, hold what h5py reads from them."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ImageError
from engine.images.cutouts import cut
from engine.images.hdf5_chunks import ChunkPlane
from engine.images.mosaic import open_mosaic
from engine.images.planes import SectionPlane
from engine.images.slices import cut_pixels
from engine.images.tiled import touched

SHAPE = (70, 90)
STORAGES = {
    "plain": {},
    "deflate": {"compression": "gzip"},
    "shuffled": {"compression": "gzip", "shuffle": True},
    "shuffled alone": {"shuffle": True},
}


def sky(dtype: str, bands: int = 0) -> np.ndarray:
    image = np.random.default_rng(4).normal(100, 10, (bands, *SHAPE) if bands else SHAPE).astype(dtype)
    if np.dtype(dtype).kind == "f":
        image[..., 5, 6:9] = np.nan
        image[..., 50, 30], image[..., 51, 30] = np.inf, -np.inf
    return image


def written(path: Path, image: np.ndarray, **storage: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=image, **storage)
    return path


def as_read(image: np.ndarray) -> np.ndarray:
    found = image.astype(np.float32)
    found[np.isinf(found)] = np.nan
    return found


@pytest.mark.parametrize("chunk", [(16, 20), (70, 90), (7, 90), (1, 1)])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">i2", "<u1", "<i4"])
def test_every_storage_is_what_was_written(tmp_path: Path, dtype: str, storage: str, chunk: tuple[int, int]) -> None:
    path = written(tmp_path / "sky.h5", sky(dtype), chunks=chunk, **STORAGES[storage])
    (plane,) = open_mosaic(path).planes
    assert isinstance(plane, ChunkPlane)
    np.testing.assert_array_equal(plane.read(0, 70, 0, 90), as_read(sky(dtype)))


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[ChunkPlane, ...]]:
    folder = tmp_path_factory.mktemp("chunks")
    paths = {
        name: written(folder / f"{name}.h5", sky("f4", 3), chunks=(2, 16, 20), **storage)
        for name, storage in STORAGES.items()
    }
    return {name: open_mosaic(path).planes for name, path in paths.items()}


@settings(max_examples=100, deadline=None)
@given(
    storage=st.sampled_from(sorted(STORAGES)),
    band=st.integers(0, 2),
    y=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    x=st.tuples(st.integers(0, 90), st.integers(0, 90)),
    step=st.integers(1, 40),
)
def test_regions_and_steps(
    planes: dict[str, tuple[ChunkPlane, ...]],
    storage: str,
    band: int,
    y: tuple[int, int],
    x: tuple[int, int],
    step: int,
) -> None:
    (y0, y1), (x0, x1) = sorted(y), sorted(x)
    found = planes[storage][band].read(y0, y1, x0, x1, step)
    np.testing.assert_array_equal(found, as_read(sky("f4", 3))[band, y0:y1:step, x0:x1:step])


@pytest.mark.parametrize("storage", STORAGES)
def test_planes_travel_and_pass(planes: dict[str, tuple[ChunkPlane, ...]], storage: str) -> None:
    plane = planes[storage][1]
    for other in (pickle.loads(pickle.dumps(plane)), plane.passing()):
        np.testing.assert_array_equal(other.read(3, 60, 5, 88), plane.read(3, 60, 5, 88))
    assert plane.identity != planes[storage][0].identity


@pytest.mark.parametrize("storage", STORAGES)
def test_chunks_never_written_have_the_fill_value(tmp_path: Path, storage: str) -> None:
    with h5py.File(tmp_path / "sky.h5", "w") as file:
        image = file.create_dataset("image", SHAPE, "f4", chunks=(16, 20), fillvalue=7.0, **STORAGES[storage])
        image[20:30, 25:35] = 3.0
    expected = np.full(SHAPE, 7.0, np.float32)
    expected[20:30, 25:35] = 3.0
    np.testing.assert_array_equal(open_mosaic(tmp_path / "sky.h5").planes[0].read(0, 70, 0, 90), expected)


def test_a_filter_left_out_of_a_chunk(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sky.h5", "w") as file:
        image = file.create_dataset("image", SHAPE, "<f4", chunks=(70, 45), compression="gzip", shuffle=True)
        image[:] = sky("f4")
        image.id.write_direct_chunk((0, 45), np.ascontiguousarray(sky("f4")[:, 45:]).tobytes(), filter_mask=3)
    np.testing.assert_array_equal(open_mosaic(tmp_path / "sky.h5").planes[0].read(0, 70, 0, 90), as_read(sky("f4")))


@pytest.mark.parametrize("storage", [{"compression": "lzf"}, {"fletcher32": True}, {"scaleoffset": 3}])
def test_other_filters_are_left_to_h5py(tmp_path: Path, storage: dict[str, object]) -> None:
    image = np.nan_to_num(sky("f4"), posinf=0, neginf=0)
    path = written(tmp_path / "sky.h5", image, chunks=(16, 20), **storage)
    (plane,) = open_mosaic(path).planes
    assert isinstance(plane, SectionPlane)
    np.testing.assert_allclose(plane.read(0, 70, 0, 90), image, atol=1e-3)


@pytest.mark.parametrize("storage", ["plain", "deflate"])
def test_stamps_of_both_kinds_are_those_of_the_array(tmp_path: Path, storage: str) -> None:
    image = np.random.default_rng(2).normal(size=(600, 700)).astype(np.float32)
    chunked = open_mosaic(written(tmp_path / "sky.h5", image, chunks=(64, 48), **STORAGES[storage]), pixel_scale=0.2)
    np.save(tmp_path / "sky.npy", image)
    plain = open_mosaic(tmp_path / "sky.npy", pixel_scale=0.2)
    xy = np.random.default_rng(3).uniform(-20, 720, (200, 2))
    np.testing.assert_array_equal(cut_pixels(chunked, xy, size=33)[0].pixels, cut_pixels(plain, xy, size=33)[0].pixels)
    ours, expected = (cut(mosaic, xy, size=32, pixel_scales=(0.2, 0.5)).pixels for mosaic in (chunked, plain))
    np.testing.assert_array_equal(ours, expected)


def test_a_damaged_chunk_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "sky.h5", sky("f4"), chunks=(3, 90), compression="gzip")
    with h5py.File(path) as file:
        place = file["image"].id.get_chunk_info(0).byte_offset  # opening looks at the middle
    with path.open("rb+") as file:
        file.seek(place)
        file.write(b"\0" * 64)
    (plane,) = open_mosaic(path).planes
    with pytest.raises(ImageError, match=r"sky\.h5 is damaged: pixels cannot be unpacked"):
        plane.read(0, 70, 0, 90)
    np.testing.assert_array_equal(plane.read(3, 70, 0, 90), as_read(sky("f4"))[3:])


def test_a_file_cut_short_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "sky.h5", sky("f4"), chunks=(35, 90))
    (plane,) = open_mosaic(path).planes
    copy = pickle.loads(pickle.dumps(plane))
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 9000)
    with pytest.raises(ImageError, match=r"sky\.h5 is damaged: pixels cannot be unpacked"):
        copy.read(0, 70, 0, 90)


@settings(max_examples=200, deadline=None)
@given(start=st.integers(0, 60), length=st.integers(1, 90), step=st.integers(1, 50), side=st.integers(1, 40))
def test_touched_tiles_cover_a_range_once(start: int, length: int, step: int, side: int) -> None:
    wanted = range(start, start + length, step)
    seen: list[int] = []
    for number, part, inner in touched(start, start + length, step, side):
        within = list(range(side))[inner]
        assert [number * side + k for k in within] == list(wanted[part])
        seen += wanted[part]
    assert seen == list(wanted)
