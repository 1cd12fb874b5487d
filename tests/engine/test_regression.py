"""Values instead of classes: what is learned of a truth table, how well, and what the model says of a stamp."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from engine.errors import DataError, ModelError
from engine.models.card import denormalised, load_card, normalised
from engine.models.predict import Regressor, load_classifier, load_model
from engine.train import metrics
from engine.train.batches import prepared_path
from engine.train.committee import CommitteeRequest, form_committee
from engine.train.data import open_for, open_training_set
from engine.train.loop import TrainRequest, train
from engine.train.losses import VALUE_LOSSES, make_loss
from engine.types import Cutouts

SIZE = 16


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs whose width is the value to learn, in pixels; every tenth has none."""
    path = tmp_path_factory.mktemp("blobs") / "blobs.h5"
    random = np.random.default_rng(3)
    count = 240
    width = random.uniform(1.0, 4.0, count)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    stamps = np.exp(-(x**2 + y**2) / (2 * width[:, None, None] ** 2)) + random.normal(0, 0.02, (count, SIZE, SIZE))
    value = np.where(np.arange(count) % 10 == 9, np.nan, 100 + width)
    with h5py.File(path, "w") as file:
        cutouts = file.create_dataset("cutouts", data=stamps[:, None, None].astype(np.float32))
        cutouts.attrs.update(pixel_scales=[0.1], bands=["any"])
        file.create_dataset("label", data=np.zeros(count, np.int8)).attrs["classes"] = ["lens"]
        file["truth/width"] = value
        file["truth/constant"] = np.ones(count)
        file["truth/twice"] = 2 * value
    return path


