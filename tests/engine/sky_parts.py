"""Planted skies, planes that know what was read of them, and a stand-in for a trained network."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.types import Cutouts, FloatArray, ModelCard, Mosaic, Scores

CARD = ModelCard(
    name="brightness",
    architecture="none",
    task="lens finding",
    classes=("not", "lens"),
    bands=("any",),
    size=16,
    pixel_scales=(0.2, 0.6),
    channels=("stretch",),
    weights_sha256="0123456789abcdef",
)


class Brightness:
    """Scores a stamp by its central pixel, 1000 being certain; remembers what it was asked."""

    def __init__(self, card: ModelCard = CARD) -> None:
        self.card = card
        self.batches: list[tuple[int, int]] = []
        self.bands: tuple[str, ...] = ()

    def score_bands(self, cutouts: Cutouts, *, views: int = 1) -> Scores:
        self.batches.append((len(cutouts), views))
        self.bands = cutouts.bands
        middle = self.card.size // 2
        centre = cutouts.pixels[:, 0, :, middle - 1 : middle + 1, middle - 1 : middle + 1]
        raw = np.clip(np.nan_to_num(np.nanmean(centre, axis=(1, 2, 3))) / 1000, 0, 1).astype(np.float64)
        return Scores(raw**2, raw, np.full(len(raw), 0.01 * (views > 1)))


def gaussians(
    image: FloatArray, xy: np.ndarray, peaks: np.ndarray | float, sigma: float = 2.5, reach: int = 14
) -> FloatArray:
    """Add round Gaussians at pixel positions (n, 2) to an image (ny, nx), in place."""
    ny, nx = image.shape
    for (x0, y0), peak in zip(xy, np.broadcast_to(peaks, len(xy)), strict=True):
        top, left = max(0, round(y0) - reach), max(0, round(x0) - reach)
        y, x = np.mgrid[top : min(ny, round(y0) + reach + 1), left : min(nx, round(x0) + reach + 1)]
        image[top : top + y.shape[0], left : left + x.shape[1]] += peak * np.exp(
            -((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2)
        )
    return image


def noise(shape: tuple[int, int], seed: int = 0, level: float = 0.0) -> FloatArray:
    return np.random.default_rng(seed).normal(level, 1.0, shape).astype(np.float32)


def grid(shape: tuple[int, int], spacing: int = 50, seed: int = 3) -> np.ndarray:
    """Positions (n, 2) about ``spacing`` pixels apart, none near the edge."""
    ny, nx = shape
    x, y = np.meshgrid(
        np.arange(spacing // 2 + 5, nx - spacing // 2, spacing), np.arange(spacing // 2 + 5, ny - spacing // 2, spacing)
    )
    shift = np.random.default_rng(seed).uniform(-8, 8, (x.size, 2))
    return np.column_stack([x.ravel(), y.ravel()]) + shift


class ArrayPlane:
    """A band in memory that remembers the largest region read of it."""

    def __init__(self, pixels: FloatArray) -> None:
        self.pixels = pixels
        self.shape = (pixels.shape[0], pixels.shape[1])
        self.largest = 0

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        self.largest = max(self.largest, (y1 - y0) * (x1 - x0))
        return self.pixels[y0:y1:step, x0:x1:step].copy()


def mosaic_of(*bands: FloatArray, pixel_scale: float | None = 0.2, names: tuple[str, ...] = ()) -> Mosaic:
    """A mosaic of arrays (ny, nx), without a WCS."""
    planes = tuple(ArrayPlane(band) for band in bands)
    named = names or tuple(str(index + 1) for index in range(len(bands)))
    return Mosaic("planted", (Path("planted.fits"),), planes[0].shape, named, pixel_scale, None, planes)


def named_card(*bands: str) -> ModelCard:
    """The card of a model that wants these bands."""
    return replace(CARD, bands=bands)
