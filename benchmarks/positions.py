"""Sky positions of pixels and back, a million at once through each kind of distortion, against one at a time."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from measure import compare

from engine.images.mosaic import open_mosaic

SIDE = 4096


def header(kind: str) -> fits.Header:
    head = fits.Header({"CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}", "CRVAL1": 150.0, "CRVAL2": 2.0})
    head.update(CRPIX1=SIDE / 2, CRPIX2=SIDE / 2, CD1_1=-5e-5, CD1_2=1e-6, CD2_1=1e-6, CD2_2=5e-5, RADESYS="ICRS")
    if kind == "TAN-SIP":
        head.update(A_ORDER=3, B_ORDER=3, A_2_0=1e-6, A_0_2=-5e-7, B_1_1=8e-7, B_3_0=1e-10)
    if kind == "TPV":
        head.update(PV1_1=1.0002, PV1_4=0.01, PV2_1=0.9998, PV2_6=0.012)
    if kind == "TNX":
        terms = "3. 3. 3. 2. -0.2 0.2 -0.2 0.2 1.0E-5 1.0E-4 2.0E-3 -1.0E-4 1.0E-3 -2.0E-3"
        for axis, name in ((1, "lngcor"), (2, "latcor")):
            text = f'wtype=tnx axtype={"ra" if axis == 1 else "dec"} {name} = "{terms} "'
            head.update({f"WAT{axis}_{k // 68 + 1:03d}": text[k : k + 68] for k in range(0, len(text), 68)})
    return head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="positions at once")
    parser.add_argument("--loop", type=int, default=300, help="positions one at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("TAN", "TAN-SIP", "TPV", "TNX"):
            path = Path(folder) / f"{kind}.fits"
            fits.PrimaryHDU(np.ones((SIDE, SIDE), np.uint8), header(kind)).writeto(path)
            mosaic = open_mosaic(path)
            xy = np.random.default_rng(1).uniform(0, SIDE, (options.count, 2))
            sky = mosaic.world(xy)
            error = float(np.abs(mosaic.pixel(sky) - xy).max())
            wcs = mosaic.wcs

            def loop(wcs: object = wcs, sky: np.ndarray = sky) -> None:
                for ra, dec in sky[: options.loop]:
                    wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))

            compare(
                f"positions, {kind}",
                lambda mosaic=mosaic, sky=sky: mosaic.pixel(sky),
                loop,
                goal=50,
                repeats=3,
                items=(options.count, options.loop),
                largest_error_px=float(f"{error:.2g}"),
            )


if __name__ == "__main__":
    main()
