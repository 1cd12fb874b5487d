"""The DeepLense recipes: what the substructure of a lens does to the image of its source.

Models I to IV after the public data sets of that name, each with the classes no_sub, cdm and axion, and one for the
regression of the mass in subhalos. The lens without its substructure, the source and the noise are drawn in the same
way in every class, before the substructure: nothing but that tells the classes apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from engine.simulate import galaxies, substructure
from engine.simulate.galaxies import light_model
from engine.simulate.instruments import EUCLID_VIS, IDEAL, WFC3_F160W, Instrument
from engine.simulate.lenses import Lens
from engine.simulate.recipe import Example, Option, Recipe, Truth
from engine.simulate.sky import Generator, Grid, Image
from engine.simulate.substructure import PointMasses

CLASSES = ("no_sub", "cdm", "axion")
MAIN_MASS, SUBHALOS = 1e12, 25  # solar masses, number
TRUTH: Mapping[str, DTypeLike] = {
    "group": np.int64, "kind": "S6", "einstein_radius": np.float32, "e1": np.float32, "e2": np.float32,
    "gamma1": np.float32, "gamma2": np.float32, "source_x": np.float32, "source_y": np.float32,
    "source_radius": np.float32, "source_index": np.float32, "source_e1": np.float32, "source_e2": np.float32,
    "source_angle": np.float32, "exposure_time": np.float32, "main_mass": np.float64, "subhalo_number": np.int32,
    "subhalo_mass": np.float64, "mass_fraction": np.float32, "log_axion_mass": np.float32,
    "vortex_length": np.float32, "vortex_angle": np.float32,
}  # fmt: skip
_DISTANCES = Option("angular", "distances: angular-diameter, or legacy as published", choices=substructure.DISTANCES)
_SLOPE = Option(-0.9, "of the subhalo mass function dN/dM", lowest=-3.0, highest=1.0)
_FINE = Option(1, "rays a pixel and axis", lowest=1, highest=9)
_MACRO = Option("fixed", "lens and source: as published, or varied", choices=("fixed", "varied"))
_LENS_LIGHT = ((17.0, 0.4, 2.3, 0.05), (28.0, 1.5, 1.2, 0.3))  # magnitude, radius, index, e2 of Model IV
_FAINTER = (0.0, 1.0, 2.0)  # magnitudes, of the first in the three bands
_SOURCE_MAGNITUDES = (22.0, 19.0, 18.0)
_SOURCE_GRID = Grid(161, 0.0125)


@dataclass(frozen=True, slots=True)
class Disc:
    """A smooth source: centre and half-light radius in arcsec, Sersic index, ellipticity; ``angle`` of an image."""

    x: float
    y: float
    radius: float
    index: float
    e1: float
    e2: float
    angle: float = 0.0


def _direction(random: Generator, largest: float) -> tuple[float, float]:
    """A modulus up to ``largest`` in a random direction of spin 2."""
    size, angle = random.uniform(0, largest), random.uniform(0, 2 * np.pi)
    return size * float(np.cos(angle)), size * float(np.sin(angle))


def draw_macro(random: Generator, einstein_radius: float, macro: str) -> tuple[Lens, Disc]:
    """The lens without its substructure, and the source."""
    x, y = (float(value) for value in random.uniform(-0.35, 0.35, 2))
    if macro == "fixed":
        return Lens(einstein_radius, 0.1, 0.0, 0.05, 0.0, (0.0, 0.0)), Disc(x, y, 0.25, 1.0, -0.1, 0.1)
    einstein_radius *= float(random.uniform(0.8, 1.2))
    lens = Lens(einstein_radius, *_direction(random, 0.25), *_direction(random, 0.1), (0.0, 0.0))
    return lens, Disc(x, y, random.uniform(0.15, 0.35), random.uniform(0.7, 1.5), *_direction(random, 0.25))


def draw_substructure(
    random: Generator, kind: str, main_mass: float, *, distances: str, slope: float, number: int = SUBHALOS
) -> tuple[PointMasses, Truth]:
    """Point masses of a class, and their columns of the truth table.

    ``mass_fraction`` is the mass of all of them over the main lens's mass within its Einstein radius.
    """
    masses, angle, log_mass = np.zeros(0), np.nan, np.nan
    if kind == "axion":
        log_mass, angle = random.uniform(*substructure.LOG_AXION_MASS), random.uniform(0, 2 * np.pi)
        halos = substructure.make_vortex(log_mass, angle, distances)
        masses = np.full(len(halos.x), substructure.VORTEX_POINT_MASS)
    else:
        if kind == "cdm":
            masses = substructure.draw_masses(random, number, slope)
        halos = substructure.draw_subhalos(random, masses, distances)
    return halos, {
        "subhalo_number": len(masses), "subhalo_mass": masses.sum(), "mass_fraction": masses.sum() / main_mass,
        "log_axion_mass": log_mass, "vortex_length": substructure.vortex_length(log_mass), "vortex_angle": angle,
    }  # fmt: skip


def source_plane(lens: Lens, halos: PointMasses, grid: Grid, fine: int) -> tuple[Image, Image]:
    """Where the rays of a grid, ``fine`` a pixel and axis, meet the source plane: x and y in arcsec, (rays, rays)."""
    axis = (np.arange(grid.size * fine) - (grid.size * fine - 1) / 2) * grid.scale / fine
    x, y = np.meshgrid(axis, axis)
    beta_x, beta_y = lens.source_of(x.ravel(), y.ravel())
    alpha_x, alpha_y = halos.deflection(x, y)
    return beta_x.reshape(x.shape) - alpha_x, beta_y.reshape(x.shape) - alpha_y


def pixels_of(rays: Image, fine: int) -> Image:
    """The mean of each pixel's rays."""
    side = rays.shape[0] // fine
    return rays if fine == 1 else rays.reshape(side, fine, side, fine).mean((1, 3))


