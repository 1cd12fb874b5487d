"""What is taken for lenses: spirals, rings, mergers, close pairs, stars and artefacts, and what lies around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engine.simulate import galaxies, sky
from engine.simulate.scene import Scene, Stamp
from engine.simulate.sky import Generator, Image

Place = tuple[float, float]


def draw_brightness(random: Generator) -> float:
    """Mean surface brightness within the half-light radius, noise units a pixel."""
    faintest = 0.5 if random.random() < 0.2 else 2.5
    return float(np.exp(random.uniform(np.log(faintest), np.log(150))))


def total_flux(brightness: float, radius: float, scale: float) -> float:
    """Flux of a galaxy of this surface brightness within its half-light radius (arcsec), pixels of ``scale``."""
    return 2 * np.pi * radius**2 * brightness / scale**2


def add_neighbours(random: Generator, scene: Scene, mean: float, *, keep_out: float = 0.0) -> None:
    """Field galaxies and stars around the centre, beyond ``keep_out`` arcsec."""
    grid, reach = scene.grid, scene.grid.half_width
    for _ in range(random.poisson(mean)):
        distance, angle = np.sqrt(random.uniform(0, 1)) * reach * 1.2, random.uniform(0, 2 * np.pi)
        if distance < keep_out:
            continue
        centre = (distance * np.cos(angle), distance * np.sin(angle))
        radius = float(np.clip(np.exp(random.normal(np.log(0.35), 0.5)), 0.08, 2))
        flux = total_flux(np.exp(random.uniform(np.log(0.5), np.log(30))), radius, grid.scale)
        draw = random.random()
        kind = "star" if draw < 0.2 else "spiral" if draw < 0.35 else "field"
        with scene.brush(kind, flux, apart=True) as layers:
            if kind == "star":
                sky.add_star(random, layers.old, grid, scene.conditions, centre, flux)
            elif kind == "spiral":
                galaxies.add_spiral(
                    random, layers.old, grid, flux=flux, radius=1.5 * radius, centre=centre, young=layers.young
                )
            else:
                galaxies.add_sersic(
                    layers.old,
                    grid,
                    flux=flux,
                    radius=radius,
                    index=random.uniform(0.7, 4),
                    axis_ratio=random.uniform(0.25, 1),
                    angle=random.uniform(0, np.pi),
                    centre=centre,
                )


def draw_contaminant(random: Generator, scene: Scene, shares: Mapping[str, float]) -> Stamp:
    """One stamp without a lens, of a kind drawn from ``shares``."""
    kind = str(random.choice(list(shares), p=list(shares.values())))
    grid = scene.grid
    radius = float(np.clip(np.exp(random.normal(np.log(1.2), 0.6)), max(0.25, 0.4 * scene.conditions.seeing), 7))
    flux = total_flux(draw_brightness(random), radius, grid.scale)
    axis_ratio, angle = random.uniform(0.45, 1), random.uniform(0, np.pi)
    star = (0.0, 0.0)
    if kind in ("spiral", "ring", "merger", "edge_on"):
        _add_disc(random, scene, kind, flux, radius)
    elif kind in ("elliptical", "artefact"):
        with scene.brush("elliptical", flux, middle=True) as layers:
            galaxies.add_elliptical(
                random, layers.old, grid, flux=flux, radius=radius, axis_ratio=axis_ratio, angle=angle
            )
    elif kind == "group":
        _add_group(random, scene, flux, radius)
    elif kind == "pair":
        _add_pair(random, scene, flux, radius)
    elif kind == "near_star":
        star = _add_near_star(random, scene)
    elif kind == "star":
        flux = np.exp(random.uniform(np.log(100), np.log(1e6)))
        with scene.brush("star", flux, middle=True) as layers:
            sky.add_star(random, layers.old, grid, scene.conditions, star, flux)
    elif kind == "star_field":
        for _ in range(random.integers(3, 60)):
            place = (random.uniform(-1, 1) * grid.half_width, random.uniform(-1, 1) * grid.half_width)
            flux = 60 * random.pareto(1.0) + 20
            with scene.brush("star", flux) as layers:
                sky.add_star(random, layers.old, grid, scene.conditions, place, flux)
    else:  # the faint, small sources that fill a survey
        flux = random.uniform(15, 250)
        with scene.brush("field", flux, middle=True) as layers:
            galaxies.add_sersic(
                layers.old,
                grid,
                flux=flux,
                radius=random.uniform(0.05, 0.6),
                index=random.uniform(0.6, 3),
                axis_ratio=axis_ratio,
                angle=angle,
            )
    if kind in ("spiral", "edge_on", "elliptical") and random.random() < 0.3:
        flux *= random.uniform(0.02, 0.3)
        with scene.brush("tail", flux) as layers:
            galaxies.add_tail(random, layers.old, grid, flux=flux, radius=radius, young=layers.young)
    add_neighbours(random, scene, random.choice([0.5, 2, 7]))
    light = scene.seen(scene.light)
    if kind == "artefact":
        _strike(random, scene, light, None)
    elif kind == "near_star" and random.random() < 0.6:
        _strike(random, scene, light, star)
    truth = scene.truth | {"deflector_radius": radius} | scene.magnitudes("magnitude", scene.middle)
    return Stamp(kind, 0, light, truth)


def _add_disc(random: Generator, scene: Scene, kind: str, flux: float, radius: float) -> None:
    """Add a spiral, a ring galaxy, a merger or an edge-on disc, in place."""
    grid = scene.grid
    with scene.brush(kind, flux, middle=True) as layers:
        old, young = layers.old, layers.young
        if kind == "spiral":
            centre = _off_centre(random, radius)
            galaxies.add_spiral(random, old, grid, flux=flux, radius=radius, centre=centre, young=young)
        elif kind == "ring":
            galaxies.add_ring(random, old, grid, flux=flux, radius=radius, young=young)
        elif kind == "merger":
            galaxies.add_merger(random, old, grid, flux=flux, radius=radius, young=young)
        else:
            centre = _off_centre(random, radius)
            galaxies.add_edge_on(random, old, grid, flux=flux, radius=radius, centre=centre, young=young)


def _add_group(random: Generator, scene: Scene, flux: float, radius: float) -> None:
    """Add two to six galaxies about the middle, in place."""
    seeing = scene.conditions.seeing
    for number in range(random.integers(2, 7)):
        place = (random.normal(0, 2.0 + seeing), random.normal(0, 2.0 + seeing))
        part = flux * random.uniform(0.1, 1)
        with scene.brush("member", part, middle=number == 0) as layers:
            galaxies.add_elliptical(
                random,
                layers.old,
                scene.grid,
                flux=part,
                radius=radius * random.uniform(0.3, 1),
                axis_ratio=random.uniform(0.5, 1),
                angle=random.uniform(0, np.pi),
                centre=place,
            )


def _add_pair(random: Generator, scene: Scene, flux: float, radius: float) -> None:
    """Add two or three galaxies, any of them in the middle, so close that their light overlaps, in place."""
    seeing = scene.conditions.seeing
    middle = random.random() < 0.5  # of the bright one; else its companion is the object, in its halo
    for number in range(random.integers(2, 4)):
        distance, azimuth = random.uniform(0.5, 2.5) * (seeing + radius), random.uniform(0, 2 * np.pi)
        place = (distance * np.cos(azimuth), distance * np.sin(azimuth))
        share, size = (1.0, radius) if number == 0 else (random.uniform(0.02, 0.8), radius * random.uniform(0.2, 1))
        if (number == 0) == middle and number < 2:
            place = (0.0, 0.0)
        with scene.brush("pair", flux * share, middle=place == (0.0, 0.0), apart=number == 2) as layers:
            galaxies.add_elliptical(
                random,
                layers.old,
                scene.grid,
                flux=flux * share,
                radius=size,
                axis_ratio=random.uniform(0.4, 1),
                angle=random.uniform(0, np.pi),
                centre=place,
            )


def _add_near_star(random: Generator, scene: Scene) -> Place:
    """Add a bright star away from the middle, which often lies on one of its spikes, in place; where the star is."""
    conditions = replace(scene.conditions, spikes=float(random.uniform(0.01, 0.08)))
    distance = float(np.exp(random.uniform(np.log(2 + scene.conditions.seeing), np.log(1.5 * scene.grid.half_width))))
    angle = random.uniform(0, 2 * np.pi)
    if random.random() < 0.5:
        angle = conditions.angle + random.integers(4) * np.pi / 2 + random.normal(0, 0.05)
    elif random.random() < 0.5:  # on the trail of the star, along a row or a column
        angle = random.integers(4) * np.pi / 2 + random.normal(0, 0.02)
    centre = (distance * float(np.cos(angle)), distance * float(np.sin(angle)))
    flux = float(np.exp(random.uniform(np.log(1e4), np.log(1e7))))
    with scene.brush("star", flux, middle=True) as layers:
        sky.add_star(random, layers.old, scene.grid, conditions, centre, flux)
    return centre


def _strike(random: Generator, scene: Scene, light: Image, star: Place | None) -> None:
    """Add the trail of a star, or an artefact, in place: the same in every band that it shows in."""
    state = random.bit_generator.state
    for band in scene.struck(alone=0.6 if star is None else 0.1):
        random.bit_generator.state = state
        if star is None:
            sky.add_artefact(random, light[band], scene.grid)
        else:
            sky.add_bleed(random, light[band], scene.grid, star)


def _off_centre(random: Generator, radius: float) -> Place:
    """Mostly the galaxy's middle; now and then a knot in its arms, which source detection takes for an object."""
    reach = radius * random.uniform(0.3, 2.0) if random.random() < 0.25 else 0.05 * radius
    angle = random.uniform(0, 2 * np.pi)
    return reach * np.cos(angle), reach * np.sin(angle)
