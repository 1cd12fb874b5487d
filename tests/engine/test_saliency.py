"""Saliency on small random networks: the shapes, the range, the bands, and that it leaves torch as it was."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.errors import ModelError
from engine.interpret.saliency import METHODS, integrated_gradients
from engine.models.build import build_network, outputs_for
from engine.models.predict import Classifier
from engine.types import Cutouts, ModelCard


def tiny(*, bands=("any",), classes=("not", "lens"), architecture="test_resnet") -> Classifier:
    torch.manual_seed(1)
    card = ModelCard(
        name="tiny",
        architecture=architecture,
        task="lens",
        classes=classes,
        bands=bands,
        size=64,
        pixel_scales=(0.14, 0.42),
        channels=("stretch", "residual"),
    )
    channels = len(card.channels) * len(bands)
    network = build_network(architecture, in_channels=channels, scales=2, outputs=outputs_for(len(classes)))
    return Classifier(card, network, torch.device("cpu"))


def stamp(bands: int = 1, seed: int = 3) -> Cutouts:
    y, x = np.mgrid[:64, :64] - 31.5
    ring = 40 * np.exp(-((np.hypot(x, y) - 12) ** 2) / 8)
    noise = np.random.default_rng(seed).normal(size=(1, 2, bands, 64, 64))
    pixels = (ring + noise).astype(np.float32)
    pixels.flags.writeable = False
    return Cutouts(pixels, (0.14, 0.42), ("g", "r", "i")[:bands], np.zeros((1, 2)))


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr(integrated_gradients, "STEPS", 4)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return tiny()


@pytest.mark.parametrize("name", METHODS)
def test_maps_are_one_a_scale_between_0_and_1(classifier, name):
    saliency = METHODS[name](classifier, stamp())
    assert saliency.maps.shape == (2, 64, 64)
    assert saliency.maps.dtype == np.float32
    assert saliency.maps.min() >= 0
    against = METHODS[name](classifier, stamp(), target="not")
    assert max(saliency.maps.max(), against.maps.max()) == pytest.approx(1)
    assert (saliency.method, saliency.target, saliency.model) == (name, "lens", classifier.card.key)
    assert saliency.pixel_scales == (0.14, 0.42)


@pytest.mark.parametrize("name", METHODS)
def test_bands_without_data_do_not_count(classifier, name):
    three = stamp(bands=3)
    pixels = three.pixels.copy()
    pixels[:, :, 1:] = np.nan
    only_first = Cutouts(pixels, three.pixel_scales, three.bands, three.positions)
    alone = Cutouts(pixels[:, :, :1], three.pixel_scales, ("g",), three.positions)
    averaged = METHODS[name](classifier, only_first).maps
    np.testing.assert_allclose(averaged, METHODS[name](classifier, alone).maps, atol=1e-5)
    assert METHODS[name](classifier, three).maps.shape == (2, 64, 64)


@pytest.mark.parametrize("name", METHODS)
def test_the_two_classes_of_one_logit_are_told_apart(classifier, name):
    lens, other = (METHODS[name](classifier, stamp(), target=target).maps for target in ("lens", "not"))
    assert not np.allclose(lens, other)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_a_stamp_without_anything_gives_a_plain_map(classifier, name, value):
    blank = stamp()
    pixels = np.full_like(blank.pixels, value)
    maps = METHODS[name](classifier, Cutouts(pixels, blank.pixel_scales, blank.bands, blank.positions)).maps
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_a_committee_and_three_classes_of_named_bands(name):
    committee = tiny(bands=("g", "r", "i"), classes=("no", "sphere", "vort"), architecture="test_resnet+test_resnet")
    assert METHODS[name](committee, stamp(bands=3), target="sphere").target == "sphere"
    with pytest.raises(ModelError, match="needs the bands g, r, i, not g"):
        METHODS[name](committee, stamp(bands=1))


@pytest.mark.parametrize("name", METHODS)
def test_works_inside_inference_mode_and_leaves_torch_as_it_was(classifier, name):
    with torch.inference_mode():
        maps = METHODS[name](classifier, stamp()).maps
        assert torch.is_inference_mode_enabled()
    np.testing.assert_allclose(maps, METHODS[name](classifier, stamp()).maps, atol=1e-5)
    assert torch.is_grad_enabled()
    assert all(weight.grad is None for weight in classifier.network.parameters())


def test_what_cannot_be_explained_is_said(classifier):
    two = stamp()
    doubled = Cutouts(np.repeat(two.pixels, 2, 0), two.pixel_scales, two.bands, np.zeros((2, 2)))
    with pytest.raises(ModelError, match="one stamp at a time"):
        METHODS["gradcam"](classifier, doubled)
    with pytest.raises(ModelError, match="knows no class 'star': choose one of not, lens"):
        METHODS["gradcam"](classifier, stamp(), target="star")


@pytest.mark.parametrize(
    ("architecture", "cells"), [("resnet10t", 8), ("convnext_atto", 8), ("vit_tiny_patch16_224", 4)]
)
def test_gradcam_explains_features_that_are_not_too_coarse(architecture, cells):
    from engine.interpret.saliency.gradcam import explained_layer

    network = build_network(architecture, in_channels=2, scales=2, outputs=1, size=64)
    seen = []
    explained_layer(network, 64).register_forward_hook(lambda module, given, made: seen.append(made.shape))
    network(torch.zeros(1, 2, 2, 64, 64))
    assert seen[0][-2:] == (cells, cells)


def test_every_scale_has_a_map_of_its_own_brightness():
    from engine.interpret.saliency.base import finish

    maps = np.zeros((1, 2, 32, 32), np.float32)
    maps[0, 0, 10:14, 10:14], maps[0, 1, 20:24, 20:24] = 0.01, 5.0
    found = finish(maps, SimpleNamespace(pixel_scales=(0.1, 0.3)), SimpleNamespace(classes=("not", "lens"), key="k"),
                   "gradcam", None)  # fmt: skip
    assert found.maps.max((1, 2)).tolist() == [1.0, 1.0]
    assert not finish(0 * maps, SimpleNamespace(pixel_scales=(0.1, 0.3)),
                      SimpleNamespace(classes=("not", "lens"), key="k"), "gradcam", None).maps.any()  # fmt: skip


def test_occlusion_finds_the_only_pixels_the_network_looks_at():
    class Corner(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 0, 0, 4:12, 40:56].mean((1, 2))[:, None]

    classifier, seen = tiny(), stamp()
    classifier.network = Corner()
    y, x = np.mgrid[:64, :64]
    pixels = seen.pixels + 30 * np.exp(-((y - 8) ** 2 + (x - 48) ** 2) / 18, dtype=np.float32)
    first, second = METHODS["occlusion"](classifier, replace(seen, pixels=pixels)).maps
    y, x = np.unravel_index(first.argmax(), first.shape)
    assert abs(y - 8) < 13  # the side of a patch
    assert abs(x - 48) < 13
    assert first[40:].max() < 0.05
    assert not second.any()
