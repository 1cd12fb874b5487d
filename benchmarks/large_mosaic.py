"""Three bands of 32,768 x 32,768 float32 (12.9 GB): opened, seen whole, averaged and cut within 2 GB of private memory.

The files are sparse: zeros but for noise and sources in a patch of every eighth part, so that they take little disk.
All their pixels are read and averaged just the same.
"""

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from astropy.io import fits
from measure import private_mib, report

from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.images.pyramid import Pyramid
from engine.images.slices import cut_pixels

GOAL = 2048  # MiB


def write_sparse(path: Path, side: int, band: str, seed: int) -> None:
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": side, "NAXIS2": side, "FILTER": band})
    header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=150.0, CRVAL2=2.0, CRPIX1=side / 2, CRPIX2=side / 2)
    header.update(CDELT1=-0.2 / 3600, CDELT2=0.2 / 3600)
    start = len(header.tostring())
    with path.open("wb") as file:
        file.write(header.tostring().encode())
        file.truncate(start + -(-side * side * 4 // 2880) * 2880)
    pixels = np.memmap(path, ">f4", "r+", start, (side, side))
    random = np.random.default_rng(seed)
    patch = random.standard_normal((256, 256), np.float32)
    patch[120:136, 120:136] += 50
    for y in range(0, side - 256, side // 8):
        for x in range(0, side - 256, side // 8):
            pixels[y : y + 256, x : x + 256] = patch
    pixels.flush()


class Watch(threading.Thread):
    """The largest private memory of the process while something runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest, self.over = private_mib(), threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.largest = max(self.largest, private_mib())

    def stop(self) -> int:
        self.over.set()
        self.join()
        return self.largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32_768, help="mosaic, pixels")
    parser.add_argument("--count", type=int, default=5000, help="cut-outs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEEPLENSE_CACHE"] = folder
        paths = [Path(folder) / f"sky_{band}.fits" for band in "gri"]
        for seed, path in enumerate(paths):
            write_sparse(path, options.side, path.stem[-1], seed)
        facts: dict[str, float] = {}
        watch = Watch()
        watch.start()

        def timed(name: str, work: object) -> object:
            start = time.perf_counter()
            result = work()
            facts[name] = round(time.perf_counter() - start, 3)
            return result

        mosaic = timed("open", lambda: open_mosaic(paths))
        pyramid = Pyramid(mosaic, tile_size=256)
        timed("overviews", lambda: [pyramid.overview(band) for band in range(3)])
        timed("build", lambda: sum(1 for _ in pyramid.build()))
        again = Pyramid(open_mosaic(paths), tile_size=256)
        timed("again", lambda: [again.tile(again.levels - 1, 0, 0, band) for band in range(3)])
        xy = np.random.default_rng(3).uniform(64, options.side - 64, (options.count, 2))
        timed("cut_pixels", lambda: cut_pixels(mosaic, xy, size=64))
        timed("cut_resampled", lambda: cut(mosaic, xy, size=64, pixel_scales=(0.14, 0.42)))
        peak = watch.stop()
    mpix = 3 * options.side**2 / 1e6
    report(
        "three bands of a large mosaic",
        ratio=GOAL / peak,
        goal=1,
        peak_private_mib=peak,
        seconds=facts,
        build_mpix_per_second=round(mpix / facts["build"], 1),
        side=options.side,
        cutouts=options.count,
    )


if __name__ == "__main__":
    main()
