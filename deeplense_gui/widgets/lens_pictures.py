"""A fitted lens as four pictures and a few lines of numbers."""

from __future__ import annotations

import numpy as np

from deeplense_gui.widgets import pictures
from deeplense_gui.widgets.stamp import Picture
from engine.images import scaling
from engine.types import FloatArray, LensFit, Substructure

_SOURCE_END = 50.0  # brightness of the middle of the source in units at which the stretch is no more linear


def make_pictures(fit: LensFit) -> dict[str, Picture]:
    """The four pictures of a fit: data and model in one stretch, what is left in sigmas, the source in its own."""
    sky, noise = scaling.background(fit.data)
    zero, unit = np.float32(sky if np.isfinite(sky) else 0.0), np.float32(noise if noise > 0 else 1.0)
    data, model = (fit.data - zero) / unit, (fit.model - zero) / unit
    end = pictures.bright_end(data)
    source: FloatArray = fit.source / np.float32(max(float(fit.source.max()), 1e-12)) * np.float32(_SOURCE_END)
    return {
        "data": Picture("data", "The pixels that were fitted", pictures.single(pictures.asinh(data, end)), fit.side),
        "model": Picture(
            "model", "Deflector and lensed source, blurred as the image is, in the stretch of the data",
            pictures.single(pictures.asinh(model, end)), fit.side,
        ),
        "residual": Picture(
            "residual ±5σ", "Data minus model in units of the noise, from blue (too bright a model) to orange",
            pictures.diverging(fit.residual, 5.0), fit.side,
        ),
        "source": Picture(
            f"source {fit.source_side:.2g}″", "The source as it would be seen without the lens",
            pictures.single(pictures.asinh(source, _SOURCE_END)), fit.source_side,
        ),
    }  # fmt: skip


KINDS = {"no_sub": "none", "cdm": "CDM subhalos", "axion": "axion vortex"}
"""Kinds of substructure in words."""


def make_copies(found: Substructure) -> dict[str, Picture]:
    """The stamp without lens light and a copy of its lens of each kind, in one stretch."""
    sky, noise = scaling.background(found.stamp)
    zero, unit = np.float32(sky if np.isfinite(sky) else 0.0), np.float32(noise if noise > 0 else 1.0)
    end = pictures.bright_end((found.stamp - zero) / unit)

    def picture(pixels: FloatArray, name: str, tip: str) -> Picture:
        return Picture(name, tip, pictures.single(pictures.asinh((pixels - zero) / unit, end)), found.side)

    made = {"stamp": picture(found.stamp, "stamp", "The stamp without the light of the lens, which the model fills in")}
    for kind, pixels in zip(found.classes, found.examples, strict=True):
        words = KINDS.get(kind, kind)
        made[kind] = picture(pixels, words.split()[0], f"One of the copies of this lens with substructure: {words}")
    return made


def numbers(fit: LensFit) -> str:
    """The numbers of a fit as rich text, their errors those of the noise alone."""
    rows = (
        ("Einstein radius", f"<b>{fit.einstein_radius:.3f}″</b> ± {fit.einstein_radius_error:.3f}″"),
        ("Axis ratio", f"{fit.axis_ratio:.2f} at {fit.angle % 180:.0f}°"),
        ("Shear", f"{fit.shear:.3f} at {fit.shear_angle % 180:.0f}°"),
        ("Source", f"radius {fit.source_radius:.2f}″, magnified {fit.magnification:.1f} ×"),
        ("χ² a pixel", f"{fit.chi2:.2f} (galaxy alone {fit.chi2_alone:.2f})"),
    )
    whole = "white-space:nowrap"
    cells = "".join(
        f"<tr><td style='{whole}; padding-right:8px'>{name}</td><td style='{whole}'>{text}</td></tr>"
        for name, text in rows
    )
    return f"<table cellspacing='1'>{cells}</table>"
