"""The bundled finder: whole, described, calibrated; on fresh simulations and on real images it was not trained on."""

import csv
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sklearn.metrics import roc_auc_score

from engine.cli import main
from engine.detect.scan import scan
from engine.images.mosaic import open_mosaic
from engine.models.card import file_sha256, load_card, weights_path
from engine.models.library import bundled_models
from engine.models.predict import Classifier, load_classifier
from engine.simulate.finder import make_scene
from engine.types import Cutouts, ScanRequest

FOLDER = bundled_models() / "finder"
LARGEST = 25e6  # bytes, of all bundled weights
FRESH_SEED = 90_210  # of no training set


@pytest.fixture(scope="module")
def finder() -> Classifier:
    return load_classifier("finder", device="cpu")


def test_the_card_is_complete_and_the_weights_are_its_own():
    card = load_card(FOLDER)
    assert card.weights_sha256 == file_sha256(weights_path(card, FOLDER))
    for name in ("calibration", "data_sha256", "recipe", "training", "metrics", "versions", "limits", "licence"):
        assert getattr(card, name), f"the card says nothing of {name}"
    assert card.bands == ("any",)
    assert {"auc", "auprc", "accuracy", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "ece"} <= card.metrics.keys()
    assert card.metrics["ece"] < 0.02


def test_all_bundled_weights_stay_small():
    assert sum(path.stat().st_size for path in bundled_models().rglob("*.safetensors")) <= LARGEST


def test_fresh_simulations_are_told_apart_as_the_card_says(finder):
    card = finder.card
    examples = [
        example
        for index in range(150)
        for example in make_scene(FRESH_SEED, index, size=card.size, pixel_scales=card.pixel_scales)
    ]
    cutouts = Cutouts(
        np.stack([example.cutouts for example in examples]).astype(np.float32),
        card.pixel_scales,
        ("r",),
        np.zeros((len(examples), 2)),
    )
    label = np.array([example.label for example in examples])
    assert 30 < label.sum() < 0.6 * len(label)
    assert roc_auc_score(label, finder.score(cutouts).score) > card.metrics["auc"] - 0.06


def scores_of(tmp_path: Path, files: list[Path], *options: str) -> list[float]:
    """Raw scores by the command line, as a user gets them."""
    out = tmp_path / f"{files[0].parent.name}-{files[0].name}.csv"
    with pytest.raises(SystemExit) as status:
        main(["score", *map(str, files), "--out", str(out), "--quiet", *options])
    assert status.value.code == 0
    with out.open(encoding="utf-8") as stream:
        return [float(row["raw_score"]) for row in csv.DictReader(stream)]


@pytest.mark.slow
def test_real_lenses_rank_above_real_galaxies(real_data, tmp_path):
    stamps = sorted(path for path in (real_data / "stamps").rglob("*") if path.suffix in (".fits", ".h5"))
    lenses = scores_of(tmp_path, stamps)
    galaxies = scores_of(tmp_path, sorted((real_data / "galaxies").glob("des_*.fits")), "--pixel-scale", "0.263")
    others = ("Cut_*.fits", "cutout_*.fits", "abell_2744_spiral*")
    galaxies += scores_of(tmp_path, sorted(path for name in others for path in (real_data / "galaxies").glob(name)))
    label = [1] * len(lenses) + [0] * len(galaxies)
    assert len(lenses) >= 8
    assert len(galaxies) >= 80
    assert roc_auc_score(label, lenses + galaxies) >= 0.90


def rank(finder: Classifier, files: list[Path], x: float, y: float, radius: float) -> int:
    """Place in the list, from 1, of the first candidate within ``radius`` pixels of a position."""
    job = scan(ScanRequest(open_mosaic(files)), finder)
    found = sorted((item for step in job for item in step.items), key=lambda one: -one.score)
    return next(k for k, one in enumerate(found, 1) if np.hypot(one.x - x, one.y - y) <= radius)


@pytest.mark.slow
def test_the_giant_arc_of_abell_370_is_among_the_first(finder, real_data, tmp_path):
    # The middle of the cluster, where most of what resembles the arc lies; the whole field takes a minute.
    with fits.open(real_data / "fields" / "abell370_I.fits") as field:
        middle = field[0].section[549:1049, 742:1242]
        header = field[0].header.copy()
    header["CRPIX1"] -= 742
    header["CRPIX2"] -= 549
    fits.writeto(tmp_path / "middle.fits", middle, header, output_verify="silentfix")
    assert rank(finder, [tmp_path / "middle.fits"], 250, 250, 20) <= 3


def test_the_lens_of_cfhtls_w3_is_among_the_first(finder, real_data):
    files = [real_data / "fields" / f"cfhtls_w3_{band}.fits" for band in "gri"]
    assert rank(finder, files, 222, 230, 8) <= 3
