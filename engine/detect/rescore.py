"""Scoring the candidates that a project has with another model: a new ranking without a new search."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.catalogue import Project
from engine.detect.scan import Pace
from engine.detect.scoring import Scorer, bands_for, check_scores, expected, look
from engine.images.cutouts import cut
from engine.types import Candidate, Detection, Mosaic, Step

_ROWS = 10_000  # of a long list that are held at a time


def rescore_all(project: Project, mosaic: Mosaic, classifier: Scorer) -> Iterator[Step]:
    """Score all candidates that a project has of a mosaic; see ``rescore``. Writes nothing."""
    ids = project.ids(mosaic=mosaic.id, order="y", descending=False)
    for start in range(0, len(ids), _ROWS):
        for step in rescore(mosaic, project.rows(ids[start : start + _ROWS]), classifier):
            done = start + step.done
            yield replace(step, done=done, total=len(ids), note=f"{done} of {len(ids)} candidates")


def rescore(mosaic: Mosaic, candidates: Sequence[Candidate], classifier: Scorer) -> Iterator[Step]:
    """Score candidates of one mosaic as a scan does, where they are.

    Yields
    ------
    Steps whose items are Detections at the places of the candidates, with all that the search measured of them then;
    ``Project.add`` knows them again, and grades stay as they are.

    Raises
    ------
    ModelError : the model gives no score of a stamp, or the mosaic lacks one of its bands
    """
    card = classifier.card
    check_scores(card)
    bands, pace, done = bands_for(card, mosaic), Pace(), 0
    # In order of their place, so that stamps of one tile of a packed mosaic are cut together.
    rows = sorted(candidates, key=lambda row: (row.y // 256, row.x))
    while done < len(rows):
        began = time.perf_counter()
        batch = rows[done : done + pace.batch]
        positions = np.array([(row.x, row.y) for row in batch], np.float64)
        cutouts = cut(mosaic, positions, size=card.size, pixel_scales=card.pixel_scales, bands=bands)
        scores = expected(look(classifier, cutouts), mosaic.pixel_scale)
        found = tuple(
            replace(
                _detection(row),
                score=float(scores.score[k]),
                raw_score=float(scores.raw_score[k]),
                spread=float(scores.spread[k]),
                model=card.key,
            )
            for k, row in enumerate(batch)
        )
        done += len(batch)
        pace.record(time.perf_counter() - began)
        yield Step(done, len(rows), found, f"{done} of {len(rows)} candidates")


def _detection(row: Candidate) -> Detection:
    names = (
        *("x", "y", "ra", "dec", "flux", "radius", "signal_to_noise"),
        *("score", "raw_score", "spread", "model", "name"),
    )
    return Detection(**{name: getattr(row, name) for name in names})
