"""A lens model as an image, and by how much it misses a stamp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.interpret.lens_model.parameters import ALIKE, EXPECTED, LIGHT, Vector, mass, models, named, sersic
from engine.interpret.lens_model.view import View

SOFT = 3.0  # sigmas up to which a misfit counts squared, beyond linearly


def columns_of(view: View, vector: Vector) -> list[NDArray[np.float64]]:
    """Images of deflector and, where the vector has one, source, of unit brightness."""
    p, (x, y) = named(vector), view.rays()
    lens, light = models()
    columns = [view.seen(light.surface_brightness(x, y, [sersic(p, "light", "x", "y")]))]
    if len(vector) > len(LIGHT):
        beta_x, beta_y = lens.ray_shooting(x, y, mass(p))
        source = sersic(p, "source", "source_x", "source_y")
        columns.append(view.seen(light.surface_brightness(beta_x, beta_y, [source])))
    return columns


def misfit_of(view: View, vector: Vector) -> Vector:
    """Sigmas by which each pixel is missed, and by which a lens is unlike others."""
    _, missed = view.solve(columns_of(view, vector))
    if len(vector) == len(LIGHT):
        return missed
    p = named(vector)
    unlike = [(p[name] - mean) / width for name, (mean, width) in EXPECTED.items()]
    unlike += [(p[name] - p[f"light_{name}"]) / ALIKE for name in ("e1", "e2")]
    return np.concatenate([missed, unlike])


def images(view: View, vector: Vector) -> tuple[NDArray[np.float64], NDArray[np.float64], Vector]:
    """The whole model (n, n), its lensed source alone, and the brightness of its parts."""
    columns = columns_of(view, vector)
    amplitudes, _ = view.solve(columns)
    parts = [a * column for a, column in zip(amplitudes, columns, strict=False)]
    return np.sum(parts, axis=0) + amplitudes[-1], parts[-1], amplitudes


def left_over(view: View, model: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a model leaves over, in sigmas, (n, n)."""
    return np.asarray((view.pixels - model) / view.noise)


def soft(sigmas: Vector) -> float:
    """Mean square of misfits, those beyond a few sigmas counted linearly: the loss of the fit."""
    return float((2 * SOFT**2 * (np.sqrt(1 + (sigmas / SOFT) ** 2) - 1)).mean())
