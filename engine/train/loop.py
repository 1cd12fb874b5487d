"""Training: from training-set files to a folder with weights and a card, resumable to the bit."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import timm
import timm.optim
import timm.scheduler
import torch
from numpy.typing import NDArray
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from engine.device import pick_device
from engine.errors import DataError, ModelError
from engine.models.build import build_network
from engine.models.card import CARD, WEIGHTS, calibrated, file_sha256, load_card, save_card, sigmoid
from engine.train import metrics
from engine.train.batches import Examples, augmented, prepare_all, prepared_path
from engine.train.checkpoint import load_state, save_state, save_tensors, weights
from engine.train.data import ANY, PARTS, TrainingSet, open_training_set, split
from engine.train.losses import make_loss
from engine.types import ModelCard, Step

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
SCHEDULERS = ("cosine", "poly", "tanh", "step", "none")
PRECISIONS = ("auto", "float32", "bfloat16")
# Bins of the truth table in which the completeness on the test part is written, where it has these columns.
COMPLETENESS = {"theta_e": (0.3, 0.6, 1.0, 1.5, 2.5, 5.0, 10.0), "arc_snr": (0.0, 10.0, 20.0, 30.0, 50.0, 100.0, 1e9)}


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """All a training needs, frozen when it is asked for.

    ``bands`` is ("any",) for a model of one band, whichever, or () for one of all the set's bands together;
    ``pretrained`` is a local timm checkpoint, ``start`` a model folder whose weights training goes on from;
    ``ema_decay`` keeps and uses a moving average of the weights; ``noise`` adds noise to prepared stamps;
    ``balance`` weighs the classes alike; ``prior`` is the fraction of lenses to expect in use (None: as in the
    training set); ``cache`` is where prepared stamps are kept (None: in ``out``, until the training is done).
    """

    data: tuple[Path, ...]
    out: Path
    name: str = "model"
    architecture: str = "resnet18"
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    scheduler: str = "cosine"
    warmup_epochs: float = 0.5
    weight_decay: float = 0.02
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    drop_rate: float = 0.0
    ema_decay: float | None = None
    seed: int = 0
    split_seed: int = 0
    validation: float = 0.1
    test: float = 0.1
    bands: tuple[str, ...] = ANY
    channels: tuple[str, ...] = ("stretch", "residual")
    noise: float = 0.0
    balance: bool = False
    pretrained: Path | None = None
    start: Path | None = None
    device: str | None = None
    precision: str = "auto"
    threads: int | None = None
    resume: bool = False
    prior: float | None = None
    half_weights: bool = False
    cache: Path | None = None
    task: str = "lens finding"
    limits: str = ""
    licence: str = ""


# What may differ between a training and its resumption without changing its result.
_FREE = ("out", "resume", "cache", "threads", "device", "data", "name", "limits", "licence", "pretrained", "start")


@dataclass(slots=True)
class _Progress:
    total: int
    done: int = 0
    note: str = ""

    def step(self, count: int = 0, items: tuple[Any, ...] = ()) -> Step:
        self.done += count
        return Step(min(self.done, self.total), self.total, items, self.note)


@dataclass(slots=True, eq=False)
class _Run:
    """What a training holds between its steps."""

    request: TrainRequest
    data: TrainingSet
    parts: dict[str, NDArray[np.int64]]
    device: torch.device
    network: nn.Module
    examples: Examples
    progress: _Progress
    optimizer: torch.optim.Optimizer
    scheduler: Any
    ema: Any
    batches: int
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def judged(self) -> nn.Module:
        """The network that is judged and kept: the average where there is one."""
        return self.network if self.ema is None else self.ema.module  # type: ignore[no-any-return]


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
    _check(request)
    threads = torch.get_num_threads()
    if request.threads:
        torch.set_num_threads(request.threads)
    try:
        yield Step(0, 1, note="Reading the training set")
        data = open_training_set(request.data, bands=request.bands)
        saved = _saved(request, data)
        if saved is not None and (request.out / CARD).exists():
            yield Step(1, 1, (load_card(request.out),), "Already trained")
            return
        yield from _train(request, data, saved)
    finally:
        torch.set_num_threads(threads)


def _train(request: TrainRequest, data: TrainingSet, saved: Any) -> Iterator[Step]:
    started = time.monotonic()
    parts = split(data.label, data.group, seed=request.split_seed, validation=request.validation, test=request.test)
    held_out = len(parts["validation"])
    path = prepared_path(data, request.channels, request.cache or request.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = 0 if path.exists() else len(data)
    total = fresh + request.epochs * (len(parts["train"]) + held_out) + held_out + len(parts["test"])
    progress = _Progress(total, note="Preparing stamps")
    if fresh:
        threads = request.threads or os.cpu_count() or 1
        for count in prepare_all(data, request.channels, path, threads=threads):
            yield progress.step(count)
    run = _set_up(request, data, parts, path, progress)
    if saved is not None:
        _resume(run, saved)
    while run.epoch < request.epochs:
        yield from _epoch(run)
    yield from _finish(run, time.monotonic() - started)
    if request.cache is None:
        del run
        path.unlink(missing_ok=True)


def _check(request: TrainRequest) -> None:
    known = {"scheduler": SCHEDULERS, "precision": PRECISIONS}
    for name, values in known.items():
        if getattr(request, name) not in values:
            raise ModelError(f"unknown {name} {getattr(request, name)!r}: choose one of {', '.join(values)}")
    if request.optimizer not in timm.optim.list_optimizers():
        raise ModelError(f"unknown optimiser {request.optimizer!r}: give a name that timm.optim.list_optimizers() has")
    if request.epochs < 1 or request.batch_size < 2 or not request.learning_rate > 0:
        raise ModelError("at least 1 epoch, a batch of at least 2 and a learning rate above 0 are needed: change them")
    if min(request.validation, request.test) <= 0 or request.validation + request.test >= 1:
        raise DataError("validation and test are fractions above 0 whose sum is below 1: change them")
    if (request.out / CARD).exists() and not request.resume:
        raise ModelError(f"{request.out} already holds a trained model: name another folder, or resume")


def _fingerprint(request: TrainRequest, data: TrainingSet) -> dict[str, Any]:
    values = {name: value for name, value in dataclasses.asdict(request).items() if name not in _FREE}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()} | {
        "the training set": list(data.sha256)
    }


def _saved(request: TrainRequest, data: TrainingSet) -> Any:
    """The checkpoint to go on from, if one is asked for and there."""
    path = request.out / CHECKPOINT
    if not request.resume or not path.exists():
        return None
    saved = load_state(path)
    wanted = _fingerprint(request, data)
    differing = [name for name in wanted if saved["request"].get(name) != wanted[name]]
    if differing:
        raise ModelError(
            f"{path} is of a training with another {', '.join(differing)}: use the same, or another folder"
        )
    return saved


def _set_up(
    request: TrainRequest, data: TrainingSet, parts: dict[str, NDArray[np.int64]], path: Path, progress: _Progress
) -> _Run:
    device = pick_device(request.device)
    examples = Examples(path, data.label, device)
    torch.manual_seed(request.seed)
    network = build_network(
        request.architecture,
        in_channels=examples.stamps.shape[2],
        scales=len(data.pixel_scales),
        classes=len(data.classes),
        size=data.size,
        drop_rate=request.drop_rate,
        pretrained=request.pretrained,
    )
    if request.start is not None:
        _start_from(network, request.start)
    network = network.to(device)
    batches = max(1, round(len(parts["train"]) / request.batch_size))
    optimizer = timm.optim.create_optimizer_v2(
        network, opt=request.optimizer, lr=request.learning_rate, weight_decay=request.weight_decay
    )
    scheduler = None
    if request.scheduler != "none":
        scheduler, _ = timm.scheduler.create_scheduler_v2(
            optimizer,
            sched=request.scheduler,
            num_epochs=request.epochs,
            decay_epochs=max(1, request.epochs // 3),
            warmup_epochs=request.warmup_epochs,
            warmup_lr=0.01 * request.learning_rate,
            min_lr=1e-3 * request.learning_rate,
            step_on_epochs=False,
            updates_per_epoch=batches,
        )
    ema = None if request.ema_decay is None else ModelEmaV3(network, decay=request.ema_decay, use_warmup=True)
    return _Run(request, data, parts, device, network, examples, progress, optimizer, scheduler, ema, batches)


def _start_from(network: nn.Module, folder: Path) -> None:
    from engine.models.predict import read_weights

    try:
        network.load_state_dict(read_weights(load_card(folder), folder))
    except RuntimeError as error:
        raise ModelError(
            f"the weights of {folder} do not fit this network: give its architecture and channels"
        ) from error


def _resume(run: _Run, saved: Any) -> None:
    run.network.load_state_dict(saved["network"])
    if run.ema is not None:
        run.ema.load_state_dict(saved["ema"])
    run.optimizer.load_state_dict(saved["optimizer"])
    for parameter, state in run.optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # Files hold no memory format; the moments go back to that of their parameter, for speed.
                state[name] = torch.empty_like(parameter).copy_(value)
    run.epoch, run.history = saved["epoch"], saved["history"]
    run.progress.done += run.epoch * (len(run.parts["train"]) + len(run.parts["validation"]))


def _epoch(run: _Run) -> Iterator[Step]:
    request, number = run.request, run.epoch
    order = np.random.default_rng((request.seed, number)).permutation(run.parts["train"])
    loss_of = make_loss(request.loss, classes=len(run.data.classes), label_smoothing=request.label_smoothing)
    weight = _class_weights(run) if request.balance else None
    losses = []
    started = time.monotonic()
    for index, chosen in enumerate(np.array_split(order, run.batches)):
        update = number * run.batches + index
        run.network.train()
        loss = _forward(run, chosen, update, loss_of, weight)
        yield run.progress.step()
        losses.append(_backward(run, loss, update))
        run.progress.note = f"Epoch {number + 1} of {request.epochs}: loss {np.mean(losses[-50:]):.4f}"
        yield run.progress.step(len(chosen))
    logits = yield from _logits(run, "validation")
    found = {"epoch": float(number + 1), "train_loss": float(np.mean(losses)), "seconds": time.monotonic() - started}
    found["learning_rate"] = float(run.optimizer.param_groups[0]["lr"])
    found |= _judge(run, "validation", logits, loss_of)
    run.history.append(found)
    run.epoch += 1
    if _best(run.history) == number:
        save_tensors(weights(run.judged), request.out / BEST)
    state = {
        "request": _fingerprint(request, run.data),
        "epoch": run.epoch,
        "history": run.history,
        "network": run.network.state_dict(),
        "ema": None if run.ema is None else run.ema.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    save_state(state, request.out / CHECKPOINT)
    yield run.progress.step(items=(found,))


def _best(history: list[dict[str, float]]) -> int:
    """Index of the epoch that ranks the validation part best; between equals, the one with the lower loss."""
    return max(range(len(history)), key=lambda k: (history[k]["auc"], -history[k]["loss"]))


def _forward(run: _Run, chosen: NDArray[np.int64], update: int, loss_of: Any, weight: Tensor | None) -> Tensor:
    # Seeding each batch makes it the same whatever else drew random numbers between two steps.
    torch.manual_seed(hash((run.request.seed, update)) & 0x7FFFFFFF)
    stamps, label = run.examples.batch(chosen)
    stamps = augmented(stamps, torch.Generator().manual_seed(run.request.seed * 1_000_003 + update), run.request.noise)
    with _autocast(run):
        logits = run.network(stamps)
    loss: Tensor = loss_of(logits, label, weight)
    return loss


def _backward(run: _Run, loss: Tensor, update: int) -> float:
    value = loss.item()
    if not np.isfinite(value):
        rate = run.request.learning_rate
        raise ModelError(
            f"the training diverged (loss {value}) at learning rate {rate:g}: try {rate / 3:.1g}, or resume"
        )
    if run.scheduler is not None:
        run.scheduler.step_update(update)
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    if run.ema is not None:
        run.ema.update(run.network, step=update)
    return value


def _logits(run: _Run, part: str) -> Generator[Step, None, NDArray[np.float64]]:
    """Logits (n, outputs) of a part, by the network that is judged."""
    found = []
    for first in range(0, len(run.parts[part]), 256):
        chosen = run.parts[part][first : first + 256]
        run.judged.eval()
        with torch.inference_mode(), _autocast(run):
            found.append(run.judged(run.examples.batch(chosen)[0]).double().cpu().numpy())
        yield run.progress.step(len(chosen))
    return np.concatenate(found)


def _judge(run: _Run, part: str, logits: NDArray[np.float64], loss_of: Any) -> dict[str, float]:
    label = run.data.label[run.parts[part]]
    if not np.isfinite(logits).all():
        raise ModelError("the network gives scores that are not numbers: lower the learning rate and train again")
    found = {"loss": float(loss_of(torch.from_numpy(logits), torch.from_numpy(label), None))}
    if len(run.data.classes) == 2:
        return found | metrics.binary_metrics(label, sigmoid(logits[:, 0]))
    return found | metrics.multiclass_metrics(label, torch.softmax(torch.from_numpy(logits), 1).numpy())


def _finish(run: _Run, seconds: float) -> Iterator[Step]:
    """Weights of the best epoch, calibrated on the validation part, judged once on the test part, and their card."""
    request = run.request
    run.progress.note = "Testing"
    best = load_weights(request.out / BEST)
    run.judged.load_state_dict(best)
    final = weights(run.judged, half=request.half_weights)
    run.judged.load_state_dict(final)
    calibration: dict[str, float] = {}
    logits = yield from _logits(run, "validation")
    if len(run.data.classes) == 2:
        calibration = metrics.fit_calibration(run.data.label[run.parts["validation"]], logits[:, 0], request.prior)
    logits = yield from _logits(run, "test")
    found = _test_metrics(run, logits, calibration)
    save_tensors(final, request.out / WEIGHTS)
    card = _card(run, seconds, calibration, found)
    save_card(card, request.out)
    run.progress.done = run.progress.total
    yield run.progress.step(items=(card,))


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file written by the training, on the CPU."""
    from safetensors.torch import load_file

    return load_file(path)


