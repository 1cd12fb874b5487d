"""Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901): how far the score falls when a patch of the stamp is blank sky.

It asks the network and nothing else, no gradients and no layer: slow, and hard to misread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from captum.attr import Occlusion
from scipy.ndimage import gaussian_filter

from engine.interpret.saliency.base import finish, network_input, output_index
from engine.types import Cutouts, Saliency

if TYPE_CHECKING:
    from engine.models.predict import Classifier

PATCHES = 5
"""Patches side by side across a stamp; they overlap by half."""
_BATCH = 16


def explain(classifier: Classifier, cutouts: Cutouts, *, target: str | None = None) -> Saliency:
    """Explain the score of one stamp by what hides it (see engine.interpret.saliency.base.Explain)."""
    card, network = classifier.card, classifier.network
    pixels = network_input(classifier, cutouts).detach()
    index, sign = output_index(card, target)
    channels, side = pixels.shape[2], -(-card.size // PATCHES)
    step = max(side // 2, 1)
    with torch.no_grad():
        method = Occlusion(lambda x: sign * network(x))
        falls = method.attribute(
            pixels,
            target=index,
            sliding_window_shapes=(1, channels, side, side),  # one scale at a time, in all channels at once
            strides=(1, channels, step, step),
            baselines=0,
            perturbations_per_eval=max(_BATCH // len(pixels), 1),
        )
    maps = falls.mean(dim=2).cpu().numpy()
    return finish(gaussian_filter(maps, (0, 0, step / 2, step / 2)), cutouts, card, "occlusion", target)
