"""Scoring stamps as they are: the object is at the centre, nothing is searched for."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.detect.scoring import VIEWS, Scorer, bands_for, expected
from engine.errors import ImageError
from engine.export.atomic import atomic
from engine.images.cutouts import cut
from engine.images.stamps import find_stamps, read_stamps
from engine.models.card import load_card
from engine.models.library import model_folder
from engine.types import Cutouts, Mosaic, Step

if TYPE_CHECKING:
    from engine.models.predict import Classifier

_BATCH_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class StampScore:
    """The scores of one stamp: a file, or one plane of a cube (counted from 0).

    ``pixel_scale`` is arcsec, or None where neither the file nor the user gave one and the model's own was assumed.
    """

    file: Path
    plane: int
    score: float
    raw_score: float
    pixel_scale: float | None = None


def score_stamps(
    paths: Sequence[Path],
    *,
    model: str = "finder",
    hdu: int | None = None,
    dataset: str | None = None,
    pixel_scale: float | None = None,
    classifier: Classifier | Scorer | None = None,
) -> Iterator[Step]:
    """Score the object at the centre of each stamp, every one by all test-time views.

    Parameters
    ----------
    paths : files, or folders of files; each plane of a cube is a stamp
    pixel_scale : arcsec, for files that do not say

    Yields
    ------
    Steps whose items are StampScores in the order of the files, and an ImageError for each file that cannot be read.

    Raises
    ------
    ModelError : no such model, or one that needs several bands
    ImageError : a folder without stamps
    """
    files = [file for path in paths for file in (find_stamps(path) if path.is_dir() else [path])]
    yield Step(0, len(files), note="Loading the model" if classifier is None else "")
    if classifier is None:
        load_card(model_folder(model))  # a wrong name is said before the seconds that torch takes
        from engine.models.predict import load_classifier

        classifier = load_classifier(model)
    for number, file in enumerate(files):
        try:
            stamps = read_stamps(file, hdu=hdu, dataset=dataset, pixel_scale=pixel_scale)
        except ImageError as error:
            yield Step(number + 1, len(files), (error,), file.name)
            continue
        batch, start = 4, 0
        while start < len(stamps):
            began = time.perf_counter()
            part = stamps[start : start + batch]
            start += len(part)
            items = _score(classifier, file, part)
            batch = max(1, min(128, int(batch * _BATCH_SECONDS / max(time.perf_counter() - began, 1e-3)), 2 * batch))
            yield Step(number + int(start >= len(stamps)), len(files), items, file.name)


def write_scores(rows: Sequence[StampScore], path: Path) -> None:
    """Write scores as CSV with the columns file, plane, score, raw_score; whole or not at all.

    Raises
    ------
    DataError : the folder or disk cannot be written
    """
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "plane", "score", "raw_score"])
        writer.writerows([row.file, row.plane, f"{row.score:.6g}", f"{row.raw_score:.6g}"] for row in rows)


def _score(classifier: Scorer, file: Path, stamps: Sequence[tuple[int, Mosaic]]) -> tuple[StampScore, ...]:
    card = classifier.card
    cutouts = []
    for _, mosaic in stamps:
        ny, nx = mosaic.shape
        centre = np.array([[(nx - 1) / 2, (ny - 1) / 2]])
        bands = bands_for(card, mosaic)
        cutouts.append(cut(mosaic, centre, size=card.size, pixel_scales=card.pixel_scales, bands=bands))
    together = Cutouts(
        np.concatenate([one.pixels for one in cutouts]),
        card.pixel_scales,
        cutouts[0].bands,
        np.concatenate([one.positions for one in cutouts]),
    )
    scores = classifier.score_bands(together, views=VIEWS)
    scores = expected(scores, np.array([mosaic.pixel_scale or 0.0 for _, mosaic in stamps]))
    return tuple(
        StampScore(file, plane, float(scores.score[k]), float(scores.raw_score[k]), mosaic.pixel_scale)
        for k, (plane, mosaic) in enumerate(stamps)
    )
