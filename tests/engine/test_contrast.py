"""The colour of the galaxy in the middle, taken away."""

import numpy as np
import pytest

from engine.detect.scoring import WIDE, expected
from engine.images.mosaic import COARSE
from engine.models.contrast import STRENGTHS, contrasts
from engine.types import Cutouts, FloatArray, Scores

SCALES = (0.1, 0.3)


def scene(bands: tuple[str, ...]) -> tuple[Cutouts, FloatArray, FloatArray]:
    """A red galaxy in the middle and a blue arc beside it over a sky of 7; and where each of them is."""
    y, x = np.mgrid[:64, :64] - 31.5
    galaxy = (100 * np.exp(-(x**2 + y**2) / 18)).astype(np.float32)
    arc = np.where(np.abs(np.hypot(x, y) - 22) < 2, 10, 0).astype(np.float32)
    light = {"g": 0.5 * galaxy + arc, "r": galaxy + 0.4 * arc, "i": 2 * galaxy}
    pixels = np.stack([light.get(band, galaxy) + 7 for band in bands]).astype(np.float32)
    return Cutouts(np.stack([[pixels, pixels]]), SCALES, bands, np.zeros((1, 2))), galaxy, arc


def test_the_galaxy_fades_and_the_arc_stays() -> None:
    cutouts, galaxy, arc = scene(("i", "g", "r"))  # in whatever order
    found = contrasts(cutouts)
    assert found.shape == (1, 2, len(STRENGTHS), 64, 64)
    for number, strength in enumerate(STRENGTHS):
        np.testing.assert_allclose(found[0, 0, number], 0.5 * (1 - strength) * galaxy + arc, atol=0.05)


@pytest.mark.parametrize("bands", [("r",), ("1", "2"), ("g", "g")])
def test_without_two_known_bands_there_are_none(bands: tuple[str, ...]) -> None:
    assert contrasts(scene(bands)[0]).shape == (1, 2, 0, 64, 64)


def test_what_either_band_misses_is_missing() -> None:
    cutouts = scene(("g", "i"))[0]
    cutouts.pixels[0, :, 1, :, 40:] = np.nan
    found = contrasts(cutouts)
    assert np.isnan(found[..., 40:]).all()
    assert np.isfinite(found[..., :40]).all()


def test_on_coarse_pixels_a_lens_is_less_to_be_expected() -> None:
    scores = Scores(np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.6, 0.9]), np.zeros(3))
    for fine in (None, 0.2, COARSE):
        np.testing.assert_array_equal(expected(scores, fine).score, scores.score)
    coarse = expected(scores, 1.19)
    np.testing.assert_allclose(coarse.score, [0, WIDE / (1 + WIDE), 1])
    np.testing.assert_array_equal(coarse.raw_score, scores.raw_score)
    np.testing.assert_allclose(expected(scores, np.array([0.2, 5.0, 0.2])).score, [0, WIDE / (1 + WIDE), 1])
