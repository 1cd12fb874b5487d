"""The observing conditions of a simulated stamp: pixel grid, seeing, noise and what detectors do to it.

Fluxes are in units of the background noise of one native pixel, so that a surface brightness is a signal-to-noise
ratio; the finder's preprocessing is blind to the zero point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.signal import fftconvolve

Image = NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Grid:
    """A square pixel grid centred on the stamp: ``size`` pixels of ``scale`` arcsec."""

    size: int
    scale: float

    def coordinates(self, centre: tuple[float, float], half_width: float) -> tuple[tuple[slice, slice], Image, Image]:
        """Slices (y, x) and arcsec offsets from ``centre`` of the box of ``half_width`` arcsec around it."""
        middle = (self.size - 1) / 2
        spans: list[slice] = []
        for position in (centre[1], centre[0]):
            low = int(np.floor((position - half_width) / self.scale + middle))
            high = int(np.ceil((position + half_width) / self.scale + middle)) + 1
            spans.append(slice(min(max(low, 0), self.size), max(min(high, self.size), 0)))
        y = (np.arange(spans[0].start, spans[0].stop) - middle) * self.scale - centre[1]
        x = (np.arange(spans[1].start, spans[1].stop) - middle) * self.scale - centre[0]
        across, along = np.broadcast_arrays(x[None, :], y[:, None])
        return (spans[0], spans[1]), across, along

    @property
    def half_width(self) -> float:
        """Half the side, arcsec."""
        return self.size * self.scale / 2


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a stamp is observed.

    ``seeing`` is the PSF's FWHM in arcsec; ``beta`` the Moffat index of its wings; ``spikes`` the fraction of a
    star's light in diffraction spikes; ``gain`` the electrons per noise unit (large means sky-limited);
    ``correlation`` the sigma in pixels of the noise's correlation; ``field_of_view`` the side in arcsec that holds
    data, the rest being NaN; ``space`` says whether the telescope is above the atmosphere; ``detector_scale`` is the
    pixel of the detector in arcsec where the image was resampled from coarser ones (0: it was not).
    """

    native_scale: float
    seeing: float
    beta: float
    ellipticity: float
    angle: float
    spikes: float
    gain: float
    correlation: float
    field_of_view: float
    space: bool
    detector_scale: float = 0.0


def draw_conditions(
    random: Generator,
    full_width: float,
    *,
    surveys: tuple[float, float, float, float],
    coarsest: float,
    sharpest: float,
) -> Conditions:
    """Draw observing conditions from space telescopes to shallow ground surveys.

    Parameters
    ----------
    full_width : arcsec the largest view of the model spans
    surveys : shares of the four kinds below
    coarsest, sharpest : largest pixel (arcsec) and least seeing (pixels) of the last kind
    """
    kind = random.choice(4, p=surveys)
    if kind == 0:  # resolution of HST, JWST short-wave
        scale, seeing = random.uniform(0.075, 0.1), random.uniform(0.08, 0.16)
    elif kind == 1:  # Euclid VIS, undersampled infrared cameras
        scale, seeing = random.uniform(0.1, 0.14), random.uniform(0.15, 0.3)
    elif kind == 2:  # CFHT, HSC, KiDS, DES, SDSS
        scale = random.uniform(0.16, 0.42)
        seeing = max(float(np.exp(random.normal(np.log(0.85), 0.28))), 1.7 * scale, 0.5)
    else:  # very shallow, wide surveys
        scale = random.uniform(0.4, coarsest)
        seeing = random.uniform(sharpest, 3.0) * max(scale, 0.6)
    space = kind < 2
    if random.random() < (0.65 if space else 0.3):
        smallest = min(4.8 if space else 9.0, full_width / 2)
        field = float(np.exp(random.uniform(np.log(smallest), np.log(full_width))))
    else:
        field = full_width * 1.02
    return Conditions(
        native_scale=float(scale),
        seeing=float(seeing),
        beta=float(random.uniform(2.2, 4.5)),
        ellipticity=float(random.uniform(0, 0.08)),
        angle=float(random.uniform(0, np.pi)),
        spikes=float(random.uniform(0, 0.06)) if space or random.random() < 0.3 else 0.0,
        gain=float(np.exp(random.uniform(np.log(0.3), np.log(200)))),
        correlation=float(random.uniform(0.3, 0.9)) if random.random() < 0.4 else 0.0,
        field_of_view=field,
        space=space,
    )


