"""Arcs for the galaxies of a real mosaic: which galaxies could be lenses, and the arc each of them would make.

A galaxy lenses with the Einstein radius its light calls for. Without redshifts the scale is set by the mosaic's own
galaxies: the median one has 0.8 of its half-light radius (between the galaxies of SLACS, about 0.5, and those of SL2S,
about 1), and with the flux F it goes as F^(1/2), since theta_E goes as sigma^2 and L as sigma^4 (Faber & Jackson 1976).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

from engine.images.wavelengths import wavelength
from engine.simulate import lenses
from engine.simulate.psf import OVERSAMPLING, PointSpread
from engine.simulate.sky import Generator, Grid, Image

TYPICAL_RATIO, SCATTER = 0.8, 0.25  # Einstein over half-light radius of the median galaxy; spread in ln
FAINTEST_CONTRAST = 0.25  # of the arc over the light in its place
BRIGHTEST = 1.0  # flux of an arc over that of its galaxy, in the band in which the arc stands out best
WIDEST = 5.0  # arcsec: more takes a cluster
_NEGLIGIBLE = 1e-3  # of the noise: where an arc ends
HOST = np.dtype([(name, "f8") for name in ("x", "y", "radius", "axis_ratio", "angle", "einstein_radius")])


@dataclass(frozen=True, slots=True, eq=False)
class Telescope:
    """How the mosaic is observed, one entry a band: PSF, noise of a pixel, electrons a unit of it (NaN: unknown)."""

    bands: tuple[str, ...]
    pixel_scale: float
    spread: tuple[PointSpread, ...]
    noise: NDArray[np.float64]
    gain: NDArray[np.float64]

    @property
    def seeing(self) -> float:
        """FWHM of the sharpest band, arcsec."""
        return min(one.fwhm for one in self.spread) * self.pixel_scale


@dataclass(frozen=True, slots=True, eq=False)
class Arc:
    """A painted arc, (band, n, n) in units of the mosaic and 0 away from it, and the parameters behind it."""

    pixels: NDArray[np.float64]
    lens: lenses.Lens
    source: lenses.Source
    flux: NDArray[np.float64]
    snr: float
    contrast: float


def choose_hosts(
    sources: NDArray[np.void], shape: tuple[int, int], fwhm: float, pixel_scale: float
) -> NDArray[np.void]:
    """Galaxies that could be lenses: bright, larger than a star, not thin, alone, and away from the edge.

    Parameters
    ----------
    sources : structured array with x, y, flux, radius, snr, a, b, theta (pixels, radian)
    fwhm : of the PSF, pixels

    Returns
    -------
    HOST array: x, y (pixels), radius (half-light, freed of the PSF, arcsec), axis_ratio, angle (radian, from x to y)
    and the einstein_radius its light calls for (arcsec).
    """
    spread2 = (fwhm / 2.3548) ** 2
    a2, b2 = np.maximum(sources["a"] ** 2 - spread2, 0.1), np.maximum(sources["b"] ** 2 - spread2, 0.05)
    axis_ratio = np.sqrt(np.minimum(b2 / a2, 1))
    radius = np.sqrt(np.maximum(sources["radius"] ** 2 - (fwhm / 2) ** 2, 0))
    margin = 4 * sources["radius"] + 5
    inside = (sources["x"] > margin) & (sources["x"] < shape[1] - 1 - margin)
    inside &= (sources["y"] > margin) & (sources["y"] < shape[0] - 1 - margin)
    fit = inside & (sources["snr"] > 40) & (sources["flux"] > 0) & (sources["radius"] > 1.25 * fwhm / 2)
    fit &= (axis_ratio > 0.45) & (radius * pixel_scale > 0.25) & (radius * pixel_scale < 6)
    kept = np.flatnonzero(fit & _alone(sources))
    hosts = np.zeros(len(kept), HOST)
    hosts["x"], hosts["y"] = sources["x"][kept], sources["y"][kept]
    hosts["radius"], hosts["axis_ratio"] = radius[kept] * pixel_scale, axis_ratio[kept]
    hosts["angle"] = sources["theta"][kept]
    if len(kept):
        flux = sources["flux"][kept]
        scale = TYPICAL_RATIO * np.median(hosts["radius"]) * np.sqrt(flux / np.median(flux))
        hosts["einstein_radius"] = np.clip(scale, 0.4 * hosts["radius"], np.minimum(2.5 * hosts["radius"], WIDEST))
    return hosts


def _alone(sources: NDArray[np.void]) -> NDArray[np.bool_]:
    """Whether no source of a third of its flux or more lies within four half-light radii."""
    xy = np.column_stack([sources["x"], sources["y"]])
    if len(xy) < 2:
        return np.ones(len(xy), bool)
    near = cKDTree(xy).query_ball_point(xy, 4 * sources["radius"])
    flux = sources["flux"]
    return np.array([all(k == i or flux[k] < 0.33 * flux[i] for k in found) for i, found in enumerate(near)], bool)


def asymmetry(light: NDArray[np.floating], radius: float, noise: float) -> float:
    """Of the light within ``radius`` pixels of the middle of (n, n), the share that a half turn moves (Conselice 2000).

    What the noise alone would move is taken off. 1 where there is no light, or data are missing.
    """
    n = len(light)
    axis = np.arange(n) - (n - 1) / 2
    near = np.hypot(axis, axis[:, None]) < radius
    total = float(np.abs(light[near]).sum())
    moved = float(np.abs(light - light[::-1, ::-1])[near].sum()) - near.sum() * noise * 2 / np.sqrt(np.pi)
    return max(moved, 0.0) / total if total > 0 and np.isfinite(moved) else 1.0


def draw_colours(random: Generator, bands: Sequence[str], host: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fluxes of the source in each band, summing to 1, in the mosaic's own units.

    Zero points need not be known: the source is bluer than the galaxy's own measured light, an old population, by a
    power of the wavelength. A band whose name does not tell where it lies, or in which the galaxy has no flux, takes
    it as it is.
    """
    slope = max(random.normal(2.5, 0.7), 0.5)
    centre = np.array([min(wavelength(band) or np.nan, 1100.0) for band in bands])  # nm; old and young alike beyond
    centre = np.where(np.isfinite(centre), centre, np.nanmedian(np.append(centre, 620.0)))
    shares = np.clip(host, 0.02 * np.max(host), None) * (centre / 620.0) ** -slope
    return np.asarray(shares / shares.sum())


