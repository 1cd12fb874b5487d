"""A model that knows one class alone: what it learns, what surprises it, and where."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astropy.io import fits
from typer.testing import CliRunner

from engine.cli import app
from engine.errors import DataError, ModelError
from engine.models.anomaly import AnomalyDetector
from engine.models.build import build_network
from engine.models.card import load_card
from engine.models.predict import load_classifier, load_model
from engine.models.reconstruction import Reconstruction
from engine.train.committee import CommitteeRequest, form_committee
from engine.train.evaluate import EvaluateRequest, evaluate
from engine.train.loop import TrainRequest, train
from engine.train.misses import sheet_of
from engine.types import Cutouts

SIZE = 24


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rings off the centre; those of the other class have a clump on them."""
    path = tmp_path_factory.mktemp("rings") / "rings.h5"
    random = np.random.default_rng(4)
    count = 400
    label = np.arange(count) % 4 == 3
    middle = random.uniform(-1, 1, (count, 2, 1, 1))
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    stamps = np.exp(-((np.hypot(x - middle[:, 0], y - middle[:, 1]) - 6) ** 2) / 2)
    stamps += label[:, None, None] * 1.5 * np.exp(-((x - middle[:, 0] - 6) ** 2 + (y - middle[:, 1]) ** 2) / 3)
    stamps += random.normal(0, 0.05, stamps.shape)
    with h5py.File(path, "w") as file:
        cutouts = file.create_dataset("cutouts", data=stamps[:, None, None].astype(np.float32))
        cutouts.attrs.update(pixel_scales=[0.1], bands=["any"])
        file.create_dataset("label", data=label.astype(np.int8)).attrs["classes"] = ["smooth", "clump"]
    return path


