"""What a network sees of a stamp: the same channels in the window, on the command line and in training.

Each channel is made for each pixel scale on its own from one band, is blind to the zero point and to a constant sky
level, and is zero where there are no data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.models.contrast import STRENGTHS, contrasts
from engine.types import Cutouts, FloatArray

CHANNELS = ("stretch", "residual")
"""The channels of a lens finder: a galaxy at the centre whose light hides the arcs."""
DIMMED = "dimmed"
"""Not a channel but further bands: the bluest minus parts of the reddest (engine.models.contrast)."""
KNOWN = (*CHANNELS, "linear", "log", "minmax", DIMMED)
_DARK, _BRIGHT = 0.005, 0.999  # quantiles of a stamp that are black and white: no hot pixel sets the scale
_DECADES = 3.0  # of brightness that "log" spreads over its range
_FRACTIONAL_ERROR = 0.08  # of the galaxy's own light: how far real isophotes stray from ellipses
_CHUNK = 16  # stamps at a time: what the processor's cache holds


def channel_count(channels: Sequence[str], bands: Sequence[str]) -> int:
    """How many channels ``prepare`` makes of each scale."""
    looks = len(bands) + (len(STRENGTHS) if DIMMED in channels else 0)
    return looks * sum(name != DIMMED for name in channels)


def prepare(
    pixels: FloatArray,
    channels: Sequence[str] = CHANNELS,
    *,
    bands: tuple[str, ...] = (),
    pixel_scales: tuple[float, ...] = (),
) -> FloatArray:
    """Turn stamps into the channels of a network.

    Parameters
    ----------
    pixels : (n, scale, band, size, size), NaN where there are no data; each band becomes channels of its own
    channels : of "stretch" (asinh of the sky-subtracted stamp in units of the noise) and "residual" (the same stamp
        minus its elliptical profile about the centre, in units of the noise and of a fraction of the profile); for
        images of the lensed light alone, which have no galaxy at the centre, "linear" (from 0 at the 0.5th to 1 at
        the 99.9th percentile), "log" (the same on a logarithmic scale over three decades: faint arcs) and "minmax"
        (from the faintest to the brightest pixel: what published sets of simulated images hold); "dimmed" adds images
        in which the colour of the galaxy in the middle is dimmed, as further bands
    bands, pixel_scales : names of the bands, arcsec of the pixels: for "dimmed" alone

    Returns
    -------
    (n, scale, band * channel, size, size) float32, zero where there are no data

    Raises
    ------
    ModelError
        for an unknown channel, or bands whose names tell no colour where one is needed
    """
    unknown = [name for name in channels if name not in KNOWN]
    if unknown:
        raise ModelError(f"The model asks for the unknown channel {unknown[0]!r}; known are {', '.join(KNOWN)}.")
    if DIMMED in channels:
        dimmed = contrasts(Cutouts(pixels, pixel_scales, bands, np.zeros((len(pixels), 2))))
        if not dimmed.shape[2] and len(pixels):
            message = f"No colour is known of the bands {', '.join(bands) or '(none)'}, so none can be dimmed"
            raise ModelError(f"{message}: name two bands such as g and i, or leave out {DIMMED}.")
        pixels = np.concatenate([pixels, dimmed], axis=2)
        channels = [name for name in channels if name != DIMMED]
    n, scales, looks, size, _ = pixels.shape
    out = np.empty((n, scales, looks * len(channels), size, size), np.float32)
    flat = out.reshape(n * scales * looks, len(channels), size, size)
    stamps = pixels.reshape(n * scales * looks, size, size)
    for start in range(0, len(stamps), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        raw = stamps[chunk].astype(np.float32)
        signal, valid = _normalise(raw)
        for k, name in enumerate(channels):
            if name in CHANNELS:
                made = np.arcsinh(signal / 2) if name == "stretch" else np.arcsinh(_residual(signal, valid))
                flat[chunk, k] = np.where(valid, made, 0) * np.float32(0.5)
            else:
                made = _ranged(raw, valid, (0.0, 1.0) if name == "minmax" else (_DARK, _BRIGHT))
                if name == "log":
                    made = np.log1p((10.0**_DECADES - 1) * made) / np.float32(_DECADES * np.log(10))
                flat[chunk, k] = np.where(valid, made, 0)
    return out


def _ranged(stamps: FloatArray, valid: NDArray[np.bool_], quantiles: tuple[float, float]) -> FloatArray:
    """Stamps from 0 at one quantile to 1 at another, clipped; zeros where the two are the same."""
    ordered = np.sort(np.where(valid, stamps, np.inf).reshape(len(stamps), -1), 1)
    last = np.maximum(valid.reshape(len(stamps), -1).sum(1, keepdims=True) - 1, 0)
    dark, bright = (np.take_along_axis(ordered, np.rint(q * last).astype(int), 1)[:, :, None] for q in quantiles)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = (stamps - dark) / (bright - dark)
    return np.asarray(np.clip(np.nan_to_num(scaled, posinf=0.0, neginf=0.0), 0, 1), np.float32)


def _normalise(stamps: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Sky-subtracted stamps in units of their noise, (n, size, size), and where they hold data.

    The sky is the median of the fainter part and the noise the scatter below it, so that the galaxy itself hardly
    counts. A stamp without scatter (constant, saturated) comes out as zeros.
    """
    valid = np.isfinite(stamps)
    sky, noise = levels(stamps)
    flat = np.where(valid, stamps, np.inf).reshape(len(stamps), -1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        signal = np.where(noise > 0, (flat - sky) / noise, 0)
    signal = np.nan_to_num(np.clip(signal, -50, 1e5)).reshape(stamps.shape).astype(np.float32)
    return np.where(valid, signal, 0).astype(np.float32), valid


def levels(stamps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sky and noise of stamps (n, size, size), (n, 1) each; a noise of 0 where there is no scatter."""
    flat = np.where(np.isfinite(stamps), stamps, np.inf).reshape(len(stamps), -1)
    centre = _median(flat)
    deviation = _median(np.abs(flat - centre))
    sky = _median(np.where(flat < centre + 3 * 1.4826 * deviation, flat, np.inf))
    noise = 1.4826 * _median(np.where(flat <= sky, sky - flat, np.inf))
    return sky, np.where(noise > 0, noise, deviation)


def _median(values: FloatArray) -> FloatArray:
    """Median of the finite values of each row, (n, 1); zero where a row has none."""
    count = np.isfinite(values).sum(1, keepdims=True)
    # numpy sorts float32 with vector instructions, many times faster than nanmedian's masked partitions.
    ordered = np.sort(values, 1)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, 1)
    return np.where(count > 0, middle, 0).astype(np.float32)


def _residual(signal: FloatArray, valid: NDArray[np.bool_]) -> FloatArray:
    """The stamps minus their clipped mean profile in elliptical annuli, over noise and a fraction of the profile."""
    n, size, _ = signal.shape
    half = (size - 1) / 2
    y, x = (np.mgrid[:size, :size] - half).astype(np.float32)
    radius = _elliptical_radius(signal, valid, x, y)
    bins = int(np.ceil(half * 1.6))
    position = np.minimum(radius, bins - 1.001)
    low = position.astype(np.int32)
    fraction = (position - low).reshape(n, -1)
    index = (low.reshape(n, -1) + (np.arange(n, dtype=np.int32) * bins)[:, None]).ravel()
    nearest = (
        np.rint(position).astype(np.int32).reshape(n, -1) + (np.arange(n, dtype=np.int32) * bins)[:, None]
    ).ravel()
    values, seen = signal.reshape(n, -1), valid.reshape(n, -1)
    weight, model = seen.astype(np.float32), np.zeros_like(values)
    for clip in (None, 2.5, 2.0):
        if clip is not None:
            excess = values - model
            limit = clip * np.sqrt(1 + (_FRACTIONAL_ERROR * np.maximum(model, 0)) ** 2)
            weight = (seen & (excess < limit) & (excess > -2 * limit)).astype(np.float32)
        counts = np.bincount(nearest, weight.ravel(), n * bins)
        sums = np.bincount(nearest, (weight * values).ravel(), n * bins)
        profile = _fill(np.where(counts > 0.5, sums / np.maximum(counts, 1e-6), np.nan).reshape(n, bins)).ravel()
        upper = np.minimum(index + 1, n * bins - 1)
        model = (profile[index].reshape(n, -1) * (1 - fraction) + profile[upper].reshape(n, -1) * fraction).astype(
            np.float32
        )
    scaled = (values - model) / np.sqrt(1 + (_FRACTIONAL_ERROR * np.maximum(model, 0)) ** 2)
    return scaled.reshape(signal.shape).astype(np.float32)


def _fill(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Profiles (n, bins) with empty annuli taking the value of the last filled one inside them, else 0."""
    known = np.isfinite(profile)
    last = np.maximum.accumulate(np.where(known, np.arange(profile.shape[1]), 0), 1)
    return np.nan_to_num(np.take_along_axis(profile, last, 1))


def _elliptical_radius(signal: FloatArray, valid: NDArray[np.bool_], x: FloatArray, y: FloatArray) -> FloatArray:
    """Elliptical radius (n, size, size) in pixels about the centre, from Gaussian-weighted second moments.

    Three adaptive iterations; the axis ratio is held above 0.3 so that an arc cannot become the galaxy.
    """
    n = len(signal)
    light = np.maximum(np.where(valid, signal, 0), 0)
    light = np.minimum(light, np.percentile(light.reshape(n, -1), 99.7, axis=1)[:, None, None])
    xx = yy = np.full(n, (0.12 * x.shape[0]) ** 2, np.float32)
    xy = np.zeros(n, np.float32)
    for _ in range(3):
        determinant = np.maximum(xx * yy - xy**2, 1e-3)
        quadratic = (yy[:, None, None] * x**2 - 2 * xy[:, None, None] * x * y + xx[:, None, None] * y**2) / determinant[
            :, None, None
        ]
        weight = light * np.exp(-0.5 * quadratic)
        total = np.maximum(weight.sum((1, 2)), 1e-6)
        # A Gaussian weight halves the second moments of a Gaussian light profile.
        xx, yy, xy = (2 * (weight * m).sum((1, 2)) / total for m in (x * x, y * y, x * y))
        size2 = np.clip((xx + yy) / 2, 2.0, (0.25 * x.shape[0]) ** 2)
        e1, e2 = (xx - yy) / np.maximum(xx + yy, 1e-6), 2 * xy / np.maximum(xx + yy, 1e-6)
        shrink = np.minimum(1, 0.8 / np.maximum(np.hypot(e1, e2), 1e-6))
        xx, yy, xy = size2 * (1 + e1 * shrink), size2 * (1 - e1 * shrink), size2 * e2 * shrink
    determinant = np.maximum(xx * yy - xy**2, 1e-3)
    quadratic = (yy[:, None, None] * x**2 - 2 * xy[:, None, None] * x * y + xx[:, None, None] * y**2) / np.sqrt(
        determinant
    )[:, None, None]
    return np.asarray(np.sqrt(np.maximum(quadratic, 0)), np.float32)