def paint(
    random: Generator,
    host: np.void,
    light: NDArray[np.floating],
    telescope: Telescope,
    einstein_radius: float,
    snr: float,
) -> Arc:
    """The arc of a source behind ``host``, of about this signal-to-noise in its best band.

    Parameters
    ----------
    light : (band, n, n) background-subtracted pixels about the host's nearest pixel, n odd
    einstein_radius : arcsec
    """
    n, scale = light.shape[-1], telescope.pixel_scale
    stray = ((host["x"] - round(float(host["x"]))) * scale, (host["y"] - round(float(host["y"]))) * scale)
    lens = lenses.draw_lens(random, einstein_radius, float(host["axis_ratio"]), float(host["angle"]), stray)
    source = _draw_source(random, lens)
    fine = lenses.draw_arc(lens, source, Grid(OVERSAMPLING * n, scale / OVERSAMPLING))
    sampled = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
    shapes = np.stack([fftconvolve(fine, one.kernel, mode="same")[sampled, sampled] for one in telescope.spread])
    shapes = np.clip(shapes, 0, None) / np.maximum(shapes.sum((1, 2), keepdims=True), 1e-30)
    middle = np.hypot(*np.ogrid[-(n // 2) : n // 2 + 1, -(n // 2) : n // 2 + 1]) < 3 * host["radius"] / scale + 3
    own = np.nan_to_num(light)[:, middle].sum(1)
    arc = shapes * draw_colours(random, telescope.bands, np.maximum(own, telescope.noise))[:, None, None]
    behind = np.clip(np.nan_to_num(light), 0, None)
    variance = telescope.noise[:, None, None] ** 2 + behind / _finite(telescope.gain)[:, None, None]
    power = arc**2 / variance
    best = int(np.argmax(power.sum((1, 2))))
    arc *= snr / np.sqrt(max(power[best].sum(), 1e-300))
    arc[arc < _NEGLIGIBLE * telescope.noise[:, None, None]] = 0
    power = arc[best] ** 2 / variance[best]
    contrast = float(np.sum(power * arc[best] / (arc[best] + behind[best] + 1e-300)) / max(power.sum(), 1e-300))
    seen = arc[best] > np.sqrt(variance[best])
    reached = float(arc[best][seen].sum() / np.sqrt(variance[best][seen].sum())) if seen.any() else 0.0
    flux = arc.sum((1, 2))
    if flux[best] > BRIGHTEST * own[best]:
        contrast = 0.0  # outshines its galaxy: not what a person calls a lens galaxy with an arc
    return Arc(_with_photon_noise(random, arc, telescope.gain), lens, source, flux, reached, contrast)


def _finite(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(np.isfinite(gain), gain, np.inf))


def _draw_source(random: Generator, lens: lenses.Lens) -> lenses.Source:
    """A clumpy source so near the caustic that it is multiply imaged."""
    theta = lens.einstein_radius
    radius = float(np.clip(np.exp(random.normal(np.log(0.14 * theta**0.5 + 0.05), 0.4)), 0.05, 0.35 * theta))
    offset = theta * random.choice([random.uniform(0, 0.25), random.uniform(0.25, 0.6)], p=[0.55, 0.45])
    azimuth = random.uniform(0, 2 * np.pi)
    position = (lens.centre[0] + offset * np.cos(azimuth), lens.centre[1] + offset * np.sin(azimuth))
    return lenses.draw_source(random, position, radius, quasar=False)


def _with_photon_noise(random: Generator, arc: Image, gain: NDArray[np.float64]) -> Image:
    """The arc with its own photon noise in the bands whose gain is known."""
    noisy = arc.copy()
    for band in np.flatnonzero(np.isfinite(gain)):
        lit = arc[band] > 0
        noisy[band][lit] = random.poisson(arc[band][lit] * gain[band]) / gain[band]
    return noisy
