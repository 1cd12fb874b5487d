"""What may be changed of a stamp without changing what it shows: its views, its place, its noise, its seeing.

Never its shear: that is what a lens does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from torch import Tensor
from torch.nn import functional

from engine.models.predict import view
from engine.types import FloatArray

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))  # of a Gaussian, in its sigmas
_SHARP = 0.2  # pixels; a Gaussian of a smaller sigma changes no pixel


def augmented(
    stamps: Tensor, generator: torch.Generator, noise: float = 0.0, shift: int = 0, *, turns: bool = True
) -> Tensor:
    """The prepared stamps in mixed views, each eighth of the batch in one (all as they are without ``turns``).

    ``noise`` adds up to that sigma, drawn per stamp. ``shift`` moves each stamp by a whole number of pixels drawn up
    to it, all scales alike, with zeros (no data) where it leaves; the residual channel moves with what it was made
    from, so it is the residual about the galaxy and not about the middle of the moved stamp.
    """
    numbers = torch.randperm(8, generator=generator).tolist()
    eighths = zip(stamps.chunk(8), numbers, strict=False)
    mixed = torch.cat([view(part, number) for part, number in eighths]) if turns else stamps
    if noise > 0:
        sigma = noise * torch.rand((len(mixed), 1, 1, 1, 1), generator=generator)
        grain = torch.randn(mixed.shape, generator=generator)
        mixed = mixed + (sigma * grain).to(mixed.device)
    return _shifted(mixed, generator, shift) if shift else mixed


def _shifted(stamps: Tensor, generator: torch.Generator, most: int) -> Tensor:
    size = stamps.shape[-1]
    moves = torch.randint(2 * most + 1, (len(stamps), 2), generator=generator).tolist()
    padded = functional.pad(stamps, (most, most, most, most))
    return torch.stack([one[..., y : y + size, x : x + size] for one, (y, x) in zip(padded, moves, strict=True)])


def blurred(pixels: FloatArray, pixel_scales: Sequence[float], random: np.random.Generator, most: float) -> FloatArray:
    """Stamps in flux as seen through worse seeing: another Gaussian on top, and the noise made up for.

    Parameters
    ----------
    pixels : (n, scale, band, size, size), NaN where there are no data, which stays so
    pixel_scales : arcsec
    most : largest FWHM of the added Gaussian, arcsec; drawn uniformly for each stamp, the same in all of its bands

    Returns
    -------
    The stamps with the same total flux and the same scatter of their sky: a Gaussian smooths the noise too, and white
    noise is added for what it took.
    """
    out = np.array(pixels, np.float32)
    for stamp, fwhm in zip(out, random.uniform(0, most, len(out)), strict=True):
        for bands, scale in zip(stamp, pixel_scales, strict=True):
            sigma = fwhm / _FWHM / scale
            if sigma > _SHARP:
                for k, band in enumerate(bands):
                    bands[k] = _smoothed(band, sigma, random)
    return out


def _smoothed(image: FloatArray, sigma: float, random: np.random.Generator) -> FloatArray:
    valid = np.isfinite(image)
    if not valid.any():
        return image
    sky = np.median(image[valid])
    filled = np.where(valid, image, sky)
    below = filled[valid & (image <= sky)]
    scatter = 1.4826 * float(np.median(sky - below)) if len(below) else 0.0
    kernel = _gaussian(sigma)
    smooth = correlate1d(correlate1d(filled, kernel, 0, mode="nearest"), kernel, 1, mode="nearest")
    taken = 1.0 - float(np.sum(kernel**2)) ** 2  # of the variance of white noise
    smooth += random.normal(0.0, scatter * np.sqrt(taken), image.shape)
    return np.where(valid, smooth, np.nan).astype(np.float32)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """A Gaussian of a sum of one, out to four sigma."""
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())
