"""Copies of a fitted lens, with and without substructure: what its stamp would look like in each case.

Each copy has the mass, source, PSF and noise of the fit. Substructure is drawn as for the DeepLense models (a lens at
redshift 0.5, a source at 1.0; engine.simulate.dark_matter), and mass and source are then moved, to first order, to
where a fit would have found the same smooth lens: what a smooth lens can imitate tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.interpret.lens_model.parameters import LIGHT, STEPS, Vector, bounds, mass, models, named, sersic
from engine.interpret.lens_model.render import images
from engine.interpret.lens_model.view import FitRequest, View
from engine.simulate import substructure
from engine.simulate.dark_matter import draw_substructure
from engine.types import FloatArray

CORE = 0.5
"""Of the Einstein radius: within it, what is left of the deflector's light would speak, so all show the model there."""
_FINE = 100  # pixels a side up to which two rays a pixel, along each axis, are shot
_REFITS = 2
_PRIOR = 10.0  # STEPS by which a parameter may move freely
_SKY, _BRIGHT = 1.0, 5.0  # sigmas of the sky: pixels below and above are without and with light
_MEDIAN = 0.4549  # of the square of a normal deviate
_CORRELATED = 0.1  # between neighbouring pixels of the sky, from which on noise is taken for smoothed


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """The stamp (n, n) without lens light and sky, and copies (m, n, n) of it; ``labels`` (m,) index ``kinds``.

    ``pixel_scale`` is in arcsec; NaN where the stamp has no data. ``left`` (m,) is what a smooth lens would leave over
    of each, without its noise: the mean square, in sigmas.
    """

    pixel_scale: float
    stamp: FloatArray
    kinds: tuple[str, ...]
    copies: FloatArray
    labels: NDArray[np.int64]
    left: NDArray[np.float64]


def make_copies(
    request: FitRequest, parameters: Mapping[str, float], kinds: Sequence[str], number: int, seed: int
) -> Copies:
    """Make ``number`` copies of each kind of substructure (engine.simulate.dark_matter.CLASSES) of a fitted lens.

    Parameters
    ----------
    parameters : LensFit.parameters of a fit to ``request``

    Raises
    ------
    ImageError
        Hardly any data in the stamp.
    """
    vector = np.array(list(parameters.values()))
    random = np.random.default_rng(seed)
    smooth = _Smooth(View.of(request, fine=2 if len(request.pixels) <= _FINE else 1), vector)
    made = [smooth.copy(kind, random) for kind in kinds for _ in range(number)]
    view, core = smooth.view, smooth.core
    stamp = np.where(core, smooth.arcs + smooth.noise_of(random, bright=False), view.pixels - smooth.lens_light)
    whole = np.stack([stamp, *(copy for copy, _ in made)]).astype(np.float32)
    whole[:, ~np.isfinite(request.pixels)] = np.nan
    labels = np.repeat(np.arange(len(kinds)), number)
    left = np.array([one for _, one in made])
    return Copies(view.scale, whole[0], tuple(kinds), whole[1:], labels, left)


