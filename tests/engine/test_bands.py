"""Lens-finding sets in several bands: colours are those of the spectra, each band has its seeing, depth and noise."""

import h5py
import numpy as np
import pytest

from engine.simulate import bands, galaxies, sky
from engine.simulate.dataset import RECIPES, simulate
from engine.simulate.palette import ZERO_POINT, Palette
from engine.simulate.scene import Scene, Stamp, View, observe
from engine.simulate.spectra import Population, galaxy_fluxes, star_fluxes

NAMES = ("finder-gri", "finder-euclid")
GRI = ("g", "r", "i")


def make(name, count, seed=3):
    recipe = RECIPES[name]
    return [
        example
        for index in range(count)
        for example in recipe.make_scene(seed, index, size=recipe.size, pixel_scales=recipe.pixel_scales)
    ]


@pytest.fixture(scope="module")
def ground():
    return make("finder-gri", 70)


def scene_of(name, seed=1):
    """An empty scene seen as the survey of a recipe sees it."""
    random = np.random.default_rng(seed)
    names, survey, reference = {
        "finder-gri": (bands.GROUND, bands.draw_ground, 1),
        "finder-euclid": (bands.SPACE, bands.draw_euclid, 0),
    }[name]
    conditions, _ = survey(random, 40.0)
    noise = np.linspace(0.5, 2.0, len(names))
    views = tuple(
        View(one, sky.point_spread_function(one, fine=bands.fineness(one)), noise=unit)
        for one, unit in zip(conditions, noise, strict=True)
    )
    palette = Palette(random.spawn(1)[0], names, reference, noise, 0.0)
    return random, Scene(sky.Grid(161, conditions[0].native_scale), views, {}, palette)


def magnitudes(fluxes):
    return -2.5 * np.log10(fluxes)


def test_old_galaxies_redden_as_their_break_moves_through_the_bands():
    old, young = Population(0.0), Population(1.0)
    for redshift, g_r, r_i in ((0.0, 0.8, 0.38), (0.2, 1.2, 0.55), (0.4, 1.7, 0.72), (0.55, 1.77, 1.0)):
        g, r, i = magnitudes(galaxy_fluxes(old, redshift, GRI))
        assert g - r == pytest.approx(g_r, abs=0.08)
        assert r - i == pytest.approx(r_i, abs=0.08)
        g, r, i = magnitudes(galaxy_fluxes(young, redshift, GRI))
        assert 0.1 < g - r < 0.5
    dusty = magnitudes(galaxy_fluxes(Population(1.0, dust=1.0), 0.3, GRI)) - magnitudes(galaxy_fluxes(young, 0.3, GRI))
    np.testing.assert_allclose(dusty, (np.array([472, 617, 753]) / 1.3 / 550) ** -0.7, rtol=0.03)


def test_nothing_comes_through_beyond_the_lyman_limit():
    g, r, i = galaxy_fluxes(Population(1.0), 5.2, GRI)
    assert g == 0
    assert r < 0.5 * i


