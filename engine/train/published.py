"""The split that a set was published with, so that a result can be put beside a published one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.train.data import PARTS, Indices, TrainingSet, split

RECORDED = {"seed": "split_seed", "validation": "validation", "test": "test", "given": "given_parts"}
"""What ``parts_of`` calls its arguments, and what the card of a model calls them."""
_TRAIN, _VALIDATION, _TEST = range(len(PARTS))


def parts_of(
    data: TrainingSet, *, seed: int, validation: float = 0.1, test: float = 0.1, given: bool = False
) -> dict[str, Indices]:
    """Indices of the parts of a training set: drawn by source, or ``given`` by the column ``part`` of its truth table.

    Raises
    ------
    DataError
        Too few sources of some class; or a set that says nothing of parts, where they are asked for.
    """
    if not given:
        return split(data.label, data.group, seed=seed, validation=validation, test=test)
    if "part" not in data.truth:
        raise DataError("the training set has no column part in its truth table: leave out the given parts")
    return given_parts(data.label, data.group, data.truth["part"].astype(np.int64), seed=seed, validation=validation)


def recorded_split(training: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``parts_of`` that a model was trained with; None for what its card does not say."""
    return {key: training.get(name, False if key == "given" else None) for key, name in RECORDED.items()}


def given_parts(
    label: Indices, group: Indices, part: Indices, *, seed: int, validation: float = 0.1
) -> dict[str, Indices]:
    """Indices of the published parts; none of the examples left out or moved is ever trained on.

    With a train and a validation part alone, as most sets have, the published scores are those of the validation part:
    it becomes the test part, and the validation part is drawn from train as `split` draws it. A source that is also
    in a part that is judged on is left out of the others, so a set with copies in both has fewer examples to train on
    than were published. Examples without a part (-1) belong to train.

    Parameters
    ----------
    part : (n,) 0 train, 1 validation, 2 test, -1 not said
    validation : the share of train that is drawn for validation, where no such part is left

    Raises
    ------
    DataError
        No part to train on or none to judge on, or one that lacks a class.
    """
    judged = _TEST if (part == _TEST).any() else _VALIDATION
    tested = np.flatnonzero(part == judged)
    kept = ~np.isin(group, group[tested])
    trained = np.flatnonzero(kept & ((part == _TRAIN) | (part < 0)))
    if not len(tested) or not len(trained):
        raise DataError("the training set was not published in a train and a test part: leave out the given parts")
    if judged == _TEST and (part == _VALIDATION).any():
        chosen = np.flatnonzero(kept & (part == _VALIDATION))
        trained = trained[~np.isin(group[trained], group[chosen])]
    else:
        drawn = split(label[trained], group[trained], seed=seed, validation=validation, test=validation)
        chosen, trained = trained[drawn["validation"]], np.delete(trained, drawn["validation"])
    parts = dict(zip(PARTS, (trained, chosen, tested), strict=True))
    for name, members in parts.items():
        absent = np.setdiff1d(label, label[members])
        if len(absent):
            message = f"the published {name} part has no source of its own with label {absent[0]}"
            raise DataError(f"{message}: leave out the given parts")
    return parts
