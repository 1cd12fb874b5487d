"""Sources of a tile: background, detection and deblending with SEP (the library behind SExtractor).

A source is a place to cut a stamp, so the search is generous where lenses hide: it splits a galaxy from the halo of a
brighter one and an arc from its cluster, and drops only what cannot be a lens on any image.
"""

from __future__ import annotations

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import label

from engine.types import FloatArray

SOURCE = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("flux", "f8"),
        ("radius", "f8"),
        ("snr", "f8"),
        ("a", "f8"),
        ("b", "f8"),
        ("theta", "f8"),
    ]
)

MESH = 64
"""Side of a background mesh in pixels; a fifth of the image where that is less."""

CONTRAST = 2e-4
"""Deblending contrast. SExtractor's usual 0.005 leaves the giant arc of Abell 370 inside its cluster."""

LARGEST_ISLAND = 0.25
"""Of the pixels of an image: above it, the threshold is raised."""

MINIMUM_AREA = 5
LARGEST_RADIUS = 60.0
"""How far out light is summed for the half-light radius (pixels); beyond it lies the neighbours' light."""

LARGEST_WINDOW = 4.0
"""Half-light radius up to which the window of the centre grows (pixels): a wider one is drawn to the neighbours."""

_WIDE = 18.0  # pixels light is summed to, from which subpixels change the half-light radius by a few per cent at most
_ROWS = 32
_SAMPLE = 200_000  # values are enough for the scale of any image

BORDER = 2.0
"""A source whose centre is nearer than this to a pixel without data, or to the edge, is dropped (pixels)."""


