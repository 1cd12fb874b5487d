"""Tiny copies of published layouts become training sets."""

import json
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import DataError
from engine.train.data import open_training_set
from engine.train.readers.convert import centred, convert
from engine.train.readers.copies import pixel_group
from engine.train.readers.entries import Found
from engine.train.readers.files import open_files
from engine.train.readers.layouts import find_layout
from engine.train.readers.report import inspect
from tests.engine.cli_parts import CommandLine

RANDOM = np.random.default_rng(1)


def image(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape)


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array, allow_pickle=array.dtype == object)
    elif path.suffix == ".fits":
        fits.writeto(path, array.astype(">f4"))
    else:
        Image.fromarray((array * 40 + 128).clip(0, 255).astype(np.uint8)).save(path)


def with_number(array: np.ndarray, number: float) -> np.ndarray:
    out = np.empty(2, object)
    out[:] = [array, number]
    return out


LAYOUTS = {
    "substructure": ([f"{p}/{c}" for p in ("train", "val") for c in ("no", "sphere", "vort")], (1, 16, 16), ".npy"),
    "dark-matter": (["axion", "cdm", "no_sub"], (16, 16), ".npy"),
    "gri": ([f"{p}_{c}" for p in ("train", "test") for c in ("lenses", "nonlenses")], (3, 16, 16), ".npy"),
    "pictures": (["lenses/sub", "lenses/no_sub"], (16, 16), ".jpg"),
    "classes": (["ring", "spiral"], (16, 16), ".fits"),
}


def published(folder: Path, layout: str, each: int = 4) -> Path:
    kinds, shape, suffix = LAYOUTS[layout]
    for kind in kinds:
        for number in range(each):
            put(folder / "unpacked" / kind / f"{number}{suffix}", image(*shape))
    return folder


