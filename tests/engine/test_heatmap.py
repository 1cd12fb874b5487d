"""The dense detector: its network, local sky, tiles, targets, training, and the scan that uses it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from engine.cli import app
from engine.detect.heatmap import HeatmapSearch, joined
from engine.detect.scan import scan
from engine.detect.sources import SOURCE
from engine.errors import DataError, ModelError
from engine.models.card import WEIGHTS, load_card
from engine.models.heatmap import HeatmapDetector, Peaks, build_heatmap, find_peaks, load_detector
from engine.models.local_sky import CELL, normalise, prepare_region
from engine.models.predict import load_classifier, view
from engine.simulate.patch_set import simulate_patches
from engine.train.course import CHECKPOINT
from engine.train.heatmap import train_heatmap
from engine.train.heatmap_data import is_patch_set, open_patch_set
from engine.train.heatmap_targets import detection_metrics, heatmap_loss, matched, targets, turned
from engine.train.request import TrainRequest
from engine.types import FloatArray, ModelCard, Mosaic, ScanRequest
from tests.engine.sky_parts import ArrayPlane, Brightness, gaussians, grid, noise

SCALE = 0.2
CARD = ModelCard(
    name="dense", architecture="lean_resnet", task="detection", classes=("lens",), bands=("any",), size=256,
    pixel_scales=(SCALE,), channels=("stretch", "detail"), calibration={"threshold": -1e9}, stride=8,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _single(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPLENSE_PRECISION", "float32")


def mosaic(pixels: FloatArray, pixel_scale: float = SCALE) -> Mosaic:
    return Mosaic("m", (Path("m.fits"),), pixels.shape, ("r",), pixel_scale, None, (ArrayPlane(pixels),))


@pytest.fixture(scope="module")
def detector() -> HeatmapDetector:
    """A dense network of random weights: its peaks mean nothing, but have to be the same however it is asked."""
    torch.manual_seed(3)
    network = build_heatmap("lean_resnet", in_channels=2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.7)  # timm begins with residual branches that do nothing
    nn.init.normal_(network.out.weight, std=0.8)
    return HeatmapDetector(CARD, network, torch.device("cpu"))


@pytest.fixture(scope="module")
def sky() -> FloatArray:
    shape = (448, 512)
    return gaussians(noise(shape, level=20), grid(shape), 40)


# network -------------------------------------------------------------------------------------------------------------


@given(rows=st.integers(-2, 2), columns=st.integers(-2, 2))
@settings(max_examples=6, deadline=None)
def test_shifting_the_image_by_cells_shifts_the_peaks(detector: HeatmapDetector, rows: int, columns: int) -> None:
    step = detector.network.multiple
    image = np.random.default_rng(5).normal(size=(2, 512, 512)).astype(np.float32)
    here = detector.outputs(image)
    there = detector.outputs(np.roll(image, (rows * step, columns * step), (1, 2)))
    back = np.roll(there, (-rows * step // 8, -columns * step // 8), (1, 2))
    inner = slice(22, -22)  # what the border does not reach
    np.testing.assert_allclose(here[:, inner, inner], back[:, inner, inner], atol=1e-4)
    assert here[0, inner, inner].std() > 0.01


@pytest.mark.parametrize("stride", [4, 8])
def test_any_backbone_with_feature_maps(stride: int) -> None:
    network = build_heatmap("test_resnet", in_channels=1, stride=stride).eval()
    assert network(torch.zeros(2, 1, 64, 96)).shape == (2, 3, 64 // stride, 96 // stride)
    assert float(network.out.bias[0].detach().sigmoid()) == pytest.approx(0.01)  # before training a lens is rare


def test_the_reach_bounds_what_a_cell_sees(detector: HeatmapDetector) -> None:
    pixels = torch.randn(1, 2, 512, 512, generator=torch.Generator().manual_seed(1), requires_grad=True)
    detector.network(pixels)[0, 0, 32, 32].backward()
    rows = torch.nonzero(pixels.grad.abs().sum((0, 1, 3)))
    seen = max(256 - int(rows.min()), int(rows.max()) - 263)
    assert 60 < seen <= detector.reach < seen + 64


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_without_memory_a_region_goes_in_parts(
    detector: HeatmapDetector, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = np.random.default_rng(5).normal(size=(len(detector.card.channels), 1024, 768)).astype(np.float32)
    expected, whole, sizes = detector.outputs(prepared), detector._outputs_at_once, []

    def small(part: FloatArray) -> FloatArray:
        sizes.append(part[0].size)
        if part[0].size > 300_000:
            raise error
        return whole(part)

    monkeypatch.setattr(detector, "_outputs_at_once", small)
    monkeypatch.setattr(detector, "_too_large", math.inf)
    np.testing.assert_allclose(detector.outputs(prepared), expected, atol=1e-4)
    assert max(sizes) == prepared[0].size
    sizes.clear()
    detector.outputs(prepared)
    assert max(sizes) <= 300_000  # it has learned


def test_without_any_memory_it_says_so(detector: HeatmapDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: FloatArray) -> FloatArray:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(detector, "_outputs_at_once", full)
    monkeypatch.setattr(detector, "_too_large", math.inf)
    with pytest.raises(ModelError, match="not enough memory"):
        detector.outputs(np.zeros((len(detector.card.channels), 768, 768), np.float32))


def test_a_detector_that_found_nothing_in_training_says_so(detector: HeatmapDetector, sky: FloatArray) -> None:
    blank = HeatmapDetector(replace(CARD, calibration={"threshold": None}), detector.network, detector.device)
    with pytest.raises(ModelError, match="train it for longer"):
        blank.find(sky[None])
    assert len(blank.find(sky[None], lowest=-100.0).xy)


def test_another_error_of_the_network_is_not_hidden(detector: HeatmapDetector) -> None:
    with pytest.raises(RuntimeError, match="channels"):
        detector.outputs(np.zeros((7, 256, 256), np.float32))


def test_what_cannot_be_a_dense_network_says_why() -> None:
    with pytest.raises(ModelError, match="did you mean"):
        build_heatmap("resnet1o", in_channels=1)
    with pytest.raises(ModelError, match="choose another"):
        build_heatmap("vit_tiny_patch16_224", in_channels=1)
    with pytest.raises(ModelError, match="4 or 8"):
        build_heatmap("test_resnet", in_channels=1, stride=16)
    with pytest.raises(ModelError, match="not for detection"):
        load_detector("finder")


def test_peaks_of_a_known_heatmap() -> None:
    outputs = np.full((3, 6, 8), -9.0, np.float32)
    outputs[1:] = 0
    outputs[:, 2, 3] = 2, 0.25, -0.5
    outputs[0, 2, 4] = 1  # the flank of the first
    outputs[0, 5, 7] = outputs[0, 4, 7] = 0  # a plateau counts once
    found = find_peaks(outputs, stride=8, lowest=-1)
    np.testing.assert_allclose(found.xy, [(3.75 * 8 - 0.5, 2 * 8 - 0.5), (7.5 * 8 - 0.5, 4.5 * 8 - 0.5)])
    np.testing.assert_allclose(found.logit, [2, 0])
    assert len(find_peaks(outputs, stride=8, lowest=-1, most=1).xy) == 1


# local sky -----------------------------------------------------------------------------------------------------------


def test_local_sky_and_noise_are_taken_off() -> None:
    y, x = np.mgrid[:256, :320]
    sky = 1000 + 0.02 * x - 0.05 * y
    found = normalise((sky + 3 * noise(sky.shape)).astype(np.float32))
    inner = found[64:-64, 64:-64]  # towards the edges the sky is that of the last cell
    assert abs(np.median(inner)) < 0.05
    assert np.std(inner) == pytest.approx(1, abs=0.1)


@given(gain=st.floats(1e-3, 1e3), level=st.floats(-100, 100))
@settings(max_examples=10, deadline=None)
def test_channels_are_blind_to_zero_point_and_level(gain: float, level: float) -> None:
    image = gaussians(noise((128, 128)), np.array([(40.0, 70.0)]), 60)
    image[:, 100:110] = np.nan
    found = prepare_region((gain * (image + level))[None].astype(np.float32))
    np.testing.assert_allclose(found, prepare_region(image[None]), atol=0.02)
    assert (found[:, :, 100:110] == 0).all()


def test_bands_add_up_to_unit_noise() -> None:
    bands = np.stack([noise((192, 192), seed) * 10.0**seed for seed in range(3)])
    bands[2] = np.nan
    stretch = prepare_region(bands, ("stretch",))[0]
    assert np.std(2 * np.sinh(stretch / 0.5) / 2 * 2 / 2) == pytest.approx(0.5, abs=0.05)
    assert not prepare_region(np.full((1, 64, 64), 7, np.float32)).any()


# tiles ---------------------------------------------------------------------------------------------------------------


def peaks(mosaic: Mosaic, detector: HeatmapDetector, side: int, core: tuple[int, int, int, int]) -> np.ndarray:
    search = HeatmapSearch(mosaic, detector)
    search.side = side
    list(search.search(core))
    found = search.within(core)
    return found[np.lexsort(found.T)]


@pytest.mark.parametrize("pixel_scale", [0.2, 0.27])
def test_one_tile_or_many(detector: HeatmapDetector, sky: FloatArray, pixel_scale: float) -> None:
    image, whole = mosaic(sky, pixel_scale), (0, *sky.shape[:1], 0, *sky.shape[1:])
    one = peaks(image, detector, 1024, whole)
    assert len(one) > 20
    np.testing.assert_allclose(peaks(image, detector, 2 * CELL, whole), one, atol=0.02)
    halves = [peaks(image, detector, 3 * CELL, (0, 448, *part)) for part in ((0, 205), (205, 512))]
    both = np.concatenate(halves)
    np.testing.assert_allclose(both[np.lexsort(both.T)], one, atol=0.02)


def test_only_peaks_are_held(detector: HeatmapDetector, sky: FloatArray) -> None:
    image = mosaic(sky)
    search = HeatmapSearch(image, detector)
    search.side = 2 * CELL
    list(search.search((0, 128, 0, 512)))
    above = set(search._peaks)
    list(search.search((320, 448, 0, 512)))
    assert not above & set(search._peaks)
    assert image.planes[0].largest <= (2 * CELL + 2 * detector.border) ** 2


def test_sources_and_peaks_are_joined_by_position() -> None:
    one, other = np.zeros(2, SOURCE), np.zeros(2, SOURCE)
    one["x"], other["x"] = (10, 50), (12, 80)
    np.testing.assert_array_equal(joined(one, other, 3.0)["x"], [10, 50, 80])
    assert len(joined(one[:0], other, 3.0)) == 2


# targets -------------------------------------------------------------------------------------------------------------


def test_targets_of_a_known_lens() -> None:
    made = targets([np.array([(19.5, 10.0, 1.0)]), np.empty((0, 3))], cells=8, stride=8, pixel_scale=SCALE).numpy()
    assert made[0, 0, 1, 2] == 1
    assert made[0, 0, 1, 3] == pytest.approx(np.exp(-0.5 / 0.7**2))
    np.testing.assert_allclose(made[0, 1:, 1, 2], (20 / 8 - 2.5, 10.5 / 8 - 1.5, 1))
    assert made[0, 3].sum() == 1
    assert not made[1].any()


@given(x=st.floats(0, 63), y=st.floats(0, 63))
def test_peaks_of_the_target_are_the_lens(x: float, y: float) -> None:
    made = targets([np.array([(x, y, 2.0)])], cells=8, stride=8, pixel_scale=SCALE)[0].numpy()
    np.testing.assert_allclose(find_peaks(made[:3], stride=8, lowest=0.99).xy, [(x, y)], atol=1e-3)


def test_the_loss_is_least_for_the_truth() -> None:
    wanted = targets([np.array([(20.0, 30.0, 1.0)])], cells=8, stride=8, pixel_scale=SCALE)
    right = torch.cat([torch.where(wanted[:, :1] == 1, 12.0, -12.0), wanted[:, 1:3]], 1)
    assert float(heatmap_loss(right, wanted)) < 1e-3
    missed, moved, invented = right.clone(), right.clone(), right.clone()
    missed[:, 0] = -12
    moved[:, 1] += 0.25
    invented[0, 0, 7, 7] = 3
    assert float(heatmap_loss(missed, wanted)) == pytest.approx(12, abs=0.1)
    assert float(heatmap_loss(moved, wanted)) == pytest.approx(0.25, abs=1e-3)
    p = 1 / (1 + np.exp(-3))
    assert float(heatmap_loss(invented, wanted)) == pytest.approx(-(p**2) * np.log(1 - p), rel=0.01)


@pytest.mark.parametrize("number", range(8))
def test_lenses_turn_with_their_patch(number: int) -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 3, 11] = 1
    x, y, _ = turned(np.array([(11.0, 3.0, 1.0)]), number, 16)[0]
    assert view(image, number)[0, 0, int(y), int(x)] == 1


def test_metrics_of_known_peaks() -> None:
    lenses = [np.array([(10.0, 10.0, 1.0), (40.0, 40.0, 1.0)]), np.empty((0, 3))]
    first = Peaks(np.array([(11.0, 10.0), (12.0, 10.0), (45.0, 40.0)]), np.array([5.0, 4.0, 1.0]))
    second = Peaks(np.array([(5.0, 5.0)]), np.array([3.0]))
    found = matched([first, second], lenses, pixel_scale=SCALE)
    np.testing.assert_array_equal(found, [(5, 1), (4, 0), (3, 0), (1, 1)])  # a second peak on a lens is false
    metrics = detection_metrics(found, lenses=2, area=1.0)
    assert metrics["average_precision"] == pytest.approx((1 + 2 / 4) / 2)
    assert (metrics["completeness_at_1_false"], metrics["completeness_at_3_false"]) == (0.5, 1)
    assert metrics["logit_at_1_false"] == 4


# patches and training ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("patches") / "patches.h5"
    *_, last = simulate_patches(path, count=30, seed=4, size=96, processes=1)
    assert last.done == 30
    return path


@pytest.mark.usefixtures("threads_as_processes")
def test_patches_are_twins_of_the_same_bytes(patches: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.h5"
    list(simulate_patches(again, count=30, seed=4, size=96, processes=2))
    assert patches.read_bytes() == again.read_bytes()
    data = open_patch_set([patches])
    lensed = np.unique(data.lenses["image"])
    assert len(lensed) > 5
    bare = np.setdiff1d(np.arange(len(data)), lensed)
    assert set(data.group[lensed[:-1]]) <= set(data.group[bare])
    assert (data.lenses["arc_snr"] > 12).all()
    assert all(((data.of(k)[:, :2] > 0) & (data.of(k)[:, :2] < 95)).all() for k in lensed)


def test_a_scene_stays_in_one_part(patches: Path) -> None:
    data = open_patch_set([patches])
    parts = data.parts(seed=0, validation=0.2, test=0.2)
    groups = [set(data.group[part]) for part in parts.values()]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert sum(map(len, parts.values())) == len(data)


def request(patches: Path, out: Path, **fields: object) -> TrainRequest:
    base = TrainRequest((patches,), out, architecture="lean_resnet", epochs=2, batch_size=8, device="cpu", threads=1)
    return replace(base, ema_decay=0.9, noise=0.1, **fields)  # type: ignore[arg-type]


def test_a_stopped_training_resumes_to_the_bit(patches: Path, tmp_path: Path) -> None:
    *steps, last = train_heatmap(request(patches, tmp_path / "whole", name="dense"))
    card = last.items[0]
    assert (card.task, card.stride, card.pixel_scales) == ("detection", 8, (SCALE,))
    assert {"average_precision", "completeness_at_1_false"} <= set(card.metrics) & set(card.history[0])
    assert [step.items[0]["epoch"] for step in steps if step.items] == [1, 2]
    stopped = train_heatmap(request(patches, tmp_path / "parts", name="dense"))
    for step in stopped:
        if step.items:
            break
    next(stopped)  # a batch of the second epoch, which is lost
    stopped.close()
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    torch.rand(7)
    list(train_heatmap(request(patches, tmp_path / "parts", name="dense", resume=True)))
    first, second = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "parts"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    detector = load_detector(tmp_path / "whole")
    assert detector.card.calibration["threshold"] == card.history[card.training["best_epoch"] - 1]["logit_at_3_false"]
    with pytest.raises(ModelError):
        load_classifier(tmp_path / "whole")
    (tmp_path / "parts" / "model.json").unlink()
    with pytest.raises(ModelError, match="another seed"):
        list(train_heatmap(request(patches, tmp_path / "parts", resume=True, seed=1)))


def test_settings_of_stamps_are_refused(patches: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="without balance"):
        list(train_heatmap(request(patches, tmp_path, balance=True)))
    (tmp_path / "not.h5").write_bytes(b"no")
    assert not is_patch_set(tmp_path / "not.h5")
    with pytest.raises(DataError, match="deeplense patches"):
        open_patch_set([tmp_path / "not.h5"])


def test_the_commands_make_a_dense_model(patches: Path, tmp_path: Path) -> None:
    options = ["--architecture", "lean_resnet", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--quiet"]
    made = CliRunner().invoke(app, ["train", str(patches), "--out", str(tmp_path / "dense"), *options])
    assert made.exit_code == 0, made.output
    assert load_card(tmp_path / "dense").task == "detection"


# scan ----------------------------------------------------------------------------------------------------------------


class Spots:
    """A dense detector that takes the two brightest pixels of a region for lenses."""

    card, border = CARD, CELL

    def find(self, pixels: FloatArray, *, lowest: float | None = None) -> Peaks:
        inner = np.nan_to_num(pixels[0, CELL:-CELL, CELL:-CELL])
        y, x = np.unravel_index(np.argsort(-inner, axis=None)[:1], inner.shape)
        return Peaks(np.column_stack([x, y]) + float(CELL), np.zeros(len(x)))


def test_a_scan_at_the_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    xy = np.array([(60.0, 50.0), (150.0, 120.0), (100.0, 160.0)])
    image = mosaic(gaussians(noise((200, 220)), xy, [300, 900, 200]))
    monkeypatch.setattr("engine.models.heatmap.load_detector", lambda model: Spots())

    def found(detector: str) -> list[tuple[int, int]]:
        steps = list(scan(ScanRequest(image, detector=detector), Brightness()))
        return sorted((round(one.x), round(one.y)) for step in steps for one in step.items)

    assert found("heatmap") == [(150, 120)]
    assert set(found("both")) == set(found("sources"))
    assert len(found("both")) == len(set(found("both")))
    with pytest.raises(ModelError, match="choose one of sources, heatmap, both"):
        list(scan(ScanRequest(image, detector="eyes"), Brightness()))
