"""Scoring stamps in a scan: the bands a model takes, and a second look at what is promising."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.errors import ModelError
from engine.types import Cutouts, ModelCard, Mosaic, Scores

VIEWS = 8
PROMISING = 0.1
"""Raw score of a single look above which a stamp is looked at again."""


class Scorer(Protocol):
    """What a scan asks of a classifier; engine.models.predict.Classifier is one."""

    @property
    def card(self) -> ModelCard:
        """What the model expects."""

    def score_bands(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        """Score stamps; a model of any one band scores each band and combines them."""


def bands_for(card: ModelCard, mosaic: Mosaic) -> tuple[int, ...]:
    """The bands of a mosaic to cut for a model, in the model's order; all of them for a model of any one band.

    Raises
    ------
    ModelError : the mosaic lacks a band of the model
    """
    if card.bands == ("any",):
        return tuple(range(len(mosaic.bands)))
    if any(band not in mosaic.bands for band in card.bands):
        raise ModelError(
            f"The model '{card.name}' needs the bands {', '.join(card.bands)}, but {mosaic.name} has "
            f"{', '.join(mosaic.bands)}: open the missing files too, name the bands with --bands, "
            "or choose a single-band model."
        )
    return tuple(mosaic.bands.index(band) for band in card.bands)


def look(classifier: Scorer, cutouts: Cutouts) -> Scores:
    """Score each stamp by one look, and those that are promising again by ``VIEWS`` looks."""
    first = classifier.score_bands(cutouts)
    again = np.flatnonzero(first.raw_score >= PROMISING)
    if not len(again):
        return first
    chosen = Cutouts(cutouts.pixels[again], cutouts.pixel_scales, cutouts.bands, cutouts.positions[again])
    second = classifier.score_bands(chosen, views=VIEWS)
    score, raw_score, spread = first.score.copy(), first.raw_score.copy(), first.spread.copy()
    score[again], raw_score[again], spread[again] = second.score, second.raw_score, second.spread
    return Scores(score, raw_score, spread)
