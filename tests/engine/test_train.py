"""Training on a tiny set: what is read, how it is split, that it learns, and that resuming changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from engine.errors import DataError, ModelError
from engine.models.card import WEIGHTS, file_sha256, load_card
from engine.models.predict import load_classifier
from engine.simulate import finder
from engine.train.augment import augmented
from engine.train.batches import Examples, prepare_all, prepared_path
from engine.train.checkpoint import load_state, save_state
from engine.train.committee import CommitteeRequest, form_committee
from engine.train.course import CHECKPOINT
from engine.train.data import open_training_set, split
from engine.train.judge import COMPLETENESS
from engine.train.loop import TrainRequest, train
from engine.train.losses import LOSSES, make_loss
from engine.types import Cutouts, ModelCard, Step

SIZE, SCALES = 24, (0.2, 0.6)


def write_set(path: Path, count: int = 96, bands: Sequence[str] = ("r",), seed: int = 0) -> Path:
    """Galaxies, half of them with a ring around; two stamps share each source."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius = np.hypot(x, y)
    label = np.arange(count) // 2 % 2
    stamps = random.normal(size=(count, len(SCALES), len(bands), SIZE, SIZE)) + 30 * np.exp(-radius / 3)
    stamps[label == 1] += 9 * np.exp(-((radius - 7) ** 2) / 2)
    with h5py.File(path, "w") as file:
        file["cutouts"] = stamps.astype(np.float32)
        file["cutouts"].attrs.update(pixel_scales=SCALES, bands=list(bands), recipe='{"name": "rings"}', seed=seed)
        file["label"] = label
        file["label"].attrs["classes"] = ["not", "lens"]
        file["truth/group"] = np.arange(count) // 2 + 1000 * seed
        file["truth/einstein_radius"] = np.where(label == 1, random.uniform(0.4, 2, count), np.nan)
        file["truth/kind"] = np.array(["ring"] * count, dtype="S4")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "rings.h5")


def request(data: Path, out: Path, **fields: object) -> TrainRequest:
    base = TrainRequest((data,), out, architecture="test_resnet", epochs=2, batch_size=16, device="cpu", threads=1)
    return replace(base, validation=0.2, test=0.2, **fields)  # type: ignore[arg-type]


def finish(asked: TrainRequest) -> ModelCard:
    *_, last = train(asked)
    assert last.done == last.total
    return last.items[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainRequest, list[Step]]:
    asked = request(data, tmp_path_factory.mktemp("run") / "rings", name="rings", epochs=4, ema_decay=0.9, prior=0.1)
    return asked, list(train(asked))


def test_completeness_is_measured_in_the_columns_that_the_recipes_write() -> None:
    assert set(COMPLETENESS) <= set(finder.TRUTH)


# reading -------------------------------------------------------------------------------------------------------------


def test_a_training_set_is_read(data: Path) -> None:
    found = open_training_set([data])
    assert (len(found), found.bands, found.size, found.pixel_scales) == (96, ("any",), SIZE, SCALES)
    assert found.classes == ("not", "lens")
    assert found.recipe["recipe"] == {"name": "rings"}
    assert set(found.truth) == {"group", "einstein_radius"}
    assert found.sha256 == (file_sha256(data),)


def test_each_band_is_an_example_of_its_own(tmp_path: Path) -> None:
    path = write_set(tmp_path / "gri.h5", 12, ("g", "r", "i"))
    with h5py.File(path, "r+") as file:
        file["cutouts"][3, :, 1] = np.nan
        file["label"][5] = -1
    found = open_training_set([path])
    assert len(found) == 12 * 3 - 1 - 3
    assert len(np.unique(found.group)) == 6
    with h5py.File(path) as file:
        cutouts = file["cutouts"][()]
    for place, pixels in found.chunks(5):
        expected = cutouts[found.row[place], :, found.band[place]][:, :, None]
        np.testing.assert_array_equal(pixels, expected)
    together = open_training_set([path], bands=())
    assert (len(together), together.bands) == (11, ("g", "r", "i"))
    assert next(together.chunks())[1].shape == (11, 2, 3, SIZE, SIZE)
    with pytest.raises(DataError, match="not r, g"):
        open_training_set([path], bands=("r", "g"))


