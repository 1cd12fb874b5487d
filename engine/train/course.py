"""What every training has in common, whatever it learns: its pace, its optimiser, an update, the end of an epoch."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined, unused-ignore]
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined, unused-ignore]
from torch import Tensor, nn

from engine.device import half_is_fast
from engine.errors import ModelError
from engine.models.card import load_card
from engine.models.weights import read_weights
from engine.train.checkpoint import load_optimizer, load_state, save_state, save_tensors, weights
from engine.train.data import Source
from engine.train.request import TrainRequest, fingerprint
from engine.train.settings import arguments
from engine.types import Step

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


@dataclass(slots=True, eq=False, kw_only=True)
class Course(ABC):
    """What a training holds between its steps."""

    request: TrainRequest
    progress: Progress
    network: Any
    optimizer: torch.optim.Optimizer
    scheduler: Any
    ema: Any
    scaler: torch.amp.GradScaler
    batches: int
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def judged(self) -> Any:
        """The network that is judged and kept: the average where there is one."""
        return self.network if self.ema is None else self.ema.module

    @property
    @abstractmethod
    def best(self) -> int:
        """Index of the best epoch so far."""

    def resume(self, saved: Any) -> None:
        """Go on from what ``close_epoch`` saved."""
        self.network.load_state_dict(saved["network"])
        if self.ema is not None:
            self.ema.load_state_dict(saved["ema"])
        load_optimizer(self.optimizer, saved["optimizer"])
        if saved.get("scaler"):
            self.scaler.load_state_dict(saved["scaler"])
        self.epoch, self.history = saved["epoch"], saved["history"]

    def descend(self, loss: Tensor, update: int) -> float:
        """One step of optimiser, schedule and average; returns the loss.

        Raises
        ------
        ModelError
            A loss that is not a number.
        """
        value = loss.item()
        if not np.isfinite(value):
            rate = self.request.learning_rate
            message = f"the training diverged (loss {value}) at the learning rate {rate:g}"
            raise ModelError(f"{message}: start again with {rate / 3:.1g}")
        if self.scheduler is not None:
            self.scheduler.step_update(update)
        self.optimizer.zero_grad()
        generator = getattr(self.optimizer, "generator", None)
        if generator is not None:  # an optimiser that draws does so anew for each update, as all else here
            generator.manual_seed(update)
        self.scaler.scale(loss).backward(create_graph=getattr(self.optimizer, "is_second_order", False))  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema is not None:
            self.ema.update(self.network, step=update)
        return value

    def close_epoch(self, found: dict[str, float], request: Mapping[str, Any]) -> None:
        """Note the metrics of an epoch and save all of the training; ``request`` is its fingerprint."""
        self.history.append(found)
        self.epoch += 1
        # The best weights go first: a crash between the two files only means this epoch once more.
        if self.best == self.epoch - 1:
            save_tensors(weights(self.judged), self.request.out / BEST)
        state = {
            "request": request,
            "epoch": self.epoch,
            "history": self.history,
            "network": self.network.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save_state(state, self.request.out / CHECKPOINT)


@contextmanager
def processor_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch, those it has without a number; what it had before comes back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def start_from(folder: Path, network: nn.Module) -> None:
    """Give a network the weights of a model folder.

    Raises
    ------
    ModelError
        Weights of another network.
    """
    try:
        network.load_state_dict(read_weights(load_card(folder), folder))
    except RuntimeError as error:
        message = f"the weights of {folder} do not fit this network"
        raise ModelError(f"{message}: give its architecture, channels and scales") from error


def read_checkpoint(request: TrainRequest, data: Source) -> Any:
    """The checkpoint to go on from; None where none is asked for, or there.

    Raises
    ------
    ModelError
        One of another training, or one that is there and not asked for.
    """
    path = request.out / CHECKPOINT
    if not path.exists():
        return None
    if not request.resume:
        raise ModelError(f"{request.out} holds an interrupted training: go on with --resume, or name another folder")
    saved, wanted = load_state(path), fingerprint(request, data)
    # A checkpoint older than an option is of a training with its default.
    before = {field.name: _plain(field.default) for field in dataclasses.fields(request)} | saved["request"]
    other = [name.replace("_", " ") for name in wanted if before.get(name) != wanted[name]]
    if other:
        raise ModelError(f"{path} is of a training with another {', '.join(other)}: use the same, or another folder")
    return saved


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


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


def training_autocast(precision: str, device: torch.device) -> torch.autocast:
    """The precision of a training: that asked for; bfloat16 where it is quicker, or float16 on older GPUs."""
    kind = torch.float16 if chosen_precision(precision, device) == "float16" else torch.bfloat16
    return torch.autocast(device.type, kind, enabled=chosen_precision(precision, device) != "float32")


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Keeps the small gradients of float16 from vanishing; does nothing in another precision."""
    return torch.amp.GradScaler(device.type, enabled=chosen_precision(precision, device) == "float16")


def chosen_precision(precision: str, device: torch.device) -> str:
    """float32, bfloat16 or float16: the one asked for, or the quickest."""
    if precision != "auto":
        return precision
    if half_is_fast(device):
        return "bfloat16"
    return "float16" if device.type == "cuda" else "float32"
