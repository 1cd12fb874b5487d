"""What a training is asked to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timm.optim import get_optimizer_class, list_optimizers  # type: ignore[attr-defined, unused-ignore]
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined, unused-ignore]

from engine.errors import DataError, ModelError
from engine.models.card import CARD
from engine.models.over import check_fit
from engine.train.data import ANY, Source, TrainingSet
from engine.train.losses import make_loss
from engine.train.settings import arguments, take_only, unknown

SCHEDULERS = ("cosine", "poly", "tanh", "step", "multistep", "none")
BALANCES = ("none", "weights", "sampler")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
IMAGENET = "imagenet"


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """All a training needs, frozen when it is asked for.

    ``targets`` are columns of the truth table, for a regression of their values instead of a classification; ``only``
    is the class that a model of anomalies knows alone; ``loss`` is cross-entropy for classes and MSELoss for values
    unless named; ``bands`` is ("any",) for a model of one band, whichever, or () for one of all the set's bands
    together; ``pretrained`` is a local timm checkpoint, or "imagenet"; ``start`` a model folder whose weights training
    goes on from; ``ema_decay`` keeps and uses a moving average of the weights; ``noise`` adds noise to prepared stamps;
    ``balance`` "weights" weighs the classes alike in the loss, "sampler" draws them alike; ``settings`` are arguments
    of loss, optimiser and scheduler (``engine.train.settings``); ``patience`` stops once the validation part was ranked
    no better for so many epochs; ``turns`` turns and mirrors stamps, ``shift`` moves them by up to so many pixels,
    ``blur`` adds seeing of up to that FWHM in arcsec; ``compiled`` runs the network through torch.compile; ``prior`` is
    the fraction of lenses to expect in use (None: as in the training set); ``given_parts`` takes the parts that the set
    was published in; ``cache`` is where prepared stamps are kept (None: in ``out``, until the training is done).
    """

    data: tuple[Path, ...]
    out: Path
    name: str = "model"
    architecture: str = "resnet18"
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    scheduler: str = "cosine"
    warmup_epochs: float = 0.5
    weight_decay: float = 0.02
    loss: str | None = None
    label_smoothing: float = 0.0
    drop_rate: float = 0.0
    ema_decay: float | None = None
    seed: int = 0
    split_seed: int = 0
    validation: float = 0.1
    test: float = 0.1
    given_parts: bool = False
    targets: tuple[str, ...] = ()
    only: str | None = None
    bands: tuple[str, ...] = ANY
    channels: tuple[str, ...] = ("stretch", "residual")
    noise: float = 0.0
    balance: str = "none"
    shift: int = 0
    turns: bool = True
    blur: float = 0.0
    patience: int | None = None
    settings: tuple[str, ...] = ()
    pretrained: Path | str | None = None
    start: Path | None = None
    device: str | None = None
    precision: str = "auto"
    compiled: bool = False
    threads: int | None = None
    resume: bool = False
    prior: float | None = None
    half_weights: bool = False
    cache: Path | None = None
    task: str = "lens finding"
    limits: str = ""
    licence: str = ""

    @property
    def chosen_loss(self) -> str:
        """The name of the loss."""
        if self.only is not None:
            return "negative log-likelihood"
        return self.loss or ("MSELoss" if self.targets else "cross_entropy")


# What may differ between a training and its resumption without changing its weights.
_FREE = (
    *("data", "out", "name", "resume", "cache", "threads", "device", "pretrained", "start"),
    *("prior", "half_weights", "task", "limits", "licence"),
)
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainRequest)}
_OF_CLASSES = ("targets", "loss", "label_smoothing", "balance", "drop_rate", "prior")


def refuse(request: TrainRequest, names: Iterable[str], what: str) -> None:
    """Refuse settings that mean nothing for ``what``.

    Raises
    ------
    ModelError
        Any of them, where it is not its default.
    """
    for name in names:
        if getattr(request, name) != _DEFAULTS[name]:
            raise ModelError(f"{what} is trained without {name.replace('_', ' ')}: leave it out")


def check(request: TrainRequest) -> None:
    """Refuse what cannot work before any of the data are read.

    Raises
    ------
    ModelError, DataError
        A setting that does not fit, or a folder that already holds a model.
    """
    for name, values in {"scheduler": SCHEDULERS, "precision": PRECISIONS, "balance": BALANCES}.items():
        if getattr(request, name) not in values:
            raise unknown(name, getattr(request, name), values)
    _check_settings(request)
    if request.targets and (request.balance != "none" or request.prior is not None):
        raise ModelError("a regression has no classes to balance, and no prior: leave balance and prior out")
    if request.only is not None:
        refuse(request, _OF_CLASSES, "a model of one class")
    if request.blur < 0:
        raise ModelError(f"the blur is a FWHM of 0 arcsec or more, not {request.blur:g}: change it")
    if request.shift < 0 or (request.patience is not None and request.patience < 1):
        raise ModelError("a shift is 0 pixels or more and a patience at least 1 epoch: change them")
    if not all(0 <= seed < 2**63 for seed in (request.seed, request.split_seed)):
        raise ModelError("seeds are whole numbers from 0 to 2^63 - 1: change them")
    if request.epochs < 1 or request.batch_size < 2 or not request.learning_rate > 0:
        raise ModelError("at least 1 epoch, a batch of at least 2 and a learning rate above 0 are needed: change them")
    if min(request.validation, request.test) <= 0 or request.validation + request.test >= 1:
        raise DataError("validation and test are fractions above 0 whose sum is below 1: change them")
    if request.prior is not None and not 0 < request.prior < 1:
        raise DataError(f"the prior is a fraction of lenses between 0 and 1, not {request.prior:g}: change it")
    if request.pretrained is not None and request.start is not None:
        raise ModelError("start from pretrained weights or from a model, not from both: leave one out")
    if (request.out / CARD).exists() and not request.resume:
        raise ModelError(f"{request.out} already holds a trained model: name another folder, or resume")


def check_stamps(request: TrainRequest, data: TrainingSet) -> None:
    """Refuse a training set that the network cannot take.

    Raises
    ------
    ModelError
        Stamps that the model below the architecture was not made for.
    """
    check_fit(
        request.architecture,
        channels=request.channels,
        size=data.size,
        pixel_scales=data.pixel_scales,
        bands=data.bands,
    )


def _check_settings(request: TrainRequest) -> None:
    """Refuse names and arguments of loss, optimiser and scheduler that are not known."""
    if request.optimizer not in list_optimizers():
        raise unknown("optimiser", request.optimizer, map(str, list_optimizers()))
    given = {section: arguments(request.settings, section) for section in ("loss", "optimizer", "scheduler")}
    if request.only is None:
        classes = 0 if request.targets else 2
        make_loss(
            request.chosen_loss, classes=classes, label_smoothing=request.label_smoothing, arguments=given["loss"]
        )
    try:
        kind = get_optimizer_class(request.optimizer, bind_defaults=False)
    except (AssertionError, ImportError) as error:
        raise ModelError(f"the optimiser {request.optimizer} cannot be used here ({error}): choose another") from error
    take_only(given["optimizer"], kind, f"the optimiser {request.optimizer}", ("params", "lr", "weight_decay"))
    reserved = ("optimizer", "sched", "num_epochs", "warmup_epochs", "step_on_epochs", "updates_per_epoch")
    take_only(given["scheduler"], create_scheduler_v2, "a scheduler", reserved)


def fingerprint(request: TrainRequest, data: Source) -> dict[str, Any]:
    """What has to be the same for a training to be resumed, as JSON keeps it."""
    values = {name: value for name, value in dataclasses.asdict(request).items() if name not in _FREE}
    values["loss"] = request.chosen_loss
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return values | {"training set": list(data.sha256)}
