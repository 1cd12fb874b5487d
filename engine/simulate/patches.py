"""Patches of survey fields with lenses at known positions: what a dense detector is trained on.

Each scene gives two patches: one with its lenses, and its twin with the same galaxies, stars and noise, the arcs left
out or replaced by the unlensed source beside the deflector. What tells them apart is the arcs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.simulate import family, galaxies, sky
from engine.simulate.family import LensLight
from engine.simulate.scene import Scene, View
from engine.simulate.sky import Conditions, Generator, Grid, Image
from engine.types import FloatArray

COLUMNS = {"x": np.float32, "y": np.float32, "einstein_radius": np.float32, "arc_snr": np.float32}
_PAD = 32  # pixels drawn beyond each edge, so that the light of what lies outside comes in
_APART = 40  # pixels between two deflectors, at least
_HALF, _HALF_CLUSTER = 64, 128  # pixels: half the side of the box in which a lens is drawn
_BLURRIEST = 1.8  # arcsec of seeing above which no arc of a galaxy can be told
_TRIES = 20
_LIKELY = ("spiral", "ring", "merger", "edge_on", "pair", "group", "elliptical")


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Pixels (y, x) in units of the background noise, NaN where there are no data, and the lenses on them.

    ``lenses`` is a structured array of COLUMNS: x, y in pixels from 0 (the deflector, or the arc of a cluster),
    einstein_radius in arcsec, arc_snr over the arc's own pixels. The patches of one scene share ``group``.
    """

    pixels: FloatArray
    lenses: NDArray[np.void]
    seeing: float
    group: int


def make_patches(seed: int, index: int, *, size: int, pixel_scale: float) -> list[Patch]:
    """The patches of scene ``index``, with its lenses and without (one where it has none).

    The same seed and index give the same bytes.

    Parameters
    ----------
    size : patch side, pixels
    pixel_scale : arcsec
    """
    random = np.random.default_rng([seed, index])
    conditions = _draw_conditions(random, pixel_scale)
    grid = Grid(size + 2 * _PAD, pixel_scale)
    kernel = sky.point_spread_function(conditions)
    scene = Scene(grid, (View(conditions, kernel),), {})
    crowding = (size / 256) ** 2
    for _ in range(random.poisson(crowding * np.exp(random.uniform(np.log(5), np.log(50))))):
        _add_galaxy(random, scene)
    for _ in range(random.poisson(crowding * np.exp(random.uniform(np.log(0.5), np.log(25))))):
        _add_star(random, scene, 40 * (1 + random.pareto(0.6)))
    for _ in range(random.poisson(2.5 * crowding)):
        _add_lookalike(random, scene)
    bare = scene.seen(scene.light)[0]
    lensed = bare.copy()
    rows = []
    count = 0 if conditions.seeing > _BLURRIEST else int(random.choice(4, p=[0.15, 0.35, 0.3, 0.2]))
    for column, row in _spread(random, count, size):
        made, x, y, radius = _draw_lens(random, scene)
        plain = made.deflector
        if random.random() < 0.4:
            plain = plain + family.draw_companions(random, made, _box(scene, plain.shape[-1]))
        _paste(bare, plain[0], column, row)
        _paste(lensed, made.deflector[0] + made.arc[0], column, row)
        rows.append((column - _PAD + x / pixel_scale, row - _PAD + y / pixel_scale, radius, made.arc_snr))
    group = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)
    observed = _observe(random, scene, (lensed, bare) if rows else (bare,))
    seen = [row for row in rows if np.isfinite(observed[0][round(row[1]), round(row[0])])]
    return [
        Patch(image, np.array(table, list(COLUMNS.items())), conditions.seeing, group)
        for image, table in zip(observed, (seen, []), strict=False)
    ]


def _draw_conditions(random: Generator, scale: float) -> Conditions:
    """Seeing, depth and noise from space telescopes to poor ground surveys, all on one pixel scale."""
    kind = random.choice(3, p=[0.2, 0.7, 0.1])
    if kind == 0:
        seeing = random.uniform(0.5, 1.5) * scale
    elif kind == 1:
        seeing = np.clip(np.exp(random.normal(np.log(0.8), 0.25)), 2 * scale, 1.7)
    else:
        seeing = random.uniform(1.4, 3.0)
    return Conditions(
        native_scale=scale,
        seeing=float(seeing),
        beta=float(random.uniform(2.2, 4.5)),
        ellipticity=float(random.uniform(0, 0.08)),
        angle=float(random.uniform(0, np.pi)),
        spikes=float(random.uniform(0, 0.06)) if kind == 0 or random.random() < 0.3 else 0.0,
        gain=float(np.exp(random.uniform(np.log(0.5), np.log(200)))),
        correlation=float(random.uniform(0.3, 1.2)) if random.random() < 0.5 else 0.0,
        field_of_view=1e4,
        space=bool(kind == 0),
    )


