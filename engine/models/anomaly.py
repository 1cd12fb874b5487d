"""Models that know one class alone: how unlike it a stamp is, and where."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.device import autocast
from engine.models.card import unlikeness
from engine.models.predict import Predictor, has_data
from engine.types import Cutouts, Estimates, FloatArray


class AnomalyDetector(Predictor):
    """A network of one class: how unlike it a stamp is, and where."""

    def estimate(self, cutouts: Cutouts, *, views: int = 1) -> Estimates:
        """How far the surprise of stamps lies above that of held-out examples of the class, in their scatter.

        The error is the scatter over views. Stamps without any data are NaN.

        Raises
        ------
        ModelError
            Stamps of another size, pixel scale or bands than the model takes.
        """
        self._check(cutouts)
        each = unlikeness(self._view_logits(cutouts.pixels, views), self.card.calibration)
        value, sigma = each.mean(0), each.std(0)
        blind = ~has_data(cutouts.pixels)
        value[blind] = sigma[blind] = np.nan
        return Estimates(("anomaly",), value, sigma)

    def residuals(self, pixels: FloatArray) -> NDArray[np.float32]:
        """Stamps minus what the class explains of them, in units of the expected scatter.

        ``pixels`` is (n, scale, band, y, x); the residuals are (n, scale, channel, y, x).
        """
        prepared = self.prepared(pixels)
        with torch.inference_mode(), autocast(self.device):
            images = prepared.flatten(0, 1)
            mean, log_variance = self.network.reconstruct(images)
            found = (images - mean) * torch.exp(-0.5 * log_variance)
        return np.asarray(found.reshape(prepared.shape).float().cpu())
