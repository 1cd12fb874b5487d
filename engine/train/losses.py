"""Losses by name, each a mean over the examples of a batch: two of our own, those of torch and those of timm."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import timm.loss
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import ModelError
from engine.train.settings import take_only, unknown

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

LOSSES = {"cross_entropy": 0.0, "focal": 2.0}
"""The losses of our own and their gamma."""

# By what they compare the logits with: the number of the class, or a row that is 1 for it and 0 for the others.
_OF_INDEX = ("CrossEntropyLoss", "MultiMarginLoss", "LabelSmoothingCrossEntropy", "AsymmetricLossSingleLabel")
_OF_ROW = ("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "SoftTargetCrossEntropy", "AsymmetricLossMultiLabel")
CLASS_LOSSES = (*LOSSES, *_OF_INDEX, *_OF_ROW)
VALUE_LOSSES = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")
"""The losses of a regression, of torch.nn."""
_SET_HERE = ("reduction", "size_average", "reduce", "weight")


def make_loss(
    name: str, *, classes: int, label_smoothing: float = 0.0, arguments: Mapping[str, Any] | None = None
) -> Loss:
    """The loss of that name: ``loss(logits (n, outputs), label (n,), class weights or None)``.

    No classes means a regression, whose ``label`` are values (n, outputs).

    ``cross_entropy`` works for any number of classes (binary cross-entropy for two); ``focal`` is Lin et al. 2017,
    which turns from what is already learned to what is not (``gamma``, 2). Others are classes of torch.nn and
    timm.loss by their names; ``arguments`` are theirs.

    Raises
    ------
    ModelError
        Unknown loss or argument, or a smoothing outside 0..1 or that the loss does not know.
    """
    given = dict(arguments or {})
    known = CLASS_LOSSES if classes else VALUE_LOSSES
    if name not in known:
        raise unknown("loss", name, known)
    if not 0.0 <= label_smoothing < 1.0:
        raise ModelError(f"label smoothing is a fraction from 0 to below 1, not {label_smoothing}: change it")
    if name in LOSSES:
        return _own(name, classes, label_smoothing, given)
    kind = getattr(timm.loss, name, None) or getattr(nn, name)
    if label_smoothing:
        smoothing = [key for key in ("label_smoothing", "smoothing") if key in inspect.signature(kind).parameters]
        if not smoothing:
            raise ModelError(f"{name} knows no label smoothing: leave it out, or choose another loss")
        given.setdefault(smoothing[0], label_smoothing)
    return _of_library(name, kind, classes, given) if classes else _of_values(name, kind, given)


def _of_values(name: str, kind: Callable[..., Any], given: dict[str, Any]) -> Loss:
    take_only(given, kind, name, _SET_HERE)
    try:
        module = kind(**given)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name} cannot be made with {given} ({error}): change its arguments") from error

    def loss(values: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return torch.as_tensor(module(values.float(), target.float()))

    return loss


def surprise(output: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """The loss of a network that gives the negative log-likelihood of its stamps (n, 1): their mean."""
    return output.mean()


def _own(name: str, classes: int, label_smoothing: float, given: dict[str, Any]) -> Loss:
    known = {"gamma": LOSSES[name]} if LOSSES[name] else {}
    for key in given:
        if key not in known:
            raise ModelError(f"{name} takes no {key!r}: it takes {', '.join(known) or 'no arguments'}")
    gamma = (known | given).get("gamma", 0.0)
    if not isinstance(gamma, int | float) or gamma < 0:
        raise ModelError(f"gamma of the loss {name} is a number from 0, not {gamma!r}: change it")

    def loss(logits: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = logits.float()
        if classes == 2:
            # One logit is the difference of two: the same softmax serves both cases.
            logits = functional.pad(logits, (1, 0))
        each = functional.cross_entropy(logits, label, reduction="none", label_smoothing=label_smoothing)
        if gamma:
            right = torch.softmax(logits, 1).gather(1, label[:, None]).squeeze(1)
            each = each * (1.0 - right) ** gamma
        return each.mean() if weight is None else (each * weight[label]).sum() / weight[label].sum()

    return loss


def _of_library(name: str, kind: Callable[..., Any], classes: int, given: dict[str, Any]) -> Loss:
    take_only(given, kind, name, _SET_HERE)
    apart = "reduction" in inspect.signature(kind).parameters
    try:
        module = kind(**given, reduction="none") if apart else kind(**given)
    except (TypeError, ValueError, AssertionError) as error:
        raise ModelError(f"{name} cannot be made with {given} ({error}): change its arguments") from error

    def loss(logits: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        logits, target = logits.float(), label
        single = logits.shape[1] == 1
        if name in _OF_ROW and name != "SoftTargetCrossEntropy":
            target = label[:, None].float() if single else functional.one_hot(label, classes).float()
        elif single:
            logits = functional.pad(logits, (1, 0))
        if name == "SoftTargetCrossEntropy":
            target = functional.one_hot(label, classes).float()
        value = torch.as_tensor(module(logits, target))
        if weight is None:
            return value.mean()
        if not value.ndim:
            raise ModelError(f"{name} takes no class weights: balance with the sampler, or choose another loss")
        each = value.flatten(1).mean(1) if value.ndim > 1 else value
        return (each * weight[label]).sum() / weight[label].sum()

    return loss