def _anywhere(random: Generator, grid: Grid) -> tuple[float, float]:
    """A position (arcsec from the middle) on the grid or somewhat off it."""
    x, y = random.uniform(-grid.half_width, grid.half_width, 2)
    return float(x), float(y)


def _add_galaxy(random: Generator, scene: Scene) -> None:
    """One of the many galaxies of a field, in place: mostly faint and small."""
    flux = float(min(25 * (1 + random.pareto(0.9)), 2e5))
    radius = float(np.clip(0.22 * (flux / 100) ** 0.24 * np.exp(random.normal(0, 0.35)), 0.06, 5))
    if radius < 0.45:
        galaxies.add_sersic(
            scene.light[0],
            scene.grid,
            flux=flux,
            radius=radius,
            index=random.uniform(0.7, 2.5),
            axis_ratio=random.uniform(0.3, 1),
            angle=random.uniform(0, np.pi),
            centre=_anywhere(random, scene.grid),
        )
        return
    kind = str(random.choice(["elliptical", "spiral", "edge_on", "merger"], p=[0.4, 0.42, 0.11, 0.07]))
    _paste_galaxy(random, scene, kind, flux, radius, _anywhere(random, scene.grid))


def _add_lookalike(random: Generator, scene: Scene) -> None:
    """A galaxy or a few, bright enough to be taken for a lens, or a bright star, in place."""
    if random.random() < 0.15:
        _add_star(random, scene, float(np.exp(random.uniform(np.log(3e3), np.log(1e6)))))
        return
    kind = str(random.choice(_LIKELY, p=[0.28, 0.1, 0.14, 0.08, 0.18, 0.07, 0.15]))
    radius = float(np.clip(np.exp(random.normal(np.log(1.1), 0.5)), max(0.3, 0.4 * scene.conditions.seeing), 5))
    brightness = float(np.exp(random.uniform(np.log(2.5), np.log(120))))
    flux = 2 * np.pi * radius**2 * brightness / scene.grid.scale**2
    _paste_galaxy(random, scene, kind, flux, radius, _anywhere(random, scene.grid))


def _paste_galaxy(
    random: Generator, scene: Scene, kind: str, flux: float, radius: float, place: tuple[float, float]
) -> None:
    """Draw a galaxy, pair or group on a small grid of its own and add it at ``place`` (arcsec), in place."""
    reach = 10 * radius if kind in ("pair", "group", "merger") else 7 * radius
    half = int(np.clip(np.ceil(reach / scene.grid.scale), 8, 110))
    grid = Grid(2 * half + 1, scene.grid.scale)
    image = np.zeros((grid.size, grid.size))
    axis_ratio, angle = random.uniform(0.3, 1), random.uniform(0, np.pi)
    if kind == "spiral":
        galaxies.add_spiral(random, image, grid, flux=flux, radius=radius)
    elif kind == "ring":
        galaxies.add_ring(random, image, grid, flux=flux, radius=radius)
    elif kind == "merger":
        galaxies.add_merger(random, image, grid, flux=flux, radius=radius)
    elif kind == "edge_on":
        galaxies.add_edge_on(random, image, grid, flux=flux, radius=radius)
    else:
        galaxies.add_elliptical(random, image, grid, flux=flux, radius=radius, axis_ratio=axis_ratio, angle=angle)
    companions = {"pair": 1, "group": int(random.integers(2, 6))}
    for _ in range(companions.get(kind, 0)):
        distance, azimuth = random.uniform(0.7, 2.5) * (scene.conditions.seeing + radius), random.uniform(0, 2 * np.pi)
        galaxies.add_elliptical(
            random,
            image,
            grid,
            flux=flux * random.uniform(0.03, 0.8),
            radius=radius * random.uniform(0.2, 0.9),
            axis_ratio=random.uniform(0.4, 1),
            angle=random.uniform(0, np.pi),
            centre=(distance * np.cos(azimuth), distance * np.sin(azimuth)),
        )
    if kind in ("spiral", "elliptical") and random.random() < 0.15:
        galaxies.add_tail(random, image, grid, flux=flux * random.uniform(0.02, 0.3), radius=radius)
    middle = (scene.grid.size - 1) / 2
    _paste(scene.light[0], image, place[0] / scene.grid.scale + middle, place[1] / scene.grid.scale + middle)


