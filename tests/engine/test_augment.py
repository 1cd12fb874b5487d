"""What is changed of stamps in training, and in which precision they are learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.models.card import load_card
from engine.models.predict import load_classifier
from engine.train.augment import blurred
from engine.train.checkpoint import load_state
from engine.train.course import CHECKPOINT
from engine.train.loop import train
from engine.train.request import TrainRequest
from tests.engine.test_train import write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "rings.h5")


def test_added_seeing_keeps_flux_and_noise() -> None:
    random = np.random.default_rng(2)
    y, x = np.mgrid[:64, :64] - 31.5
    star = 400 * np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    stamps = (star + random.normal(10, 1, (64, 2, 1, 64, 64))).astype(np.float32)
    stamps[0, :, :, :5] = np.nan
    seen = blurred(stamps, (0.2, 0.4), np.random.default_rng(3), 1.5)
    np.testing.assert_array_equal(np.isnan(seen), np.isnan(stamps))
    corner = (slice(1, None), 0, 0, slice(44, None), slice(44, None))
    assert seen[corner].std() == pytest.approx(1.0, abs=0.05)
    inside = (slice(1, None), 0, 0, slice(16, 48), slice(16, 48))
    before, after = ((pixels[inside] - 10).sum((1, 2)) for pixels in (stamps, seen))
    assert after.mean() == pytest.approx(before.mean(), rel=0.01)
    # The widths add in quadrature: the mean variance of the added Gaussians is that of a uniform FWHM.
    profile = (seen[1:, 0, 0] - 10).mean(0).clip(5, None) - 5
    widened = (profile * x**2).sum() / profile.sum()
    assert widened > 1.3 * 1.5**2
    assert (blurred(stamps[1:], (0.2, 0.4), np.random.default_rng(3), 0.0) == stamps[1:]).all()


def test_scales_are_blurred_by_the_same_angle() -> None:
    point = np.zeros((1, 2, 1, 41, 41), np.float32)
    point[..., 20, 20] = 1
    seen = blurred(point, (0.1, 0.2), np.random.default_rng(1), 2.0)[0, :, 0]
    x = np.arange(41) - 20
    fine, coarse = (np.sqrt((image.sum(0) * x**2).sum()) for image in seen)
    assert fine == pytest.approx(2 * coarse, rel=0.05)


def test_float16_is_scaled_and_resumes_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    base = TrainRequest((data,), tmp_path / "whole", architecture="test_resnet", epochs=2, batch_size=16,
                        device="cpu", threads=1, precision="float16", blur=0.5)  # fmt: skip
    list(train(base))
    other = replace(base, out=tmp_path / "stopped")
    job = train(other)
    for step in job:
        if step.items:
            break
    job.close()  # type: ignore[attr-defined]
    list(train(replace(other, resume=True)))
    assert len({load_card(tmp_path / name).weights_sha256 for name in ("whole", "stopped")}) == 1
    assert load_state(tmp_path / "whole" / CHECKPOINT)["scaler"]["scale"] > 1


def test_a_compiled_network_keeps_the_names_of_its_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.Module.compile", lambda self: compiled.append(self))
    compiled: list[object] = []
    request = TrainRequest((data,), tmp_path, architecture="test_resnet", epochs=1, batch_size=16, device="cpu",
                           threads=1, precision="float32", compiled=True)  # fmt: skip
    list(train(request))
    assert len(compiled) == 1
    load_classifier(tmp_path)
