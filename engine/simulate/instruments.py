"""The cameras of the dark-matter recipes, and the noise that they add. Fluxes are electrons a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from engine.simulate.sky import Generator, Image

_FWHM = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian, in its sigma


@dataclass(frozen=True, slots=True)
class Instrument:
    """A camera and its exposures.

    ``pixel_scale`` and ``seeing`` (FWHM of a Gaussian) are arcsec; ``exposure_time`` seconds, of all ``exposures``
    together; ``zero_point`` the AB magnitude of one electron a second; ``sky_brightness`` AB magnitudes per square
    arcsec (infinite for none); ``read_noise`` electrons an exposure; ``background`` the rms of any further noise,
    electrons a second.
    """

    pixel_scale: float
    seeing: float
    exposure_time: float
    exposures: int = 1
    zero_point: float = 0.0
    sky_brightness: float = np.inf
    read_noise: float = 0.0
    background: float = 0.0

    @property
    def sky(self) -> float:
        """Electrons a second that the sky gives a pixel."""
        return float(10 ** (0.4 * (self.zero_point - self.sky_brightness)) * self.pixel_scale**2)

    @property
    def blank_noise(self) -> float:
        """Noise (rms) of a pixel without a source, electrons a second."""
        read = self.exposures * (self.read_noise / self.exposure_time) ** 2
        return float(np.sqrt(self.sky / self.exposure_time + read + self.background**2))

    def flux(self, magnitude: float) -> float:
        """Electrons a second from an AB magnitude."""
        return float(10 ** (0.4 * (self.zero_point - magnitude)))

    def blur(self, light: Image) -> Image:
        """Light (ny, nx) seen through the point-spread function, a Gaussian cut at three sigma."""
        sigma = self.seeing / _FWHM / self.pixel_scale
        return np.asarray(gaussian_filter(light, sigma, mode="nearest", truncate=3))

    def observe(self, random: Generator, light: Image) -> Image:
        """Light (ny, nx) as read out, sky subtracted: photon noise of source and sky, and Gaussian read noise."""
        counts = random.poisson((np.clip(light, 0, None) + self.sky) * self.exposure_time)
        read = np.sqrt(self.exposures) * self.read_noise / self.exposure_time
        return np.asarray(
            counts / self.exposure_time
            - self.sky
            + np.hypot(read, self.background) * random.standard_normal(light.shape)
        )


# Model I of the DeepLense data sets: no telescope, but its exposure time is drawn anew for each stamp.
IDEAL = Instrument(pixel_scale=0.05, seeing=0.087, exposure_time=1e3, background=0.01)
# Euclid, four exposures of 565 s as in the DeepLense data sets; the zero point is lenstronomy's.
EUCLID_VIS = Instrument(
    pixel_scale=0.101, seeing=0.16, exposure_time=2260.0, exposures=4, zero_point=25.72, sky_brightness=22.35,
    read_noise=4.2,
)  # fmt: skip
# HST, as in the DeepLense data sets, whose seeing is sharper than the camera's own.
WFC3_F160W = Instrument(
    pixel_scale=0.08, seeing=0.08, exposure_time=5400.0, zero_point=25.96, sky_brightness=22.3, read_noise=4.0
)