def _add_star(random: Generator, scene: Scene, flux: float) -> None:
    sky.add_star(
        random, scene.light[0], scene.grid, scene.conditions, _anywhere(random, scene.grid), float(min(flux, 3e6))
    )


def _draw_lens(random: Generator, scene: Scene) -> tuple[LensLight, float, float, float]:
    """A visible lens in a box of its own: its light, where it is (arcsec from the middle), Einstein radius (arcsec)."""
    seeing = scene.conditions.seeing
    while True:
        mode = int(random.choice(3, p=[0.74, 0.2, 0.06]))
        low, high = ((max(0.4, seeing), max(2.8, 2.5 * seeing)), (max(2.0, 1.5 * seeing), 7.0), (7.0, 16.0))[mode]
        radius = float(np.exp(random.uniform(np.log(low), np.log(high))))
        box = _box(scene, 2 * (_HALF_CLUSTER if mode == 2 else _HALF) + 1)
        made = family.draw_lens_light(random, box, radius, mode, on_arc=mode == 2, neighbours=0.0)
        if made.arc_snr > family.FAINTEST_ARC:
            x, y = (0.0, 0.0) if mode == 2 else made.lens.centre
            return made, x, y, radius


def _box(scene: Scene, size: int) -> Scene:
    """An empty scene of ``size`` pixels that is observed like this one."""
    return Scene(Grid(size, scene.grid.scale), scene.views, {})


def _spread(random: Generator, count: int, size: int) -> list[tuple[int, int]]:
    """Pixels (column, row) of the padded grid for up to ``count`` lenses, none close to another or to the edge."""
    places: list[tuple[int, int]] = []
    for _ in range(_TRIES * count):
        column, row = (int(value) + _PAD for value in random.integers(8, size - 8, 2))
        if len(places) < count and all(np.hypot(column - a, row - b) > _APART for a, b in places):
            places.append((column, row))
    return places


def _paste(light: Image, image: Image, x: float, y: float) -> None:
    """Add a box of light with its middle at the pixel nearest to (x, y), in place; it may hang over."""
    half = image.shape[0] // 2
    column, row = round(x) - half, round(y) - half
    y0, y1 = max(row, 0), min(row + image.shape[0], light.shape[0])
    x0, x1 = max(column, 0), min(column + image.shape[1], light.shape[1])
    if y0 < y1 and x0 < x1:
        light[y0:y1, x0:x1] += image[y0 - row : y1 - row, x0 - column : x1 - column]


def _observe(random: Generator, scene: Scene, lights: Sequence[Image]) -> list[FloatArray]:
    """Add noise and detector effects, the same for each, and cut off the padding."""
    grid, conditions = scene.grid, scene.conditions
    size = grid.size - 2 * _PAD
    hits = int(random.integers(1, 60)) if conditions.space and random.random() < 0.3 else 0
    gradient = random.normal(0, 1.5, 2) if random.random() < 0.25 else np.zeros(2)
    saturation = np.exp(random.uniform(np.log(200), np.log(5000))) if random.random() < 0.1 else 6e4
    artefacts = int(random.random() < 0.12)
    missing = int(random.integers(4)) if random.random() < 0.1 else None
    share = random.uniform(0.05, 0.4)
    ramp = np.linspace(-1, 1, grid.size)
    state = random.bit_generator.state
    made = []
    for light in lights:
        random.bit_generator.state = state
        image = light + sky.noise(random, light, conditions) + gradient[0] * ramp[:, None] + gradient[1] * ramp
        sky.add_cosmic_rays(random, image, hits)
        for _ in range(artefacts):
            sky.add_artefact(random, image, grid)
        image = np.clip(image, -1e3, saturation)[_PAD : _PAD + size, _PAD : _PAD + size]
        if missing is not None:
            np.rot90(image, missing)[: int(share * size)] = np.nan
        made.append(image.astype(np.float32))
    return made
