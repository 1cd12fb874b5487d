"""Batch norms folded into the convolutions before them: the same numbers, without a pass over every feature map."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_Network = TypeVar("_Network", bound=nn.Module)
_SAME = 1e-3  # of the largest output


def folded(network: _Network, example: Tensor) -> _Network:
    """A copy of a network for inference alone, whose batch norms are folded where they follow a convolution.

    The network itself is returned where the copy would not give the same for ``example``, a batch it can take.
    """
    network.eval()
    made = copy.deepcopy(network)
    parents = {child: (parent, name) for parent in made.modules() for name, child in parent.named_children()}
    for convolution, norm in _pairs(made, example):
        _fold(convolution, norm)
        parent, name = parents[norm]
        # timm's batch norms carry the activation that follows.
        setattr(parent, name, nn.Sequential(*(part for key, part in norm.named_children() if key in ("drop", "act"))))
    with torch.inference_mode():
        expected, found = network(example), made(example)
    same = (found - expected).abs().max() <= _SAME * expected.abs().max()
    return made if same else network


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and the batch norms that take what they give, each used once."""
    outputs: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # the tensors are kept: a number may not be given twice
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def convolved(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        outputs[id(output)] = output, module

    def normed(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if id(inputs[0]) in outputs:
            found.append((outputs[id(inputs[0])][1], module))

    hooks = [part.register_forward_hook(convolved) for part in network.modules() if isinstance(part, nn.Conv2d)]
    hooks += [part.register_forward_pre_hook(normed) for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    used = [part for pair in found for part in pair]
    return [pair for pair in found if all(used.count(part) == 1 for part in pair)]


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
