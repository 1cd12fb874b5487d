"""Strong lenses: an SIE with external shear, lenstronomy's ray shooting, clumpy sources and quasars.

Angles are arcsec, fluxes in units of the background noise of one native pixel (engine.simulate.sky).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LensModel.Solver.lens_equation_solver import LensEquationSolver

from engine.simulate.galaxies import ellipticity, light_model
from engine.simulate.sky import Generator, Grid, Image

_MOST_POINTS = 90_000  # rays shot for one image
_FINEST = 0.06  # arcsec: the ray spacing that resolves a clump


@dataclass(frozen=True, slots=True)
class Lens:
    """Mass of a deflector: an SIE about ``centre`` (arcsec) and external shear."""

    einstein_radius: float
    e1: float
    e2: float
    gamma1: float
    gamma2: float
    centre: tuple[float, float]

    @property
    def parameters(self) -> list[dict[str, float]]:
        """lenstronomy's keyword list."""
        return [
            {
                "theta_E": self.einstein_radius,
                "e1": self.e1,
                "e2": self.e2,
                "center_x": self.centre[0],
                "center_y": self.centre[1],
            },
            {"gamma1": self.gamma1, "gamma2": self.gamma2, "ra_0": self.centre[0], "dec_0": self.centre[1]},
        ]

    def moved_to_critical_curve(self, direction: float, *, stray: float) -> Lens:
        """The same lens so shifted that the origin lies by its tangential critical curve, where arcs are longest.

        ``direction`` is the position angle of the origin about the lens, ``stray`` a fractional error in radius.
        """
        radii = self.einstein_radius * np.linspace(0.6, 1.6, 61)
        cos, sin = np.cos(direction), np.sin(direction)
        magnification = mass_model().magnification(
            self.centre[0] + radii * cos, self.centre[1] + radii * sin, self.parameters
        )
        radius = float(radii[np.argmax(np.abs(magnification))]) * (1 + stray)
        return replace(self, centre=(-radius * cos, -radius * sin))

    def source_of(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Source-plane positions of image-plane positions."""
        return mass_model().ray_shooting(x, y, self.parameters)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Source:
    """A source galaxy: profiles by name with lenstronomy's parameters, and the flux fraction of an active nucleus."""

    names: tuple[str, ...]
    parameters: tuple[dict[str, float], ...]
    position: tuple[float, float]
    radius: float
    nucleus: float


@lru_cache(maxsize=1)
def mass_model() -> LensModel:
    """SIE and shear; built once a process."""
    return LensModel(["SIE", "SHEAR"])


def draw_lens(
    random: Generator, einstein_radius: float, axis_ratio: float, angle: float, centre: tuple[float, float]
) -> Lens:
    """Draw a mass that roughly follows the light (axis ratio and angle), with shear."""
    mass_ratio = float(np.clip(axis_ratio + random.normal(0, 0.1), 0.45, 0.98))
    e1, e2 = ellipticity(mass_ratio, angle + random.normal(0, 0.15))
    shear, direction = abs(random.normal(0, 0.05)), random.uniform(0, np.pi)
    return Lens(einstein_radius, e1, e2, shear * np.cos(2 * direction), shear * np.sin(2 * direction), centre)


def draw_source(random: Generator, position: tuple[float, float], radius: float, *, quasar: bool) -> Source:
    """Draw a star-forming source: a Sersic ellipse with up to eight clumps, and an active nucleus for a quasar."""
    e1, e2 = ellipticity(random.uniform(0.35, 1), random.uniform(0, np.pi))
    names, parameters = ["SERSIC_ELLIPSE"], [
        {"amp": 1.0, "R_sersic": radius, "n_sersic": random.uniform(0.6, 2.0), "e1": e1, "e2": e2,
         "center_x": position[0], "center_y": position[1]}
    ]  # fmt: skip
    for _ in range(random.integers(0, 9) if random.random() < 0.6 else 0):
        sigma = radius * random.uniform(0.08, 0.25)
        # A Gaussian's amplitude is its integral; about 11.9 R^2 is that of an exponential disc of unit SB at R.
        names.append("GAUSSIAN")
        parameters.append({"amp": 11.9 * radius**2 * 10 ** random.uniform(-2.0, -0.7), "sigma": sigma,
                           "center_x": position[0] + random.normal(0, 0.8) * radius,
                           "center_y": position[1] + random.normal(0, 0.8) * radius})  # fmt: skip
    nucleus = float(random.uniform(0.3, 0.95)) if quasar else 0.0
    return Source(tuple(names), tuple(parameters), position, radius, nucleus)


def draw_arc(lens: Lens, source: Source, grid: Grid) -> Image:
    """The lensed light of a source before the PSF, (size, size), in arbitrary units.

    Rays are shot finer than the pixels, in the box the images can fill; the nucleus goes to the exact image positions
    with their magnifications.
    """
    image = np.zeros((grid.size, grid.size))
    reach = 2.4 * lens.einstein_radius + 3 * source.radius
    region, x, y = grid.coordinates(lens.centre, reach)
    if not x.size:
        return image
    fine = int(np.clip(np.ceil(grid.scale / _FINEST), 1, max(1, int(np.sqrt(_MOST_POINTS / x.size)))))
    offsets = (np.arange(fine) - (fine - 1) / 2) * grid.scale / fine
    rays_x = (x[0] + lens.centre[0])[:, None] + offsets
    rays_y = (y[:, 0] + lens.centre[1])[:, None] + offsets
    mesh_x, mesh_y = np.meshgrid(rays_x.ravel(), rays_y.ravel())
    beta_x, beta_y = lens.source_of(mesh_x.ravel(), mesh_y.ravel())
    light = light_model(source.names).surface_brightness(beta_x, beta_y, list(source.parameters))
    image[region] = light.reshape(x.shape[0], fine, x.shape[1], fine).mean((1, 3))
    if source.nucleus:
        _add_nucleus(image, lens, source, grid)
    return image


def draw_unlensed(source: Source, grid: Grid, positions: list[tuple[float, float]]) -> Image:
    """The same source as galaxies of their own at ``positions``, before the PSF: what an arc is not."""
    image = np.zeros((grid.size, grid.size))
    model = light_model(source.names)
    for position in positions:
        region, x, y = grid.coordinates(position, 6 * source.radius)
        if x.size:
            light = model.surface_brightness(
                (x + source.position[0]).ravel(), (y + source.position[1]).ravel(), list(source.parameters)
            )
            image[region] += light.reshape(x.shape)
    return image


def _add_nucleus(image: Image, lens: Lens, source: Source, grid: Grid) -> None:
    solver = LensEquationSolver(mass_model())
    x, y = solver.image_position_from_source(*source.position, lens.parameters, solver="analytical")
    if not len(x):
        return
    magnification = np.minimum(np.abs(mass_model().magnification(x, y, lens.parameters)), 30)
    flux = image.sum() * source.nucleus / (1 - source.nucleus)
    middle = (grid.size - 1) / 2
    for px, py, share in zip(
        x / grid.scale + middle, y / grid.scale + middle, magnification / magnification.sum(), strict=True
    ):
        x0, y0 = int(np.floor(px)), int(np.floor(py))
        for dy in (0, 1):
            for dx in (0, 1):
                if 0 <= y0 + dy < grid.size and 0 <= x0 + dx < grid.size:
                    image[y0 + dy, x0 + dx] += flux * share * (1 - abs(px - x0 - dx)) * (1 - abs(py - y0 - dy))