def test_several_files_are_one_set(tmp_path: Path) -> None:
    paths = [write_set(tmp_path / f"{seed}.h5", 8, seed=seed) for seed in (1, 2)]
    found = open_training_set(paths)
    assert len(found) == 16
    whole = np.concatenate([pixels for _, pixels in found.chunks(3)])
    with h5py.File(paths[1]) as file:
        np.testing.assert_array_equal(whole[8:], file["cutouts"][()])
    assert set(found.recipe) == {"1.h5", "2.h5"}


def test_files_of_different_kinds_are_refused(tmp_path: Path) -> None:
    paths = [write_set(tmp_path / f"{seed}.h5", 8, seed=seed) for seed in (1, 2)]
    with h5py.File(paths[1], "r+") as file:
        file["cutouts"].attrs["pixel_scales"] = (0.2, 0.5)
    with pytest.raises(DataError, match="files of one kind"):
        open_training_set(paths)


def _without(name: str):  # type: ignore[no-untyped-def]
    def damage(file: h5py.File) -> None:
        del file[name]

    return damage


def _replaced(name: str, value: object):  # type: ignore[no-untyped-def]
    def damage(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = value
        file[name].attrs.update(attributes)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("cutouts"), "lacks cutouts"),
        (_without("label"), "lacks label"),
        (_replaced("cutouts", np.zeros((96, 24, 24), "f4")), "have the shape"),
        (_replaced("cutouts", np.zeros((96, 2, 1, 24, 24), "i4")), "not floating point"),
        (_replaced("cutouts", np.full((96, 2, 1, 24, 24), np.nan, "f4")), "no labelled stamp"),
        (_replaced("cutouts", np.zeros((96, 3, 1, 24, 24), "f4")), "names 2 pixel scales"),
        (_replaced("label", np.zeros(95, int)), "must be 96 integers"),
        (_replaced("label", np.zeros(96)), "must be 96 integers"),
        (_replaced("label", np.zeros(96, int)), "no example of lens"),
        (_replaced("label", np.full(96, 2)), "labels up to 2"),
        (_replaced("label", np.full(96, -1)), "no labelled stamp"),
    ],
)
def test_damaged_training_sets_are_refused(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    path = write_set(tmp_path / "set.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(DataError, match=message):
        open_training_set([path])


def test_what_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(DataError, match="not an HDF5 file"):
        open_training_set([tmp_path / "text.h5"])
    with pytest.raises(DataError, match="does not exist"):
        open_training_set([tmp_path / "none.h5"])
    with pytest.raises(DataError, match="no training set"):
        open_training_set([])


# splitting -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(6, 300), st.floats(0.05, 0.4))
def test_no_source_is_in_two_parts(seed: int, count: int, fraction: float) -> None:
    random = np.random.default_rng(seed)
    group = random.integers(-(2**62), 2**62, count)[random.integers(0, count, 3 * count)]
    label = (group % 2).astype(int)  # a source is of one class
    if min(len(np.unique(group[label == k])) for k in (0, 1)) < 3:
        return
    parts = split(label, group, seed=seed, validation=fraction, test=fraction)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(label)))
    members = [set(group[part]) for part in parts.values()]
    assert not (members[0] & members[1] | members[1] & members[2] | members[0] & members[2])
    for part in parts.values():
        assert set(label[part]) == {0, 1}


def test_a_source_is_in_the_same_part_of_every_set() -> None:
    group = np.random.default_rng(1).integers(0, 2**60, 5000)
    label = group % 2
    whole, half = split(label, group, seed=3), split(label[::2], group[::2], seed=3)
    assert set(group[::2][half["test"]]) <= set(group[whole["test"]])
    assert len(whole["test"]) == pytest.approx(500, rel=0.2)
    assert set(whole["test"]) != set(split(label, group, seed=4)["test"])


