"""Training a dense detector: from sets of patches to a folder with weights and a card, resumable to the bit."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from timm.utils import ModelEmaV3  # type: ignore[attr-defined, unused-ignore]
from torch import Tensor

from engine.device import pick_device
from engine.errors import ModelError
from engine.models.card import CARD, WEIGHTS, file_sha256, load_card, save_card
from engine.models.heatmap import TASK, Peaks, build_heatmap, find_peaks
from engine.models.local_sky import CHANNELS
from engine.models.predict import view
from engine.train.checkpoint import save_tensors, weights
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
from engine.train.heatmap_data import PatchSet, open_patch_set, prepare_patches, prepared_path
from engine.train.heatmap_targets import detection_metrics, heatmap_loss, matched, targets, turned
from engine.train.judge import data_named, versions
from engine.train.request import TrainRequest, check, fingerprint, refuse
from engine.types import ModelCard, Step

_ONLY_FOR_STAMPS = (
    *("loss", "label_smoothing", "drop_rate", "balance", "shift", "patience", "prior", "pretrained", "bands"),
    *("validation", "test", "settings", "given_parts", "targets", "only", "turns", "blur", "compiled"),
)
_PART = 0.1  # of the scenes for validation, and for the test
_LOWEST = -6.0  # logit of the peaks that are judged
_MOST = 40  # peaks of a patch that are judged
_RANK = "average_precision"


@dataclass(slots=True, eq=False, kw_only=True)
class _Run(Course):
    """What the training of a dense detector holds between its steps."""

    data: PatchSet
    parts: dict[str, NDArray[np.int64]]
    patches: NDArray[np.float16]
    device: torch.device

    @property
    def best(self) -> int:
        """Index of the epoch of the highest average precision."""
        return max(range(len(self.history)), key=lambda k: self.history[k][_RANK])


def train_heatmap(request: TrainRequest) -> Iterator[Step]:
    """Train a dense detector on sets of patches; writes what ``engine.train.loop.train`` does, and resumes as exactly.

    Each epoch ends with a Step whose item is the mapping of its metrics (engine.train.heatmap_targets), and with a
    checkpoint; the item of the last Step is the ModelCard.

    Raises
    ------
    DataError
        Sets of patches that cannot be read or used.
    ModelError
        Settings that do not fit, a training that diverged, or a folder that holds another training.
    """
    refuse(request, _ONLY_FOR_STAMPS, "a dense detector")
    request = dataclasses.replace(request, task=TASK, channels=CHANNELS)
    check(request)
    with processor_threads(request.threads):
        yield Step(0, 1, note="Reading the patches")
        data = open_patch_set(request.data)
        if (request.out / CARD).exists():
            yield Step(1, 1, (load_card(request.out),), "Already trained")
        else:
            yield from _train(request, data)


def _train(request: TrainRequest, data: PatchSet) -> Iterator[Step]:
    started = time.monotonic()
    parts = data.parts(seed=request.split_seed, validation=_PART, test=_PART)
    request.out.mkdir(parents=True, exist_ok=True)
    path = prepared_path(data, request.channels, request.cache or request.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = 0 if path.exists() else len(data)
    every = len(parts["train"]) + len(parts["validation"])
    progress = Progress(fresh + request.epochs * every + len(parts["test"]), note="Preparing patches")
    if fresh:
        for count in prepare_patches(data, request.channels, path, threads=request.threads or os.cpu_count() or 1):
            yield progress.step(count)
    run = _set_up(request, data, parts, np.load(path, mmap_mode="r"), progress)
    saved = read_checkpoint(request, data)
    if saved is not None:
        run.resume(saved)
        progress.done += run.epoch * every
    while run.epoch < request.epochs:
        yield from _epoch(run)
    progress.note = "Testing"
    run.judged.load_state_dict(load_file(request.out / BEST))
    run.judged.load_state_dict(weights(run.judged, half=request.half_weights))
    found, _ = yield from progress.through(_judge(run, "test"))
    card = _write(run, found, time.monotonic() - started)
    if request.cache is None:
        path.unlink(missing_ok=True)
    yield Step(progress.total, progress.total, (card,), "Trained")


def _set_up(
    request: TrainRequest,
    data: PatchSet,
    parts: dict[str, NDArray[np.int64]],
    patches: NDArray[np.float16],
    progress: Progress,
) -> _Run:
    torch.manual_seed(request.seed)
    network = build_heatmap(request.architecture, in_channels=len(request.channels))
    if data.size % network.multiple:
        raise ModelError(f"{request.architecture} needs patches of a multiple of {network.multiple} px: make them anew")
    if request.start is not None:
        start_from(request.start, network)
    device = pick_device(request.device)
    network = network.to(device)
    batches = max(1, round(len(parts["train"]) / request.batch_size))
    optimizer = make_optimizer(request, network)
    return _Run(
        request=request,
        data=data,
        parts=parts,
        patches=patches,
        device=device,
        progress=progress,
        network=network,
        optimizer=optimizer,
        scaler=make_scaler(request.precision, device),
        scheduler=make_scheduler(request, optimizer, batches),
        ema=None if request.ema_decay is None else ModelEmaV3(network, decay=request.ema_decay, use_warmup=True),
        batches=batches,
    )


def _epoch(run: _Run) -> Iterator[Step]:
    request, number, started = run.request, run.epoch, time.monotonic()
    order = np.random.default_rng((request.seed, number)).permutation(run.parts["train"])
    losses: list[float] = []
    for index, chosen in enumerate(np.array_split(order, run.batches)):
        losses.append(_update(run, chosen, number * run.batches + index))
        run.progress.note = f"Epoch {number + 1} of {request.epochs}: loss {np.mean(losses[-50:]):.3f}"
        yield run.progress.step(len(chosen))
    judged, loss = yield from run.progress.through(_judge(run, "validation"))
    found = {
        "epoch": number + 1.0,
        "train_loss": float(np.mean(losses)),
        "loss": loss,
        "learning_rate": float(run.optimizer.param_groups[0]["lr"]),
        "seconds": time.monotonic() - started,
    } | judged
    run.close_epoch(found, fingerprint(request, run.data))
    yield run.progress.step(items=(found,))


def _update(run: _Run, chosen: NDArray[np.int64], update: int) -> float:
    """One step of the optimizer on a batch, each quarter of which is seen in one of the eight views."""
    # Seeding each batch makes it the same whatever else drew random numbers between two steps.
    random = np.random.default_rng((run.request.seed, update))
    pixels, lenses = [], []
    for part, number in zip(np.array_split(chosen, 4), random.permutation(8), strict=False):
        if len(part):
            pixels.append(view(_pixels(run, part), int(number)))
            lenses += [turned(run.data.of(int(k)), int(number), run.data.size) for k in part]
    batch = torch.cat(pixels)
    if run.request.noise > 0:
        sigma = run.request.noise * random.random((len(batch), 1, 1, 1), np.float32)
        batch = batch + torch.from_numpy(sigma * random.standard_normal(batch.shape, np.float32))
    run.network.train()
    with training_autocast(run.request.precision, run.device):
        outputs = run.network(batch.to(run.device))
    return run.descend(heatmap_loss(outputs, _targets(run, lenses)), update)


def _pixels(run: _Run, chosen: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(run.patches[chosen].astype(np.float32))


def _targets(run: _Run, lenses: list[NDArray[np.float64]]) -> Tensor:
    stride = run.network.stride
    made = targets(lenses, cells=run.data.size // stride, stride=stride, pixel_scale=run.data.pixel_scale)
    return made.to(run.device)


def _judge(run: _Run, part: str) -> Generator[int, None, tuple[dict[str, float], float]]:
    """Metrics and mean loss of a part; yields how many patches were added."""
    chosen = run.parts[part]
    peaks: list[Peaks] = []
    losses, area = [], 0.0
    for first in range(0, len(chosen), run.request.batch_size):
        batch = chosen[first : first + run.request.batch_size]
        pixels = _pixels(run, batch)
        run.judged.eval()
        with torch.inference_mode(), training_autocast(run.request.precision, run.device):
            outputs = run.judged(pixels.to(run.device))
        losses.append(float(heatmap_loss(outputs, _targets(run, [run.data.of(int(k)) for k in batch]))) * len(batch))
        for one in outputs.float().cpu().numpy():
            peaks.append(find_peaks(one, stride=run.network.stride, lowest=_LOWEST, most=_MOST))
        area += float((pixels != 0).any(1).sum()) * (run.data.pixel_scale / 60) ** 2  # zero where there are no data
        yield len(batch)
    lenses = [run.data.of(int(k)) for k in chosen]
    found = matched(peaks, lenses, pixel_scale=run.data.pixel_scale)
    metrics = detection_metrics(found, lenses=sum(map(len, lenses)), area=area)
    return metrics | {"lenses": float(sum(map(len, lenses))), "square_arcmin": area}, sum(losses) / len(chosen)


def _write(run: _Run, metrics: dict[str, float], seconds: float) -> ModelCard:
    """Write weights, then the card that names their hash."""
    request, data = run.request, run.data
    save_tensors(weights(run.judged, half=request.half_weights), request.out / WEIGHTS)
    left_out = ("out", "resume", "cache", "data", "name", "architecture", "task", "channels", "limits", "licence")
    settings = {
        name: value for name, value in dataclasses.asdict(request).items() if name not in (*left_out, *_ONLY_FOR_STAMPS)
    }
    settings["start"] = request.start and Path(request.start).name
    settings |= {f"{part}_patches": len(chosen) for part, chosen in run.parts.items()}
    settings |= {"data": data_named(data), "best_epoch": run.best + 1, "seconds": round(seconds, 1)}
    best = run.history[run.best]
    card = ModelCard(
        name=request.name,
        architecture=request.architecture,
        task=TASK,
        classes=("lens",),
        bands=("any",),
        size=data.size,
        pixel_scales=(data.pixel_scale,),
        channels=request.channels,
        # The validation part sets the threshold, the test part tells what it is worth.
        calibration={"threshold": best["logit_at_3_false"]},
        weights_sha256=file_sha256(request.out / WEIGHTS),
        data_sha256=data.sha256[0] if len(data.sha256) == 1 else "+".join(value[:16] for value in data.sha256),
        recipe=data.recipe,
        training=settings | {"device": str(run.device), "machine": platform.machine()},
        metrics=metrics,
        history=tuple(run.history),
        versions=versions(),
        limits=request.limits,
        licence=request.licence,
        stride=run.network.stride,
    )
    save_card(card, request.out)
    return load_card(request.out)
