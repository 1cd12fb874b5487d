"""The colours of what is drawn in several bands: spectra by kind of object, dimmed by the depth of each band."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.simulate.sky import Generator
from engine.simulate.spectra import Fluxes, Population, galaxy_fluxes, star_fluxes

ZERO_POINT = 27.0  # AB magnitude of unit flux, in every band
ONE_COLOUR = ("star", "elliptical", "deflector", "member", "pair", "field")  # kinds drawn in one layer, of one spectrum
_MIXED = {"field": 1.0, "pair": 0.5, "member": 0.15}  # how often a kind has any colour, else that of old stars
_FARTHEST = 1.3  # redshift that no galaxy in front reaches
_FAINTEST = 0.02  # of the brightest band: least flux in the reference band, to which the others are scaled


@dataclass(slots=True)
class Palette:
    """Draws the colours of one scene, from numbers of its own.

    ``noise`` is that of a pixel in each band, (band,), in units of the zero point; ``shift`` moves the passbands of
    the survey; ``reference`` is the band in which fluxes are drawn. ``redshift`` is that of the galaxy in the middle,
    drawn with the first galaxy that is not of the field, and ``source_redshift`` that of a lensed source.
    """

    random: Generator
    bands: tuple[str, ...]
    reference: int
    noise: Fluxes
    shift: float
    redshift: float = field(default=np.nan, init=False)
    source_redshift: float = field(default=np.nan, init=False)

    def colours(self, kind: str, flux: float, apart: bool = False) -> tuple[Fluxes, Fluxes]:
        """What a unit of old and of young light is in each band, (band,) each, in units of that band's noise.

        ``flux`` of the whole object in the reference band, in units of its noise: what is bright is near. What is
        ``apart`` has a redshift of its own.
        """
        if kind == "star":
            temperature = 3000 + 6000 * self.random.beta(1.0, 1.7)
            star = self._scaled(star_fluxes(temperature, self.bands, self.shift) * self._scatter(0.03))
            return star, star
        magnitude = ZERO_POINT - 2.5 * np.log10(max(flux, 1e-3) * self.noise[self.reference])
        redshift = self.redshift
        if apart or kind == "field" or np.isnan(redshift):
            redshift = self._redshift(magnitude, luminous=kind == "deflector")
        if not apart and kind != "field":
            self.redshift = redshift
        old, young = self._populations(kind)
        return self._galaxy(old, redshift), self._galaxy(young, redshift)

    def source(self) -> Fluxes:
        """What a unit of a lensed source is in each band, (band,): mostly blue, now and then dusty or old."""
        kind, nearest = self.random.random(), np.nan_to_num(self.redshift, nan=0.3) + 0.15
        redshift = float(np.exp(self.random.normal(np.log(1.5), 0.4)))
        if kind < 0.7:
            population = Population(self.random.uniform(0.8, 1), self.random.uniform(0, 0.7), self._tilt(0.1))
        elif kind < 0.87:
            population = Population(self.random.uniform(0.5, 1), self.random.uniform(0.8, 2.5), self._tilt(0.1))
        else:
            population, redshift = Population(self.random.uniform(0, 0.15), 0.2, self._tilt(0.1)), min(redshift, 1.4)
        self.source_redshift = float(np.clip(redshift, nearest, 4.0))
        return self._galaxy(population, self.source_redshift)

    def _redshift(self, magnitude: float, *, luminous: bool) -> float:
        """About that of a galaxy as luminous as most that are seen at this magnitude, or as galaxies that lens."""
        typical = (0.25 if luminous else 0.12) * 10 ** (0.12 * (magnitude - 17.5) + self.random.normal(0, 0.15))
        return float(max(typical / np.hypot(1, typical / _FARTHEST), 0.02))

    def _populations(self, kind: str) -> tuple[Population, Population]:
        """Stars of the old and of the young layer."""
        random = self.random
        if random.random() < _MIXED.get(kind, 0.0):
            mixed = Population(random.beta(0.8, 0.6), random.uniform(0, 1) ** 2 * 1.2, self._tilt(0.08))
            return mixed, mixed
        if kind in ONE_COLOUR:
            old = Population(random.uniform(0, 0.03) if random.random() < 0.9 else 0.2, 0.0, self._tilt(0.05))
            return old, old
        dust = random.uniform(0.3, 1.2) if kind == "edge_on" else random.uniform(0, 0.4)
        old = Population(random.uniform(0, 0.25), dust, self._tilt(0.08))
        anaemic = kind != "merger" and random.random() < 0.12  # arms and rings that hardly form stars
        young = random.uniform(0.1, 0.4) if anaemic else random.uniform(0.7, 1)
        return old, Population(young, dust + random.uniform(0, 0.7), self._tilt(0.08))

    def _galaxy(self, population: Population, redshift: float) -> Fluxes:
        return self._scaled(galaxy_fluxes(population, redshift, self.bands, self.shift) * self._scatter(0.02))

    def _scaled(self, fluxes: Fluxes) -> Fluxes:
        reference = max(fluxes[self.reference], _FAINTEST * fluxes.max())
        return np.asarray(fluxes / reference * self.noise[self.reference] / self.noise)

    def _scatter(self, size: float) -> Fluxes:
        """Factors in each band for what the spectra leave out, and the calibration."""
        return np.asarray(np.exp(self.random.normal(0, size, len(self.bands))))

    def _tilt(self, size: float) -> float:
        return float(self.random.normal(0, size))
