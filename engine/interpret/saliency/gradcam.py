"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): where the last features that speak for the class are.

Coarse (a few cells across the stamp), fast, and hard to fool by noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from captum.attr import LayerGradCam
from torch.nn.functional import interpolate

from engine.interpret.saliency.base import finish, gradients, network_input, output_index
from engine.types import Cutouts, Saliency

if TYPE_CHECKING:
    from engine.models.predict import Classifier


def explain(classifier: Classifier, cutouts: Cutouts, *, target: str | None = None) -> Saliency:
    """Explain the score of one stamp by the network's last feature map (see engine.interpret.saliency.base.Explain)."""
    card, network = classifier.card, classifier.network
    pixels = network_input(classifier, cutouts)
    index, sign = output_index(card, target)
    n, scales, _, *size = pixels.shape
    with gradients():
        total = torch.zeros(n, scales, *size, device=pixels.device)
        for member in getattr(network, "members", (network,)):
            method = LayerGradCam(lambda x, member=member: sign * member(x), member.feature_map)
            coarse = method.attribute(pixels, target=index, relu_attributions=True)
            fine = interpolate(coarse, size=size, mode="bilinear", align_corners=False)
            total += fine.reshape(n, scales, *size).detach()
    return finish(total.cpu().numpy(), cutouts, card, "gradcam", target)
