"""Copies of a lens with and without substructure, and what a network tells from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.errors import ImageError, ModelError
from engine.interpret.lens_model import copies as lens_copies
from engine.interpret.lens_model.copies import CORE, Copies, make_copies
from engine.interpret.lens_model.fit import fit_lens
from engine.interpret.lens_model.view import FitRequest, View
from engine.interpret.substructure import RARE, copies_of, substructure_models, tell, tell_all
from engine.simulate import galaxies
from engine.simulate.dark_matter import CLASSES, disc_light, draw_macro, source_plane
from engine.simulate.instruments import EUCLID_VIS
from engine.simulate.sky import Grid
from engine.simulate.substructure import PointMasses, unit_einstein_radius
from engine.types import LensFit, ModelCard, Substructure
from tests.engine.sky_parts import named_card

SIDE = 64


@pytest.fixture(scope="module")
def request_() -> FitRequest:
    """A lens as Euclid sees it, with the light of its galaxy and without substructure; no data in one corner."""
    random = np.random.default_rng(3)
    lens, disc = draw_macro(random, 1.4 * 1.0, "varied")
    grid = Grid(SIDE, EUCLID_VIS.pixel_scale)
    nothing = PointMasses(*np.zeros((3, 0)))
    amplitude = EUCLID_VIS.flux(20.0) / galaxies.sersic_total(disc.radius, disc.index, 1.0)
    light = disc_light(disc, amplitude, *source_plane(lens, nothing, grid, 1)) * grid.scale**2
    galaxies.add_sersic(light, grid, flux=EUCLID_VIS.flux(19.5), radius=0.6, index=3, axis_ratio=0.8, angle=0.3)
    image = EUCLID_VIS.observe(random, EUCLID_VIS.blur(light)).astype(np.float32)
    image[:3, :3] = np.nan
    return FitRequest(image, grid.scale, EUCLID_VIS.seeing)


@pytest.fixture(scope="module")
def fit(request_) -> LensFit:
    *_, last = fit_lens(request_)
    return last.items[0]


@pytest.fixture(scope="module")
def copies(request_, fit) -> Copies:
    """With smooth sources, whatever is left over of the stamp."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lens_copies, "_SMOOTH", np.inf)
        return make_copies(request_, fit.parameters, CLASSES, 12, 0)


def test_copies_without_substructure_are_the_fit_and_noise(request_, fit, copies):
    smooth = copies.copies[copies.labels == 0]
    sigma = smooth.std(0)
    away = (smooth.mean(0) - fit.arcs) / (sigma / np.sqrt(len(smooth)))
    assert np.isnan(copies.copies[:, :3, :3]).all()
    assert np.isnan(copies.stamp[:3, :3]).all()
    known = np.isfinite(away)
    assert abs(np.mean(away[known])) < 0.1
    assert np.std(away[known]) == pytest.approx(1, abs=0.15)
    assert (copies.left[copies.labels == 0] == 0).all()


def test_the_stamp_is_like_its_copies_where_the_lens_light_was(request_, fit, copies):
    smooth = copies.copies[copies.labels == 0]
    missed = (copies.stamp - smooth.mean(0)) / smooth.std(0, ddof=1)
    assert np.nanmedian(missed**2) / 0.4549 == pytest.approx(1, abs=0.35)
    axis = (np.arange(SIDE) - (SIDE - 1) / 2) * request_.pixel_scale
    core = np.hypot(axis - fit.parameters["x"], axis[:, None] - fit.parameters["y"]) < CORE * fit.einstein_radius
    assert core.sum() > 50
    assert np.abs(missed[core]).max() < 8  # the light of the galaxy there would be hundreds of sigmas


def test_subhalos_leave_more_over_than_a_vortex_that_a_smooth_lens_imitates(copies):
    none, cdm, axion = (np.median(copies.left[copies.labels == k]) for k in range(3))
    assert none == 0
    assert 0 < axion < 0.1 * cdm


