"""Each published layout as downloaded, through the commands that ``deeplense inspect`` advises, to a trained model."""

import json
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from engine.models.card import load_card
from tests.engine.cli_parts import CommandLine

SIZE, EACH = 32, 6


def pixels(number: int, *shape: int) -> np.ndarray:
    """Noise about a blob whose width tells the classes apart."""
    y, x = np.indices(shape[-2:]) - (shape[-1] - 1) / 2
    noise = np.random.default_rng(number).normal(0, 0.02, shape)
    return np.exp(-(x**2 + y**2) / (8 + 10 * (number % 3))) + noise


def arrays(*folders: str, bands: int = 1, kind: str = "f8") -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for place, folder in enumerate(folders):
            (root / folder).mkdir(parents=True)
            for number in range(EACH):
                image = pixels(100 * place + 3 * number + place % 3, bands, SIZE, SIZE)
                np.save(root / folder / f"{number}.npy", image.astype(kind))

    return write


def pickled(*folders: str, number_of: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for place, folder in enumerate(folders):
            (root / folder).mkdir(parents=True)
            for number in range(5 * EACH if len(folders) == 1 else EACH):
                image = pixels(100 * place + 3 * number + place % 3, SIZE, SIZE)
                content = np.empty(2, object)
                content[:] = [image, 10.0 ** -(20 + number % 4) if folder == number_of else 0.01 * number]
                pair = content if folder == number_of or len(folders) == 1 else image
                np.save(root / folder / f"sim_{number}.npy", pair, allow_pickle=True)

    return write


def pictures(root: Path) -> None:
    for place, kind in enumerate(("sub", "no_sub")):
        (root / "lenses" / kind).mkdir(parents=True)
        for number in range(EACH):
            image = pixels(100 * place + 3 * number + place, SIZE, SIZE)
            Image.fromarray((image * 200 + 20).clip(0, 255).astype(np.uint8)).save(root / f"lenses/{kind}/{number}.jpg")


def challenge(bands: dict[str, str]) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        rows = ["ID,is_lens,Einstein_area,numb_pix_lensed_image,flux_lensed_image_in_sigma"]
        for number in range(2 * EACH):
            rows.append(
                f"{100000 + number},{number % 2},{7e-11 * (number % 2)},{90 * (number % 2)},{500 * (number % 2)}"
            )
            for place, (folder, stem) in enumerate(bands.items()):
                path = root / folder / f"image{stem}-{100000 + number}.fits"
                path.parent.mkdir(parents=True, exist_ok=True)
                fits.writeto(path, (pixels(100 * place + number, SIZE, SIZE) * 1e-11).astype(np.float32))
        (root / "classifications.csv").write_text("\n".join(rows))

    return write


SUBSTRUCTURE = ("no", "sphere", "vort")
GROUND = {f"Public/Band{place}": f"SDSS_{band}" for place, band in enumerate("RIGU", 1)}
SETS = {
    "bologna-space": challenge({"files": "EUC_VIS"}),
    "bologna-ground": challenge(GROUND),
    "substructure": arrays(
        *(f"dataset/{part}/{kind}" for part in ("train", "val") for kind in ("no", "sphere", "vort"))
    ),
    "dark-matter": pickled("axion", "cdm", "no_sub", number_of="axion"),
    "gri": arrays("train_lenses", "train_nonlenses", "test_lenses", "test_nonlenses", bands=3, kind="f4"),
    "pictures": pictures,
    "halo-mass": pickled("lens_data", number_of="lens_data"),
}


@pytest.mark.parametrize("layout", SETS)
def test_from_the_archive_to_a_model(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    SETS[layout](tmp_path / "unpacked")
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
        for path in sorted((tmp_path / "unpacked").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path / "unpacked"))
    monkeypatch.chdir(tmp_path)
    deeplense = CommandLine(capsys)
    report = json.loads(deeplense("inspect", "download.zip", "--json").out)
    assert (report["layout"], report["unreadable"], report["missing"]) == (layout, [], [])
    convert, train = (shlex.split(command.replace("...", "0.1"))[1:] for command in report["commands"])
    assert deeplense(*convert).status == 0
    tiny = ("--architecture", "test_resnet", "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--threads", 1)
    done = deeplense(*train, *tiny, "--quiet")
    assert (done.status, done.err) == (0, "")
    card = load_card(tmp_path / "download-model")
    assert card.size == SIZE
    assert list(card.targets) == (["mass_fraction"] if layout == "halo-mass" else [])
    if layout in ("substructure", "gri"):
        assert card.training["given_parts"]
        assert card.training["test_examples"] == EACH * len(card.classes)
    if layout == "bologna-ground":
        assert card.bands == ("u", "g", "r", "i")
