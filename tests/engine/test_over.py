"""A head over a trained network of one band: what it sees, what is kept, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from engine.errors import ModelError
from engine.interpret.saliency import METHODS
from engine.models import library
from engine.models.build import build_network
from engine.models.card import WEIGHTS, load_card, save_card
from engine.models.contrast import contrasts
from engine.models.over import Over, below, pinned
from engine.models.predict import load_classifier
from engine.models.preprocess import channel_count, prepare
from engine.models.weights import read_weights
from engine.train.committee import CommitteeRequest, form_committee
from engine.train.compare import CompareRequest, compare
from engine.train.contenders import contenders
from engine.train.loop import train
from engine.types import Cutouts, ModelCard
from tests.engine.test_train import SCALES, SIZE, finish, request, write_set

BANDS = ("g", "r", "i")
DIMMED = ("stretch", "residual", "dimmed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a model of any one band, rings, and a training set in three bands beside it."""
    folder = tmp_path_factory.mktemp("library")
    finish(request(write_set(folder / "rings.h5"), folder / "rings", name="rings", epochs=4))
    write_set(folder / "gri.h5", 96, BANDS, seed=1)
    return folder


@pytest.fixture(autouse=True)
def own_library(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "user_models", lambda: home)


@pytest.fixture(scope="module")
def trained(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "user_models", lambda: home)
        out = tmp_path_factory.mktemp("run") / "rings-gri"
        finish(over(home, out, epochs=8))
    return out


def over(home: Path, out: Path, **fields: object):
    base = {"architecture": "over:rings", "channels": DIMMED, "bands": (), "learning_rate": 3e-3}
    return request(home / "gri.h5", out, **{**base, **fields})


def stamps(count: int = 6, bands: tuple[str, ...] = BANDS) -> Cutouts:
    shape = (count, len(SCALES), len(bands), SIZE, SIZE)
    pixels = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    return Cutouts(pixels, SCALES, bands, np.zeros((count, 2)))


def test_it_learns_with_little_and_writes_the_head_alone(trained: Path, home: Path) -> None:
    card = load_card(trained)
    assert card.metrics["auc"] > 0.95
    assert card.architecture == f"over:rings-{load_card(home / 'rings').weights_sha256[:12]}"
    assert (card.bands, card.channels) == (BANDS, DIMMED)
    names = set(read_weights(card, trained))
    assert names
    assert not any(name.startswith("below.") for name in names)
    assert (trained / WEIGHTS).stat().st_size < (home / "rings" / WEIGHTS).stat().st_size


def test_the_network_below_stays_as_it_was(trained: Path, home: Path) -> None:
    kept = load_classifier(trained).network.below.state_dict()
    for name, tensor in read_weights(load_card(home / "rings"), home / "rings").items():
        torch.testing.assert_close(kept[name], tensor)
    network = load_classifier(trained).network.train()
    before = {name: tensor.clone() for name, tensor in network.below.state_dict().items()}
    network(torch.randn(4, len(SCALES), 10, SIZE, SIZE)).sum().backward()
    torch.optim.SGD(network.parameters(), 1.0).step()
    for name, tensor in network.below.state_dict().items():
        torch.testing.assert_close(tensor, before[name])  # statistics of batches too


def test_each_look_is_seen_as_the_network_below_sees_it(home: Path) -> None:
    network = build_network("over:rings", in_channels=10, scales=2, outputs=1, size=SIZE).eval()
    alone = load_classifier("rings")
    cutouts, seen = stamps(), []
    network.below.head.register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.inference_mode():
        network(torch.from_numpy(prepare(cutouts.pixels, DIMMED, bands=BANDS, pixel_scales=SCALES)))
    looks = np.concatenate([cutouts.pixels, contrasts(cutouts)], 2)
    expected = [alone.logits(looks[:, :, [k]]) for k in range(looks.shape[2])]
    np.testing.assert_allclose(seen[0].reshape(6, 5).numpy(), np.stack(expected, 1), atol=2e-2)  # bfloat16 there


