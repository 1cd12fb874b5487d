"""Comparing recipes: how they are written, that runs are chosen, kept and resumed, and what the tables say."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from engine.errors import EngineError, ModelError
from engine.models.card import CARD, WEIGHTS, file_sha256, load_card, save_card
from engine.train.compare import CompareRequest, compare
from engine.train.comparison import difference, summary
from engine.train.contenders import PRESETS, Contender, contender, contenders
from engine.train.course import CHECKPOINT
from engine.train.request import TrainRequest
from engine.types import Step
from tests.engine.cli_parts import CommandLine
from tests.engine.test_evaluate import finished, made_up
from tests.engine.test_train import request, write_set

RESIZED = "resized:architecture=test_resnet@3x32,channels=minmax,optimizer=adam,scheduler=none,learning_rate=2e-3"


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Figures are drawn in the tests of evaluations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.train.compare.panels_for", lambda runs: [])
        patch.setattr("engine.train.evaluate._THROUGHPUT_S", 0.01)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "rings.h5")


def asked(data: Path, out: Path, **fields: object) -> CompareRequest:
    base = replace(request(data, out), architecture="resnet18", patience=2)
    found = CompareRequest(
        base, contenders(["test_resnet"], [RESIZED]), learning_rates=(1e-3, 1e-5), seeds=2, repeats=20
    )
    return replace(found, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def compared(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CompareRequest, list[Step]]:
    wanted = asked(data, tmp_path_factory.mktemp("compared"))
    return wanted, list(compare(wanted))


# recipes -------------------------------------------------------------------------------------------------------------


def test_a_recipe_is_read_as_it_is_written() -> None:
    found = contender(
        "ours: channels=stretch,residual, optimizer=lamb, optimizer.betas=0.9,0.98, epochs=7, ema_decay=none, turns=no"
    )
    assert found.name == "ours"
    assert found.fields == {
        "channels": ("stretch", "residual"),
        "optimizer": "lamb",
        "settings": ("optimizer.betas=0.9,0.98",),
        "epochs": 7,
        "ema_decay": None,
        "turns": False,
    }
    assert contender("a:learning_rate=1e-3,3e-4").learning_rates == (1e-3, 3e-4)
    assert contender("resnet18@3x64") == Contender("resnet18@3x64", {"architecture": "resnet18@3x64"})
    assert contender("a:pretrained=imagenet").fields == {"pretrained": "imagenet"}
    assert contender("a:pretrained=weights.pth").fields == {"pretrained": Path("weights.pth")}


def test_the_published_recipe_is_complete_and_can_be_changed() -> None:
    found = contender("published")
    assert found.fields["architecture"] == "resnet18@3x224"
    assert found.fields["channels"] == ("minmax",)
    assert (found.fields["optimizer"], found.fields["scheduler"], found.fields["turns"]) == ("adam", "none", False)
    assert found.fields["settings"] == ()  # arguments of the other recipes' losses are not its own
    assert contender("published:turns=yes").fields == {**found.fields, "turns": True}
    # Its loss is the usual one of the task, whatever the others are given.
    made = {"data": (Path("a.h5"),), "out": Path("a"), **found.fields}
    assert TrainRequest(**made).chosen_loss == "cross_entropy"
    assert TrainRequest(**made, targets=("mass_fraction",)).chosen_loss == "MSELoss"


@pytest.mark.parametrize("text", [*PRESETS])
def test_every_preset_is_a_recipe(text: str) -> None:
    assert contender(text).fields["architecture"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:b", "write key=value"),
        ("a:", "sets nothing"),
        ("a/b:epochs=3", "names no recipe"),
        ("a:epoch=3", "did you mean epochs"),
        ("a:seed=3", "unknown setting of a 'seed'"),
        ("a:epochs=many", "a whole number"),
        ("a:noise=some", "a number"),
        ("a:turns=perhaps", "yes or no"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        contender(text)


def test_two_recipes_of_one_name_are_refused() -> None:
    with pytest.raises(ModelError, match="called resnet18"):
        contenders(["resnet18"], ["resnet18:epochs=3"])


# runs ----------------------------------------------------------------------------------------------------------------


def test_rates_are_tried_with_the_first_seed_and_the_best_is_taken(
    compared: tuple[CompareRequest, list[Step]],
) -> None:
    wanted, steps = compared
    runs = wanted.base.out / "runs"
    folders = sorted(str(path.parent.relative_to(runs)) for path in runs.rglob(CARD))
    cards = {rate: load_card(runs / "test_resnet" / f"lr-{rate}" / "seed-0") for rate in ("0.001", "1e-05")}
    ranked = {rate: (one.history[one.training["best_epoch"] - 1]) for rate, one in cards.items()}
    best = max(ranked, key=lambda rate: (ranked[rate]["auc"], -ranked[rate]["loss"]))
    searched = ("test_resnet/lr-0.001/seed-0", "test_resnet/lr-1e-05/seed-0", f"test_resnet/lr-{best}/seed-1")
    assert folders == sorted(["resized/lr-0.002/seed-0", "resized/lr-0.002/seed-1", *searched])
    assert not list(runs.rglob(CHECKPOINT))
    resized = load_card(runs / "resized/lr-0.002/seed-1")
    assert (resized.architecture, resized.channels) == ("test_resnet@3x32", ("minmax",))
    assert (resized.training["optimizer"], resized.training["scheduler"]) == ("adam", "none")
    assert [step.done for step in steps if step.total == steps[1].total] == sorted(
        step.done for step in steps if step.total == steps[1].total
    )
    evaluations = steps[-1].items[0]
    assert [run.name for run in evaluations] == ["test_resnet"] * 2 + ["resized"] * 2
    assert len({tuple(run.data.row) for run in evaluations}) == 1


def test_the_tables_hold_every_run(compared: tuple[CompareRequest, list[Step]]) -> None:
    wanted, steps = compared
    out, evaluations = wanted.base.out, steps[-1].items[0]
    numbers = json.loads((out / "comparison.json").read_text())
    first, second = numbers["models"]
    assert set(first["learning_rates"]) == {"0.001", "1e-05"}
    assert first["minus_first"]["auc"] == {"mean": 0, "spread": 0, "low": 0, "high": 0}
    mean = np.mean([run.metrics["auc"] for run in evaluations if run.name == "resized"])
    assert second["metrics"]["auc"]["mean"] == pytest.approx(mean)
    with (out / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["auc"]) for row in rows] == [run.metrics["auc"] for run in evaluations]
    assert all((Path(row["folder"]) / "scores.csv").is_file() for row in rows)
    with (out / "comparison.csv").open() as file:
        assert [row["seeds"] for row in csv.DictReader(file)] == ["2", "2"]
    text = (out / "report.html").read_text()
    for words in ("Minus test_resnet", "Learning rates", "Epoch kept", "90 % of the values"):
        assert words in text


def test_what_is_finished_is_not_trained_again(compared: tuple[CompareRequest, list[Step]]) -> None:
    wanted, _ = compared
    weights = {path: path.stat().st_mtime_ns for path in wanted.base.out.rglob(WEIGHTS)}
    notes = [step.note for step in islice(compare(replace(wanted, seeds=1)), 4)]
    assert sum("trained before" in note for note in notes) == 3
    assert {path: path.stat().st_mtime_ns for path in wanted.base.out.rglob(WEIGHTS)} == weights


def test_runs_of_other_settings_are_not_taken_for_these(compared: tuple[CompareRequest, list[Step]]) -> None:
    wanted, _ = compared
    with pytest.raises(ModelError, match="a run with another weight decay: choose another folder"):
        list(compare(replace(wanted, base=replace(wanted.base, weight_decay=0.5))))


def test_an_interrupted_comparison_ends_as_one_that_was_not(
    compared: tuple[CompareRequest, list[Step]], data: Path, tmp_path: Path
) -> None:
    whole, _ = compared
    halted = asked(data, tmp_path, contenders=whole.contenders[1:], seeds=1)
    job = compare(halted)
    next(step for step in job if "Epoch 2" in step.note)
    job.close()  # type: ignore[attr-defined]
    assert list(tmp_path.rglob(CHECKPOINT))
    assert not list(tmp_path.rglob(CARD))
    list(compare(halted))
    run = Path("runs/resized/lr-0.002/seed-0") / WEIGHTS
    assert file_sha256(tmp_path / run) == file_sha256(whole.base.out / run)


def test_a_model_trained_apart_joins_if_its_split_is_the_same(
    compared: tuple[CompareRequest, list[Step]], data: Path, tmp_path: Path
) -> None:
    wanted, _ = compared
    apart = wanted.base.out / "runs/resized/lr-0.002/seed-0"
    out = tmp_path / "page"  # made, though nothing is trained in it
    only = replace(wanted, base=replace(wanted.base, out=out), contenders=(), folders=(apart,))
    *_, last = compare(only)
    assert [run.name for run in last.items[0]] == [load_card(apart).name]
    assert (out / "report.html").is_file()
    assert not (out / "runs").exists()
    card = load_card(apart)
    other = tmp_path / "other"
    other.mkdir()
    (other / WEIGHTS).write_bytes((apart / WEIGHTS).read_bytes())
    save_card(replace(card, training={**card.training, "split_seed": 9}), other)
    with pytest.raises(ModelError, match="another split"):
        list(compare(replace(only, folders=(other,))))
    save_card(replace(card, size=48), other)
    with pytest.raises(ModelError, match="takes other size"):
        list(compare(replace(only, folders=(other,))))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"contenders": ()}, "nothing to compare"),
        ({"seeds": 0}, "at least 1 seed"),
        ({"learning_rates": (-1.0,)}, "above 0"),
        ({"contenders": (Contender("a", {"architecture": "resnet81"}),)}, "did you mean resnet18"),
        ({"contenders": (Contender("a", {"optimizer": "none such"}),)}, "unknown optimiser"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(
    data: Path, tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        list(compare(asked(data, tmp_path / "out", **fields)))
    assert not list(tmp_path.rglob(WEIGHTS))


# numbers -------------------------------------------------------------------------------------------------------------


def test_a_summary_is_over_seeds_and_sources() -> None:
    seeds = [finished(made_up(seed=seed)) for seed in (0, 1)]
    found = summary(seeds, "auc")
    values = [run.metrics["auc"] for run in seeds]
    assert found.mean == pytest.approx(np.mean(values))
    assert found.spread == pytest.approx(np.std(values, ddof=1))
    assert found.low < found.mean < found.high
    assert summary(seeds[:1], "auc").spread == 0


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    worse = finished(made_up())
    better = replace(made_up(), outputs=worse.outputs + 0.2 * worse.data.label[:, None])
    better = finished(replace(better, metrics=better.measure()))
    found = difference([better], [worse], "auc")
    assert 0 < found.low < found.mean < found.high
    low, high = worse.interval("auc")
    assert found.high - found.low < 0.5 * (high - low)


def test_the_command_takes_the_settings_of_train(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = CommandLine(capsys)
    found = line(
        *("compare", data, "--out", tmp_path / "out", "--architecture", "test_resnet", "--seeds", 1, "--epochs", 1),
        *("--batch-size", 16, "--channels", "linear", "--device", "cpu", "--threads", 1, "--repeats", 10),
    )
    assert found.status == 0
    assert "test_resnet" in found.out
    assert "AUC" in found.out
    (card,) = (tmp_path / "out").rglob(CARD)
    assert load_card(card.parent).channels == ("linear",)
    assert "nothing to compare" in line("compare", data, "--out", tmp_path / "none").err
