"""What is broken in a published set is named and left out; what cannot be used at all is an error that says why."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.errors import DataError
from engine.train.readers.convert import convert
from engine.train.readers.copies import near_copies, pixel_group, sketch
from engine.train.readers.pixels import read_pixels
from engine.train.readers.report import inspect
from tests.engine.cli_parts import CommandLine
from tests.engine.test_readers import finish, image, published, put, with_number


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2900])


def junk(path: Path) -> None:
    path.write_bytes(b"this is no image " * 40)


def of_nothing(path: Path) -> None:
    path.write_bytes(b"")


def of_five_axes(path: Path) -> None:
    np.save(path, np.zeros((1, 1, 1, 8, 8)))


def of_texts(path: Path) -> None:
    np.save(path, np.full((8, 8), "a"))


def of_a_pickled_dictionary(path: Path) -> None:
    np.save(path, np.array({"image": 1}, object), allow_pickle=True)


def without_numbers(path: Path) -> None:
    fits.writeto(path, np.full((16, 16), np.nan, "f4"), overwrite=True)


BROKEN: list[tuple[str, str, Callable[[Path], None]]] = [
    ("classes", "ring/1.fits", cut),
    ("classes", "ring/1.fits", junk),
    ("classes", "ring/1.fits", without_numbers),
    ("pictures", "lenses/sub/1.jpg", junk),
    ("pictures", "lenses/sub/1.jpg", of_nothing),
    ("dark-matter", "axion/1.npy", of_nothing),
    ("dark-matter", "axion/1.npy", of_five_axes),
    ("dark-matter", "axion/1.npy", of_texts),
    ("dark-matter", "axion/1.npy", of_a_pickled_dictionary),
]


@pytest.mark.parametrize(("layout", "name", "spoil"), BROKEN)
def test_a_broken_file_is_named_and_left_out(
    layout: str, name: str, spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    spoil(published(tmp_path / "in", layout) / "unpacked" / name)
    report = finish(convert(tmp_path / "in", tmp_path / "set.h5"))
    assert len(report.unreadable) == 1
    assert report.unreadable[0].startswith(f"unpacked/{name}: ")
    assert sum(report.counts.values()) == report.files - 1


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a class of nothing but damage", "text files"])
def test_what_cannot_be_used_is_an_error(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    if what != "nothing":
        folder.mkdir()
    if what == "text files":
        (folder / "one.txt").write_text("no image")
    if what.startswith("a class"):
        for path in sorted(published(folder, "classes").rglob("*.fits")):
            junk(path)
    with pytest.raises(DataError, match=r"does not exist|no layout that is known|none of the 8 files"):
        finish(convert(folder, tmp_path / "set.h5"))
    assert not (tmp_path / "set.h5").exists()


def test_images_of_other_bands_are_refused(tmp_path: Path) -> None:
    put(published(tmp_path / "in", "gri") / "unpacked/train_lenses/9.npy", image(1, 16, 16))
    with pytest.raises(DataError, match=r"number of bands: 3 x 16 x 16 \(16\), 1 x 16 x 16 \(1\)"):
        finish(convert(tmp_path / "in", tmp_path / "set.h5"))
    for bands in (("g", "r"), ("g", "g", "r")):
        (tmp_path / "in/unpacked/train_lenses/9.npy").unlink(missing_ok=True)
        with pytest.raises(DataError, match="name each once with --bands"):
            finish(convert(tmp_path / "in", tmp_path / "set.h5", bands=bands))


def test_a_full_disk_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1}))
    with pytest.raises(DataError, match="has room for 0 MB"):
        finish(convert(published(tmp_path / "in", "classes"), tmp_path / "set.h5"))


# storage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "storage", "error"),
    [
        (np.arange(256, dtype="u1").reshape(16, 16), "float16", 0.0),
        (np.linspace(0, 1, 256).astype("f2").reshape(16, 16), "float16", 0.0),
        (np.linspace(0, 1, 256).astype("f4").reshape(16, 16), "float32", 0.0),
        (np.linspace(0, 1, 256).reshape(16, 16), "float32", 2.0**-24),
        (np.full((16, 16), 2.0**24 + 1), "float32", 2.0**-24),
        (np.full((16, 16), 70_000, "i4"), "float32", 0.0),
    ],
)
def test_pixels_are_kept_as_small_as_is_lossless(
    values: np.ndarray, storage: str, error: float, tmp_path: Path
) -> None:
    for kind in ("ring", "spiral"):
        for number in range(2):
            path = tmp_path / f"in/{kind}/{number}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values)
    report = finish(inspect(tmp_path / "in"))
    assert report.storage == storage
    assert report.storage_error == pytest.approx(error, rel=0.1)


@given(values=arrays("f8", (4, 5), elements=st.floats(-1e30, 1e30)))
def test_what_is_called_lossless_is(values: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "values.npy"
    np.save(path, values)
    found = read_pixels(path)
    with np.errstate(over="ignore"):
        assert found.half == bool((values.astype(np.float16).astype(np.float64) == values).all())
    assert (found.loss == 0) == bool((found.image == values).all())
    assert found.loss <= 2.0**-24


# copies --------------------------------------------------------------------------------------------------------------


def blob(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    y, x = np.mgrid[:40, :40] - 19.5
    centres, widths = random.uniform(-9, 9, (3, 2)), random.uniform(2, 7, 3)
    parts = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * w**2)) for (a, b), w in zip(centres, widths, strict=True)]
    return np.sum(parts, 0)[None].astype(np.float32)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: np.rot90(one, 1, (1, 2)),
        lambda one: one[:, ::-1],
        lambda one: one.swapaxes(1, 2),
        lambda one: 7 * one + 3,
        lambda one: one + np.random.default_rng(1).normal(0, 0.004, one.shape),
        lambda one: np.round(255 * one / one.max()),
    ],
)
def test_near_copies_are_found_among_others(change: Callable[[np.ndarray], np.ndarray]) -> None:
    images = [blob(number) for number in range(60)]
    images.append(change(images[17]).astype(np.float32))
    images.append(images[5].copy())  # equal in every pixel: no near copy
    images.append(np.full_like(images[0], 2))
    sketches = np.stack([sketch(one) for one in images])
    assert near_copies(sketches, np.array([pixel_group(one) for one in images])) == [(17, 60)]


def test_near_copies_across_parts_are_named(tmp_path: Path) -> None:
    folder = published(tmp_path / "in", "substructure") / "unpacked"
    put(folder / "train/no/0.npy", blob(1))
    put(folder / "val/no/2.npy", blob(1)[:, ::-1])
    report = finish(inspect(tmp_path / "in"))
    assert (report.copies, report.near_copies, report.near_copies_across_parts) == (0, 1, 1)
    assert report.leaks == ["unpacked/train/no/0.npy = unpacked/val/no/2.npy"]


# commands ------------------------------------------------------------------------------------------------------------


def test_the_report_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = published(tmp_path / "in", "substructure")
    for number in range(5):
        junk(folder / f"unpacked/train/{('no', 'sphere', 'vort')[number % 3]}/{number % 2}.npy")
    put(folder / "unpacked/val/no/0.npy", np.load(folder / "unpacked/train/no/2.npy"))
    done = CommandLine(capsys)("inspect", folder)
    assert done.status == 2
    assert "layout                   substructure" in done.out
    assert done.out.count("unreadable: unpacked/train/") == 3
    assert "unreadable: and 2 more (--json names all)" in done.out
    assert "leak: unpacked/train/no/2.npy = unpacked/val/no/0.npy" in done.out
    assert "note: copies lie in two parts" in done.out
    assert f"next: deeplense convert {folder} --out in.h5 --pixel-scale ..." in done.out
    assert "--together --channels log,linear --task substructure --given-parts" in done.out


def test_values_that_are_learned_are_described(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path / f"in/lens_data/{number}.npy", with_number(image(16, 16), number * 0.5))
    report = finish(inspect(tmp_path / "in"))
    assert report.truth["mass_fraction"] == "4 of 4: 0 to 1.5, mean 0.75, deviation 0.559"
    assert "--target mass_fraction" in report.commands[1]