def test_twins_stay_together_and_every_part_has_both() -> None:
    group = np.repeat(np.arange(12), 2)
    parts = split(np.tile([0, 1], 12), group, seed=1)
    assert all(len(part) >= 2 and set(np.unique(group[part], return_counts=True)[1]) == {2} for part in parts.values())


def test_too_few_sources_are_refused() -> None:
    with pytest.raises(DataError, match="too few sources with label 1"):
        split(np.array([0] * 8 + [1] * 8), np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 9, 9, 9, 9]), seed=0)


# batches -------------------------------------------------------------------------------------------------------------


def test_stamps_are_prepared_once(data: Path, tmp_path: Path) -> None:
    found = open_training_set([data])
    path = prepared_path(found, ("stretch",), tmp_path)
    assert path != prepared_path(found, ("stretch", "residual"), tmp_path)
    assert sum(prepare_all(found, ("stretch",), path, threads=2)) == 96
    stamps, label = Examples(path, found.label, torch.device("cpu")).batch(np.array([5, 3]))
    assert stamps.shape == (2, 2, 1, SIZE, SIZE)
    assert label.tolist() == found.label[[5, 3]].tolist()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_stopping_the_preparation_leaves_nothing(data: Path, tmp_path: Path) -> None:
    found = open_training_set([data])
    steps = prepare_all(found, ("stretch",), tmp_path / "prepared.npy", threads=1)
    next(steps)
    steps.close()
    assert not list(tmp_path.iterdir())


def test_augmented_stamps_are_views_of_the_stamps() -> None:
    stamps = torch.arange(3 * 2 * 9.0).reshape(3, 2, 1, 3, 3)
    mixed = augmented(stamps, torch.Generator().manual_seed(1))
    torch.testing.assert_close(mixed.flatten(1).sort(1).values, stamps.flatten(1).sort(1).values)
    many = augmented(stamps[:1].expand(16, 2, 1, 3, 3), torch.Generator().manual_seed(1))
    assert len({tuple(stamp[0].flatten().tolist()) for stamp in many}) == 8
    noisy = augmented(stamps, torch.Generator().manual_seed(1), noise=0.1)
    assert 0 < (noisy - mixed).abs().max() < 1


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_losses_fall_where_the_logits_are_right(name: str, classes: int) -> None:
    loss = make_loss(name, classes=classes)
    label = torch.tensor([0, 1, 1])
    wrong = torch.zeros(3, 1 if classes == 2 else 3)
    right = torch.tensor([[-4.0], [4.0], [4.0]]) if classes == 2 else 4 * torch.eye(3)[label]
    assert loss(right, label, None) < loss(wrong, label, None)
    assert loss(wrong, label, torch.tensor([1.0, 3.0, 1.0])[:classes]).isfinite()


def test_binary_loss_is_that_of_the_sigmoid() -> None:
    logits, label = torch.tensor([[0.3], [-1.2], [2.0]]), torch.tensor([0, 1, 1])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], label.float())
    torch.testing.assert_close(make_loss("cross_entropy", classes=2)(logits, label, None), expected)


# the loop ------------------------------------------------------------------------------------------------------------


def test_a_training_learns_and_describes_itself(trained: tuple[TrainRequest, list[Step]], data: Path) -> None:
    asked, steps = trained
    card = steps[-1].items[0]
    assert card == load_card(asked.out)
    assert card.metrics["auc"] > 0.9
    assert card.metrics["auc_low"] <= card.metrics["auc"] <= card.metrics["auc_high"]
    assert any(name.startswith("completeness_einstein_radius") for name in card.metrics)
    assert {"slope", "intercept", "prior_training"} < set(card.calibration)
    assert card.calibration["prior"] == 0.1
    assert [epoch["epoch"] for epoch in card.history] == [1, 2, 3, 4]
    assert {"train_loss", "loss", "auc", "auprc", "accuracy", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3"} <= set(
        card.history[0]
    )
    assert card.data_sha256 == file_sha256(data)
    assert card.weights_sha256 == file_sha256(asked.out / WEIGHTS)
    assert {"torch", "timm", "numpy", "python"} <= set(card.versions)
    assert card.training["data"][0]["name"] == data.name
    assert str(data.parent) not in (asked.out / "model.json").read_text()
    assert not list(asked.out.glob("prepared-*"))


