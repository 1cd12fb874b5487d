"""Galaxies without a lens: the light of deflectors and sources, and the galaxies that are taken for lenses.

Smooth light is lenstronomy's; spirals, rings and tidal tails are drawn here, since lenstronomy has none. What forms
stars (arms, knots, rings, half of a disc) goes to the image ``young`` where one is given, so that it can be bluer.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from lenstronomy.LightModel.light_model import LightModel
from scipy.ndimage import gaussian_filter

from engine.simulate.sky import Generator, Grid, Image

_YOUNG_IN_DISC = 0.5  # fraction of a disc's light between its arms
_DISC_INDEX = 1.8  # Sersic index below which a galaxy forms stars


@lru_cache(maxsize=64)
def light_model(names: tuple[str, ...]) -> LightModel:
    """The lenstronomy light model of these profiles; building one anew for each image would halve the rate."""
    return LightModel(list(names))


def ellipticity(axis_ratio: float, angle: float) -> tuple[float, float]:
    """lenstronomy's (e1, e2) of an axis ratio and a position angle in radians."""
    e = (1 - axis_ratio) / (1 + axis_ratio)
    return e * np.cos(2 * angle), e * np.sin(2 * angle)


def add_sersic(
    image: Image,
    grid: Grid,
    *,
    flux: float,
    radius: float,
    index: float,
    axis_ratio: float,
    angle: float,
    centre: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Add a Sersic ellipse of total ``flux`` and half-light ``radius`` (arcsec), in place.

    The few pixels at the centre are subsampled ninefold, where a steep profile changes within a pixel.
    """
    e1, e2 = ellipticity(axis_ratio, angle)
    parameters = [
        {"amp": 1.0, "R_sersic": radius, "n_sersic": index, "e1": e1, "e2": e2, "center_x": 0.0, "center_y": 0.0}
    ]
    model = light_model(("SERSIC_ELLIPSE",))
    region, x, y = grid.coordinates(centre, min((3.5 + 1.2 * index) * radius, 3 * grid.half_width) + 2 * grid.scale)
    if not x.size:
        return
    light = model.surface_brightness(x.ravel(), y.ravel(), parameters).reshape(x.shape)
    core = np.hypot(x, y) < 3.5 * grid.scale
    if core.any():
        fine = (np.arange(9) - 4) * grid.scale / 9
        dx, dy = (a.ravel() for a in np.meshgrid(fine, fine))
        points_x, points_y = x[core][:, None] + dx, y[core][:, None] + dy
        light[core] = model.surface_brightness(points_x.ravel(), points_y.ravel(), parameters).reshape(-1, 81).mean(1)
    image[region] += light * (flux / sersic_total(radius, index, axis_ratio) * grid.scale**2)


def sersic_total(radius: float, index: float, axis_ratio: float) -> float:
    """Integral over the plane of lenstronomy's Sersic ellipse of unit amplitude at the half-light radius, arcsec2.

    lenstronomy's radius is the product-average one, so the axis ratio does not enter the area. Graham & Driver (2005),
    equation 4, with b_n after Ciotti & Bertin (1999).
    """
    from math import exp, gamma, pi

    b = 2 * index - 1 / 3 + 4 / (405 * index) + 46 / (25515 * index**2)
    return float(2 * pi * radius**2 * index * exp(b) * b ** (-2 * index) * gamma(2 * index))


def add_elliptical(
    random: Generator,
    image: Image,
    grid: Grid,
    *,
    flux: float,
    radius: float,
    axis_ratio: float,
    angle: float,
    centre: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Add an early-type galaxy of two components whose isophotes twist and whose centres nearly agree, in place."""
    inner = random.uniform(0.25, 0.8)
    add_sersic(
        image,
        grid,
        flux=flux * inner,
        radius=radius * random.uniform(0.35, 0.9),
        index=random.uniform(1.5, 5.5),
        axis_ratio=axis_ratio,
        angle=angle,
        centre=centre,
    )
    add_sersic(
        image,
        grid,
        flux=flux * (1 - inner),
        radius=radius * random.uniform(1.0, 2.2),
        index=random.uniform(0.8, 3.0),
        axis_ratio=float(np.clip(axis_ratio + random.normal(0, 0.12), 0.25, 1)),
        angle=angle + random.normal(0, 0.2),
        centre=(centre[0] + random.normal(0, 0.04) * radius, centre[1] + random.normal(0, 0.04) * radius),
    )


def draw_texture(random: Generator, shape: tuple[int, ...], correlation: float) -> Image:
    """A positive random field of mean 1 with structure of ``correlation`` pixels."""
    field = gaussian_filter(random.standard_normal(shape), max(correlation, 0.5), mode="wrap")
    return np.asarray(np.exp(0.8 * field / (field.std() + 1e-12)))


def add_spiral(
    random: Generator,
    image: Image,
    grid: Grid,
    *,
    flux: float,
    radius: float,
    centre: tuple[float, float] = (0.0, 0.0),
    young: Image | None = None,
) -> None:
    """Add a disc with bulge, bar, logarithmic arms and star-forming knots of half-light ``radius``, in place."""
    region, x, y = grid.coordinates(centre, 5 * radius)
    if not x.size:
        return
    angle, axis_ratio = random.uniform(0, np.pi), np.sqrt(random.uniform(0.04, 1))
    u = np.cos(angle) * x + np.sin(angle) * y
    v = (-np.sin(angle) * x + np.cos(angle) * y) / axis_ratio
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    scale = radius / 1.68
    disc = np.exp(-r / scale)
    arms = random.integers(1, 5)
    pitch, phase = np.tan(np.radians(random.uniform(6, 35))) * random.choice([-1, 1]), random.uniform(0, 2 * np.pi)
    wave = np.log(np.maximum(r, 0.05 * radius) / radius) / pitch
    contrast, sharpness = random.uniform(0.3, 5.0), random.uniform(1.0, 9.0)
    arm = np.exp(sharpness * (np.cos(arms * (phi - wave) - phase) - 1))
    inner = random.uniform(0.2, 1.2) * scale
    light = disc * (
        1 + contrast * arm * (1 - np.exp(-((r / inner) ** 2))) * draw_texture(random, x.shape, radius / 5 / grid.scale)
    )
    if random.random() < 0.35:  # star-forming ring at a resonance
        light += (
            disc.max()
            * random.uniform(0.05, 0.6)
            * np.exp(-0.5 * ((r - random.uniform(0.5, 1.8) * radius) / (random.uniform(0.06, 0.25) * radius)) ** 2)
        )
    old = (1 - _YOUNG_IN_DISC) * disc / light if young is not None else 1.0
    light *= flux * random.uniform(0.5, 0.95) / light.sum()
    _add(image, young, region, light, old)
    bulge = flux * random.uniform(0.02, 0.5)
    add_sersic(
        image,
        grid,
        flux=bulge,
        radius=radius * random.uniform(0.08, 0.35),
        index=random.uniform(1, 4),
        axis_ratio=min(1.0, axis_ratio + 0.3),
        angle=angle,
        centre=centre,
    )
    if random.random() < 0.35:
        add_sersic(
            image,
            grid,
            flux=bulge * random.uniform(0.3, 1),
            radius=radius * random.uniform(0.2, 0.6),
            index=0.6,
            axis_ratio=0.3,
            angle=random.uniform(0, np.pi),
            centre=centre,
        )
    for _ in range(random.poisson(random.choice([1, 6, 20]))):
        distance = random.gamma(2.5, 0.45) * radius
        azimuth = (
            np.log(max(distance, 0.05 * radius) / radius) / pitch
            + (phase + 2 * np.pi * random.integers(arms)) / arms
            + random.normal(0, 0.25)
        )
        du, dv = distance * np.cos(azimuth), distance * np.sin(azimuth) * axis_ratio
        knot = (
            centre[0] + np.cos(angle) * du - np.sin(angle) * dv,
            centre[1] + np.sin(angle) * du + np.cos(angle) * dv,
        )
        add_sersic(
            image if young is None else young,
            grid,
            flux=flux * 10 ** random.uniform(-3, -1.5),
            radius=radius * random.uniform(0.02, 0.08),
            index=1.0,
            axis_ratio=random.uniform(0.5, 1),
            angle=random.uniform(0, np.pi),
            centre=knot,
        )


def _add(
    image: Image, young: Image | None, region: tuple[slice, slice], light: Image, old: Image | float = 0.0
) -> None:
    """Add light, of which the fraction ``old`` is not young, in place."""
    if young is None:
        image[region] += light
    else:
        image[region] += old * light
        young[region] += (1 - old) * light


def add_ring(
    random: Generator, image: Image, grid: Grid, *, flux: float, radius: float, young: Image | None = None
) -> None:
    """Add a ring galaxy: a clumpy ring, complete or broken, about an off-centre bulge, in place."""
    region, x, y = grid.coordinates((0.0, 0.0), 4 * radius)
    angle, axis_ratio = random.uniform(0, np.pi), random.uniform(0.35, 1)
    u = np.cos(angle) * x + np.sin(angle) * y
    v = (-np.sin(angle) * x + np.cos(angle) * y) / axis_ratio
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    ring = np.exp(-0.5 * ((r - radius) / (radius * random.uniform(0.1, 0.35))) ** 2)
    ring *= draw_texture(random, x.shape, radius / 4 / grid.scale) * (
        1 + random.uniform(0, 0.9) * np.cos(phi - random.uniform(0, 2 * np.pi))
    )
    disc = np.exp(-r / radius) * random.uniform(0.1, 1.0)
    light = ring + disc
    _add(image, young, region, flux * light / light.sum(), disc / light)
    shift = (random.normal(0, 0.15) * radius, random.normal(0, 0.15) * radius)
    add_sersic(
        image,
        grid,
        flux=flux * random.uniform(0.1, 1.5),
        radius=radius * random.uniform(0.15, 0.5),
        index=random.uniform(1, 4),
        axis_ratio=random.uniform(0.6, 1),
        angle=random.uniform(0, np.pi),
        centre=shift,
    )


def add_tail(
    random: Generator,
    image: Image,
    grid: Grid,
    *,
    flux: float,
    radius: float,
    centre: tuple[float, float] = (0.0, 0.0),
    young: Image | None = None,
) -> None:
    """Add a tidal tail or shell fragment: broad, uneven, rarely concentric with its galaxy, in place."""
    region, x, y = grid.coordinates(centre, 5 * radius)
    if not x.size:
        return
    pivot = (random.normal(0, 0.9) * radius, random.normal(0, 0.9) * radius)
    dx, dy = x - pivot[0], y - pivot[1]
    r, phi = np.hypot(dx, dy), np.arctan2(dy, dx)
    azimuth = np.angle(np.exp(1j * (phi - random.uniform(0, 2 * np.pi))))
    curve = radius * (random.uniform(0.8, 2.5) + random.normal(0, 0.5) * azimuth)
    width = radius * random.uniform(0.12, 0.5) * (1 + 0.5 * np.abs(azimuth))
    light = np.exp(-0.5 * ((r - curve) / width) ** 2 - 0.5 * (azimuth / random.uniform(0.3, 1.2)) ** 2)
    light *= draw_texture(random, x.shape, radius / 3 / grid.scale)
    _add(image, young, region, flux * light / max(light.sum(), 1e-9))


def add_merger(
    random: Generator, image: Image, grid: Grid, *, flux: float, radius: float, young: Image | None = None
) -> None:
    """Add two or three galaxies in contact, with tails, in place."""
    for k in range(random.integers(2, 4)):
        distance, angle = (0.0 if k == 0 else radius * random.uniform(0.6, 2.2)), random.uniform(0, 2 * np.pi)
        centre = (distance * np.cos(angle), distance * np.sin(angle))
        part = flux * (1 if k == 0 else random.uniform(0.1, 1))
        if random.random() < 0.3:
            size = radius * random.uniform(0.5, 1)
            add_spiral(random, image, grid, flux=part, radius=size, centre=centre, young=young)
        else:
            size, index = radius * random.uniform(0.3, 1), random.uniform(0.6, 3)
            add_sersic(
                young if young is not None and index < _DISC_INDEX else image,
                grid,
                flux=part,
                radius=size,
                index=index,
                axis_ratio=random.uniform(0.3, 1),
                angle=random.uniform(0, np.pi),
                centre=centre,
            )
    for _ in range(random.integers(0, 4)):
        add_tail(random, image, grid, flux=flux * random.uniform(0.05, 0.4), radius=radius, young=young)


def add_edge_on(
    random: Generator,
    image: Image,
    grid: Grid,
    *,
    flux: float,
    radius: float,
    centre: tuple[float, float] = (0.0, 0.0),
    young: Image | None = None,
) -> None:
    """Add an edge-on disc with a bulge and, half of the time, a dust lane that dims the young most, in place."""
    angle = random.uniform(0, np.pi)
    layers = [image] if young is None else [image, young]
    before = [layer.copy() for layer in layers] if random.random() < 0.5 else []
    add_sersic(
        layers[-1],
        grid,
        flux=flux,
        radius=radius,
        index=1.0,
        axis_ratio=random.uniform(0.08, 0.25),
        angle=angle,
        centre=centre,
    )
    add_sersic(
        image,
        grid,
        flux=flux * random.uniform(0.05, 0.6),
        radius=radius * random.uniform(0.15, 0.4),
        index=2.0,
        axis_ratio=0.7,
        angle=angle,
        centre=centre,
    )
    if before:
        region, x, y = grid.coordinates(centre, 5 * radius)
        across = -np.sin(angle) * x + np.cos(angle) * y - random.normal(0, 0.05) * radius
        lane = 1 - random.uniform(0.2, 0.8) * np.exp(-0.5 * (across / (0.05 * radius)) ** 2)
        for layer, bare, dimming in zip(layers, before, (lane, lane**2), strict=False):
            layer[region] = bare[region] + (layer[region] - bare[region]) * dimming
