"""The point spread function of a mosaic, measured from its own stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from engine.errors import DataError
from engine.images.cutouts import cut_array
from engine.simulate.sky import Image
from engine.types import FloatArray

OVERSAMPLING = 3  # samples of the kernel a pixel; odd, so that a pixel's centre is one of them
FEWEST_STARS = 5
_BRIGHT, _ROUND = 40.0, 0.75  # signal-to-noise and axis ratio of a star worth stacking
_ALIKE = 1.12  # ratio of the largest to the smallest half-light radius among stars
_MOST_STARS = 60


@dataclass(frozen=True, slots=True, eq=False)
class PointSpread:
    """``kernel`` (odd, odd) sums to 1, has OVERSAMPLING samples a pixel and includes the pixel's own blur.

    ``fwhm`` is the kernel's, in pixels; ``stars`` says how many were stacked; ``note`` is empty, or
    tells what had to be assumed.
    """

    kernel: Image
    fwhm: float
    stars: int
    note: str = ""


def measure_point_spread(image: FloatArray, sources: NDArray[np.void]) -> PointSpread:
    """Stack the stars of an image: bright, round sources of one size, the smallest there is.

    Parameters
    ----------
    image : (ny, nx), background subtracted; NaN is masked
    sources : structured array with x, y (pixels), radius (half-light, pixels), snr, a and b

    Returns
    -------
    The median of the stars in the core and, further out, the elliptical Moffat profile fitted to it. With fewer than
    five stars a Gaussian of the FWHM that the smallest bright sources have (twice their half-light radius), and a note.

    Raises
    ------
    DataError : no bright, round source at all
    """
    round_ones = sources[
        (sources["snr"] > _BRIGHT) & (sources["b"] > _ROUND * sources["a"]) & (sources["radius"] > 0.5)
    ]
    if not len(round_ones):
        raise DataError("The PSF cannot be measured, for no bright round source is there: type its FWHM with --seeing")
    stars = _stars(round_ones)
    if len(stars) < FEWEST_STARS:
        fwhm = 2 * float(np.percentile(round_ones["radius"], 10))
        return gaussian_point_spread(
            fwhm,
            f"Only {len(stars)} star{'s' if len(stars) > 1 else ''}: the PSF is a Gaussian of {fwhm:.2f} pixels FWHM",
        )
    half = int(np.clip(np.ceil(8 * np.median(stars["radius"])), 6, 32))
    size = OVERSAMPLING * (2 * half + 1)
    stamps = cut_array(
        image, np.column_stack([stars["x"], stars["y"]]), native_scale=1.0, size=size, pixel_scales=(1 / OVERSAMPLING,)
    )[:, 0, 0]
    radius = _radius(size)
    whole = stamps[np.isfinite(stamps).all((1, 2))].astype(np.float64)
    if len(whole) < FEWEST_STARS:
        fwhm = 2 * float(np.median(stars["radius"]))
        return gaussian_point_spread(fwhm, f"Stars lie at edges: the PSF is a Gaussian of {fwhm:.2f} pixels FWHM")
    whole -= np.median(whole[:, radius > 0.8 * half], axis=1)[:, None, None]
    core = radius < 2 * np.median(stars["radius"])
    stack = np.median(whole / whole[:, core].sum(1)[:, None, None], axis=0)
    wings, fwhm = _moffat(stack, 3 * float(np.median(stars["radius"])))
    share = np.clip((1.6 * fwhm - radius) / (0.5 * fwhm), 0, 1)
    kernel = np.clip(share * stack + (1 - share) * wings, 0, None) * (radius <= half)
    return PointSpread(kernel / kernel.sum(), fwhm, len(whole))


def gaussian_point_spread(fwhm: float, note: str = "") -> PointSpread:
    """A round Gaussian of ``fwhm`` pixels."""
    half = int(np.clip(np.ceil(3 * fwhm), 6, 32))
    kernel = np.exp(-4 * np.log(2) * (_radius(OVERSAMPLING * (2 * half + 1)) / fwhm) ** 2)
    return PointSpread(kernel / kernel.sum(), fwhm, 0, note)


def _stars(candidates: NDArray[np.void]) -> NDArray[np.void]:
    """Those in the most crowded narrow range of half-light radii among the smaller half, brightest first."""
    ordered = np.sort(candidates["radius"])
    starts = ordered[ordered <= np.median(ordered)]
    counts = np.searchsorted(ordered, _ALIKE * starts, "right") - np.searchsorted(ordered, starts)
    low = starts[int(np.argmax(counts))]
    chosen = candidates[(candidates["radius"] >= low) & (candidates["radius"] <= _ALIKE * low)]
    brightest: NDArray[np.void] = chosen[np.argsort(-chosen["snr"], kind="stable")][:_MOST_STARS]
    return brightest


def _radius(size: int) -> Image:
    """Distance from the middle in pixels of the image, (size, size) oversampled."""
    axis = (np.arange(size) - (size - 1) / 2) / OVERSAMPLING
    return np.asarray(np.hypot(axis, axis[:, None]))


def _moffat(stack: Image, reach: float) -> tuple[Image, float]:
    """The elliptical Moffat profile (Moffat 1969) fitted within ``reach`` pixels, and its FWHM in pixels."""
    size = len(stack)
    axis = (np.arange(size) - (size - 1) / 2) / OVERSAMPLING
    x, y = np.meshgrid(axis, axis)
    near = np.hypot(x, y) < reach
    peak = float(stack.max())

    def profile(p: NDArray[np.float64], x: Image, y: Image) -> Image:
        amplitude, core, beta, stretch, shear = p
        r2 = x**2 * np.exp(stretch) + y**2 * np.exp(-stretch) + 2 * shear * x * y
        return np.asarray(amplitude * (1 + np.clip(r2, 0, None) / core**2) ** -beta)

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(profile(p, x[near], y[near]) - stack[near] / peak)

    start, lowest, highest = [1.0, reach / 3, 3.0, 0.0, 0.0], [0.2, 0.1, 1.2, -1, -0.7], [3, 4 * reach, 20, 1, 0.7]
    fit = least_squares(misfit, start, bounds=(lowest, highest))
    _, core, beta, _, shear = fit.x
    # The product-average radius of an ellipse r2 = 1: its determinant is 1 - shear^2.
    fwhm = 2 * core * np.sqrt(2 ** (1 / beta) - 1) / (1 - shear**2) ** 0.25
    return profile(fit.x, x, y) * peak, float(fwhm)