def test_its_steps_count_up_to_the_total(trained: tuple[TrainRequest, list[Step]]) -> None:
    counted = [step for step in trained[1] if step.total > 1]
    assert all(a.done <= b.done for a, b in pairwise(counted))
    assert sum(isinstance(item, dict) for step in counted for item in step.items) == 4


def test_the_trained_model_scores_what_it_learned(trained: tuple[TrainRequest, list[Step]], tmp_path: Path) -> None:
    path = write_set(tmp_path / "more.h5", 40, seed=9)
    with h5py.File(path) as file:
        cutouts = Cutouts(file["cutouts"][()], SCALES, ("r",), np.zeros((40, 2)))
        label = file["label"][()]
    scores = load_classifier(trained[0].out).score(cutouts, views=8)
    assert scores.score[label == 1].min() > scores.score[label == 0].max()


def test_a_stopped_training_resumes_to_the_bit(data: Path, tmp_path: Path) -> None:
    """Stopped in the middle of the second epoch, with torch's random numbers used in between."""
    whole = request(data, tmp_path / "whole", ema_decay=0.9, drop_rate=0.2, noise=0.1, epochs=3)
    finish(whole)
    broken = replace(whole, out=tmp_path / "broken")
    steps, epochs = train(broken), 0
    for step in steps:
        torch.rand(3)
        epochs += any(isinstance(item, dict) for item in step.items)
        if epochs == 1 and "Epoch 2" in step.note:
            break
    steps.close()
    assert not (broken.out / WEIGHTS).exists()
    assert list(broken.out.glob("prepared-*"))
    torch.manual_seed(99)
    finish(replace(broken, resume=True))
    one, other = (load_file(folder / WEIGHTS) for folder in (whole.out, broken.out))
    assert all(torch.equal(one[name], other[name]) for name in one)
    first, second = load_state(whole.out / CHECKPOINT), load_state(broken.out / CHECKPOINT)
    assert [e["loss"] for e in first["history"]] == [e["loss"] for e in second["history"]]


def test_a_finished_training_resumes_to_its_card(trained: tuple[TrainRequest, list[Step]]) -> None:
    asked, steps = trained
    before = (asked.out / WEIGHTS).stat().st_mtime_ns
    assert finish(replace(asked, resume=True)) == steps[-1].items[0]
    assert (asked.out / WEIGHTS).stat().st_mtime_ns == before
    with pytest.raises(ModelError, match="already holds"):
        next(train(asked))
    with pytest.raises(ModelError, match="another epochs, learning rate"):
        list(train(replace(asked, resume=True, epochs=9, learning_rate=0.1)))


def test_training_goes_on_from_a_model(trained: tuple[TrainRequest, list[Step]], data: Path, tmp_path: Path) -> None:
    card = finish(
        request(data, tmp_path / "tuned", start=trained[0].out, epochs=1, learning_rate=1e-5, half_weights=True)
    )
    assert card.metrics["auc"] > 0.9
    weights = load_file(tmp_path / "tuned" / WEIGHTS)
    assert {tensor.dtype for name, tensor in weights.items() if "running_" in name} == {torch.float32}
    assert weights["head.weight"].dtype == torch.float16
    with pytest.raises(ModelError, match="do not fit this network"):
        finish(request(data, tmp_path / "other", start=trained[0].out, channels=("stretch",)))


def test_three_classes_and_named_bands(tmp_path: Path) -> None:
    path = write_set(tmp_path / "gr.h5", 60, ("g", "r"))
    with h5py.File(path, "r+") as file:
        file["label"][...] = file["truth/group"][()] % 3
        file["label"].attrs["classes"] = ["none", "cdm", "axion"]
    asked = request(path, tmp_path / "three", bands=(), task="substructure", loss="focal", balance="weights", epochs=1)
    card = finish(asked)
    assert (card.bands, card.classes) == (("g", "r"), ("none", "cdm", "axion"))
    assert card.calibration["temperature"] > 0
    assert {"auc", "auc_low", "auc_micro", "auprc", "accuracy", "ece", "recall_cdm"} <= set(card.metrics)
    counted = sum(value for name, value in card.metrics.items() if name.startswith("confusion_"))
    assert counted == card.training["test_examples"]
    assert load_classifier(asked.out).card == card