def finish(job: object) -> object:
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def found_in(folder: Path, layout: str | None = None) -> Found:
    with ExitStack() as stack:
        return find_layout(finish(open_files(folder, stack)), layout)[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_becomes_a_set_that_training_opens(layout: str, tmp_path: Path) -> None:
    kinds, _, _ = LAYOUTS[layout]
    report = finish(convert(published(tmp_path / "in", layout), tmp_path / "set.h5"))
    assert (report.layout, report.files, report.copies, report.unreadable) == (layout, 4 * len(kinds), 0, [])
    found = open_training_set([tmp_path / "set.h5"], bands=())
    assert len(found) == 4 * len(kinds)
    assert found.bands == (("g", "r", "i") if layout == "gri" else ("any",))
    expected = {
        "substructure": ("no", "sphere", "vort"),
        "dark-matter": ("axion", "cdm", "no_sub"),
        "gri": ("nonlenses", "lenses"),
        "pictures": ("no_sub", "sub"),
        "classes": ("ring", "spiral"),
    }
    assert found.classes == expected[layout]
    parts = {"substructure": {0, 1}, "gri": {0, 2}}
    assert set(found.truth["part"].tolist()) == parts.get(layout, {-1})


def test_pixels_and_labels_stay_together(tmp_path: Path) -> None:
    published(tmp_path / "in", "gri")
    classes, entries = found_in(tmp_path / "in").classes, found_in(tmp_path / "in").entries
    finish(convert(tmp_path / "in", tmp_path / "set.h5"))
    with h5py.File(tmp_path / "set.h5") as file:
        for row, entry in enumerate(entries):
            np.testing.assert_array_equal(file["cutouts"][row, 0], np.load(tmp_path / "in" / entry.name).astype("f4"))
            assert entry.names[0].parent.name.endswith("_" + classes[file["label"][row]])


def test_masses_are_kept(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / f"in/lens_data/{number}.npy", with_number(image(16, 16), number / 8))
    report = finish(convert(tmp_path / "in", tmp_path / "set.h5"))
    assert (report.layout, report.classes) == ("halo-mass", ("lens",))
    assert report.truth["mass_fraction"].startswith("3 of 3: 0 to 0.25, mean 0.125")
    assert open_training_set([tmp_path / "set.h5"]).truth["mass_fraction"].tolist() == [0, 0.125, 0.25]


def test_the_report_counts_copies_damage_and_masked_pixels(tmp_path: Path) -> None:
    folder = published(tmp_path / "in", "substructure") / "unpacked"
    same = np.load(folder / "train/no/0.npy")
    put(folder / "val/no/0.npy", same)
    put(folder / "train/vort/0.npy", same)
    put(folder / "train/no/1.npy", np.full((1, 16, 16), 3.0))
    masked = image(1, 16, 16)
    masked[0, 0, :2] = np.nan, np.inf
    put(folder / "train/no/2.npy", masked)
    (folder / "val/sphere/3.npy").write_bytes(b"\x93NUMPY broken")
    report = finish(inspect(tmp_path / "in"))
    assert (report.copies, report.copies_across_parts, report.copies_across_classes) == (2, 1, 1)
    assert report.leaks == ["unpacked/train/no/0.npy = unpacked/val/no/0.npy"]
    assert (report.constant, report.pixels_without_data, report.infinite_pixels) == (1, 2, 1)
    assert len(report.unreadable) == 1
    assert report.unreadable[0].startswith("unpacked/val/sphere/3.npy")


def test_other_sizes_need_an_option(tmp_path: Path) -> None:
    put(published(tmp_path / "in", "dark-matter") / "unpacked/cdm/x.npy", image(20, 20))
    with pytest.raises(DataError, match=r"1 x 16 x 16 \(12\).*1 x 20 x 20 \(1\).*--size"):
        finish(convert(tmp_path / "in", tmp_path / "set.h5"))
    assert not (tmp_path / "set.h5").exists()
    finish(convert(tmp_path / "in", tmp_path / "set.h5", size=18))
    assert open_training_set([tmp_path / "set.h5"]).size == 18


def test_cancelling_leaves_no_file(tmp_path: Path) -> None:
    published(tmp_path / "in", "classes")
    (tmp_path / "out").mkdir()
    job = convert(tmp_path / "in", tmp_path / "out/set.h5")
    for step in job:
        if step.done > 10:
            break
    job.close()
    assert not list((tmp_path / "out").iterdir())


def test_what_fits_no_layout_is_told_which_there_are(tmp_path: Path) -> None:
    put(tmp_path / "in/one/0.npy", image(8, 8))
    with pytest.raises(DataError, match=r"no layout that is known.*halo-mass"):
        found_in(tmp_path / "in")
    with pytest.raises(DataError, match="not the layout gri"):
        found_in(tmp_path / "in", "gri")


def test_crop_and_pad_keep_the_centre() -> None:
    full = np.arange(50, dtype=np.float32).reshape(2, 5, 5)
    np.testing.assert_array_equal(centred(full, 3), full[:, 1:4, 1:4])
    padded = centred(full, 9)
    np.testing.assert_array_equal(padded[:, 2:7, 2:7], full)
    assert np.isnan(padded).sum() == 2 * (81 - 25)


@given(st.integers(0, 24), st.floats(-10, 10, width=32))
def test_a_group_is_of_the_pixels_alone(place: int, value: float) -> None:
    one = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    other = one.copy()
    other.flat[place] = value
    assert (pixel_group(one) == pixel_group(other)) == (one.flat[place] == value)
    assert pixel_group(one) == pixel_group(one[:, ::-1].copy()[:, ::-1]) >= 0


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deeplense = CommandLine(capsys)
    folder = published(tmp_path / "in", "pictures")
    done = deeplense("inspect", folder, "--json")
    assert (done.status, json.loads(done.out)["counts"]) == (0, {"all no_sub": 4, "all sub": 4})
    (folder / "unpacked/lenses/sub/bad.jpg").write_bytes(b"no picture")
    done = deeplense("convert", folder, "--out", tmp_path / "set.h5", "--pixel-scale", "0.05")
    assert done.status == 2
    assert "bad.jpg" in done.out
    assert open_training_set([tmp_path / "set.h5"]).pixel_scales == (0.05,)


@pytest.mark.parametrize(
    ("folder", "part"),
    [("train/ring", 0), ("Model_I_test/ring", 2), ("test/deeper/val/ring", 1), ("valley/ring", -1), ("val_ring", 1)],
)
def test_the_part_is_the_nearest_that_a_folder_says(folder: str, part: int, tmp_path: Path) -> None:
    for place in (folder, folder.replace("ring", "spiral")):
        put(tmp_path / "in" / place / "0.npy", image(8, 8))
    found = found_in(tmp_path / "in")
    assert (found.classes, {entry.part for entry in found.entries}) == (("ring", "spiral"), {part})
