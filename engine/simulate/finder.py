"""The recipe of the bundled lens finder: lenses, their twins without the arc, and what is taken for lenses.

Survey networks trained on lenses against assorted galaxies learn "smooth bright elliptical = lens". So each lens comes
with a twin: the same deflector, neighbours, seeing and noise, the arc left out; and often with a third stamp in which
the source stands beside the deflector unlensed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.images.cutouts import cut_array
from engine.simulate import galaxies, lenses, sky
from engine.simulate.recipe import Example, Truth
from engine.simulate.sky import Conditions, Generator, Grid, Image

CLASSES = ("not", "lens")


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is drawn how often.

    ``contaminants`` are the kinds of stamp without a lens and their shares; ``surveys`` the shares of space telescopes
    of high and of low resolution, of deep and of shallow ground surveys (engine.simulate.sky); ``coarsest`` the largest
    pixel of a shallow survey in arcsec and ``sharpest`` its least seeing in pixels. Where the seeing, or
    two pixels, are above ``blurriest`` (arcsec), no arc of a galaxy can be told: there is no lens then.
    """

    contaminants: Mapping[str, float]
    surveys: tuple[float, float, float, float]
    coarsest: float
    sharpest: float
    blurriest: float


FIRST = Mixture(
    {
        "spiral": 0.30, "ring": 0.07, "merger": 0.12, "edge_on": 0.08, "elliptical": 0.09,
        "group": 0.06, "star": 0.07, "star_field": 0.05, "faint": 0.09, "artefact": 0.07,
    },
    surveys=(0.36, 0.12, 0.47, 0.05),
    coarsest=1.5,
    sharpest=1.6,
    blurriest=np.inf,
)  # fmt: skip
# What the first took for lenses on real fields: stars on coarse pixels, spikes and trails of stars nearby, close pairs.
SECOND = Mixture(
    {
        "spiral": 0.24, "ring": 0.06, "merger": 0.10, "edge_on": 0.06, "elliptical": 0.07, "group": 0.05,
        "pair": 0.12, "star": 0.05, "star_field": 0.04, "near_star": 0.10, "faint": 0.06, "artefact": 0.05,
    },
    surveys=(0.32, 0.12, 0.38, 0.18),
    coarsest=6.0,
    sharpest=0.7,
    blurriest=1.8,
)  # fmt: skip
TRUTH: Mapping[str, DTypeLike] = {
    "group": np.int64,
    "kind": "S12",
    "einstein_radius": np.float32,
    "arc_snr": np.float32,
    "seeing": np.float32,
    "native_scale": np.float32,
    "field_of_view": np.float32,
    "deflector_radius": np.float32,
    "source_radius": np.float32,
    "offset_x": np.float32,
    "offset_y": np.float32,
}
FAINTEST_CONTRAST = 0.15  # of the arc over the light in its place
FAINTEST_ARC = 12.0  # signal-to-noise below which nobody would call the stamp a lens


@dataclass(slots=True)
class Scene:
    """The light of a scene before noise, in its own grid, and how it is observed."""

    grid: Grid
    conditions: Conditions
    kernel: NDArray[np.float64]
    light: Image
    truth: Truth


def make_scene(
    seed: int, index: int, *, size: int, pixel_scales: tuple[float, ...], recipe: Mixture = SECOND
) -> list[Example]:
    """All stamps of scene ``index``: a lens with its twins, or one contaminant.

    The same seed and index give the same bytes; stamps of one scene share the truth column ``group``.
    """
    random = np.random.default_rng([seed, index])
    width = size * max(pixel_scales)
    conditions = sky.draw_conditions(
        random, width, surveys=recipe.surveys, coarsest=recipe.coarsest, sharpest=recipe.sharpest
    )
    observed = min(conditions.field_of_view, width * 1.02)
    grid = Grid(int(np.ceil((observed + 4 * conditions.seeing) / conditions.native_scale)) | 1, conditions.native_scale)
    group = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)
    truth: Truth = {
        "group": group, "kind": b"", "einstein_radius": np.nan, "arc_snr": 0.0, "seeing": conditions.seeing,
        "native_scale": conditions.native_scale, "field_of_view": observed, "deflector_radius": np.nan,
        "source_radius": np.nan, "offset_x": 0.0, "offset_y": 0.0,
    }  # fmt: skip
    scene = Scene(grid, conditions, sky.point_spread_function(conditions), np.zeros((grid.size, grid.size)), truth)
    resolution = max(conditions.seeing, 2 * conditions.native_scale)
    lensed = random.random() < 0.45 and resolution <= recipe.blurriest
    made = _lens_family(random, scene) if lensed else [_contaminant(random, scene, recipe)]
    return _observe(random, scene, made, size, pixel_scales)


