"""Scoring stamps as they are: the object is at the centre, nothing is searched for."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.detect.scoring import VIEWS, Scorer, bands_for, expected
from engine.errors import ImageError
from engine.export.atomic import atomic
from engine.images.cutouts import cut
from engine.images.stamps import find_stamps, read_stamps
from engine.images.unpack import unpacking
from engine.models.card import load_card
from engine.models.library import model_folder
from engine.types import Cutouts, Mosaic, Step

if TYPE_CHECKING:
    from engine.models.anomaly import AnomalyDetector
    from engine.models.predict import Classifier, Predictor, Regressor

_MANY = 100  # files for which it is worth looking for the quickest way to run a network
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


@dataclass(frozen=True, slots=True)
class StampValues:
    """What a model without a score gives of one stamp: probabilities of its classes, or values and their errors."""

    file: Path
    plane: int
    values: Mapping[str, float]
    pixel_scale: float | None = None


def score_stamps(
    paths: Sequence[Path],
    *,
    model: str = "finder",
    hdu: int | None = None,
    dataset: str | None = None,
    pixel_scale: float | None = None,
    classifier: Predictor | Scorer | None = None,
) -> Iterator[Step]:
    """Score the object at the centre of each stamp, every one by all test-time views.

    Parameters
    ----------
    paths : files, or folders of files; each plane of a cube is a stamp
    pixel_scale : arcsec, for files that do not say

    Yields
    ------
    Steps whose items are StampScores in the order of the files (StampValues of a model of several classes or of a
    regression), and an ImageError for each file that cannot be read.

    Raises
    ------
    ModelError : no such model, or one that needs several bands
    ImageError : a folder without stamps
    """
    files = [file for path in paths for file in (find_stamps(path) if path.is_dir() else [path])]
    yield Step(0, len(files), note="Loading the model" if classifier is None else "")
    if classifier is None:
        load_card(model_folder(model))  # a wrong name is said before the seconds that torch takes
        from engine.models.predict import load_model

        classifier = load_model(model)
        if len(files) > _MANY:
            classifier.quicken()
    for number, file in enumerate(files):
        try:
            for step in unpacking(file):
                yield Step(number, len(files), note=step.note)
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


def write_scores(rows: Sequence[StampScore | StampValues], path: Path) -> None:
    """Write what one model gave as CSV: file, plane, and score, raw_score or its values; whole or not at all.

    Raises
    ------
    DataError : the folder or disk cannot be written
    """
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "plane", *(_values(rows[0]) if rows else ("score", "raw_score"))])
        writer.writerows([row.file, row.plane, *(f"{value:.6g}" for value in _values(row).values())] for row in rows)


def _values(row: StampScore | StampValues) -> Mapping[str, float]:
    return row.values if isinstance(row, StampValues) else {"score": row.score, "raw_score": row.raw_score}


def _score(
    classifier: Any, file: Path, stamps: Sequence[tuple[int, Mosaic]]
) -> tuple[StampScore, ...] | tuple[StampValues, ...]:
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
    if len(card.classes) != 2:
        columns = _classified(classifier, together) if len(card.classes) > 2 else _estimated(classifier, together)
        return tuple(
            StampValues(file, plane, {name: float(column[k]) for name, column in columns.items()}, mosaic.pixel_scale)
            for k, (plane, mosaic) in enumerate(stamps)
        )
    scores = classifier.score_bands(together, views=VIEWS)
    scores = expected(scores, np.array([mosaic.pixel_scale or 0.0 for _, mosaic in stamps]))
    return tuple(
        StampScore(file, plane, float(scores.score[k]), float(scores.raw_score[k]), mosaic.pixel_scale)
        for k, (plane, mosaic) in enumerate(stamps)
    )


def _estimated(model: Regressor | AnomalyDetector, cutouts: Cutouts) -> dict[str, NDArray[np.float64]]:
    found = model.estimate(cutouts, views=VIEWS)
    columns = {name: found.value[:, k] for k, name in enumerate(found.names)}
    return columns | {f"{name}_error": found.sigma[:, k] for k, name in enumerate(found.names)}


def _classified(model: Classifier, cutouts: Cutouts) -> dict[str, NDArray[np.float64]]:
    return dict(zip(model.card.classes, model.probabilities(cutouts, views=VIEWS).T, strict=True))