def test_a_band_without_data_counts_as_none(trained: Path) -> None:
    """Whatever the head has learned of a band, nothing of it is added where the band holds nothing."""
    network, cutouts = load_classifier(trained).network.eval(), stamps()
    cutouts.pixels[2, :, 0] = np.nan
    seen = []
    network.together.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        network(torch.from_numpy(prepare(cutouts.pixels, DIMMED, bands=BANDS, pixel_scales=SCALES)))
    width = seen[0].shape[1] // 5
    empty = (seen[0].reshape(6, 5, width) == 0).all(2).numpy()
    assert empty[2].tolist() == [True, False, False, True, True]  # the dimmed ones need the bluest band
    assert not empty[[0, 1, 3, 4, 5]].any()


def test_scores_do_not_hang_on_the_batch_and_missing_stamps_score_nothing(trained: Path) -> None:
    classifier, cutouts = load_classifier(trained), stamps()
    cutouts.pixels[4] = np.nan
    together = classifier.score_bands(cutouts, views=8)
    one = Cutouts(cutouts.pixels[1:2], SCALES, BANDS, cutouts.positions[1:2])
    assert together.score[1] == pytest.approx(classifier.score_bands(one, views=8).score[0], abs=0.02)
    assert together.score[4] == together.raw_score[4] == 0
    assert (together.spread[:4] > 0).all()


def test_resuming_ends_with_the_same_weights(trained: Path, home: Path, tmp_path: Path) -> None:
    asked = over(home, tmp_path / "again", epochs=8)
    job = train(asked)
    next(step for step in job if step.items)
    job.close()
    finish(replace(asked, resume=True))
    assert load_card(asked.out).weights_sha256 == load_card(trained).weights_sha256


@pytest.mark.parametrize("method", list(METHODS))
def test_every_saliency_method_explains_it(trained: Path, method: str) -> None:
    found = METHODS[method](load_classifier(trained), stamps(1))
    assert found.maps.shape == (len(SCALES), SIZE, SIZE)
    assert found.maps.max() > 0


def test_it_runs_as_quickly_made(trained: Path) -> None:
    plain, quick = load_classifier(trained), load_classifier(trained).quicken()
    np.testing.assert_allclose(plain.logits(stamps().pixels), quick.logits(stamps().pixels), atol=0.05)


def test_two_heads_make_a_committee(trained: Path, home: Path, tmp_path: Path) -> None:
    finish(over(home, tmp_path / "second", seed=5))
    for _ in form_committee(CommitteeRequest((trained, tmp_path / "second"), (home / "gri.h5",), tmp_path / "both")):
        pass
    assert load_card(tmp_path / "both").architecture.count("over:rings") == 2
    both, pixels = load_classifier(tmp_path / "both"), stamps().pixels
    each = []
    for folder in (trained, tmp_path / "second"):
        one = load_classifier(folder)
        calibration = one.card.calibration
        each.append(calibration["slope"] * one.logits(pixels) + calibration["intercept"])
    np.testing.assert_allclose(both.logits(pixels), np.mean(each, 0), atol=0.02 * np.abs(each).max())


def test_compare_trains_it_beside_others_and_goes_on(home: Path, tmp_path: Path) -> None:
    base = over(home, tmp_path / "comparison", epochs=1)
    asked = CompareRequest(base=base, contenders=contenders(["over:rings"], []), seeds=1, repeats=10)
    for _ in range(2):  # the second time it finds what it has done
        *_, last = compare(asked)
        assert last.done == last.total


def test_a_network_from_scratch_may_see_dimmed_images_too(home: Path, tmp_path: Path) -> None:
    card = finish(over(home, tmp_path / "plain", architecture="test_resnet", epochs=1))
    assert load_classifier(tmp_path / "plain").score_bands(stamps()).score.shape == (6,)
    assert channel_count(card.channels, card.bands) == 10
    assert channel_count(("log",), ("any",)) == 1


def changed(home: Path, tmp_path: Path, **fields: object) -> ModelCard:
    """A model of another kind in a library of its own."""
    card = replace(load_card(home / "rings"), **fields)
    (tmp_path / "other").mkdir()
    save_card(card, tmp_path / "other")
    return card


