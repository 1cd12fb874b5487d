"""Scoring with a small random network: what must not depend on batches, views, bands or order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.errors import ModelError
from engine.models.build import build_network
from engine.models.card import WEIGHTS, calibrated, file_sha256, save_card, sigmoid
from engine.models.predict import VIEWS, Classifier, _turned, load_classifier, outputs_of, view
from engine.types import Cutouts, ModelCard

SIZE, SCALES = 32, (0.2, 0.6)


def write_model(folder: Path, *, half: bool = False, seed: int = 0, **fields: object) -> ModelCard:
    values: dict[str, object] = {
        "name": "tiny",
        "architecture": "test_resnet",
        "task": "lens finding",
        "classes": ("not", "lens"),
        "bands": ("any",),
        "size": SIZE,
        "pixel_scales": SCALES,
        "channels": ("stretch", "residual"),
        "calibration": {"slope": 2.0, "intercept": 0.1, "prior_training": 0.5, "prior": 0.2},
    } | fields
    card = ModelCard(**values)  # type: ignore[arg-type]
    torch.manual_seed(seed)
    channels = len(card.channels) * len(card.bands)
    network = build_network(card.architecture, in_channels=channels, scales=2, outputs=outputs_of(card), size=SIZE)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    if half:
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / WEIGHTS)
    card = replace(card, weights_sha256=file_sha256(folder / WEIGHTS))
    save_card(card, folder)
    return card


def stamps(count: int, bands: tuple[str, ...] = ("r",), seed: int = 0) -> Cutouts:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    galaxy = 40 * np.exp(-np.hypot(x, y) / random.uniform(2, 6, (count, 1, 1, 1, 1)))
    pixels = (galaxy + random.normal(size=(count, len(SCALES), len(bands), SIZE, SIZE))).astype(np.float32)
    return Cutouts(pixels, SCALES, bands, np.zeros((count, 2)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    write_model(path)
    return path


@pytest.fixture
def classifier(folder: Path) -> Classifier:
    return load_classifier(folder, device="cpu")


def test_scores_are_calibrated_logits(classifier: Classifier) -> None:
    cutouts = stamps(5)
    scores = classifier.score(cutouts)
    logits = classifier.logits(cutouts.pixels)
    assert logits.shape == (5,)
    np.testing.assert_allclose(scores.raw_score, sigmoid(logits))
    np.testing.assert_allclose(scores.score, calibrated(logits, classifier.card.calibration))
    np.testing.assert_array_equal(scores.spread, 0)
    np.testing.assert_allclose(classifier.probabilities(cutouts)[:, 1], scores.score)
    with torch.no_grad():
        direct = classifier.network(classifier.prepared(cutouts.pixels))[:, 0]
    np.testing.assert_allclose(logits, direct.numpy(), rtol=1e-4, atol=1e-5)


def test_scores_do_not_depend_on_the_batch(classifier: Classifier) -> None:
    cutouts = stamps(7)
    whole = classifier.score(cutouts).score
    classifier._batch = 2
    np.testing.assert_allclose(classifier.score(cutouts).score, whole, rtol=1e-4)


def test_eight_views_do_not_see_how_the_sky_is_turned(classifier: Classifier) -> None:
    cutouts = stamps(4)
    turned = Cutouts(np.rot90(cutouts.pixels, 1, (-2, -1)).copy(), SCALES, ("r",), cutouts.positions)
    eight, again = classifier.score(cutouts, views=8), classifier.score(turned, views=8)
    np.testing.assert_allclose(eight.score, again.score, atol=2e-3)
    assert (eight.spread > 0).all()
    assert not np.allclose(classifier.score(cutouts).score, classifier.score(turned).score, atol=1e-5)


def test_the_views_of_a_square_are_eight_different_ones() -> None:
    square = torch.arange(9.0).reshape(1, 1, 1, 3, 3)
    assert len({tuple(view(square, number).flatten().tolist()) for number in VIEWS[8]}) == 8


def test_arrays_are_turned_as_tensors_are() -> None:
    stamps = np.random.default_rng(1).random((2, 3, 1, 5, 5), np.float32)
    for number in VIEWS[8]:
        np.testing.assert_array_equal(_turned(stamps, number), view(torch.from_numpy(stamps), number).numpy())


@pytest.mark.parametrize("views", [0, 3, 16])
def test_other_numbers_of_views_are_refused(classifier: Classifier, views: int) -> None:
    with pytest.raises(ModelError, match="choose 1, 2, 4 or 8"):
        classifier.score(stamps(1), views=views)


def test_bands_are_averaged_and_missing_ones_ignored(classifier: Classifier) -> None:
    cutouts = stamps(4, ("1", "2", "3"))
    cutouts.pixels[1, :, 1] = np.nan
    cutouts.pixels[2] = np.nan
    alone = [classifier.logits(cutouts.pixels[:, :, k : k + 1]) for k in range(3)]
    scores = classifier.score_bands(cutouts)
    np.testing.assert_allclose(scores.raw_score[0], sigmoid(np.mean([band[0] for band in alone])), rtol=1e-4)
    np.testing.assert_allclose(scores.raw_score[1], sigmoid((alone[0][1] + alone[2][1]) / 2), rtol=1e-4)
    assert (scores.score[2], scores.raw_score[2], scores.spread[2]) == (0, 0, 0)
    assert scores.spread[0] > 0


def test_several_bands_for_a_model_of_one_are_refused(classifier: Classifier) -> None:
    with pytest.raises(ModelError, match="scores one band"):
        classifier.score(stamps(1, ("g", "r")))


def test_one_band_scores_alike_either_way(classifier: Classifier) -> None:
    cutouts = stamps(3)
    one, other = classifier.score(cutouts, views=4), classifier.score_bands(cutouts, views=4)
    np.testing.assert_allclose(one.score, other.score)
    np.testing.assert_allclose(one.spread, other.spread)


def test_nothing_to_score(classifier: Classifier) -> None:
    scores = classifier.score_bands(stamps(0, ("g", "r")), views=8)
    assert scores.score.shape == scores.spread.shape == (0,)
    assert classifier.score(stamps(0)).score.shape == (0,)


def test_other_sizes_and_scales_are_refused(classifier: Classifier) -> None:
    cutouts = stamps(1)
    with pytest.raises(ModelError, match="32 px, not 30"):
        classifier.score(Cutouts(cutouts.pixels[..., 1:-1, 1:-1], SCALES, ("r",), cutouts.positions))
    with pytest.raises(ModelError, match=r'0\.2" and 0\.6"'):
        classifier.score(Cutouts(cutouts.pixels, (0.2, 0.5), ("r",), cutouts.positions))
    with pytest.raises(ModelError, match="pixels of"):
        classifier.score(Cutouts(cutouts.pixels[:, :1], SCALES[:1], ("r",), cutouts.positions))


def test_a_model_of_named_bands_wants_them_in_order(tmp_path: Path) -> None:
    write_model(tmp_path, bands=("g", "r"))
    classifier = load_classifier(tmp_path)
    assert classifier.score_bands(stamps(2, ("g", "r"))).score.shape == (2,)
    with pytest.raises(ModelError, match="in this order"):
        classifier.score(stamps(2, ("r", "g")))


def test_more_classes_have_probabilities_but_no_score(tmp_path: Path) -> None:
    write_model(tmp_path, classes=("none", "cdm", "axion"), calibration={})
    classifier = load_classifier(tmp_path)
    cutouts = stamps(3)
    cutouts.pixels[1] = np.nan
    chance = classifier.probabilities(cutouts, views=2)
    np.testing.assert_allclose(chance[[0, 2]].sum(1), 1)
    assert np.isnan(chance[1]).all()
    assert classifier.logits(cutouts.pixels).shape == (3, 3)
    with pytest.raises(ModelError, match="no single score"):
        classifier.score(cutouts)


def test_members_of_a_committee_give_the_spread(tmp_path: Path) -> None:
    write_model(tmp_path, architecture="test_resnet+test_resnet")
    classifier = load_classifier(tmp_path)
    scores = classifier.score(stamps(3))
    assert (scores.spread > 0).all()
    np.testing.assert_allclose(scores.raw_score, sigmoid(classifier.logits(stamps(3).pixels)))


def test_half_precision_weights_score_nearly_alike(folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path, half=True)
    cutouts = stamps(4)
    whole, half = load_classifier(folder).score(cutouts), load_classifier(tmp_path).score(cutouts)
    np.testing.assert_allclose(whole.score, half.score, atol=5e-3)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path)
    weights = bytearray((tmp_path / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(weights)
    with pytest.raises(ModelError, match="not those of the card"):
        load_classifier(tmp_path)


def test_a_card_of_another_architecture_is_refused(tmp_path: Path) -> None:
    card = write_model(tmp_path)
    save_card(replace(card, architecture="test_efficientnet"), tmp_path)
    with pytest.raises(ModelError, match="do not fit the architecture"):
        load_classifier(tmp_path)


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    card = write_model(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\x00" * 100)
    save_card(replace(card, weights_sha256=file_sha256(tmp_path / WEIGHTS)), tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_classifier(tmp_path)


class Starved(torch.nn.Module):
    """A network that runs out of memory above one stamp, or always."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > self.limit:
            raise torch.OutOfMemoryError("too much")
        return pixels.mean((1, 2, 3, 4))[:, None]


