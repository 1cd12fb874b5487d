"""Backbones: timm's networks without their heads, for the channels and the size of our stamps."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

import engine.models.narrow  # noqa: F401  # makes its networks known to timm
from engine.errors import ModelError


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


def seen_by(backbone: Any, size: int, in_channels: int) -> tuple[Tensor, Tensor]:
    """The last features and the pooled ones that a backbone makes of an empty stamp.

    Raises
    ------
    ModelError
        A backbone that does not work at this size.
    """
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone.forward_features(torch.zeros(1, in_channels, size, size))
            pooled = backbone.forward_head(features)
    except (RuntimeError, AssertionError, AttributeError, ValueError, TypeError) as error:
        name = str(getattr(backbone, "pretrained_cfg", {}).get("architecture", type(backbone).__name__))
        message = f"{name} does not work on stamps of {size} px ({_first_line(error)})"
        raise ModelError(f"{message}: choose another architecture or a larger stamp{_or_resize(name, size)}") from error
    backbone.train(training)
    return features, pooled


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
