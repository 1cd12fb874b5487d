"""How soon and how well a lens is modelled: ours beside a particle swarm of lenstronomy on the same stamps.

Stamps of 64 px are drawn at random: SIE and shear, Sersic deflector and source, a Gaussian PSF, noise. "right" counts
Einstein radii within 3 % of what was drawn. lenstronomy's swarm (its FittingSequence, 100 particles, 150 iterations,
amplitudes linear) begins at the truth shifted by its own spread. With real images (``DEEPLENSE_REAL_DATA``) three
lenses of SLACS follow, beside the radii of Bolton et al. (2008, ApJ 682, 964);
``ratio`` is 3 % over how far ours is off.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.Workflow.fitting_sequence import FittingSequence
from measure import report, summary
from scipy.ndimage import gaussian_filter

from engine.images.mosaic import open_mosaic
from engine.interpret.lens_model.fit import fit_lens
from engine.interpret.lens_model.stamps import fit_request
from engine.interpret.lens_model.view import FitRequest
from engine.types import FloatArray, LensFit

SIDE, SCALE, FWHM = 64, 0.1, 0.2
RIGHT = 0.03
GOAL = 5.0
SLACS = {"SDSSJ1627-0053": 1.23, "SDSSJ0737+3216": 1.00, "SDSSJ0956+5100": 1.33}
ROOT = Path(__file__).resolve().parents[2]


def drawn(random: np.random.Generator) -> tuple[FloatArray, dict[str, list[dict[str, float]]]]:
    """A stamp with noise of one, and what lenstronomy was told."""
    radius, e1, e2 = random.uniform(0.7, 2.0), *random.normal(0, 0.1, 2)
    direction, offset = random.uniform(0, 2 * np.pi), random.uniform(0, 0.3) * radius
    centre = {"center_x": 0.0, "center_y": 0.0}
    told = {
        "lens": [
            {"theta_E": radius, "e1": e1, "e2": e2, **centre},
            {"gamma1": random.normal(0, 0.03), "gamma2": random.normal(0, 0.03), "ra_0": 0.0, "dec_0": 0.0},
        ],
        "source": [
            {"amp": random.uniform(40, 200), "R_sersic": random.uniform(0.1, 0.3), "n_sersic": random.uniform(0.7, 2),
             "e1": random.normal(0, 0.15), "e2": random.normal(0, 0.15),
             "center_x": offset * np.cos(direction), "center_y": offset * np.sin(direction)},
        ],
        "lens_light": [
            {"amp": random.uniform(20, 80), "R_sersic": random.uniform(0.5, 1.2), "n_sersic": random.uniform(2, 5),
             "e1": e1 + random.normal(0, 0.05), "e2": e2 + random.normal(0, 0.05), **centre},
        ],
    }  # fmt: skip
    axis = (np.arange(3 * SIDE) - (3 * SIDE - 1) / 2) * SCALE / 3
    x, y = (one.ravel() for one in np.meshgrid(axis, axis))
    light, mass = LightModel(["SERSIC_ELLIPSE"]), LensModel(["SIE", "SHEAR"])
    image = light.surface_brightness(x, y, told["lens_light"])
    image = image + light.surface_brightness(*mass.ray_shooting(x, y, told["lens"]), told["source"])
    seen = gaussian_filter(image.reshape(SIDE, 3, SIDE, 3).mean((1, 3)), FWHM / SCALE / 2.3548)
    return (seen + random.normal(0, 1, seen.shape)).astype(np.float32), told


def ours(pixels: FloatArray) -> LensFit:
    *_, last = fit_lens(FitRequest(pixels, SCALE, FWHM))
    found: LensFit = last.items[0]
    return found


def swarm(pixels: FloatArray, told: dict[str, list[dict[str, float]]]) -> float:
    """The Einstein radius that lenstronomy's particle swarm ends with."""
    half = (SIDE - 1) / 2 * SCALE
    data = {"image_data": pixels, "background_rms": 1.0, "exposure_time": 100.0, "ra_at_xy_0": -half,
            "dec_at_xy_0": -half, "transform_pix2angle": np.eye(2) * SCALE}  # fmt: skip
    psf = {"psf_type": "GAUSSIAN", "fwhm": FWHM, "pixel_size": SCALE}
    bands = {"multi_band_list": [[data, psf, {"supersampling_factor": 1}]], "multi_band_type": "multi-linear"}
    models = {"lens_model_list": ["SIE", "SHEAR"], "source_light_model_list": ["SERSIC_ELLIPSE"],
              "lens_light_model_list": ["SERSIC_ELLIPSE"]}  # fmt: skip
    spread = {"theta_E": 0.3, "e1": 0.2, "e2": 0.2, "gamma1": 0.05, "gamma2": 0.05, "center_x": 0.1, "center_y": 0.1,
              "R_sersic": 0.2, "n_sersic": 1.0}  # fmt: skip
    low = {"theta_E": 0.1, "R_sersic": 0.01, "n_sersic": 0.3, "center_x": -3, "center_y": -3}
    high = {"theta_E": 4, "R_sersic": 4, "n_sersic": 8, "center_x": 3, "center_y": 3}
    random = np.random.default_rng(7)
    parameters = {}
    for part, key in (("lens", "lens_model"), ("source", "source_model"), ("lens_light", "lens_light_model")):
        fixed = [{name: one[name] for name in one if name in ("ra_0", "dec_0")} for one in told[part]]
        free = [
            {name: value for name, value in one.items() if name not in ("amp", "ra_0", "dec_0")} for one in told[part]
        ]
        start = [{name: value + random.normal(0, spread[name] / 2) for name, value in one.items()} for one in free]
        start = [
            {name: float(np.clip(value, low.get(name, -0.5), high.get(name, 0.5))) for name, value in one.items()}
            for one in start
        ]
        parameters[key] = [
            [{**one, **two} for one, two in zip(start, fixed, strict=True)],
            [{name: spread[name] for name in one} for one in free],
            fixed,
            [{name: low.get(name, -0.5) for name in one} for one in free],
            [{name: high.get(name, 0.5) for name in one} for one in free],
        ]
    sequence = FittingSequence(bands, models, {}, {}, parameters, mpi=False, verbose=False)
    sequence.fit_sequence([["PSO", {"sigma_scale": 1.0, "n_particles": 100, "n_iterations": 150}]])
    return float(sequence.best_fit()["kwargs_lens"][0]["theta_E"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--swarms", type=int, default=2)
    options = parser.parse_args()
    random = np.random.default_rng(5)
    mine, theirs, right, right_of_swarm = [], [], 0, 0
    for number in range(options.count):
        pixels, told = drawn(random)
        truth, began = told["lens"][0]["theta_E"], time.perf_counter()
        right += abs(ours(pixels).einstein_radius / truth - 1) < RIGHT
        mine.append(time.perf_counter() - began)
        if number < options.swarms:
            began = time.perf_counter()
            right_of_swarm += abs(swarm(pixels, told) / truth - 1) < RIGHT
            theirs.append(time.perf_counter() - began)
    first, second = summary(mine, 1), summary(theirs, 1)
    report("lens models, simulated", ratio=second["seconds"] / first["seconds"], goal=GOAL, ours=first, swarm=second,
           right=f"{right} of {options.count}", right_of_swarm=f"{right_of_swarm} of {options.swarms}")  # fmt: skip
    data = Path(os.environ.get("DEEPLENSE_REAL_DATA") or ROOT / "shared" / "data") / "stamps" / "slacs"
    for name, published in SLACS.items():
        if not (data / f"{name}.fits").exists():
            continue
        mosaic = open_mosaic(data / f"{name}.fits")
        ny, nx = mosaic.shape
        began = time.perf_counter()
        *_, last = fit_lens(fit_request(mosaic, (nx - 1) / 2, (ny - 1) / 2))
        found = last.items[0]
        off = abs(found.einstein_radius / published - 1)
        report(f"lens model, {name}", ratio=RIGHT / max(off, 1e-9), goal=1.0, published=published,
               einstein_radius=round(found.einstein_radius, 3), error=round(found.einstein_radius_error, 3),
               seconds=round(time.perf_counter() - began, 2))  # fmt: skip


if __name__ == "__main__":
    main()
