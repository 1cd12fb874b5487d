"""What a fitted lens is, in the words and units of astronomers, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from engine.interpret.lens_model.parameters import LIGHT, Vector, bounds, ellipse, models, named, sersic
from engine.interpret.lens_model.render import images, left_over, soft
from engine.interpret.lens_model.view import FitRequest, View
from engine.types import FloatArray, LensFit

_WORTH = 100.0  # squared sigmas that a lensed source must explain beyond the galaxy
_POOR = 3.0  # mean squared sigmas


def described(view: View, found: OptimizeResult, alone: Vector, request: FitRequest) -> LensFit:
    """A LensFit of what was found, and of the deflector fitted ``alone``."""
    p = named(found.x)
    model, arcs, amplitudes = images(view, found.x)
    left = left_over(view, model)
    chi2, chi2_alone = soft(left[view.inside]), soft(left_over(view, images(view, alone)[0])[view.inside])
    variance = np.linalg.pinv(found.jac.T @ found.jac).diagonal() * max(1.0, chi2)
    source, source_side = _source(p, float(amplitudes[1]))
    ratio, angle = ellipse(p["e1"], p["e2"])
    unlensed = float(source.sum()) * (source_side / len(source)) ** 2
    magnification = float(arcs.sum()) * view.scale**2 / unlensed if unlensed > 0 else 0.0
    fit = LensFit(
        einstein_radius=p["einstein_radius"],
        einstein_radius_error=float(np.sqrt(variance[len(LIGHT)])),
        axis_ratio=ratio,
        angle=angle,
        shear=float(np.hypot(p["gamma1"], p["gamma2"])),
        shear_angle=float(np.degrees(np.arctan2(p["gamma2"], p["gamma1"])) / 2),
        magnification=magnification,
        source_radius=float(np.exp(p["source_radius"])),
        chi2=chi2,
        chi2_alone=chi2_alone,
        side=len(view.pixels) * view.scale,
        source_side=source_side,
        data=_float(np.where(np.isfinite(request.pixels), view.pixels, np.nan)),
        model=_float(model),
        arcs=_float(arcs),
        residual=_float(np.where(view.inside, left, np.nan)),
        source=_float(source),
        parameters=p,
    )
    return replace(fit, notes=_notes(fit, found, view, request))


def _float(values: NDArray[np.float64]) -> FloatArray:
    made = values.astype(np.float32)
    made.flags.writeable = False
    return made


def _source(p: dict[str, float], brightness: float) -> tuple[NDArray[np.float64], float]:
    """The source as it would be seen without a lens, (m, m), and the side it spans."""
    side = 8 * float(np.exp(p["source_radius"]))
    axis = (np.arange(64) - 31.5) * side / 64
    x, y = np.meshgrid(axis, axis)
    profile = sersic({**p, "source_x": 0.0, "source_y": 0.0}, "source", "source_x", "source_y")
    light = models()[1].surface_brightness(x.ravel(), y.ravel(), [profile])
    return np.asarray(brightness * light.reshape(x.shape)), side


def _notes(fit: LensFit, found: OptimizeResult, view: View, request: FitRequest) -> tuple[str, ...]:
    """What speaks against a fit, in words."""
    low, high = bounds(len(found.x), view.centre, view.scale, view.ring)
    notes = [request.note] if request.note else []
    pixels = int(view.inside.sum())
    if pixels * (fit.chi2_alone - fit.chi2) < _WORTH or not fit.arcs.any():
        notes.append("A lensed source explains hardly more than the galaxy alone: there may be no lens")
    if fit.einstein_radius < max(request.fwhm, 3 * view.scale):
        notes.append("The ring is smaller than the seeing: it cannot be told from the core of the galaxy")
    at_limit = not 1.02 * low[len(LIGHT)] < found.x[len(LIGHT)] < 0.98 * high[len(LIGHT)]
    if at_limit and request.einstein_radius is not None:
        notes.append("The fit wants another radius than the ring that was drawn: draw it anew, or take it away")
    elif found.x[len(LIGHT)] > 0.98 * high[len(LIGHT)]:
        notes.append("The ring reaches the rim: choose a wider field")
    if fit.chi2 > _POOR:
        notes.append("Much is left over: structure, neighbours or point images that the model does not know")
    if fit.einstein_radius_error > 0.2 * fit.einstein_radius:
        notes.append("The Einstein radius is hardly constrained")
    edges = np.isclose(found.x[7:9], low[7:9], atol=0.01) | np.isclose(found.x[7:9], high[7:9], atol=0.01)
    if edges.any():
        notes.append("The mass is flatter than galaxies are: do not trust its shape")
    return tuple(notes)
