"""Which of some labelled examples a model has not seen: all of a set that is new to it, or the test part of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError, ModelError
from engine.train.data import PARTS, TrainingSet, drawn_parts
from engine.train.published import parts_of, recorded_split
from engine.types import ModelCard

_TEST = PARTS.index("test")


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """The examples that a model has not seen (n,), whether they are the test part of its own data, and so in words."""

    chosen: NDArray[np.bool_]
    is_test: bool
    words: str


def unseen(card: ModelCard, data: TrainingSet) -> Unseen:
    """Choose what a model may be judged on.

    Files the model was trained on (told by their SHA-256) leave its test part, rebuilt from the split on its card;
    files it was not trained on are taken whole.

    Raises
    ------
    DataError
        Some files of each kind, or too few of its own to know their part.
    ModelError
        A card that does not say how its data were split.
    """
    known = trained_on(card)
    own = [sha256 in known for sha256 in data.sha256]
    if not any(own):
        return Unseen(np.ones(len(data), bool), False, _words(card, known))
    if not all(own):
        names = {flag: ", ".join(p.name for p, o in zip(data.paths, own, strict=True) if o == flag) for flag in own}
        raise DataError(
            f"{card.name} was trained on {names[True]} but not on {names[False]}: evaluate them in two commands, so "
            "that the test part of the one is not mixed with the whole of the other"
        )
    shares = shares_of(card)
    order = [one["sha256"] for one in card.training.get("data", ())]
    chosen = np.zeros(len(data), bool)
    # Without groups of their own, examples are grouped by the place of their file.
    if order == list(data.sha256) or ("group" in data.truth and set(order) == set(data.sha256)):
        chosen[parts_of(data, **shares)["test"]] = True
    else:
        chosen[:] = _certain(card, data, shares)
    words = f"the test part of {card.name}'s own data, which neither trained nor chose it"
    return Unseen(chosen, True, words + _before(card))


def trained_on(card: ModelCard) -> dict[str, str]:
    """SHA-256 and name of every file that a model, or a member of it, was trained or calibrated on."""
    found = {one["sha256"]: one["name"] for one in card.training.get("data", ())}
    for member in card.training.get("members", ()):
        found |= {one["sha256"]: one["name"] for one in member.get("training", {}).get("data", ())}
    return found if found or "+" in card.data_sha256 or not card.data_sha256 else {card.data_sha256: "its training set"}


def shares_of(card: ModelCard) -> dict[str, Any]:
    """The arguments of ``parts_of`` that a model was trained with.

    Raises
    ------
    ModelError
        A card that does not hold them.
    """
    shares = recorded_split(card.training)
    if None in shares.values():
        raise ModelError(f"the card of {card.name} does not say how its data were split: evaluate it on other data")
    return shares


def _certain(card: ModelCard, data: TrainingSet, shares: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The test part of some of a model's files, where it does not depend on the others.

    It does where groups were moved to fill up a part (small sets), and where groups are numbered by file.
    """
    test = parts_of(data, **shares)["test"]
    part = drawn_parts(data.group, **{name: shares[name] for name in ("seed", "validation", "test")})
    alike = shares["given"] or np.array_equal(np.flatnonzero(part == _TEST), test)
    if "group" not in data.truth or not alike:
        files = ", ".join(trained_on(card).values())
        message = f"the test part of these files depends on all that {card.name} was trained on"
        raise DataError(f"{message}: give {files}, in this order")
    return np.isin(np.arange(len(data)), test)


def _words(card: ModelCard, known: Mapping[str, str]) -> str:
    if not known:
        return f"the whole set; the card of {card.name} does not name its training data: they may be among these"
    return f"the whole set: no file of it was used to train {card.name}{_before(card)}"


def _before(card: ModelCard) -> str:
    """What is not known of a model whose training started from another."""
    start = card.training.get("start")
    return f"; its training started from {start}, whose own data its card does not name" if start else ""
