"""Sources a second of a whole scan (read, find, cut, normalise, classify), against classifying one stamp at a time.

The loop is what a script does that has the sources already: cut one, prepare one, run the network in float32.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from measure import compare, write_sky

from engine.detect.scan import scan
from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.models.predict import load_classifier
from engine.types import ScanRequest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048, help="mosaic, pixels")
    parser.add_argument("--sources", type=int, default=3000)
    parser.add_argument("--loop", type=int, default=200, help="stamps of the loop")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="finder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sky.fits"
        xy = write_sky(path, options.side, sources=options.sources)[: options.loop]
        mosaic = open_mosaic(path)
        classifier = load_classifier(options.model).quicken()
        card = classifier.card
        request = ScanRequest(mosaic=mosaic, model=options.model)

        def whole() -> int:
            return sum(len(step.items) for step in scan(request, classifier))

        def loop() -> None:
            for position in xy:
                stamp = cut(mosaic, position[None], size=card.size, pixel_scales=card.pixel_scales)
                with torch.inference_mode():
                    float(np.asarray(classifier.network(classifier.prepared(stamp.pixels)).float().cpu())[0, 0])

        found = whole()
        compare(
            "scan throughput",
            whole,
            loop,
            goal=8,
            repeats=options.repeats,
            items=(found, len(xy)),
            model=card.key,
            architecture=card.architecture,
            megapixels=round(options.side**2 / 1e6, 1),
        )


if __name__ == "__main__":
    main()
