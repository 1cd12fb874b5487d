"""Dark matter inside a lens: point masses of a CDM mass function, or in line as an axion vortex.

After the simulator of the DeepLense data sets (DeepLenseSim): lens at redshift 0.5, source at 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.simulate.sky import Generator, Image

LENS_REDSHIFT, SOURCE_REDSHIFT = 0.5, 1.0
DISTANCES = ("angular", "legacy")
LIGHTEST, HEAVIEST = 1e6, 1e10  # solar masses, of a subhalo
INNERMOST, OUTERMOST = 0.25, 2.0  # arcsec, of a subhalo from the middle of the lens
VORTEX_POINTS, VORTEX_POINT_MASS = 100, 3e8  # number and solar masses
LOG_AXION_MASS = (-24.0, -22.0)  # of eV
_SOFTENING = 1e-20  # square arcsec: keeps a ray through a point mass finite


@dataclass(frozen=True, slots=True, eq=False)
class PointMasses:
    """Point masses: positions in arcsec and Einstein radii in arcsec, (n,) each."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    einstein_radius: NDArray[np.float64]

    def deflection(self, x: Image, y: Image) -> tuple[Image, Image]:
        """Sum of theta_E^2 / distance towards each mass, arcsec, at positions of any shape (Schneider et al. 1992)."""
        alpha_x, alpha_y = np.zeros_like(x), np.zeros_like(y)
        for x0, y0, theta in zip(self.x, self.y, self.einstein_radius, strict=True):
            dx, dy = x - x0, y - y0
            weight = theta**2 / (dx * dx + dy * dy + _SOFTENING)
            alpha_x += weight * dx
            alpha_y += weight * dy
        return alpha_x, alpha_y


@lru_cache(maxsize=len(DISTANCES))
def unit_einstein_radius(distances: str) -> float:
    """Einstein radius in arcsec of one solar mass: sqrt(4 G M / c^2 D_ls / (D_l D_s)).

    ``angular`` takes angular-diameter distances, as it must be. ``legacy`` takes luminosity distances and their plain
    difference, like the published data sets, whose radii are 0.77 of the true ones.
    """
    from astropy import constants, units
    from astropy.cosmology import FlatLambdaCDM

    cosmology = FlatLambdaCDM(H0=70, Om0=0.3, Ob0=0.05)
    if distances == "legacy":
        lens, source = cosmology.luminosity_distance([LENS_REDSHIFT, SOURCE_REDSHIFT])
        between = source - lens
    else:
        lens, source = cosmology.angular_diameter_distance([LENS_REDSHIFT, SOURCE_REDSHIFT])
        between = source - lens * (1 + LENS_REDSHIFT) / (1 + SOURCE_REDSHIFT)  # comoving distances add up in flat space
    squared = 4 * constants.G * constants.M_sun / constants.c**2 * between / (lens * source)
    return float((np.sqrt(squared.to_value(units.dimensionless_unscaled)) * units.rad).to_value(units.arcsec))


def draw_masses(random: Generator, count: int, slope: float) -> NDArray[np.float64]:
    """Solar masses between LIGHTEST and HEAVIEST with dN/dM ~ M^slope, by inversion of the cumulative distribution."""
    u = random.uniform(0, 1, count)
    power = slope + 1
    if abs(power) < 1e-9:
        return np.asarray(LIGHTEST * (HEAVIEST / LIGHTEST) ** u)
    low, high = LIGHTEST**power, HEAVIEST**power
    return np.asarray((low + (high - low) * u) ** (1 / power))


def draw_subhalos(random: Generator, masses: NDArray[np.float64], distances: str) -> PointMasses:
    """CDM subhalos, uniform in radius and in angle about the lens."""
    radius = random.uniform(INNERMOST, OUTERMOST, len(masses))
    angle = random.uniform(0, 2 * np.pi, len(masses))
    theta = unit_einstein_radius(distances) * np.sqrt(masses)
    return PointMasses(radius * np.cos(angle), radius * np.sin(angle), theta)


def vortex_length(log_axion_mass: float) -> float:
    """Half the length in arcsec of a vortex: the de Broglie wavelength, 0.03" at 1e-22 eV, goes as 1 / mass."""
    return float(0.03 * 10 ** (-22 - log_axion_mass))


def make_vortex(log_axion_mass: float, angle: float, distances: str) -> PointMasses:
    """Equal point masses evenly spaced on a line through the middle of the lens."""
    along = np.linspace(-1, 1, VORTEX_POINTS) * vortex_length(log_axion_mass)
    theta = unit_einstein_radius(distances) * np.sqrt(VORTEX_POINT_MASS)
    return PointMasses(along * np.cos(angle), along * np.sin(angle), np.full(VORTEX_POINTS, theta))
