"""Every bundled model: its card whole, its weights its own, and on fresh simulations as good as the card says."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from engine.models.anomaly import AnomalyDetector
from engine.models.card import file_sha256, load_card, weights_path
from engine.models.library import bundled_models
from engine.models.predict import Classifier, Regressor, load_model
from engine.simulate.dataset import RECIPES
from engine.simulate.recipe import Example
from engine.train.metrics import r_squared
from engine.types import Cutouts, ModelCard

FRESH_SEED = 90_211  # of no training set
FOLDERS = sorted(path.parent for path in bundled_models().glob("*/model.json"))


def fresh(recipe: str, card: ModelCard, scenes: int, **options: object) -> tuple[Cutouts, list[Example]]:
    """Stamps of scenes that no training set holds."""
    made = RECIPES[recipe]
    chosen = made.choose(options)  # type: ignore[arg-type]
    shape = {"size": card.size, "pixel_scales": card.pixel_scales}
    examples = [example for index in range(scenes) for example in made.make_scene(FRESH_SEED, index, **shape, **chosen)]
    pixels = np.stack([example.cutouts for example in examples]).astype(np.float32)
    bands = made.bands if card.bands == ("any",) else card.bands
    return Cutouts(pixels, card.pixel_scales, bands, np.zeros((len(examples), 2))), examples


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_card_is_complete_and_the_weights_are_its_own(folder: Path) -> None:
    card = load_card(folder)
    assert card.name == folder.name
    assert card.weights_sha256 == file_sha256(weights_path(card, folder))
    for name in ("data_sha256", "training", "metrics", "history", "versions", "limits", "licence"):
        assert getattr(card, name), f"the card says nothing of {name}"


def test_three_bands_together_tell_lenses_better_than_their_mean() -> None:
    together, alone = (load_model(name, device="cpu") for name in ("finder-gri", "finder"))
    assert isinstance(together, Classifier)
    assert isinstance(alone, Classifier)
    cutouts, examples = fresh("finder-gri", together.card, 160)
    label = np.array([example.label for example in examples])
    found = roc_auc_score(label, together.score(cutouts).raw_score)
    assert found > together.card.metrics["auc"] - 0.03
    assert found > roc_auc_score(label, alone.score_bands(cutouts).raw_score)


@pytest.mark.parametrize(("number", "macro"), [(1, "fixed"), (2, "varied"), (3, "varied")])
def test_substructure_is_told_as_well_as_the_card_says(number: int, macro: str) -> None:
    model = load_model(f"substructure-{number}", device="cpu")
    assert isinstance(model, Classifier)
    cutouts, examples = fresh(f"model-{number}", model.card, 90, macro=macro)
    label = np.array([example.label for example in examples])
    right = np.mean(model.probabilities(cutouts).argmax(1) == label)
    expected = model.card.metrics["accuracy"]
    assert right > expected - 4 * np.sqrt(expected * (1 - expected) / len(label))


def test_the_mass_in_subhalos_is_measured_as_well_as_the_card_says() -> None:
    model = load_model("mass", device="cpu")
    assert isinstance(model, Regressor)
    cutouts, examples = fresh("mass", model.card, 40)
    true = np.array([example.truth["mass_fraction"] for example in examples])
    found = model.estimate(cutouts)
    assert r_squared(true, found.value[:, 0]) > 0.9
    assert np.mean(np.abs(found.value[:, 0] - true) < 3 * found.sigma[:, 0]) > 0.9


def test_substructure_surprises_who_knows_none() -> None:
    model = load_model("anomaly", device="cpu")
    assert isinstance(model, AnomalyDetector)
    cutouts, examples = fresh("model-2", model.card, 60)
    substructure = np.array([example.label != 0 for example in examples])
    assert roc_auc_score(substructure, model.estimate(cutouts).value[:, 0]) > 0.98