def disc_light(disc: Disc, amplitude: float, x: Image, y: Image) -> Image:
    """Surface brightness of a Sersic source, ``amplitude`` at its half-light radius, at source-plane positions."""
    parameters = [{"amp": amplitude, "R_sersic": disc.radius, "n_sersic": disc.index, "e1": disc.e1, "e2": disc.e2,
                   "center_x": disc.x, "center_y": disc.y}]  # fmt: skip
    light = light_model(("SERSIC_ELLIPSE",)).surface_brightness(x.ravel(), y.ravel(), parameters)
    return np.asarray(light.reshape(x.shape))


def galaxy_light(image: Image, disc: Disc, x: Image, y: Image) -> Image:
    """Surface brightness of a galaxy image on _SOURCE_GRID whose sum is one, at source-plane positions."""
    model = light_model(("INTERPOL",))
    model.delete_interpol_caches()  # else it would show the image before
    parameters = [{"amp": 1.0, "image": image, "scale": _SOURCE_GRID.scale, "phi_G": disc.angle,
                   "center_x": disc.x, "center_y": disc.y}]  # fmt: skip
    light = model.surface_brightness(x.ravel(), y.ravel(), parameters).reshape(x.shape)
    return np.asarray(light / _SOURCE_GRID.scale**2)


def _truth(seed: int, index: int, kind: str, lens: Lens, disc: Disc) -> Truth:
    group = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)
    return {
        "group": group, "kind": kind.encode(), "einstein_radius": lens.einstein_radius, "e1": lens.e1, "e2": lens.e2,
        "gamma1": lens.gamma1, "gamma2": lens.gamma2, "source_x": disc.x, "source_y": disc.y,
        "source_radius": disc.radius, "source_index": disc.index, "source_e1": disc.e1, "source_e2": disc.e2,
        "source_angle": disc.angle,
    }  # fmt: skip


def make_lens(
    seed: int, index: int, *, size: int, pixel_scales: tuple[float, ...], instrument: Instrument,
    distances: str, slope: float, supersampling: int, macro: str, most_subhalos: int = 0,
) -> list[Example]:  # fmt: skip
    """A scene of Models I to III, the classes in turn; with ``most_subhalos``, CDM alone with up to that number."""
    random = np.random.default_rng([seed, index])
    kind = "cdm" if most_subhalos else CLASSES[index % len(CLASSES)]
    unit = substructure.unit_einstein_radius(distances)
    lens, disc = draw_macro(random, unit * np.sqrt(MAIN_MASS), macro)
    if instrument is IDEAL:
        instrument, amplitude = replace(instrument, exposure_time=10 ** random.uniform(3, 3.5)), 20.0
    else:
        amplitude = instrument.flux(20.0) / galaxies.sersic_total(disc.radius, disc.index, 1.0)
    noise_random = random.spawn(1)[0]
    mass = (lens.einstein_radius / unit) ** 2
    number = int(random.integers(most_subhalos + 1)) if most_subhalos else SUBHALOS
    halos, columns = draw_substructure(random, kind, mass, distances=distances, slope=slope, number=number)
    instrument = replace(instrument, pixel_scale=pixel_scales[0])
    x, y = source_plane(lens, halos, Grid(size, pixel_scales[0]), supersampling)
    light = pixels_of(disc_light(disc, amplitude, x, y), supersampling) * pixel_scales[0] ** 2
    image = instrument.observe(noise_random, instrument.blur(light))
    truth = _truth(seed, index, kind, lens, disc)
    truth |= {"exposure_time": instrument.exposure_time, "main_mass": mass} | columns
    return [Example(image[None, None].astype(np.float32), 0 if most_subhalos else CLASSES.index(kind), truth)]


