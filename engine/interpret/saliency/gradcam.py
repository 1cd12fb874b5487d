"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): where the features that speak for the class are.

Coarse (some eight cells across the stamp), fast, and hard to fool by noise. The last features of a small stamp are
only two cells wide: there, those of the deepest stage of the backbone that still has eight are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn.functional import interpolate

from engine.interpret.saliency.base import finish, gradients, network_input, output_index
from engine.models.build import Committee, Network
from engine.models.over import Over
from engine.types import Cutouts, Saliency

if TYPE_CHECKING:
    from engine.models.predict import Classifier


FEWEST_CELLS = 8


def explain(classifier: Classifier, cutouts: Cutouts, *, target: str | None = None) -> Saliency:
    """Explain the score of one stamp by a feature map of the network (see engine.interpret.saliency.base.Explain)."""
    card, network = classifier.card, classifier.network
    pixels = network_input(classifier, cutouts)
    index, sign = output_index(card, target)
    n, scales, _, *size = pixels.shape
    with gradients():
        total = torch.zeros(n, scales, *size, device=pixels.device)
        for member in network.members if isinstance(network, Committee) else (network,):
            method = LayerGradCam(lambda x, member=member: sign * member(x), explained_layer(member, size[0]))
            coarse = method.attribute(pixels, target=index, relu_attributions=True)
            fine = interpolate(coarse, size=size, mode="bilinear", align_corners=False)
            total += fine.reshape(n, -1, scales, *size).mean(1).detach()  # over the looks of a network that has several
    return finish(total.cpu().numpy(), cutouts, card, "gradcam", target)


def explained_layer(network: Network | Over, size: int) -> nn.Module:
    """The deepest stage of a convolutional backbone with FEWEST_CELLS across a stamp; else its last map."""
    if isinstance(network, Over):
        return explained_layer(network.below, size)
    stages = getattr(network.backbone, "feature_info", None) or []
    size = size if network.fitting is None else network.fitting.side
    for stage in reversed(list(stages)) if network.layout == "NCHW" else ():
        modules: dict[str, nn.Module] = dict(network.backbone.named_modules())
        if size // stage["reduction"] >= FEWEST_CELLS and stage["module"] in modules:
            return modules[stage["module"]]
    return network.feature_map
