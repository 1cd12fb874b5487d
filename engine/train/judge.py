"""What a trained network is worth: its logits on a part of the data, its calibration, its metrics, its card."""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from engine.errors import ModelError
from engine.models.build import outputs_for
from engine.models.card import (
    WEIGHTS,
    Targets,
    calibrated,
    denormalised,
    file_sha256,
    load_card,
    normalised,
    save_card,
    sigmoid,
)
from engine.train import metrics
from engine.train.batches import Examples
from engine.train.checkpoint import save_tensors, weights
from engine.train.data import Source, TrainingSet
from engine.train.losses import Loss, make_loss
from engine.types import ModelCard

# Bins of the truth table in which the completeness on the test part is written, where it has these columns.
COMPLETENESS = {
    "einstein_radius": (0.3, 0.6, 1.0, 1.5, 2.5, 5.0, 10.0),
    "arc_snr": (0.0, 10.0, 20.0, 30.0, 50.0, 100.0, 1e9),
}
_BATCH = 256
Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Court:
    """The data a network is judged on: all examples, their parts, and the precision of the device they are on.

    ``rank`` names the metric by which epochs are compared.
    """

    data: TrainingSet
    parts: Mapping[str, NDArray[np.int64]]
    examples: Examples
    autocast: Callable[[], torch.autocast]
    rank: ClassVar[str] = "auc"

    @property
    def outputs(self) -> int:
        """How many numbers the network gives of a stamp."""
        return outputs_for(len(self.data.classes))

    @property
    def described(self) -> dict[str, Any]:
        """Fields of the card that tell what the outputs mean."""
        return {"classes": self.data.classes}

    def logits(self, network: nn.Module, part: str) -> Generator[int, None, Logits]:
        """Logits (n, outputs) of a part; yields how many examples were added."""
        found, chosen = [], self.parts[part]
        for first in range(0, len(chosen), _BATCH):
            indices = chosen[first : first + _BATCH]
            network.eval()
            with torch.inference_mode(), self.autocast():
                found.append(network(self.examples.batch(indices)[0]).double().cpu().numpy())
            yield len(indices)
        logits = np.concatenate(found)
        if not np.isfinite(logits).all():
            raise ModelError("the network gives scores that are not numbers: lower the learning rate and train again")
        return logits

    def metrics(self, part: str, logits: Logits, loss_of: Loss | None = None) -> dict[str, float]:
        """Loss and metrics of a part by the network's own probabilities."""
        label, classes = self.data.label[self.parts[part]], len(self.data.classes)
        loss_of = loss_of or make_loss("cross_entropy", classes=classes)
        found = {"loss": float(loss_of(torch.from_numpy(logits), torch.from_numpy(label), None))}
        if classes == 2:
            return found | metrics.binary_metrics(label, sigmoid(logits[:, 0]))
        return found | metrics.multiclass_metrics(label, softmax(logits, 1), self.data.classes)

    def calibration(self, logits: Logits, prior: float | None) -> dict[str, float]:
        """Calibration from the logits of the validation part: Platt's for two classes, a temperature for more."""
        label = self.data.label[self.parts["validation"]]
        if len(self.data.classes) != 2:
            return {"temperature": metrics.fit_temperature(label, logits)}
        return metrics.fit_calibration(label, logits[:, 0], prior)

    def verdict(self, logits: Logits, calibration: Mapping[str, float]) -> dict[str, float]:
        """Metrics of the test part by calibrated probabilities, with intervals and completeness."""
        if "temperature" in calibration:
            return self._verdict_of_many(logits / calibration["temperature"])
        chosen = self.parts["test"]
        label, group = self.data.label[chosen], self.data.group[chosen]
        # The test part holds as many lenses as the training set, not as the sky: it is judged at its own prior.
        probability = calibrated(logits[:, 0], {**calibration, "prior": calibration["prior_training"]})
        found = metrics.binary_metrics(label, probability)
        intervals: dict[str, metrics.Metric] = {
            "auc": metrics.auc,
            "tpr_at_fpr_1e-2": lambda t, s: metrics.tpr_at_fpr(t, s, 1e-2),
        }
        for name, metric in intervals.items():
            found[f"{name}_low"], found[f"{name}_high"] = metrics.bootstrap(metric, label, probability, group=group)
        for column, edges in COMPLETENESS.items():
            if column in self.data.truth:
                bins = metrics.completeness(label, logits[:, 0], self.data.truth[column][chosen], edges)
                found |= {f"completeness_{column}_{low:g}_{high:g}": value for (low, high), (value, _) in bins.items()}
        return found

    def _verdict_of_many(self, logits: Logits) -> dict[str, float]:
        chosen = self.parts["test"]
        label, group, probability = self.data.label[chosen], self.data.group[chosen], softmax(logits, 1)
        found = self.metrics("test", logits)
        intervals: dict[str, metrics.Metric] = {"auc": metrics.macro_auc, "accuracy": metrics.accuracy}
        for name, metric in intervals.items():
            found[f"{name}_low"], found[f"{name}_high"] = metrics.bootstrap(metric, label, probability, group=group)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class RegressionCourt(Court):
    """The same for values of the truth table; the network gives them in units of ``targets``' mean and scale."""

    targets: Targets
    rank: ClassVar[str] = "r2"

    @property
    def outputs(self) -> int:
        """One a target."""
        return len(self.targets)

    @property
    def described(self) -> dict[str, Any]:
        """Fields of the card that tell what the outputs mean."""
        return {"classes": (), "targets": self.targets}

    def metrics(self, part: str, logits: Logits, loss_of: Loss | None = None) -> dict[str, float]:
        """Loss and metrics of a part, in the units of the values; of several targets, R2 is the mean of theirs."""
        truth, predicted = self._values(part), denormalised(logits, self.targets)
        loss_of = loss_of or make_loss("MSELoss", classes=0)
        wanted = torch.from_numpy(normalised(truth, self.targets))
        found = {"loss": float(loss_of(torch.from_numpy(logits), wanted, None))}
        return found | metrics.values_metrics(truth, predicted, tuple(self.targets))

    def calibration(self, logits: Logits, prior: float | None) -> dict[str, float]:
        """Root mean square error of each target on the validation part."""
        if prior is not None:
            raise ModelError("a regression has no prior: leave it out")
        error = denormalised(logits, self.targets) - self._values("validation")
        return {f"sigma_{name}": float(np.sqrt(np.mean(error[:, k] ** 2))) for k, name in enumerate(self.targets)}

    def verdict(self, logits: Logits, calibration: Mapping[str, float]) -> dict[str, float]:
        """Metrics of the test part, with intervals, and the share of values within the calibrated error."""
        truth, predicted, group = self._values("test"), denormalised(logits, self.targets), self._groups("test")
        found = self.metrics("test", logits)
        for k, name in enumerate(self.targets):
            end = "" if self.outputs == 1 else f"_{name}"
            intervals = {"mse": metrics.mean_squared_error, "r2": metrics.r_squared}
            for key, metric in intervals.items():
                found[f"{key}{end}_low"], found[f"{key}{end}_high"] = metrics.bootstrap(
                    metric, truth[:, k], predicted[:, k], group=group
                )
            error = np.abs(predicted[:, k] - truth[:, k])
            found[f"within_sigma{end}"] = float(np.mean(error < calibration[f"sigma_{name}"]))
        return found

    def _values(self, part: str) -> NDArray[np.float64]:
        return self.data.values(tuple(self.targets))[self.parts[part]]

    def _groups(self, part: str) -> NDArray[np.int64]:
        return self.data.group[self.parts[part]]


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyCourt(Court):
    """The same for a network of one class, number ``normal``, whose output is how much a stamp surprises it."""

    normal: int
    rank: ClassVar[str] = "likelihood"

    @property
    def outputs(self) -> int:
        """The surprise."""
        return 1

    @property
    def described(self) -> dict[str, Any]:
        """Fields of the card that tell what the outputs mean."""
        return {"classes": (self.data.classes[self.normal],)}

    def metrics(self, part: str, logits: Logits, loss_of: Loss | None = None) -> dict[str, float]:
        """Mean surprise of the class in a part, and how likely it is: the same with the other sign."""
        known = self.data.label[self.parts[part]] == self.normal
        surprise = float(logits[known, 0].mean())
        return {"loss": surprise, "likelihood": -surprise}

    def calibration(self, logits: Logits, prior: float | None) -> dict[str, float]:
        """Mean and scatter of the surprise of the class on the validation part."""
        return {"mean": float(logits.mean()), "scatter": float(logits.std())}

    def verdict(self, logits: Logits, calibration: Mapping[str, float]) -> dict[str, float]:
        """AUC of the surprise on the test part: of all other classes against the known one, and of each of them."""
        found = self.metrics("test", logits)
        label, group = (values[self.parts["test"]] for values in (self.data.label, self.data.group))
        others = [k for k in np.unique(label).tolist() if k != self.normal]
        against = {"auc": label != self.normal} | {f"auc_{self.data.classes[k]}": label == k for k in others}
        for name, strange in against.items() if others else ():
            chosen = strange | (label == self.normal)
            truth, surprise = strange[chosen].astype(np.int64), logits[chosen, 0]
            found[name] = metrics.auc(truth, surprise)
            low, high = metrics.bootstrap(metrics.auc, truth, surprise, group=group[chosen])
            found |= {f"{name}_low": low, f"{name}_high": high}
        return found