def _surface_brightness(random: Generator) -> float:
    """Mean surface brightness within the half-light radius, noise units a pixel."""
    faintest = 0.5 if random.random() < 0.2 else 2.5
    return float(np.exp(random.uniform(np.log(faintest), np.log(150))))


def _flux(brightness: float, radius: float, scale: float) -> float:
    return 2 * np.pi * radius**2 * brightness / scale**2


def _add_neighbours(random: Generator, scene: Scene, mean: float, *, keep_out: float = 0.0) -> None:
    """Field galaxies and stars around the centre, beyond ``keep_out`` arcsec."""
    reach = scene.grid.half_width
    for _ in range(random.poisson(mean)):
        distance, angle = np.sqrt(random.uniform(0, 1)) * reach * 1.2, random.uniform(0, 2 * np.pi)
        if distance < keep_out:
            continue
        centre = (distance * np.cos(angle), distance * np.sin(angle))
        radius = float(np.clip(np.exp(random.normal(np.log(0.35), 0.5)), 0.08, 2))
        flux = _flux(np.exp(random.uniform(np.log(0.5), np.log(30))), radius, scene.grid.scale)
        kind = random.random()
        if kind < 0.2:
            sky.add_star(random, scene.light, scene.grid, scene.conditions, centre, flux)
        elif kind < 0.35:
            galaxies.add_spiral(random, scene.light, scene.grid, flux=flux, radius=1.5 * radius, centre=centre)
        else:
            galaxies.add_sersic(
                scene.light,
                scene.grid,
                flux=flux,
                radius=radius,
                index=random.uniform(0.7, 4),
                axis_ratio=random.uniform(0.25, 1),
                angle=random.uniform(0, np.pi),
                centre=centre,
            )


@dataclass(frozen=True, slots=True, eq=False)
class LensLight:
    """A lens as the telescope sees it without noise: deflector (with neighbours) and arc, and the arc's S/N."""

    deflector: Image
    arc: Image
    arc_snr: float
    lens: lenses.Lens
    source: lenses.Source
    deflector_radius: float


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
    _add_neighbours(random, scene, neighbours, keep_out=0.0 if random.random() < 0.2 else 1.3 * einstein_radius)
    deflector = sky.convolve(scene.light, scene.kernel)
    arc = sky.convolve(lenses.draw_arc(lens, source, scene.grid), scene.kernel)
    deflector, arc, snr = _balance(random, deflector, arc, scene)
    return LensLight(deflector, arc, snr, lens, source, radius)


def _lens_family(random: Generator, scene: Scene) -> list[tuple[str, int, Image, Truth]]:
    """A lens, its twin without the arc, and often the twin with the source unlensed: (kind, label, light, truth)."""
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
    family = [("twin", 0, made.deflector, truth)]
    if made.arc_snr > FAINTEST_ARC:
        family.append(
            (
                "lens",
                1,
                made.deflector + made.arc,
                truth | {"arc_snr": made.arc_snr, "einstein_radius": einstein_radius},
            )
        )
    if random.random() < 0.4:
        family.append(("companion", 0, made.deflector + _companions(random, made, scene), truth))
    return family


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
        for _ in range(random.poisson(5)):  # members of the cluster
            place = (random.normal(centre[0], 0.5 * einstein_radius), random.normal(centre[1], 0.5 * einstein_radius))
            size = float(np.clip(np.exp(random.normal(np.log(0.7), 0.5)), 0.2, 3))
            galaxies.add_elliptical(
                random,
                scene.light,
                grid,
                flux=_flux(_surface_brightness(random), size, grid.scale),
                radius=size,
                axis_ratio=random.uniform(0.5, 1),
                angle=random.uniform(0, np.pi),
                centre=place,
            )
    else:
        radius = float(np.clip(einstein_radius * np.exp(random.normal(np.log(0.8), 0.5)), max(0.25, 0.25 * seeing), 6))
    brightness = (
        np.exp(random.uniform(np.log(5), np.log(150))) if random.random() < 0.85 else _surface_brightness(random)
    )
    flux = _flux(brightness, radius, grid.scale) * (random.uniform(0, 0.1) if random.random() < 0.03 else 1)
    if random.random() < 0.08:
        galaxies.add_spiral(random, scene.light, grid, flux=flux, radius=1.3 * radius, centre=centre)
    else:
        galaxies.add_elliptical(
            random, scene.light, grid, flux=flux, radius=radius, axis_ratio=axis_ratio, angle=angle, centre=centre
        )
    if mode == 1:
        for _ in range(random.integers(0, 4)):
            distance, azimuth = einstein_radius * random.uniform(0.2, 1.4), random.uniform(0, 2 * np.pi)
            place = (centre[0] + distance * np.cos(azimuth), centre[1] + distance * np.sin(azimuth))
            galaxies.add_elliptical(
                random,
                scene.light,
                grid,
                flux=flux * random.uniform(0.05, 0.8),
                radius=radius * random.uniform(0.3, 0.9),
                axis_ratio=random.uniform(0.5, 1),
                angle=random.uniform(0, np.pi),
                centre=place,
            )
    return radius


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