def request(data: Path, out: Path, **changes: object) -> TrainRequest:
    base = TrainRequest(
        (data,), out, architecture="test_resnet", epochs=12, batch_size=16, learning_rate=5e-3, channels=("stretch",),
        only="smooth", device="cpu", threads=1, precision="float32",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(rings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    list(train(request(rings, out)))
    return out


@pytest.fixture(scope="module")
def stamps(rings: Path) -> tuple[np.ndarray, np.ndarray]:
    with h5py.File(rings) as file:
        return file["cutouts"][:80], file["label"][:80]


def test_it_is_trained_on_its_class_alone_and_surprised_by_the_other(trained: Path) -> None:
    card = load_card(trained)
    assert card.classes == ("smooth",)
    assert card.training["train_examples"] + card.training["validation_examples"] < 300
    assert card.metrics["auc"] > 0.95
    assert card.metrics["auc"] == card.metrics["auc_clump"]
    assert card.metrics["auc_low"] <= card.metrics["auc"] <= card.metrics["auc_high"]
    assert card.history[-1]["likelihood"] > card.history[0]["likelihood"]


def test_the_anomaly_is_in_units_of_the_scatter_of_the_class(trained: Path, stamps: tuple) -> None:
    pixels, label = stamps[0].copy(), stamps[1]
    pixels[0] = np.nan
    model = load_model(trained, device="cpu")
    assert isinstance(model, AnomalyDetector)
    found = model.estimate(Cutouts(pixels, (0.1,), ("any",), np.zeros((len(pixels), 2))), views=4)
    assert found.names == ("anomaly",)
    assert np.isnan(found.value[0, 0])
    smooth, clump = found.value[1:][label[1:] == 0, 0], found.value[1:][label[1:] == 1, 0]
    assert abs(np.median(smooth)) < 2
    assert np.median(clump) > 3


def test_the_residual_shows_where(trained: Path, stamps: tuple) -> None:
    model = load_model(trained, device="cpu")
    assert isinstance(model, AnomalyDetector)
    residuals = model.residuals(stamps[0])
    assert residuals.shape == (80, 1, 1, SIZE, SIZE)
    mean = residuals[stamps[1] == 1].mean((0, 1, 2))
    _, x = np.unravel_index(mean.argmax(), mean.shape)
    assert x == pytest.approx((SIZE - 1) / 2 + 6, abs=2)


def test_it_resumes_to_the_same_weights(rings: Path, tmp_path: Path) -> None:
    list(train(request(rings, tmp_path / "whole", epochs=2)))
    job = train(request(rings, tmp_path / "stopped", epochs=2))
    for step in job:
        if step.items:
            break
    job.close()  # type: ignore[attr-defined]
    list(train(request(rings, tmp_path / "stopped", epochs=2, resume=True)))
    one, other = (load_card(tmp_path / name).weights_sha256 for name in ("whole", "stopped"))
    assert one == other


def test_stamps_get_their_anomaly_on_the_command_line(trained: Path, stamps: tuple, tmp_path: Path) -> None:
    fits.writeto(tmp_path / "stamp.fits", stamps[0][3, 0, 0])
    out = tmp_path / "anomaly.csv"
    options = ["--model", str(trained), "--out", str(out), "--pixel-scale", "0.1", "--quiet"]
    result = CliRunner().invoke(app, ["score", str(tmp_path / "stamp.fits"), *options])
    assert result.exit_code == 0, result.output
    heading, row = (line.split(",") for line in out.read_text().splitlines())
    assert heading == ["file", "plane", "anomaly", "anomaly_error"]
    assert float(row[2]) > 1


def test_it_gives_no_score_and_joins_no_committee(trained: Path, rings: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unlike its class"):
        load_classifier(trained)
    with pytest.raises(ModelError, match="one class alone"):
        list(form_committee(CommitteeRequest((trained, trained), (rings,), tmp_path / "two")))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"only": "bumpy"}, DataError, "no class 'bumpy': choose of smooth, clump"),
        ({"balance": "weights"}, ModelError, "without balance"),
        ({"loss": "focal"}, ModelError, "without loss"),
        ({"architecture": "test_resnet+test_resnet"}, ModelError, "name one"),
    ],
)
def test_what_cannot_be_is_refused(
    rings: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(train(request(rings, tmp_path, **change)))


def test_a_network_without_a_feature_map_is_refused() -> None:
    with pytest.raises(ModelError, match="no feature map: choose a convolutional one"):
        build_network("test_vit", in_channels=1, scales=1, outputs=1, size=32, one_class=True)


def test_the_surprise_is_the_mean_over_pixels_whatever_the_batch() -> None:
    torch.manual_seed(0)
    network = build_network("test_resnet", in_channels=1, scales=2, outputs=1, size=SIZE, one_class=True).eval()
    assert isinstance(network, Reconstruction)
    pixels = torch.randn(3, 2, 1, SIZE, SIZE)
    with torch.no_grad():
        surprise = network(pixels)
        torch.testing.assert_close(surprise[1:2], network(pixels[1:2]), rtol=1e-4, atol=1e-5)
        mean, log_variance = network.reconstruct(pixels[0])
    assert mean.shape == log_variance.shape == pixels[0].shape
    expected = 0.5 * ((pixels[0] - mean) ** 2 / log_variance.exp() + log_variance).mean()
    torch.testing.assert_close(surprise[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_the_page_of_misses_draws_what_is_left_unexplained(trained: Path, rings: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    *_, last = evaluate(EvaluateRequest(trained, (rings,), tmp_path, repeats=10, misses=2, device="cpu", threads=1))
    assert torch.get_num_threads() == before
    panel = sheet_of(last.items[0], load_model(trained, device="cpu"), 40)
    assert "what smooth leaves unexplained" in panel.caption
    clumps = dict(panel.draw.groups)["Lowest-scored: other than smooth"]  # type: ignore[attr-defined]
    maps = np.stack([stamp.saliency for stamp in clumps])
    assert len(maps) > 5
    assert (maps.max((1, 2, 3)) == 1).all()
    _, x = np.unravel_index(maps.mean((0, 1)).argmax(), (SIZE, SIZE))
    assert x == pytest.approx((SIZE - 1) / 2 + 6, abs=2)  # where the clumps are
