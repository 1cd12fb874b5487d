"""Images a second of every recipe with one and with two processes, and how busy two of them keep two cores.

``busy`` is processor time over twice the wall time; ``wanted`` counts in the time in which a process stood ready while
another program had the core. On an idle machine they agree, and on a busy one ``wanted`` says what ours can do.
``lenstronomy`` makes the images of model-1 and model-2 (0, 25 and 100 point masses in turn) with its own ImageModel.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from measure import report

from engine.simulate.dataset import RECIPES, simulate

CORES, GOAL = 2, 0.9
ENDLESS = 10_000_000  # stamps: more than anybody waits for


def spent() -> tuple[float, float]:
    """Seconds on the processor, and ready but waiting for it, of the worker processes, or of this one without any."""
    pids = [child.pid for child in multiprocessing.active_children()] or [os.getpid()]
    ran = waited = 0.0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            on, ready, _ = (task / "schedstat").read_text().split()
            ran, waited = ran + int(on) / 1e9, waited + int(ready) / 1e9
    return ran, waited


def rate(recipe: str, processes: int, seconds: float, folder: Path) -> dict[str, float]:
    """Images a second, once every process is at work, and the share of the processes' time that is spent."""
    job = simulate(recipe, folder / "set.h5", count=ENDLESS, seed=3, processes=processes)
    for _ in range(4 * processes):
        first = next(job)
    start, (ran, waited) = time.perf_counter(), spent()
    last = first
    while time.perf_counter() - start < seconds:
        last = next(job)
    wall = time.perf_counter() - start
    ran, waited = (after - before for after, before in zip(spent(), (ran, waited), strict=True))
    job.close()
    return {
        "per_second": round((last.done - first.done) / wall, 1),
        "per_core_second": round((last.done - first.done) / max(ran, 1e-9), 1),
        "busy": round(ran / wall / processes, 3),
        "wanted": round((ran + waited) / wall / processes, 3),
    }


def peer(recipe: str, seconds: float) -> float:
    """Images a second of processor time that lenstronomy makes of the same lens, its classes built once."""
    made = RECIPES[recipe]
    size, scale, middle = made.size, made.pixel_scales[0], (made.size - 1) / 2 * made.pixel_scales[0]
    data = ImageData(
        image_data=np.zeros((size, size)), background_rms=0.01, exposure_time=1000.0, ra_at_xy_0=-middle,
        dec_at_xy_0=-middle, transform_pix2angle=np.eye(2) * scale,
    )  # fmt: skip
    random = np.random.default_rng(1)
    light = LightModel(["SERSIC_ELLIPSE"])
    numbers = (0, 25, 100)
    models = [
        ImageModel(
            data,
            PSF(psf_type="GAUSSIAN", fwhm=0.1, pixel_size=scale, truncation=3),
            lens_model_class=LensModel(["SIE", "SHEAR", *["POINT_MASS"] * number]),
            source_model_class=light,
        )
        for number in numbers
    ]
    lens = [
        {"theta_E": 1.66, "e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0},
        {"gamma1": 0.05, "gamma2": 0.0, "ra_0": 0.0, "dec_0": 0.0},
    ]
    images, start = 0, time.process_time()
    while time.process_time() - start < seconds / 2:
        kind = images % len(numbers)
        halos = [{"theta_E": 0.02, "center_x": x, "center_y": y} for x, y in random.uniform(-2, 2, (numbers[kind], 2))]
        x, y = random.uniform(-0.35, 0.35, 2)
        source = {"amp": 20.0, "R_sersic": 0.25, "n_sersic": 1.0, "e1": -0.1, "e2": 0.1, "center_x": x, "center_y": y}
        image = models[kind].image(lens + halos, [source], None, None)
        random.poisson(np.clip(image, 0, None) * 1000) / 1000 + random.normal(0, 0.01, image.shape)
        images += 1
    return round(images / (time.process_time() - start), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="names; all of them by default", default=list(RECIPES))
    parser.add_argument("--seconds", type=float, default=4.0, help="a measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = {
            name: {
                f"{processes} process{'es' * (processes > 1)}": rate(name, processes, options.seconds, Path(folder))
                for processes in (1, CORES)
            }
            for name in options.recipes
        }
    rivals = {name: peer(name, options.seconds) for name in ("model-1", "model-2") if name in options.recipes}
    least = min(one[f"{CORES} processes"]["busy"] for one in measured.values())
    report("simulate", ratio=least, goal=GOAL, recipes=measured, lenstronomy=rivals)


if __name__ == "__main__":
    main()
