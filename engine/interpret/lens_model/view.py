"""A stamp as a fit of a lens sees it: pixels, noise, PSF, and how bright each part of a model has to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter

from engine.errors import ImageError
from engine.interpret.lens_model.parameters import Vector
from engine.types import FloatArray

_FRACTION = 0.03  # of the light: what a Sersic profile and an imperfect PSF miss where a galaxy is bright
_SMALLEST, _FEWEST = 16, 100  # pixels a side; pixels with data
_ABOUT = 1.5  # how far a fit may end from the ring that a person drew, as a factor
_COARSE = 80  # pixels a side beyond which the search is done at coarser ones


@dataclass(frozen=True, slots=True, eq=False)
class FitRequest:
    """What a fit needs.

    ``pixels`` (n, n) are centred on the deflector, NaN where there are no data, ``pixel_scale`` is in arcsec;
    ``kernel`` (odd, odd) is the PSF at that scale, None for a Gaussian of ``fwhm`` arcsec; ``einstein_radius`` (arcsec)
    is where to begin, and within half as much again to end; None for where most light is left beside the deflector.
    ``note`` says what had to be assumed, and is among the notes of the fit.
    """

    pixels: FloatArray
    pixel_scale: float
    fwhm: float
    kernel: FloatArray | None = None
    einstein_radius: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The stamp as a fit sees it: sky taken off, in units of nothing but its own."""

    pixels: NDArray[np.float64]
    noise: NDArray[np.float64]
    inside: NDArray[np.bool_]
    scale: float
    fine: int  # rays a pixel, along each axis
    transform: NDArray[np.complex128]  # of the PSF
    padded: tuple[int, int]
    centre: tuple[float, float]  # the brightest pixel near the middle
    ring: tuple[float, float]  # least and greatest Einstein radius

    @classmethod
    def of(cls, request: FitRequest, *, fine: int) -> View:
        """The stamp with its sky taken off, and its noise; ``fine`` rays a pixel along each axis.

        Raises
        ------
        ImageError
            Too small a stamp, or hardly any data in it.
        """
        pixels = np.asarray(request.pixels, np.float64)
        n, scale = len(pixels), request.pixel_scale
        if pixels.ndim != 2 or pixels.shape[1] != n or n < _SMALLEST:
            raise ImageError(f"A lens model needs a square stamp of {_SMALLEST} pixels at least: choose a wider field")
        axis = (np.arange(n) - (n - 1) / 2) * scale
        radius = np.hypot(axis, axis[:, None])
        inside = np.isfinite(pixels) & (radius <= axis[-1])
        if inside.sum() < _FEWEST:
            raise ImageError("There are hardly any data in this stamp: choose a wider field, or another candidate")
        level, sigma = _sky(pixels[np.isfinite(pixels) & (radius > 0.75 * axis[-1])])
        pixels = np.where(np.isfinite(pixels), pixels - level, 0.0)
        bright = np.clip(gaussian_filter(pixels, 1.0), 0, None)
        kernel = _gaussian(request.fwhm / scale) if request.kernel is None else np.asarray(request.kernel, np.float64)
        side = next_fast_len(n + len(kernel), real=True)
        whole = np.zeros((side, side))
        whole[: len(kernel), : len(kernel)] = kernel / kernel.sum()
        whole = np.roll(whole, (-(len(kernel) // 2),) * 2, (0, 1))
        return cls(
            pixels,
            np.hypot(sigma, _FRACTION * bright),
            inside,
            scale,
            fine,
            rfft2(whole),
            (side, side),
            _peak(bright, radius < max(0.12 * axis[-1], 2.5 * scale), axis),
            _ring(request.einstein_radius, 2 * scale, n / 2 * scale),
        )

    def rays(self) -> tuple[Vector, Vector]:
        """Positions of the rays, arcsec, flat."""
        n = len(self.pixels) * self.fine
        axis = (np.arange(n) - (n - 1) / 2) * self.scale / self.fine
        x, y = np.meshgrid(axis, axis)
        return x.ravel(), y.ravel()

    def seen(self, light: Vector) -> NDArray[np.float64]:
        """Light along the rays as an image (n, n), blurred by the PSF."""
        n, fine = len(self.pixels), self.fine
        image = light.reshape(n, fine, n, fine).mean((1, 3))
        return np.asarray(irfft2(rfft2(image, self.padded) * self.transform, self.padded)[:n, :n])

    def solve(self, columns: list[NDArray[np.float64]]) -> tuple[Vector, Vector]:
        """Brightness of each column, none negative but that of the sky, which is the last; and the misfit in sigmas."""
        weight = 1 / self.noise[self.inside]
        design = np.stack([column[self.inside] * weight for column in (*columns, np.ones_like(self.pixels))], 1)
        wanted = self.pixels[self.inside] * weight
        used = np.ones(design.shape[1], bool)
        while True:
            amplitudes = np.zeros(len(used))
            normal = design[:, used].T @ design[:, used]
            ridge = 1e-10 * np.trace(normal) / len(normal) * np.eye(len(normal))
            amplitudes[used] = np.linalg.solve(normal + ridge, design[:, used].T @ wanted)
            negative = used & (amplitudes < 0)
            negative[-1] = False
            if not negative.any():
                return amplitudes, design @ amplitudes - wanted
            used &= ~negative


def coarser(request: FitRequest) -> tuple[View, float]:
    """The stamp as it is searched, quickly, and how far (arcsec, both axes) its middle lies from that of the stamp."""
    n = len(request.pixels)
    factor = -(-n // _COARSE)
    if factor == 1:
        return View.of(request, fine=1), 0.0
    kept = n // factor * factor
    cells = np.asarray(request.pixels)[:kept, :kept].reshape(kept // factor, factor, kept // factor, factor)
    scale = factor * request.pixel_scale
    fwhm = float(np.hypot(request.fwhm, 0.5 * scale))
    coarse = replace(request, pixels=cells.mean((1, 3)), pixel_scale=scale, kernel=None, fwhm=fwhm)
    return View.of(coarse, fine=1), -(n - kept) / 2 * request.pixel_scale


def _peak(image: NDArray[np.float64], near: NDArray[np.bool_], axis: NDArray[np.floating]) -> tuple[float, float]:
    y, x = np.unravel_index(int(np.argmax(np.where(near, image, -np.inf))), image.shape)
    return float(axis[x]), float(axis[y])


def _ring(measured: float | None, least: float, most: float) -> tuple[float, float]:
    """Around a radius that a person measured, else between two pixels and the rim."""
    if measured is None or not least < measured < most:
        return least, most
    return max(least, measured / _ABOUT), min(most, measured * _ABOUT)


def _sky(rim: Vector) -> tuple[float, float]:
    """Level and noise of the sky: median and width of the lower half, which sources do not reach."""
    if not len(rim):
        return 0.0, 1.0
    level = float(np.median(rim))
    below = level - rim[rim <= level]
    sigma = 1.4826 * float(np.median(below)) if below.any() else 0.0
    return level, sigma or max(1e-3 * float(np.abs(rim).max()), 1e-12)


def _gaussian(fwhm: float) -> NDArray[np.float64]:
    half = max(2, int(np.ceil(2 * fwhm)))
    axis = np.arange(-half, half + 1)
    return np.asarray(np.exp(-4 * np.log(2) * (axis**2 + axis[:, None] ** 2) / max(fwhm, 0.3) ** 2))
