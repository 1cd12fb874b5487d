"""From pixel values to brightness and colour: limits, stretches, three-band colour. Needs numpy alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.types import FloatArray

Kind = Literal["asinh", "log", "linear", "sqrt", "MTF"]
KINDS: tuple[Kind, ...] = ("asinh", "log", "linear", "sqrt", "MTF")
Limits = tuple[float, float]

_SAMPLE = 200_000  # values are enough for percentiles and the noise of any image
_CLIPS = 5
_SKY = 0.25  # brightness that a midtone gives the sky by itself, as PixInsight's automatic stretch does
_LEAST_MIDTONE = 1e-6


def background(image: NDArray[np.floating]) -> tuple[float, float]:
    """Level and sigma of the sky, robust to sources: the median and 1.4826 times the median absolute deviation.

    Both are taken within three sigma of the median, repeatedly. An image without data gives (nan, nan); one without
    noise a sigma of 0. Of a large image a regular sample is used.
    """
    values = np.sort(_finite_sample(image))  # once: each clip is then a slice
    if not len(values):
        return float("nan"), float("nan")
    centre = sigma = 0.0
    for _ in range(_CLIPS):
        half = len(values) // 2
        centre = float(values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2)
        deviations = np.abs(values - np.float32(centre))
        sigma = 1.4826 * _median(deviations)
        first, last = _within(values, deviations, centre, 3 * sigma)
        if sigma == 0 or last - first == len(values):
            break
        values = values[first:last]
    return centre, sigma


def _within(values: FloatArray, deviations: FloatArray, centre: float, most: float) -> tuple[int, int]:
    """Where in sorted values those begin and end that deviate from a centre by ``most`` at most."""
    middle, limit = int(values.searchsorted(np.float32(centre))), np.float32(most)
    below = int(deviations[:middle][::-1].searchsorted(limit, "right"))  # they rise on both sides of the centre
    return middle - below, middle + int(deviations[middle:].searchsorted(limit, "right"))


def percentile(values: NDArray[np.floating], percent: float) -> float:
    """The value that ``percent`` of finite values (any shape, at least one) do not exceed, to the nearest of them.

    Many times faster than numpy's for the few pixels of a stamp, of which there are thousands.
    """
    flat = np.asarray(values).reshape(-1)
    place = round((len(flat) - 1) * percent / 100)
    return float(np.partition(flat, place)[place])


def limits(image: NDArray[np.floating], percent: float = 99.5) -> Limits:
    """The values between which the middle ``percent`` of the pixels lie; always ordered and finite.

    A constant image gets limits around its value; one without data (0, 1).
    """
    values = _finite_sample(image)
    if not len(values):
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, [(100 - percent) / 2, (100 + percent) / 2]))
    if high <= low:  # most pixels are equal: whatever rises above them is shown
        low, high = float(values.min()), float(values.max())
    if high <= low:
        margin = abs(low) * 1e-3 or 1.0
        return low - margin, high + margin
    return low, high


def stretch(
    image: NDArray[np.floating],
    kind: Kind = "asinh",
    limits: Limits | None = None,
    *,
    softening: float = 0.5,
    midtone: float | None = None,
    missing: float = 0.0,
) -> FloatArray:
    """Brightness 0..1 of pixel values; the same shape.

    Parameters
    ----------
    limits : the values shown darkest and brightest; the percentiles of `limits` by default
    softening : 0..1, how far asinh and log lift the faint: their slope at the dark end is that of a linear stretch of
        10 ** (3 * softening) times the values
    midtone : 0..1, what MTF shows half bright, see `midtones`; by default what suits the sky of the image
    missing : brightness of NaN
    """
    low, high = _default_limits(image) if limits is None else limits
    span = high - low
    values = np.asarray(image, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled: FloatArray = np.clip((values - np.float32(low)) / np.float32(span if span > 0 else 1.0), 0, 1)
    if kind == "MTF":
        sky = (background(image)[0] - low) / (span if span > 0 else 1.0) if midtone is None else 0.0
        bright = midtones(scaled, midtone_for(sky) if midtone is None else midtone)
    else:
        bright = _curve(scaled, kind, softening)
    return np.where(np.isnan(bright), np.float32(missing), bright)


def midtones(scaled: NDArray[np.floating], midtone: float) -> FloatArray:
    """The midtones transfer function of values 0..1: 0 stays 0, 1 stays 1, ``midtone`` becomes 0.5; NaN stays.

    As PixInsight's screen transfer function has it, given in the XISF 1.0 specification (Pleiades Astrophoto) under
    display functions: ``(m - 1) x / ((2 m - 1) x - m)``. A midtone of 0.5 changes nothing, smaller ones lift the faint.
    """
    midtone = min(max(midtone, _LEAST_MIDTONE), 1 - _LEAST_MIDTONE)
    values: FloatArray = np.asarray(scaled, np.float32)
    odds = np.float32(midtone / (1 - midtone))
    bright = values / (values + odds * (1 - values))  # the same function; rounding cannot carry it beyond 1
    return bright.astype(np.float32, copy=False)


def midtone_for(sky: float, brightness: float = _SKY) -> float:
    """The midtone that shows a sky of ``sky`` (0..1 between the limits) at a brightness; 0.5 for a sky outside them.

    The function is its own inverse in this sense: ``midtones(sky, midtone_for(sky, b)) == b``.
    """
    if not 0 < sky < 1:
        return 0.5
    return sky * (1 - brightness) / (sky + brightness - 2 * sky * brightness)


def as_bytes(brightness: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Brightness 0..1 as 0..255."""
    levels: NDArray[np.uint8] = np.rint(np.clip(brightness, 0, 1) * 255).astype(np.uint8)
    return levels


