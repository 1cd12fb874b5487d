"""Stamps in which the colour of the galaxy in the middle is dimmed, so that what is bluer stands out.

Arcs are images of galaxies that form stars, their deflectors are old: in the blue band minus the scaled red one the
deflector fades and the arc stays (RingFinder, Gavazzi et al. 2014, ApJ 785, 144). A network of single bands reads such
a stamp as one of a fainter deflector, so part of it is left.
"""

from __future__ import annotations

import numpy as np

from engine.images.wavelengths import wavelength
from engine.types import Cutouts, FloatArray

STRENGTHS = (0.6, 0.85)
"""Which parts of the galaxy in the middle are taken away, a stamp each."""

CORE = 0.5
"""Radius in arcsec within which the galaxy's colour is measured."""

_APART = 1.15  # least ratio of the wavelengths of two bands whose colours tell anything
_LARGEST_RATIO = 3.0  # of the blue over the red flux of a galaxy, in units of any zero point near that of the other


def contrasts(cutouts: Cutouts) -> FloatArray:
    """The bluest band minus parts of the reddest, scaled to the flux in the middle: (n, scale, strength, size, size).

    The sky of each is subtracted first. NaN where either band has no data. The strengths are none (an array of length
    0 along that axis) where no two bands with names that tell their wavelengths lie apart.
    """
    pixels = cutouts.pixels
    known = {index: nm for index, band in enumerate(cutouts.bands) if (nm := wavelength(band)) is not None}
    blue, red = min(known, key=known.__getitem__, default=0), max(known, key=known.__getitem__, default=0)
    if not known or known[red] < _APART * known[blue] or not len(pixels):
        return pixels[:, :, :0]
    light = pixels[:, :, [blue, red]]
    light = light - _median(light)
    flux = _core_flux(light[:, 0], cutouts.pixel_scales[0])
    ratio = np.clip(flux[:, 0] / np.where(flux[:, 1] > 0, flux[:, 1], np.inf), 0, _LARGEST_RATIO)
    galaxy = ratio[:, None, None, None].astype(np.float32) * light[:, :, 1]
    return np.stack([light[:, :, 0] - np.float32(strength) * galaxy for strength in STRENGTHS], axis=2)


def _median(light: FloatArray) -> FloatArray:
    """The sky of each band (n, 1, band, 1, 1): the median over the widest scale; 0 where there are no data."""
    widest = light[:, -1]
    seen = np.isfinite(widest).any((2, 3), keepdims=True)
    return np.asarray(np.nanmedian(np.where(seen, widest, 0), (2, 3), keepdims=True)[:, None], np.float32)


def _core_flux(light: FloatArray, scale: float) -> FloatArray:
    """Light (n, band, size, size) summed within ``CORE`` of the middle, (n, band)."""
    offset = (np.arange(light.shape[-1]) - (light.shape[-1] - 1) / 2) * scale
    core = np.hypot(offset[:, None], offset) < max(CORE, 1.5 * scale)
    return np.asarray(np.nansum(light[:, :, core], axis=2))
