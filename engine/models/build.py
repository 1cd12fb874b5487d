"""Networks: one timm backbone for every scale of a stamp, a linear head over what it saw at all of them.

Any timm architecture works by its name; ``resnet18@3x224`` repeats channels and resizes stamps for it
(engine.models.fitting). Names joined by ``+`` make a committee whose logits are averaged.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

import engine.models.narrow  # noqa: F401  # makes its networks known to timm
from engine.errors import ModelError
from engine.models.fitting import Fitting, split_architecture


class Network(nn.Module):
    """Backbone, pooled features concatenated over the scales, dropout, linear head.

    ``feature_map`` is an identity that the last features pass through as (n * scale, channel, y, x), whatever the
    backbone's own layout (scale runs fastest): hook it for Grad-CAM.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        scales: int,
        outputs: int,
        size: int,
        in_channels: int,
        drop_rate: float,
        fitting: Fitting | None = None,
    ) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.fitting = fitting
        self.feature_map = nn.Identity()
        self.drop = nn.Dropout(drop_rate)
        self.layout, self.prefix_tokens, width = _probe(self.backbone, size, in_channels)
        self.head = nn.Linear(width * scales, outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, outputs) of prepared pixels (n, scale, channel, y, x)."""
        images = pixels.flatten(0, 1)
        if self.fitting is not None:
            images = self.fitting(images)
        images = images.contiguous(memory_format=torch.channels_last)
        features = self._watch(self.backbone.forward_features(images))
        pooled = self.backbone.forward_head(features)
        with torch.autocast(pooled.device.type, enabled=False):  # half precision would round logits to 1 in 250
            logits: Tensor = self.head(self.drop(pooled.reshape(len(pixels), -1).float()))
        return logits

    def _watch(self, features: Tensor) -> Tensor:
        if self.layout == "NCHW":
            return torch.as_tensor(self.feature_map(features))
        if self.layout == "NHWC":
            return torch.as_tensor(self.feature_map(features.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        n, tokens, channels = features.shape
        side = math.isqrt(tokens - self.prefix_tokens)
        prefix, patches = features[:, : self.prefix_tokens], features[:, self.prefix_tokens :]
        seen = self.feature_map(patches.transpose(1, 2).reshape(n, channels, side, side))
        return torch.cat([prefix, seen.flatten(2).transpose(1, 2)], 1)


class Committee(nn.Module):
    """Networks trained apart, whose logits are averaged; their weights are named member0., member1. and so on."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        for index, member in enumerate(members):
            self.add_module(f"member{index}", member)

    @property
    def members(self) -> tuple[Network, ...]:
        """The networks, in order."""
        return tuple(module for module in self.children() if isinstance(module, Network))

    def forward(self, pixels: Tensor) -> Tensor:
        """Mean logits (n, outputs) of prepared pixels (n, scale, channel, y, x)."""
        return self.member_logits(pixels).mean(0)

    def member_logits(self, pixels: Tensor) -> Tensor:
        """Logits (member, n, outputs)."""
        return torch.stack([member(pixels) for member in self.members])


def build_network(
    architecture: str,
    *,
    in_channels: int,
    scales: int,
    outputs: int,
    size: int = 64,
    drop_rate: float = 0.0,
    pretrained: Path | str | None = None,
) -> Network | Committee:
    """Make a network that takes (n, scale, channel, size, size) and gives (n, outputs) logits.

    Parameters
    ----------
    architecture : a timm name, ``@`` and the input to fit stamps to if it needs one, or several joined by ``+`` for a
        committee
    in_channels, scales : channels of each scale, number of scales
    outputs : how many numbers it gives of a stamp (``outputs_for`` the classes, or one a target of a regression)
    size : stamp side in pixels, for the architectures built for one size (transformers)
    drop_rate : dropout before the head
    pretrained : a local timm checkpoint of the architecture, adapted to ``in_channels``; nothing is downloaded

    Raises
    ------
    ModelError
        Unknown architecture, one that does not work at this size, or a checkpoint that does not fit it.
    """
    members = []
    for text in architecture.split("+"):
        name, fitting = split_architecture(text)
        side, channels = (size, in_channels) if fitting is None else (fitting.side, fitting.channels_of(in_channels))
        members.append(
            Network(
                backbone_for(name, in_channels=channels, size=side, pretrained=pretrained),
                scales=scales,
                outputs=outputs,
                size=side,
                in_channels=channels,
                drop_rate=drop_rate,
                fitting=fitting,
            )
        )
    network = Committee(members) if len(members) > 1 else members[0]
    return network.to(memory_format=torch.channels_last)


