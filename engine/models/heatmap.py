"""The dense network: where on an image lenses are, without sources or stamps.

A fully convolutional network on any timm backbone with feature maps gives a heatmap whose peaks are the centres of
lenses, and the place of each within its cell: objects as points, after Zhou, Wang and Kraehenbuehl (2019,
arXiv:1904.07850). It takes images of any size, and shifting the image by whole cells shifts the peaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.device import autocast, pick_device
from engine.errors import ModelError
from engine.models.backbone import unknown_architecture
from engine.models.card import load_card
from engine.models.folding import folded
from engine.models.library import model_folder
from engine.models.local_sky import CELL, prepare_region
from engine.models.weights import fill
from engine.types import FloatArray, ModelCard

TASK = "detection"
STRIDE = 8
OUTPUTS = 3
"""Of each cell: the logit of a lens there, and x and y of its centre from the middle of the cell, in cells."""

PRIOR = 0.01  # of a cell, before training: without it the many empty cells drown the few lenses at first
_CPU_IS_FULL = "can't allocate memory"  # torch has an exception of its own for accelerators alone
_COARSEST = 16  # the largest step of the feature maps that are used


class HeatmapNetwork(nn.Module):
    """Feature maps of a backbone, added from coarse to fine, and a head of three outputs a cell.

    ``stride`` is the side of a cell in pixels, ``multiple`` what the sides of an image must be multiples of.
    """

    def __init__(self, backbone: Any, *, stride: int, width: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.stride, self.multiple = stride, int(backbone.feature_info.reduction()[-1])
        channels = backbone.feature_info.channels()
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.out = nn.Conv2d(width, OUTPUTS, 1)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.out.bias[0], math.log(PRIOR / (1 - PRIOR)))  # type: ignore[index]

    def forward(self, pixels: Tensor) -> Tensor:
        """Outputs (n, 3, y / stride, x / stride) float32 of prepared pixels (n, channel, y, x)."""
        maps = self.backbone(pixels.contiguous(memory_format=torch.channels_last))
        merged: Tensor | None = None
        for features, lateral in zip(reversed(maps), reversed(self.lateral), strict=True):
            level = lateral(features)
            merged = level if merged is None else level + F.interpolate(merged, scale_factor=2.0, mode="nearest")
        found = self.head(merged)
        # Half precision would round the logits, and with them the order of the peaks.
        with torch.autocast(found.device.type, enabled=False):
            outputs: Tensor = self.out(found.float())
        return outputs

    def reach(self) -> int:
        """How far from a cell, in pixels, what it sees can lie: a bound, of convolutions and pools one after another.

        Returned as a multiple of ``multiple``, so that a border of this width can be cut off a region.
        """
        total, image = 0.0, 8 * self.multiple

        def add(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            nonlocal total
            size: Any = getattr(module, "kernel_size", 1)
            dilation: Any = getattr(module, "dilation", 1)
            width, spread = (value if isinstance(value, int) else max(value) for value in (size, dilation))
            total += (width // 2) * spread * image / inputs[0].shape[-1]

        kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
        hooks = [part.register_forward_hook(add) for part in self.modules() if isinstance(part, kinds)]
        weight = next(self.parameters())
        channels = next(part.in_channels for part in self.modules() if isinstance(part, nn.Conv2d))
        training = self.training
        try:
            with torch.no_grad():
                self.eval()(torch.zeros(1, channels, image, image, device=weight.device))
        finally:
            self.train(training)
            for hook in hooks:
                hook.remove()
        return math.ceil((total + self.multiple) / self.multiple) * self.multiple  # and upsampling's own step


def build_heatmap(architecture: str, *, in_channels: int, stride: int = STRIDE, width: int = 32) -> HeatmapNetwork:
    """Make a dense network.

    Parameters
    ----------
    architecture : a timm name; it needs feature maps with cells of ``stride`` pixels, and of any size of image
    stride : side of a cell, 4 or 8 pixels
    width : channels of the head

    Raises
    ------
    ModelError
        Unknown architecture, or one without such feature maps.
    """
    if stride not in (4, 8):
        raise ModelError(f"cells of {stride} pixels are not possible: choose 4 or 8")
    if not timm.is_model(architecture):
        raise unknown_architecture(architecture)
    try:
        whole: Any = timm.create_model(architecture, features_only=True, in_chans=in_channels)
        steps = whole.feature_info.reduction()
        wanted = tuple(k for k, step in enumerate(steps) if stride <= step <= _COARSEST)
        if not wanted or [steps[k] for k in wanted] != [stride << k for k in range(len(wanted))]:
            raise ModelError(
                f"{architecture} has features in cells of {steps} pixels, none of {stride}: choose another"
            )
        backbone = timm.create_model(architecture, features_only=True, in_chans=in_channels, out_indices=wanted)
        network = HeatmapNetwork(backbone, stride=stride, width=width).eval()
        with torch.no_grad():
            found = network(torch.zeros(1, in_channels, 96, 160)).shape[2:]
    except (RuntimeError, AssertionError, AttributeError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{architecture} cannot scan images of any size ({reason}): choose another") from error
    if tuple(found) != (96 // stride, 160 // stride):
        raise ModelError(f"{architecture} does not keep to cells of {stride} pixels: choose another")
    return network.train().to(memory_format=torch.channels_last)


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Peaks of a heatmap, best first: x, y (n, 2) in pixels of the prepared image from 0, and their logits (n,)."""

    xy: NDArray[np.float64]
    logit: NDArray[np.float64]


