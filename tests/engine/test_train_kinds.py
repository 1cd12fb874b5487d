"""Stamps without a central galaxy, of one scale, odd sizes and three bands; several classes judged and calibrated."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss
from typer.testing import CliRunner

from engine.cli import app
from engine.models.predict import load_classifier
from engine.models.preprocess import prepare
from engine.train.metrics import fit_temperature, multiclass_metrics
from engine.types import Cutouts

CLASSES = ("none", "cdm", "axion")


@pytest.mark.parametrize("channel", ["linear", "log"])
def test_channels_without_a_galaxy_are_blind_to_the_zero_point(channel: str) -> None:
    pixels = np.random.default_rng(1).exponential(size=(4, 1, 3, 31, 31)).astype(np.float32)
    pixels[1, :, :, :4] = np.nan
    made = prepare(pixels, (channel,))
    assert made.shape == (4, 1, 3, 31, 31)
    np.testing.assert_allclose(prepare(pixels * 200 + 3, (channel,)), made, atol=2e-4)
    assert (made.min(), made.max()) == pytest.approx((0, 1))
    assert not made[1, :, :, :4].any()


def test_one_hot_pixel_does_not_set_the_scale() -> None:
    pixels = np.random.default_rng(1).uniform(size=(1, 1, 1, 64, 64)).astype(np.float32)
    before = prepare(pixels, ("linear",))
    pixels[..., 5, 5] = 1e6
    after = prepare(pixels, ("linear",))
    after[..., 5, 5] = before[..., 5, 5]
    np.testing.assert_allclose(after, before, atol=0.01)


def test_log_lifts_the_faint_and_keeps_the_order() -> None:
    ramp = np.linspace(0, 1, 1024, dtype=np.float32).reshape(1, 1, 1, 32, 32)
    linear, log = (prepare(ramp, (name,)).ravel() for name in ("linear", "log"))
    assert (np.diff(log) >= 0).all()
    assert (log >= linear - 1e-6).all()
    assert log[100] > 4 * linear[100]


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
@pytest.mark.parametrize("channel", ["linear", "log"])
def test_constant_and_empty_stamps_are_zero(value: float, channel: str) -> None:
    assert not prepare(np.full((1, 1, 1, 9, 9), value, np.float32), (channel,)).any()


def test_the_temperature_undoes_a_scaling_of_the_logits() -> None:
    random = np.random.default_rng(3)
    logits = 2 * random.normal(size=(4000, 3))
    label = (softmax(logits, 1).cumsum(1) < random.random((4000, 1))).sum(1)
    assert fit_temperature(label, logits) == pytest.approx(1, abs=0.1)
    found = fit_temperature(label, 3 * logits)
    assert found == pytest.approx(3, abs=0.3)
    assert log_loss(label, softmax(3 * logits / found, 1)) < log_loss(label, softmax(3 * logits, 1))


def test_metrics_of_several_classes() -> None:
    label = np.array([0, 0, 1, 1, 2, 2])
    probability = np.eye(3)[[0, 1, 1, 1, 2, 0]]
    found = multiclass_metrics(label, probability, CLASSES)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert (found["recall_none"], found["recall_cdm"], found["recall_axion"]) == (0.5, 1, 0.5)
    assert (found["confusion_none_cdm"], found["confusion_axion_none"], found["confusion_cdm_cdm"]) == (1, 1, 2)
    assert found["ece"] == pytest.approx(1 / 3)


@pytest.fixture(scope="module")
def substructure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rings with none, one or two dents, in three bands at one scale of an odd size."""
    random, size, count = np.random.default_rng(0), 33, 120
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    label = np.arange(count) % 3
    ring = np.exp(-((np.hypot(x, y) - 9) ** 2) / 4)
    stamps = 0.05 * random.random((count, 1, 3, size, size)) + ring
    stamps[label >= 1] *= x <= 6
    stamps[label == 2] *= x >= -6
    path = tmp_path_factory.mktemp("set") / "rings.h5"
    with h5py.File(path, "w") as file:
        file["cutouts"] = stamps.astype(np.float32)
        file["cutouts"].attrs.update(pixel_scales=[0.05], bands=["g", "r", "i"])
        file["label"] = label
        file["label"].attrs["classes"] = list(CLASSES)
    return path


def test_a_substructure_classifier_from_the_command_line(substructure: Path, tmp_path: Path) -> None:
    words = ["train", str(substructure), "--out", str(tmp_path / "model"), "--architecture", "test_resnet"]
    words += ["--channels", "log,linear", "--together", "--task", "substructure", "--epochs", "3", "--batch-size", "8"]
    words += ["--learning-rate", "0.003", "--threads", "1", "--device", "cpu", "--set", "optimizer.eps=1e-7"]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 0, outcome.output
    classifier = load_classifier(tmp_path / "model", device="cpu")
    card = classifier.card
    assert (card.task, card.channels, card.bands) == ("substructure", ("log", "linear"), ("g", "r", "i"))
    assert (card.size, card.pixel_scales) == (33, (0.05,))
    assert card.training["settings"] == ["optimizer.eps=1e-7"]
    assert card.metrics["auc"] > 0.8
    with h5py.File(substructure) as file:
        cutouts = Cutouts(file["cutouts"][:12], (0.05,), ("g", "r", "i"), np.zeros((12, 2)))
    expected = softmax(classifier.logits(cutouts.pixels) / card.calibration["temperature"], 1)
    np.testing.assert_allclose(classifier.probabilities(cutouts), expected, atol=1e-5)
