"""Packed files: unpacked once into the cache, with progress, without leaving anything half done."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.errors import ImageError
from engine.images import disk_cache
from engine.images.mosaic import open_mosaic
from engine.images.unpack import plain, unpacking


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("engine.images.unpack._BEAT", 0.0)
    return tmp_path / "cache" / "images"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Four megabytes that do not pack well."""
    image = np.random.default_rng(1).normal(size=(1000, 1000)).astype(np.float32)
    fits.PrimaryHDU(image).writeto(tmp_path / "sky.fits")
    path = tmp_path / "sky.fits.gz"
    path.write_bytes(gzip.compress((tmp_path / "sky.fits").read_bytes(), 1))
    return path


def test_progress_is_told_in_bytes_of_the_file(packed: Path, cache: Path) -> None:
    steps = list(unpacking(packed))
    assert len(steps) >= 4
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total == packed.stat().st_size
    (entry,) = cache.glob("*.unpacked")
    assert entry.read_bytes() == packed.with_suffix("").read_bytes()


def test_a_file_is_unpacked_once_until_it_changes(packed: Path, cache: Path) -> None:
    first = open_mosaic(packed)
    (entry,) = cache.glob("*.unpacked")
    changed = entry.stat().st_mtime_ns
    assert list(unpacking(packed)) == []
    again = open_mosaic(packed)
    assert entry.stat().st_mtime_ns == changed
    assert again.id == first.id
    assert again.planes[0].identity == first.planes[0].identity  # what is made of it can be kept
    os.utime(packed, (1, 1))
    assert open_mosaic(packed).id != first.id
    assert len(list(cache.glob("*.unpacked"))) == 2


@pytest.mark.parametrize("how", ["cut short", "empty", "one byte", "nothing but zeros", "no mark"])
def test_a_damaged_copy_is_made_anew(packed: Path, cache: Path, how: str) -> None:
    ny, nx = open_mosaic(packed).shape
    (entry,) = cache.glob("*.unpacked")
    whole, times = entry.read_bytes(), entry.stat()
    spoilt = {
        "cut short": whole[: len(whole) // 2],
        "empty": b"",
        "one byte": whole[:900_000] + bytes([whole[900_000] ^ 255]) + whole[900_001:],
        "nothing but zeros": bytes(len(whole)),
        "no mark": whole,
    }[how]
    entry.write_bytes(spoilt)
    if how == "nothing but zeros":  # as after a power cut: the disk knows of the file, but not what was in it
        os.utime(entry, ns=(times.st_atime_ns, times.st_mtime_ns))
    if how == "no mark":
        next(cache.glob("*.mark")).unlink()
    np.testing.assert_array_equal(
        open_mosaic(packed).read(0, ny, 0, nx)[0], fits.getdata(packed.with_suffix("")).astype(np.float32)
    )
    assert entry.read_bytes() == whole
    assert list(unpacking(packed)) == []


def test_a_cancelled_job_leaves_nothing(packed: Path, cache: Path) -> None:
    job = unpacking(packed)
    next(job)
    assert len(list(cache.iterdir())) == 1
    job.close()
    assert list(cache.iterdir()) == []


def test_a_damaged_file_leaves_nothing(packed: Path, cache: Path) -> None:
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="cannot be unpacked"):
        plain(packed)
    assert list(cache.iterdir()) == []


def test_a_disk_without_room_is_said_before(packed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
    with pytest.raises(ImageError, match=r"GB are needed.*free some space, set DEEPLENSE_CACHE"):
        open_mosaic(packed)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ImageError, match="set DEEPLENSE_CACHE to a folder that can be written"):
        open_mosaic(packed)


def test_plain_files_stay_where_they_are(packed: Path, cache: Path) -> None:
    assert plain(packed.with_suffix("")) == packed.with_suffix("")
    assert list(unpacking(packed.with_suffix(""))) == []
    assert not cache.exists()


def test_a_copy_in_use_is_not_dropped(packed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic = open_mosaic(packed)
    monkeypatch.setenv("DEEPLENSE_CACHE_GB", "0.005")
    with pytest.raises(disk_cache.NoRoomError):
        disk_cache.make_room(2_000_000)
    assert np.isfinite(mosaic.read(0, 10, 0, 10)).all()
