"""Copies of a fitted lens, with and without substructure: what its stamp would look like in each case.

Each copy has the mass, source, PSF and noise of the fit. Substructure is drawn as for the DeepLense models (a lens at
redshift 0.5, a source at 1.0; engine.simulate.dark_matter), and mass and source are then moved, to first order, to
where a fit would have found the same smooth lens: what a smooth lens can imitate tells nothing.

Where the smooth lens leaves something over of the stamp, the source may be at fault as well: the sources of all copies,
whatever their substructure, are clumpy, from not at all to enough for half as much again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from engine.errors import ImageError
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
_EXTENT, _CELLS = 8.0, 96  # half-light radii that a field of clumps spans, and its cells a side
_CLUMP = (0.12, 0.5)  # of the half-light radius: sigma of the smallest and largest clumps
_FAINT, _TRIED = 0.05, 7  # rms of clumps, and the number of fields, with which their effect is measured
_SMOOTH = 0.1  # squared sigmas a pixel that may be left over of a smooth source
_CLUMPIEST = 1.5  # of what is left over of the stamp
_PRIOR = 10.0  # STEPS by which a parameter may move freely
_BRIGHT = 5.0  # sigmas of the sky: pixels above have light
_OUTLIER = 5.0  # sigmas beyond which what is left over is a neighbour or a cosmic ray
_MEDIAN = 0.4549  # of the square of a normal deviate
_CORRELATED = 0.1  # between neighbouring pixels of the sky, from which on noise is taken for smoothed


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """The stamp (n, n) without lens light and sky, and copies (m, n, n) of it; ``labels`` (m,) index ``kinds``.

    ``pixel_scale`` is in arcsec; NaN where the stamp has no data. ``left`` (m,) is what a smooth lens with a smooth
    source would leave over of each copy, without its noise, ``left_of_stamp`` of the stamp: mean squares, in sigmas.
    """

    pixel_scale: float
    stamp: FloatArray
    kinds: tuple[str, ...]
    copies: FloatArray
    labels: NDArray[np.int64]
    left: NDArray[np.float64]
    left_of_stamp: float = 0.0


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
        Hardly any data in the stamp, or a fit without a lensed source.
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
    return Copies(view.scale, whole[0], tuple(kinds), whole[1:], labels, left, smooth.left)


class _Smooth:
    """A fitted lens without substructure, and how its picture answers to a change of each parameter."""

    def __init__(self, view: View, vector: Vector) -> None:
        self.view, self.vector = view, vector
        model, self.arcs, amplitudes = images(view, vector)
        self.amplitude = float(amplitudes[1])
        if not (self.amplitude > 0 and self.arcs.max() > 0):
            raise ImageError("The fit found no lensed source: there is no lens here that could carry substructure")
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
        outlier = _OUTLIER / np.maximum(self.weight, 1e-30)
        self.left = max(0.0, self._mean_square(np.clip(view.pixels - model, -outlier, outlier)) - 1)
        self.clumpiness = self._clumpiness() if self.left > _SMOOTH else 0.0

    def picture(
        self, vector: Vector, alpha: tuple[Vector, Vector] | None = None, clumps: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The lensed source (n, n) of unit brightness, its rays bent by ``alpha`` as well.

        ``clumps`` (m, m) is by how much the source is brighter or fainter, from place to place; it spans _EXTENT of its
        half-light radii, and repeats.
        """
        p, (lens, light) = named(vector), models()
        x, y = lens.ray_shooting(*self.rays, mass(p))
        if alpha is not None:
            x, y = x - alpha[0], y - alpha[1]
        profile = sersic(p, "source", "source_x", "source_y")
        brightness = light.surface_brightness(x, y, [profile])
        if clumps is not None:
            cell = _EXTENT * profile["R_sersic"] / len(clumps)
            at = np.stack([(y - profile["center_y"]) / cell, (x - profile["center_x"]) / cell])
            brightness = brightness * (1 + map_coordinates(clumps, at, order=1, mode="grid-wrap"))
        return self.view.seen(brightness)

    def _mean_square(self, missed: NDArray[np.float64]) -> float:
        """Of what is missed (n, n), in sigmas."""
        return float(((missed * self.weight) ** 2).sum() / np.count_nonzero(self.weight))

    def _clumpiness(self) -> float:
        """The rms of the brightness of a source with which the smooth lens leaves over what it does of the stamp."""
        random = np.random.default_rng(0)
        left = [self._mean_square(self.refitted(None, _FAINT * _clumps(random)) - self.arcs) for _ in range(_TRIED)]
        return float(_FAINT * np.sqrt(self.left / np.median(left)))

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

    def refitted(self, alpha: tuple[Vector, Vector] | None, clumps: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """The lensed source (n, n), changed, where mass and source are such that a fit finds the smooth lens."""
        vector, amplitude = self.vector.copy(), self.amplitude
        for _ in range(_REFITS if alpha is not None or clumps is not None else 0):
            missed = (amplitude * self.picture(vector, alpha, clumps) - self.arcs) * self.weight
            change = -self.answers @ missed.ravel()
            low, high = (limit[self.free] for limit in self.limits)
            vector[self.free] = np.clip(vector[self.free] + change[:-1], low, high)
            amplitude += float(change[-1])
        return amplitude * self.picture(vector, alpha, clumps)

    def copy(self, kind: str, random: np.random.Generator) -> tuple[NDArray[np.float64], float]:
        """A copy with noise, and the mean square in sigmas of what a smooth lens leaves over of it."""
        lens_mass = (self.p["einstein_radius"] / self.unit) ** 2
        halos, _ = draw_substructure(random, kind, lens_mass, distances="angular", slope=-0.9)
        alpha = halos.deflection(self.rays[0] - self.p["x"], self.rays[1] - self.p["y"]) if len(halos.x) else None
        clumps = None
        if self.clumpiness:
            clumps = self.clumpiness * np.sqrt(random.uniform(0, _CLUMPIEST)) * _clumps(random)
        arcs = self.refitted(alpha, clumps)
        noisy = arcs + self.noise_of(random, bright=True)
        made = np.where(self.core, self.arcs + self.noise_of(random, bright=False), noisy)
        return made, self._mean_square(arcs - self.arcs)

    def noise_of(self, random: np.random.Generator, *, bright: bool) -> NDArray[np.float64]:
        """Noise (n, n) like that of the stamp, of the light as well or of the sky alone."""
        noise = random.standard_normal(self.light.shape)
        if self.smoothing:
            noise = gaussian_filter(noise, self.smoothing, mode="wrap")
            noise /= noise.std()
        return np.asarray(noise * np.sqrt(self.sky_noise**2 + (self.gain * self.light if bright else 0.0)))


def _clumps(random: np.random.Generator) -> NDArray[np.float64]:
    """A random field (m, m) with an rms of one, clumps of which are a fraction of the source in size."""
    finest, coarsest = (share * _CELLS / _EXTENT for share in _CLUMP)
    field = gaussian_filter(random.standard_normal((_CELLS, _CELLS)), random.uniform(finest, coarsest), mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


def _unit(index: Any, size: int) -> Vector:
    return np.asarray(np.arange(size) == index, np.float64)


def _noise_of(view: View, light: NDArray[np.float64], left: NDArray[np.float64]) -> tuple[float, float, float]:
    """Noise of the sky, variance that each unit of light adds, and the smoothing (sigma, pixels) of the noise.

    The noise of the sky is the scatter of what is left over in the darker half of the stamp. The share of the light is
    read off neighbouring pixels, between which what a model misses hardly differs.
    """
    dark = view.inside & (light <= np.median(light[view.inside]))
    sky = left[dark]
    sigma = float(1.4826 * np.median(np.abs(sky - np.median(sky)))) or float(view.noise.min())
    step = np.diff(left, axis=1) ** 2 / 2
    rough = float(np.median(step[dark[:, 1:] & dark[:, :-1]])) / _MEDIAN
    if rough <= 0:
        return sigma, 0.0, 0.0
    mean = (light[:, 1:] + light[:, :-1]) / 2
    bright = view.inside[:, 1:] & view.inside[:, :-1] & (mean > _BRIGHT * sigma)
    gain = 0.0
    if bright.any():
        gain = max(0.0, float(np.median((step[bright] / _MEDIAN - rough) / mean[bright]))) * sigma**2 / rough
    alike = 1 - rough / sigma**2
    return sigma, gain, 0.5 / float(np.sqrt(-np.log(min(alike, 0.9)))) if alike > _CORRELATED else 0.0
