"""Evaluating a model: which examples it may be judged on, numbers with known answers, and the page."""

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from engine.errors import DataError, ModelError
from engine.models.card import load_card, save_card
from engine.train.data import TrainingSet, open_training_set, split
from engine.train.evaluate import EvaluateRequest, evaluate, open_like
from engine.train.evaluation import Evaluation, resample, shown
from engine.train.figures import panels_for
from engine.train.held_out import unseen
from engine.train.loop import train
from engine.train.purity import purity_at, purity_curve
from engine.types import ModelCard
from tests.engine.cli_parts import CommandLine
from tests.engine.test_train import request, write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set") / "rings.h5")


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "rings"
    assert list(train(request(data, folder, name="rings", epochs=3)))
    return folder


@pytest.fixture(scope="module")
def judged(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("judged")
    with pytest.MonkeyPatch.context() as patch:  # all figures are drawn in tests of their own
        patch.setattr("engine.train.evaluate.panels_for", lambda runs: panels_for(runs)[:2])
        patch.setattr("engine.train.evaluate._THROUGHPUT_S", 0.01)
        *_, last = evaluate(EvaluateRequest(model, (data,), out, repeats=20, misses=2, device="cpu", threads=1))
    assert last.done == last.total
    return last.items[0], out


# which examples ------------------------------------------------------------------------------------------------------


def test_of_its_own_data_a_model_is_judged_on_the_test_part(
    judged: tuple[Evaluation, Path], data: Path, model: Path
) -> None:
    run, _ = judged
    whole, card = open_training_set([data]), load_card(model)
    expected = split(whole.label, whole.group, seed=0, validation=0.2, test=0.2)["test"]
    np.testing.assert_array_equal(run.data.row, whole.row[expected])
    assert "test part" in run.unseen
    # The training measured the same on the same stamps, in batches that round otherwise.
    assert run.metrics["auc"] == pytest.approx(card.metrics["auc"], abs=0.05)
    assert run.metrics["negatives"] == card.metrics["negatives"]


def test_a_set_that_is_new_to_a_model_is_taken_whole(model: Path, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other.h5", count=40, seed=5)
    card = load_card(model)
    found = unseen(card, open_like(card, [other]))
    assert found.chosen.all()
    assert not found.is_test
    started = replace(card, training={**card.training, "start": "elsewhere"})
    assert "elsewhere" in unseen(started, open_like(card, [other])).words


def test_its_own_and_other_files_are_not_mixed(data: Path, model: Path, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other.h5", count=40, seed=5)
    card = load_card(model)
    with pytest.raises(DataError, match=r"trained on rings\.h5 but not on other\.h5: evaluate them in two commands"):
        unseen(card, open_like(card, [data, other]))


def test_one_of_several_training_files_keeps_the_same_test_part(tmp_path: Path) -> None:
    paths = [write_set(tmp_path / f"{seed}.h5", count=1200, seed=seed) for seed in (1, 2)]
    card = trained_card(paths)
    both, first = open_training_set(paths), open_training_set(paths[:1])
    chosen = unseen(card, both).chosen
    np.testing.assert_array_equal(unseen(card, first).chosen, chosen[: len(first)])
    assert 0 < chosen.sum() < 0.2 * len(both)
    few = [write_set(tmp_path / f"few{seed}.h5", count=24, seed=seed) for seed in (1, 2)]
    with pytest.raises(DataError, match=r"depends on all .* give few1\.h5, few2\.h5"):
        unseen(trained_card(few), open_training_set(few[:1]))


def trained_card(paths: list[Path]) -> ModelCard:
    """A card of a training on some files."""
    data = open_training_set(paths)
    files = [{"name": path.name, "sha256": sha256} for path, sha256 in zip(data.paths, data.sha256, strict=True)]
    card = ModelCard("rings", "test_resnet", "", data.classes, data.bands, data.size, data.pixel_scales, ())
    return replace(card, training={"data": files, "split_seed": 0, "validation": 0.1, "test": 0.1})


def test_a_card_that_does_not_tell_its_split_is_refused(data: Path, model: Path) -> None:
    card = load_card(model)
    card = replace(card, training={"data": card.training["data"]})
    with pytest.raises(ModelError, match="how its data were split"):
        unseen(card, open_like(card, [data]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 32}, "takes stamps of 32 px, these are of 24"),
        ({"pixel_scales": (0.1, 0.6)}, 'takes pixels of 0.1" and 0.6", these are of 0.2" and 0.6"'),
        ({"bands": ("g",)}, "takes the bands g, in this order, these are r"),
        ({"classes": ("not", "ring")}, "tells not, ring apart, these are not, lens"),
    ],
)
def test_data_that_do_not_fit_the_model_are_refused(
    data: Path, model: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        open_like(replace(load_card(model), **changes), [data])  # type: ignore[arg-type]


def test_labels_follow_the_order_of_the_models_classes(data: Path, model: Path) -> None:
    card = load_card(model)
    turned = open_like(replace(card, classes=("lens", "not")), [data])
    np.testing.assert_array_equal(turned.label, 1 - open_like(card, [data]).label)


# numbers -------------------------------------------------------------------------------------------------------------


def test_purity_of_a_known_ranking() -> None:
    label = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    score = np.linspace(1, 0, 10)
    completeness, purity = purity_curve(label, score, 0.1)
    np.testing.assert_allclose(completeness, [1 / 3, 2 / 3, 1])
    # No negative above the second positive counts as (0 + 1) / (7 + 2); one of seven as 2 / 9.
    np.testing.assert_allclose(purity, [1 / (1 + 9 * (1 / 9) / c) for c in (1 / 3, 2 / 3)] + [1 / (1 + 9 * (2 / 9))])
    assert purity_at(label, score, 0.5, 0.1) == pytest.approx(purity[1])
    with pytest.raises(DataError, match="between 0 and 1"):
        purity_curve(label, score, 0.0)


def test_purity_counts_ties_as_found_together() -> None:
    completeness, purity = purity_curve([1, 1, 0], [0.5, 0.5, 0.5], 0.5)
    np.testing.assert_allclose(completeness, [1, 1])
    np.testing.assert_allclose(purity, 1 / (1 + 2 / 3))


def made_up(count: int = 400, seed: int = 0) -> Evaluation:
    """Scores of a classifier without a network: two stamps share each source."""
    random = np.random.default_rng(seed)
    label = np.arange(count) % 2
    index = np.arange(count)
    data = TrainingSet(
        *((Path("made.h5"),), ("0",), (0.1,), ("any",), 32, ("not", "lens")),
        *(np.zeros(count, int), index, np.zeros(count, int), label, index // 4),
        {"einstein_radius": np.where(label == 1, 1.0 + index / count, np.nan)},
        {},
    )
    card = ModelCard("made", "none", "lens finding", ("not", "lens"), ("any",), 32, (0.1,), ())
    outputs = (random.normal(size=count) + 2 * label)[:, None]
    run = Evaluation("made", card, data, outputs, "made up", parameters=10, images_per_second=100.0)
    return replace(run, metrics=run.measure())


def finished(run: Evaluation, repeats: int = 100) -> Evaluation:
    work = resample(run, repeats=repeats)
    while True:
        try:
            assert next(work) == 1
        except StopIteration as end:
            return replace(run, resampled=end.value)


def test_intervals_hold_the_value_and_are_paired() -> None:
    run = finished(made_up())
    for name in ("auc", "accuracy", "auprc", "tpr10"):
        low, high = run.interval(name)
        assert low < run.metrics[name] < high
    better = finished(replace(run, outputs=run.outputs + 0.5 * run.data.label[:, None]))
    # The same sources are drawn for both: the better model is better in each of the draws.
    assert (better.resampled["auc"] > run.resampled["auc"]).all()
    again = finished(made_up())
    np.testing.assert_array_equal(again.resampled["auc"], run.resampled["auc"])


def test_probabilities_are_for_the_fraction_among_the_examples() -> None:
    run = made_up()
    calibration = {"slope": 1.0, "intercept": 0.0, "prior_training": 0.5, "prior": 0.001}
    moved = replace(run, card=replace(run.card, calibration=calibration), own_prior=0.5)
    np.testing.assert_allclose(moved.probability, run.probability)


# the page ------------------------------------------------------------------------------------------------------------


class Balanced(HTMLParser):
    """Checks that tags are closed in order, and collects headings."""

    VOID = frozenset({"meta", "br", "img", "link", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(text)


def test_the_page_holds_every_figure_and_needs_no_other_file(judged: tuple[Evaluation, Path]) -> None:
    run, out = judged
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Balanced()
    page.feed(text)
    assert page.open == []
    for title in ("Metrics", "Examples", "Model", "ROC", "Few false positives", "Worst misses"):
        assert title in page.headings
    assert text.count("<svg") == text.count("<figure") == 3
    assert "TPR0 (of" in text
    assert run.unseen in text.replace("&#39;", "'")
    assert 'src="' not in text
    assert "currentColor" in text
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")


def test_numbers_and_scores_are_written_for_others(judged: tuple[Evaluation, Path]) -> None:
    run, out = judged
    numbers = json.loads((out / "evaluation.json").read_text())
    assert numbers["metrics"]["auc"]["value"] == run.metrics["auc"]
    assert numbers["metrics"]["auc"]["low"] <= numbers["metrics"]["auc"]["high"]
    assert numbers["files"][0]["name"] == "rings.h5"
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == run.data.row.tolist()
    np.testing.assert_allclose([float(row["probability_lens"]) for row in rows], run.score, rtol=1e-5)
    assert {row["label"] for row in rows} == {"not", "lens"}


def test_the_command_prints_metrics_and_names_the_page(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.train.evaluate.panels_for", lambda runs: [])  # drawn in another test
    monkeypatch.setattr("engine.train.evaluate._THROUGHPUT_S", 0.01)
    arguments = ("--repeats", 10, "--misses", 1, "--no-saliency", "--views", 2, "--threads", 1, "--device", "cpu")
    found = CommandLine(capsys)("evaluate", model, data, "--out", tmp_path / "report", *arguments)
    assert found.status == 0
    assert "TPR at FPR 1e-2" in found.out
    assert str(tmp_path / "report" / "report.html") in found.out
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        *("evaluation.json", "report.html", "report.pdf", "scores.csv")
    ]


def test_a_foreign_model_and_bad_settings_are_refused(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = CommandLine(capsys)
    found = line("evaluate", model, data, "--out", tmp_path / "x", "--views", 3)
    assert found.status == 2
    assert "choose 1, 2, 4 or 8" in found.err
    assert "between 0 and 1" in line("evaluate", model, data, "--out", tmp_path / "x", "--prior", 2).err
    assert "rings.h5 is a file" in line("evaluate", model, data, "--out", data).err
    card = replace(load_card(model), classes=("not", "ring"))
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    save_card(card, folder)
    assert "tells not, ring apart" in line("evaluate", folder, data, "--out", tmp_path / "x").err


def test_counts_are_not_shown_as_metrics() -> None:
    assert "negatives" not in shown({"auc": 1.0, "negatives": 3.0, "confusion_a_b": 2.0})
