"""Arcs painted on a planted sky: the PSF, the flux and the places are known."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from engine.detect.completeness import Completeness, draw_completeness, measure_completeness
from engine.detect.injection import InjectRequest, Painted, inject, paint_one, survey
from engine.detect.sources import find_sources
from engine.errors import DataError
from engine.images.mosaic import open_mosaic
from engine.simulate.psf import OVERSAMPLING, gaussian_point_spread, measure_point_spread
from engine.simulate.sky import Conditions, convolve, point_spread_function
from engine.train.data import open_training_set, split
from engine.types import FloatArray, Mosaic
from tests.conftest import sky_header
from tests.engine.cli_parts import CommandLine, tiny_model
from tests.engine.sky_parts import Brightness, gaussians, mosaic_of

SCALE, SIGMA = 0.2, 1.6  # arcsec, and pixels of the PSF's Gaussian


@pytest.fixture(scope="module")
def sky() -> Mosaic:
    """A sky that is not square: round galaxies above, stars below, in two bands."""
    random = np.random.default_rng(3)
    image = np.zeros((360, 520), np.float32)
    x, y = np.meshgrid(np.arange(40, 500, 50.0), np.arange(200, 340, 60.0))
    shift = random.uniform(-4, 4, (x.size, 2))
    galaxies = np.column_stack([x.ravel(), y.ravel()]) + shift
    for (x0, y0), sigma in zip(galaxies, random.uniform(3.5, 5.5, len(galaxies)), strict=True):
        gaussians(image, np.array([[x0, y0]]), 2.5 * sigma**2, sigma, reach=28)
    stars = np.column_stack([random.uniform(15, 505, 24), np.tile([30.0, 80.0, 130.0], 8)])
    stars[:, 0] = 20 + 20.5 * np.arange(24)
    gaussians(image, stars, random.uniform(30, 55, 24), SIGMA)
    gaussians(image, np.array([[10.0, 10.0]]), 1000.0, SIGMA)  # so bright that nothing else can be saturated
    noise = random.normal(0, 1, (2, *image.shape)).astype(np.float32)
    return mosaic_of(0.5 * image + noise[0], image + noise[1], names=("g", "r"))


@pytest.fixture(scope="module")
def painted(sky: Mosaic) -> list[Painted]:
    request = InjectRequest(sky, size=48, pixel_scales=(SCALE, 2 * SCALE))
    for_sky = finished(survey(request))
    return [one for index in range(6) if (one := paint_one(request, for_sky, index)) is not None]


def finished(job: object) -> object:
    while True:
        try:
            next(job)  # type: ignore[call-overload]
        except StopIteration as end:
            return end.value


def moffat_field(fwhm: float) -> FloatArray:
    conditions = Conditions(SCALE, fwhm, 3.2, 0.0, 0.0, 0.0, 25.0, 0.0, 1e4, False)
    random = np.random.default_rng(0)
    image = np.zeros((300, 300))
    for x in range(25, 280, 40):
        for y in range(25, 280, 40):
            image[y, x] = random.uniform(2000, 6000)
    return np.asarray(convolve(image, point_spread_function(conditions)) + random.normal(0, 1, image.shape), np.float32)


@pytest.mark.parametrize("fwhm", [0.6, 0.9])
def test_the_measured_width_is_that_of_the_stars(fwhm: float) -> None:
    image = moffat_field(fwhm)
    measured = measure_point_spread(image, find_sources(image))
    blurred = np.hypot(fwhm, 2.3548 / 12**0.5 * SCALE)  # by the pixel, which is part of what stars show
    assert measured.fwhm * SCALE == pytest.approx(blurred, rel=0.04)
    assert measured.stars > 20
    assert measured.kernel.sum() == pytest.approx(1)


def test_few_stars_give_a_gaussian_and_say_so() -> None:
    image = gaussians(
        np.random.default_rng(0).normal(0, 1, (120, 120)).astype(np.float32), np.array([[60.0, 60.0]]), 200, 2.0
    )
    measured = measure_point_spread(image, find_sources(image))
    assert measured.fwhm == pytest.approx(2.3548 * 2.0, rel=0.05)
    assert "Gaussian" in measured.note


def test_a_gaussian_has_its_width() -> None:
    kernel = gaussian_point_spread(4.0).kernel
    middle = len(kernel) // 2
    assert kernel[middle, middle + 2 * OVERSAMPLING] == pytest.approx(kernel[middle, middle] / 2)


def test_the_flux_painted_is_the_flux_recorded(painted: list[Painted]) -> None:
    assert len(painted) >= 4
    for one in painted:
        # At twice the native scale each pixel is the mean of four: four times its sum is the flux within the stamp.
        added = 4 * np.nansum(one.stamp[1].astype(np.float64) - one.twin[1], axis=(1, 2))
        assert added == pytest.approx(one.arc.flux, rel=0.03)


def test_twins_are_the_same_outside_the_arc(painted: list[Painted]) -> None:
    for one in painted:
        changed = one.stamp[0] != one.twin[0]
        assert changed.any()
        y, x = np.nonzero(changed.any(0))
        reach = 3.4 * one.arc.lens.einstein_radius / SCALE + 14
        assert np.hypot(x - 23.5, y - 23.5).max() < reach
        assert not changed.all()


def test_arcs_surround_their_galaxies(painted: list[Painted], sky: Mosaic) -> None:
    for one in painted:
        assert one.host["y"] > 170
        assert one.arc.lens.centre[0] == pytest.approx((one.host["x"] - round(float(one.host["x"]))) * SCALE)
        arc = one.stamp[0, 1] - one.twin[0, 1]
        y, x = np.mgrid[:48, :48] - 23.5
        mean = np.sum(arc * np.hypot(x, y)) / arc.sum() * SCALE
        assert 0.6 * one.arc.lens.einstein_radius < mean < 1.6 * one.arc.lens.einstein_radius


def test_the_source_is_bluer_than_the_galaxy(painted: list[Painted]) -> None:
    assert all(one.arc.flux[0] / one.arc.flux[1] > 0.5 for one in painted)


def test_photon_noise_needs_a_gain(sky: Mosaic) -> None:
    plain = InjectRequest(sky, size=48, pixel_scales=(SCALE,))
    smooth, grainy = (
        paint_one(request, finished(survey(request)), 1, evenly=True) for request in (plain, replace(plain, gain=2.0))
    )
    electrons = grainy.arc.pixels * 2.0
    assert electrons == pytest.approx(np.rint(electrons), abs=1e-6)
    assert grainy.arc.pixels.sum((1, 2)) == pytest.approx(grainy.arc.flux, rel=0.1)
    assert smooth.arc.pixels.sum((1, 2)) == pytest.approx(smooth.arc.flux)


def test_a_set_trains_with_twins_on_one_side(sky: Mosaic, tmp_path: Path) -> None:
    request = InjectRequest(sky, count=30, size=32, pixel_scales=(SCALE,))
    *_, last = inject(request, tmp_path / "one.h5")
    list(inject(request, tmp_path / "two.h5"))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert "10 arcs" in last.note
    training = open_training_set([tmp_path / "one.h5"], bands=("g", "r"))
    assert len(training) == 30
    assert (training.label == 1).sum() == 10
    parts = split(training.label, training.group, seed=0, validation=0.25, test=0.25)
    assert not set(training.group[parts["train"]]) & set(training.group[parts["test"]])
    with h5py.File(tmp_path / "one.h5") as file:
        kind, group = file["truth/kind"][()], file["truth/group"][()]
        assert (group[kind == b"lens"] == group[kind == b"twin"]).all()
        assert (file["truth/arc_snr"][kind == b"lens"] > 12).all()


def test_a_cancelled_job_leaves_no_file(sky: Mosaic, tmp_path: Path) -> None:
    job = inject(InjectRequest(sky, count=30, size=32, pixel_scales=(SCALE,)), tmp_path / "set.h5")
    next(job)
    job.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("scale", "message"), [(None, "no pixel scale"), (1.2, "coarser than arcs")])
def test_what_cannot_be_painted_on_says_why(sky: Mosaic, tmp_path: Path, scale: float | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(inject(InjectRequest(replace(sky, pixel_scale=scale)), tmp_path / "set.h5"))


def test_stars_alone_are_no_lenses(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could be a lens"):
        list(inject(InjectRequest(mosaic_of(moffat_field(0.8))), tmp_path / "set.h5"))


def test_completeness_counts_and_its_interval() -> None:
    resolution, snr = np.full(100, 2.0), np.full(100, 40.0)
    measured = Completeness(resolution, snr, np.arange(100) / 100, np.linspace(0, 0.795, 1000), "model")
    table = measured.table(0.01)
    cell = table[(table["resolution_low"] == 1.5) & (table["arc_snr_low"] == 30)][0]
    assert (cell["painted"], cell["found"]) == (100, 21)
    assert cell["completeness_low"] == pytest.approx(0.172, abs=0.002)
    assert cell["completeness_high"] == pytest.approx(0.254, abs=0.002)
    rates = [measured.table(rate)[-1]["completeness"] for rate in (0.0, 0.1, 0.5, 0.99)]
    assert all(low <= high for low, high in pairwise(rates))


def test_completeness_of_a_model_that_sees_brightness(sky: Mosaic, tmp_path: Path) -> None:
    measured = finished(
        measure_completeness(InjectRequest(sky, count=12, size=16, pixel_scales=(0.2, 0.6)), Brightness())
    )
    assert len(measured.score) == len(measured.arc_snr) == 12
    assert len(measured.unpainted) > 30
    draw_completeness(measured, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_write_a_set_and_a_measurement(
    sky: Mosaic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deeplense, image, model = CommandLine(capsys), tmp_path / "sky.fits", tiny_model(tmp_path / "tiny")
    pixels = sky.planes[1].read(0, sky.shape[0], 0, sky.shape[1])
    fits.PrimaryHDU(pixels, sky_header(sky.shape, SCALE)).writeto(image)
    made = deeplense("inject", image, "--out", tmp_path / "set.h5", "--count", 9, "--einstein-radius", 1.5, 2.5)
    assert made.status == 0
    with h5py.File(tmp_path / "set.h5") as file:
        radius = file["truth/einstein_radius"][file["label"][()] == 1]
        assert ((radius >= 1.5) & (radius <= 2.5)).all()
        assert np.isfinite(file["truth/ra"][()]).all()
    measured = deeplense("completeness", image, "--model", model, "--count", 10, "--out", tmp_path / "measured")
    assert measured.status == 0
    assert "of 10 arcs found" in measured.out
    assert {path.name for path in (tmp_path / "measured").iterdir()} == {"completeness.ecsv", "completeness.png"}


def test_a_real_survey_image_has_galaxies_to_paint_on(real_data: Path) -> None:
    mosaic = open_mosaic([real_data / "fields" / f"cfhtls_w3_{band}.fits" for band in "gri"])
    request = InjectRequest(mosaic)
    field = finished(survey(request))
    assert 0.6 < field.telescope.seeing < 1.1
    made = [one for index in range(4) if (one := paint_one(request, field, index)) is not None]
    assert made
    assert all(one.arc.snr > 12 for one in made)
