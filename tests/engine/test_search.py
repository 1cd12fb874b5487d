"""The search for sources in a process of its own: the same answers, and no scan that waits for one that died."""

import os
import signal
from collections.abc import Generator, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.detect.scan import scan
from engine.detect.search import Region, SearchProcess, search_here
from engine.types import ScanRequest
from tests.engine.sky_parts import Brightness, gaussians, grid, mosaic_of, noise

SHAPE = (300, 420)
INSIDE = (-8.0, SHAPE[1] + 8.0, -8.0, SHAPE[0] + 8.0)


def region(**changes: object) -> Region:
    pixels = gaussians(noise(SHAPE), grid(SHAPE), 300.0)[None]
    return Region(**({"pixels": pixels, "threshold": 3.0, "inside": INSIDE, "peaks": None, "radius": 3.0} | changes))  # type: ignore[arg-type]


def found(search: Generator[float, None, NDArray[np.void]]) -> tuple[list[float], NDArray[np.void]]:
    shares = []
    while True:
        try:
            shares.append(next(search))
        except StopIteration as end:
            return shares, end.value


@pytest.fixture(scope="module")
def process() -> Iterator[SearchProcess]:
    made = SearchProcess()
    yield made
    made.close()


@pytest.mark.parametrize(
    "asked",
    [region(), region(inside=(100.0, 300.0, 50.0, 250.0)), region(threshold=None, peaks=grid(SHAPE)[:5])],
    ids=["all", "a part", "peaks alone"],
)
def test_both_find_the_same(process: SearchProcess, asked: Region) -> None:
    here, there = found(search_here(asked)), found(process(asked))
    assert len(here[1]) >= 4
    np.testing.assert_array_equal(here[1], there[1])
    assert here[0] == sorted(here[0])
    assert there[0] == sorted(there[0])


def test_a_search_that_is_given_up_leaves_nothing_for_the_next(process: SearchProcess) -> None:
    first = process(region())
    next(first)
    first.close()
    assert len(found(process(region(threshold=None, peaks=grid(SHAPE)[:2])))[1]) == 2


def test_a_scan_goes_on_without_a_process_that_died() -> None:
    mosaic = mosaic_of(region().pixels[0])
    request = ScanRequest(mosaic, threshold=3.0, tile=150, overlap=40)
    process = SearchProcess()
    steps = scan(request, Brightness(), process)
    items = []
    for step in steps:
        items += step.items
        if process._process is not None and not process._broken:
            os.kill(process._process.pid, signal.SIGKILL)
    assert process._broken
    whole = [item for step in scan(request, Brightness()) for item in step.items]
    assert items == whole
    assert len(items) == len(grid(SHAPE))