def test_members_join_into_a_committee(trained: tuple[TrainRequest, list[Step]], data: Path, tmp_path: Path) -> None:
    second = request(data, tmp_path / "second", seed=5, epochs=1)
    finish(second)
    asked = CommitteeRequest(
        (trained[0].out, second.out), (data,), tmp_path / "both", prior=0.1, device="cpu", threads=1
    )
    *_, last = form_committee(asked)
    card = last.items[0]
    assert card.architecture == "test_resnet+test_resnet"
    assert card.metrics["auc"] > 0.9
    assert [member["key"] for member in card.training["members"]] == [load_card(m).key for m in asked.members]
    with h5py.File(data) as file:
        pixels = file["cutouts"][:6]
    members = [load_classifier(folder) for folder in asked.members]
    expected = np.mean(
        [m.card.calibration["slope"] * m.logits(pixels) + m.card.calibration["intercept"] for m in members], 0
    )
    np.testing.assert_allclose(load_classifier(asked.out).logits(pixels), expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(ModelError, match="at least two"):
        next(form_committee(replace(asked, members=asked.members[:1], out=tmp_path / "one")))
    third = finish(request(data, tmp_path / "third", split_seed=7, epochs=1))
    with pytest.raises(ModelError, match="differ in split seed"):
        next(form_committee(replace(asked, members=(second.out, tmp_path / "third"), out=tmp_path / "mixed")))
    assert third.training["split_seed"] == 7
    # A committee says how its data were split as any model does, so that it can sit on a committee itself.
    *_, last = form_committee(replace(asked, members=(asked.out, second.out), out=tmp_path / "nested"))
    assert last.items[0].training["split_seed"] == card.training["split_seed"] == trained[0].split_seed
    assert last.items[0].architecture == "test_resnet+test_resnet+test_resnet"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adamz"}, "did you mean adam"),
        ({"scheduler": "plateau"}, "unknown scheduler"),
        ({"loss": "hinge"}, "unknown loss"),
        ({"precision": "int8"}, "unknown precision"),
        ({"epochs": 0}, "at least 1 epoch"),
        ({"seed": -1}, "seeds are whole numbers"),
        ({"split_seed": 2**63}, "seeds are whole numbers"),
        ({"learning_rate": 0.0}, "learning rate above 0"),
        ({"label_smoothing": 1.5}, "label smoothing"),
        ({"pretrained": Path("a"), "start": Path("b")}, "not from both"),
        ({"architecture": "resnet81"}, "did you mean"),
        ({"pretrained": "imagenet"}, "there are ImageNet weights for"),
        ({"learning_rate": 1e30, "optimizer": "sgd", "warmup_epochs": 0.0}, "diverged|not numbers"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    data: Path, tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        list(train(request(data, tmp_path / "run", **fields)))


@pytest.mark.parametrize("fields", [{"validation": 0.0}, {"test": 0.9}, {"prior": 1.0}])
def test_fractions_that_are_none_are_refused(data: Path, tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(DataError, match="change"):
        list(train(replace(request(data, tmp_path / "run"), **fields)))  # type: ignore[arg-type]


def test_a_checkpoint_comes_back_as_it_went(tmp_path: Path) -> None:
    state = {"a": [1, 0.1, None, "x", {"b": torch.arange(3.0)}], 5: {"step": torch.tensor(2.0)}, "c": True}
    save_state(state, tmp_path / "c.safetensors")
    found = load_state(tmp_path / "c.safetensors")
    assert found["a"][:4] == [1, 0.1, None, "x"]
    assert torch.equal(found["a"][4]["b"], torch.arange(3.0))
    assert found[5]["step"] == 2
    (tmp_path / "c.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match="delete it"):
        load_state(tmp_path / "c.safetensors")
