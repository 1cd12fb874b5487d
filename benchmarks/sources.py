"""Megapixels a second of looking for sources as a scan does, tile by tile, against SEP on the whole image at once.

Tiles overlap, so that more pixels are searched than there are; both rates count those of the mosaic. Sources are
measured too, which the reference does not do. ``two_processes`` shares the tiles between two processes.
"""

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from measure import compare, seconds, write_sky

from engine.detect.scan import Tile
from engine.detect.search import search_here
from engine.detect.tiles import Core, tile_cores
from engine.images.mosaic import open_mosaic
from engine.models.card import load_card
from engine.models.library import model_folder
from engine.types import ScanRequest


def tiles(path: Path, cores: list[Core]) -> int:
    """How many sources are found in some tiles."""
    request, card, found = ScanRequest(open_mosaic(path)), load_card(model_folder("finder")), 0
    for core in cores:
        tile = Tile(request, core, card)
        for _ in tile.search(search_here):
            pass
        found += len(tile.sources)
    return found


def at_once(path: Path) -> int:
    image = fits.getdata(path).astype(np.float32)
    background = sep.Background(image)
    sep.set_extract_pixstack(image.size)
    return len(sep.extract(image - background.back(), 1.5, err=background.globalrms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="mosaic, pixels")
    parser.add_argument("--sources", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    megapixels = options.side**2 / 1e6
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sky.fits"
        write_sky(path, options.side, sources=options.sources)
        cores = tile_cores((options.side, options.side), 1024)
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:

            def shared() -> None:
                for part in [pool.submit(tiles, path, cores[k::2]) for k in range(2)]:
                    part.result()

            shared()
            both = min(seconds(shared) for _ in range(options.repeats))
        compare(
            "looking for sources",
            lambda: tiles(path, cores),
            lambda: at_once(path),
            goal=1,
            repeats=options.repeats,
            items=(megapixels, megapixels),
            two_processes={"per_second": round(megapixels / both, 1)},
            side=options.side,
            sources=options.sources,
        )


if __name__ == "__main__":
    main()
