"""Evaluating: one model on any labelled set, into a page, numbers and a table of scores."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.device import batch_size, pick_device, precision
from engine.errors import DataError, ModelError
from engine.export.atomic import atomic
from engine.models.library import model_folder
from engine.models.predict import VIEWS, Predictor, load_model
from engine.train.batches import prepared
from engine.train.course import Progress, processor_threads
from engine.train.data import TrainingSet, open_for
from engine.train.evaluation import REPEATS, Array, Evaluation, resample, write_scores
from engine.train.figures import panels_for
from engine.train.held_out import Unseen, unseen
from engine.train.misses import sheet_of
from engine.train.page import page_of_one, record
from engine.train.purity import SKY_PRIOR
from engine.train.report import write_page
from engine.types import ModelCard, Step

JSON, SCORES = "evaluation.json", "scores.csv"
_THROUGHPUT_S = 0.5


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """All an evaluation needs.

    ``model`` is a name of the library or a folder; ``prior`` the fraction of lenses on the sky, for purities; ``views``
    (1, 2, 4 or 8) how many views of a stamp are averaged; ``repeats`` how often sources are resampled for intervals;
    ``misses`` how many of the worst misses of each kind are drawn, with ``saliency`` or without.
    """

    model: str | Path
    data: tuple[Path, ...]
    out: Path
    name: str | None = None
    prior: float = SKY_PRIOR
    views: int = 1
    repeats: int = REPEATS
    seed: int = 0
    misses: int = 12
    saliency: bool = True
    device: str | None = None
    threads: int | None = None


def evaluate(request: EvaluateRequest) -> Iterator[Step]:
    """Judge a model; the item of the last Step is its Evaluation.

    Writes evaluation.json, scores.csv, report.html and report.pdf into ``request.out``. Of files that the model was
    trained on only the held-out test part is used (engine.train.held_out).

    Raises
    ------
    DataError
        A set that cannot be read, does not fit the model, or mixes files it was trained on with others.
    ModelError
        A model that cannot be loaded, or settings that do not fit.
    """
    _check(request)
    with processor_threads(request.threads):
        yield from _evaluate(request)


def _evaluate(request: EvaluateRequest) -> Iterator[Step]:
    yield Step(0, 1, note="Reading the labelled set")
    model = load_model(request.model, device=request.device)
    data = open_like(model.card, request.data)
    choice = unseen(model.card, data)
    chosen = data.subset(choice.chosen)
    progress = Progress(len(chosen), note=f"Scoring {len(chosen):,} stamps")
    stamps = (made for _, made in prepared(chosen, model.card.channels, threads=request.threads or os.cpu_count() or 1))
    scored = judged(model, chosen, choice, stamps, name=request.name, prior=request.prior, views=request.views)
    run = yield from progress.through(scored)
    progress = Progress(request.repeats, note="Resampling")
    run = yield from progress.through(with_intervals(run, request.repeats, request.seed))
    panels = panels_for([run])
    progress = Progress(1 + len(panels) + 2, note="Drawing the worst misses")
    yield progress.step()
    panels.append(sheet_of(run, model, request.misses, saliency=request.saliency))
    request.out.mkdir(parents=True, exist_ok=True)
    write_scores(run, request.out / SCORES)
    write_json({"model": model.card.key, **record(run)}, request.out / JSON)
    for title in write_page(page_of_one(run, data.paths, panels, request.repeats), request.out):
        progress.note = f"Drawing {title}"
        yield progress.step(1)
    yield Step(progress.total, progress.total, (run,), "Evaluated")


def open_like(card: ModelCard, paths: Sequence[Path | str]) -> TrainingSet:
    """The examples of some files as a model takes them, their labels in the order of its classes.

    Raises
    ------
    DataError
        Another size, other pixel scales, bands or classes than the model's.
    """
    data = open_for(paths, bands=card.bands if card.bands == ("any",) else (), targets=tuple(card.targets))
    if data.size != card.size:
        raise DataError(
            f"{card.name} takes stamps of {card.size} px, these are of {data.size}: simulate or cut them anew"
        )
    if len(data.pixel_scales) != len(card.pixel_scales) or not np.allclose(data.pixel_scales, card.pixel_scales, 1e-3):
        wanted, given = (" and ".join(f'{s:g}"' for s in values) for values in (card.pixel_scales, data.pixel_scales))
        raise DataError(f"{card.name} takes pixels of {wanted}, these are of {given}: simulate or cut them anew")
    if data.bands != card.bands:
        wanted, given = ", ".join(card.bands), ", ".join(data.bands)
        raise DataError(f"{card.name} takes the bands {wanted}, in this order, these are {given}: choose another set")
    if card.targets or (len(card.classes) == 1 and card.classes[0] in data.classes):
        return data
    if set(data.classes) != set(card.classes):
        wanted, given = ", ".join(card.classes), ", ".join(data.classes)
        raise DataError(f"{card.name} tells {wanted} apart, these are {given}: choose another set or model")
    order = np.array([card.classes.index(name) for name in data.classes])
    return replace(data, classes=card.classes, label=order[data.label])


def judged(
    model: Predictor,
    data: TrainingSet,
    choice: Unseen,
    stamps: Iterator[NDArray[np.float16]],
    *,
    name: str | None = None,
    prior: float = SKY_PRIOR,
    views: int = 1,
) -> Generator[int, None, Evaluation]:
    """What a model says of examples, without intervals; yields how many were added.

    ``stamps`` are the examples as the network sees them, in chunks and in order.
    """
    found: list[Array] = []
    rate = 0.0
    for chunk in stamps:
        rate = rate or (yield from throughput(model, chunk))
        found += yield from outputs_of(model, chunk, views)
    outputs = np.concatenate(found)
    if not np.isfinite(outputs).all():
        raise ModelError(f"{model.card.name} gives scores that are not numbers: train it again")
    card, own_prior = model.card, None
    if len(card.classes) == 2:
        # Probabilities are judged for the fraction of lenses among these examples, not for that on the sky.
        own_prior = card.calibration.get("prior_training") if choice.is_test else float(data.label.mean())
    run = Evaluation(
        name=name or card.name,
        card=card,
        data=data,
        outputs=outputs,
        unseen=choice.words,
        parameters=sum(tensor.numel() for tensor in model.network.parameters()),
        images_per_second=rate,
        device=device_words(model.device),
        sky_prior=prior,
        own_prior=own_prior,
    )
    return replace(run, metrics=run.measure())


def with_intervals(run: Evaluation, repeats: int, seed: int) -> Generator[int, None, Evaluation]:
    """The same evaluation with its metrics over resampled sources; yields 1 a repeat."""
    return replace(run, resampled=(yield from resample(run, repeats=repeats, seed=seed)))


def outputs_of(model: Predictor, stamps: NDArray[Any], views: int = 1) -> Generator[int, None, list[Array]]:
    """What the network gives of prepared stamps, (n, output) in batches, the mean over views; yields their counts."""
    found, size = [], batch_size(model.device, stamps[0].size)
    for first in range(0, len(stamps), size):
        found.append(_forward(model, stamps[first : first + size], views))
        yield len(found[-1])
    return found


def throughput(model: Predictor, stamps: NDArray[Any]) -> Generator[int, None, float]:
    """Images a second through the network alone, in batches: the median over half a second; yields 0."""
    batch = stamps[: batch_size(model.device, stamps[0].size)]
    _forward(model, batch, 1)  # the first call finds its kernels
    seconds: list[float] = []
    while sum(seconds) < _THROUGHPUT_S:
        started = time.perf_counter()
        _forward(model, batch, 1)
        seconds.append(time.perf_counter() - started)
        yield 0
    return len(batch) / float(np.median(seconds))


def device_words(device: torch.device) -> str:
    """A device and how it computes, for the axis of a figure."""
    number = str(precision(device)).removeprefix("torch.")
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {number}"
    threads = torch.get_num_threads()
    return f"{threads} {device.type.upper()} thread{'s' * (threads > 1)}, {number}"


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write numbers and texts, at once or not at all."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _forward(model: Predictor, stamps: NDArray[Any], views: int) -> Array:
    return np.asarray(model.outputs(np.asarray(stamps, np.float32), views=views).mean(0))


def _check(request: EvaluateRequest) -> None:
    model_folder(request.model)
    pick_device(request.device)
    if request.views not in VIEWS:
        raise ModelError(f"{request.views} views are not possible: choose 1, 2, 4 or 8")
    if not 0 < request.prior < 1:
        raise DataError(f"the prior is the fraction of lenses on the sky, between 0 and 1, not {request.prior:g}")
    if request.repeats < 10:
        raise DataError("intervals need at least 10 repeats: ask for more")
    if request.out.exists() and not request.out.is_dir():
        raise DataError(f"{request.out} is a file: give a folder for the report")
