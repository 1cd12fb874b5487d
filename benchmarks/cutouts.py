"""Cut-outs of 64 px by sky position, against a loop of astropy's Cutout2D with SkyCoord."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from measure import compare, write_sky

from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic

SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="mosaic, pixels")
    parser.add_argument("--count", type=int, default=4000, help="cut-outs of ours")
    parser.add_argument("--loop", type=int, default=300, help="cut-outs of the loop")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sky.fits"
        write_sky(path, options.side, sources=500)
        mosaic = open_mosaic(path)
        xy = np.random.default_rng(2).uniform(SIZE, options.side - SIZE, (options.count, 2))
        sky = mosaic.world(xy)
        native = (mosaic.pixel_scale,)

        def loop() -> list[np.ndarray]:
            with fits.open(path, memmap=True) as hdus:
                data, wcs = hdus[0].data, WCS(hdus[0].header)
                places = SkyCoord(sky[: options.loop, 0], sky[: options.loop, 1], unit="deg")
                return [Cutout2D(data, place, SIZE, wcs=wcs, copy=True).data for place in places]

        for name, scales, goal in (("native scale", native, 50), ("two scales", (0.14, 0.42), 1)):
            compare(
                f"cut-outs, {name}",
                lambda scales=scales: cut(mosaic, mosaic.pixel(sky), size=SIZE, pixel_scales=scales),
                loop,
                goal=goal,
                items=(options.count, options.loop),
            )


if __name__ == "__main__":
    main()