def _balance(random: Generator, deflector: Image, arc: Image, scene: Scene) -> tuple[Image, Image, float]:
    """Scale the arc to a drawn signal-to-noise, and dim the deflector where it would drown the arc.

    Returns the deflector's light, the arc and the arc's signal-to-noise over its own pixels: those where it exceeds
    the local noise.
    """
    visible = _inside(scene)
    variance = 1 + np.clip(deflector, 0, None) / scene.conditions.gain
    power = np.where(visible, arc**2 / variance, 0)
    if not power.sum() > 0:
        return deflector, np.zeros_like(arc), 0.0
    target = float(np.exp(random.uniform(np.log(25), np.log(900))))
    arc = arc * (target / np.sqrt(power.sum()))
    contrast = np.sum(power * arc / (arc + np.clip(deflector, 0, None) + 1e-9)) / power.sum()
    if contrast < FAINTEST_CONTRAST:
        deflector = deflector * (contrast / (1 - contrast)) * (1 / FAINTEST_CONTRAST - 1) * random.uniform(0.4, 1)
    variance = 1 + np.clip(deflector, 0, None) / scene.conditions.gain
    own = visible & (arc > np.sqrt(variance))
    snr = float(arc[own].sum() / np.sqrt(variance[own].sum())) if own.any() else 0.0
    return deflector, arc, snr


def _inside(scene: Scene) -> NDArray[np.bool_]:
    """Where the stamp holds data, (size, size)."""
    axis = np.abs(np.arange(scene.grid.size) - (scene.grid.size - 1) / 2) * scene.grid.scale
    near = axis <= scene.conditions.field_of_view / 2
    return np.asarray(np.logical_and.outer(near, near))


def _companions(random: Generator, made: LensLight, scene: Scene) -> Image:
    """The source beside the deflector, unlensed, with the light of the arc or less."""
    places = []
    for _ in range(random.integers(1, 4)):
        distance, azimuth = made.lens.einstein_radius * random.uniform(0.5, 2.0), random.uniform(0, 2 * np.pi)
        places.append(
            (made.lens.centre[0] + distance * np.cos(azimuth), made.lens.centre[1] + distance * np.sin(azimuth))
        )
    light = sky.convolve(lenses.draw_unlensed(made.source, scene.grid, places), scene.kernel)
    return light * (float(made.arc.sum()) * random.uniform(0.2, 1) / max(float(light.sum()), 1e-12))