def test_out_of_memory_halves_the_batch_and_says_so(classifier: Classifier) -> None:
    classifier.network = Starved(1)  # type: ignore[assignment]
    assert classifier.score(stamps(5)).score.shape == (5,)
    assert "batches of 1" in classifier.note
    classifier.network = Starved(0)  # type: ignore[assignment]
    with pytest.raises(ModelError, match="not enough memory"):
        classifier.score(stamps(2))


def test_scoring_leaves_no_mode_behind(classifier: Classifier) -> None:
    classifier.score(stamps(2))
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    pixels = classifier.prepared(stamps(1).pixels).requires_grad_()
    classifier.network(pixels).sum().backward()
    assert pixels.grad is not None


def test_bfloat16_scores_nearly_as_float32(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    full = classifier.score(stamps(8)).raw_score
    monkeypatch.setenv("DEEPLENSE_PRECISION", "bfloat16")
    half = classifier.score(stamps(8)).raw_score
    assert not np.array_equal(full, half)  # it was really in another precision
    np.testing.assert_allclose(half, full, atol=0.01)


def test_an_unknown_precision_is_refused(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_PRECISION", "int8")
    with pytest.raises(ModelError, match="DEEPLENSE_PRECISION"):
        classifier.score(stamps(1))


def test_a_dense_detector_does_not_score_stamps() -> None:
    with pytest.raises(ModelError, match="is for detection, not for stamps: name it with --heatmap-model"):
        load_classifier("heatmap")
