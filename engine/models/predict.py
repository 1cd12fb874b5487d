"""Scoring stamps with a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.device import autocast, batch_size, pick_device, precision
from engine.errors import ModelError
from engine.models.build import Committee, build_network, outputs_for
from engine.models.card import calibrated, class_probabilities, denormalised, load_card, sigmoid
from engine.models.contrast import contrasts
from engine.models.library import model_folder
from engine.models.preprocess import channel_count, prepare
from engine.models.runtime import Way, quickest
from engine.models.weights import fill
from engine.types import Cutouts, Estimates, FloatArray, ModelCard, Scores

ANY = ("any",)
_EXAMPLE = 16  # stamps
VIEWS = {1: (0,), 2: (0, 5), 4: (0, 1, 2, 3), 8: (0, 1, 2, 3, 4, 5, 6, 7)}
"""Which of the eight views of a square (quarter turns, mirrored from 4 on) are averaged for a number of views."""


class _Opinions(nn.Module):
    """A network, or each member of a committee: (member, n, output)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, stamps: Tensor) -> Tensor:
        if isinstance(self.network, Committee):
            return self.network.member_logits(stamps)
        logits: Tensor = self.network(stamps)
        return logits[None]


class Predictor:
    """A trained network with its card, on a device, whatever it gives.

    ``network`` takes what ``prepared`` makes of pixels; ``note`` tells what had to be changed to go on (a smaller
    batch, the CPU), or is empty.
    """

    def __init__(self, card: ModelCard, network: nn.Module, device: torch.device) -> None:
        self.card = card
        self.network: Any = network.to(device).eval()
        self.device = device
        self.note = ""
        self._batch = 0
        self._way: Way | None = None

    def quicken(self) -> Self:
        """Find the quickest way to run the network on this machine, once: worth it for some hundred stamps.

        Raises
        ------
        ModelError
            What the environment asks for cannot run here (engine.models.runtime).
        """
        if self._way is None and self.device.type == "cpu":
            channels = channel_count(self.card.channels, self.card.bands)
            shape = (_EXAMPLE, len(self.card.pixel_scales), channels, self.card.size, self.card.size)
            example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            self._way = quickest(_Opinions(self.network), example)
        return self

    @property
    def means(self) -> str:
        """What runs the network, where and how precisely, in words."""
        where = {"cpu": "the processor", "mps": "the graphics of this Mac"}.get(self.device.type, "")
        where = where or torch.cuda.get_device_name(self.device)
        by = "PyTorch" if self._way is None else self._way.by
        return f"{by} on {where}, {str(precision(self.device)).removeprefix('torch.')}"

    def logits(self, pixels: FloatArray) -> NDArray[np.float64]:
        """The network's own outputs, (n,) if it has one and (n, output) else, of (n, scale, band, y, x) pixels."""
        logits = self._view_logits(pixels, 1).mean(0)
        return np.asarray(logits[:, 0] if logits.shape[1] == 1 else logits)

    def prepared(self, pixels: FloatArray) -> Tensor:
        """What the network sees of pixels (n, scale, band, y, x): (n, scale, channel, y, x) on the device."""
        return torch.from_numpy(self._prepare(pixels)).to(self.device)

    def _view_logits(self, pixels: FloatArray, views: int) -> NDArray[np.float64]:
        return self.outputs(self._prepare(pixels), views=views)

    def _prepare(self, pixels: FloatArray) -> FloatArray:
        card = self.card
        return prepare(pixels, card.channels, bands=card.bands, pixel_scales=card.pixel_scales)

    def outputs(self, stamps: FloatArray, *, views: int = 1) -> NDArray[np.float64]:
        """What the network gives of prepared stamps, (member * view, n, output), in batches that fit the memory.

        ``stamps`` is (n, scale, channel, y, x) float32, as ``engine.models.preprocess.prepare`` makes them.
        """
        if views not in VIEWS:
            raise ModelError(f"{views} views are not possible: choose 1, 2, 4 or 8")
        if not len(stamps):
            return np.zeros((1, 0, outputs_of(self.card)))
        self._batch = self._batch or batch_size(self.device, stamps[0].size)
        found, first = [], 0
        while first < len(stamps):
            try:
                count = max(self._batch // views, 1)  # all views of a few stamps are a batch too
                found.append(self._batch_logits(stamps[first : first + count], VIEWS[views]))
            except torch.OutOfMemoryError:
                self._retreat()
                continue
            first += count
        return np.concatenate(found, 1)

    def _batch_logits(self, stamps: FloatArray, views: Sequence[int]) -> NDArray[np.float64]:
        with torch.inference_mode(), autocast(self.device):
            # In numpy: the threads that torch would turn them with get in the way of those of the network.
            seen = stamps if views == VIEWS[1] else np.concatenate([_turned(stamps, number) for number in views])
            run = _Opinions(self.network) if self._way is None else self._way.run
            found = run(torch.from_numpy(seen).to(self.device)).double().cpu()  # (member, view * n, output)
        each = found.reshape(len(found), len(views), len(stamps), -1).transpose(0, 1)
        return np.asarray(each.reshape(-1, len(stamps), each.shape[-1]))

    def _retreat(self) -> None:
        """Halve the batch; where one stamp is still too much for the accelerator, go on without it."""
        if self._batch > 1:
            self._batch //= 2
            self.note = f"out of memory on {self.device}: going on with batches of {self._batch}"
        elif self.device.type != "cpu":
            self.note = f"out of memory on {self.device}: going on with the CPU"
            self.device = torch.device("cpu")
            self.network = self.network.to(self.device)
            self._batch = 0
            self.quicken()
        else:
            raise ModelError(f"not enough memory to score one stamp with {self.card.name}: close other programs")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _check(self, cutouts: Cutouts) -> None:
        card = self.card
        if cutouts.pixels.shape[-1] != card.size:
            raise ModelError(
                f"the model {card.name} takes stamps of {card.size} px, not {cutouts.pixels.shape[-1]}: cut anew"
            )
        scales = cutouts.pixel_scales
        if len(scales) != len(card.pixel_scales) or not np.allclose(scales, card.pixel_scales, rtol=1e-3):
            wanted, given = (" and ".join(f'{s:g}"' for s in values) for values in (card.pixel_scales, scales))
            raise ModelError(f"the model {card.name} takes pixels of {wanted}, not {given}: cut the stamps anew")
        if card.bands not in (ANY, cutouts.bands):
            wanted, given = ", ".join(card.bands), ", ".join(cutouts.bands)
            raise ModelError(f"the model {card.name} takes the bands {wanted}, in this order, not {given}: choose them")


class Classifier(Predictor):
    """A network that tells classes apart."""

    def score(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        """Score stamps: the mean logit over views and members, calibrated; its spread is that of their scores.

        A stamp without any data scores 0.

        Parameters
        ----------
        views : 1, 2, 4 or 8 of the views of a square that are averaged

        Raises
        ------
        ModelError
            Stamps of another size, pixel scale or bands than the model takes; or of several bands for a model that
            scores one (choose a band, or ``score_bands``).
        """
        self._check(cutouts)
        if self.card.bands == ANY and len(cutouts.bands) > 1:
            raise ModelError(
                f"the model {self.card.name} scores one band, the stamps have {', '.join(cutouts.bands)}: choose one"
            )
        self._check_binary()
        return self._scores(self._view_logits(cutouts.pixels, views)[..., 0], has_data(cutouts.pixels))

    def score_bands(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        """Score stamps of several bands with a model of any one: the mean logit over the bands that have data.

        The bluest and the reddest band give further images that count as bands (engine.models.contrast). The spread
        is over bands, views and members alike. A model of named bands scores as ``score`` does.
        """
        if self.card.bands != ANY:
            return self.score(cutouts, views=views)
        self._check(cutouts)
        self._check_binary()
        pixels = np.concatenate([cutouts.pixels, contrasts(cutouts)], axis=2)
        n, scales, bands, size, _ = pixels.shape
        single = pixels.swapaxes(1, 2).reshape(n * bands, scales, 1, size, size)
        seen = has_data(single).reshape(n, bands)
        logits = self._view_logits(single, views)[..., 0]
        opinions = logits.reshape(len(logits), n, bands)
        return self._scores(np.moveaxis(opinions, 2, 0).reshape(bands * len(logits), n), seen.T.repeat(len(logits), 0))

    def probabilities(self, cutouts: Cutouts, *, views: int = 1) -> NDArray[np.float64]:
        """Probability of each class (n, class); the rows of stamps without any data are NaN."""
        self._check(cutouts)
        found = class_probabilities(self._view_logits(cutouts.pixels, views).mean(0), self.card.calibration)
        found[~has_data(cutouts.pixels)] = np.nan
        return found

    def _scores(self, logits: NDArray[np.float64], seen: NDArray[np.bool_]) -> Scores:
        """Scores of logits (opinion, n), of those opinions that saw anything: ``seen`` is (n,) or (opinion, n)."""
        weight = np.broadcast_to(seen, logits.shape).astype(np.float64)
        count = np.maximum(weight.sum(0), 1)
        mean = (weight * logits).sum(0) / count
        each = calibrated(logits, self.card.calibration)
        average = (weight * each).sum(0) / count
        spread = np.sqrt((weight * (each - average) ** 2).sum(0) / count)
        blind = weight.sum(0) == 0
        score, raw = calibrated(mean, self.card.calibration), sigmoid(mean)
        return Scores(np.where(blind, 0.0, score), np.where(blind, 0.0, raw), spread)

    def _check_binary(self) -> None:
        if len(self.card.classes) != 2:
            raise ModelError(
                f"the model {self.card.name} tells {', '.join(self.card.classes)} apart: it gives no single score"
            )


class Regressor(Predictor):
    """A network that gives values: the card's targets."""

    def estimate(self, cutouts: Cutouts, *, views: int = 1) -> Estimates:
        """The values of stamps, means over views and members, with the error to expect of each.

        The error is that on the validation part of the training (card.calibration) and the spread over views and
        members, in quadrature: it holds for stamps like those of the training set, no others.

        Raises
        ------
        ModelError
            Stamps of another size, pixel scale or bands than the model takes.
        """
        self._check(cutouts)
        each = denormalised(self._view_logits(cutouts.pixels, views), self.card.targets)
        names = tuple(self.card.targets)
        error = np.array([self.card.calibration.get(f"sigma_{name}", 0.0) for name in names])
        value, sigma = each.mean(0), np.hypot(each.std(0), error)
        blind = ~has_data(cutouts.pixels)
        value[blind] = sigma[blind] = np.nan
        return Estimates(names, value, sigma)


def view(stamps: Tensor, number: int) -> Tensor:
    """One of the eight views of a square: ``number % 4`` quarter turns, mirrored from 4 on; all scales alike."""
    turned = torch.rot90(stamps, number % 4, (-2, -1))
    return turned.flip(-1) if number >= 4 else turned


def _turned(stamps: FloatArray, number: int) -> FloatArray:
    """As ``view``, of an array."""
    turned = np.rot90(stamps, number % 4, (-2, -1))
    return turned[..., ::-1] if number >= 4 else turned


def load_classifier(model: str | Path, *, device: str | None = None) -> Classifier:
    """Load a classifier by its name in the library or its folder, once its weights were found to be those of its card.

    Raises
    ------
    ModelError
        No such model, one that gives no scores, or a card, weights and architecture that do not fit each other.
    """
    found = load_model(model, device=device)
    if not isinstance(found, Classifier):
        given = ", ".join(found.card.targets) or "how unlike its class a stamp is"
        raise ModelError(f"the model {found.card.name} gives {given}, no score: choose another")
    return found


def load_model(model: str | Path, *, device: str | None = None) -> Predictor:
    """Load a model of stamps, whatever it gives: a Classifier, a Regressor, or an AnomalyDetector of a single class.

    Raises
    ------
    ModelError
        No such model, a dense detector, or a card, weights and architecture that do not fit each other.
    """
    folder = model_folder(model)
    card = load_card(folder)
    if card.stride:
        raise ModelError(f"the model {card.name} is for {card.task}, not for stamps: name it with --heatmap-model")
    network = network_of(card)
    kind: type[Predictor] = Regressor if card.targets else Classifier
    if len(card.classes) == 1:
        from engine.models.anomaly import AnomalyDetector

        kind = AnomalyDetector
    fill(network, card, folder)
    return kind(card, network, pick_device(device))


def network_of(card: ModelCard) -> nn.Module:
    """The network of a card, its weights not yet filled in."""
    return build_network(
        card.architecture,
        in_channels=channel_count(card.channels, card.bands),
        scales=len(card.pixel_scales),
        outputs=outputs_of(card),
        size=card.size,
        one_class=len(card.classes) == 1,
    )


def outputs_of(card: ModelCard) -> int:
    """How many outputs the network of a card has."""
    return len(card.targets) or outputs_for(len(card.classes))


def has_data(pixels: FloatArray) -> NDArray[np.bool_]:
    """Whether stamps (n, scale, band, y, x) hold any data, (n,)."""
    return np.asarray(np.isfinite(pixels).any((1, 2, 3, 4)))
