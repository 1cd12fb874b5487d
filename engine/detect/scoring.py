"""Scoring stamps with a model of any number of bands, and looking twice at what is promising."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.types import Cutouts, ModelCard, Mosaic, Scores

VIEWS = 8
PROMISING = 0.1
"""Raw score of a single look above which a stamp is looked at again."""


class Scorer(Protocol):
    """What a scan asks of a classifier (engine.models.predict.Classifier is one)."""

    @property
    def card(self) -> ModelCard:
        """What the model expects."""

    def score(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        """Score stamps."""


def bands_for(card: ModelCard, mosaic: Mosaic) -> tuple[int, ...]:
    """The bands of a mosaic to cut for a model, in the model's order; all of them for a model of any one band.

    Raises
    ------
    ModelError : the mosaic lacks a band of the model
    """
    if card.bands == ("any",):
        return tuple(range(len(mosaic.bands)))
    missing = [band for band in card.bands if band not in mosaic.bands]
    if missing:
        raise ModelError(
            f"The model '{card.name}' needs the bands {', '.join(card.bands)}, but {mosaic.name} has "
            f"{', '.join(mosaic.bands)}: open the missing files too, name the bands with --bands, "
            "or choose a single-band model."
        )
    return tuple(mosaic.bands.index(band) for band in card.bands)


def score_bands(classifier: Scorer, cutouts: Cutouts, *, views: int = 1) -> Scores:
    """Score cut-outs with a model of any number of bands.

    A model of named bands scores them as they are; a model of any one band scores each band alone, and
    ``combine_bands`` makes one score of them.
    """
    if classifier.card.bands != ("any",) or len(cutouts.bands) == 1:
        return classifier.score(cutouts, views=views)
    seen = np.asarray(np.isfinite(cutouts.pixels).any(axis=(1, 3, 4)))  # (n, band)
    single = []
    for index, band in enumerate(cutouts.bands):
        pixels = cutouts.pixels[:, :, index : index + 1]
        single.append(classifier.score(Cutouts(pixels, cutouts.pixel_scales, (band,), cutouts.positions), views=views))
    return combine_bands(single, seen)


def combine_bands(scores: Sequence[Scores], seen: NDArray[np.bool_]) -> Scores:
    """One score from the scores of single bands: the mean of their logits over the bands that have data.

    Parameters
    ----------
    scores : one Scores of n stamps a band
    seen : (n, band) whether the band has any data in the stamp

    Returns
    -------
    Scores of n stamps. The spread adds that of the views to that between the bands.
    """
    weight = np.where(seen.any(1, keepdims=True), seen, True).astype(np.float64).T
    weight /= weight.sum(0)

    def mean(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        clipped = np.clip(np.stack(values), 1e-7, 1 - 1e-7)
        logit = (weight * np.log(clipped / (1 - clipped))).sum(0)
        return np.asarray(1 / (1 + np.exp(-logit)))

    calibrated = np.stack([s.score for s in scores])
    average = (weight * calibrated).sum(0)
    between = (weight * (calibrated - average) ** 2).sum(0)
    within = (weight * np.stack([s.spread for s in scores]) ** 2).sum(0)
    return Scores(mean([s.score for s in scores]), mean([s.raw_score for s in scores]), np.sqrt(between + within))


def look(classifier: Scorer, cutouts: Cutouts) -> Scores:
    """Score each stamp by one look, and those that are promising again by ``VIEWS`` looks."""
    first = score_bands(classifier, cutouts)
    again = np.flatnonzero(first.raw_score >= PROMISING)
    score, raw_score, spread = first.score.copy(), first.raw_score.copy(), np.zeros(len(cutouts))
    if len(again):
        chosen = Cutouts(cutouts.pixels[again], cutouts.pixel_scales, cutouts.bands, cutouts.positions[again])
        second = score_bands(classifier, chosen, views=VIEWS)
        score[again], raw_score[again], spread[again] = second.score, second.raw_score, second.spread
    return Scores(score, raw_score, spread)
