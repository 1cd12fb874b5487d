"""Comparing: several recipes trained on one split, at their best learning rate, from several seeds, on one page."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError, ModelError
from engine.models.build import build_network, outputs_for
from engine.models.card import CARD, load_card
from engine.models.over import pinned
from engine.models.predict import load_model
from engine.models.preprocess import channel_count
from engine.train.batches import prepared, prepared_path
from engine.train.comparison import Comparison, Outcome, page_of_many, write_tables
from engine.train.contenders import Contender
from engine.train.course import BEST, CHECKPOINT, Progress
from engine.train.data import TrainingSet, open_for
from engine.train.evaluate import judged, with_intervals
from engine.train.evaluation import REPEATS, Evaluation, rank_of
from engine.train.figures import panels_for
from engine.train.held_out import Unseen, unseen
from engine.train.loop import train
from engine.train.published import parts_of, recorded_split
from engine.train.purity import SKY_PRIOR
from engine.train.report import write_page
from engine.train.request import TrainRequest, check, check_stamps, fingerprint
from engine.types import ModelCard, Step

RUNS, PREPARED = "runs", "prepared"
_RUN = 1000  # parts of progress a training counts as


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """All a comparison needs.

    ``base`` holds the data, the folder and the settings that all recipes share; ``contenders`` those to train, and
    ``folders`` models that were trained apart on the same split; ``learning_rates`` are tried with the first seed,
    and the best on the validation part is trained from ``seeds`` seeds; ``prior`` is the fraction of lenses on the sky,
    for purities; ``repeats`` how often sources are resampled for intervals.
    """

    base: TrainRequest
    contenders: tuple[Contender, ...] = ()
    folders: tuple[Path, ...] = ()
    learning_rates: tuple[float, ...] = (1e-3,)
    seeds: int = 3
    prior: float = SKY_PRIOR
    repeats: int = REPEATS


@dataclass(slots=True, eq=False)
class _Work:
    """How far a comparison is."""

    request: CompareRequest
    data: TrainingSet
    total: int
    finished: int = 0
    tried: dict[str, dict[float, ModelCard]] = field(default_factory=dict)

    def step(self, step: Step, what: str) -> Step:
        """The step of one training as one of the whole."""
        share = step.done / step.total if step.total else 0.0
        note = f"{what} ({self.finished + 1} of {self.total}): {step.note}"
        return Step(int(_RUN * (self.finished + share)), _RUN * self.total, note=note)


def compare(request: CompareRequest) -> Iterator[Step]:
    """Train, judge and compare; the item of the last Step is the tuple of Evaluations on the test part.

    Each run is an ordinary model folder in ``out/runs/NAME/lr-RATE/seed-N``. What is finished is not trained again and
    an interrupted run resumes exactly, so the same call goes on where it stopped. Learning rates are chosen by the
    validation part; the test part is read for the page alone.

    Raises
    ------
    DataError, ModelError
        As ``engine.train.loop.train``, for any of the recipes and before the first of them is trained; or a model
        trained apart on another split.
    """
    _check(request)
    base = request.base
    yield Step(0, 1, note="Reading the training set")
    data = open_for(base.data, bands=base.bands, targets=base.targets, only=base.only)
    _check_recipes(request, data)
    test = parts_of(data, **recorded_split(_fields(base)))["test"]
    apart = [_from_apart(folder, data, test) for folder in request.folders]
    base.out.mkdir(parents=True, exist_ok=True)
    runs = sum(len(_rates(request, one)) + request.seeds - 1 for one in request.contenders)
    work = _Work(request, data, runs)
    outcomes = []
    for one in request.contenders:
        outcomes.append((yield from _train_all(work, one)))
    outcomes += [Outcome(card.name, (folder,), {}) for folder, card in apart]
    yield from _report(request, data, test, outcomes)


def _train_all(work: _Work, one: Contender) -> Generator[Step, None, Outcome]:
    """Train a recipe at each rate, then at the best of them from the other seeds."""
    rates = _rates(work.request, one)
    tried: dict[float, float] = {}
    cards: dict[float, ModelCard] = {}
    for rate in rates:
        cards[rate] = yield from _train_one(work, one, rate, 0)
        tried[rate] = _ranked(cards[rate])[0]
    best = max(rates, key=lambda rate: _ranked(cards[rate]))
    for seed in range(1, work.request.seeds):
        yield from _train_one(work, one, best, seed)
    folders = tuple(_folder(work.request, one, best, seed) for seed in range(work.request.seeds))
    return Outcome(one.name, folders, tried, best)


def _train_one(work: _Work, one: Contender, rate: float, seed: int) -> Generator[Step, None, ModelCard]:
    """Train one run, or take it as it is where it is finished."""
    asked = _run(work.request, one, rate, seed)
    what = f"{one.name}, rate {rate:g}, seed {seed}"
    if (asked.out / CARD).exists():
        card = load_card(asked.out)
        _check_same(card, asked, work.data)
        yield work.step(Step(1, 1, note="trained before"), what)
    else:
        for step in train(asked):
            yield work.step(step, what)
        card = load_card(asked.out)
    for name in (CHECKPOINT, BEST):  # many times the size of the model, and of no more use
        (asked.out / name).unlink(missing_ok=True)
    work.finished += 1
    return card


def _report(
    request: CompareRequest, data: TrainingSet, test: np.ndarray[Any, Any], outcomes: Sequence[Outcome]
) -> Iterator[Step]:
    """Judge every run on the test part, and write page and tables."""
    mask = np.isin(np.arange(len(data)), test)
    chosen = data.subset(mask)
    choice = Unseen(mask, True, f"the test part of the split with seed {request.base.split_seed}, read for this page")
    folders = [(outcome.name, folder) for outcome in outcomes for folder in outcome.folders]
    progress = Progress(len(folders) * (len(chosen) + request.repeats))
    evaluations: list[Evaluation] = []
    for name, folder in folders:
        progress.note = f"Judging {name}"
        model = load_model(folder, device=request.base.device)
        stamps = _stamps(data, chosen, mask, model.card, request)
        run = yield from progress.through(judged(model, chosen, choice, stamps, name=name, prior=request.prior))
        evaluations.append((yield from progress.through(with_intervals(run, request.repeats, 0))))
    out = request.base.out
    comparison = Comparison(tuple(evaluations), tuple(outcomes), request.base, request.repeats)
    write_tables(comparison, out)
    panels = panels_for(evaluations)
    progress = Progress(len(panels) + 1)
    for title in write_page(page_of_many(comparison, data.paths, panels), out):
        progress.note = f"Drawing {title}"
        yield progress.step(1)
    for path in (out / PREPARED).glob("prepared-*.npy"):
        path.unlink()
    yield Step(progress.total, progress.total, (tuple(evaluations),), "Compared")


def _stamps(
    data: TrainingSet, chosen: TrainingSet, mask: np.ndarray[Any, Any], card: ModelCard, request: CompareRequest
) -> Iterator[np.ndarray[Any, Any]]:
    """The test part as a model sees it: from what was prepared for its training, where that is still there."""
    path = prepared_path(data, card.channels, request.base.out / PREPARED)
    if path.exists():
        whole, indices = np.load(path, mmap_mode="r"), np.flatnonzero(mask)
        for first in range(0, len(indices), 256):
            yield whole[indices[first : first + 256]]
    else:
        yield from (made for _, made in prepared(chosen, card.channels, threads=_threads(request)))


def _from_apart(folder: Path, data: TrainingSet, test: np.ndarray[Any, Any]) -> tuple[Path, ModelCard]:
    """A model trained apart, once its split is found to be that of the comparison."""
    card = load_card(folder)
    kind = [
        name
        for name, mine, its in (
            ("size", data.size, card.size),
            ("pixel scales", data.pixel_scales, card.pixel_scales),
            ("bands", data.bands, card.bands),
            ("classes", data.classes, data.classes if len(card.classes) < 2 else card.classes),
        )
        if mine != its
    ]
    if kind:
        raise ModelError(f"{folder} takes other {', '.join(kind)} than this set has: leave it out")
    choice = unseen(card, data)
    if choice.is_test and not np.array_equal(np.flatnonzero(choice.chosen), test):
        raise ModelError(
            f"{folder} was trained on another split of these data: compare with its split seed and fractions"
        )
    return folder, card


def _check(request: CompareRequest) -> None:
    if not request.contenders and not request.folders:
        raise ModelError("nothing to compare: name architectures, models, or folders of models")
    if request.seeds < 1 or request.repeats < 10 or not 0 < request.prior < 1:
        raise DataError("at least 1 seed, 10 repeats and a prior between 0 and 1 are needed: change them")
    if not request.learning_rates or min(request.learning_rates) <= 0:
        raise ModelError("learning rates are numbers above 0: change them")
    names = [load_card(folder).name for folder in request.folders]
    mine = sorted({one.name for one in request.contenders} & set(names))
    if mine:
        raise ModelError(f"a recipe and a model trained apart are both called {', '.join(mine)}: rename the recipe")


def _check_recipes(request: CompareRequest, data: TrainingSet) -> None:
    """Refuse what cannot be trained, before hours are spent on the others."""
    for one in request.contenders:
        for rate in _rates(request, one):
            asked = _run(request, one, rate, 0)
            check(asked)
            check_stamps(asked, data)
            build_network(
                asked.architecture,
                in_channels=channel_count(asked.channels, data.bands),
                scales=len(data.pixel_scales),
                outputs=len(asked.targets) or outputs_for(len(data.classes)),
                size=data.size,
                one_class=asked.only is not None,
            )


def _check_same(card: ModelCard, asked: TrainRequest, data: TrainingSet) -> None:
    """Refuse a finished run of other settings or data in the place of one that is asked for."""
    wanted = fingerprint(asked, data)
    has = {**card.training, "architecture": card.architecture, "channels": list(card.channels)}
    has["training set"] = [one["sha256"] for one in card.training.get("data", ())]
    other = [name.replace("_", " ") for name, value in wanted.items() if name in has and has[name] != value]
    if other:
        raise ModelError(f"{asked.out} holds a run with another {', '.join(other)}: choose another folder for this one")


def _run(request: CompareRequest, one: Contender, rate: float, seed: int) -> TrainRequest:
    """What one run is asked to do."""
    fields = {"architecture": one.name, **one.fields}
    fields["architecture"] = pinned(fields["architecture"])
    return replace(
        request.base,
        **fields,
        name=f"{one.name}, seed {seed}",
        learning_rate=rate,
        seed=seed,
        out=_folder(request, one, rate, seed),
        cache=request.base.out / PREPARED,
        resume=True,
    )


def _folder(request: CompareRequest, one: Contender, rate: float, seed: int) -> Path:
    return request.base.out / RUNS / one.name / f"lr-{rate:g}" / f"seed-{seed}"


def _rates(request: CompareRequest, one: Contender) -> tuple[float, ...]:
    return one.learning_rates or request.learning_rates


def _ranked(card: ModelCard) -> tuple[float, float]:
    """What learning rates are chosen by: how well the best epoch ranked the validation part, then its loss."""
    best = card.history[int(card.training["best_epoch"]) - 1]
    return best[rank_of(card)], -best["loss"]


def _threads(request: CompareRequest) -> int:
    return request.base.threads or os.cpu_count() or 1


def _fields(request: TrainRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("split_seed", "validation", "test", "given_parts")}
