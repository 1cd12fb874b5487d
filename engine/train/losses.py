"""Losses by name, each a mean over the examples of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from engine.errors import ModelError

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def make_loss(name: str, *, classes: int, label_smoothing: float = 0.0) -> Loss:
    """The loss of that name: ``loss(logits (n, outputs), label (n,), class weights or None)``.

    ``cross_entropy`` works for any number of classes (binary cross-entropy for two); ``focal`` is Lin et al. 2017
    with gamma 2, which turns from what is already learned to what is not.

    Raises
    ------
    ModelError
        Unknown loss, or a smoothing outside 0..1.
    """
    if name not in LOSSES:
        raise ModelError(f"unknown loss {name!r}: choose one of {', '.join(LOSSES)}")
    if not 0.0 <= label_smoothing < 1.0:
        raise ModelError(f"label smoothing is a fraction from 0 to below 1, not {label_smoothing}: change it")
    gamma = LOSSES[name]

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


LOSSES = {"cross_entropy": 0.0, "focal": 2.0}
