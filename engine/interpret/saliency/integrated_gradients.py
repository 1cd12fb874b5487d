"""Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365): what each pixel adds on the way from empty sky.

Sharp where Grad-CAM is coarse. The baseline is zero, which is blank sky in every channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from captum.attr import IntegratedGradients
from scipy.ndimage import gaussian_filter

from engine.interpret.saliency.base import finish, gradients, network_input, output_index
from engine.types import Cutouts, Saliency

if TYPE_CHECKING:
    from engine.models.predict import Classifier

STEPS = 32
SMOOTHING = 1.0
"""Sigma in pixels: single pixels mean little, and neighbours of opposite sign cancel."""


def explain(classifier: Classifier, cutouts: Cutouts, *, target: str | None = None) -> Saliency:
    """Explain the score of one stamp pixel by pixel (see engine.interpret.saliency.base.Explain)."""
    card, network = classifier.card, classifier.network
    pixels = network_input(classifier, cutouts)
    index, sign = output_index(card, target)
    with gradients():
        steps = max(STEPS // len(pixels), 4)  # the average over bands needs fewer of each
        method = IntegratedGradients(lambda x: sign * network(x))
        shares = method.attribute(pixels, target=index, n_steps=steps, internal_batch_size=max(8, len(pixels)))
    maps = shares.sum(dim=2).detach().cpu().numpy()
    return finish(gaussian_filter(maps, (0, 0, SMOOTHING, SMOOTHING)), cutouts, card, "integrated_gradients", target)
