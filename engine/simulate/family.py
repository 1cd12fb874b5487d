"""A lens and its family: the same stamp without the arc, and with the source beside the deflector, unlensed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.simulate import galaxies, lenses
from engine.simulate.contaminants import add_neighbours, draw_brightness, total_flux
from engine.simulate.scene import Scene, Stamp
from engine.simulate.sky import Generator, Image
from engine.simulate.spectra import Fluxes

FAINTEST_CONTRAST = 0.15  # of the arc over the light in its place
FAINTEST_ARC = 12.0  # signal-to-noise below which nobody would call the stamp a lens


@dataclass(frozen=True, slots=True, eq=False)
class LensLight:
    """A lens as the telescope sees it without noise: deflector (with neighbours) and arc, and the arc's S/N.

    Light is (band, size, size) in units of each band's noise. ``colours`` (band,) are those of the source, ``dimming``
    is the factor by which the deflector was made fainter than drawn.
    """

    deflector: Image
    arc: Image
    arc_snr: float
    lens: lenses.Lens
    source: lenses.Source
    deflector_radius: float
    colours: Fluxes
    dimming: float


def draw_family(random: Generator, scene: Scene) -> list[Stamp]:
    """A lens, its twin without the arc, and often the twin with the source unlensed."""
    seeing = scene.conditions.seeing
    mode = int(random.choice(3, p=[0.68, 0.2, 0.12]))
    low, high = ((max(0.35, seeing), max(2.6, 2.5 * seeing)), (max(2.0, 1.5 * seeing), 7.0), (7.0, 35.0))[mode]
    einstein_radius = float(np.exp(random.uniform(np.log(low), np.log(max(high, 1.2 * low)))))
    on_arc = mode == 2 or (einstein_radius > 1.5 * seeing and random.random() < 0.15)
    made = draw_lens_light(random, scene, einstein_radius, mode, on_arc=on_arc, neighbours=random.choice([0.5, 2, 7]))
    truth = scene.truth | {
        "deflector_radius": made.deflector_radius, "source_radius": made.source.radius,
        "offset_x": made.lens.centre[0], "offset_y": made.lens.centre[1],
    }  # fmt: skip
    truth |= scene.magnitudes("magnitude", scene.middle * made.dimming)
    family = [Stamp("twin", 0, made.deflector, truth)]
    if made.arc_snr > FAINTEST_ARC:
        lensed = truth | {"arc_snr": made.arc_snr, "einstein_radius": einstein_radius}
        lensed |= scene.magnitudes("arc_magnitude", made.arc.sum((1, 2)))
        family.append(Stamp("lens", 1, made.deflector + made.arc, lensed))
    if random.random() < 0.4:
        family.append(Stamp("companion", 0, made.deflector + draw_companions(random, made, scene), truth))
    return family


def draw_lens_light(
    random: Generator, scene: Scene, einstein_radius: float, mode: int, *, on_arc: bool, neighbours: float
) -> LensLight:
    """Draw deflector, source and arc about the middle of the scene.

    Parameters
    ----------
    mode : 0 a galaxy, 1 a group, 2 a cluster
    on_arc : the middle is on the arc, not on the deflector
    neighbours : mean number of unrelated objects
    """
    axis_ratio, angle = random.uniform(0.5, 1), random.uniform(0, np.pi)
    jitter = 0.06 + 0.12 * scene.conditions.seeing
    centre = (float(random.normal(0, jitter)), float(random.normal(0, jitter)))
    lens = lenses.draw_lens(random, einstein_radius, axis_ratio, angle, centre)
    if on_arc:
        lens = lens.moved_to_critical_curve(random.uniform(0, 2 * np.pi), stray=random.normal(0, 0.04))
    radius = _add_deflector(random, scene, mode, einstein_radius, axis_ratio, angle, lens.centre)
    source = _draw_source(random, lens, mode, on_arc)
    add_neighbours(random, scene, neighbours, keep_out=0.0 if random.random() < 0.2 else 1.3 * einstein_radius)
    colours = np.ones(1) if scene.palette is None else scene.palette.source()
    deflector = scene.seen(scene.light)
    arc = scene.seen(colours[:, None, None] * lenses.draw_arc(lens, source, scene.grid))
    deflector, arc, snr, dimming = _balance(random, deflector, arc, scene)
    return LensLight(deflector, arc, snr, lens, source, radius, colours, dimming)


def _add_deflector(
    random: Generator,
    scene: Scene,
    mode: int,
    einstein_radius: float,
    axis_ratio: float,
    angle: float,
    centre: tuple[float, float],
) -> float:
    """Add the galaxy or galaxies that lens, in place; returns the half-light radius in arcsec."""
    seeing, grid = scene.conditions.seeing, scene.grid
    if mode == 2:
        radius = float(np.clip(np.exp(random.normal(np.log(0.25 * einstein_radius), 0.5)), 1.0, 12))
        for _ in range(random.poisson(5)):
            place = (random.normal(centre[0], 0.5 * einstein_radius), random.normal(centre[1], 0.5 * einstein_radius))
            size = float(np.clip(np.exp(random.normal(np.log(0.7), 0.5)), 0.2, 3))
            _add_member(random, scene, total_flux(draw_brightness(random), size, grid.scale), size, place)
    else:
        radius = float(np.clip(einstein_radius * np.exp(random.normal(np.log(0.8), 0.5)), max(0.25, 0.25 * seeing), 6))
    brightness = np.exp(random.uniform(np.log(5), np.log(150))) if random.random() < 0.85 else draw_brightness(random)
    flux = total_flux(brightness, radius, grid.scale) * (random.uniform(0, 0.1) if random.random() < 0.03 else 1)
    kind = "spiral" if random.random() < 0.08 else "deflector"
    with scene.brush(kind, flux, middle=True) as layers:
        if kind == "spiral":
            galaxies.add_spiral(
                random, layers.old, grid, flux=flux, radius=1.3 * radius, centre=centre, young=layers.young
            )
        else:
            galaxies.add_elliptical(
                random, layers.old, grid, flux=flux, radius=radius, axis_ratio=axis_ratio, angle=angle, centre=centre
            )
    if mode == 1:
        for _ in range(random.integers(0, 4)):
            distance, azimuth = einstein_radius * random.uniform(0.2, 1.4), random.uniform(0, 2 * np.pi)
            place = (centre[0] + distance * np.cos(azimuth), centre[1] + distance * np.sin(azimuth))
            _add_member(random, scene, flux * random.uniform(0.05, 0.8), radius * random.uniform(0.3, 0.9), place)
    return radius


def _add_member(random: Generator, scene: Scene, flux: float, radius: float, place: tuple[float, float]) -> None:
    """Add a galaxy of the group or cluster that lenses, in place."""
    with scene.brush("member", flux) as layers:
        galaxies.add_elliptical(
            random,
            layers.old,
            scene.grid,
            flux=flux,
            radius=radius,
            axis_ratio=random.uniform(0.5, 1),
            angle=random.uniform(0, np.pi),
            centre=place,
        )


def _draw_source(random: Generator, lens: lenses.Lens, mode: int, on_arc: bool) -> lenses.Source:
    """A source so placed that it is multiply imaged or, on an arc, that the middle of the stamp is its image."""
    theta = lens.einstein_radius
    radius = float(np.clip(np.exp(random.normal(np.log(0.14 * theta**0.5 + 0.05), 0.5)), 0.05, 0.4 * theta))
    if on_arc:
        beta_x, beta_y = lens.source_of(np.array([0.0]), np.array([0.0]))
        position = (
            float(beta_x[0]) + random.normal(0, 0.3) * radius,
            float(beta_y[0]) + random.normal(0, 0.3) * radius,
        )
    else:
        # Arcs and rings come from sources near the caustic; far ones give a double that nobody tells from a companion.
        offset = theta * float(
            random.choice(
                [random.uniform(0, 0.3), random.uniform(0.3, 0.6), random.uniform(0.6, 0.9)], p=[0.6, 0.33, 0.07]
            )
        )
        azimuth = random.uniform(0, 2 * np.pi)
        position = (lens.centre[0] + offset * np.cos(azimuth), lens.centre[1] + offset * np.sin(azimuth))
    return lenses.draw_source(random, position, radius, quasar=mode == 0 and random.random() < 0.1)


def _balance(random: Generator, deflector: Image, arc: Image, scene: Scene) -> tuple[Image, Image, float, float]:
    """Scale the arc to a drawn signal-to-noise in all bands, and dim the deflector where it would drown the arc.

    Returns the deflector's light, the arc, the arc's signal-to-noise over its own pixels of every band (those where it
    exceeds the local noise) and the factor of the deflector's light.
    """
    visible = scene.inside()
    variance = 1 + np.clip(deflector, 0, None) / scene.gain
    power = np.where(visible, arc**2 / variance, 0)
    if not power.sum() > 0:
        return deflector, np.zeros_like(arc), 0.0, 1.0
    target = float(np.exp(random.uniform(np.log(25), np.log(900))))
    arc = arc * (target / np.sqrt(power.sum()))
    contrast = np.sum(power * arc / (arc + np.clip(deflector, 0, None) + 1e-9)) / power.sum()
    dimming = 1.0
    if contrast < FAINTEST_CONTRAST:
        drowned = deflector
        deflector = drowned * (contrast / (1 - contrast)) * (1 / FAINTEST_CONTRAST - 1) * random.uniform(0.4, 1)
        dimming = float(deflector.sum() / drowned.sum())
    variance = 1 + np.clip(deflector, 0, None) / scene.gain
    own = visible & (arc > np.sqrt(variance))
    snr = float(arc[own].sum() / np.sqrt(variance[own].sum())) if own.any() else 0.0
    return deflector, arc, snr, dimming


def draw_companions(random: Generator, made: LensLight, scene: Scene) -> Image:
    """The source beside the deflector, unlensed, with the light of the arc or less."""
    places = []
    for _ in range(random.integers(1, 4)):
        distance, azimuth = made.lens.einstein_radius * random.uniform(0.5, 2.0), random.uniform(0, 2 * np.pi)
        places.append(
            (made.lens.centre[0] + distance * np.cos(azimuth), made.lens.centre[1] + distance * np.sin(azimuth))
        )
    light = scene.seen(made.colours[:, None, None] * lenses.draw_unlensed(made.source, scene.grid, places))
    return light * (float(made.arc.sum()) * random.uniform(0.2, 1) / max(float(light.sum()), 1e-12))
