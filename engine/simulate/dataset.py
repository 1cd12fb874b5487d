"""Training sets on disk: many scenes made in a process pool, written to HDF5 with their truth table."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count as count_up
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.errors import DataError
from engine.images.room import check_room
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
SMALLEST, LARGEST = 8, 1024  # pixels, of a stamp's side
SCENES = 8  # made by a worker at a time
ROWS = 64  # written at a time, a chunk of the file
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
    if size is not None and size > LARGEST:
        raise DataError(f"Stamps of {size} pixels are no stamps; ask for {LARGEST} at most.")
    check_place(out, seed)
    order = _Order(recipe, seed, size or made.size, pixel_scales or made.pixel_scales, made.choose(options or {}))
    part = out.with_name(out.name + ".part")
    shape = (len(order.pixel_scales), len(made.bands), order.size, order.size)
    try:
        check_room(out.parent, count * math.prod(shape) * np.dtype(made.dtype).itemsize)
        with h5py.File(part, "w") as file:
            yield from _fill(file, order, shape, count, processes or os.cpu_count() or 1)
        os.replace(part, out)
    except OSError as error:
        raise DataError(f"Cannot write {out}: {error}; free some space or choose another --out.") from error
    finally:
        part.unlink(missing_ok=True)


def check_place(out: Path, seed: int) -> None:
    """Refuse, before any work, a place where no file can be made, or a seed that is none.

    Raises
    ------
    DataError
        for either
    """
    if not out.parent.is_dir():
        raise DataError(f"The folder {out.parent} does not exist; make it or choose another --out.")
    if out.is_dir():
        raise DataError(f"{out} is a folder; give a file name as --out.")
    if not 0 <= seed < 2**63:
        raise DataError(f"The seed {seed} is no number from 0 to 2^63 - 1; choose another.")


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

    def make(self, scenes: range) -> list[Example]:
        """The stamps of these scenes."""
        make_scene = RECIPES[self.recipe].make_scene
        return [
            example
            for index in scenes
            for example in make_scene(self.seed, index, size=self.size, pixel_scales=self.pixel_scales, **self.options)
        ]


def _fill(file: h5py.File, order: _Order, shape: tuple[int, ...], count: int, processes: int) -> Iterator[Step]:
    recipe = RECIPES[order.recipe]
    cutouts = file.create_dataset("cutouts", (count, *shape), recipe.dtype, chunks=(min(ROWS, count), *shape))
    label = file.create_dataset("label", (count,), np.int8)
    label.attrs["classes"] = list(recipe.classes)
    columns = {name: file.create_dataset(f"truth/{name}", (count,), dtype) for name, dtype in recipe.truth.items()}
    file.attrs.update(recipe=recipe.name, seed=order.seed, version=recipe.version)
    file.attrs.update(pixel_scales=order.pixel_scales, bands=list(recipe.bands))
    if recipe.options:  # the bytes of recipes without options, by which their sets are known, stay as they were
        file.attrs["options"] = json.dumps(dict(order.options))
    done, waiting = 0, list[Example]()
    for batch in _scenes(order, processes):
        if batch[0].cutouts.shape != shape:
            raise DataError(f"The recipe {recipe.name} makes one view; give it one pixel scale.")
        waiting += batch[: count - done - len(waiting)]
        made = done + len(waiting)
        while len(waiting) >= ROWS or (waiting and made == count):
            check_room(Path(file.filename).parent, ROWS * math.prod(shape) * cutouts.dtype.itemsize)
            _write(cutouts, label, columns, done, waiting[:ROWS])
            done += len(waiting[:ROWS])
            del waiting[:ROWS]
        yield Step(made, count, note=f"{made} stamps")
        if made == count:
            return


def _write(
    cutouts: h5py.Dataset,
    label: h5py.Dataset,
    columns: Mapping[str, h5py.Dataset],
    start: int,
    examples: Sequence[Example],
) -> None:
    """Put examples into the rows from ``start`` on."""
    rows = slice(start, start + len(examples))
    stamps = np.stack([example.cutouts for example in examples])
    largest = 6.5e4 if cutouts.dtype == np.float16 else float(np.finfo(cutouts.dtype).max)
    cutouts[rows] = np.clip(stamps, -largest, largest).astype(cutouts.dtype)
    label[rows] = [example.label for example in examples]
    for name, column in columns.items():
        column[rows] = np.array([example.truth[name] for example in examples], column.dtype)


def _scenes(order: _Order, processes: int) -> Iterator[list[Example]]:
    """Stamps in the order of their scenes, in batches, without end."""
    if processes == 1:
        yield from (order.make(range(index, index + 1)) for index in count_up())
        return
    batches = (range(start, start + SCENES) for start in count_up(0, SCENES))
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        pending: list[Any] = [pool.apply_async(order.make, (next(batches),)) for _ in range(8 * processes)]
        while True:
            pending.append(pool.apply_async(order.make, (next(batches),)))
            yield pending.pop(0).get()


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
