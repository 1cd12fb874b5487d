"""The recipes of the lens finders for several bands: the same scenes as in one band, with colours.

A deflector is an old population, its source mostly blue, but dusty and old ones turn up; whatever forms stars in
spirals, rings and mergers is blue around an old, red bulge; the unlensed twin of a source keeps its colour. So no
colour alone gives a lens away. Stamps are in flux units of AB zero point 27, the same in each band.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from engine.simulate import finder, sky
from engine.simulate.palette import ZERO_POINT, Palette
from engine.simulate.recipe import Example, Recipe
from engine.simulate.scene import Scene, View, observe
from engine.simulate.sky import Conditions, Generator
from engine.simulate.spectra import Fluxes

MIXTURE = replace(finder.SECOND, contaminants={
    "spiral": 0.25, "ring": 0.09, "merger": 0.10, "edge_on": 0.07, "elliptical": 0.08, "group": 0.05,
    "pair": 0.12, "star": 0.04, "star_field": 0.03, "near_star": 0.07, "faint": 0.06, "artefact": 0.04,
})  # fmt: skip
Depths = Fluxes  # AB magnitude of a point source at five times the noise, in each band
Survey = Callable[[Generator, float], tuple[list[Conditions], Depths]]
GROUND, SPACE = ("g", "r", "i"), ("VIS", "Y", "J", "H")
_ASTROMETRY = 0.04  # of the seeing: how far bands are from being aligned


def draw_ground(random: Generator, field_of_view: float) -> tuple[list[Conditions], Depths]:
    """Conditions of g, r and i and their depths: DES, KiDS, CFHTLS, Legacy Surveys, HSC."""
    scale = random.uniform(0.17, 0.27)
    typical = np.clip(np.exp(random.normal(np.log(0.8), 0.2)), 0.5, 1.3)
    seeing = np.clip(typical * np.array([1.07, 1.0, 0.96]) * np.exp(random.normal(0, 0.1, 3)), 0.45, 1.5)
    common = Conditions(
        native_scale=float(scale),
        seeing=0.0,
        beta=float(random.uniform(2.3, 4.5)),
        ellipticity=0.0,
        angle=float(random.uniform(0, np.pi)),
        spikes=float(random.uniform(0, 0.04)) if random.random() < 0.5 else 0.0,
        gain=1.0,
        correlation=float(random.uniform(0.3, 0.9)) if random.random() < 0.5 else 0.0,
        field_of_view=field_of_view,
        space=False,
    )
    bands = [
        replace(
            common,
            seeing=float(width),
            ellipticity=float(random.uniform(0, 0.08)),
            gain=float(np.exp(random.uniform(np.log(8), np.log(400)))),
        )
        for width in seeing
    ]
    depth = random.uniform(24.0, 26.3) + np.array([0.4, 0.0, -0.4]) + random.normal(0, [0.25, 0.0, 0.25])
    return bands, depth


def draw_euclid(random: Generator, field_of_view: float) -> tuple[list[Conditions], Depths]:
    """Conditions of VIS, Y, J and H on one grid and their depths: the infrared ones are resampled from 0.3"."""
    seeing = np.array([random.uniform(0.145, 0.195), *(random.uniform(0.37, 0.44) * np.array([1.0, 1.0, 1.12]))])
    seeing[1:] *= np.exp(random.normal(0, 0.05, 3))
    angle, spikes = float(random.uniform(0, np.pi)), float(random.uniform(0.005, 0.05))
    bands = [
        Conditions(
            native_scale=0.1,
            seeing=float(width),
            beta=float(random.uniform(2.2, 3.5)),
            ellipticity=float(random.uniform(0, 0.06)),
            angle=angle,
            spikes=spikes,
            gain=float(np.exp(random.uniform(np.log(8), np.log(60)))),
            correlation=float(random.uniform(0.4, 0.6)) if number == 0 else 0.0,
            field_of_view=field_of_view,
            space=True,
            detector_scale=0.0 if number == 0 else 0.3,
        )
        for number, width in enumerate(seeing)
    ]
    return bands, np.array([27.4, 24.5, 24.6, 24.6]) + random.normal(0, 0.35, 4)


