"""The recipe of the bundled lens finder: lenses, their twins without the arc, and what is taken for lenses.

Survey networks trained on lenses against assorted galaxies learn "smooth bright elliptical = lens". So each lens comes
with a twin: the same deflector, neighbours, seeing and noise, the arc left out; and often with a third stamp in which
the source stands beside the deflector unlensed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from engine.simulate import sky
from engine.simulate.contaminants import draw_contaminant
from engine.simulate.family import draw_family
from engine.simulate.recipe import Example, Truth
from engine.simulate.scene import Scene, Stamp, View, observe
from engine.simulate.sky import Conditions, Generator, Grid

CLASSES = ("not", "lens")


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is drawn how often.

    ``contaminants`` are the kinds of stamp without a lens and their shares; ``surveys`` the shares of space telescopes
    of high and of low resolution, of deep and of shallow ground surveys (engine.simulate.sky); ``coarsest`` the largest
    pixel of a shallow survey in arcsec and ``sharpest`` its least seeing in pixels. Where the seeing, or
    two pixels, are above ``blurriest`` (arcsec), no arc of a galaxy can be told: there is no lens then.
    """

    contaminants: Mapping[str, float]
    surveys: tuple[float, float, float, float]
    coarsest: float
    sharpest: float
    blurriest: float


FIRST = Mixture(
    {
        "spiral": 0.30, "ring": 0.07, "merger": 0.12, "edge_on": 0.08, "elliptical": 0.09,
        "group": 0.06, "star": 0.07, "star_field": 0.05, "faint": 0.09, "artefact": 0.07,
    },
    surveys=(0.36, 0.12, 0.47, 0.05),
    coarsest=1.5,
    sharpest=1.6,
    blurriest=np.inf,
)  # fmt: skip
# What the first took for lenses on real fields: stars on coarse pixels, spikes and trails of stars nearby, close pairs.
SECOND = Mixture(
    {
        "spiral": 0.24, "ring": 0.06, "merger": 0.10, "edge_on": 0.06, "elliptical": 0.07, "group": 0.05,
        "pair": 0.12, "star": 0.05, "star_field": 0.04, "near_star": 0.10, "faint": 0.06, "artefact": 0.05,
    },
    surveys=(0.32, 0.12, 0.38, 0.18),
    coarsest=6.0,
    sharpest=0.7,
    blurriest=1.8,
)  # fmt: skip
TRUTH: Mapping[str, DTypeLike] = {
    "group": np.int64,
    "kind": "S12",
    "einstein_radius": np.float32,
    "arc_snr": np.float32,
    "seeing": np.float32,
    "native_scale": np.float32,
    "field_of_view": np.float32,
    "deflector_radius": np.float32,
    "source_radius": np.float32,
    "offset_x": np.float32,
    "offset_y": np.float32,
}


def make_scene(
    seed: int, index: int, *, size: int, pixel_scales: tuple[float, ...], recipe: Mixture = SECOND
) -> list[Example]:
    """All stamps of scene ``index``: a lens with its twins, or one contaminant.

    The same seed and index give the same bytes; stamps of one scene share the truth column ``group``.
    """
    random = np.random.default_rng([seed, index])
    width = size * max(pixel_scales)
    conditions = sky.draw_conditions(
        random, width, surveys=recipe.surveys, coarsest=recipe.coarsest, sharpest=recipe.sharpest
    )
    observed = min(conditions.field_of_view, width * 1.02)
    truth = begin_truth(seed, index, conditions, observed)
    view = View(conditions, sky.point_spread_function(conditions))
    scene = Scene(grid_of(observed, conditions), (view,), truth)
    return observe(random, scene, draw_stamps(random, scene, recipe), size, pixel_scales)


def grid_of(observed: float, conditions: Conditions) -> Grid:
    """The pixels of a scene: what is observed (arcsec) and the PSF's reach beyond."""
    return Grid(int(np.ceil((observed + 4 * conditions.seeing) / conditions.native_scale)) | 1, conditions.native_scale)


def begin_truth(seed: int, index: int, conditions: Conditions, observed: float) -> Truth:
    """The columns of the truth table as they are for a stamp without a lens."""
    group = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)
    return {
        "group": group, "kind": b"", "einstein_radius": np.nan, "arc_snr": 0.0, "seeing": conditions.seeing,
        "native_scale": conditions.native_scale, "field_of_view": observed, "deflector_radius": np.nan,
        "source_radius": np.nan, "offset_x": 0.0, "offset_y": 0.0,
    }  # fmt: skip


def draw_stamps(random: Generator, scene: Scene, recipe: Mixture) -> list[Stamp]:
    """A lens with its twins, or a contaminant, before noise."""
    resolution = max(scene.conditions.seeing, 2 * scene.conditions.native_scale)
    lensed = random.random() < 0.45 and resolution <= recipe.blurriest
    return draw_family(random, scene) if lensed else [draw_contaminant(random, scene, recipe.contaminants)]
