"""Megapixels a second of the dense network over a tile, against the same network over overlapping stamps.

The reference sees what a stamp classifier would: a stamp around every cell of the heatmap, in batches. Both run in the
precision the program chooses for this machine.
"""

import argparse
import statistics

import numpy as np
import torch
from measure import compare, seconds

from engine.device import autocast, precision
from engine.models.heatmap import build_heatmap


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
    )


if __name__ == "__main__":
    main()
