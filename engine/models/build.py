"""Networks: one timm backbone for every scale of a stamp, a linear head over what it saw at all of them.

Any timm architecture works by its name; ``resnet18@3x224`` repeats channels and resizes stamps for it
(engine.models.fitting); ``over:finder`` is a head over a model that is there (engine.models.over). Names joined by
``+`` make a committee whose logits are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ModelError
from engine.models.backbone import backbone_for, seen_by
from engine.models.fitting import Fitting, split_architecture
from engine.models.over import PREFIX, Over, below
from engine.models.reconstruction import Reconstruction
from engine.models.weights import fill


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
        features = self.features(pixels)
        with torch.autocast(features.device.type, enabled=False):  # half precision would round logits to 1 in 250
            logits: Tensor = self.head(self.drop(features))
        return logits

    def features(self, pixels: Tensor) -> Tensor:
        """What the backbone saw at all scales (n, scale * feature), of prepared pixels."""
        images = pixels.flatten(0, 1)
        if self.fitting is not None:
            images = self.fitting(images)
        images = images.contiguous(memory_format=torch.channels_last)
        features = self._watch(self.backbone.forward_features(images))
        pooled: Tensor = self.backbone.forward_head(features)
        return pooled.reshape(pixels.shape[0], -1).float()

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

    def __init__(self, members: Sequence[Network | Over]) -> None:
        super().__init__()
        for index, member in enumerate(members):
            self.add_module(f"member{index}", member)

    @property
    def members(self) -> tuple[Network | Over, ...]:
        """The networks, in order."""
        return tuple(module for module in self.children() if isinstance(module, Network | Over))

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
    one_class: bool = False,
) -> Network | Over | Committee | Reconstruction:
    """Make a network that takes (n, scale, channel, size, size) and gives (n, outputs) logits.

    Parameters
    ----------
    architecture : a timm name, ``@`` and the input to fit stamps to if it needs one; ``over:`` and a model; or several
        joined by ``+`` for a committee
    in_channels, scales : channels of each scale, number of scales
    outputs : how many numbers it gives of a stamp (``outputs_for`` the classes, or one a target of a regression)
    size : stamp side in pixels, for the architectures built for one size (transformers)
    drop_rate : dropout before the head
    pretrained : a local timm checkpoint of the architecture, adapted to ``in_channels``; nothing is downloaded
    one_class : draw stamps of one class again (engine.models.reconstruction); the one output is the surprise

    Raises
    ------
    ModelError
        Unknown architecture, one that does not work at this size, or a checkpoint that does not fit it.
    """
    if one_class:
        if "+" in architecture or "@" in architecture:
            raise ModelError(f"a model of one class is built on one network as it is, not {architecture}: name one")
        backbone = backbone_for(architecture, in_channels=in_channels, size=size, pretrained=pretrained)
        return Reconstruction(backbone, size=size, channels=in_channels).to(memory_format=torch.channels_last)
    members: list[Network | Over] = []
    for text in architecture.split("+"):
        if text.startswith(PREFIX):
            members.append(_over(text, in_channels=in_channels, outputs=outputs, drop_rate=drop_rate))
            continue
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


def _over(architecture: str, *, in_channels: int, outputs: int, drop_rate: float) -> Over:
    """A head over the trained network that its architecture names."""
    card, folder = below(architecture)
    channels = len(card.channels)
    network = build_network(
        card.architecture,
        in_channels=channels,
        scales=len(card.pixel_scales),
        outputs=outputs_for(len(card.classes)),
        size=card.size,
    )
    fill(network, card, folder)
    return Over(network, channels=channels, looks=in_channels // channels, outputs=outputs, drop_rate=drop_rate)


def outputs_for(classes: int) -> int:
    """How many logits tell classes apart: two share one, that of the second class; more have one each."""
    return 1 if classes == 2 else classes


def _probe(backbone: Any, size: int, in_channels: int) -> tuple[str, int, int]:
    """Layout of the last features, their prefix tokens, and the width of the pooled features."""
    features, pooled = seen_by(backbone, size, in_channels)
    width = pooled.shape[1]
    if features.ndim == 3:
        tokens = features.shape[1]
        return "NLC", int(getattr(backbone, "num_prefix_tokens", tokens - math.isqrt(tokens) ** 2)), width
    return ("NHWC" if getattr(backbone, "output_fmt", "NCHW") == "NHWC" else "NCHW"), 0, width
