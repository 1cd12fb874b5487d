"""What the bands of a stamp tell together: the finder over g, r and i against the mean of what the finder says of each.

Both score the same fresh simulations of ``finder-gri``. Prints one JSON line; intervals are of 90 %.
"""

import argparse
import json
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.models.predict import load_classifier
from engine.simulate.dataset import RECIPES
from engine.train.metrics import auc, bootstrap, tpr_at_fpr
from engine.types import Cutouts

CHUNK = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=99)
    options = parser.parse_args()
    recipe = RECIPES["finder-gri"]
    models = {name: load_classifier(name).quicken() for name in ("finder", "finder-gri")}
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in models}
    label: list[int] = []
    group: list[int] = []
    stamps: list[NDArray[np.float32]] = []
    for index in range(options.scenes):
        shape = {"size": recipe.size, "pixel_scales": recipe.pixel_scales}
        for example in recipe.make_scene(options.seed, index, **shape):
            stamps.append(example.cutouts.astype(np.float32))
            label.append(example.label)
            group.append(index)
        if stamps and (len(stamps) >= CHUNK or index == options.scenes - 1):
            cutouts = Cutouts(np.stack(stamps), recipe.pixel_scales, recipe.bands, np.zeros((len(stamps), 2)))
            for name, model in models.items():
                found[name].append(model.score_bands(cutouts).raw_score)
            stamps = []
    labels, scenes = np.array(label), np.array(group)
    line: dict[str, object] = {"benchmark": "bands together", "lenses": int(labels.sum())}
    line["others"] = len(labels) - int(labels.sum())
    for name, parts in found.items():
        score = np.concatenate(parts)
        for what, measure in (("auc", auc), ("tpr_at_fpr_1e-2", partial(tpr_at_fpr, fpr=0.01))):
            values = measure(labels, score), *bootstrap(measure, labels, score, group=scenes)
            line[f"{name}_{what}"] = [round(one, 4) for one in values]
    print(json.dumps(line))


if __name__ == "__main__":
    main()