def _test_metrics(run: _Run, logits: NDArray[np.float64], calibration: Mapping[str, float]) -> dict[str, float]:
    chosen = run.parts["test"]
    label = run.data.label[chosen]
    loss_of = make_loss(run.request.loss, classes=len(run.data.classes))
    if not calibration:
        return _judge(run, "test", logits, loss_of)
    # The test part has the lenses of the training set, not those of the sky: judged at the prior it was drawn with.
    probability = calibrated(logits[:, 0], {**calibration, "prior": calibration["prior_training"]})
    found = metrics.binary_metrics(label, probability)
    for name, metric in (("auc", metrics.auc), ("tpr_at_fpr_1e-2", lambda t, s: metrics.tpr_at_fpr(t, s, 1e-2))):
        found[f"{name}_low"], found[f"{name}_high"] = metrics.bootstrap(metric, label, probability)
    for column, edges in COMPLETENESS.items():
        if column in run.data.truth:
            bins = metrics.completeness(label, logits[:, 0], run.data.truth[column][chosen], edges)
            found |= {f"completeness_{column}_{low:g}_{high:g}": value for (low, high), (value, _) in bins.items()}
    return found


def _card(run: _Run, seconds: float, calibration: Mapping[str, float], found: Mapping[str, float]) -> ModelCard:
    request, data = run.request, run.data
    training = {
        name: value for name, value in dataclasses.asdict(request).items() if name not in ("out", "resume", "cache")
    }
    # Names, not paths: where files lay on the machine of the training is nobody else's business.
    for name in ("pretrained", "start"):
        training[name] = training[name] and Path(training[name]).name
    training["data"] = [{"name": p.name, "sha256": s} for p, s in zip(data.paths, data.sha256, strict=True)]
    training |= {part: len(run.parts[part]) for part in PARTS}
    training |= {"seconds": seconds, "device": str(run.device), "machine": platform.machine()}
    training["best_epoch"] = 1 + _best(run.history)
    packages = ("torch", "timm", "numpy", "scikit-learn")
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    with suppress(ModuleNotFoundError):  # run from a source tree that is not installed
        versions["deeplense-gui"] = version("deeplense-gui")
    return ModelCard(
        name=request.name,
        architecture=request.architecture,
        task=request.task,
        classes=data.classes,
        bands=data.bands,
        size=data.size,
        pixel_scales=data.pixel_scales,
        channels=request.channels,
        calibration=calibration,
        weights_sha256=file_sha256(request.out / WEIGHTS),
        data_sha256=data.sha256[0] if len(data.sha256) == 1 else "+".join(value[:16] for value in data.sha256),
        recipe=data.recipe,
        training=training,
        metrics=found,
        history=tuple(run.history),
        versions=versions,
        limits=request.limits,
        licence=request.licence,
    )


def _class_weights(run: _Run) -> Tensor:
    counts = np.bincount(run.data.label[run.parts["train"]], minlength=len(run.data.classes))
    return torch.from_numpy(counts.sum() / (len(counts) * np.maximum(counts, 1.0))).float().to(run.device)


def _autocast(run: _Run) -> torch.autocast:
    """bfloat16 where it is asked for, or was measured to be faster: on CUDA and on processors with AMX."""
    wish, kind = run.request.precision, run.device.type
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private in torch: without it, no AMX
    fast = kind == "cuda" or (kind == "cpu" and probe is not None and probe())
    return torch.autocast(kind, torch.bfloat16, enabled=wish == "bfloat16" or (wish == "auto" and fast))
