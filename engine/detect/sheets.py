"""Scoring the stamps of a sheet where they are: nothing is searched for, the object is at the centre."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from engine.detect.scoring import VIEWS, Scorer, bands_for, expected
from engine.errors import ImageError
from engine.images.cutouts import cut
from engine.images.pictures import COLOURS, GREY
from engine.images.sheet import Sheet
from engine.types import Cutouts, Step

_BATCH_SECONDS = 0.15


def score_sheet(sheet: Sheet, classifier: Scorer) -> Iterator[Step]:
    """Score each stamp of a sheet by all test-time views.

    Yields
    ------
    Steps whose items are Detections at the centres of the stamps.

    Raises
    ------
    ImageError : the stamps are PNG or JPEG
    ModelError : they lack a band of the model
    """
    mosaic, card = sheet.mosaic, classifier.card
    if mosaic.bands in (GREY, COLOURS):
        raise ImageError(
            f"{mosaic.name}: PNG and JPEG are stretched already, and the model knows no such sky. They can be graded; "
            "to score them, open the FITS files they were made from"
        )
    bands, total = bands_for(card, mosaic), len(sheet.stamps)
    batch, done = 4, 0
    while done < total:
        began = time.perf_counter()
        part = sheet.stamps[done : done + batch]
        cut_out = [
            cut(
                sheet.alone(stamp.x, stamp.y),
                np.array([[stamp.x, stamp.y]]),
                size=card.size,
                pixel_scales=card.pixel_scales,
                bands=bands,
            )
            for stamp in part
        ]
        first = cut_out[0]
        together = Cutouts(
            np.concatenate([one.pixels for one in cut_out]),
            first.pixel_scales,
            first.bands,
            np.concatenate([one.positions for one in cut_out]),
        )
        scores = expected(classifier.score_bands(together, views=VIEWS), mosaic.pixel_scale)
        found = tuple(
            replace(
                stamp.detection(),
                score=float(scores.score[k]),
                raw_score=float(scores.raw_score[k]),
                spread=float(scores.spread[k]),
                model=card.key,
            )
            for k, stamp in enumerate(part)
        )
        done += len(part)
        yield Step(done, total, found, part[-1].name)
        batch = max(1, min(128, int(batch * _BATCH_SECONDS / max(time.perf_counter() - began, 1e-3)), 2 * batch))
