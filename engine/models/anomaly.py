"""Networks that know one class alone, and say how much a stamp surprises them.

A backbone squeezes a stamp into a few numbers, from which a decoder draws it again: the expected brightness of every
pixel and its scatter. What the class does not explain stays in the residual. The surprise is the mean negative
log-likelihood a pixel, so noise that is expected to be large counts little.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.device import autocast
from engine.errors import ModelError
from engine.models.build import backbone_for
from engine.models.predict import Predictor, has_data
from engine.types import Cutouts, Estimates, FloatArray

LATENT = 24
"""How many numbers a stamp is squeezed into: enough for lens, source and exposure, not for each clump of mass."""
_WIDTHS = (64, 64, 48, 32, 16)  # of the decoder, from coarse to fine; each step doubles the pixels
_LOG_VARIANCE = (-8.0, 4.0)


class Reconstruction(nn.Module):
    """Encoder on a timm backbone, bottleneck, decoder; gives the surprise (n, 1) of prepared stamps."""

    def __init__(self, backbone: Any, *, size: int, channels: int, latent: int = LATENT) -> None:
        super().__init__()
        self.backbone, self.size = backbone, size
        shape = _feature_shape(backbone, size, channels)
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
        drawn = self.draw(self.decode(code).reshape(len(images), _WIDTHS[0], self.side, self.side)).float()
        mean, log_variance = drawn[..., : self.size, : self.size].chunk(2, 1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def forward(self, pixels: Tensor) -> Tensor:
        """Mean negative log-likelihood a pixel, (n, 1), of prepared pixels (n, scale, channel, y, x)."""
        images = pixels.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        mean, log_variance = self.reconstruct(images)
        with torch.autocast(images.device.type, enabled=False):
            each = functional.gaussian_nll_loss(mean, images.float(), log_variance.exp(), reduction="none")
            return each.mean((1, 2, 3)).reshape(len(pixels), -1).mean(1, keepdim=True)


class AnomalyDetector(Predictor):
    """A network of one class: how unlike it a stamp is, and where."""

    def estimate(self, cutouts: Cutouts, *, views: int = 1) -> Estimates:
        """How far the surprise of stamps lies above that of held-out examples of the class, in their scatter.

        The error is the scatter over views. Stamps without any data are NaN.

        Raises
        ------
        ModelError
            Stamps of another size, pixel scale or bands than the model takes.
        """
        self._check(cutouts)
        mean, scatter = (self.card.calibration.get(key, other) for key, other in (("mean", 0.0), ("scatter", 1.0)))
        each = (self._view_logits(cutouts.pixels, views) - mean) / scatter
        value, sigma = each.mean(0), each.std(0)
        blind = ~has_data(cutouts.pixels)
        value[blind] = sigma[blind] = np.nan
        return Estimates(("anomaly",), value, sigma)

    def residuals(self, pixels: FloatArray) -> NDArray[np.float32]:
        """Stamps minus what the class explains of them, in units of the expected scatter.

        ``pixels`` is (n, scale, band, y, x); the residuals are (n, scale, channel, y, x).
        """
        prepared = self.prepared(pixels)
        with torch.inference_mode(), autocast(self.device):
            images = prepared.flatten(0, 1)
            mean, log_variance = self.network.reconstruct(images)
            found = (images - mean) * torch.exp(-0.5 * log_variance)
        return np.asarray(found.reshape(prepared.shape).float().cpu())


def build_anomaly(architecture: str, *, in_channels: int, size: int, pretrained: Any = None) -> Reconstruction:
    """A network of one class on any timm backbone whose features are a map.

    Raises
    ------
    ModelError
        Unknown architecture, or one that does not work at this size.
    """
    if "+" in architecture or "@" in architecture:
        raise ModelError(f"a model of one class is built on one network as it is, not {architecture}: name one")
    backbone = backbone_for(architecture, in_channels=in_channels, size=size, pretrained=pretrained)
    return Reconstruction(backbone, size=size, channels=in_channels).to(memory_format=torch.channels_last)


def _doubled(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _feature_shape(backbone: Any, size: int, channels: int) -> torch.Size:
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone.forward_features(torch.zeros(1, channels, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ModelError(f"this architecture does not work on stamps of {size} px: choose another") from error
    backbone.train(training)
    if features.ndim != 4 or getattr(backbone, "output_fmt", "NCHW") != "NCHW":
        raise ModelError("this architecture has no feature map: choose a convolutional one, such as resnet18")
    return torch.Size(features.shape[1:])