def test_refitting_takes_away_what_a_smooth_lens_can_imitate(request_, fit, monkeypatch):
    monkeypatch.setattr(lens_copies, "_SMOOTH", np.inf)
    refitted = make_copies(request_, fit.parameters, ("axion",), 4, 1).left
    monkeypatch.setattr(lens_copies, "_REFITS", 0)
    plain = make_copies(request_, fit.parameters, ("axion",), 4, 1).left
    assert (refitted < 0.2 * plain).all()


def test_sources_are_as_clumpy_as_what_is_left_over_of_the_stamp_allows(request_, fit):
    """An arc with a bump that no smooth source has: copies of every kind may have some."""
    bumpy = request_.pixels.copy()
    y, x = np.unravel_index(np.argmax(fit.arcs), fit.arcs.shape)
    bumpy[y - 2 : y + 3, x - 2 : x + 3] += 0.15 * fit.arcs.max()
    made = make_copies(replace(request_, pixels=bumpy), fit.parameters, ("no_sub",), 24, 0)
    assert made.left_of_stamp > 2 * lens_copies._SMOOTH
    assert np.median(made.left) == pytest.approx(0.75 * made.left_of_stamp, rel=0.6)
    assert made.left.min() < 0.4 * made.left_of_stamp < made.left.max()


def test_the_same_seed_makes_the_same_copies(request_, fit):
    one, two, other = (make_copies(request_, fit.parameters, ("cdm",), 1, seed) for seed in (5, 5, 6))
    assert np.array_equal(one.copies, two.copies, equal_nan=True)
    assert np.array_equal(one.stamp, two.stamp, equal_nan=True)
    assert not np.array_equal(one.copies, other.copies, equal_nan=True)


@pytest.mark.parametrize(("gain", "smoothing"), [(0.0, 0.0), (0.05, 0.0), (0.02, 0.8)])
def test_noise_is_read_off_the_stamp(gain, smoothing):
    random = np.random.default_rng(0)
    light = np.zeros((120, 120))
    light[30:90, 30:90] = np.linspace(20, 60, 60)[:, None]
    noise = random.standard_normal(light.shape)
    if smoothing:
        noise = lens_copies.gaussian_filter(noise, smoothing)
        noise /= noise.std()
    left = noise * np.sqrt(1 + gain * light)
    view = replace(View.of(FitRequest((left + light).astype(np.float32), 0.1, 0.2), fine=1), noise=np.ones_like(light))
    sigma, found, smooth = lens_copies._noise_of(view, light, left)
    assert sigma == pytest.approx(1, abs=0.03)
    assert found == pytest.approx(gain, abs=0.012)
    assert smooth == pytest.approx(smoothing, abs=0.15)


class Network:
    """Stands for a classifier: its log odds are set by the mean of a stamp, with some noise."""

    def __init__(self, separates: float, classes: tuple[str, ...] = CLASSES, name: str = "stand-in") -> None:
        self.card: ModelCard = replace(
            named_card("any"), name=name, classes=classes, size=8, pixel_scales=(0.1,), channels=("minmax",)
        )
        self.separates = separates
        self.random = np.random.default_rng(1)

    def outputs(self, stamps: np.ndarray, *, views: int) -> np.ndarray:
        value = stamps.mean((1, 2, 3, 4))
        centres = np.arange(len(self.card.classes))
        odds = -self.separates * (3 * value[:, None] - centres) ** 2
        return (odds + self.random.normal(size=odds.shape))[None]


def painted(stamp: float, number: int = 40) -> Copies:
    """Copies whose lower ``k / 3`` of the rows, for kind k, are bright; so many of the stamp's are."""

    def paint(share: float) -> np.ndarray:
        made = np.zeros((8, 8), np.float32)
        made.ravel()[: round(64 * share)] = 1
        return made

    labels = np.repeat(np.arange(3), number)
    made = np.stack([paint(0.02 + label / 3) for label in labels])
    return Copies(0.1, paint(0.02 + stamp / 3), CLASSES, made, labels, labels.astype(np.float64))