def of_one_class(parts: Mapping[str, NDArray[np.int64]], data: TrainingSet, only: str) -> dict[str, NDArray[np.int64]]:
    """The parts with the class of that name alone in all but the test part."""
    known = data.label == data.classes.index(only)
    return {name: part if name == "test" else part[known[part]] for name, part in parts.items()}


def hold_court(
    data: TrainingSet,
    parts: Mapping[str, NDArray[np.int64]],
    prepared: Path,
    device: torch.device,
    *,
    targets: Sequence[str] = (),
    only: str | None = None,
    autocast: Callable[[], torch.autocast] | None = None,
) -> Court:
    """The court for classes, for ``only`` one, or for values of the truth table in units of their training spread.

    ``prepared`` is the file of the prepared stamps; without ``autocast`` networks are judged in full precision.
    """
    in_full = autocast or partial(torch.autocast, device.type, enabled=False)
    if only is not None:
        return AnomalyCourt(data, parts, Examples(prepared, data.label, device), in_full, data.classes.index(only))
    if not targets:
        return Court(data, parts, Examples(prepared, data.label, device), in_full)
    columns = zip(targets, data.values(targets)[parts["train"]].T, strict=True)
    units = {name: {"mean": float(column.mean()), "scale": float(column.std())} for name, column in columns}
    values = normalised(data.values(targets), units).astype(np.float32)
    return RegressionCourt(data, parts, Examples(prepared, values, device), in_full, units)