class _Smooth:
    """A fitted lens without substructure, and how its picture answers to a change of each parameter."""

    def __init__(self, view: View, vector: Vector) -> None:
        self.view, self.vector = view, vector
        model, self.arcs, amplitudes = images(view, vector)
        self.amplitude = float(amplitudes[1])
        self.lens_light = model - self.arcs
        self.sky_noise, self.gain, self.smoothing = _noise_of(view, model - amplitudes[-1], view.pixels - model)
        self.light = np.clip(model - amplitudes[-1], 0, None)
        p = self.p = named(vector)
        axis = (np.arange(len(model)) - (len(model) - 1) / 2) * view.scale
        self.core = np.hypot(axis - p["x"], axis[:, None] - p["y"]) < CORE * p["einstein_radius"]
        self.weight = np.where(view.inside & ~self.core, 1 / np.sqrt(self.sky_noise**2 + self.gain * self.light), 0.0)
        self.rays = view.rays()
        self.free = np.arange(len(LIGHT), len(vector))
        low, high = bounds(len(vector), view.centre, view.scale, view.ring)
        self.limits = np.minimum(low, vector), np.maximum(high, vector)
        self.answers = self._answers()
        self.unit = substructure.unit_einstein_radius("angular")

    def picture(self, vector: Vector, alpha: tuple[Vector, Vector] | None = None) -> NDArray[np.float64]:
        """The lensed source (n, n) of unit brightness, its rays bent by ``alpha`` as well."""
        p, (lens, light) = named(vector), models()
        x, y = lens.ray_shooting(*self.rays, mass(p))
        if alpha is not None:
            x, y = x - alpha[0], y - alpha[1]
        return self.view.seen(light.surface_brightness(x, y, [sersic(p, "source", "source_x", "source_y")]))

    def _answers(self) -> NDArray[np.float64]:
        """Changes of parameters and of the brightness, (parameter + 1, pixel), that undo a change of the picture."""
        step = 1e-3 * STEPS[self.free]
        moved = [(self.vector + h * _unit(i, len(self.vector)), self.vector - h * _unit(i, len(self.vector)))
                 for i, h in zip(self.free, step, strict=True)]  # fmt: skip
        columns = [self.amplitude * (self.picture(up) - self.picture(down)) / (2 * h)
                   for (up, down), h in zip(moved, step, strict=True)]  # fmt: skip
        design = np.stack([*columns, self.picture(self.vector)]).reshape(len(columns) + 1, -1) * self.weight.ravel()
        prior = np.diag([*(1 / (_PRIOR * STEPS[self.free]) ** 2), 0.0])
        return np.asarray(np.linalg.pinv(design @ design.T + prior) @ design)

    def copy(self, kind: str, random: np.random.Generator) -> tuple[NDArray[np.float64], float]:
        """A copy with noise, and the mean square in sigmas of what its substructure leaves over."""
        lens_mass = (self.p["einstein_radius"] / self.unit) ** 2
        halos, _ = draw_substructure(random, kind, lens_mass, distances="angular", slope=-0.9)
        vector, amplitude, alpha = self.vector.copy(), self.amplitude, None
        if len(halos.x):
            alpha = halos.deflection(self.rays[0] - self.p["x"], self.rays[1] - self.p["y"])
            for _ in range(_REFITS):
                missed = (amplitude * self.picture(vector, alpha) - self.arcs) * self.weight
                change = -self.answers @ missed.ravel()
                vector[self.free] = np.clip(
                    vector[self.free] + change[:-1], self.limits[0][self.free], self.limits[1][self.free]
                )
                amplitude += float(change[-1])
        arcs = amplitude * self.picture(vector, alpha)
        left = float((((arcs - self.arcs) * self.weight) ** 2).sum() / np.count_nonzero(self.weight))
        noisy = arcs + self.noise_of(random, bright=True)
        return np.where(self.core, self.arcs + self.noise_of(random, bright=False), noisy), left

    def noise_of(self, random: np.random.Generator, *, bright: bool) -> NDArray[np.float64]:
        """Noise (n, n) like that of the stamp, of the light as well or of the sky alone."""
        noise = random.standard_normal(self.light.shape)
        if self.smoothing:
            noise = gaussian_filter(noise, self.smoothing, mode="wrap")
            noise /= noise.std()
        return np.asarray(noise * np.sqrt(self.sky_noise**2 + (self.gain * self.light if bright else 0.0)))


def _unit(index: Any, size: int) -> Vector:
    return np.asarray(np.arange(size) == index, np.float64)


def _noise_of(
    view: View, light: NDArray[np.float64], left: NDArray[np.float64]
) -> tuple[float, float, float]:  # fmt: skip
    """Noise of the sky, variance that each unit of light adds, and the smoothing (sigma, pixels) of the noise.

    The share of the light is read off neighbouring pixels, between which what a model misses hardly differs.
    """
    sigma = float(view.noise.min())
    step = np.diff(left, axis=1) ** 2 / 2
    both = view.inside[:, 1:] & view.inside[:, :-1]
    mean = (light[:, 1:] + light[:, :-1]) / 2
    dark, bright = step[both & (mean < _SKY * sigma)], both & (mean > _BRIGHT * sigma)
    rough = float(np.median(dark)) / _MEDIAN if dark.size else sigma**2
    if rough <= 0:
        return sigma, 0.0, 0.0
    gain = 0.0
    if bright.any():
        gain = max(0.0, float(np.median((step[bright] / _MEDIAN - rough) / mean[bright]))) * sigma**2 / rough
    alike = 1 - rough / sigma**2
    return sigma, gain, 0.5 / float(np.sqrt(-np.log(min(alike, 0.9)))) if alike > _CORRELATED else 0.0
