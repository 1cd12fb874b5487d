"""Large files on a disk that is full, or fills up: an error that says so, and nothing left behind."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.errors import DataError, ModelError
from engine.simulate.dataset import simulate
from engine.simulate.patch_set import simulate_patches
from engine.train.array_file import new_array
from engine.train.checkpoint import save_state


def filling_up(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The disk has room when asked so many times, then not."""
    answers = itertools.chain([10**12] * times, itertools.repeat(10**6))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(answers)))


def test_a_set_that_does_not_fit_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filling_up(monkeypatch, 0)
    with pytest.raises(DataError, match="has room for 0 MB, 874 MB are needed: free some space"):
        next(simulate("model-1", tmp_path / "set.h5", count=10_000, seed=1))
    with pytest.raises(DataError, match="141 MB are needed"):
        next(simulate_patches(tmp_path / "set.h5", count=1000, seed=1))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_a_simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filling_up(monkeypatch, 2)  # at the start, and before the first 64 rows
    with pytest.raises(DataError, match="free some space"):
        list(simulate("model-2", tmp_path / "set.h5", count=130, seed=1, size=8, processes=1))
    assert list(tmp_path.iterdir()) == []


def test_prepared_stamps_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filling_up(monkeypatch, 0)
    with pytest.raises(DataError, match="free some space"), new_array(tmp_path / "prepared.npy") as append:
        append(np.zeros((2, 3)), 4)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_more_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(DataError, match="No space left on device"), new_array(tmp_path / "a.npy") as append:
        append(np.zeros((2, 3)), 4)
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_whole_or_not_there(tmp_path: Path) -> None:
    parts = np.arange(12.0).reshape(4, 3)
    with new_array(tmp_path / "a.npy") as append:
        append(parts[:3], 4)
        append(parts[3:], 4)
        assert not (tmp_path / "a.npy").exists()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), parts)
    assert np.load(tmp_path / "a.npy").dtype == np.float16


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    save_state({"epoch": 1}, tmp_path / "checkpoint.safetensors")
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    monkeypatch.setattr("engine.train.checkpoint.os.fsync", full)
    with pytest.raises(ModelError, match=r"No space left on device\): free some space.*--resume"):
        save_state({"epoch": 2}, tmp_path / "checkpoint.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