def point_spread_function(conditions: Conditions, *, fine: int = 3, shift: tuple[float, float] = (0.0, 0.0)) -> Image:
    """A normalised Moffat kernel with the seeing's FWHM, averaged over ``fine`` x ``fine`` points of each pixel.

    ``shift`` (x, y) in arcsec moves it: bands are never quite aligned.
    """
    scale = conditions.native_scale
    radius = int(np.clip(np.ceil(10 * conditions.seeing / scale), 6, 64))
    points = fine * (2 * radius + 1)
    offsets = (np.arange(points) - (points - 1) / 2) * scale / fine
    x, y = np.meshgrid(offsets - shift[0], offsets - shift[1])
    cos, sin = np.cos(conditions.angle), np.sin(conditions.angle)
    along, across = cos * x + sin * y, -sin * x + cos * y
    r2 = along**2 * (1 - conditions.ellipticity) + across**2 / (1 - conditions.ellipticity)
    core = conditions.seeing / (2 * np.sqrt(2 ** (1 / conditions.beta) - 1))
    kernel: Image = (1 + r2 / core**2) ** -conditions.beta
    kernel *= np.hypot(x, y) <= (radius + 0.5) * scale  # a square edge would show around bright stars
    kernel = kernel.reshape(2 * radius + 1, fine, 2 * radius + 1, fine).mean((1, 3))
    return np.asarray(kernel / kernel.sum())


def convolve(image: Image, kernel: Image) -> Image:
    """The image as seen through the PSF, same shape."""
    return np.asarray(fftconvolve(image, kernel, mode="same"))


def noise(random: Generator, image: Image, conditions: Conditions) -> Image:
    """Background noise of sigma 1 and the photon noise of the image, (ny, nx)."""
    white = random.standard_normal(image.shape)
    if conditions.correlation or conditions.detector_scale:
        white = _correlated(white, conditions)
        white /= white.std()
    return np.asarray(white * np.sqrt(1 + np.clip(image, 0, None) / conditions.gain))


def _correlated(white: Image, conditions: Conditions) -> Image:
    """White noise as a resampling leaves it: coarser pixels are spread by bilinear interpolation, a box twice."""
    if conditions.detector_scale:
        width = max(round(conditions.detector_scale / conditions.native_scale), 1)
        return np.asarray(uniform_filter(uniform_filter(white, width), width))
    return np.asarray(gaussian_filter(white, conditions.correlation))


def noise_of_pixel(conditions: Conditions) -> float:
    """Noise of a pixel over what it would be if the same noise were not correlated."""
    impulse = np.zeros((15, 15))
    impulse[7, 7] = 1
    if not (conditions.correlation or conditions.detector_scale):
        return 1.0
    return float(np.sqrt((_correlated(impulse, conditions) ** 2).sum()))


