"""Cut-outs of 64 px by sky position, against the ways found in most scripts.

Plain files: against a loop of astropy's Cutout2D with SkyCoord. Compressed ones and HDF5: against a section read for
each. ``pixels`` are the mosaic's own pixels (`engine.images.slices`), ``resampled`` those a network gets.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from measure import KINDS, in_process, report, write_kind

from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.images.slices import cut_pixels

SIZE = 64
GOALS = {"plain": 50, "rice-256": 3, "rice-rows": 3, "hdf5": 1}


def positions(path: Path, count: int) -> np.ndarray:
    mosaic = open_mosaic(path)
    side = mosaic.shape[0]
    return mosaic.world(np.random.default_rng(2).uniform(SIZE, side - SIZE, (count, 2)))


def ours(path: Path, sky: np.ndarray, resampled: bool) -> None:
    mosaic = open_mosaic(path)
    if resampled:
        cut(mosaic, mosaic.pixel(sky), size=SIZE, pixel_scales=(mosaic.pixel_scale,))
    else:
        cut_pixels(mosaic, mosaic.pixel(sky), size=SIZE)


def loop(path: Path, sky: np.ndarray) -> list[np.ndarray]:
    places = SkyCoord(sky[:, 0], sky[:, 1], unit="deg")
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            image, wcs = file["image"], WCS(fits.Header.fromstring(file["image"].attrs["header"], sep="\n"))
            return [sections(image, wcs, place) for place in places]
    with fits.open(path, memmap=True) as hdus:
        if path.suffix == ".fz":
            wcs = WCS(hdus[1].header)
            return [sections(hdus[1].section, wcs, place) for place in places]
        data, wcs = hdus[0].data, WCS(hdus[0].header)
        return [Cutout2D(data, place, SIZE, wcs=wcs, copy=True).data for place in places]


def sections(image: object, wcs: WCS, place: SkyCoord) -> np.ndarray:
    x, y = (round(float(value)) - SIZE // 2 for value in wcs.world_to_pixel(place))
    return np.array(image[y : y + SIZE, x : x + SIZE])


def child(path: Path, way: str, count: int) -> dict[str, float]:
    sky = positions(path, count)
    work = {
        "pixels": lambda: ours(path, sky, False),
        "resampled": lambda: ours(path, sky, True),
        "loop": lambda: loop(path, sky),
    }[way]
    if way != "loop":
        work()  # maps the file's pages, as a program that is at work has
    start, used = time.perf_counter(), time.process_time()
    work()
    seconds, busy = time.perf_counter() - start, time.process_time() - used
    return {
        "per_second": round(count / seconds, 1),
        "per_cpu_second": round(count / busy, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16_384, help="mosaic, pixels")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--count", type=int, default=20_000, help="cut-outs of ours")
    parser.add_argument("--loop", type=int, default=300, help="cut-outs of the loop")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        path, way, count = options.child
        print(json.dumps(child(Path(path), way, int(count))))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEEPLENSE_CACHE"] = folder
        for kind in options.kinds:
            path = write_kind(folder, kind, options.side)
            counts = {"pixels": options.count, "resampled": options.count, "loop": options.loop}
            found = {way: in_process(__file__, "--child", path, way, count) for way, count in counts.items()}
            report(
                f"cut-outs, {kind}",
                ratio=found["pixels"]["per_second"] / found["loop"]["per_second"],
                goal=GOALS[kind],
                ours=found["pixels"],
                resampled=found["resampled"],
                reference=found["loop"],
                side=options.side,
                count=options.count,
            )


if __name__ == "__main__":
    main()