def find_peaks(outputs: FloatArray, *, stride: int, lowest: float, most: int | None = None) -> Peaks:
    """The local maxima of outputs (3, rows, columns) with a logit of at least ``lowest``, at most ``most`` of them.

    A cell is a peak when none of its eight neighbours is higher; of equal neighbours the first one in order is.
    """
    logit = outputs[0]
    above = np.pad(logit, 1, constant_values=-np.inf)
    rows, columns = logit.shape
    peak = logit >= lowest
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            other = above[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]
            if (dy, dx) < (0, 0):
                peak &= logit > other
            elif (dy, dx) > (0, 0):
                peak &= logit >= other
    row, column = np.nonzero(peak)
    order = np.argsort(-logit[row, column], kind="stable")[:most]
    row, column = row[order], column[order]
    offset = outputs[1:, row, column].astype(np.float64)
    cells = np.stack([column, row]) + 0.5 + offset
    return Peaks((cells * stride - 0.5).T, logit[row, column].astype(np.float64))


class HeatmapDetector:
    """A trained dense network with its card, on a device.

    ``border`` is how many pixels of the model around a region are needed for its peaks to be those of the whole: what
    the network sees, and the cells of sky around that.
    """

    def __init__(self, card: ModelCard, network: HeatmapNetwork, device: torch.device) -> None:
        self.card = card
        self.network = network.to(device).eval()
        self.device = device
        self._too_large: float = math.inf  # pixels of a region

        self.reach = self.network.reach()
        self.border = (math.ceil(self.reach / CELL) + 1) * CELL

    def find(self, pixels: FloatArray, *, lowest: float | None = None) -> Peaks:
        """Peaks of a region of a mosaic at the model's pixel scale, best first, but those near its border.

        Parameters
        ----------
        pixels : (band, ny, nx), NaN where there are no data; sides are multiples of CELL, and the region begins at a
            corner of the grid of cells. What lies within ``border`` of the edges is seen, but no peaks are kept there
        lowest : least logit; the threshold of the card when None

        Raises
        ------
        ModelError
            The card has no threshold: none was low enough in training.
        """
        if lowest is None:
            lowest = self.card.calibration["threshold"]
        if lowest is None:  # an infinite one, as JSON keeps it
            raise ModelError(f"the model {self.card.name} found no lens among fewer than three false ones when it was "
                             "trained: train it for longer, or on more patches")  # fmt: skip
        cut = self.border - self.reach
        prepared = prepare_region(pixels, self.card.channels)
        ny, nx = prepared.shape[1:]
        outputs = self.outputs(prepared[:, cut : ny - cut, cut : nx - cut])
        found = find_peaks(outputs, stride=self.network.stride, lowest=lowest)
        xy = found.xy + cut
        x, y = xy.T
        edge = self.border - 0.5
        inside = (x >= edge) & (x < nx - self.border - 0.5) & (y >= edge) & (y < ny - self.border - 0.5)
        return Peaks(xy[inside], found.logit[inside])

    def outputs(self, prepared: FloatArray) -> FloatArray:
        """Outputs (3, y / stride, x / stride) of a prepared region (channel, y, x).

        A region for which there is not enough memory goes through the network in parts, and so do later ones as large.

        Raises
        ------
        ModelError : there is not enough memory for the smallest part
        """
        if prepared[0].size < self._too_large:
            try:
                return self._outputs_at_once(prepared)
            except RuntimeError as error:  # as torch.OutOfMemoryError is
                if not isinstance(error, torch.OutOfMemoryError) and _CPU_IS_FULL not in str(error):
                    raise
            self._too_large = prepared[0].size
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return self._outputs_in_parts(prepared)

    def _outputs_in_parts(self, prepared: FloatArray) -> FloatArray:
        """The outputs of both halves, each seen with what it needs of the other; on the CPU where they are as small."""
        axis = int(np.argmax(prepared.shape[1:])) + 1
        length, step = prepared.shape[axis], self.network.multiple
        middle = length // 2 // step * step
        if middle <= self.reach + step:
            if self.device.type == "cpu":
                raise ModelError(f"not enough memory to scan with {self.card.name}: close other programs")
            self.device, self._too_large = torch.device("cpu"), math.inf
            self.network = self.network.to(self.device)
            return self.outputs(prepared)
        first, second = np.arange(middle + self.reach), np.arange(middle - self.reach, length)
        left, right = (self.outputs(prepared.take(part, axis)) for part in (first, second))
        cells, beyond = middle // self.network.stride, self.reach // self.network.stride
        return np.concatenate([left.take(np.arange(cells), axis), np.delete(right, np.arange(beyond), axis)], axis)

    def _outputs_at_once(self, prepared: FloatArray) -> FloatArray:
        with torch.inference_mode(), autocast(self.device):
            batch = torch.from_numpy(np.ascontiguousarray(prepared))[None].to(self.device)
            return np.asarray(self.network(batch)[0].float().cpu())


def load_detector(model: str | Path, *, device: str | None = None) -> HeatmapDetector:
    """Load a dense detector by its name in the library or its folder.

    Raises
    ------
    ModelError
        No such model, one of another task, or a card, weights and architecture that do not fit each other.
    """
    folder = model_folder(model)
    card = load_card(folder)
    if card.task != TASK:
        raise ModelError(f"the model {card.name} is for {card.task}, not for {TASK}: choose a heatmap model")
    network = build_heatmap(card.architecture, in_channels=len(card.channels), stride=card.stride)
    fill(network, card, folder)
    side = 4 * network.multiple
    example = torch.randn(1, len(card.channels), side, side, generator=torch.Generator().manual_seed(0))
    return HeatmapDetector(card, folded(network, example), pick_device(device))
