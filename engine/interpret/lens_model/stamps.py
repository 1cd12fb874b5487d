"""Stamps for lens models, cut out of a mosaic with the PSF of the stars around them; and many fits at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from engine.detect.sources import find_sources, sigma_image
from engine.errors import DataError, ImageError
from engine.images.cutouts import cut
from engine.interpret.aside import run_aside
from engine.interpret.lens_model.fit import fit_lens
from engine.interpret.lens_model.view import FitRequest
from engine.simulate.psf import OVERSAMPLING, measure_point_spread
from engine.types import FloatArray, LensFit, Mosaic, Step

WIDEST = 160  # pixels a side that are fitted
_USUAL = 12.0  # arcsec
_AROUND = 1024  # pixels a side in which stars are looked for
_ASSUMED = 2.5  # pixels: the FWHM of a well-sampled image
_WIDE = 5.0  # pixels: what is wider than this, where no star is near, is no star either


def usual_side(mosaic: Mosaic, einstein_radius: float | None = None) -> float:
    """The side (arcsec) of a stamp worth fitting: six Einstein radii where one was measured, else 12 arcsec or less."""
    scale = mosaic.pixel_scale or 1.0
    wished = 6 * einstein_radius if einstein_radius else _USUAL
    return float(np.clip(wished, 32 * scale, WIDEST * scale))


def fit_request(
    mosaic: Mosaic,
    x: float,
    y: float,
    *,
    band: int = 0,
    side: float | None = None,
    seeing: float | None = None,
    einstein_radius: float | None = None,
) -> FitRequest:
    """Cut a stamp at the mosaic's own pixels and measure the PSF beside it.

    Parameters
    ----------
    x, y : pixels of the mosaic
    side : arcsec (None: ``usual_side``), at most 160 pixels
    seeing : FWHM in arcsec of a Gaussian PSF; None measures it from stars within some 500 pixels
    einstein_radius : arcsec, where to begin

    Raises
    ------
    ImageError
        A mosaic without a pixel scale.
    """
    scale = mosaic.pixel_scale
    if scale is None:
        raise ImageError(f"{mosaic.name} has no pixel scale, so a ring has no size: open it with one")
    wished = usual_side(mosaic, einstein_radius) if side is None else side
    size = int(np.clip(round(wished / scale), 16, WIDEST))
    stamp = cut(mosaic, np.array([[x, y]]), size=size, pixel_scales=(scale,), bands=(band,))
    kernel, fwhm, note = None, seeing, ""
    if seeing is None:
        kernel, fwhm, note = _point_spread(mosaic, x, y, band, scale)
    assert fwhm is not None
    return FitRequest(stamp.pixels[0, 0, 0], scale, fwhm, kernel, einstein_radius, note)


def _point_spread(mosaic: Mosaic, x: float, y: float, band: int, scale: float) -> tuple[FloatArray | None, float, str]:
    """The PSF at the pixels of the mosaic, its FWHM in arcsec, and what had to be assumed."""
    half, (ny, nx) = _AROUND // 2, mosaic.shape
    y0, x0 = max(0, round(y) - half), max(0, round(x) - half)
    y1, x1 = min(ny, round(y) + half), min(nx, round(x) + half)
    try:
        light, image, sigma = sigma_image(mosaic.read(y0, y1, x0, x1, bands=(band,))[0])
        if not sigma > 0:
            raise DataError("no data")
        sources = find_sources(image, threshold=3.0, light=light)
        # Whatever else is round and bright there, the candidate is no star.
        others = np.hypot(sources["x"] + x0 - x, sources["y"] + y0 - y) > max(3.0 / scale, 10)
        found = measure_point_spread(light, sources[others])
        if not found.stars and found.fwhm > _WIDE:
            raise DataError("the smallest sources are galaxies")
    except DataError:
        return None, _ASSUMED * scale, f"No star is near: the PSF is taken for a Gaussian of {_ASSUMED * scale:.2f}″"
    side = len(found.kernel) // OVERSAMPLING
    kernel = found.kernel.reshape(side, OVERSAMPLING, side, OVERSAMPLING).sum((1, 3)).astype(np.float32)
    return kernel, found.fwhm * scale, found.note


def fit_lenses(requests: Sequence[FitRequest], processes: int = 1) -> Iterator[Step]:
    """Fit lenses in processes of their own, so that a window moves on meanwhile.

    Each item is the index of a request with its LensFit, or with the ImageError that it ended in; in the order in which
    they are done. Closing the generator lets go of those that have not begun.
    """
    return run_aside([partial(_fitted, one) for one in requests], "Fitting", processes)


def _fitted(request: FitRequest) -> LensFit | ImageError:
    try:
        *_, last = fit_lens(request)
    except ImageError as error:
        return error
    found: LensFit = last.items[0]
    return found
