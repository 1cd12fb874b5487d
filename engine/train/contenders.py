"""The recipes that stand in a comparison, and how one is written: ``NAME:key=value,key=value``."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import ModelError
from engine.train.request import TrainRequest
from engine.train.settings import SECTIONS, unknown

PRESETS: Mapping[str, str] = {
    "published": (
        "architecture=resnet18@3x224,channels=minmax,loss=none,optimizer=adam,scheduler=none,"
        "warmup_epochs=0,weight_decay=0,label_smoothing=0,drop_rate=0,ema_decay=none,noise=0,shift=0,blur=0,turns=no,"
        "balance=none,pretrained=none"
    )
}
"""Recipes by name: ``published`` is a plain resnet18 on images from min to max, as it is most often reported, with the
usual loss (``none``: cross-entropy for classes, MSELoss for values)."""

# What all recipes of a comparison share: the examples, their split, the seeds, and how it is run.
_SHARED = (
    *("data", "out", "name", "seed", "split_seed", "validation", "test", "given_parts", "targets", "only", "bands"),
    *(
        "resume",
        "cache",
        "device",
        "threads",
        "task",
        "limits",
        "licence",
        "prior",
        "settings",
        "start",
        "half_weights",
    ),
)
_KINDS = {name: kind for name, kind in typing.get_type_hints(TrainRequest).items() if name not in _SHARED}
_NAME = re.compile(r"[\w.@+ -]+")


@dataclass(frozen=True, slots=True)
class Contender:
    """A recipe: its name, the fields of a TrainRequest in which it differs, rates of its own to try."""

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()


def contender(text: str) -> Contender:
    """Read a recipe.

    ``NAME:key=value,key=value`` sets fields of a TrainRequest, and arguments such as ``loss.gamma=3``, for this recipe
    alone; ``learning_rate=1e-3,3e-4`` gives it rates of its own. A value may hold commas. A name alone is a preset or
    an architecture; a preset's name may be followed by changes to it.

    Raises
    ------
    ModelError
        Something that is not written so, or a value that does not fit.
    """
    name, colon, rest = text.partition(":")
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise ModelError(f"{text!r} names no recipe: write NAME:key=value,key=value with letters, digits and . @ + - _")
    given = f"{PRESETS[name]},{rest}" if name in PRESETS else rest
    if colon and not rest.strip():
        raise ModelError(f"{text!r} sets nothing: write NAME:key=value,key=value")
    found: dict[str, Any] = {} if given else {"architecture": name}
    settings, rates = {}, ()
    # A comma parts two settings only where a key and an equals sign follow; others belong to a value.
    for part in re.split(r",(?=\s*[A-Za-z_.]+\s*=)", given.strip(" ,")) if given else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise ModelError(f"{part!r} of {name} sets nothing: write key=value")
        if key.split(".")[0] in SECTIONS and "." in key:
            settings[key] = f"{key}={value}"
        elif key == "learning_rate":
            rates = tuple(_value(name, key, float, one) for one in value.split(","))
        elif key not in _KINDS:
            raise unknown(f"setting of {name}", key, _KINDS)
        else:
            found[key] = _value(name, key, _KINDS[key], value)
    if settings or name in PRESETS:
        found["settings"] = tuple(settings.values())
    return Contender(name, found, rates)


def contenders(architectures: Sequence[str], models: Sequence[str]) -> tuple[Contender, ...]:
    """The recipes of a comparison: architectures trained alike, then those written out.

    Raises
    ------
    ModelError
        Two of one name, or one that ``contender`` refuses.
    """
    found = [Contender(name, {"architecture": name}) for name in architectures]
    found += [contender(text) for text in models]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ModelError(f"two recipes are called {', '.join(twice)}: give each a name of its own")
    return tuple(found)


def _value(name: str, key: str, kind: Any, text: str) -> Any:
    """A text as the type of the field."""
    kinds = typing.get_args(kind) or (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    try:
        if typing.get_origin(kind) is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if bool in kinds:
            return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]
        if int in kinds:
            return int(text)
        if float in kinds:
            return float(text)
    except (ValueError, KeyError) as error:
        wanted = "yes or no" if bool in kinds else "a whole number" if int in kinds else "a number"
        raise ModelError(f"{key} of {name} is {wanted}, not {text!r}: change it") from error
    return Path(text) if kinds[0] is Path and text != "imagenet" else text
