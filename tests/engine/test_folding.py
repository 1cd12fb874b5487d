"""Batch norms folded into convolutions: the same outputs, from a copy, or the network as it was."""

import pytest
import torch
from torch import Tensor, nn

from engine.models.folding import folded
from engine.models.heatmap import build_heatmap


def lived_in(network: nn.Module) -> nn.Module:
    """A network whose batch norms have seen something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("architecture", ["lean_resnet", "mobilenetv3_small_050", "convnext_atto"])
def test_a_folded_network_gives_the_same(architecture: str) -> None:
    torch.manual_seed(1)
    network = lived_in(build_heatmap(architecture, in_channels=2))
    nn.init.normal_(network.out.weight, std=0.8)
    pixels, had = torch.randn(2, 2, 128, 192), norms(network)
    with torch.inference_mode():
        expected = network(pixels)
        made = folded(network, pixels[:1, :, :64, :64])
        torch.testing.assert_close(made(pixels), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network(pixels), expected, rtol=0, atol=0)
    assert norms(made) == 0 < had == norms(network)


class Shared(nn.Module):
    """A convolution whose output is also used without its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)

    def forward(self, pixels: Tensor) -> Tensor:
        seen = self.convolution(pixels)
        return seen + self.norm(seen)


class Twice(nn.Module):
    """A convolution that is used twice, each time with a batch norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.first, self.second = nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.second(self.convolution(self.first(self.convolution(pixels))))


@pytest.mark.parametrize("kind", [Shared, Twice])
def test_what_cannot_be_folded_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(1)
    network = lived_in(kind())
    pixels, had = torch.randn(1, 1, 16, 16), norms(network)
    with torch.inference_mode():
        expected = network(pixels)
        made = folded(network, pixels)
        torch.testing.assert_close(made(pixels), expected, rtol=0, atol=0)
    assert norms(made) == had
