"""Tiles of a small survey, and what workers do in place of scanning; workers import it from here."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from astropy.io import fits

from engine import cluster
from engine.detect.survey import ScannedTile, SurveyScan
from engine.images.mosaic import open_mosaic
from engine.images.tile_files import TileFiles
from engine.types import Detection, Step
from tests.conftest import sky_header
from tests.engine.catalogue_parts import detection
from tests.engine.sky_parts import gaussians, noise

SHAPE = (120, 150)


def write_tiles(folder: Path, count: int) -> list[TileFiles]:
    """Tiles of six sources each, beside each other on the sky."""
    for number in range(count):
        xy = np.array([(x, y) for y in (35.0, 85.0) for x in (30.0, 75.0, 120.0)]) + number
        header = sky_header(SHAPE)
        header["CRVAL2"] += number * SHAPE[0] * 0.2 / 3600
        pixels = gaussians(noise(SHAPE, seed=number), xy, np.linspace(60, 300, len(xy)))
        fits.PrimaryHDU(pixels, header).writeto(folder / f"tile_{number}.fits")
    return [(folder / f"tile_{number}.fits",) for number in range(count)]


def truncate(files: TileFiles) -> None:
    """Cut a tile off in the middle of its pixels."""
    files[0].write_bytes(files[0].read_bytes()[:20_000])


def assert_same(found: list[ScannedTile], expected: list[ScannedTile]) -> None:
    """Whether the same was found on the same tiles; scores hang on the batches a little, and these on the pace."""
    assert {tile.files for tile in found} == {tile.files for tile in expected}
    of = {tile.files: sorted(tile.detections, key=lambda one: (one.y, one.x)) for tile in expected}
    for tile in found:
        mine = sorted(tile.detections, key=lambda one: (one.y, one.x))
        assert [replace(one, **_NO_SCORE) for one in mine] == [replace(one, **_NO_SCORE) for one in of[tile.files]]
        np.testing.assert_allclose([_scores(one) for one in mine], [_scores(one) for one in of[tile.files]], atol=1e-5)


_NO_SCORE = {"score": 0.0, "raw_score": 0.0, "spread": 0.0}


def _scores(one: Detection) -> tuple[float, ...]:
    return one.score, one.raw_score, one.spread


def scan_or_die(files: TileFiles, survey: SurveyScan, version: str) -> ScannedTile:
    """Kill the worker at a tile called deadly, and the first time at one called once."""
    name = files[0].stem
    if name == "deadly" or (name == "once" and not files[0].with_suffix(".died").exists()):
        files[0].with_suffix(".died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return ScannedTile(files)


def scan_endlessly(files: TileFiles, survey: SurveyScan, version: str) -> ScannedTile | None:
    """Go on until it is no longer wanted; files beside the tile tell when it begins and ends."""

    def endless(*_: object) -> Iterator[Step]:
        files[0].with_suffix(".begun").touch()
        try:
            while True:
                time.sleep(0.02)
                yield Step(0, 1)
        finally:
            files[0].with_suffix(".ended").touch()

    with mock.patch.multiple(cluster, scan_tile=endless, _check=mock.DEFAULT, _networks=mock.DEFAULT):
        return cluster._scan_here(files, survey, version)


def open_only(files: TileFiles, survey: SurveyScan, version: str) -> ScannedTile:
    """Find a source in the middle of a tile, without the seconds that networks take to load."""
    mosaic = open_mosaic(files)
    ny, nx = mosaic.shape
    return ScannedTile(files, replace(mosaic, planes=()), (detection(nx / 2, ny / 2, model=survey.model_key),))


def fail(files: TileFiles, survey: SurveyScan, version: str) -> ScannedTile:
    """Fail as only a mistake in the program does."""
    raise ZeroDivisionError("division by\nzero")


def look_for_a_package(files: TileFiles, survey: SurveyScan, version: str) -> ScannedTile:
    """Fail as where the program is not installed."""
    import engine.nothing_like_it  # type: ignore[import-not-found]  # noqa: F401

    return ScannedTile(files)
