"""What every saliency method shares: the prepared input, the output that is explained, and the finished maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.errors import ModelError
from engine.types import Cutouts, FloatArray, ModelCard, Saliency

if TYPE_CHECKING:
    from engine.models.predict import Classifier


class Explain(Protocol):
    """A saliency method."""

    def __call__(self, classifier: Classifier, cutouts: Cutouts, *, target: str | None = None) -> Saliency:
        """Explain the score of one stamp.

        Parameters
        ----------
        cutouts : a single stamp at the model's size, pixel scales and bands. For a model of any one band, each band of
            the stamp is explained alone and the maps are averaged, as the scores are.
        target : the class to explain; by default the last ("lens")

        Raises
        ------
        ModelError
            Not one stamp, the wrong bands, or a class the model does not know.
        """


def network_input(classifier: Classifier, cutouts: Cutouts) -> Tensor:
    """The stamp as the network sees it, (n, scale, channel, y, x), asking for gradients; n is 1, or one a band."""
    if len(cutouts) != 1:
        raise ModelError(f"Saliency explains one stamp at a time, not {len(cutouts)}: choose one.")
    card, pixels = classifier.card, cutouts.pixels
    if card.bands == ("any",):
        pixels = pixels.transpose(2, 1, 0, 3, 4)
        lit = np.isfinite(pixels).reshape(len(pixels), -1).any(axis=1)
        pixels = pixels[lit] if lit.any() else pixels[:1]
    elif cutouts.bands != card.bands:
        raise ModelError(
            f"The model '{card.name}' needs the bands {', '.join(card.bands)}, not {', '.join(cutouts.bands)}: "
            "cut the stamp in the bands of the model."
        )
    return classifier.prepared(np.ascontiguousarray(pixels)).requires_grad_()


def output_index(card: ModelCard, target: str | None) -> tuple[int, float]:
    """Which output of the network speaks for a class, and with which sign: two classes share one logit."""
    name = card.classes[-1] if target is None else target
    if name not in card.classes:
        raise ModelError(f"The model '{card.name}' knows no class '{name}': choose one of {', '.join(card.classes)}.")
    index = card.classes.index(name)
    return (0, 1.0 if index else -1.0) if len(card.classes) == 2 else (index, 1.0)


@contextmanager
def gradients() -> Iterator[None]:
    """Gradients on, whatever the caller had set, and as before afterwards. Never hold it across a yield."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def finish(maps: FloatArray, cutouts: Cutouts, card: ModelCard, method: str, target: str | None) -> Saliency:
    """Average over bands and bring each scale to 0..1: its brightest half percent counts as 1.

    Parameters
    ----------
    maps : (n, scale, size, size); values of 0 and less speak against the target, and are shown as 0
    """
    mean = np.clip(np.nan_to_num(maps, posinf=0.0, neginf=0.0).mean(axis=0), 0, None)
    top = np.percentile(mean, 99.5, axis=(1, 2), keepdims=True)
    top = np.where(top > 0, top, mean.max((1, 2), keepdims=True))
    scaled = np.clip(mean / np.where(top > 0, top, 1), 0, 1)
    name = card.classes[-1] if target is None else target
    return Saliency(scaled.astype(np.float32), cutouts.pixel_scales, method, card.key, name)