def make_colour_lens(
    seed: int, index: int, *, size: int, pixel_scales: tuple[float, ...], distances: str, slope: float,
    supersampling: int, macro: str,
) -> list[Example]:  # fmt: skip
    """A scene of Model IV: three bands, the light of the lens, and a spiral galaxy as source."""
    random = np.random.default_rng([seed, index])
    kind, scale = CLASSES[index % len(CLASSES)], pixel_scales[0]
    x0, y0, angle = (float(value) for value in random.uniform([-0.3, -0.3, -np.pi], [0.3, 0.3, np.pi]))
    velocity = random.normal(260, 20) if macro == "varied" else 260.0  # km/s; the Einstein radius goes as its square
    shear = _direction(random, 0.1) if macro == "varied" else (0.05, 0.0)
    lens = Lens(1.5 * (velocity / 260) ** 2, 0.0, 0.0, *shear, (0.0, 0.0))
    disc = Disc(x0, y0, float(random.uniform(0.15, 0.3)), 1.0, 0.0, 0.0, angle)
    galaxy = np.zeros((_SOURCE_GRID.size, _SOURCE_GRID.size))
    galaxies.add_spiral(random, galaxy, _SOURCE_GRID, flux=1.0, radius=disc.radius)
    noise_random = random.spawn(1)[0]
    unit = substructure.unit_einstein_radius(distances)
    mass = (lens.einstein_radius / unit) ** 2
    halos, columns = draw_substructure(random, kind, mass, distances=distances, slope=slope)
    instrument, grid = replace(EUCLID_VIS, pixel_scale=scale), Grid(size, scale)
    x, y = source_plane(lens, halos, grid, supersampling)
    arc = pixels_of(galaxy_light(galaxy / galaxy.sum(), disc, x, y), supersampling) * scale**2
    bands = []
    for fainter, source in zip(_FAINTER, _SOURCE_MAGNITUDES, strict=True):
        light = arc * instrument.flux(source)
        for number, (magnitude, radius, sersic_index, e2) in enumerate(_LENS_LIGHT):
            flux = instrument.flux(magnitude + (fainter if number == 0 else 0))
            ratio, angle = (1 - e2) / (1 + e2), np.pi / 4  # e1 = 0
            galaxies.add_sersic(
                light, grid, flux=flux, radius=radius, index=sersic_index, axis_ratio=ratio, angle=angle
            )
        bands.append(instrument.observe(noise_random, instrument.blur(light)))
    truth = _truth(seed, index, kind, lens, disc)
    truth |= {"exposure_time": instrument.exposure_time, "main_mass": mass} | columns
    return [Example(np.stack(bands)[None].astype(np.float32), CLASSES.index(kind), truth)]


_OPTIONS = {"distances": _DISTANCES, "slope": _SLOPE, "supersampling": _FINE, "macro": _MACRO}
_MODEL_1 = Recipe(
    name="model-1",
    summary="dark matter of a lens, DeepLense Model I: no substructure, CDM subhalos or an axion vortex",
    make_scene=partial(make_lens, instrument=IDEAL),
    classes=CLASSES,
    truth=TRUTH,
    version=1,
    size=150,
    pixel_scales=(IDEAL.pixel_scale,),
    bands=("any",),
    options=_OPTIONS,
    dtype=np.float32,
)
RECIPES = (
    _MODEL_1,
    replace(
        _MODEL_1, name="model-2", summary="the same seen by Euclid VIS, Model II", size=64,
        pixel_scales=(EUCLID_VIS.pixel_scale,), make_scene=partial(make_lens, instrument=EUCLID_VIS),
    ),
    replace(
        _MODEL_1, name="model-3", summary="the same seen by HST WFC3 F160W, Model III", size=64,
        pixel_scales=(WFC3_F160W.pixel_scale,), make_scene=partial(make_lens, instrument=WFC3_F160W),
    ),
    replace(
        _MODEL_1, name="model-4", summary="the same in three bands, with lens light and spiral sources, Model IV",
        size=64, pixel_scales=(EUCLID_VIS.pixel_scale,), bands=("g", "r", "i"), make_scene=make_colour_lens,
        options=_OPTIONS | {"macro": replace(_MACRO, default="varied")},
    ),
    replace(
        _MODEL_1, name="mass", summary="mass in subhalos over that of the lens, for regression; Model I's camera",
        classes=("lens",),
        options=_OPTIONS | {"most_subhalos": Option(50, "largest number of subhalos", lowest=1, highest=1000)},
    ),
)  # fmt: skip
