"""Colours of galaxies and stars from a few numbers each.

A galaxy is old and young stars behind dust. The two spectra below are our own: AB magnitudes at rest wavelengths,
relative to 620 nm, so chosen that they give the colours of ellipticals (g-r 0.8 at redshift 0, 1.8 at 0.4; r-i 1.0
at 0.55) and of irregulars (g-r 0.2, r-i 0.1). Dust dims as wavelength^-0.7 (Charlot & Fall 2000), the intergalactic
medium shortward of Lyman alpha by exp(-0.0036 (wavelength / 121.6 nm)^3.46) (Madau 1995), and nothing comes through
below 91.2 nm. Stars are black bodies. All are averaged over flat passbands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PASSBANDS = {  # nm
    "g": (400.0, 550.0), "r": (550.0, 690.0), "i": (690.0, 820.0), "VIS": (550.0, 900.0), "Y": (950.0, 1210.0),
    "J": (1170.0, 1570.0), "H": (1520.0, 2020.0),
}  # fmt: skip
_SAMPLES = 12  # wavelengths a passband
_PIVOT = 620.0  # nm
_LYMAN_ALPHA, _LYMAN_LIMIT = 121.567, 91.175
# nm, and AB magnitudes relative to the pivot: the 4000 A break of old stars, the Balmer break of young ones.
_REST = np.log([91, 122, 150, 200, 250, 300, 340, 370, 385, 400, 430, 480, 550, 620, 760, 900, 1020, 1250, 1650, 2200])
_OLD = np.array(
    [7, 6.5, 6, 5.5, 5.0, 3.8, 2.85, 2.45, 2.15, 1.75, 1.2, 0.8, 0.33, 0, -0.37, -0.62, -0.78, -1.0, -1.25, -1.05]
)
_YOUNG = np.array(
    [1.3, 1.05, 0.95, 0.9, 0.86, 0.83, 0.8, 0.68, 0.52, 0.4, 0.32, 0.22, 0.1, 0, -0.1, -0.17, -0.2, -0.27, -0.33, -0.2]
)
Fluxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Population:
    """Stars of a galaxy or of a part of it.

    ``young`` is the fraction of the light at rest 620 nm from young stars, ``dust`` the dimming at rest 550 nm in
    magnitudes, ``tilt`` a slope in magnitudes for each factor e in wavelength (metals, ages).
    """

    young: float
    dust: float = 0.0
    tilt: float = 0.0


def galaxy_fluxes(population: Population, redshift: float, bands: Sequence[str], shift: float = 0.0) -> Fluxes:
    """Mean flux density f_nu in each band, (band,), relative to rest 620 nm without dust.

    ``shift`` moves every passband by that fraction of its wavelength: filters of a name differ between surveys.
    """
    observed = _wavelengths(bands, shift)
    rest = observed / (1 + redshift)
    log = np.log(rest)
    old, young = (10 ** (-0.4 * np.interp(log, _REST, magnitudes)) for magnitudes in (_OLD, _YOUNG))
    light = (1 - population.young) * old + population.young * young
    dimming = population.dust * (rest / 550.0) ** -0.7 + population.tilt * (log - np.log(_PIVOT))
    forest = np.where(rest < _LYMAN_ALPHA, np.exp(-0.0036 * (observed / _LYMAN_ALPHA) ** 3.46), 1.0)
    light *= 10 ** (-0.4 * dimming) * forest * (rest > _LYMAN_LIMIT)
    return np.asarray(light.mean(1))


def star_fluxes(temperature: float, bands: Sequence[str], shift: float = 0.0) -> Fluxes:
    """Mean flux density f_nu of a black body of ``temperature`` kelvin in each band, (band,), relative to 620 nm."""

    def planck(wavelength: Fluxes | float) -> Fluxes:
        return np.asarray(1 / (wavelength**3 * np.expm1(1.4388e7 / (wavelength * temperature))))

    return np.asarray((planck(_wavelengths(bands, shift)) / planck(_PIVOT)).mean(1))


def _wavelengths(bands: Sequence[str], shift: float) -> Fluxes:
    """Samples of each passband, (band, sample), nm, evenly in the logarithm: photons are counted."""
    low, high = (1 + shift) * np.array([PASSBANDS[band] for band in bands]).T
    return np.asarray(np.geomspace(low, high, _SAMPLES, axis=1))
