"""What a score hangs on: changes of the stamp, told by a stand-in that measures the stamp itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import ModelError
from engine.images.mosaic import open_mosaic
from engine.interpret.sensitivity import AS_IT_IS, probe
from engine.models.preprocess import levels
from engine.types import Cutouts, ModelCard, Scores

CARD = ModelCard("ruler", "none", "lens finding", ("not", "lens"), ("any",), 32, (0.2, 0.6), ("stretch",))


class Ruler:
    """Scores a stamp by one of its own measures, and remembers what it was shown."""

    def __init__(self, measure, card: ModelCard = CARD) -> None:
        self.card, self.measure, self.shown = card, measure, []

    def score_bands(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        self.shown.append(cutouts)
        found = np.array([self.measure(stamp) for stamp in cutouts.pixels], np.float64)
        return Scores(found, found, np.zeros(len(found)))


def probes(mosaic, position, ruler) -> dict[str, float]:
    return {item.change: item.score for step in probe(mosaic, position, ruler) for item in step.items}


@pytest.fixture
def mosaic(band_files):
    return open_mosaic(band_files)


@pytest.fixture
def position(synthetic_sky) -> tuple[float, float]:
    return tuple(synthetic_sky[1][0])


def test_each_change_does_what_it_says(mosaic, position):
    peak = probes(mosaic, position, Ruler(lambda stamp: stamp[0, 0].max()))
    assert peak["seeing worse by 0.6″"] < peak["seeing worse by 0.3″"] < peak[AS_IT_IS]
    light = probes(mosaic, position, Ruler(lambda stamp: stamp[0, 0, 12:20, 12:20].sum()))
    assert light["50% as bright"] == pytest.approx(0.5 * light[AS_IT_IS], rel=0.1)
    assert light["25% as bright"] == pytest.approx(0.25 * light[AS_IT_IS], rel=0.2)
    assert light["moved by 0.3″"] == pytest.approx(light[AS_IT_IS], rel=0.1)
    noise = probes(mosaic, position, Ruler(lambda stamp: levels(stamp[1, :1])[1][0, 0]))
    assert noise["50% as bright"] == pytest.approx(noise[AS_IT_IS], rel=0.15)


def test_bands_are_shown_alone_and_what_has_no_data_stays_so(mosaic, position):
    ruler = Ruler(lambda stamp: float(np.isfinite(stamp).all()))
    found = probes(mosaic, (1.0, 1.0), ruler)
    alone = [name for name in found if name.endswith(" alone")]
    assert alone == [f"{band} alone" for band in mosaic.bands]
    assert [cutouts.bands for cutouts in ruler.shown[-3:]] == [(band,) for band in mosaic.bands]
    first = ruler.shown[0].pixels
    assert np.isnan(first).any()
    for cutouts in ruler.shown[1:5]:
        np.testing.assert_array_equal(np.isnan(cutouts.pixels), np.isnan(first))


def test_the_same_stamp_is_told_the_same_twice(mosaic, position):
    ruler = Ruler(lambda stamp: float(stamp[0, 0].std()))
    assert probes(mosaic, position, ruler) == probes(mosaic, position, ruler)


def test_a_model_of_other_bands_says_so(mosaic, position):
    with pytest.raises(ModelError, match="needs the bands u"):
        next(probe(mosaic, position, Ruler(float, replace(CARD, bands=("u",)))))