def test_what_it_stands_on_must_be_there_and_the_same(trained: Path, home: Path, monkeypatch, tmp_path: Path) -> None:
    assert isinstance(load_classifier(trained).network, Over)
    monkeypatch.setattr(library, "user_models", lambda: tmp_path)
    with pytest.raises(ModelError, match="stands on the model 'rings', which is not in the library: copy its folder"):
        load_classifier(trained)
    changed(home, tmp_path, weights_sha256="f" * 64)
    (tmp_path / "other").rename(tmp_path / "rings")
    with pytest.raises(ModelError, match=r"other weights of rings than those here \(ffffffffffff\): install"):
        load_classifier(trained)


@pytest.mark.parametrize(
    "fields",
    [{"bands": ("g",)}, {"targets": {"m": {"mean": 0, "scale": 1}}}, {"architecture": "a+b"}, {"stride": 8}],
)
def test_nothing_stands_on_another_kind_of_model(home: Path, monkeypatch, tmp_path: Path, fields) -> None:
    changed(home, tmp_path, **fields)
    monkeypatch.setattr(library, "user_models", lambda: tmp_path)
    with pytest.raises(ModelError, match="nothing can stand on other: name a single network"):
        below("over:other")


def test_names_are_pinned_once() -> None:
    once = pinned("over:rings+resnet18")
    assert once.endswith("+resnet18")
    assert pinned(once) == once


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bands": ("any",), "channels": ("stretch", "residual")}, "sees all bands of a stamp at once: add --together"),
        ({"channels": ("log", "dimmed")}, "rings sees the channels stretch,residual: give those, or stretch"),
        ({"architecture": "over:ring"}, "stands on the model 'ring', which is not in the library"),
    ],
)
def test_what_does_not_fit_is_refused(home: Path, tmp_path: Path, fields, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        finish(over(home, tmp_path / "out", **fields))


def test_stamps_of_another_kind_are_refused(home: Path, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other.h5", 48, BANDS)
    with h5py.File(other, "r+") as file:
        file["cutouts"].attrs["pixel_scales"] = (0.2, 0.5)
    with pytest.raises(ModelError, match=r'takes stamps of 24 px with pixels of 0.2" and 0.6": make such a set'):
        finish(replace(over(home, tmp_path / "out"), data=(other,)))


def test_bands_without_a_known_colour_cannot_be_dimmed(home: Path, tmp_path: Path) -> None:
    data = write_set(tmp_path / "odd.h5", 48, ("one", "two"))
    with pytest.raises(ModelError, match="No colour is known of the bands one, two, so none can be dimmed"):
        finish(replace(over(home, tmp_path / "out"), data=(data,)))


def test_untrained_it_says_what_the_network_below_says_on_average(home: Path) -> None:
    network = build_network("over:rings", in_channels=10, scales=2, outputs=1, size=SIZE).eval()
    cutouts = stamps()
    cutouts.pixels[2, :, 1] = np.nan
    with torch.inference_mode():
        found = network(torch.from_numpy(prepare(cutouts.pixels, DIMMED, bands=BANDS, pixel_scales=SCALES)))[:, 0]
    raw = load_classifier("rings").score_bands(cutouts).raw_score
    np.testing.assert_allclose(torch.sigmoid(found).numpy(), raw, atol=5e-3)


def test_in_use_half_of_the_correction_counts(home: Path) -> None:
    network = build_network("over:rings", in_channels=10, scales=2, outputs=1, size=SIZE)
    torch.nn.init.normal_(network.head.weight)
    pixels = torch.from_numpy(prepare(stamps().pixels, DIMMED, bands=BANDS, pixel_scales=SCALES))
    with torch.inference_mode():
        learning, using = network.train()(pixels), network.eval()(pixels)
        network.head.weight.zero_()
        mean = network(pixels)
    torch.testing.assert_close(using, (learning + mean) / 2)


def test_a_model_of_the_same_name_does_not_hide_what_another_stands_on(
    trained: Path, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed(home, tmp_path, weights_sha256="f" * 64)
    (tmp_path / "other").rename(tmp_path / "rings")
    monkeypatch.setattr(library, "user_models", lambda: tmp_path)
    monkeypatch.setattr("engine.models.over.bundled_models", lambda: home)
    assert below(load_card(trained).architecture)[1] == home / "rings"
    assert below("over:rings")[1] == tmp_path / "rings"
