"""The model card: ``model.json`` beside ``model.safetensors``, and what follows from it without torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from engine.errors import ModelError
from engine.types import ModelCard

CARD = "model.json"
WEIGHTS = "model.safetensors"

_FIELDS = {field.name: field for field in dataclasses.fields(ModelCard)}
_REQUIRED = tuple(name for name, field in _FIELDS.items() if field.default is field.default_factory)
_TUPLES = tuple(name for name, kind in typing.get_type_hints(ModelCard).items() if typing.get_origin(kind) is tuple)


def load_card(folder: Path | str) -> ModelCard:
    """Read the card of a model folder.

    Fields this version does not know are left out, so that a card of a later version still opens.

    Raises
    ------
    ModelError
        No card, or one that is not a card.
    """
    path = Path(folder) / CARD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} has no {CARD}: choose a folder that holds {CARD} and {WEIGHTS}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as a model card ({error}): copy the model again") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} is not a model card: copy the model again")
    missing = [name for name in _REQUIRED if name not in data]
    if missing:
        raise ModelError(f"{path} lacks {', '.join(missing)}: copy the model again or train it anew")
    values = {name: value for name, value in data.items() if name in _FIELDS}
    try:
        values.update({name: tuple(values[name]) for name in _TUPLES if name in values})
        values["pixel_scales"] = tuple(float(scale) for scale in values["pixel_scales"])
        values["size"] = int(values["size"])
        values["calibration"] = _numbers(values.get("calibration", {}))
        values["targets"] = {name: _numbers(one) for name, one in dict(values.get("targets", {})).items()}
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a model card ({error}): copy the model again") from error
    return ModelCard(**values)


def _numbers(values: Any) -> dict[str, Any]:
    """A mapping of numbers, those called a prior between 0 and 1; TypeError or ValueError for anything else.

    A null stays: it is what JSON keeps of an infinite one, such as the threshold of a detector that found nothing.
    """
    found = {str(name): None if value is None else float(value) for name, value in dict(values).items()}
    for name, value in found.items():
        if value is None:
            continue
        if not math.isfinite(value) or (name.startswith("prior") and not 0 < value < 1):
            raise ValueError(f"{name} cannot be {value:g}")
    return found


def save_card(card: ModelCard, folder: Path | str) -> Path:
    """Write the card into a folder, at once or not at all; returns its path."""
    path = Path(folder) / CARD
    values = {name: _plain(getattr(card, name)) for name in _FIELDS}
    temporary = path.with_suffix(".json.part")
    temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


def weights_path(card: ModelCard, folder: Path | str) -> Path:
    """The weights of a card, once their SHA-256 was found to be the one on it.

    Raises
    ------
    ModelError
        Missing weights, or weights that are not those of the card.
    """
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise ModelError(f"{path} is missing: copy the model again, with its weights")
    found = file_sha256(path)
    if found != card.weights_sha256:
        raise ModelError(
            f"the weights in {path} are not those of the card (SHA-256 {found[:12]} instead of "
            f"{card.weights_sha256[:12] or 'none'}): copy {CARD} and {WEIGHTS} again from one source"
        )
    return path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def calibrated(logit: ArrayLike, calibration: Mapping[str, float]) -> NDArray[np.float64]:
    """Calibrated probability of logits.

    ``sigmoid(slope * logit + intercept + logit(prior) - logit(prior_training))``: Platt's scaling, moved from the
    fraction of lenses among the training examples to the fraction expected on the sky. An empty calibration leaves
    the network's own probability.
    """
    value = calibration.get("slope", 1.0) * np.asarray(logit, np.float64) + calibration.get("intercept", 0.0)
    prior_training = calibration.get("prior_training", 0.5)
    value = value + _logit(calibration.get("prior", prior_training)) - _logit(prior_training)
    return sigmoid(value)


def class_probabilities(logits: ArrayLike, calibration: Mapping[str, float]) -> NDArray[np.float64]:
    """Calibrated probability of each class (n, class) of logits (n, output), one output for two classes.

    Two classes are calibrated as ``calibrated`` says, more by a temperature (Guo et al. 2017). An empty calibration
    leaves the network's own probabilities.
    """
    value = np.asarray(logits, np.float64)
    if value.shape[1] == 1:
        second = calibrated(value[:, 0], calibration)
        return np.stack([1 - second, second], 1)
    return np.asarray(softmax(value / calibration.get("temperature", 1.0), 1))


def unlikeness(surprise: ArrayLike, calibration: Mapping[str, float]) -> NDArray[np.float64]:
    """How far a surprise lies above that of held-out examples of the class that is known, in their scatter."""
    return np.asarray((np.asarray(surprise, np.float64) - calibration["mean"]) / calibration["scatter"])


Targets = Mapping[str, Mapping[str, float]]
"""Mean and scale of each value that a regression gives."""


def normalised(values: ArrayLike, targets: Targets) -> NDArray[np.float64]:
    """Values (n, target) in units of the targets' scale about their mean, as a network gives them."""
    mean, scale = _mean_and_scale(targets)
    return np.asarray((np.asarray(values, np.float64) - mean) / scale)


def denormalised(outputs: ArrayLike, targets: Targets) -> NDArray[np.float64]:
    """Values (..., target) in their own units from a network's outputs."""
    mean, scale = _mean_and_scale(targets)
    return np.asarray(np.asarray(outputs, np.float64) * scale + mean)


def _mean_and_scale(targets: Targets) -> NDArray[np.float64]:
    return np.array([[one[key] for one in targets.values()] for key in ("mean", "scale")])


def sigmoid(logit: ArrayLike) -> NDArray[np.float64]:
    """Probability of a logit, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(logit, np.float64))))


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _plain(value: Any) -> Any:
    """What JSON can hold: NaN and infinities, which it cannot, become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
