"""Networks run the quickest way, and give the same by it."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import ModelError
from engine.models.build import build_network
from engine.models.predict import load_classifier
from engine.models.runtime import quickest
from engine.types import Cutouts


@pytest.fixture(autouse=True)
def _automatic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPLENSE_RUNTIME")


def stamps(count: int) -> Cutouts:
    """Stamps of noise, some with a smooth galaxy, as the bundled finder takes them."""
    random = np.random.default_rng(4)
    y, x = np.mgrid[-31.5:32, -31.5:32]
    pixels = random.normal(0, 1, (count, 2, 1, 64, 64)).astype(np.float32)
    pixels[::2] += 300 * np.exp(-np.hypot(x, y) / 4).astype(np.float32)
    return Cutouts(pixels, (0.1, 0.3), ("r",), np.zeros((count, 2)))


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_gives_the_scores_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stamps(24)
    expected = load_classifier("finder", device="cpu")
    monkeypatch.setenv("DEEPLENSE_RUNTIME", "openvino")
    quick = load_classifier("finder", device="cpu").quicken()
    np.testing.assert_allclose(quick.logits(seen.pixels), expected.logits(seen.pixels), atol=1e-2)
    assert quick.means == "OpenVINO on the processor, float32"
    assert expected.means == "PyTorch on the processor, float32"
    for views in (1, 8):
        one, other = quick.score(seen, views=views), expected.score(seen, views=views)
        np.testing.assert_allclose(one.score, other.score, atol=1e-3)
        np.testing.assert_allclose(one.spread, other.spread, atol=1e-3)


def test_openvino_is_asked_for_nothing_but_numbers() -> None:
    quickest(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), torch.randn(4, 1, 3, 3))
    assert "openvino_telemetry" not in sys.modules


@pytest.mark.parametrize("architecture", ["resnet10t", "efficientnet_b0", "vit_tiny_patch16_224", "resnet10t+resnet18"])
def test_the_quickest_way_gives_the_same(architecture: str) -> None:
    torch.manual_seed(1)
    network = build_network(architecture, in_channels=2, scales=2, outputs=1, size=64).eval()
    example = torch.randn(4, 2, 2, 64, 64)
    run, _ = quickest(network, example)
    with torch.inference_mode():
        for batch in (example, torch.randn(7, 2, 2, 64, 64)):
            expected = network(batch)
            torch.testing.assert_close(run(batch), expected, atol=float(2e-3 * expected.abs().max()), rtol=0)


class OneBatch(nn.Module):
    """A network whose trace holds for the batch it was traced with, and no other."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.reshape(len(pixels), -1)[:, :1] + torch.zeros(len(pixels), 1)


def test_what_holds_for_one_batch_is_not_used() -> None:
    run, by = quickest(OneBatch(), torch.randn(4, 1, 3, 3))
    assert by == "PyTorch"
    assert run(torch.randn(7, 1, 3, 3)).shape == (7, 1)


def test_without_openvino_torch_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    network, example = nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), torch.randn(4, 1, 3, 3)
    torch.testing.assert_close(quickest(network, example).run(example), network(example))
    monkeypatch.setenv("DEEPLENSE_RUNTIME", "openvino")
    with pytest.raises(ModelError, match=r"deeplense-gui\[cpu\]"):
        quickest(network, example)


def test_another_runtime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_RUNTIME", "abacus")
    with pytest.raises(ModelError, match="use torch or openvino"):
        quickest(nn.Flatten(), torch.randn(2, 3))
