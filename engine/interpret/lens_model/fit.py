"""A quick lens model of a stamp: an SIE with external shear, a Sersic deflector and a Sersic source.

What is linear (the brightness of deflector, source and sky) is solved for at every step; the rest is left to a
least-squares fit from several starts. A fit takes a second or a few: enough to see whether a lens explains the light,
and how large it is; not to weigh a galaxy. Angles are arcsec, positions are from the middle of the stamp, x along its
rows and y up its columns, as everywhere in a mosaic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from engine.interpret.lens_model.describe import described
from engine.interpret.lens_model.parameters import LIGHT, POSITIONS, STEPS, Vector, bounds, named
from engine.interpret.lens_model.render import SOFT, images, left_over, misfit_of, soft
from engine.interpret.lens_model.view import FitRequest, View, coarser
from engine.types import Step

_STARTS, _SAME = 4, 1e-3
_FINE = 100  # pixels a side up to which two rays a pixel, along each axis, are shot
_SEARCHING, _POLISHING = 25, 60  # steps of a fit


def fit_lens(request: FitRequest) -> Iterator[Step]:
    """Fit a lens to a stamp; the item of the last Step is a LensFit.

    Errors are those of the noise, widened where the model misses it. The noise of a pixel is that of the sky, measured
    at the rim, and 3 % of the light there, which stands for photon noise and for what a Sersic profile cannot follow.
    Neighbours, point images and cosmic rays count little (a soft loss). Large stamps are searched at coarser pixels.

    Raises
    ------
    ImageError
        Too small a stamp, or hardly any data in it.
    """
    steps = _STARTS + 3
    coarse, offset = coarser(request)
    view = View.of(request, fine=2 if len(request.pixels) <= _FINE else 1)
    yield Step(0, steps, note="Fitting the deflector")
    alone = deflector(coarse)
    yield Step(1, steps, note="Looking for where to begin")
    found: list[OptimizeResult] = []
    for number, start in enumerate(starts(coarse, alone, request.einstein_radius or brightest_radius(coarse, alone))):
        yield Step(2 + number, steps, note=f"Fitting, start {number + 1} of {_STARTS} at the most")
        found.append(fit(coarse, start, _SEARCHING))
        found.sort(key=lambda one: one.cost)
        if len(found) > 1 and found[1].cost < (1 + _SAME) * found[0].cost:
            break  # two starts that end in one place: others would too
    yield Step(_STARTS + 2, steps, note="Fitting from the best of them")
    alone[list(POSITIONS[:2])] += offset
    best = found[0].x
    best[list(POSITIONS)] += offset
    yield Step(steps, steps, (described(view, fit(view, best, _POLISHING), alone, request),))


def fit(view: View, start: Vector, steps: int, loss: Literal["soft_l1", "cauchy"] = "soft_l1") -> OptimizeResult:
    """Least squares from a start, within the bounds of a lens."""
    low, high = bounds(len(start), view.centre, view.scale, view.ring)
    margin = 1e-6 * (high - low)

    def misfit(vector: Vector) -> Vector:
        return misfit_of(view, vector)

    return least_squares(
        misfit,
        np.clip(start, low + margin, high - margin),
        bounds=(low, high),
        x_scale=STEPS[: len(start)],
        loss=loss,
        f_scale=SOFT,
        max_nfev=steps,
        ftol=1e-4,
        xtol=1e-5,
    )


def deflector(view: View) -> Vector:
    """The deflector alone, whatever lies beside it."""
    start = np.array([one[0] for one in LIGHT.values()])
    start[4:6] = view.centre
    return np.asarray(fit(view, start, 40, "cauchy").x)


def brightest_radius(view: View, alone: Vector) -> float:
    """The radius (arcsec) about which the deflector leaves most light."""
    left = np.where(view.inside, np.clip(left_over(view, images(view, alone)[0]), 0, 20), 0.0)
    n = len(left)
    axis = (np.arange(n) - (n - 1) / 2) * view.scale
    radius = np.hypot(axis - alone[4], (axis - alone[5])[:, None])
    bins = np.arange(2 * view.scale, 0.85 * axis[-1], view.scale)
    found = [left[(radius > r - 1.5 * view.scale) & (radius <= r + 1.5 * view.scale)].sum() / np.sqrt(r) for r in bins]
    return float(bins[int(np.argmax(found))]) if len(bins) else 4 * view.scale


def starts(view: View, alone: Vector, radius: float) -> list[Vector]:
    """The most promising of many lenses about ``radius``: its size and the place of its source are tried."""
    p = named(alone)
    furthest = 0.45 * len(view.pixels) * view.scale
    radii = {0.8 * radius, radius, 1.2 * radius, *np.geomspace(0.15 * furthest, 0.7 * furthest, 5).tolist()}
    tried: list[tuple[float, Vector]] = []
    places = [(0.0, 0.0)] + [
        (r * np.cos(a), r * np.sin(a)) for r in (0.15, 0.35) for a in np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ]
    for radius in sorted(one for one in radii if view.ring[0] < one < view.ring[1]):
        for x, y in places:
            mass = [radius, 0.7 * p["light_e1"], 0.7 * p["light_e2"], 0.0, 0.0]
            source = [np.log(0.15 * radius), 1.2, 0.0, 0.0, p["x"] + x * radius, p["y"] + y * radius]
            vector = np.concatenate([alone, mass, source])
            tried.append((soft(misfit_of(view, vector)), vector))
    return [vector for _, vector in sorted(tried, key=lambda one: one[0])[:_STARTS]]