def _contaminant(random: Generator, scene: Scene, recipe: Mixture) -> tuple[str, int, Image, Truth]:
    """One stamp without a lens: (kind, label, light, truth)."""
    kind = str(random.choice(list(recipe.contaminants), p=list(recipe.contaminants.values())))
    seeing, grid = scene.conditions.seeing, scene.grid
    radius = float(np.clip(np.exp(random.normal(np.log(1.2), 0.6)), max(0.25, 0.4 * seeing), 7))
    flux = _flux(_surface_brightness(random), radius, grid.scale)
    axis_ratio, angle = random.uniform(0.45, 1), random.uniform(0, np.pi)
    if kind == "spiral":
        galaxies.add_spiral(random, scene.light, grid, flux=flux, radius=radius, centre=_off_centre(random, radius))
    elif kind == "ring":
        galaxies.add_ring(random, scene.light, grid, flux=flux, radius=radius)
    elif kind == "merger":
        galaxies.add_merger(random, scene.light, grid, flux=flux, radius=radius)
    elif kind == "edge_on":
        galaxies.add_edge_on(random, scene.light, grid, flux=flux, radius=radius, centre=_off_centre(random, radius))
    elif kind in ("elliptical", "artefact"):
        galaxies.add_elliptical(random, scene.light, grid, flux=flux, radius=radius, axis_ratio=axis_ratio, angle=angle)
    elif kind == "group":
        for _ in range(random.integers(2, 7)):
            place = (random.normal(0, 2.0 + seeing), random.normal(0, 2.0 + seeing))
            galaxies.add_elliptical(
                random,
                scene.light,
                grid,
                flux=flux * random.uniform(0.1, 1),
                radius=radius * random.uniform(0.3, 1),
                axis_ratio=random.uniform(0.5, 1),
                angle=random.uniform(0, np.pi),
                centre=place,
            )
    elif kind == "pair":
        _add_pair(random, scene, flux, radius)
    elif kind == "near_star":
        star = _add_near_star(random, scene)
    elif kind == "star":
        sky.add_star(
            random, scene.light, grid, scene.conditions, (0.0, 0.0), np.exp(random.uniform(np.log(100), np.log(1e6)))
        )
    elif kind == "star_field":
        for _ in range(random.integers(3, 60)):
            place = (random.uniform(-1, 1) * grid.half_width, random.uniform(-1, 1) * grid.half_width)
            sky.add_star(random, scene.light, grid, scene.conditions, place, 60 * random.pareto(1.0) + 20)
    else:  # the faint, small sources that fill a survey
        galaxies.add_sersic(
            scene.light,
            grid,
            flux=random.uniform(15, 250),
            radius=random.uniform(0.05, 0.6),
            index=random.uniform(0.6, 3),
            axis_ratio=axis_ratio,
            angle=angle,
        )
    if kind in ("spiral", "edge_on", "elliptical") and random.random() < 0.3:
        galaxies.add_tail(random, scene.light, grid, flux=flux * random.uniform(0.02, 0.3), radius=radius)
    _add_neighbours(random, scene, random.choice([0.5, 2, 7]))
    light = sky.convolve(scene.light, scene.kernel)
    if kind == "artefact":
        sky.add_artefact(random, light, grid)
    elif kind == "near_star" and random.random() < 0.6:
        sky.add_bleed(random, light, grid, star)
    return kind, 0, light, scene.truth | {"deflector_radius": radius}


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
        galaxies.add_elliptical(
            random,
            scene.light,
            scene.grid,
            flux=flux * share,
            radius=size,
            axis_ratio=random.uniform(0.4, 1),
            angle=random.uniform(0, np.pi),
            centre=place,
        )


def _add_near_star(random: Generator, scene: Scene) -> tuple[float, float]:
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
    sky.add_star(random, scene.light, scene.grid, conditions, centre, flux)
    return centre


def _off_centre(random: Generator, radius: float) -> tuple[float, float]:
    """Mostly the galaxy's middle; now and then a knot in its arms, which source detection takes for an object."""
    reach = radius * random.uniform(0.3, 2.0) if random.random() < 0.25 else 0.05 * radius
    angle = random.uniform(0, 2 * np.pi)
    return reach * np.cos(angle), reach * np.sin(angle)


def _observe(
    random: Generator,
    scene: Scene,
    made: list[tuple[str, int, Image, Truth]],
    size: int,
    pixel_scales: tuple[float, ...],
) -> list[Example]:
    """Add noise and detector effects, the same for each stamp of the scene, and cut at the model's scales."""
    grid, conditions = scene.grid, scene.conditions
    state = random.bit_generator.state
    hits = int(random.integers(1, 40)) if conditions.space and random.random() < 0.3 else 0
    gradient = random.normal(0, 1.5, 2) if random.random() < 0.25 else np.zeros(2)
    saturation = np.exp(random.uniform(np.log(200), np.log(5000))) if random.random() < 0.1 else 6e4
    border = random.uniform(0.1, 0.9) if random.random() < 0.04 else 1.0
    turns = int(random.integers(4))
    inside = _inside(scene)
    ramp = np.linspace(-1, 1, grid.size)
    state = random.bit_generator.state
    examples = []
    for kind, label, light, truth in made:
        random.bit_generator.state = state  # the same noise for each stamp of the scene
        image = light + sky.noise(random, light, conditions) + gradient[0] * ramp[:, None] + gradient[1] * ramp
        sky.add_cosmic_rays(random, image, hits)
        image = np.where(inside, np.clip(image, -1e3, saturation), np.nan)
        image[int(np.ceil(grid.size * (0.5 + border / 2))) :] = np.nan
        image = np.rot90(image, turns)
        middle = (grid.size - 1) / 2
        stamps = cut_array(
            image[None].astype(np.float32),
            np.array([[middle, middle]]),
            native_scale=grid.scale,
            size=size,
            pixel_scales=pixel_scales,
        )
        examples.append(Example(stamps[0], label, truth | {"kind": kind.encode()}))
    return examples