def test_a_hot_star_is_blue_and_follows_rayleigh_and_jeans():
    g, r, i = star_fluxes(1e6, GRI)
    np.testing.assert_allclose([g / r, i / r], [(472 / 617) ** -2, (753 / 617) ** -2], rtol=0.02)
    assert magnitudes(star_fluxes(5800, GRI))[0] - magnitudes(star_fluxes(5800, GRI))[1] == pytest.approx(
        0.49, abs=0.03
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_has_the_colours_it_was_given(name, monkeypatch):
    _, scene = scene_of(name)
    count = len(scene.views)
    red, blue = np.geomspace(0.2, 3, count), np.geomspace(2, 0.3, count)
    monkeypatch.setattr(Palette, "colours", lambda *_: (red, blue))
    with scene.brush("spiral", 500.0, middle=True) as layers:
        galaxies.add_sersic(layers.old, scene.grid, flux=300, radius=0.8, index=1, axis_ratio=1, angle=0)
        galaxies.add_sersic(layers.young, scene.grid, flux=200, radius=0.8, index=1, axis_ratio=1, angle=0)
    flux = scene.light.sum((1, 2))
    np.testing.assert_allclose(flux, 300 * red + 200 * blue, rtol=0.05)
    truth = scene.magnitudes("magnitude", scene.middle)
    expected = ZERO_POINT - 2.5 * np.log10(flux * scene.palette.noise)
    np.testing.assert_allclose([truth[f"magnitude_{band}"] for band in scene.palette.bands], expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_star_has_the_seeing_of_each_band_and_the_sky_its_noise(name):
    random, scene = scene_of(name)
    light = np.zeros_like(scene.light)
    for band in light:
        sky.add_star(random, band, scene.grid, scene.conditions, (0.0, 0.0), 1e5)
    stamp = Stamp("star", 0, scene.seen(light), {})
    (image,) = observe(random, scene, [stamp], 141, (scene.grid.scale,))
    for pixels, view in zip(image.cutouts[0], scene.views, strict=True):
        expected = view.conditions.seeing
        if bands.fineness(view.conditions) > 1:  # a pixel hardly smaller than the PSF makes it wider
            expected = np.hypot(expected, 0.8 * scene.grid.scale)
        assert full_width(pixels) * scene.grid.scale == pytest.approx(expected, rel=0.04)
        edge = pixels[:, :20]
        spread = 1.4826 * np.median(np.abs(edge - np.median(edge)))
        assert spread == pytest.approx(view.noise, rel=0.25)


def full_width(pixels):
    """FWHM in pixels of what lies in the middle, from its azimuthal mean."""
    size = len(pixels)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y).round(1)
    radii = np.unique(radius[radius < 8])
    profile = np.array([pixels[radius == one].mean() for one in radii])
    return 2 * np.interp(-0.5, -profile / profile[0], radii)


def test_infrared_noise_is_correlated_by_resampling_and_visual_noise_hardly():
    random, scene = scene_of("finder-euclid")
    for view, low, high in zip(scene.views, (0.0, 0.78, 0.78, 0.78), (0.5, 0.9, 0.9, 0.9), strict=True):
        noise = sky.noise(random, np.zeros((300, 300)), view.conditions)
        assert noise.std() == pytest.approx(1)
        assert low < (noise[:, 1:] * noise[:, :-1]).mean() < high  # two boxes of three pixels: 16/19


def test_every_band_of_a_twin_is_its_lens_without_the_arc(ground):
    group = {}
    for example in ground:
        group.setdefault(example.truth["group"], {})[example.truth["kind"]] = example
    checked = 0
    for family in group.values():
        if not {b"lens", b"twin"} <= family.keys():
            continue
        lens, twin = family[b"lens"], family[b"twin"]
        np.testing.assert_array_equal(np.isnan(lens.cutouts), np.isnan(twin.cutouts))
        truth = lens.truth
        whole = truth["field_of_view"] > 19.2 and truth["einstein_radius"] < 4 and abs(truth["offset_x"]) < 2
        if not whole or np.isnan(lens.cutouts).any() or truth["arc_snr"] < 40 or np.abs(lens.cutouts).max() > 1e3:
            continue
        pixels = (0.3 / truth["native_scale"]) ** 2  # of the mosaic in one of the stamp at 0.3"
        arc = (lens.cutouts[1] - twin.cutouts[1]).sum((1, 2)) * pixels
        expected = 10 ** (-0.4 * (np.array([truth[f"arc_magnitude_{band}"] for band in GRI]) - ZERO_POINT))
        np.testing.assert_allclose(arc, expected, atol=0.15 * expected.max())
        checked += 1
    assert checked >= 4


def test_most_sources_are_bluer_than_the_deflector_but_not_all():
    palette = Palette(np.random.default_rng(2), GRI, 1, np.ones(3), 0.0)
    bluer = []
    for _ in range(300):
        palette.redshift = np.nan
        deflector, _ = palette.colours("deflector", 1e3)
        source = palette.source()
        assert palette.redshift < palette.source_redshift
        (g, _, i), (source_g, _, source_i) = magnitudes(deflector), magnitudes(source)
        bluer.append(g - i - source_g + source_i > 0.3)
    assert 0.75 < np.mean(bluer) < 0.97


def test_arms_are_bluer_than_the_bulge():
    random, scene = scene_of("finder-gri")
    redder = []
    for _ in range(12):
        scene.light[:] = 0
        with scene.brush("spiral", 1e4) as layers:
            galaxies.add_spiral(random, layers.old, scene.grid, flux=1e4, radius=4.0, young=layers.young)
        y, x = (np.mgrid[:161, :161] - 80) * scene.grid.scale
        inner, outer = (scene.light[:, mask].sum(1) for mask in (np.hypot(x, y) < 0.6, np.hypot(x, y) > 4))
        redder.append(magnitudes(inner[0] / inner[1]) - magnitudes(outer[0] / outer[1]))
    assert np.median(redder) > 0.15


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_table_is_complete(name):
    recipe = RECIPES[name]
    examples = make(name, 12, seed=8)
    assert {example.label for example in examples} == {0, 1}
    for example in examples:
        assert example.cutouts.shape == (2, len(recipe.bands), 64, 64)
        assert example.truth.keys() == recipe.truth.keys()
        for band in recipe.bands:
            assert 0.1 < example.truth[f"seeing_{band}"] < 1.6
            assert 20 < example.truth[f"depth_{band}"] < 29
            assert np.isfinite(example.truth[f"arc_magnitude_{band}"]) == (example.label == 1)
        if example.label == 1:
            assert 0 < example.truth["redshift"] < example.truth["source_redshift"]
            assert np.isfinite([example.truth[f"magnitude_{band}"] for band in recipe.bands]).all()


def test_files_do_not_depend_on_the_number_of_processes(tmp_path):
    for processes in (1, 2):
        list(simulate("finder-gri", tmp_path / f"{processes}.h5", count=24, seed=5, size=32, processes=processes))
    first, second = ((tmp_path / f"{processes}.h5").read_bytes() for processes in (1, 2))
    assert first == second
    with h5py.File(tmp_path / "1.h5") as file:
        assert list(file.attrs["bands"]) == list(GRI)
        assert file["cutouts"].shape == (24, 2, 3, 32, 32)
