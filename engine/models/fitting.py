"""Stamps brought to the input an architecture was made for: ``resnet18@3x224`` is resnet18 on 3 channels of 224 px."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from engine.errors import ModelError

_NAME = re.compile(r"(?P<name>[^@]+)@(?:(?P<channels>\d+)x)?(?P<side>\d+)")


@dataclass(frozen=True, slots=True)
class Fitting:
    """The input of a backbone: its channels (None: as many as there are) and its side in pixels."""

    channels: int | None
    side: int

    def channels_of(self, given: int) -> int:
        """How many channels come out of so many.

        Raises
        ------
        ModelError
            More than the backbone takes.
        """
        if self.channels is None:
            return given
        if given > self.channels:
            message = f"{given} channels do not fit into {self.channels}"
            raise ModelError(f"{message}: write @{given}x{self.side}, or choose fewer channels")
        return self.channels

    def __call__(self, images: Tensor) -> Tensor:
        """Images (n, channel, y, x), their channels repeated in turn, resized bilinearly."""
        wanted = self.channels_of(images.shape[1])
        if wanted != images.shape[1]:
            images = images[:, [channel % images.shape[1] for channel in range(wanted)]]
        if images.shape[-1] == self.side:
            return images
        shrinks = self.side < images.shape[-1]
        return functional.interpolate(
            images, (self.side, self.side), mode="bilinear", align_corners=False, antialias=shrinks
        )


def split_architecture(architecture: str) -> tuple[str, Fitting | None]:
    """The timm name in a text such as resnet18@224 or resnet18@3x224, and what stamps are fitted to (None: nothing).

    Raises
    ------
    ModelError
        Something else after the @.
    """
    if "@" not in architecture:
        return architecture, None
    match = _NAME.fullmatch(architecture)
    if match is None or int(match["side"]) < 8 or match["channels"] == "0":
        raise ModelError(f"{architecture!r} is no architecture: write NAME@224, or NAME@3x224 for three channels")
    return match["name"], Fitting(int(match["channels"]) if match["channels"] else None, int(match["side"]))