def told(copies: Copies, *networks: Any) -> Substructure:
    *_, last = tell(copies, networks)
    return last.items[0]


@pytest.mark.parametrize("truth", [0, 1, 2])
def test_a_stamp_is_told_where_copies_are(truth):
    found = told(painted(truth), Network(4.0))
    assert found.tells
    assert found.right > 0.9
    assert np.argmax(found.probability) == truth
    assert sum(found.probability) == pytest.approx(1)
    assert found.typical >= RARE
    nearest = np.argmin(np.linalg.norm(found.places - found.place, axis=1))
    assert found.labels[nearest] == truth
    assert found.left == (0, 1, 2)
    assert found.examples.shape == (3, 8, 8)


def test_nothing_is_told_where_copies_are_not_told_apart():
    found = told(painted(1), Network(0.0))
    assert not found.tells
    assert "cannot tell copies" in found.notes[0]
    assert found.right < found.chance + 0.1


def test_nothing_is_told_of_a_stamp_unlike_all_copies():
    found = told(painted(2.9), Network(30.0))
    assert not found.tells
    assert "like no copy" in found.notes[-1]


def test_the_network_that_tells_the_copies_apart_best_is_used():
    networks = [Network(0.2, name="poor"), Network(4.0, name="good"), Network(0.0, name="blind")]
    assert told(painted(0), *networks).model == "good"


def test_a_network_of_two_classes_sees_copies_of_these_alone():
    found = told(painted(2), Network(4.0, ("no_sub", "axion")))
    assert found.classes == ("no_sub", "axion")
    assert found.probability[1] > 0.9
    assert set(found.labels) == {0, 1}
    assert found.left == (0, 2)


def test_nobody_is_surer_than_the_number_of_copies_allows():
    assert max(told(painted(0), Network(30.0)).probability) < 1 - 1 / 80


def test_which_models_tell_substructure():
    found = substructure_models()
    assert set(found) >= {"substructure-1", "substructure-2", "substructure-3"}
    assert not {"finder", "heatmap", "mass", "anomaly"} & set(found)


def test_without_a_fitting_network_it_says_so():
    with pytest.raises(ModelError, match="train one"):
        told(painted(0))
    with pytest.raises(ModelError, match="lens"):
        told(painted(0), Network(1.0, ("other", "lens")))


def test_copies_come_from_another_process(request_, fit, monkeypatch):
    monkeypatch.setattr("engine.interpret.substructure.COPIES", 2)
    *_, last = copies_of(request_, fit)
    (made,) = last.items
    assert made.copies.shape == (6, SIDE, SIDE)
    assert np.array_equal(make_copies(request_, fit.parameters, CLASSES, 2, 0).copies, made.copies, equal_nan=True)


def test_unit_radius_gives_the_mass_of_the_lens():
    assert (1.4 / unit_einstein_radius("angular")) ** 2 == pytest.approx(0.7e12, rel=0.05)


def test_many_are_told_in_processes(request_, fit, monkeypatch):
    monkeypatch.setattr("engine.interpret.substructure.COPIES", 6)
    items = dict(
        item for step in tell_all([request_] * 3, [fit] * 3, [Network(1.0)], processes=1) for item in step.items
    )
    assert sorted(items) == [0, 1, 2]
    assert items[0].labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert np.array_equal(items[0].stamp, items[2].stamp, equal_nan=True)


def test_a_fit_without_a_lensed_source_has_no_copies(fit):
    random = np.random.default_rng(0)
    empty = FitRequest(random.normal(size=(SIDE, SIDE)).astype(np.float32) - 3 * fit.arcs, EUCLID_VIS.pixel_scale, 0.16)
    with pytest.raises(ImageError, match="no lensed source"):
        make_copies(empty, fit.parameters, CLASSES, 1, 0)
    *_, last = tell_all([empty], [fit], [Network(1.0)])
    assert last.items == ((0, None),)
