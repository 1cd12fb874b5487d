"""The scan job on planted skies: known answers, progress, memory, cancel."""

import gc
import threading
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from engine.detect.scan import scan
from engine.detect.scoring import PROMISING, VIEWS, check_scores
from engine.detect.tiles import hold
from engine.errors import ModelError
from engine.images.mosaic import open_mosaic
from engine.types import Detection, ModelCard, Mosaic, ScanRequest, Step
from tests.engine.sky_parts import ArrayPlane, Brightness, gaussians, grid, mosaic_of, named_card, noise

SHAPE = (520, 700)


def planted() -> tuple[Mosaic, np.ndarray, np.ndarray]:
    """A sky of sources between 60 and 900 high, their positions and peaks."""
    xy = grid(SHAPE)
    peaks = np.random.default_rng(1).permutation(np.linspace(60, 900, len(xy)))
    return mosaic_of(gaussians(noise(SHAPE), xy, peaks)), xy, peaks


def run(mosaic: Mosaic, scorer: Brightness | None = None, **options: object) -> list[Step]:
    asked = {"threshold": 3.0, "tile": 256, "overlap": 48} | options
    return list(scan(ScanRequest(mosaic, **asked), scorer or Brightness()))  # type: ignore[arg-type]


def items(steps: list[Step]) -> list[Detection]:
    return [item for step in steps for item in step.items]


def positions(found: list[Detection]) -> np.ndarray:
    return np.array([(item.x, item.y) for item in found]).reshape(-1, 2)


def test_planted_sources_are_found_once_although_tiles_overlap() -> None:
    mosaic, xy, peaks = planted()
    found = items(run(mosaic))
    apart, nearest = cKDTree(xy).query(positions(found))
    assert sorted(nearest) == list(range(len(xy)))
    assert apart.max() < 0.3
    scores = np.array([item.raw_score for item in found])
    assert np.corrcoef(scores, peaks[nearest])[0, 1] > 0.99  # each stamp was cut at its own source
    assert [item.score for item in found] == [item.raw_score**2 for item in found]
    assert {(item.ra, item.dec, item.model) for item in found} == {(None, None, "brightness-0123456789ab")}


@pytest.mark.parametrize("offset", range(-6, 7, 3))
def test_a_source_on_a_seam_is_one(offset: int) -> None:
    xy = np.array([[256.0 + offset, 100.0], [100.0, 256.0 + offset], [256.0 + offset, 256.0 - offset]])
    mosaic = mosaic_of(gaussians(noise((512, 512)), xy, 300.0))
    found = positions(items(run(mosaic)))
    assert len(found) == 3
    assert cKDTree(xy).query(found)[0].max() < 0.3


@pytest.mark.parametrize(("tile", "overlap"), [(128, 32), (200, 64), (700, 128), (5000, 128)])
def test_the_size_of_tiles_does_not_matter(tile: int, overlap: int) -> None:
    mosaic, xy, _ = planted()
    reference = items(run(mosaic))
    other = items(run(mosaic, tile=tile, overlap=overlap))
    assert len(other) == len(reference) == len(xy)
    apart, nearest = cKDTree(positions(reference)).query(positions(other))
    assert apart.max() < 0.2
    for item, twin in zip(other, nearest, strict=True):
        assert item.flux == pytest.approx(reference[twin].flux, rel=0.05)
        assert item.score == pytest.approx(reference[twin].score, abs=0.02)


def test_a_scan_gives_the_same_twice() -> None:
    mosaic, _, _ = planted()
    assert sorted(items(run(mosaic)), key=repr) == sorted(items(run(mosaic)), key=repr)


def test_steps_carry_progress_and_the_best_first() -> None:
    mosaic, xy, _ = planted()
    steps = run(mosaic)
    assert len({step.total for step in steps}) == 1
    assert all(earlier.done <= later.done for earlier, later in pairwise(steps))
    assert (steps[0].done, steps[-1].done) == (0, steps[-1].total)
    assert steps[-1].note == f"{len(xy)} sources, {len(xy)} candidates"
    assert any(step.note.startswith("Tile 4 of 6") for step in steps)
    assert sum(bool(step.items) for step in steps) > 3  # streamed, not handed over at the end
    for step in steps:
        scores = [item.score for item in step.items]
        assert scores == sorted(scores, reverse=True)


def test_only_scores_from_a_minimum_are_kept() -> None:
    mosaic, xy, _ = planted()
    steps = run(mosaic, min_score=0.3)
    every = items(run(mosaic))
    assert {item.score for item in items(steps)} == {item.score for item in every if item.score >= 0.3}
    assert steps[-1].note == f"{len(xy)} sources, {len(items(steps))} candidates at or above a score of 0.3"


def test_the_promising_are_looked_at_again() -> None:
    mosaic, _, _ = planted()
    scorer = Brightness()
    found = items(run(mosaic, scorer))
    promising = [item for item in found if item.raw_score >= PROMISING]
    assert 0 < len(promising) < len(found)
    assert sum(count for count, views in scorer.batches if views == VIEWS) == len(promising)
    assert sum(count for count, views in scorer.batches if views == 1) == len(found)
    assert {item.spread > 0 for item in promising} == {True}


@pytest.mark.parametrize("value", [np.nan, 0.0, 123.0])
def test_an_empty_image_gives_an_empty_result(value: float) -> None:
    steps = run(mosaic_of(np.full((300, 400), value, np.float32)))
    assert items(steps) == []
    assert steps[-1].done == steps[-1].total
    assert steps[-1].note.startswith("No sources found")


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (7, 7), (20, 9)])
def test_an_image_smaller_than_any_stamp(shape: tuple[int, int]) -> None:
    assert run(mosaic_of(noise(shape)))[-1].note.startswith("No sources found")