def outputs_for(classes: int) -> int:
    """How many logits tell classes apart: two share one, that of the second class; more have one each."""
    return 1 if classes == 2 else classes


def backbone_for(name: str, *, in_channels: int, size: int, pretrained: Path | str | None) -> nn.Module:
    """timm's network of that name without its head, its first layer for ``in_channels``, its weights perhaps given.

    Raises
    ------
    ModelError
        Unknown architecture, one that cannot be built for this size, or a checkpoint that does not fit it.
    """
    if not timm.is_model(name):
        raise unknown_architecture(name)
    options: dict[str, Any] = {"num_classes": 0, "in_chans": in_channels}
    if pretrained is not None:
        if not Path(pretrained).is_file():
            raise ModelError(f"the checkpoint {pretrained} does not exist: give the path of a local timm checkpoint")
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(pretrained)}}
    try:
        backbone = _create(name, options, size)
        if getattr(backbone, "global_pool", None) == "token":
            # A class token hides from Grad-CAM what the patches said, and is no better under a fresh head.
            backbone = _create(name, options | {"global_pool": "avg"}, size)
    except (RuntimeError, AssertionError, ValueError, KeyError, SafetensorError) as error:
        cause = f"with the checkpoint {pretrained} " if pretrained is not None else ""
        message = f"{name} cannot be built {cause}for {size} px ({_first_line(error)})"
        raise ModelError(f"{message}: choose another{_or_resize(name, size)}") from error
    return backbone


def _or_resize(name: str, size: int) -> str:
    """How to ask for stamps resized to the input that an architecture was made for; nothing where they have it."""
    made_for = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if made_for is None or made_for.input_size[-1] == size:
        return ""
    return f", or write {name}@{made_for.input_size[-1]} to have stamps resized to what it was made for"


def unknown_architecture(name: str) -> ModelError:
    """What to say of a name timm does not know."""
    matches = difflib.get_close_matches(name, timm.list_models(), 3, 0.5)
    hint = f": did you mean {' or '.join(matches)}?" if matches else ": give a name that timm knows"
    return ModelError(f"unknown architecture {name!r}{hint}")


def _create(name: str, options: dict[str, Any], size: int) -> nn.Module:
    """Create with ``img_size``, which only architectures of a fixed input size take."""
    try:
        backbone: nn.Module = timm.create_model(name, img_size=size, **options)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        backbone = timm.create_model(name, **options)
    return backbone


def _probe(backbone: Any, size: int, in_channels: int) -> tuple[str, int, int]:
    """Layout of the last features, their prefix tokens, and the width of the pooled features."""
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone.forward_features(torch.zeros(1, in_channels, size, size))
            width = backbone.forward_head(features).shape[1]
    except (RuntimeError, AssertionError, AttributeError, ValueError, TypeError) as error:
        name = str(getattr(backbone, "pretrained_cfg", {}).get("architecture", type(backbone).__name__))
        message = f"{name} does not work on stamps of {size} px ({_first_line(error)})"
        raise ModelError(f"{message}: choose another architecture or a larger stamp{_or_resize(name, size)}") from error
    backbone.train(training)
    if features.ndim == 3:
        tokens = features.shape[1]
        return "NLC", int(getattr(backbone, "num_prefix_tokens", tokens - math.isqrt(tokens) ** 2)), width
    return ("NHWC" if getattr(backbone, "output_fmt", "NCHW") == "NHWC" else "NCHW"), 0, width


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