def add_star(
    random: Generator, image: Image, grid: Grid, conditions: Conditions, centre: tuple[float, float], flux: float
) -> None:
    """Add a point source's light (before the PSF) and its diffraction spikes, in place."""
    middle = (grid.size - 1) / 2
    x, y = centre[0] / grid.scale + middle, centre[1] / grid.scale + middle
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    for dy in (0, 1):
        for dx in (0, 1):
            if 0 <= y0 + dy < grid.size and 0 <= x0 + dx < grid.size:
                image[y0 + dy, x0 + dx] += flux * (1 - abs(x - x0 - dx)) * (1 - abs(y - y0 - dy))
    if not conditions.spikes:
        return
    region, dx_, dy_ = grid.coordinates(centre, grid.half_width)
    width = max(conditions.seeing / 2.5, grid.scale / 2)
    for k in range(2):
        angle = conditions.angle + k * np.pi / 2
        along = np.cos(angle) * dx_ + np.sin(angle) * dy_
        across = -np.sin(angle) * dx_ + np.cos(angle) * dy_
        length = 6 * conditions.seeing
        spike = np.exp(-np.abs(along) / length - 0.5 * (across / width) ** 2)
        total = 2 * length * width * 2.5 / grid.scale**2
        image[region] += flux * conditions.spikes / 2 * spike / total


def add_cosmic_rays(random: Generator, image: Image, count: int) -> None:
    """Add sharp hits and short tracks that no PSF has touched, in place."""
    size = image.shape[0]
    for _ in range(count):
        length = int(np.ceil(random.exponential(3.0)))
        angle, amplitude = random.uniform(0, np.pi), np.exp(random.uniform(np.log(8), np.log(400)))
        steps = np.arange(length)
        x = np.rint(random.uniform(0, size) + steps * np.cos(angle)).astype(int)
        y = np.rint(random.uniform(0, size) + steps * np.sin(angle)).astype(int)
        inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
        image[y[inside], x[inside]] += amplitude * random.uniform(0.3, 1, inside.sum())


def add_bleed(random: Generator, image: Image, grid: Grid, centre: tuple[float, float]) -> None:
    """Add the trail of charge that a saturated star at ``centre`` (arcsec) leaves along its row or column, in place."""
    y, x = np.mgrid[: grid.size, : grid.size] - (grid.size - 1) / 2
    along, across = (x - centre[0] / grid.scale, y - centre[1] / grid.scale)
    if random.random() < 0.5:
        along, across = across, along
    amplitude = np.exp(random.uniform(np.log(0.4), np.log(60)))
    reach = random.uniform(0.3, 1.5) * grid.size
    fade = np.exp(-np.abs(along) / (0.4 * reach)) * (np.abs(along) < reach)
    image += amplitude * fade * np.exp(-0.5 * (across / random.uniform(0.7, 5.0)) ** 2)


def add_artefact(random: Generator, image: Image, grid: Grid) -> None:
    """Add one satellite trail, bad column, ghost ring or bleed trail, in place."""
    y, x = np.mgrid[: grid.size, : grid.size] - (grid.size - 1) / 2
    amplitude = np.exp(random.uniform(np.log(2), np.log(60)))
    kind = random.integers(4)
    if kind == 0:
        angle, offset = random.uniform(0, np.pi), random.normal(0, 0.15 * grid.size)
        across = np.cos(angle) * x + np.sin(angle) * y - offset
        image += amplitude * np.exp(-0.5 * (across / random.uniform(0.8, 3)) ** 2)
    elif kind == 1:
        columns = random.integers(grid.size)
        image[:, columns : columns + random.integers(1, 3)] += amplitude * random.choice([-1, 1])
    elif kind == 2:  # the out-of-focus ghost of a bright star: a pale disc or annulus much larger than a galaxy
        radius = random.uniform(0.2, 0.5) * grid.size
        distance = np.hypot(x - random.normal(0, 0.3 * grid.size), y - random.normal(0, 0.3 * grid.size))
        edge = 1 / (1 + np.exp((distance - radius) / 1.5))
        hole = 1 / (1 + np.exp((distance - radius * random.uniform(0, 0.5)) / 1.5))
        image += 0.15 * amplitude * (edge - hole)
    else:
        column, width = random.normal(0, 0.1 * grid.size), random.uniform(0.6, 1.6)
        reach = random.uniform(0.1, 0.5) * grid.size
        image += 5 * amplitude * np.exp(-0.5 * ((x - column) / width) ** 2) * (np.abs(y) < reach)
