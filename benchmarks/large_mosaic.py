"""Three bands of 32,768 x 32,768 float32 (12.9 GB): opened, averaged, panned, cut and scanned within 2 GB of memory.

The files are sparse: zeros but for noise and sources in a patch of every eighth part, so that they take little disk.
All their pixels are read and averaged just the same, and searched for sources; those found are cut and scored by the
bundled finder. ``--fraction`` ends the scan early.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits
from measure import private_mib, report

from engine.detect.scan import scan
from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.images.pyramid import Pyramid
from engine.images.slices import cut_pixels
from engine.types import Mosaic, ScanRequest

GOAL = 2048  # MiB
PATCH = 512  # pixels
SOURCES = 10  # in each patch
VIEW = (4, 7)  # tiles of 256 pixels that a window shows


def write_sparse(path: Path, side: int, band: str, seed: int) -> None:
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": side, "NAXIS2": side, "FILTER": band})
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=150.0, CRVAL2=2.0, CRPIX1=side / 2, CRPIX2=side / 2)
    header.update(CDELT1=-0.2 / 3600, CDELT2=0.2 / 3600)
    start = len(header.tostring())
    with path.open("wb") as file:
        file.write(header.tostring().encode())
        file.truncate(start + -(-side * side * 4 // 2880) * 2880)
    pixels = np.memmap(path, ">f4", "r+", start, (side, side))
    patch = np.random.default_rng(seed).standard_normal((PATCH, PATCH), np.float32)
    dy, dx = np.mgrid[:PATCH, :PATCH]
    for y, x, peak in np.random.default_rng(9).uniform((20, 20, 5), (PATCH - 20, PATCH - 20, 100), (SOURCES, 3)):
        patch += peak * np.exp(-((dx - x) ** 2 + (dy - y) ** 2) / 18)
    for y in range(0, side - PATCH, side // 8):
        for x in range(0, side - PATCH, side // 8):
            pixels[y : y + PATCH, x : x + PATCH] = patch
    pixels.flush()


class Phases:
    """Seconds and the largest private memory of each phase of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_mib: dict[str, int] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        over, peak, start = threading.Event(), [private_mib()], time.perf_counter()

        def watch() -> None:
            while not over.wait(0.02):
                peak[0] = max(peak[0], private_mib())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            self.seconds[name] = round(time.perf_counter() - start, 3)
            self.peak_mib[name] = max(peak[0], private_mib())


def pan(mosaic: Mosaic, pyramid: Pyramid, views: int) -> dict[str, float]:
    """Milliseconds a view of the tiles that a window shows, at random places and zooms, in one band."""
    random, times = np.random.default_rng(5), []
    for _ in range(views):
        level = int(random.integers(0, 6))
        rows, columns = (-(-side // (2**level * pyramid.tile_size)) for side in mosaic.shape)
        row, column = (
            int(random.integers(0, max(1, count - n + 1))) for count, n in zip((rows, columns), VIEW, strict=True)
        )
        start = time.perf_counter()
        for j in range(row, min(row + VIEW[0], rows)):
            for i in range(column, min(column + VIEW[1], columns)):
                pyramid.tile(level, j, i, 0)
        times.append(1e3 * (time.perf_counter() - start))
    return {"median": round(float(np.median(times)), 1), "p95": round(float(np.percentile(times, 95)), 1)}


def search_and_score(mosaic: Mosaic, fraction: float) -> dict[str, float]:
    """Scan the mosaic, or a part of it from the bottom; what was found, and the share that was scanned."""
    done, found, start = 0.0, 0, time.perf_counter()
    job = scan(ScanRequest(mosaic))
    for step in job:
        done, found = step.done / step.total, found + len(step.items)
        if done >= fraction:
            break
    job.close()
    megapixels = done * mosaic.shape[0] * mosaic.shape[1] / 1e6
    rate = megapixels / (time.perf_counter() - start)
    return {"fraction": round(done, 3), "candidates": found, "mpix_per_second": round(rate, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32_768, help="mosaic, pixels")
    parser.add_argument("--count", type=int, default=5000, help="cut-outs")
    parser.add_argument("--views", type=int, default=200, help="views to pan to")
    parser.add_argument("--fraction", type=float, default=1.0, help="of the mosaic to scan")
    parser.add_argument("--folder", help="where the mosaics are written, and removed from (default: the temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["DEEPLENSE_CACHE"] = folder
        paths = [Path(folder) / f"sky_{band}.fits" for band in "gri"]
        for seed, path in enumerate(paths):
            write_sparse(path, options.side, path.stem[-1], seed)
        phases = Phases()
        with phases.phase("open"):
            mosaic = open_mosaic(paths)
            pyramid = Pyramid(mosaic, tile_size=256)
        with phases.phase("overviews"):
            for band in range(3):
                pyramid.overview(band)
        with phases.phase("build"):
            for _ in pyramid.build():
                pass
        with phases.phase("again"):
            again = Pyramid(open_mosaic(paths), tile_size=256)
            for band in range(3):
                again.tile(again.levels - 1, 0, 0, band)
        with phases.phase("pan"):
            view_ms = pan(mosaic, again, options.views)
        with phases.phase("scan"):
            scanned = search_and_score(mosaic, options.fraction)
        xy = np.random.default_rng(3).uniform(64, options.side - 64, (options.count, 2))
        with phases.phase("cut_pixels"):
            cut_pixels(mosaic, xy, size=64)
        with phases.phase("cut_resampled"):
            cut(mosaic, xy, size=64, pixel_scales=(0.14, 0.42))
    peak = max(phases.peak_mib.values())
    report(
        "three bands of a large mosaic",
        ratio=GOAL / peak,
        goal=1,
        peak_private_mib=peak,
        peaks=phases.peak_mib,
        seconds=phases.seconds,
        build_mpix_per_second=round(3 * options.side**2 / 1e6 / phases.seconds["build"], 1),
        view_ms=view_ms,
        scan=scanned,
        side=options.side,
        cutouts=options.count,
    )


if __name__ == "__main__":
    main()
