"""Training: from training-set files to a folder with weights and a card, resumable to the bit."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined, unused-ignore]
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined, unused-ignore]
from timm.utils import ModelEmaV3  # type: ignore[attr-defined, unused-ignore]
from torch import Tensor, nn

from engine.device import half_is_fast, pick_device
from engine.errors import ModelError
from engine.models.build import build_network
from engine.models.card import CARD, load_card
from engine.models.imagenet import imagenet_checkpoint
from engine.models.predict import read_weights
from engine.train.batches import Examples, augmented, prepare_all, prepared_path
from engine.train.checkpoint import load_optimizer, load_state, save_state, save_tensors, weights
from engine.train.data import PARTS, TrainingSet, open_training_set, split
from engine.train.judge import Court, data_named, settle, write_model
from engine.train.losses import Loss, make_loss
from engine.train.request import IMAGENET, TrainRequest, check, fingerprint
from engine.train.settings import arguments
from engine.types import Step

__all__ = ["BEST", "CHECKPOINT", "TrainRequest", "train"]

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Progress:
    """How far a job of known size is."""

    total: int
    done: int = 0
    note: str = ""

    def step(self, count: int = 0, items: tuple[Any, ...] = ()) -> Step:
        """The next step, ``count`` further."""
        self.done += count
        return Step(min(self.done, self.total), self.total, items, self.note)

    def through(self, counts: Generator[int, None, _Result]) -> Generator[Step, None, _Result]:
        """A generator of counts as one of steps, with its result."""
        while True:
            try:
                count = next(counts)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            yield self.step(count)


@dataclass(slots=True, eq=False)
class _Run:
    """What a training holds between its steps."""

    request: TrainRequest
    court: Court
    progress: Progress
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Any
    ema: Any
    loss_of: Loss
    weight: Tensor | None
    batches: int
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def judged(self) -> nn.Module:
        """The network that is judged and kept: the average where there is one."""
        module: nn.Module = self.network if self.ema is None else self.ema.module
        return module

    @property
    def best(self) -> int:
        """Index of the epoch that ranked the validation part best; between equals, the one of lower loss."""
        return max(range(len(self.history)), key=lambda k: (self.history[k]["auc"], -self.history[k]["loss"]))

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
    threads = torch.get_num_threads()
    if request.threads:
        torch.set_num_threads(request.threads)
    try:
        yield Step(0, 1, note="Reading the training set")
        data = open_training_set(request.data, bands=request.bands)
        saved = _saved(request, data)
        if (request.out / CARD).exists():
            yield Step(1, 1, (load_card(request.out),), "Already trained")
        else:
            yield from _train(request, data, saved)
    finally:
        torch.set_num_threads(threads)


def _saved(request: TrainRequest, data: TrainingSet) -> Any:
    """The checkpoint to go on from, if one is asked for and there."""
    path = request.out / CHECKPOINT
    if not request.resume or not path.exists():
        return None
    saved, wanted = load_state(path), fingerprint(request, data)
    other = [name.replace("_", " ") for name in wanted if saved["request"].get(name) != wanted[name]]
    if other:
        raise ModelError(f"{path} is of a training with another {', '.join(other)}: use the same, or another folder")
    return saved


def _train(request: TrainRequest, data: TrainingSet, saved: Any) -> Iterator[Step]:
    started = time.monotonic()
    parts = split(data.label, data.group, seed=request.split_seed, validation=request.validation, test=request.test)
    path = prepared_path(data, request.channels, request.cache or request.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    request.out.mkdir(parents=True, exist_ok=True)
    fresh = 0 if path.exists() else len(data)
    every = len(parts["train"]) + len(parts["validation"])
    progress = Progress(fresh + request.epochs * every + len(data) - len(parts["train"]), note="Preparing stamps")
    if fresh:
        for count in prepare_all(data, request.channels, path, threads=request.threads or os.cpu_count() or 1):
            yield progress.step(count)
    device = pick_device(request.device)
    court = Court(data, parts, Examples(path, data.label, device), lambda: training_autocast(request.precision, device))
    run = _set_up(request, court, progress)
    if saved is not None:
        _resume(run, saved)
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
        classes=len(data.classes),
        size=data.size,
        drop_rate=request.drop_rate,
        pretrained=pretrained,
    )
    if request.start is not None:
        try:
            network.load_state_dict(read_weights(load_card(request.start), request.start))
        except RuntimeError as error:
            message = f"the weights of {request.start} do not fit this network"
            raise ModelError(f"{message}: give its architecture, channels and scales") from error
    network = network.to(examples.device)
    batches = max(1, round(len(court.parts["train"]) / request.batch_size))
    optimizer = make_optimizer(request, network)
    counts = np.bincount(data.label[court.parts["train"]], minlength=len(data.classes))
    balanced = torch.from_numpy(counts.sum() / (len(counts) * counts)).float().to(examples.device)
    return _Run(
        request=request,
        court=court,
        progress=progress,
        network=network,
        optimizer=optimizer,
        scheduler=make_scheduler(request, optimizer, batches),
        ema=None if request.ema_decay is None else ModelEmaV3(network, decay=request.ema_decay, use_warmup=True),
        loss_of=make_loss(
            request.loss,
            classes=len(data.classes),
            label_smoothing=request.label_smoothing,
            arguments=arguments(request.settings, "loss"),
        ),
        weight=balanced if request.balance == "weights" else None,
        batches=batches,
    )


def make_optimizer(request: TrainRequest, network: nn.Module) -> torch.optim.Optimizer:
    """timm's optimiser of that name, with its arguments from the settings.

    Raises
    ------
    ModelError
        Arguments that it does not take.
    """
    given = arguments(request.settings, "optimizer")
    try:
        return create_optimizer_v2(
            network, opt=request.optimizer, lr=request.learning_rate, weight_decay=request.weight_decay, **given
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ModelError(f"{request.optimizer} cannot be made with {given} ({error}): change its settings") from error


def make_scheduler(request: TrainRequest, optimizer: torch.optim.Optimizer, batches: int) -> Any:
    """timm's scheduler of the learning rate, stepped once a batch; None for "none"."""
    if request.scheduler == "none":
        return None
    given = arguments(request.settings, "scheduler")
    settings: dict[str, Any] = {
        "decay_epochs": max(1, request.epochs // 3),
        "warmup_lr": 0.01 * request.learning_rate,
        "min_lr": 1e-3 * request.learning_rate,
    }
    try:
        scheduler, _ = create_scheduler_v2(
            optimizer,
            sched=request.scheduler,
            num_epochs=request.epochs,
            warmup_epochs=request.warmup_epochs,  # type: ignore[arg-type, unused-ignore]  # counted in batches, so a fraction is fine
            step_on_epochs=False,
            updates_per_epoch=batches,
            **(settings | given),
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ModelError(f"{request.scheduler} cannot be made with {given} ({error}): change its settings") from error
    return scheduler


def _resume(run: _Run, saved: Any) -> None:
    run.network.load_state_dict(saved["network"])
    if run.ema is not None:
        run.ema.load_state_dict(saved["ema"])
    load_optimizer(run.optimizer, saved["optimizer"])
    run.epoch, run.history = saved["epoch"], saved["history"]


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
        losses.append(_backward(run, loss, update))
        run.progress.note = _note(run, losses, started)
        yield run.progress.step(len(chosen))
    logits = yield from run.progress.through(run.court.logits(run.judged, "validation"))
    found = {
        "epoch": number + 1.0,
        "train_loss": float(np.mean(losses)),
        "learning_rate": float(run.optimizer.param_groups[0]["lr"]),
        "seconds": time.monotonic() - started,
    } | run.court.metrics("validation", logits, run.loss_of)
    run.history.append(found)
    run.epoch += 1
    # The best weights go first: a crash between the two files only means this epoch once more.
    if run.best == number:
        save_tensors(weights(run.judged), request.out / BEST)
    state = {
        "request": fingerprint(request, run.court.data),
        "epoch": run.epoch,
        "history": run.history,
        "network": run.network.state_dict(),
        "ema": None if run.ema is None else run.ema.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    save_state(state, request.out / CHECKPOINT)
    yield run.progress.step(items=(found,))


def _note(run: _Run, losses: list[float], started: float) -> str:
    """Epoch, loss of the last batches, images a second, and what the validation part gave last."""
    request, number = run.request, run.epoch
    seen = len(losses) * len(run.court.parts["train"]) / run.batches
    note = f"Epoch {number + 1} of {request.epochs}: loss {np.mean(losses[-50:]):.4f}"
    note += f", {seen / max(time.monotonic() - started, 1e-9):.0f} images/s"
    return note + (f", validation AUC {run.history[-1]['auc']:.4f}" if run.history else "")


def _forward(run: _Run, chosen: NDArray[np.int64], update: int) -> Tensor:
    # Seeding each batch makes it the same whatever else drew random numbers between two steps.
    seed = int(np.random.SeedSequence((run.request.seed, update)).generate_state(1)[0])
    torch.manual_seed(seed)
    run.network.train()
    stamps, label = run.court.examples.batch(chosen)
    stamps = augmented(stamps, torch.Generator().manual_seed(seed), run.request.noise, run.request.shift)
    with run.court.autocast():
        logits = run.network(stamps)
    return run.loss_of(logits, label, run.weight)


def _backward(run: _Run, loss: Tensor, update: int) -> float:
    value = loss.item()
    if not np.isfinite(value):
        rate = run.request.learning_rate
        message = f"the training diverged (loss {value}) at the learning rate {rate:g}"
        raise ModelError(f"{message}: start again with {rate / 3:.1g}")
    if run.scheduler is not None:
        run.scheduler.step_update(update)
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    if run.ema is not None:
        run.ema.update(run.network, step=update)
    return value


def _record(run: _Run, seconds: float) -> dict[str, Any]:
    """What the card says of the training: its settings, the sizes of the parts, where and how long it ran."""
    left_out = ("out", "resume", "cache", "data", "name", "architecture", "task", "channels", "limits", "licence")
    found = {name: value for name, value in dataclasses.asdict(run.request).items() if name not in left_out}
    for name in ("pretrained", "start"):
        found[name] = found[name] and Path(found[name]).name
    found |= {f"{part}_examples": len(run.court.parts[part]) for part in PARTS}
    found |= {"data": data_named(run.court.data), "best_epoch": run.best + 1, "seconds": round(seconds, 1)}
    return found | {"device": str(run.court.examples.device), "machine": platform.machine()}


def training_autocast(precision: str, device: torch.device) -> torch.autocast:
    """The precision of a training: bfloat16 where asked for, or where it is quicker."""
    wanted = precision == "bfloat16" or (precision == "auto" and half_is_fast(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)