def make_scene(
    seed: int, index: int, *, size: int, pixel_scales: tuple[float, ...], bands: tuple[str, ...], survey: Survey
) -> list[Example]:
    """All stamps of scene ``index`` in several bands: a lens with its twins, or one contaminant.

    The same seed and index give the same bytes; stamps of one scene share the truth column ``group``.
    """
    random = np.random.default_rng([seed, index])
    width = size * max(pixel_scales)
    observed = width * 1.02
    if random.random() < 0.3:
        observed = float(np.exp(random.uniform(np.log(0.4 * width), np.log(width))))
    conditions, depth = survey(random, observed)
    reference = 1 if bands == GROUND else 0
    noise = np.array([_noise(one, magnitude) for one, magnitude in zip(conditions, depth, strict=True)])
    views = tuple(
        View(
            one,
            sky.point_spread_function(
                one, fine=fineness(one), shift=tuple(random.normal(0, _ASTROMETRY * one.seeing, 2))
            ),
            noise=float(unit),
            slope=float(random.uniform(0, 1.5)),
            missing=bool(random.random() < 0.005),
        )
        for one, unit in zip(conditions, noise, strict=True)
    )
    truth = finder.begin_truth(seed, index, conditions[reference], observed)
    for number, band in enumerate(bands):
        truth |= {f"seeing_{band}": conditions[number].seeing, f"depth_{band}": depth[number]}
        truth |= {f"magnitude_{band}": np.nan, f"arc_magnitude_{band}": np.nan}
    palette = Palette(random.spawn(1)[0], bands, reference, noise, float(random.normal(0, 0.012)))
    blurred = max(conditions, key=lambda one: one.seeing)
    scene = Scene(finder.grid_of(observed, blurred), views, truth, palette)
    stamps = finder.draw_stamps(random, scene, MIXTURE)
    for stamp in stamps:
        stamp.truth["redshift"] = palette.redshift
        stamp.truth["source_redshift"] = palette.source_redshift
    return observe(random, scene, stamps, size, pixel_scales)


def fineness(conditions: Conditions) -> int:
    """Points across a pixel at which the PSF is taken: its middle alone, unless the PSF is hardly wider than it."""
    return 1 if conditions.seeing > 2.5 * conditions.native_scale else 3


def _noise(conditions: Conditions, depth: float) -> float:
    """Noise of a pixel for a 5-sigma depth, weighing a point source by its (Gaussian) profile; in units of flux."""
    pixels = 4 * np.pi * (conditions.seeing / 2.3548 / conditions.native_scale) ** 2
    white = 10 ** (-0.4 * (depth - ZERO_POINT)) / 5 / np.sqrt(pixels)
    return float(white * sky.noise_of_pixel(conditions))


def truth_columns(bands: tuple[str, ...]) -> Mapping[str, DTypeLike]:
    """The finder's columns, redshifts, and for each band its seeing, depth and the magnitudes of galaxy and arc."""
    names = [f"{name}_{band}" for name in ("seeing", "depth", "magnitude", "arc_magnitude") for band in bands]
    return {**finder.TRUTH, **dict.fromkeys(["redshift", "source_redshift", *names], np.float32)}


_GRI = Recipe(
    name="finder-gri",
    summary="lenses and what is taken for them, with their colours, in g, r and i as seen from the ground",
    make_scene=partial(make_scene, bands=GROUND, survey=draw_ground),
    classes=finder.CLASSES,
    truth=truth_columns(GROUND),
    version=2,
    size=64,
    pixel_scales=(0.1, 0.3),
    bands=GROUND,
)
RECIPES = (
    _GRI,
    replace(
        _GRI,
        name="finder-euclid",
        summary="the same in Euclid's VIS, Y, J and H",
        make_scene=partial(make_scene, bands=SPACE, survey=draw_euclid),
        truth=truth_columns(SPACE),
        version=1,
        bands=SPACE,
    ),
)
