"""Megapixels a second of the dense network over a tile, against the same network over overlapping stamps.

The reference sees what a stamp classifier would: a stamp around every cell of the heatmap, in batches. Both run in the
precision the program chooses for this machine. ``search`` is the bundled detector on a mosaic at its own pixel scale,
reading, preparing and borders included.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from measure import compare, seconds, write_sky

from engine.detect.heatmap import HeatmapSearch
from engine.device import autocast, precision
from engine.images.mosaic import open_mosaic
from engine.models.heatmap import build_heatmap, load_detector


def search_rate(side: int) -> float:
    """Megapixels a second of the bundled detector on a square mosaic."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sky.fits"
        write_sky(path, side, sources=side // 4)
        mosaic, detector = open_mosaic(path), load_detector("heatmap")

        def whole() -> None:
            for _ in HeatmapSearch(mosaic, detector).search((0, side, 0, side)):
                pass

        whole()
        return side**2 / 1e6 / statistics.median(seconds(whole) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="lean_resnet")
    parser.add_argument("--side", type=int, default=1024, help="tile, pixels")
    parser.add_argument("--stamp", type=int, default=64, help="stamp, pixels")
    parser.add_argument("--stamps", type=int, default=256, help="stamps of the reference")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    device = torch.device("cpu")
    network = build_heatmap(options.architecture, in_channels=2).eval()
    pixels = np.random.default_rng(1).standard_normal((1, 2, options.side, options.side), np.float32)
    tile = torch.from_numpy(pixels)
    stamps = tile[..., : options.stamp, : options.stamp].repeat(options.stamps, 1, 1, 1)

    def run(images: torch.Tensor) -> None:
        with torch.inference_mode(), autocast(device):
            network(images)

    megapixels = options.side**2 / 1e6
    cells = (options.side // network.stride) ** 2
    run(tile)
    rate = megapixels / statistics.median(seconds(lambda: run(tile)) for _ in range(options.repeats))
    compare(
        "dense network, cells of the heatmap",
        lambda: run(tile),
        lambda: run(stamps),
        goal=40,
        repeats=options.repeats,
        items=(cells, options.stamps),
        architecture=options.architecture,
        precision=str(precision(device)),
        threads=torch.get_num_threads(),
        stride=network.stride,
        side=options.side,
        megapixels_per_second=round(rate, 1),
        search_megapixels_per_second=round(search_rate(2 * options.side), 1),
    )


if __name__ == "__main__":
    main()
