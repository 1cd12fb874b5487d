"""The dark-matter recipes: known radii, masses and noise, lenstronomy's own images, and no label leak."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from scipy.stats import binom
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict

from engine.simulate import dark_matter, galaxies, substructure
from engine.simulate.dark_matter import CLASSES, Disc
from engine.simulate.dataset import RECIPES, simulate
from engine.simulate.instruments import EUCLID_VIS, IDEAL, WFC3_F160W
from engine.simulate.lenses import Lens
from engine.simulate.sky import Grid

NAMES = [recipe.name for recipe in dark_matter.RECIPES]
NOT_SUBSTRUCTURE = (
    "einstein_radius", "e1", "e2", "gamma1", "gamma2", "source_x", "source_y", "source_radius", "source_index",
    "source_e1", "source_e2", "source_angle", "exposure_time", "main_mass",
)  # fmt: skip


def scene(name, index, *, size=16, **options):
    recipe = RECIPES[name]
    return recipe.make_scene(3, index, size=size, pixel_scales=recipe.pixel_scales, **recipe.choose(options))[0]


@pytest.mark.parametrize(("distances", "radius"), [("angular", 1.6645), ("legacy", 1.2815)])
def test_einstein_radius_of_a_trillion_suns(distances, radius):
    assert substructure.unit_einstein_radius(distances) * 1e6 == pytest.approx(radius, abs=5e-5)


@given(st.floats(-2.5, 0.5), st.integers(0, 2**32 - 1))
def test_subhalo_masses_stay_in_their_range(slope, seed):
    masses = substructure.draw_masses(np.random.default_rng(seed), 50, slope)
    assert (masses >= 1e6 * (1 - 1e-9)).all()
    assert (masses <= 1e10 * (1 + 1e-9)).all()


@pytest.mark.parametrize("slope", [-1.9, -1.0, -0.9])
def test_subhalo_masses_follow_their_slope(slope):
    masses = substructure.draw_masses(np.random.default_rng(1), 200_000, slope)
    edges = np.logspace(6, 8 if slope < -1.5 else 10, 9)
    number, _ = np.histogram(masses, edges)
    fitted = np.polyfit(np.log10(edges[:-1]), np.log10(number / np.diff(edges)), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.02)


def test_a_vortex_is_as_long_as_its_wavelength():
    assert substructure.vortex_length(-22.0) == pytest.approx(0.03)
    vortex = substructure.make_vortex(-23.0, 0.7, "angular")
    assert len(vortex.x) == 100
    assert np.hypot(vortex.x, vortex.y).max() == pytest.approx(0.3)
    assert np.hypot(np.diff(vortex.x), np.diff(vortex.y)) == pytest.approx(0.6 / 99)
    assert (vortex.x.sum(), vortex.y.sum()) == pytest.approx((0, 0), abs=1e-9)


@settings(max_examples=25)
@given(st.floats(0.01, 2), st.floats(-1, 1), st.floats(1.5, 3))
def test_a_point_mass_deflects_by_its_radius_squared_over_distance(theta, place, x):
    one = substructure.PointMasses(np.array([place]), np.array([0.0]), np.array([theta]))
    alpha_x, alpha_y = one.deflection(np.array([x]), np.array([0.0]))
    assert alpha_x[0] == pytest.approx(theta**2 / (x - place))
    assert alpha_y[0] == 0


def test_a_round_sie_deflects_by_its_radius_everywhere():
    lens = Lens(1.5, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
    x, y = np.array([0.7, -1.9]), np.array([0.2, 1.1])
    beta_x, beta_y = lens.source_of(x, y)
    assert np.hypot(x - beta_x, y - beta_y) == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("fine", [1, 3])
def test_images_are_those_of_lenstronomy(kind, fine):
    lens, disc = Lens(1.66, 0.1, 0.0, 0.05, 0.0, (0.0, 0.0)), Disc(0.1, -0.2, 0.25, 1.0, -0.1, 0.1)
    halos, _ = dark_matter.draw_substructure(
        np.random.default_rng(4), kind, 1e12, distances="angular", slope=-0.9, number=4
    )
    x, y = dark_matter.source_plane(lens, halos, Grid(48, 0.1), fine)
    ours = IDEAL.__class__(0.1, 0.16, 1e3).blur(
        dark_matter.pixels_of(dark_matter.disc_light(disc, 20.0, x, y), fine) * 0.01
    )
    pixels = ImageData(np.zeros((48, 48)), ra_at_xy_0=-2.35, dec_at_xy_0=-2.35, transform_pix2angle=0.1 * np.eye(2))
    theirs = ImageModel(
        pixels,
        PSF("GAUSSIAN", fwhm=0.16, pixel_size=0.1, truncation=3),
        LensModel(["SIE", "SHEAR", *["POINT_MASS"] * len(halos.x)]),
        LightModel(["SERSIC_ELLIPSE"]),
        kwargs_numerics={"supersampling_factor": fine},
    )
    masses = [
        {"theta_E": t, "center_x": a, "center_y": b}
        for t, a, b in zip(halos.einstein_radius, halos.x, halos.y, strict=True)
    ]
    source = {"amp": 20.0, "R_sersic": 0.25, "n_sersic": 1.0, "e1": -0.1, "e2": 0.1, "center_x": 0.1, "center_y": -0.2}
    np.testing.assert_allclose(ours, theirs.image(lens.parameters + masses, [source]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("instrument", [IDEAL, EUCLID_VIS, WFC3_F160W])
def test_blank_pixels_have_the_noise_of_the_instrument(instrument):
    blank = instrument.observe(np.random.default_rng(1), np.zeros((300, 300)))
    assert blank.std() == pytest.approx(instrument.blank_noise, rel=0.01)
    assert abs(blank.mean()) < 5 * instrument.blank_noise / 300
    bright = instrument.observe(np.random.default_rng(2), np.full((300, 300), 2.0))
    expected = np.hypot(instrument.blank_noise, np.sqrt(2.0 / instrument.exposure_time))
    assert bright.std() == pytest.approx(expected, rel=0.01)
    assert bright.mean() == pytest.approx(2.0, rel=1e-3)


def test_euclids_zero_point_and_sky_in_electrons():
    assert EUCLID_VIS.flux(25.72) == pytest.approx(1)
    assert EUCLID_VIS.sky == pytest.approx(10 ** (0.4 * 3.37) * 0.101**2)


def test_an_unlensed_source_keeps_its_magnitude():
    disc, instrument = Disc(0.0, 0.0, 0.25, 1.0, 0.0, 0.0), EUCLID_VIS
    amplitude = instrument.flux(20.0) / galaxies.sersic_total(0.25, 1.0, 1.0)
    none = substructure.draw_subhalos(np.random.default_rng(1), np.zeros(0), "angular")
    x, y = dark_matter.source_plane(Lens(1e-9, 0, 0, 0, 0, (0, 0)), none, Grid(64, 0.101), 3)
    light = dark_matter.pixels_of(dark_matter.disc_light(disc, amplitude, x, y), 3) * 0.101**2
    assert light.sum() == pytest.approx(instrument.flux(20.0), rel=0.01)


def test_a_source_image_keeps_its_flux_and_follows_the_image_given():
    images = np.zeros((2, 161, 161))
    images[0, 60:100, 60:100] = images[1, 20:40, 20:40] = 1
    x, y = np.meshgrid(*2 * [np.arange(-1.5, 1.5, 0.0125)])
    light = [dark_matter.galaxy_light(i / i.sum(), Disc(0, 0, 0.2, 1, 0, 0), x, y) for i in images]
    assert [one.sum() * 0.0125**2 for one in light] == pytest.approx([1, 1], rel=0.02)
    assert not np.allclose(*light)


@pytest.mark.usefixtures("threads_as_processes")
@pytest.mark.parametrize("name", NAMES)
def test_files_do_not_depend_on_the_number_of_workers(tmp_path, name):
    paths = [tmp_path / f"{processes}.h5" for processes in (1, 2)]
    for processes, path in enumerate(paths, 1):
        list(simulate(name, path, count=18, seed=5, size=16, processes=processes))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with h5py.File(paths[0]) as file:
        recipe = RECIPES[name]
        assert file["cutouts"].shape == (18, 1, len(recipe.bands), 16, 16)
        assert np.isfinite(file["cutouts"][()]).all()
        assert set(file["truth"]) == set(recipe.truth)
        assert tuple(file["label"].attrs["classes"]) == recipe.classes
        assert set(file["label"][()]) == set(range(len(recipe.classes)))
        assert '"slope": -0.9' in file.attrs["options"]


@pytest.mark.parametrize("name", ["model-1", "model-4"])
def test_the_truth_of_each_class(name):
    for index, kind in enumerate(CLASSES):
        truth = scene(name, index).truth
        assert truth["kind"] == kind.encode()
        assert truth["subhalo_number"] == {"no_sub": 0, "cdm": 25, "axion": 100}[kind]
        assert truth["mass_fraction"] == pytest.approx(truth["subhalo_mass"] / truth["main_mass"])
        assert np.isnan(truth["log_axion_mass"]) == (kind != "axion")
    radius = scene("model-1", 0, distances="legacy").truth["einstein_radius"]
    assert radius == pytest.approx(1.2815, abs=5e-5)


@pytest.mark.parametrize("name", ["model-2", "model-4"])
def test_nothing_but_the_substructure_tells_the_class(name):
    examples = [scene(name, index, size=8, macro="varied", slope=0.0) for index in range(300)]
    features = np.array([[example.truth[column] for column in NOT_SUBSTRUCTURE] for example in examples])
    label = np.array([example.label for example in examples])
    forest = RandomForestClassifier(30, random_state=1)
    right = int((cross_val_predict(forest, features, label, cv=4) == label).sum())
    low, high = binom.interval(0.998, len(label), 1 / 3)
    assert low <= right <= high


def test_the_mass_recipe_varies_the_mass():
    fractions = np.array([scene("mass", k, size=8, most_subhalos=40).truth["mass_fraction"] for k in range(60)])
    assert fractions.std() > 0.005
    assert (fractions >= 0).all()
