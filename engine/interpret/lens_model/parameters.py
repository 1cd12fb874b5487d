"""The numbers of a lens model that are not linear: their names, limits, and lenstronomy's arguments made of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Each: where it starts, lowest, highest. Radii are natural logarithms of arcsec.
LIGHT = {"light_radius": (0.0, -3.5, 2.5), "light_sersic": (3.0, 0.5, 7.0), "light_e1": (0.0, -0.6, 0.6),
          "light_e2": (0.0, -0.6, 0.6), "x": (0.0, -1.0, 1.0), "y": (0.0, -1.0, 1.0)}  # fmt: skip
_MASS = {"einstein_radius": (1.0, 0.05, 30.0), "e1": (0.0, -0.6, 0.6), "e2": (0.0, -0.6, 0.6),
         "gamma1": (0.0, -0.25, 0.25), "gamma2": (0.0, -0.25, 0.25)}  # fmt: skip
_SOURCE = {"source_radius": (-1.9, -4.6, 0.0), "source_sersic": (1.2, 0.4, 4.0), "source_e1": (0.0, -0.6, 0.6),
           "source_e2": (0.0, -0.6, 0.6), "source_x": (0.0, -9.0, 9.0), "source_y": (0.0, -9.0, 9.0)}  # fmt: skip
POSITIONS = (4, 5, 15, 16)  # the positions among them
STEPS = np.array([0.3, 1, 0.1, 0.1, 0.05, 0.05, 0.1, 0.1, 0.1, 0.05, 0.05, 0.5, 0.5, 0.2, 0.2, 0.1, 0.1])

# What is known of lenses before one looks: (mean, width). Weak, yet it keeps the fit from what no galaxy does.
EXPECTED = {"gamma1": (0.0, 0.08), "gamma2": (0.0, 0.08), "source_radius": (-1.9, 0.8), "source_sersic": (1.2, 0.8)}
ALIKE = 0.15  # how far the ellipticity of the mass strays from that of the light


@lru_cache(maxsize=1)
def models() -> tuple[LensModel, LightModel]:
    """Mass and light of lenstronomy; built once a process."""
    return LensModel(["SIE", "SHEAR"]), LightModel(["SERSIC_ELLIPSE"])


def named(vector: Vector) -> dict[str, float]:
    """A vector by the names of its numbers; that of a deflector alone is shorter."""
    return dict(zip((*LIGHT, *_MASS, *_SOURCE), vector.tolist(), strict=False))


def sersic(p: dict[str, float], kind: str, x: str, y: str) -> dict[str, float]:
    """lenstronomy's arguments of a profile of unit brightness: ``kind`` light or source, ``x`` and ``y`` its place."""
    return {
        "amp": 1.0,
        "R_sersic": float(np.exp(p[f"{kind}_radius"])),
        "n_sersic": p[f"{kind}_sersic"],
        "e1": p[f"{kind}_e1"],
        "e2": p[f"{kind}_e2"],
        "center_x": p[x],
        "center_y": p[y],
    }


def mass(p: dict[str, float]) -> list[dict[str, float]]:
    """lenstronomy's arguments of SIE and shear, about the deflector's light."""
    centre = {"center_x": p["x"], "center_y": p["y"]}
    return [
        {"theta_E": p["einstein_radius"], "e1": p["e1"], "e2": p["e2"], **centre},
        {"gamma1": p["gamma1"], "gamma2": p["gamma2"], "ra_0": p["x"], "dec_0": p["y"]},
    ]


def ellipse(e1: float, e2: float) -> tuple[float, float]:
    """Axis ratio, and angle in degrees, of lenstronomy's ellipticity."""
    e = min(float(np.hypot(e1, e2)), 0.99)
    return (1 - e) / (1 + e), float(np.degrees(np.arctan2(e2, e1)) / 2)


def bounds(size: int, centre: tuple[float, float], scale: float, ring: tuple[float, float]) -> tuple[Vector, Vector]:
    """Lowest and highest vector: the deflector is near ``centre``, the Einstein radius between the two of ``ring``."""
    limits = np.array([*LIGHT.values(), *_MASS.values(), *_SOURCE.values()])[:size]
    low, high = limits[:, 1], limits[:, 2]
    slack = max(0.1, 2 * scale)
    low[4:6], high[4:6] = np.array(centre) - slack, np.array(centre) + slack
    low[6:7], high[6:7] = ring
    return low, high
