"""What a score hangs on: the stamp is changed in ways that leave a lens a lens, and scored again.

Networks that find lenses hinge on the PSF, the noise and the colour more than one would think. A score that a little
seeing overturns is none to rely on. Parts of the stamp are not cut out here: the edges that this makes are arcs to a
network (``engine.interpret.saliency.occlusion`` hides small patches instead).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from engine.detect.scoring import VIEWS, bands_for, expected
from engine.images.cutouts import cut
from engine.models.preprocess import levels
from engine.types import Cutouts, FloatArray, Mosaic, Probe, Step

if TYPE_CHECKING:
    from engine.models.predict import Classifier

AS_IT_IS = "as it is"
SEEING = (0.3, 0.6)  # arcsec of FWHM that are added
FAINTER = (0.5, 0.25)  # of the flux, with the noise that it had
SHIFT = 0.3  # arcsec, in four directions
_SIGMA = 2.3548  # FWHM over standard deviation of a Gaussian


def probe(mosaic: Mosaic, position: tuple[float, float], classifier: Classifier) -> Iterator[Step]:
    """Score a candidate as it is and changed, one change a step; the items are Probes, that of no change first.

    Parameters
    ----------
    position : pixels of the mosaic

    Raises
    ------
    ModelError : the model does not fit the mosaic
    """
    stamps = _changed(mosaic, position, classifier)
    for number, (name, stamp) in enumerate(stamps.items()):
        yield Step(number, len(stamps), note=name)
        scores = expected(classifier.score_bands(stamp, views=VIEWS), mosaic.pixel_scale)
        found = Probe(name, float(scores.score.mean()), float(np.hypot(scores.spread.mean(), scores.score.std())))
        yield Step(number + 1, len(stamps), (found,), name)


def _changed(mosaic: Mosaic, position: tuple[float, float], classifier: Classifier) -> dict[str, Cutouts]:
    """The stamp as it is and in each of its changes; one that moved it in several directions has a stamp of each."""
    card, bands = classifier.card, bands_for(classifier.card, mosaic)
    shape: dict[str, Any] = {"size": card.size, "pixel_scales": card.pixel_scales, "bands": bands}
    seen = cut(mosaic, np.array([position]), **shape)
    pixel = card.pixel_scales[0] if mosaic.pixel_scale is None else mosaic.pixel_scale
    around = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)]) * SHIFT / pixel
    stamps = {AS_IT_IS: seen}
    stamps |= {f"seeing worse by {fwhm:g}″": replace(seen, pixels=_blurred(seen, fwhm)) for fwhm in SEEING}
    stamps |= {f"{flux:.0%} as bright": replace(seen, pixels=_fainter(seen, flux)) for flux in FAINTER}
    stamps[f"moved by {SHIFT:g}″"] = cut(mosaic, np.array([position]) + around, **shape)
    if card.bands == ("any",) and len(seen.bands) > 1:
        for number, band in enumerate(seen.bands):
            stamps[f"{band} alone"] = replace(seen, pixels=seen.pixels[:, :, [number]], bands=(band,))
    return stamps


def _blurred(seen: Cutouts, fwhm: float) -> FloatArray:
    """Through a Gaussian; what has no data stays so. The noise falls with it, as it would in a longer exposure."""
    out = seen.pixels.copy()
    for index, scale in enumerate(seen.pixel_scales):
        sigma = (0, 0, fwhm / _SIGMA / scale, fwhm / _SIGMA / scale)
        known = np.isfinite(out[:, index])
        light = gaussian_filter(np.where(known, out[:, index], 0), sigma)
        share = gaussian_filter(known.astype(np.float32), sigma)
        out[:, index] = np.where(known, light / np.maximum(share, 1e-6), np.nan)
    return out


def _fainter(seen: Cutouts, flux: float) -> FloatArray:
    """At a fraction of the flux with the noise that it had."""
    out = flux * seen.pixels
    for index, band in np.ndindex(out.shape[1:3]):
        noise = float(levels(seen.pixels[:, index, band])[1][0, 0]) * np.sqrt(1 - flux**2)
        out[0, index, band] += np.random.default_rng((index, band)).normal(0, noise, out.shape[-2:])
    return out.astype(np.float32)
