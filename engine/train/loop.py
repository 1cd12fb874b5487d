"""Training: from training-set files to a folder with weights and a card, resumable to the bit."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from timm.utils import ModelEmaV3  # type: ignore[attr-defined, unused-ignore]
from torch import Tensor, nn

from engine.device import pick_device
from engine.errors import ModelError
from engine.models.build import build_network
from engine.models.card import CARD, load_card
from engine.models.imagenet import imagenet_checkpoint
from engine.models.over import pinned
from engine.models.preprocess import prepare
from engine.train.augment import augmented, blurred
from engine.train.batches import prepare_all, prepared_path
from engine.train.course import (
    BEST,
    Course,
    Progress,
    make_optimizer,
    make_scaler,
    make_scheduler,
    processor_threads,
    read_checkpoint,
    start_from,
    training_autocast,
)
from engine.train.data import PARTS, TrainingSet, open_for
from engine.train.judge import Court, data_named, hold_court, of_one_class, settle, write_model
from engine.train.losses import Loss, make_loss, surprise
from engine.train.published import parts_of
from engine.train.request import IMAGENET, TrainRequest, check, check_stamps, fingerprint
from engine.train.settings import arguments
from engine.types import Step

__all__ = ["TrainRequest", "train"]


@dataclass(slots=True, eq=False, kw_only=True)
class _Run(Course):
    """What the training of a classifier or a regression holds between its steps."""

    court: Court
    loss_of: Loss
    weight: Tensor | None

    @property
    def best(self) -> int:
        """Index of the epoch that ranked the validation part best; between equals, the one of lower loss."""
        rank = self.court.rank
        return max(range(len(self.history)), key=lambda k: (self.history[k][rank], -self.history[k]["loss"]))

    @property
    def exhausted(self) -> bool:
        """Whether the last epochs, as many as the patience, ranked the validation part no better."""
        patience = self.request.patience
        return patience is not None and bool(self.history) and len(self.history) - 1 - self.best >= patience


def train(request: TrainRequest) -> Iterator[Step]:
    """Train a network and write ``model.safetensors`` and ``model.json`` into ``request.out``.

    Each epoch ends with a Step whose item is the mapping of its metrics, and with a checkpoint; the item of the last
    Step is the ModelCard. Every draw depends on seed, epoch and batch alone, so a training that was stopped and
    resumed ends with the same weights, to the bit, as one that was not, whatever else used torch in between.

    Raises
    ------
    DataError
        Training sets that cannot be read or used.
    ModelError
        Settings that do not fit, a training that diverged, or a folder that holds another training.
    """
    check(request)
    request = dataclasses.replace(request, architecture=pinned(request.architecture))
    with processor_threads(request.threads):
        yield Step(0, 1, note="Reading the training set")
        data = open_for(request.data, bands=request.bands, targets=request.targets, only=request.only)
        check_stamps(request, data)
        saved = read_checkpoint(request, data)
        if (request.out / CARD).exists():
            yield Step(1, 1, (load_card(request.out),), "Already trained")
        else:
            yield from _train(request, data, saved)


def _train(request: TrainRequest, data: TrainingSet, saved: Any) -> Iterator[Step]:
    started = time.monotonic()
    shares: dict[str, Any] = {"seed": request.split_seed, "validation": request.validation, "test": request.test}
    parts = parts_of(data, **shares, given=request.given_parts)
    if request.only is not None:
        parts = of_one_class(parts, data, request.only)
    path = prepared_path(data, request.channels, request.cache or request.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    request.out.mkdir(parents=True, exist_ok=True)
    fresh = 0 if path.exists() else len(data)
    every = len(parts["train"]) + len(parts["validation"])
    judging = len(parts["validation"]) + len(parts["test"])
    progress = Progress(fresh + request.epochs * every + judging, note="Preparing stamps")
    if fresh:
        for count in prepare_all(data, request.channels, path, threads=request.threads or os.cpu_count() or 1):
            yield progress.step(count)
    device = pick_device(request.device)
    autocast = partial(training_autocast, request.precision, device)
    court = hold_court(data, parts, path, device, targets=request.targets, only=request.only, autocast=autocast)
    run = _set_up(request, court, progress)
    if saved is not None:
        run.resume(saved)
        progress.done += run.epoch * every
    while run.epoch < request.epochs and not run.exhausted:
        yield from _epoch(run)
    progress.done += (request.epochs - run.epoch) * every
    progress.note = "Testing"
    run.judged.load_state_dict(load_file(request.out / BEST))
    found = yield from progress.through(settle(run.judged, court, prior=request.prior, half=request.half_weights))
    card = write_model(
        run.judged,
        data,
        request.out,
        half=request.half_weights,
        training=_record(run, time.monotonic() - started),
        history=tuple(run.history),
        **court.described,
        **{name: getattr(request, name) for name in ("name", "architecture", "task", "channels", "limits", "licence")},
        **found,
    )
    if request.cache is None:
        path.unlink(missing_ok=True)
    yield Step(progress.total, progress.total, (card,), "Trained")


def _set_up(request: TrainRequest, court: Court, progress: Progress) -> _Run:
    data, examples = court.data, court.examples
    pretrained = request.pretrained
    if pretrained == IMAGENET:
        pretrained = imagenet_checkpoint(request.architecture, request.cache or request.out)
    torch.manual_seed(request.seed)
    network: nn.Module = build_network(
        request.architecture,
        in_channels=examples.stamps.shape[2],
        scales=len(data.pixel_scales),
        outputs=court.outputs,
        size=data.size,
        drop_rate=request.drop_rate,
        pretrained=pretrained,
        one_class=request.only is not None,
    )
    if request.start is not None:
        start_from(request.start, network)
    network = network.to(examples.device)
    batches = max(1, round(len(court.parts["train"]) / request.batch_size))
    optimizer = make_optimizer(request, network)
    weight = None
    if request.balance == "weights":
        counts = np.bincount(data.label[court.parts["train"]], minlength=len(data.classes))
        weight = torch.from_numpy(counts.sum() / (len(counts) * counts)).float().to(examples.device)
    ema = None if request.ema_decay is None else ModelEmaV3(network, decay=request.ema_decay, use_warmup=True)
    if request.compiled:
        network.compile()  # in place, after the average was copied: the names of the weights stay
    return _Run(
        request=request,
        court=court,
        progress=progress,
        network=network,
        optimizer=optimizer,
        scaler=make_scaler(request.precision, examples.device),
        scheduler=make_scheduler(request, optimizer, batches),
        ema=ema,
        loss_of=_loss(request, len(data.classes)),
        weight=weight,
        batches=batches,
    )


def _loss(request: TrainRequest, classes: int) -> Loss:
    if request.only is not None:
        return surprise
    return make_loss(
        request.chosen_loss,
        classes=0 if request.targets else classes,
        label_smoothing=request.label_smoothing,
        arguments=arguments(request.settings, "loss"),
    )


def epoch_order(
    part: NDArray[np.int64], label: NDArray[np.int64], request: TrainRequest, epoch: int
) -> NDArray[np.int64]:
    """The examples of one epoch in order: each once, or with the sampler drawn anew so that all classes are alike.

    It depends on seed and epoch alone, so a resumed training needs no other state.
    """
    random = np.random.default_rng((request.seed, epoch))
    if request.balance != "sampler":
        return random.permutation(part)
    members = [part[label[part] == value] for value in np.unique(label[part])]
    share = -(-len(part) // len(members))
    # A class is gone through as a whole before any of it comes again.
    drawn = [np.concatenate([random.permutation(m) for _ in range(-(-share // len(m)))])[:share] for m in members]
    return random.permutation(np.concatenate(drawn))[: len(part)]


def _epoch(run: _Run) -> Iterator[Step]:
    request, number, started = run.request, run.epoch, time.monotonic()
    order = epoch_order(run.court.parts["train"], run.court.data.label, request, number)
    losses: list[float] = []
    for index, chosen in enumerate(np.array_split(order, run.batches)):
        update = number * run.batches + index
        loss = _forward(run, chosen, update)
        yield run.progress.step()
        losses.append(run.descend(loss, update))
        run.progress.note = _note(run, losses, started)
        yield run.progress.step(len(chosen))
    logits = yield from run.progress.through(run.court.logits(run.judged, "validation"))
    found = {
        "epoch": number + 1.0,
        "train_loss": float(np.mean(losses)),
        "learning_rate": float(run.optimizer.param_groups[0]["lr"]),
        "seconds": time.monotonic() - started,
    } | run.court.metrics("validation", logits, run.loss_of)
    run.close_epoch(found, fingerprint(request, run.court.data))
    yield run.progress.step(items=(found,))


def _note(run: _Run, losses: list[float], started: float) -> str:
    """Epoch, loss of the last batches, images a second, and what the validation part gave last."""
    request, number = run.request, run.epoch
    seen = len(losses) * len(run.court.parts["train"]) / run.batches
    note = f"Epoch {number + 1} of {request.epochs}: loss {np.mean(losses[-50:]):.4f}"
    note += f", {seen / max(time.monotonic() - started, 1e-9):.0f} images/s"
    rank = run.court.rank
    return note + (f", validation {rank.upper()} {run.history[-1][rank]:.4f}" if run.history else "")


def _forward(run: _Run, chosen: NDArray[np.int64], update: int) -> Tensor:
    # Seeding each batch makes it the same whatever else drew random numbers between two steps.
    seed = int(np.random.SeedSequence((run.request.seed, update)).generate_state(1)[0])
    torch.manual_seed(seed)
    run.network.train()
    examples = run.court.examples
    stamps, label = examples.batch(chosen)
    request, random = run.request, torch.Generator().manual_seed(seed)
    if request.blur:
        data = run.court.data
        seen = blurred(data.stamps(chosen), data.pixel_scales, np.random.default_rng(seed), request.blur)
        seen = prepare(seen, request.channels, bands=data.bands, pixel_scales=data.pixel_scales)
        stamps = torch.from_numpy(seen).to(examples.device)
    stamps = augmented(stamps, random, request.noise, request.shift, turns=request.turns)
    try:
        with run.court.autocast():
            logits = run.network(stamps)
    except torch._dynamo.exc.TorchDynamoException as error:
        raise ModelError(f"this network cannot be compiled here ({error}): train without --compile") from error
    return run.loss_of(logits, label, run.weight)


def _record(run: _Run, seconds: float) -> dict[str, Any]:
    """What the card says of the training: its settings, the sizes of the parts, where and how long it ran."""
    left_out = ("out", "resume", "cache", "data", "name", "architecture", "task", "channels", "limits", "licence")
    found = {name: value for name, value in dataclasses.asdict(run.request).items() if name not in left_out}
    for name in ("pretrained", "start"):
        found[name] = found[name] and Path(found[name]).name
    found["loss"] = run.request.chosen_loss
    found |= {f"{part}_examples": len(run.court.parts[part]) for part in PARTS}
    found |= {"data": data_named(run.court.data), "best_epoch": run.best + 1, "seconds": round(seconds, 1)}
    return found | {"device": str(run.court.examples.device), "machine": platform.machine()}
