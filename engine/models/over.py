"""A small head over a trained network of any one band: ``over:finder`` tells the bands of a stamp together.

The network below looks at each band alone, as it was trained to, and stays as it is: what it learned on many stamps of
all kinds of instruments is kept. What its features of all bands say together is learned by a head of some hundred
thousand weights, for which some ten thousand stamps are enough. The weights of the head alone are written: the card
names the model below, with a hash of its weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from engine.errors import ModelError
from engine.models.card import CARD, load_card
from engine.models.library import bundled_models, model_folders, user_models
from engine.models.preprocess import DIMMED
from engine.types import ModelCard

PREFIX = "over:"
_KEY = re.compile(r"(?P<name>.+)-(?P<hash>[0-9a-f]{12})")
_WIDTH = 64  # features kept of each look
_HIDDEN = 128
TRUST = 0.5
"""How much of what the head corrects counts in use: as much as the mean that it corrects, two opinions alike. All of it
is better on simulations like those it was trained on, half of it on the real sky (docs/results.md)."""
_LOGIT = 4.0  # scatter of the logits of a finder


class Over(nn.Module):
    """A head over ``below``, a network of one band, as it sees each of the looks at a stamp.

    A look without data counts as none. Where it tells as many classes as ``below``, it corrects the mean of what that
    says of the looks, and in use half of the correction counts (TRUST). ``below`` is neither trained nor part of the
    state.
    """

    def __init__(self, below: Any, *, channels: int, looks: int, outputs: int, drop_rate: float) -> None:
        super().__init__()
        self.below = below.requires_grad_(False).eval()
        self.channels, self.looks = channels, looks
        width, logits = below.head.in_features, below.head.out_features
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(drop_rate)
        self.look = nn.Linear(width, _WIDTH)
        self.together = nn.Linear(looks * (_WIDTH + logits), _HIDDEN)
        self.head = nn.Linear(_HIDDEN, outputs)
        self.corrects = outputs == logits
        if self.corrects:  # it starts as the mean of what the network below says of the looks
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        # A committee calibrates its members: all that is said, not the correction alone.
        self.register_buffer("slope", torch.ones(outputs))
        self.register_buffer("offset", torch.zeros(outputs))
        self.register_state_dict_post_hook(_leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Over:
        """Train the head alone: the network below keeps the statistics of its own training."""
        super().train(mode)
        self.below.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, outputs) of prepared pixels (n, scale, look * channel, y, x)."""
        _, scales, _, *size = pixels.shape
        apart = pixels.reshape(-1, scales, self.looks, self.channels, *size).transpose(1, 2)
        single = apart.reshape(-1, scales, self.channels, *size)
        features = self.below.features(single)
        with torch.autocast(pixels.device.type, enabled=False):
            seen = (single != 0).flatten(1).any(1, keepdim=True)  # stamps without data are prepared as zeros
            said = self.below.head(features) * seen
            kept = gelu(self.look(self.drop(self.norm(features)))) * seen
            looks = torch.cat([kept, said / _LOGIT], 1).reshape(-1, self.together.in_features)
            logits: Tensor = self.head(self.drop(gelu(self.together(self.drop(looks)))))
            if self.corrects:
                mean = said.reshape(-1, self.looks, said.shape[1]).sum(1)
                trust = 1.0 if self.training else TRUST
                logits = trust * logits + mean / seen.reshape(-1, self.looks).sum(1, keepdim=True).clamp(min=1)
            logits = logits * self.get_buffer("slope") + self.get_buffer("offset")
        return logits


def _leave_out(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}below.")]:
        del state[name]


def _put_back(module: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    below = module.get_submodule("below")
    state.update({f"{prefix}below.{name}": tensor for name, tensor in below.state_dict().items()})
    for name in ("slope", "offset"):  # not in weights written before there were any
        state.setdefault(f"{prefix}{name}", module.get_buffer(name))


def below(architecture: str) -> tuple[ModelCard, Path]:
    """The card and the folder of the model that ``over:NAME`` stands on; a hash of its weights may follow the name.

    Raises
    ------
    ModelError
        No such model in the library, one with other weights than the hash says, or one that nothing can stand on.
    """
    text = architecture.removeprefix(PREFIX)
    keyed = _KEY.fullmatch(text)
    name = keyed["name"] if keyed else text
    # A user's model may hide a bundled one of its name, which others may stand on all the same.
    places = dict.fromkeys(place for place in (model_folders().get(name), bundled_models() / name) if place is not None)
    found = [(load_card(place), place) for place in places if (place / CARD).is_file()]
    if not found:
        place = f"copy its folder to {user_models()}"
        raise ModelError(f"{architecture} stands on the model {name!r}, which is not in the library: {place}")
    same = [one for one in found if keyed is None or one[0].weights_sha256[:12] == keyed["hash"]]
    card, folder = (same or found)[0]
    if not same:
        message = f"{architecture} stands on other weights of {name} than those here ({card.weights_sha256[:12]})"
        raise ModelError(f"{message}: install the version it was made with, or train it anew")
    if card.bands != ("any",) or card.stride or card.targets or len(card.classes) < 2 or "+" in card.architecture:
        message = f"nothing can stand on {name}"
        raise ModelError(f"{message}: name a single network that tells classes apart in any one band, such as finder")
    return card, folder


def pinned(architecture: str) -> str:
    """An architecture that names the weights below it, so that it means the same ever after."""
    return "+".join(_pinned(part) if part.startswith(PREFIX) else part for part in architecture.split("+"))


def _pinned(architecture: str) -> str:
    card, folder = below(architecture)
    return f"{PREFIX}{folder.name}-{card.weights_sha256[:12]}"


def check_fit(
    architecture: str, *, channels: Sequence[str], size: int, pixel_scales: Sequence[float], bands: Sequence[str]
) -> None:
    """Refuse stamps that the model below an architecture was not made for.

    Raises
    ------
    ModelError
        Stamps of another size, other scales or other channels, or one band alone.
    """
    for part in architecture.split("+"):
        if not part.startswith(PREFIX):
            continue
        card, _ = below(part)
        if bands == ("any",):
            raise ModelError(f"{part} sees all bands of a stamp at once: add --together")
        if tuple(name for name in channels if name != DIMMED) != card.channels:
            wanted = ",".join(card.channels)
            raise ModelError(f"{card.name} sees the channels {wanted}: give those, or {wanted},{DIMMED}")
        given = (size, *(round(scale, 4) for scale in pixel_scales))
        if given != (card.size, *(round(scale, 4) for scale in card.pixel_scales)):
            scales = " and ".join(f'{scale:g}"' for scale in card.pixel_scales)
            raise ModelError(f"{card.name} takes stamps of {card.size} px with pixels of {scales}: make such a set")