def sigma_image(band: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Background-subtracted band, the same in units of its noise, and that noise (all NaN where there are no data).

    Parameters
    ----------
    band : (ny, nx) float32, NaN where there are no data

    Returns
    -------
    subtracted, subtracted / sigma, sigma. A band without data or without any noise gives sigma 0 and NaN pixels in
    the second.
    """
    band = np.ascontiguousarray(band, np.float32)
    missing = _missing(band)
    if min(band.shape) < 8 or (missing is not None and missing.all()):
        return band, np.full_like(band, np.nan), 0.0
    # SEP computes in single precision: images of flux 1e-11, or on a pedestal of 1e6, are brought to order 1 first.
    known = band.reshape(-1) if missing is None else band[~missing]
    sample = known[:: max(1, known.size // _SAMPLE) | 1]  # an odd step does not walk along columns
    low, middle, high = np.percentile(sample, [15.9, 50.0, 84.1]).astype(np.float64)
    unit = float(high - low) / 2 or float(np.std(known, dtype=np.float64))
    if not np.isfinite(unit) or unit < np.finfo(np.float32).tiny:
        return band, np.full_like(band, np.nan), 0.0
    scaled = band - np.float32(middle)
    scaled /= np.float32(unit)
    if missing is not None:
        scaled[missing] = 0
    mesh = max(8, min(MESH, min(band.shape) // 5))
    background = sep.Background(scaled, mask=missing, bw=mesh, bh=mesh)
    sigma = float(background.globalrms)
    if not np.isfinite(sigma) or sigma <= 0:
        sigma = 1.0  # half the pixels are one value (a stamp set to zero around its object): the spread has to do
    scaled -= background.back(dtype=np.float32)
    if missing is not None:
        scaled[missing] = np.nan
    light = scaled * np.float32(unit)
    scaled /= np.float32(sigma)
    return light, scaled, sigma * unit


def _missing(image: FloatArray) -> NDArray[np.bool_] | None:
    """Where an image has no data, None where it has them everywhere: SEP is quicker without a mask."""
    missing = ~np.isfinite(image)
    return missing if missing.any() else None


def _filled(image: FloatArray, missing: NDArray[np.bool_] | None) -> FloatArray:
    return np.ascontiguousarray(image if missing is None else np.where(missing, np.float32(0), image), np.float32)


def detection_image(pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What sources are looked for on, and what their flux is measured on.

    Parameters
    ----------
    pixels : (band, ny, nx) float32, NaN where there are no data

    Returns
    -------
    detection : (ny, nx) mean of the bands in units of their noise, times the square root of how many have data there,
        so that its own noise is 1; NaN where no band has any
    light : (ny, nx) mean of the background-subtracted bands, in the units of the mosaic
    """
    light, normalised = [], []
    for band in pixels:
        subtracted, in_sigma, sigma = sigma_image(band)
        if sigma > 0:
            light.append(subtracted)
            normalised.append(in_sigma)
    if not normalised:
        return np.full(pixels.shape[1:], np.nan, np.float32), np.full(pixels.shape[1:], np.nan, np.float32)
    if len(normalised) == 1:
        return normalised[0], light[0]
    stack = np.stack(normalised)
    seen = np.isfinite(stack).sum(0).astype(np.float32)
    seen[seen == 0] = np.nan
    return np.nansum(stack, 0) / np.sqrt(seen), np.nansum(np.stack(light), 0) / seen


def find_sources(
    image: FloatArray,
    *,
    threshold: float = 1.5,
    light: FloatArray | None = None,
    minimum_area: int = MINIMUM_AREA,
    contrast: float = CONTRAST,
) -> NDArray[np.void]:
    """Find and measure the sources of one image: extract_sources, then measure_sources."""
    found = extract_sources(image, threshold=threshold, minimum_area=minimum_area, contrast=contrast)
    return measure_sources(found, image, image if light is None else light)


def extract_sources(
    image: FloatArray, *, threshold: float = 1.5, minimum_area: int = MINIMUM_AREA, contrast: float = CONTRAST
) -> NDArray[np.void]:
    """Detect and deblend.

    Where one island of light fills the image (the middle of a globular cluster), deblending takes minutes, then
    overflows: there the threshold is raised until the sky comes apart.

    Parameters
    ----------
    image : (ny, nx) float32 in units of its noise, background subtracted (see detection_image); NaN is masked
    threshold : in sigma of the matched-filtered image
    minimum_area : pixels above the threshold
    contrast : of a part, of the whole's flux, to be a source of its own

    Returns
    -------
    SEP's structured array of the sources that could be on the sky (barycentres x, y, pixels from 0).
    """
    missing = _missing(image)
    if min(image.shape) < 5 or (missing is not None and missing.all()):
        image, missing = np.zeros((5, 5), np.float32), None
    filled = _filled(image, missing)
    limit = max(LARGEST_ISLAND * image.size, 1000)
    while _largest_island(filled, threshold, limit) > limit:
        threshold *= 1.5
    found = _extracted(filled, threshold, mask=missing, minarea=minimum_area, deblend_cont=contrast)
    return found[_is_plausible(found, image.shape, missing)]


def _extracted(image: FloatArray, threshold: float, **options: object) -> NDArray[np.void]:
    """What SEP extracts, with as small a stack as is sure to do: it writes all of it first, longer than it searches."""
    sep.set_extract_pixstack(_most_on_stack(image, threshold))  # both limits are SEP's global state
    sep.set_sub_object_limit(16_000)
    found: NDArray[np.void] = sep.extract(image, threshold, err=1.0, **options)
    return found


def _most_on_stack(image: FloatArray, threshold: float) -> int:
    """No fewer than the pixels that SEP finds above a threshold, and no more than an image has.

    SEP looks at the image under its filter, 1 2 1 along both axes, of which the sums of pairs are made here. What is
    at the edges, or within rounding of the threshold, counts as above it.
    """
    ny, nx = image.shape
    limit, bright = np.float32(16 * 0.999 * threshold), 2 * (ny + nx)
    for y in range(0, ny - 2, _ROWS):  # as many rows as stay in the cache
        sums = image[y : y + _ROWS + 2]
        sums = sums[:, 1:] + sums[:, :-1]
        sums = sums[:, 1:] + sums[:, :-1]
        sums = sums[1:] + sums[:-1]
        bright += np.count_nonzero(sums[1:] + sums[:-1] > limit)
    return int(min(bright, image.size)) + 2  # SEP refuses to fill the last


def _largest_island(image: FloatArray, threshold: float, limit: float) -> int:
    """Pixels of the largest connected region above a threshold, or all those above it if they are within ``limit``."""
    above = image > threshold
    bright = int(np.count_nonzero(above))
    if bright <= limit:
        return bright
    labels, count = label(above)
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0


def _is_plausible(
    found: NDArray[np.void], shape: tuple[int, ...], missing: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Which sources could be something on the sky.

    Dropped: single-pixel spikes (the peak holds most of the flux, as no image through a telescope does), lines one
    pixel wide (bleeding columns, trails; an arc is as wide as the seeing), and centres on the border or without data.
    """
    if not len(found):
        return np.empty(0, bool)
    ny, nx = shape
    x, y = found["x"], found["y"]
    with np.errstate(divide="ignore", invalid="ignore"):
        spike = found["peak"] > 0.6 * found["flux"]
        line = (found["b"] < 0.4) & (found["a"] > 12 * found["b"])
    inside = (x >= BORDER) & (y >= BORDER) & (x <= nx - 1 - BORDER) & (y <= ny - 1 - BORDER)
    kept: NDArray[np.bool_] = inside & ~spike & ~line & np.isfinite(x) & np.isfinite(y)
    if missing is not None:
        reach = int(BORDER)
        for index in np.flatnonzero(kept):
            row, column = round(float(y[index])), round(float(x[index]))
            kept[index] = not missing[
                max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
            ].any()
    return kept


def measure_sources(found: NDArray[np.void], image: FloatArray, light: FloatArray) -> NDArray[np.void]:
    """Centre, flux and size of extracted sources.

    Parameters
    ----------
    found : what extract_sources returned for ``image``, or a part of it
    image : (ny, nx) float32 in units of its noise
    light : (ny, nx) float32, what the flux is measured on

    Returns
    -------
    Structured array of dtype SOURCE, highest signal to noise first: x, y pixels from 0 (windowed centre), flux in
    units of ``light`` within the ellipse of three rms axes, radius (half of that light, pixels), snr (of the same
    ellipse), a, b (rms axes, pixels) and theta (radian).
    """
    out = np.zeros(len(found), SOURCE)
    if not len(found):
        return out
    missing = _missing(image)
    image = _filled(image, missing)
    x, y = found["x"].astype(np.float64), found["y"].astype(np.float64)
    a, b = np.maximum(found["a"], 0.7).astype(np.float64), np.maximum(found["b"], 0.7).astype(np.float64)
    # rounding in SEP can leave theta a hair outside its own limits
    theta = np.clip(found["theta"].astype(np.float64), -np.pi / 2, np.pi / 2)
    light = _filled(light, missing)
    flux, _, _ = sep.sum_ellipse(light, x, y, a, b, theta, r=3.0, mask=missing)
    signal, noise, _ = sep.sum_ellipse(image, x, y, a, b, theta, r=3.0, err=1.0, mask=missing)
    largest = np.minimum(6.0 * a, LARGEST_RADIUS)
    radius = _half_light_radius(image, x, y, largest, np.maximum(signal, 1e-3), missing)
    window = 2.0 / 2.35 * np.clip(radius, 0.5, LARGEST_WINDOW)
    # Three subpixels instead of SEP's eleven move a centre by less than a hundredth of a pixel.
    wx, wy, flag = sep.winpos(image, x, y, window, mask=missing, subpix=3)
    moved = np.hypot(wx - x, wy - y)
    # A windowed centre that ran away has found the neighbour: the barycentre of the source's own pixels stands.
    trusted = (flag == 0) & np.isfinite(moved) & (moved < np.maximum(1.5, 0.5 * b))
    out["x"], out["y"] = np.where(trusted, wx, x), np.where(trusted, wy, y)
    out["flux"], out["radius"] = flux, radius
    out["snr"] = signal / np.maximum(noise, 1e-9)
    out["a"], out["b"], out["theta"] = a, b, theta
    return out[np.argsort(-out["snr"], kind="stable")]


def _half_light_radius(
    image: FloatArray,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    largest: NDArray[np.float64],
    total: NDArray[np.float64],
    missing: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    """Radius (n,) of half of ``total``; whole pixels are fine enough for what is summed far out, and much faster."""
    radius = np.zeros(len(x))
    wide = largest > _WIDE
    for part, subpixels in ((wide, 1), (~wide, 5)):
        if part.any():
            radius[part], _ = sep.flux_radius(
                image, x[part], y[part], largest[part], 0.5, normflux=total[part], mask=missing, subpix=subpixels
            )
    return radius
