"""The colours of stamps are those of their survey, whatever lies in them and however wide they are."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from deeplense_gui.widgets.stamp_reader import Wish, read_stamp
from deeplense_gui.widgets.survey_levels import survey_levels
from engine.images.mosaic import open_mosaic

NOISE = (1.0, 3.0, 0.5)
AMPLITUDES = (40.0, 240.0, 60.0)
PLACES = {"large": (150, 150, 14.0, 1.0), "small": (450, 150, 3.0, 1.0), "faint": (150, 450, 3.0, 0.1)}


@pytest.fixture
def survey(tmp_path):
    """Three bands of unlike noise, and galaxies of one colour: a large one, a small one and a faint one."""
    y, x = np.mgrid[:600, :600]
    paths = []
    for band, noise, amplitude in zip("gri", NOISE, AMPLITUDES, strict=True):
        image = np.random.default_rng(ord(band)).normal(100, noise, (600, 600))
        for column, row, size, share in PLACES.values():
            image += share * amplitude * np.exp(-np.hypot(x - column, y - row) / size)
        paths.append(tmp_path / f"field_{band}.fits")
        fits.writeto(paths[-1], image.astype(np.float32))
    return open_mosaic(paths)


def core(survey, place: str, side: float) -> np.ndarray:
    """Red, green and blue in the middle of a stamp, 0..255."""
    column, row, *_ = PLACES[place]
    made = read_stamp(Wish(survey, column, row, side, survey=survey))
    pixels = next(one for one in made if one.title == "colour").pixels
    middle = int(pixels[len(pixels) // 2, len(pixels) // 2])
    return np.array([middle >> 16 & 255, middle >> 8 & 255, middle & 255], float)


def test_the_noise_is_that_of_the_survey(survey):
    levels = survey_levels(survey)
    for (least, most), noise in zip(levels.noise, NOISE, strict=True):
        assert 0.9 * noise < least <= most < 1.2 * noise


def test_a_galaxy_has_the_same_colour_however_much_of_the_stamp_it_fills(survey):
    narrow, wide = core(survey, "large", 40), core(survey, "large", 160)
    assert narrow / narrow.max() == pytest.approx(wide / wide.max(), abs=0.1)


def test_what_is_faint_looks_faint(survey):
    assert core(survey, "faint", 60).max() < 0.8 * core(survey, "small", 60).max()


def test_stamps_too_few_to_tell_are_measured_by_themselves(tmp_path):
    fits.writeto(tmp_path / "one.fits", np.random.default_rng(1).normal(0, 1, (50, 50)).astype(np.float32))
    mosaic = open_mosaic(tmp_path / "one.fits")
    assert survey_levels(mosaic) is None
    assert read_stamp(Wish(mosaic, 25, 25, 30, survey=mosaic))