def request(data: Path, out: Path, **changes: object) -> TrainRequest:
    base = TrainRequest(
        (data,), out, architecture="test_resnet", epochs=4, batch_size=16, learning_rate=3e-3, channels=("linear",),
        targets=("width",), device="cpu", threads=1, precision="float32", task="width",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(blobs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    list(train(request(blobs, out, epochs=8)))
    return out


def test_a_regression_learns_the_value_in_its_own_units(trained: Path, blobs: Path) -> None:
    card = load_card(trained)
    assert card.classes == ()
    assert list(card.targets) == ["width"]
    assert card.targets["width"]["mean"] == pytest.approx(102.5, abs=0.2)
    assert card.metrics["r2"] > 0.8
    assert card.metrics["r2_low"] < card.metrics["r2"] < card.metrics["r2_high"]
    assert card.metrics["mse"] == pytest.approx((1 - card.metrics["r2"]) * 0.75, rel=0.6)
    assert {"mae", "bias", "loss"} <= set(card.history[0])
    assert card.training["loss"] == "MSELoss"
    counted = sum(card.training[f"{part}_examples"] for part in ("train", "validation", "test"))
    assert counted == 216  # those without a value are left out


def test_the_model_gives_values_and_the_error_to_expect(trained: Path, blobs: Path) -> None:
    model = load_model(trained, device="cpu")
    assert isinstance(model, Regressor)
    with h5py.File(blobs) as file:
        pixels, value = file["cutouts"][:40].copy(), file["truth/width"][:40]
    pixels[0] = np.nan
    found = model.estimate(Cutouts(pixels, (0.1,), ("any",), np.zeros((40, 2))), views=4)
    assert found.names == ("width",)
    assert found.value.shape == found.sigma.shape == (40, 1)
    assert np.isnan(found.value[0]).all()
    good = np.isfinite(value) & (np.arange(40) > 0)
    assert np.corrcoef(found.value[good, 0], value[good])[0, 1] > 0.9
    assert (found.sigma[good, 0] >= model.card.calibration["sigma_width"]).all()


def test_a_regression_gives_no_score(trained: Path) -> None:
    with pytest.raises(ModelError, match="gives width, no score"):
        load_classifier(trained)


def test_it_resumes_to_the_same_weights(blobs: Path, tmp_path: Path) -> None:
    list(train(request(blobs, tmp_path / "whole", epochs=2)))
    job = train(request(blobs, tmp_path / "stopped", epochs=2))
    for step in job:
        if step.items:  # the first epoch is done
            break
    job.close()  # type: ignore[attr-defined]
    list(train(request(blobs, tmp_path / "stopped", epochs=2, resume=True)))
    one, other = (load_card(tmp_path / name).weights_sha256 for name in ("whole", "stopped"))
    assert one == other


def test_several_targets_and_another_loss(blobs: Path, tmp_path: Path) -> None:
    list(train(request(blobs, tmp_path, targets=("width", "twice"), loss="HuberLoss", settings=("loss.delta=0.5",))))
    card = load_card(tmp_path)
    assert list(card.targets) == ["width", "twice"]
    assert card.metrics["r2"] == pytest.approx((card.metrics["r2_width"] + card.metrics["r2_twice"]) / 2)
    assert card.metrics["mse_twice"] > card.metrics["mse_width"]


def test_a_committee_of_regressions_speaks_one_unit(blobs: Path, trained: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.h5"
    with h5py.File(blobs) as file, h5py.File(half, "w") as part:
        for name in ("cutouts", "label", "truth/width"):
            made = part.create_dataset(name, data=file[name][:200])
            made.attrs.update(dict(file[name].attrs))
    list(train(request(half, tmp_path / "one", seed=1)))
    members = (trained, tmp_path / "one")
    list(form_committee(CommitteeRequest(members, (blobs,), tmp_path / "both", device="cpu", threads=1)))
    joined = load_model(tmp_path / "both", device="cpu")
    with h5py.File(blobs) as file:
        cutouts = Cutouts(file["cutouts"][:8], (0.1,), ("any",), np.zeros((8, 2)))
    alone = [load_model(folder, device="cpu") for folder in members]
    assert isinstance(joined, Regressor)
    mean = np.mean([model.estimate(cutouts).value for model in alone if isinstance(model, Regressor)], 0)
    np.testing.assert_allclose(joined.estimate(cutouts).value, mean, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": ("mass",)}, "no column 'mass'.*width"),
        ({"targets": ("constant",)}, "is 1 in every example"),
        ({"targets": ()}, "nothing to tell apart.*constant, twice, width"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(
    blobs: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        list(train(request(blobs, tmp_path, **change)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "focal"}, "unknown loss"),
        ({"balance": "sampler"}, "no classes to balance"),
        ({"prior": 0.1}, "no prior"),
        ({"targets": (), "loss": "MSELoss"}, "unknown loss"),
    ],
)
def test_settings_of_classes_are_refused(blobs: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        list(train(request(blobs, tmp_path, **change)))


@pytest.mark.parametrize("name", VALUE_LOSSES)
def test_losses_of_values_are_least_at_the_truth(name: str) -> None:
    loss = make_loss(name, classes=0)
    truth = torch.tensor([[0.5], [-2.0]])
    assert loss(truth, truth, None) == 0
    assert loss(truth + 0.1, truth, None) > 0


def test_metrics_of_values_have_known_answers() -> None:
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    mean = metrics.regression_metrics(truth, np.full(4, 1.5))
    assert mean == {"mse": 1.25, "mae": 1.0, "r2": 0.0, "bias": 0.0}
    assert metrics.regression_metrics(truth, truth + 0.5) == {"mse": 0.25, "mae": 0.5, "r2": 0.8, "bias": 0.5}
    with pytest.raises(DataError, match="not numbers"):
        metrics.regression_metrics(truth, np.array([0, 1, 2, np.nan]))
    low, high = metrics.bootstrap(metrics.r_squared, truth, truth + 0.1)
    assert low <= metrics.r_squared(truth, truth + 0.1) <= high


def test_units_go_there_and_back() -> None:
    targets = {"a": {"mean": 3.0, "scale": 0.5}, "b": {"mean": -1.0, "scale": 10.0}}
    values = np.array([[3.5, 9.0], [3.0, -1.0]])
    np.testing.assert_allclose(normalised(values, targets), [[1, 1], [0, 0]])
    np.testing.assert_allclose(denormalised(normalised(values, targets), targets), values)


def test_prepared_stamps_of_a_part_are_told_from_those_of_the_whole(blobs: Path, tmp_path: Path) -> None:
    whole = open_training_set((blobs,))
    part = open_for((blobs,), bands=("any",), targets=("width",))
    assert len(part) == 216 < len(whole)
    assert prepared_path(whole, ("linear",), tmp_path) != prepared_path(part, ("linear",), tmp_path)


def test_stamps_get_a_column_for_each_value(trained: Path, blobs: Path, tmp_path: Path) -> None:
    from astropy.io import fits
    from typer.testing import CliRunner

    from engine.cli import app

    with h5py.File(blobs) as file:
        fits.writeto(tmp_path / "stamp.fits", file["cutouts"][0, 0, 0])
        width = file["truth/width"][0]
    out = tmp_path / "values.csv"
    options = ["--model", str(trained), "--out", str(out), "--pixel-scale", "0.1", "--quiet"]
    result = CliRunner().invoke(app, ["score", str(tmp_path / "stamp.fits"), *options])
    assert result.exit_code == 0, result.output
    heading, row = (line.split(",") for line in out.read_text().splitlines())
    assert heading == ["file", "plane", "width", "width_error"]
    assert float(row[2]) == pytest.approx(width, abs=5 * float(row[3]))
