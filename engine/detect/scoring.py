"""Scoring stamps in a scan: the bands a model takes, and a second look at what is promising."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.images.mosaic import COARSE
from engine.types import Cutouts, ModelCard, Mosaic, Scores

VIEWS = 8
PROMISING = 0.1
"""Raw score of a single look above which a stamp is looked at again."""


WIDE = 0.02
"""Share of lenses whose images are wide enough to be told on COARSE pixels: Einstein radii above about 3 arcsec, those
of groups and clusters. An assumption, not a measurement."""


class Scorer(Protocol):
    """What a scan asks of a classifier; engine.models.predict.Classifier is one."""

    @property
    def card(self) -> ModelCard:
        """What the model expects."""

    def score_bands(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        """Score stamps; a model of any one band scores each band and combines them."""


def check_scores(card: ModelCard) -> None:
    """Refuse a model that gives no score of a stamp.

    Raises
    ------
    ModelError : a dense detector, a regression, or a model of one class or of more than two
    """
    if card.stride or card.targets or len(card.classes) != 2:
        raise ModelError(f"The model '{card.name}' is for {card.task}, it finds no lenses: choose another.")


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
            f"{', '.join(mosaic.bands)}: open the missing files too, name the bands (Scan menu, or --bands), "
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


def expected(scores: Scores, pixel_scale: float | NDArray[np.float64] | None) -> Scores:
    """The scores with the odds of a lens that can be told at all on pixels of this scale (arcsec; one, or (n,)).

    On coarse pixels only ``WIDE`` of the lenses are, and the finder learned of none: blends of stars that ring where
    they are resampled would stand as high as lenses elsewhere. Raw scores stay the network's.
    """
    share = np.where(np.asarray(0.0 if pixel_scale is None else pixel_scale) > COARSE, WIDE, 1.0)
    return replace(scores, score=share * scores.score / (share * scores.score + 1 - scores.score))
