"""The simulator: reproducible; light adds up, lenses obey the lens equation, twins differ by the arc alone."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.simulate import galaxies, lenses, sky
from engine.simulate.dataset import simulate
from engine.simulate.field import FieldRequest, make_field
from engine.simulate.finder import SECOND, make_scene

CONDITIONS = sky.Conditions(0.2, 0.8, 3.0, 0.0, 0.0, 0.0, 50.0, 0.0, 30.0, False)


def scenes(count, seed=3):
    return [make_scene(seed, index, size=32, pixel_scales=(0.2, 0.6)) for index in range(count)]


def test_same_seed_same_stamps_other_seed_others():
    first, again = (
        make_scene(7, 4, size=32, pixel_scales=(0.2, 0.6)),
        make_scene(7, 4, size=32, pixel_scales=(0.2, 0.6)),
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.cutouts, b.cutouts)
        assert a.label == b.label
        assert a.truth["group"] == b.truth["group"]
    other = make_scene(8, 4, size=32, pixel_scales=(0.2, 0.6))
    assert not np.array_equal(first[0].cutouts, other[0].cutouts, equal_nan=True)


def test_files_do_not_depend_on_the_number_of_processes(tmp_path):
    for processes in (1, 2):
        steps = list(
            simulate(
                "finder",
                tmp_path / f"{processes}.h5",
                count=40,
                seed=5,
                size=16,
                pixel_scales=(0.4,),
                processes=processes,
            )
        )
        assert steps[-1].done == steps[-1].total == 40
    with h5py.File(tmp_path / "1.h5") as one, h5py.File(tmp_path / "2.h5") as two:
        for name in ("cutouts", "label", *(f"truth/{column}" for column in one["truth"])):
            np.testing.assert_array_equal(one[name][()], two[name][()])
        assert one["cutouts"].shape == (40, 1, 1, 16, 16)
        assert list(one["label"].attrs["classes"]) == ["not", "lens"]
        assert 0 < one["label"][()].mean() < 0.6


def test_cancelled_simulation_leaves_no_file(tmp_path):
    job = simulate("finder", tmp_path / "set.h5", count=500, seed=1, size=16, pixel_scales=(0.4,), processes=1)
    next(job)
    job.close()
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match="finder"):
        list(simulate("nonsense", tmp_path / "a.h5", count=1, seed=1))
    with pytest.raises(DataError, match="one at least"):
        list(simulate("finder", tmp_path / "a.h5", count=0, seed=1))
    for size, message in ((7, "ask for 8 at least"), (1025, "ask for 1024 at most")):
        with pytest.raises(DataError, match=message):
            list(simulate("finder", tmp_path / "a.h5", count=1, seed=1, size=size))
    with pytest.raises(DataError, match="does not exist"):
        list(simulate("finder", tmp_path / "nowhere" / "a.h5", count=1, seed=1))


def test_a_twin_is_its_lens_without_the_arc():
    families = [s for s in scenes(40) if {"twin", "lens"} <= {e.truth["kind"].decode() for e in s}]
    assert len(families) >= 8
    for family in families:
        by_kind = {e.truth["kind"].decode(): e for e in family}
        lens, twin = by_kind["lens"], by_kind["twin"]
        assert (lens.label, twin.label) == (1, 0)
        assert lens.truth["group"] == twin.truth["group"]
        assert lens.truth["arc_snr"] > 12
        np.testing.assert_array_equal(np.isnan(lens.cutouts), np.isnan(twin.cutouts))
        assert np.nanmax(np.abs(lens.cutouts - twin.cutouts)) > 0


def test_every_kind_of_contaminant_turns_up():
    missing = set(SECOND.contaminants)
    for index in range(220):
        scene = make_scene(9, index, size=32, pixel_scales=(0.2, 0.6))
        missing -= {example.truth["kind"].decode() for example in scene}
        if not missing:
            break
    assert not missing


def test_scenes_hold_data_at_the_centre():
    for example in (e for s in scenes(40) for e in s):
        assert np.isfinite(example.cutouts[:, :, 15:17, 15:17]).all()
        assert np.isfinite(example.truth["seeing"])


@settings(deadline=None, max_examples=25)
@given(radius=st.floats(0.3, 1.2), index=st.floats(0.7, 3.0), axis_ratio=st.floats(0.4, 1.0), angle=st.floats(0, 3.1))
def test_sersic_light_adds_up(radius, index, axis_ratio, angle):
    grid = sky.Grid(301, 0.1)
    image = np.zeros((grid.size, grid.size))
    galaxies.add_sersic(image, grid, flux=100.0, radius=radius, index=index, axis_ratio=axis_ratio, angle=angle)
    assert image.sum() == pytest.approx(100, rel=0.06)


def test_half_of_the_light_lies_within_the_half_light_radius():
    grid = sky.Grid(401, 0.05)
    image = np.zeros((grid.size, grid.size))
    galaxies.add_sersic(image, grid, flux=1.0, radius=1.0, index=1.0, axis_ratio=1.0, angle=0.0)
    y, x = (np.mgrid[:401, :401] - 200) * 0.05
    assert image[np.hypot(x, y) < 1].sum() == pytest.approx(0.5, abs=0.02)


def test_kernel_is_normalised_and_has_the_seeing():
    kernel = sky.point_spread_function(CONDITIONS)
    assert kernel.sum() == pytest.approx(1)
    profile = kernel[kernel.shape[0] // 2]
    width = 0.2 * np.interp(0, [0, 1], [0, 1]) + 0.2 * np.sum(profile > profile.max() / 2)
    assert width == pytest.approx(0.8, abs=0.25)


def test_a_star_keeps_its_flux_and_place():
    grid = sky.Grid(61, 0.2)
    image = np.zeros((61, 61))
    sky.add_star(np.random.default_rng(0), image, grid, CONDITIONS, (0.31, -0.77), 50.0)
    y, x = (np.mgrid[:61, :61] - 30) * 0.2
    assert image.sum() == pytest.approx(50)
    assert (image * x).sum() / 50 == pytest.approx(0.31)
    assert (image * y).sum() / 50 == pytest.approx(-0.77)


def test_an_aligned_source_makes_a_ring_of_the_einstein_radius():
    lens = lenses.Lens(1.5, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
    source = lenses.Source(
        ("GAUSSIAN",), ({"amp": 1.0, "sigma": 0.08, "center_x": 0.0, "center_y": 0.0},), (0.0, 0.0), 0.08, 0.0
    )
    grid = sky.Grid(81, 0.1)
    ring = lenses.draw_arc(lens, source, grid)
    y, x = (np.mgrid[:81, :81] - 40) * 0.1
    assert (ring * np.hypot(x, y)).sum() / ring.sum() == pytest.approx(1.5, rel=0.02)


def test_a_quasars_images_lie_where_the_lens_equation_says():
    lens = lenses.Lens(1.5, 0.1, 0.0, 0.03, 0.0, (0.0, 0.0))
    position = (0.12, 0.05)
    source = lenses.Source(
        ("GAUSSIAN",), ({"amp": 1e-3, "sigma": 0.05, "center_x": 0.12, "center_y": 0.05},), position, 0.05, 0.999
    )
    grid = sky.Grid(121, 0.05)
    image = lenses.draw_arc(lens, source, grid)
    y, x = np.nonzero(image > 0.02 * image.max())
    beta_x, beta_y = lens.source_of((x - 60) * 0.05, (y - 60) * 0.05)
    assert len(x) >= 2
    assert np.hypot(beta_x - 0.12, beta_y - 0.05).max() < 0.15


def test_moving_to_the_critical_curve_puts_the_origin_on_a_long_arc():
    lens = lenses.Lens(5.0, 0.15, 0.05, 0.03, 0.0, (0.3, 0.1)).moved_to_critical_curve(1.0, stray=0.0)
    magnification = lenses.mass_model().magnification(np.array([0.0]), np.array([0.0]), lens.parameters)
    assert abs(magnification[0]) > 15


def test_field_is_reproducible_and_its_truth_agrees_with_its_wcs(tmp_path):
    request = FieldRequest(side=700, seed=4, lenses=3, galaxies=60, stars=10)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        steps = list(make_field(tmp_path / name, request))
        assert steps[-1].done == steps[-1].total
    pixels, header = fits.getdata(tmp_path / "a" / "field_r.fits", header=True)
    np.testing.assert_array_equal(pixels, fits.getdata(tmp_path / "b" / "field_r.fits"))
    assert pixels.shape == (700, 700)
    assert np.isfinite(pixels).all()
    truth = Table.read(tmp_path / "a" / "truth.ecsv")
    assert len(truth) == 3
    x, y = WCS(header).world_to_pixel_values(truth["ra"], truth["dec"])
    np.testing.assert_allclose(x, truth["x"], atol=1e-6)
    np.testing.assert_allclose(y, truth["y"], atol=1e-6)
    assert (truth["arc_snr"] > 25).all()
    for row in truth:
        here = pixels[round(row["y"]) - 15 : round(row["y"]) + 16, round(row["x"]) - 15 : round(row["x"]) + 16]
        assert here.max() > 5 * 4.0


def test_a_place_or_a_seed_that_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    for seed in (-1, 2**63):
        with pytest.raises(DataError, match=r"is no number from 0 to 2\^63 - 1"):
            next(simulate("finder", tmp_path / "set.h5", count=2, seed=seed))
    with pytest.raises(DataError, match="is a folder; give a file name"):
        next(simulate("finder", tmp_path, count=2, seed=1))
