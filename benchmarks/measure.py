"""Time two ways of doing the same thing in one run, and say in one JSON line how they compare.

Absolute times drift from machine to machine; the ratio of two medians taken in turns does not.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def summary(times: list[float], items: int) -> dict[str, float]:
    """Median and spread (half the range between the quartiles) in seconds, and items a second."""
    median = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (median,) * 3
    return {"seconds": round(median, 5), "spread": round((high - low) / 2, 5), "per_second": round(items / median, 1)}


def compare(
    name: str,
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    goal: float,
    repeats: int = 5,
    items: tuple[int, int] = (1, 1),
    **facts: object,
) -> None:
    """Warm both up, time them in turns, print the ratio of their rates beside its goal.

    ``items`` is how many things a call of each does (cut-outs, stamps).
    """
    ours(), reference()
    pairs = [(seconds(ours), seconds(reference)) for _ in range(repeats)]
    first, second = (summary([pair[k] for pair in pairs], items[k]) for k in (0, 1))
    report(name, ratio=first["per_second"] / second["per_second"], goal=goal, ours=first, reference=second, **facts)


def report(name: str, *, ratio: float, goal: float, **facts: object) -> None:
    """Print the line."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    line = {"benchmark": name, "ratio": round(ratio, 2), "goal": goal, "met": ratio >= goal, **facts}
    print(json.dumps(line | {"machine": machine}), flush=True)


def private_mib() -> int:
    """Private memory of this process (Linux)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024


def forget(path: os.PathLike) -> None:
    """Have the system drop its copy of a file, so that the next read is from the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def in_process(script: str, *arguments: object, python: str = sys.executable) -> dict[str, float]:
    """Run a script anew, so that neither memory nor caches of one measurement help another; its last line is JSON."""
    command = [python, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


KINDS = ("plain", "rice-256", "rice-rows", "hdf5")


def write_kind(folder: os.PathLike, kind: str, side: int) -> Path:
    """Write a square field of noise and sources, stored in one of the ways that surveys do."""
    plain = Path(folder) / "plain.fits"
    if not plain.exists():
        write_sky(plain, side, sources=side // 4)
    if kind == "plain":
        return plain
    with fits.open(plain, memmap=True) as file:
        if kind == "hdf5":
            path = Path(folder) / "sky.h5"
            with h5py.File(path, "w") as out:
                data = out.create_dataset("image", (side, side), "f4", chunks=(min(256, side), min(256, side)))
                data.attrs["header"] = file[0].header.tostring(sep="\n")
                for y in range(0, side, 256):
                    data[y : y + 256] = file[0].data[y : y + 256]
            return path
        path = Path(folder) / f"{kind}.fits.fz"
        tile = (1, side) if kind == "rice-rows" else (256, 256)
        image, header = file[0].data.astype(np.float32), file[0].header
        fits.CompImageHDU(image, header, tile_shape=tile, quantize_method=1, dither_seed=1).writeto(path)
    return path


def write_sky(path: os.PathLike, side: int, *, sources: int, pixel_scale: float = 0.2, seed: int = 1) -> np.ndarray:
    """Write a square FITS mosaic of noise and Gaussian sources with a WCS; returns the sources (n, 2) in pixels."""
    random = np.random.default_rng(seed)
    image = random.standard_normal((side, side), np.float32)
    xy = random.uniform(20, side - 20, (sources, 2))
    dy, dx = np.mgrid[-12:13, -12:13]
    for (x, y), peak in zip(xy, 10 ** random.uniform(1, 2.5, sources), strict=True):
        column, row = round(x), round(y)
        blob = peak * np.exp(-((dx - x + column) ** 2 + (dy - y + row) ** 2) / 18)
        image[row - 12 : row + 13, column - 12 : column + 13] += blob
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, 2.0]
    wcs.wcs.crpix = [side / 2, side / 2]
    wcs.wcs.cdelt = [-pixel_scale / 3600, pixel_scale / 3600]
    fits.PrimaryHDU(image, wcs.to_header()).writeto(path, overwrite=True)
    return xy
