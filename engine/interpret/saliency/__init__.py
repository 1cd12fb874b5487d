"""Saliency methods by name: which pixels made the network say what it said.

To add one: a file with ``explain(classifier, cutouts, *, target=None) -> Saliency``, and a line in ``METHODS``.
"""

from collections.abc import Mapping

from engine.interpret.saliency import gradcam, integrated_gradients, occlusion
from engine.interpret.saliency.base import Explain

METHODS: Mapping[str, Explain] = {
    "gradcam": gradcam.explain,
    "integrated_gradients": integrated_gradients.explain,
    "occlusion": occlusion.explain,
}

__all__ = ["METHODS", "Explain"]
