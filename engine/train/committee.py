"""Networks trained apart, joined into one model that averages them: calibrated, tested and stored as any other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.device import pick_device
from engine.errors import ModelError
from engine.models.build import Committee, Network
from engine.models.card import CARD, Targets, load_card, normalised
from engine.models.over import Over
from engine.models.predict import load_model
from engine.train.batches import prepare_all, prepared_path
from engine.train.course import Progress
from engine.train.data import open_for
from engine.train.judge import data_named, hold_court, settle, write_model
from engine.train.published import RECORDED, parts_of, recorded_split
from engine.types import ModelCard, Step

_SAME = ("task", "classes", "bands", "size", "pixel_scales", "channels")


@dataclass(frozen=True, slots=True)
class CommitteeRequest:
    """All that joining trained models into a committee needs.

    ``members`` are folders of models of one kind, trained with one split seed; ``data`` the training sets whose
    validation part calibrates the committee and whose test part judges it.
    """

    members: tuple[Path, ...]
    data: tuple[Path, ...]
    out: Path
    name: str = "committee"
    prior: float | None = None
    half_weights: bool = False
    device: str | None = None
    threads: int | None = None
    cache: Path | None = None
    limits: str = ""
    licence: str = ""


def form_committee(request: CommitteeRequest) -> Iterator[Step]:
    """Join models, calibrate and test the committee, and write it; the item of the last Step is its ModelCard.

    A source is in the same part of every training set it turns up in (see ``engine.train.data.split``), so the
    held-out parts of ``data`` were seen by none of the members, whatever sets they were trained on.

    Raises
    ------
    ModelError
        Fewer than two members, or members of different kinds or splits.
    """
    if len(request.members) < 2:
        raise ModelError("a committee needs at least two trained models: name their folders")
    if (request.out / CARD).exists():
        raise ModelError(f"{request.out} already holds a trained model: name another folder")
    cards = [load_card(folder) for folder in request.members]
    shares = _shared_split(cards, request.members)
    yield Step(0, 1, note="Reading the training set")
    if len(cards[0].classes) == 1:
        raise ModelError(f"{request.members[0]} knows one class alone: join models that tell classes apart")
    targets = tuple(cards[0].targets)
    data = open_for(request.data, bands=cards[0].bands, targets=targets)
    parts = parts_of(data, **shares)
    path = prepared_path(data, cards[0].channels, request.cache or request.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = 0 if path.exists() else len(data)
    progress = Progress(fresh + len(parts["validation"]) + len(parts["test"]), note="Preparing stamps")
    if fresh:
        for count in prepare_all(data, cards[0].channels, path, threads=request.threads or os.cpu_count() or 1):
            yield progress.step(count)
    court = hold_court(data, parts, path, pick_device(request.device), targets=targets)
    committee = Committee(_networks(request.members, court.described.get("targets", {}))).to(court.examples.device)
    progress.note = "Testing"
    found = yield from progress.through(settle(committee, court, prior=request.prior, half=request.half_weights))
    members = [{"key": card.key, "training": card.training, "metrics": card.metrics} for card in cards]
    card = write_model(
        committee,
        data,
        request.out,
        half=request.half_weights,
        **court.described,
        name=request.name,
        architecture="+".join(card.architecture for card in cards),
        task=cards[0].task,
        channels=cards[0].channels,
        training={
            "members": members,
            "data": data_named(data),
            **{name: shares[key] for key, name in RECORDED.items()},
        },
        limits=request.limits or cards[0].limits,
        licence=request.licence or cards[0].licence,
        **found,
    )
    if request.cache is None:
        path.unlink(missing_ok=True)
    yield Step(progress.total, progress.total, (card,), "Joined")


def _shared_split(cards: Sequence[ModelCard], folders: Sequence[Path]) -> dict[str, Any]:
    """The split that all members were trained with, once they are found to be of one kind."""
    head = cards[0]
    for card, folder in zip(cards[1:], folders[1:], strict=True):
        other = [name for name in _SAME if getattr(card, name) != getattr(head, name)]
        other += ["targets"] if tuple(card.targets) != tuple(head.targets) else []
        split = recorded_split(card.training)
        other += [RECORDED[key] for key, value in recorded_split(head.training).items() if split[key] != value]
        if other:
            message = f"{folder} and {folders[0]} differ in {', '.join(name.replace('_', ' ') for name in other)}"
            raise ModelError(f"{message}: join models of one kind, trained with one split")
    shares = recorded_split(head.training)
    if None in shares.values():
        raise ModelError(f"the card of {folders[0]} does not say how its data were split: join models trained here")
    return shares


def _networks(folders: Sequence[Path], targets: Targets) -> list[Network | Over]:
    """The networks of the members (those of a member that is a committee one by one), each calibrated by its head.

    Networks differ in how steep their logits are; with its own calibration in its head none of them outvotes the
    others by shouting, and the spread between them is one of probabilities.
    """
    found: list[Network | Over] = []
    for folder in folders:
        model = load_model(folder, device="cpu")
        network = model.network
        slope, intercept = _own_units(model.card, targets)
        for member in network.members if isinstance(network, Committee) else (network,):
            with torch.no_grad():
                if isinstance(member, Over):
                    member.get_buffer("slope").mul_(slope)
                    member.get_buffer("offset").mul_(slope).add_(intercept)
                else:
                    member.head.weight.mul_(slope[:, None])
                    member.head.bias.mul_(slope).add_(intercept)
            found.append(member)
    return found


def _own_units(card: ModelCard, targets: Targets) -> tuple[Tensor, Tensor]:
    """Slope and intercept (output,) that turn a member's outputs into calibrated logits, or into common ``targets``."""
    if targets:
        middle = normalised([[one["mean"] for one in card.targets.values()]], targets)[0]
        scale = [card.targets[name]["scale"] / one["scale"] for name, one in targets.items()]
        return torch.tensor(scale, dtype=torch.float32), torch.tensor(middle, dtype=torch.float32)
    slope = card.calibration.get("slope", 1.0 / card.calibration.get("temperature", 1.0))
    return torch.tensor([slope]), torch.tensor([card.calibration.get("intercept", 0.0)])
