"""Figures of every kind of model, one and several: each is drawn, labelled, and says what the numbers say."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import auc

from engine.train.data import TrainingSet
from engine.train.evaluation import Evaluation
from engine.train.figures import Panel, panels_for, ranking, truth, values
from engine.train.figures.stamps import Sheet, Stamp, picture
from engine.train.figures.style import figure_style, named
from engine.train.misses import worst
from engine.train.paper import Page, Table, pages
from tests.engine.test_evaluate import made_up

HISTORY = tuple({"epoch": k + 1.0, "loss": 1 / (k + 1), "train_loss": 0.9 / (k + 1), "auc": 0.9} for k in range(3))


def of_classes(name: str = "three", seed: int = 0, count: int = 300) -> Evaluation:
    """A classifier of three classes that is right where the axion is heavy, and mostly right elsewhere."""
    random = np.random.default_rng(seed)
    base, label = made_up(count), np.arange(count) % 3
    mass = np.where(label == 2, np.linspace(-24, -22, count), np.nan)
    said = np.where(random.uniform(size=count) < 0.8, label, (label + 1) % 3)
    said = np.where(label == 2, np.where(mass > -23, 2, 0), said)
    outputs = 3.0 * np.eye(3)[said] + random.normal(scale=0.1, size=(count, 3))
    classes = ("no_sub", "cdm", "axion")
    data = replace(base.data, label=label, classes=classes, truth={"log_axion_mass": mass})
    card = replace(base.card, classes=classes, history=HISTORY, training={"best_epoch": 2}, task="substructure")
    return measured(replace(base, name=name, card=card, data=data, outputs=outputs))


def of_values(name: str = "values", seed: int = 0, count: int = 300) -> Evaluation:
    """A regression that gives half of the true value."""
    base = made_up(count)
    mass = np.linspace(0.1, 0.3, count)
    card = replace(base.card, classes=(), targets={"mass_fraction": {"mean": 0.0, "scale": 1.0}}, task="regression")
    data: TrainingSet = replace(base.data, truth={"mass_fraction": mass})
    return measured(replace(base, name=name, card=card, data=data, outputs=0.5 * mass[:, None]))


def of_lenses(name: str = "lenses", seed: int = 0) -> Evaluation:
    """A finder with calibration and history."""
    run = made_up(seed=seed)
    calibration = {"slope": 2.0, "intercept": 0.5, "prior": 0.5, "prior_training": 0.5}
    card = replace(run.card, calibration=calibration, history=HISTORY, training={"best_epoch": 3})
    return measured(replace(run, name=name, card=card))


def measured(run: Evaluation) -> Evaluation:
    found = run.measure()
    return replace(run, metrics=found, resampled={name: np.array([0.9, 1.1]) * found[name] for name in found})


def of_one_class(name: str = "odd") -> Evaluation:
    """A model of one class of three, which finds one of the others stranger than the other."""
    base = of_classes(name)
    card = replace(base.card, classes=("no_sub",), calibration={"mean": 1.0, "scatter": 2.0}, history=())
    outputs = 1.0 + 2.0 * (base.data.label[:, None] + 0.01 * np.arange(300)[:, None])
    return measured(replace(base, card=card, outputs=outputs))


KINDS = {
    "finder": [of_lenses()],
    "finders": [of_lenses("one"), of_lenses("one", 1), of_lenses("two", 2)],
    "classifier": [of_classes()],
    "classifiers": [of_classes("one"), of_classes("two", 1)],
    "anomaly": [of_one_class()],
    "anomalies": [of_one_class("one"), of_one_class("two")],
    "regression": [of_values()],
    "regressions": [of_values("one"), of_values("two")],
}
EXPECTED = {
    "finder": {"Few false positives", "Purity on the sky", "Scores", "Completeness by Einstein radius", "Training"},
    "finders": {"Confusion", "Cost", "Reliability", "Precision and recall"},
    "classifier": {"ROC", "Confusion", "Accuracy by axion mass", "Scores"},
    "classifiers": {"ROC", "Confusion", "Accuracy by axion mass", "Cost"},
    "anomaly": {"ROC", "Few false positives", "Anomaly"},
    "anomalies": {"ROC", "Few false positives", "Cost"},
    "regression": {"Predicted and true", "Residuals"},
    "regressions": {"Predicted and true", "Residuals", "Cost"},
}


def drawn(draw: Panel | object, runs: Sequence[Evaluation]) -> list[Axes]:
    """The axes of a figure that a function filled."""
    with figure_style():
        figure = Figure()
        draw(figure, runs)  # type: ignore[operator]
    return figure.axes


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_of_every_kind_is_labelled(kind: str) -> None:
    runs = KINDS[kind]
    panels = panels_for(runs)
    assert {panel.title for panel in panels} >= EXPECTED[kind]
    for panel in panels:
        for axes in drawn(panel.draw, runs):
            assert axes.get_xlabel(), panel.title
            assert axes.get_ylabel(), panel.title
            assert axes.has_data(), panel.title
        if len(named(runs)) > 1:
            assert panel.title != "Scores"


def test_a_figure_without_its_column_is_not_there() -> None:
    run = of_lenses()
    bare = replace(run, data=replace(run.data, truth={}))
    assert not any("Einstein" in panel.title for panel in panels_for([bare]))
    assert not any(
        panel.title == "Training" for panel in panels_for([replace(run, card=replace(run.card, history=()))])
    )


def test_accuracy_by_mass_shows_where_the_classifier_is_right() -> None:
    (axes,) = drawn(truth.draw_accuracy("log_axion_mass"), [of_classes()])
    (line,) = [bar.lines[0] for bar in axes.containers]
    mass, right = line.get_data()
    assert (np.asarray(right)[np.asarray(mass) > -22.8] == 1).all()
    assert (np.asarray(right)[np.asarray(mass) < -23.2] == 0).all()
    assert axes.get_xlabel() == "log₁₀ (axion mass / eV)"


def test_a_perfect_ranking_touches_the_corner() -> None:
    run = of_lenses()
    run = measured(replace(run, outputs=np.where(run.data.label == 1, 5.0, -5.0)[:, None]))
    (axes,) = drawn(ranking.draw_roc, [run])
    false, true = axes.lines[-1].get_data()
    assert (0.0, 1.0) in set(zip(false, true, strict=True))
    (axes,) = drawn(truth.draw_completeness("einstein_radius"), [run])
    assert np.allclose(axes.containers[0].lines[0].get_ydata(), 1)


@pytest.mark.parametrize("kind", ["finders", "classifiers"])
def test_legends_give_the_area_under_the_curve_that_is_drawn(kind: str) -> None:
    (axes,) = drawn(ranking.draw_roc, KINDS[kind][-2:])
    name, area = axes.get_legend_handles_labels()[1][0].rsplit(" ", 1)
    assert "AUC" in name
    assert float(area) == pytest.approx(auc(*axes.get_lines()[1].get_data()), abs=1e-4)
    (axes,) = drawn(ranking.draw_precision, KINDS[kind][-2:])
    name, area = axes.get_legend_handles_labels()[1][0].rsplit(" ", 1)
    recall, precision = axes.get_lines()[0].get_data()
    assert "average precision" in name
    assert float(area) == pytest.approx(-np.sum(np.diff(recall) * np.asarray(precision)[:-1]), abs=1e-4)


def test_a_model_of_one_class_is_judged_by_each_of_the_others() -> None:
    run = of_one_class()
    np.testing.assert_allclose(run.score, run.data.label + 0.01 * np.arange(300))
    assert 0.5 < run.metrics["auc_cdm"] < run.metrics["auc"] < run.metrics["auc_axion"]
    assert (run.metrics["positives"], run.metrics["negatives"]) == (200, 100)
    (axes,) = drawn(ranking.draw_roc, [run])
    labels = axes.get_legend_handles_labels()[1]
    assert [label.split(",")[0] for label in labels] == ["cdm", "axion"]


def test_residuals_of_half_the_value_are_minus_the_other_half() -> None:
    (axes,) = drawn(values.draw_residuals, [of_values()])
    value, rest = axes.lines[-1].get_data()
    np.testing.assert_allclose(rest, -0.5 * np.asarray(value), atol=1e-9)


def test_the_worst_come_first() -> None:
    run = of_lenses()
    (_, lenses), (_, others) = worst(run, 5)
    assert (run.data.label[lenses] == 1).all()
    assert run.score[lenses].max() <= np.sort(run.score[run.data.label == 1])[4]
    assert (run.data.label[others] == 0).all()
    assert run.score[others[0]] == run.score[run.data.label == 0].max()
    for title, wrong in worst(of_classes(), 4):
        assert "taken for another" in title
        assert len(wrong) <= 2
    ((_, far),) = worst(of_values(), 3)
    assert list(far) == [299, 298, 297]


def test_stamps_without_data_noise_or_with_colours_are_drawn() -> None:
    nothing, flat = np.full((1, 8, 8), np.nan, np.float32), np.ones((1, 8, 8), np.float32)
    colour = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    assert [picture(bands).shape for bands in (nothing, flat, colour)] == [(8, 8), (8, 8), (8, 8, 3)]
    saliency = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    sheet = Sheet([("all", [Stamp(bands[None], saliency, "0.5") for bands in (nothing, flat, colour)] * 3)], (0.1,))
    (axes,) = drawn(sheet, [of_lenses()])
    assert len(axes.images) == 9
    assert sheet.size[1] > Sheet([("all", sheet.groups[0][1][:6])], (0.1,)).size[1]


def test_a_long_table_goes_on_on_the_next_sheet_of_paper() -> None:
    table = Table("Long", ("Name", "Value"), [[f"row {k}", "1.0\n0.9 to 1.1"] for k in range(60)])
    sheets = list(pages(Page("Title", ["A sentence."], [table], [of_lenses()], [])))
    assert len(sheets) > 1
    written = [text.get_text() for sheet in sheets for text in sheet.texts]
    assert {f"row {k}" for k in range(60)} <= set(written)
    assert all(0 < text.get_position()[1] < 1 for sheet in sheets for text in sheet.texts)
