"""Networks that know one class alone, and say how much a stamp surprises them.

A backbone squeezes a stamp into a few numbers, from which a decoder draws it again: the expected brightness of every
pixel and its scatter. What the class does not explain stays in the residual. The surprise is the mean negative
log-likelihood a pixel, so noise that is expected to be large counts little.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import ModelError
from engine.models.backbone import seen_by

LATENT = 24
"""How many numbers a stamp is squeezed into: enough for lens, source and exposure, not for each clump of mass."""
_WIDTHS = (64, 64, 48, 32, 16)  # of the decoder, from coarse to fine; each step doubles the pixels
_LOG_VARIANCE = (-8.0, 4.0)


class Reconstruction(nn.Module):
    """Encoder on a timm backbone, bottleneck, decoder; gives the surprise (n, 1) of prepared stamps."""

    def __init__(self, backbone: Any, *, size: int, channels: int, latent: int = LATENT) -> None:
        super().__init__()
        self.backbone, self.size = backbone, size
        features, _ = seen_by(backbone, size, channels)
        if features.ndim != 4 or getattr(backbone, "output_fmt", "NCHW") != "NCHW":
            raise ModelError("this architecture has no feature map: choose a convolutional one, such as resnet18")
        shape = features.shape[1:]
        self.squeeze = nn.Conv2d(shape[0], 16, 1)
        self.encode = nn.Linear(16 * shape[1] * shape[2], latent)
        self.side = -(-size // 2 ** (len(_WIDTHS) - 1))
        self.decode = nn.Linear(latent, _WIDTHS[0] * self.side**2)
        steps = [_doubled(before, after) for before, after in itertools.pairwise(_WIDTHS)]
        self.draw = nn.Sequential(*steps, nn.Conv2d(_WIDTHS[-1], 2 * channels, 3, padding=1))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Expected brightness and logarithm of its variance, both shaped as the images (n, channel, y, x)."""
        features = self.squeeze(self.backbone.forward_features(images))
        code = self.encode(features.flatten(1))
        drawn = self.draw(self.decode(code).reshape(images.shape[0], _WIDTHS[0], self.side, self.side)).float()
        mean, log_variance = drawn[..., : self.size, : self.size].chunk(2, 1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def forward(self, pixels: Tensor) -> Tensor:
        """Mean negative log-likelihood a pixel, (n, 1), of prepared pixels (n, scale, channel, y, x)."""
        images = pixels.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        mean, log_variance = self.reconstruct(images)
        with torch.autocast(images.device.type, enabled=False):
            each = functional.gaussian_nll_loss(mean, images.float(), log_variance.exp(), reduction="none")
            return each.mean((1, 2, 3)).reshape(pixels.shape[0], -1).mean(1, keepdim=True)


def _doubled(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
