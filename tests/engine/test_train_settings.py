"""Losses, optimisers and schedulers by name with their arguments, sampling, shifts and early stop."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engine.errors import ModelError
from engine.models.build import build_network
from engine.models.card import WEIGHTS
from engine.train.augment import augmented
from engine.train.checkpoint import load_state, save_state
from engine.train.course import make_optimizer, make_scheduler
from engine.train.loop import epoch_order, train
from engine.train.losses import CLASS_LOSSES, make_loss
from engine.train.request import TrainRequest, check
from engine.train.settings import arguments
from tests.engine.test_train import finish, request, write_set

REQUEST = TrainRequest((), Path("nowhere"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "rings.h5")


def test_settings_are_read_as_python_values() -> None:
    given = ("loss.gamma=3", "optimizer.betas=0.9,0.95", "optimizer.eps=1e-6", "scheduler.decay_fn=linear")
    assert arguments(given, "loss") == {"gamma": 3}
    assert arguments(given, "optimizer") == {"betas": (0.9, 0.95), "eps": 1e-6}
    assert arguments(given, "scheduler") == {"decay_fn": "linear"}


@pytest.mark.parametrize("setting", ["gamma=3", "loss.gamma", "model.depth=2", "loss.=1"])
def test_what_is_no_setting_is_refused(setting: str) -> None:
    with pytest.raises(ModelError, match="NAME=VALUE"):
        arguments([setting], "loss")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loss": "CrossEntropy"}, "did you mean .*CrossEntropyLoss"),
        ({"optimizer": "adamww"}, "did you mean .*adamw"),
        ({"scheduler": "cosin"}, "did you mean cosine"),
        ({"balance": "sample"}, "did you mean sampler"),
        ({"settings": ("loss.gamma=1",)}, "cross_entropy takes no 'gamma'"),
        ({"loss": "focal", "settings": ("loss.alpha=1",)}, "it takes gamma"),
        ({"loss": "CrossEntropyLoss", "settings": ("loss.smooth=1",)}, "it takes .*label_smoothing"),
        ({"settings": ("optimizer.momentun=1",)}, "it takes .*betas"),
        ({"settings": ("optimizer.lr=1",)}, "takes no 'lr'"),
        ({"settings": ("scheduler.cycles=1",)}, "it takes .*cycle_limit"),
        ({"loss": "AsymmetricLossSingleLabel", "settings": ("loss.nonsense=1",)}, "takes no"),
        ({"loss": "MultiMarginLoss", "label_smoothing": 0.1}, "knows no label smoothing"),
        ({"shift": -1}, "shift is 0"),
        ({"optimizer": "fusednovograd"}, "cannot be used here .* choose another"),
    ],
)
def test_unknown_names_and_arguments_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check(replace(REQUEST, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CLASS_LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_every_loss_prefers_the_right_class(name: str, classes: int) -> None:
    loss, label = make_loss(name, classes=classes), torch.tensor([0, 1, 1])
    right = torch.tensor([[-4.0], [4.0], [4.0]]) if classes == 2 else 4 * torch.eye(3)[label]
    right.requires_grad_()
    value = loss(right, label, None)
    assert value.ndim == 0
    assert value < loss(-right, label, None)
    value.backward()
    assert right.grad is not None
    assert right.grad.isfinite().all()


def test_losses_of_the_libraries_are_those_by_our_names() -> None:
    logits, label = torch.randn((9, 3), generator=torch.Generator().manual_seed(1)), torch.arange(9) % 3
    ours = make_loss("cross_entropy", classes=3)(logits, label, None)
    weight = torch.tensor([1.0, 2.0, 3.0])
    for name in ("CrossEntropyLoss", "SoftTargetCrossEntropy"):
        torch.testing.assert_close(make_loss(name, classes=3)(logits, label, None), ours)
    expected = torch.nn.functional.cross_entropy(logits, label, weight)
    torch.testing.assert_close(make_loss("CrossEntropyLoss", classes=3)(logits, label, weight), expected)
    flat = make_loss("focal", classes=3, arguments={"gamma": 0})(logits, label, None)
    torch.testing.assert_close(flat, ours)
    with pytest.raises(ModelError, match="takes no class weights"):
        make_loss("SoftTargetCrossEntropy", classes=3)(logits, label, weight)


def test_arguments_reach_optimiser_and_scheduler() -> None:
    asked = replace(REQUEST, settings=("optimizer.betas=0.8,0.95", "scheduler.min_lr=0.0005"), epochs=4)
    network = build_network("test_resnet", in_channels=1, scales=1, outputs=1, size=24)
    optimizer = make_optimizer(asked, network)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.95)
    assert make_scheduler(asked, optimizer, 3).lr_min == 0.0005


def test_the_sampler_draws_all_classes_alike() -> None:
    label = np.repeat([0, 1, 2], [70, 20, 10])
    part = np.random.default_rng(0).permutation(100)
    asked = replace(REQUEST, balance="sampler")
    order = epoch_order(part, label, asked, 0)
    np.testing.assert_allclose(np.bincount(label[order]), 100 / 3, atol=1.5)
    assert set(order[label[order] == 2]) == set(np.flatnonzero(label == 2))
    np.testing.assert_array_equal(order, epoch_order(part, label, asked, 0))
    assert (order != epoch_order(part, label, asked, 1)).any()
    np.testing.assert_array_equal(np.sort(epoch_order(part, label, REQUEST, 0)), np.arange(100))


def test_shifts_move_whole_stamps_by_a_few_pixels() -> None:
    stamps = torch.zeros(40, 2, 1, 9, 9)
    stamps[..., 4, 4] = 1
    moved = augmented(stamps, torch.Generator().manual_seed(1), shift=2)
    places = moved[:, :, 0].flatten(2).argmax(2)
    assert (places[:, 0] == places[:, 1]).all()  # both scales alike
    away = torch.stack([places[:, 0] // 9 - 4, places[:, 0] % 9 - 4])
    assert away.abs().max() == 2
    assert (moved.sum((1, 2, 3, 4)) == 2).all()


def test_a_stopped_sampled_training_resumes_to_the_bit(data: Path, tmp_path: Path) -> None:
    fields = {"balance": "sampler", "shift": 2, "loss": "BCEWithLogitsLoss", "settings": ("optimizer.betas=0.8,0.9",)}
    whole = request(data, tmp_path / "whole", **fields)
    card = finish(whole)
    assert card.training["settings"] == ["optimizer.betas=0.8,0.9"]
    broken = replace(whole, out=tmp_path / "broken")
    steps = train(broken)
    for step in steps:
        if "Epoch 2" in step.note:
            break
    steps.close()  # type: ignore[attr-defined]
    finish(replace(broken, resume=True))
    one, other = ((folder / WEIGHTS).read_bytes() for folder in (whole.out, broken.out))
    assert one == other
    assert load_file(whole.out / WEIGHTS)


@pytest.mark.parametrize("optimizer", ["adafactorbv", "adahessian", "lion"])
def test_unusual_optimisers_train_and_resume_to_the_bit(data: Path, tmp_path: Path, optimizer: str) -> None:
    # The first keeps a type among its settings, the second needs second derivatives and draws numbers of its own.
    whole = request(data, tmp_path / "whole", optimizer=optimizer)
    finish(whole)
    broken = replace(whole, out=tmp_path / "broken")
    steps = train(broken)
    next(step for step in steps if "Epoch 2" in step.note)
    steps.close()  # type: ignore[attr-defined]
    finish(replace(broken, resume=True))
    assert (whole.out / WEIGHTS).read_bytes() == (broken.out / WEIGHTS).read_bytes()


def test_patience_stops_a_training_that_no_longer_gains(data: Path, tmp_path: Path) -> None:
    # Without a learning rate to speak of each epoch is as good as the one before it.
    asked = request(data, tmp_path / "run", epochs=6, patience=1, learning_rate=1e-12, warmup_epochs=0.0)
    card = finish(replace(asked, settings=("scheduler.min_lr=0.0",)))
    assert len(card.history) < 6
    assert card.training["best_epoch"] == len(card.history) - 1


def test_a_training_says_how_it_goes(data: Path, tmp_path: Path) -> None:
    notes = [step.note for step in train(request(data, tmp_path / "run"))]
    first, second = (next(note for note in reversed(notes) if f"Epoch {epoch} of 2" in note) for epoch in (1, 2))
    assert "images/s" in first
    assert "validation AUC" not in first
    assert "validation AUC" in second


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_training_resumes_to_the_bit(data: Path, tmp_path: Path) -> None:
    """The process is killed, without any chance to clean up, in the middle of its second epoch."""
    whole = request(data, tmp_path / "whole", ema_decay=0.9, shift=1)
    finish(whole)
    broken = replace(whole, out=tmp_path / "broken")
    code = f"""
import os, signal
from pathlib import Path, PosixPath, WindowsPath
from engine.train.loop import TrainRequest, train
for step in train({broken!r}):
    if "Epoch 2" in step.note:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    outcome = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert outcome.returncode == -signal.SIGKILL
    with pytest.raises(ModelError, match="holds an interrupted training: go on with --resume"):
        list(train(broken))  # what is done is not thrown away by who forgets the word
    finish(replace(broken, resume=True))
    assert (whole.out / WEIGHTS).read_bytes() == (broken.out / WEIGHTS).read_bytes()


def test_a_checkpoint_keeps_tuples_and_types(tmp_path: Path) -> None:
    state = {"rng": (3, (1, 2), None), "momentum_dtype": torch.bfloat16, "betas": [0.9, 0.99], 0: {"step": 1.5}}
    save_state(state, tmp_path / "state.safetensors")
    assert load_state(tmp_path / "state.safetensors") == state