def lupton_rgb(
    red: NDArray[np.floating],
    green: NDArray[np.floating],
    blue: NDArray[np.floating],
    *,
    Q: float = 8.0,
    alpha: float | None = None,
    weights: tuple[float, float, float] | None = None,
) -> NDArray[np.uint8]:
    """A colour picture (y, x, 3) of three bands that keeps the colour of bright cores.

    After Lupton et al. (2004, PASP 116, 133): asinh of the mean of the bands, whose ratios stay. Each band loses its
    sky level first; NaN in a band counts as its sky.

    Parameters
    ----------
    Q : contrast between faint and bright
    alpha : slope at the faint end, per unit of the weighted pixel values; by default such that three sigma of the
        mean's noise is at a brightness of 0.1
    weights : factors of red, green and blue; by default the inverse of each band's noise, so that the sky is grey
    """
    planes, sigmas = [], []
    for band in (red, green, blue):
        centre, sigma = background(band)
        values = np.asarray(band, np.float32) - np.float32(0.0 if np.isnan(centre) else centre)
        planes.append(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))
        sigmas.append(sigma if sigma > 0 else _fallback_sigma(planes[-1]))
    # Nonsense of 1e30 in one pixel must not spoil the picture of the others.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        factors = np.array([1 / sigma for sigma in sigmas] if weights is None else weights, np.float32)
        stack = np.stack(planes, axis=-1) * factors
        mean = stack.mean(axis=-1)
        if alpha is None:
            noise = float(np.sqrt(np.sum((factors * np.array(sigmas)) ** 2))) / 3
            alpha = float(np.sinh(0.1 * Q)) / (Q * 3 * noise)
        gain = np.arcsinh(np.float32(alpha * Q) * np.maximum(mean, 0)) / np.float32(Q)
        gain /= np.maximum(mean, np.float32(np.finfo(np.float32).tiny))
        colour = np.maximum(stack, 0) * gain[..., None]
        colour /= np.maximum(colour.max(axis=-1, keepdims=True), 1)  # what saturates keeps its hue
    return as_bytes(np.nan_to_num(colour, copy=False))


def _curve(scaled: FloatArray, kind: Kind, softening: float) -> FloatArray:
    strength = np.float32(10 ** (3 * softening))
    bright: FloatArray = scaled
    if kind == "asinh":
        bright = np.arcsinh(scaled * strength) / np.arcsinh(strength)
    elif kind == "log":
        bright = np.log1p(scaled * strength) / np.log1p(strength)
    elif kind == "sqrt":
        bright = np.sqrt(scaled)
    return bright


def _default_limits(image: NDArray[np.floating]) -> Limits:
    return limits(image)


def _median(values: FloatArray) -> float:
    """The median of finite values, without the checks of numpy's, which take longer than the few pixels of a stamp."""
    parted, half = values.copy(), len(values) // 2
    parted.partition(half)
    return float(parted[half] if len(values) % 2 else (parted[:half].max() + parted[half]) / 2)


def _fallback_sigma(values: FloatArray) -> float:
    """A scale for a band without noise, so that it is shown at all."""
    return float(np.abs(values).max()) / 100 or 1.0


def _finite_sample(image: NDArray[np.floating]) -> FloatArray:
    """Finite values of an image, at most about 200,000 of them; large images are sampled evenly."""
    flat = np.asarray(image).reshape(-1)
    step = max(1, flat.size // _SAMPLE)
    # A step that shares no factor with the width would walk along columns: an odd one does not for the usual widths.
    sample = flat[:: step | 1] if step > 1 else flat
    return np.asarray(sample[np.isfinite(sample)], np.float32)
