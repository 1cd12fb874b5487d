"""Training sets on disk: many scenes made in a process pool, written to HDF5 with their truth table."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.errors import DataError
from engine.simulate import bands, dark_matter, finder
from engine.simulate.recipe import Example, Recipe, Value
from engine.types import Step

_FINDER = Recipe(
    name="finder",
    summary="lenses, their twins without the arc, and what is taken for lenses, in one band of any survey",
    make_scene=finder.make_scene,
    classes=finder.CLASSES,
    truth=finder.TRUTH,
    version=2,
    size=64,
    pixel_scales=(0.1, 0.3),
    bands=("any",),
)
_FIRST_FINDER = replace(
    _FINDER,
    name="finder-1",
    summary="the same, with fewer stars and close pairs",
    make_scene=partial(finder.make_scene, recipe=finder.FIRST),
)
SMALLEST = 8  # pixels, of a stamp's side
SCENES = 16  # made by a worker at a time
RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (_FINDER, _FIRST_FINDER, *bands.RECIPES, *dark_matter.RECIPES)
}


def simulate(
    recipe: str,
    out: Path | str,
    *,
    count: int,
    seed: int,
    size: int | None = None,
    pixel_scales: tuple[float, ...] | None = None,
    options: Mapping[str, Value] | None = None,
    processes: int | None = None,
) -> Iterator[Step]:
    """Simulate a labelled training set.

    The same seed gives the same stamps whatever the number of processes. The file appears under its name only when it
    is whole.

    Parameters
    ----------
    recipe : name in RECIPES
    out : HDF5 file: ``cutouts`` (n, scale, band, size, size), ``label`` (n,), ``truth/<column>`` (n,)
    count : number of stamps
    size : stamp side, pixels; the recipe's own by default
    pixel_scales : arcsec, one for each index of the second axis; the recipe's own by default
    options : what the recipe lets its user choose, as values or their texts
    processes : worker processes; one a core by default

    Raises
    ------
    DataError
        for an unknown recipe or option, a count below one, or a file that cannot be written
    """
    out, made = Path(out), find_recipe(recipe)
    if count < 1:
        raise DataError(f"Cannot simulate {count} stamps; ask for one at least.")
    if size is not None and size < SMALLEST:
        raise DataError(f"Stamps of {size} pixels show nothing; ask for {SMALLEST} at least.")
    if not out.parent.is_dir():
        raise DataError(f"The folder {out.parent} does not exist; make it or choose another --out.")
    order = _Order(recipe, seed, size or made.size, pixel_scales or made.pixel_scales, made.choose(options or {}))
    part = out.with_name(out.name + ".part")
    try:
        with h5py.File(part, "w") as file:
            yield from _fill(file, order, count, processes or os.cpu_count() or 1)
        os.replace(part, out)
    except OSError as error:
        raise DataError(f"Cannot write {out}: {error}; free some space or choose another --out.") from error
    finally:
        part.unlink(missing_ok=True)


def find_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises
    ------
    DataError
        if there is none
    """
    if name not in RECIPES:
        raise DataError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]


@dataclass(frozen=True, slots=True)
class _Order:
    """What a worker has to know to make any scene of a set."""

    recipe: str
    seed: int
    size: int
    pixel_scales: tuple[float, ...]
    options: Mapping[str, Value]

    def make(self, start: int) -> list[Example]:
        """The stamps of some scenes, from number ``start`` on."""
        make_scene = RECIPES[self.recipe].make_scene
        return [
            example
            for index in range(start, start + SCENES)
            for example in make_scene(self.seed, index, size=self.size, pixel_scales=self.pixel_scales, **self.options)
        ]


def _fill(file: h5py.File, order: _Order, count: int, processes: int) -> Iterator[Step]:
    recipe = RECIPES[order.recipe]
    shape = (len(order.pixel_scales), len(recipe.bands), order.size, order.size)
    cutouts = file.create_dataset("cutouts", (count, *shape), recipe.dtype, chunks=(min(64, count), *shape))
    label = file.create_dataset("label", (count,), np.int8)
    label.attrs["classes"] = list(recipe.classes)
    columns = {name: file.create_dataset(f"truth/{name}", (count,), dtype) for name, dtype in recipe.truth.items()}
    file.attrs.update(recipe=recipe.name, seed=order.seed, version=recipe.version)
    file.attrs.update(pixel_scales=order.pixel_scales, bands=list(recipe.bands))
    if recipe.options:  # the bytes of recipes without options, by which their sets are known, stay as they were
        file.attrs["options"] = json.dumps(dict(order.options))
    largest = 6.5e4 if recipe.dtype is np.float16 else float(np.finfo(recipe.dtype).max)
    done = 0
    for batch in _scenes(order, processes):
        batch = batch[: count - done]
        rows = slice(done, done + len(batch))
        stamps = np.stack([example.cutouts for example in batch])
        if stamps.shape[1:] != shape:
            raise DataError(f"The recipe {recipe.name} makes one view; give it one pixel scale.")
        cutouts[rows] = np.clip(stamps, -largest, largest).astype(recipe.dtype)
        label[rows] = [example.label for example in batch]
        for name, column in columns.items():
            column[rows] = np.array([example.truth[name] for example in batch], column.dtype)
        done += len(batch)
        yield Step(done, count, note=f"{done} stamps")
        if done >= count:
            return


def _scenes(order: _Order, processes: int) -> Iterator[list[Example]]:
    """Stamps in the order of their scenes, in batches, without end."""
    starts = iter(range(0, 2**62, SCENES))
    if processes == 1:
        yield from map(order.make, starts)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        pending: list[Any] = [pool.apply_async(order.make, (next(starts),)) for _ in range(4 * processes)]
        while True:
            pending.append(pool.apply_async(order.make, (next(starts),)))
            yield pending.pop(0).get()


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
