"""Metrics against cases worked out by hand, and the calibration against one that is known."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from engine.errors import DataError
from engine.models.card import calibrated, sigmoid
from engine.train import metrics

LABEL = np.array([1, 1, 0, 1, 0, 0, 0, 1, 0, 0])
SCORE = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.25, 0.2, 0.1])


def test_binary_metrics_by_hand() -> None:
    found = metrics.binary_metrics(LABEL, SCORE)
    assert found["auc"] == pytest.approx((6 + 6 + 5 + 2) / 24)
    assert found["auprc"] == pytest.approx((1 + 1 + 3 / 4 + 4 / 8) / 4)
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["tpr0"] == 0.5  # two lenses above the best negative
    assert found["tpr10"] == 1.0  # there are fewer than ten negatives
    assert (found["positives"], found["negatives"]) == (4, 6)


def test_true_positive_rates_are_those_below_the_number_of_false_positives() -> None:
    label = np.r_[np.zeros(1000, int), np.ones(4, int)]
    score = np.r_[np.arange(1000), [999.5, 998.5, 989.5, 500]]
    assert metrics.tpr_with(label, score, 0) == 0.25
    assert metrics.tpr_with(label, score, 1) == 0.5
    assert metrics.tpr_at_fpr(label, score, 1e-3) == 0.5
    assert metrics.tpr_at_fpr(label, score, 1e-2) == 0.75


def test_ties_with_negatives_do_not_count_as_found() -> None:
    assert metrics.tpr_with(np.array([0, 1, 1]), np.array([0.5, 0.5, 0.5]), 0) == 0.0


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="both classes"):
        metrics.binary_metrics(np.ones(5, int), np.linspace(0, 1, 5))


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="not numbers"):
        metrics.auc(LABEL, np.where(SCORE > 0.9, np.nan, SCORE))


def test_calibration_error_of_honest_and_boastful_probabilities() -> None:
    random = np.random.default_rng(1)
    chance = random.uniform(size=20000)
    label = (random.uniform(size=20000) < chance).astype(int)
    assert metrics.expected_calibration_error(label, chance) < 0.02
    assert metrics.expected_calibration_error(label, np.where(chance > 0.5, 1.0, 0.0)) == pytest.approx(0.25, abs=0.02)


def test_calibration_finds_slope_and_intercept() -> None:
    random = np.random.default_rng(2)
    logit = random.normal(0, 2, 40000)
    label = (random.uniform(size=len(logit)) < sigmoid(0.5 * logit - 1)).astype(int)
    found = metrics.fit_calibration(label, logit)
    assert found["slope"] == pytest.approx(0.5, abs=0.03)
    assert found["intercept"] == pytest.approx(-1, abs=0.05)
    assert found["prior"] == found["prior_training"] == pytest.approx(label.mean())


def test_calibration_moves_to_the_prior_of_the_sky() -> None:
    """Lenses thinned out to 1 %: the calibration fitted before, with that prior, must fit what is left."""
    random = np.random.default_rng(3)
    label = random.integers(0, 2, 200_000)
    logit = random.normal(label * 3.0 - 1.5, 1.5)
    calibration = metrics.fit_calibration(label[:50_000], logit[:50_000], prior=0.01)
    kept = (label == 0) | (random.uniform(size=len(label)) < 1 / 99)
    chance = calibrated(logit[kept], calibration)
    assert chance.mean() == pytest.approx(0.01, rel=0.1)
    assert metrics.expected_calibration_error(label[kept], chance) < 0.003


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.5])
def test_a_prior_that_is_no_fraction_is_refused(prior: float) -> None:
    with pytest.raises(DataError, match="prior"):
        metrics.fit_calibration(LABEL, SCORE, prior)


def test_separated_classes_give_a_finite_calibration() -> None:
    found = metrics.fit_calibration(
        np.r_[np.zeros(20, int), np.ones(20, int)], np.r_[np.full(20, -30.0), np.full(20, 30.0)]
    )
    assert all(np.isfinite(list(found.values())))
    assert 0.9 < calibrated(30.0, found) < 0.99


def test_a_reversed_ranking_is_not_turned_round() -> None:
    assert metrics.fit_calibration(LABEL, -SCORE)["slope"] > 0


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 50), st.floats(-20, 20), st.floats(1e-4, 0.999), st.lists(st.floats(-1e3, 1e3), min_size=2))
def test_calibration_keeps_the_ranking(slope: float, intercept: float, prior: float, logits: list[float]) -> None:
    ordered = np.sort(logits)
    chance = calibrated(ordered, {"slope": slope, "intercept": intercept, "prior_training": 0.5, "prior": prior})
    assert np.all(np.diff(chance) >= 0)
    assert np.all((chance >= 0) & (chance <= 1))


def test_bootstrap_holds_the_value() -> None:
    random = np.random.default_rng(4)
    label = random.integers(0, 2, 500)
    score = label + random.normal(0, 1, 500)
    low, high = metrics.bootstrap(metrics.auc, label, score)
    assert low < metrics.auc(label, score) < high
    assert high - low < 0.1


def test_copies_of_an_example_do_not_narrow_the_bootstrap() -> None:
    random = np.random.default_rng(4)
    label = random.integers(0, 2, 200)
    score = label + random.normal(0, 1, 200)
    alone = metrics.bootstrap(metrics.auc, label, score)
    copied = np.tile(label, 4), np.tile(score, 4)
    together = metrics.bootstrap(metrics.auc, *copied, group=np.tile(np.arange(200), 4))
    assert together == pytest.approx(alone, abs=1e-12)  # the same draws of the same sources
    low, high = metrics.bootstrap(metrics.auc, *copied)
    assert high - low < 0.7 * (together[1] - together[0])  # half, were they independent


def test_completeness_by_einstein_radius() -> None:
    random = np.random.default_rng(5)
    label = np.r_[np.zeros(1000, int), np.ones(400, int)]
    radius = np.r_[np.full(1000, np.nan), random.uniform(0.5, 2, 400)]
    score = np.r_[random.normal(0, 1, 1000), np.where(radius[1000:] > 1, 10.0, -10.0)]
    found = metrics.completeness(label, score, radius, [0.5, 1.0, 2.0, 3.0])
    assert [value for value, _ in found.values()] == [0.0, 1.0]
    assert sum(count for _, count in found.values()) == 400


def test_multiclass_metrics() -> None:
    label = np.array([0, 1, 2, 0, 1, 2])
    chance = np.eye(3)[label] * 0.8 + 0.1
    found = metrics.multiclass_metrics(label, chance, ["no_sub", "cdm", "axion"])
    perfect = ("auc", "auc_micro", "auprc", "auprc_micro", "accuracy", "recall_cdm")
    assert [found[name] for name in perfect] == pytest.approx([1.0] * 6)
    assert found["ece"] == pytest.approx(0.1)  # it says 0.9 and is always right
    assert (found["confusion_axion_axion"], found["confusion_axion_cdm"]) == (2, 0)
    with pytest.raises(DataError, match="no examples"):
        metrics.multiclass_metrics(np.zeros(6, int), chance)


@given(st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=40))
def test_auc_is_that_of_the_curve(examples: list[tuple[bool, int]]) -> None:
    label, score = np.array(examples, int).T
    assume(0 < label.sum() < len(label))
    assert metrics.auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