def settle(
    network: nn.Module, court: Court, *, prior: float | None, half: bool
) -> Generator[int, None, dict[str, Any]]:
    """Calibrate and test a finished network, rounded to half precision if it is to be stored so.

    Yields how many examples were added; returns calibration and metrics by these names.
    """
    network.load_state_dict(weights(network, half=half))
    calibration = court.calibration((yield from court.logits(network, "validation")), prior)
    found = court.verdict((yield from court.logits(network, "test")), calibration)
    return {"calibration": calibration, "metrics": found}


def write_model(network: nn.Module, data: TrainingSet, folder: Path, *, half: bool, **fields: Any) -> ModelCard:
    """Write weights, then the card that names their hash; ``fields`` are what the data do not give of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(weights(network, half=half), folder / WEIGHTS)
    card = ModelCard(
        bands=data.bands,
        size=data.size,
        pixel_scales=data.pixel_scales,
        weights_sha256=file_sha256(folder / WEIGHTS),
        data_sha256=data.sha256[0] if len(data.sha256) == 1 else "+".join(value[:16] for value in data.sha256),
        recipe=data.recipe,
        versions=versions(),
        **fields,
    )
    save_card(card, folder)
    return load_card(folder)


def data_named(data: Source) -> list[dict[str, str]]:
    """Names (not paths: where they lay is nobody else's business) and hashes of the files of a training set."""
    return [{"name": path.name, "sha256": sha256} for path, sha256 in zip(data.paths, data.sha256, strict=True)]


def versions() -> dict[str, str]:
    """Versions of what a card should name."""
    found = {"python": platform.python_version()}
    for name in ("deeplense-gui", "torch", "timm", "numpy", "scikit-learn"):
        with suppress(PackageNotFoundError):  # a source tree that is not installed
            found[name] = version(name)
    return found