def test_borders_without_data_are_no_sources() -> None:
    xy = grid((300, 400))
    framed = np.full(SHAPE, np.nan, np.float32)
    framed[100:400, 200:600] = gaussians(noise((300, 400), level=500.0), xy, 300.0)
    found = positions(items(run(mosaic_of(framed))))
    apart, nearest = cKDTree(xy + np.array([200, 100])).query(found)
    assert sorted(nearest) == list(range(len(xy)))
    assert apart.max() < 0.3


def test_bands_reach_the_model_in_its_order() -> None:
    image = gaussians(noise(SHAPE), grid(SHAPE), 300.0)
    mosaic = mosaic_of(image, image * 2, image * 3, names=("i", "g", "r"))
    scorer = Brightness(named_card("g", "r", "i"))
    run(mosaic, scorer)
    assert scorer.bands == ("g", "r", "i")
    scorer = Brightness()
    run(mosaic, scorer)
    assert scorer.bands == ("i", "g", "r")  # a model of any one band gets them all


def test_a_missing_band_is_said_before_anything_is_read() -> None:
    mosaic = mosaic_of(noise(SHAPE), names=("r",))
    with pytest.raises(ModelError, match=r"needs the bands g, r, i, but planted\.fits has r: open the missing files"):
        run(mosaic, Brightness(named_card("g", "r", "i")))
    assert mosaic.planes[0].largest == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fields",
    [{"classes": ("no_sub", "cdm", "axion")}, {"classes": ("no_sub",)}, {"targets": {"mass": {}}}, {"stride": 8}],
)
def test_a_model_that_gives_no_score_is_refused(fields: dict[str, object]) -> None:
    card = ModelCard("dark", "test_resnet", "substructure", ("not", "lens"), ("any",), 32, (0.1,), ("log",))
    with pytest.raises(ModelError, match="'dark' is for substructure, it finds no lenses"):
        check_scores(replace(card, **fields))


def test_positions_on_the_sky(mosaic_file: Path, synthetic_sky: tuple[np.ndarray, np.ndarray]) -> None:
    mosaic = open_mosaic(mosaic_file)
    found = items(run(mosaic))
    apart, nearest = cKDTree(synthetic_sky[1]).query(positions(found))
    assert sorted(nearest) == list(range(len(synthetic_sky[1])))
    assert apart.max() < 0.3
    sky = np.array([(item.ra, item.dec) for item in found], np.float64)
    np.testing.assert_allclose(sky, mosaic.world(positions(found)), rtol=0, atol=1e-12)


def test_pixels_without_a_scale_count_as_the_models() -> None:
    image = gaussians(noise(SHAPE), grid(SHAPE), 300.0)
    with_scale = items(run(mosaic_of(image, pixel_scale=0.2)))
    without = items(run(mosaic_of(image, pixel_scale=None)))
    assert {item.score for item in without} == {item.score for item in with_scale}


class EndlessPlane:
    """Noise of any size with a source every 64 pixels; nothing of it is kept."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.largest = 0
        self.block = gaussians(noise((64, 64), seed=5), np.array([[32.0, 32.0]]), 300.0)

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> np.ndarray:
        self.largest = max(self.largest, (y1 - y0) * (x1 - x0))
        rows, columns = np.arange(y0, y1, step) % 64, np.arange(x0, x1, step) % 64
        return self.block[np.ix_(rows, columns)]


def peak_memory(shape: tuple[int, int]) -> tuple[int, int, int]:
    plane = EndlessPlane(shape)
    mosaic = Mosaic("endless", (Path("endless.fits"),), shape, ("r",), 0.2, None, (plane,))
    count = 0
    gc.collect()
    tracemalloc.start()
    try:
        for step in scan(ScanRequest(mosaic, tile=256, overlap=48, threshold=3.0), Brightness()):
            count += len(step.items)  # what a caller keeps is the caller's
        return tracemalloc.get_traced_memory()[1], plane.largest, count
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_mosaic() -> None:
    peak_memory((512, 512))  # whatever is loaded once
    small, _, _ = peak_memory((512, 512))
    large, large_read, count = peak_memory((512 * 3, 512 * 2))
    assert count == pytest.approx(3 * 2 * 64, rel=0.1)
    assert large_read <= (256 + 2 * 60) ** 2
    assert large < 1.5 * small


def test_closing_in_the_middle_ends_the_work(mosaic_file: Path) -> None:
    mosaic = open_mosaic(mosaic_file)
    scorer, threads = Brightness(), threading.active_count()
    job = scan(ScanRequest(mosaic, tile=128, overlap=32, threshold=3.0), scorer)
    for step in job:
        if step.items:
            break
    scored = len(scorer.batches)
    job.close()  # type: ignore[attr-defined]
    assert list(job) == []
    assert len(scorer.batches) == scored
    assert threading.active_count() == threads
    assert mosaic.read(0, 2, 0, 2).shape == (1, 2, 2)  # the mosaic stays open for who else looks at it


def test_held_pixels_are_those_on_disk() -> None:
    image = noise((90, 120))
    mosaic = mosaic_of(image)
    held, pixels = hold(mosaic, (20, 60, 30, 90))
    np.testing.assert_array_equal(pixels[0], image[20:60, 30:90])
    plane = mosaic.planes[0]
    assert isinstance(plane, ArrayPlane)
    plane.largest = 0
    np.testing.assert_array_equal(held.read(25, 50, 40, 80, step=3)[0], image[25:50:3, 40:80:3])
    assert plane.largest == 0
    np.testing.assert_array_equal(held.read(10, 70, 20, 100)[0], image[10:70, 20:100])
