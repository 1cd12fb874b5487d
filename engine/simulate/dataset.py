"""Training sets on disk: many scenes made in a process pool, written to HDF5 with their truth table."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.errors import DataError
from engine.simulate import finder
from engine.simulate.finder import Example
from engine.types import Step

RECIPES: Mapping[str, Callable[..., list[Example]]] = {
    "finder": finder.make_scene,
    "finder-1": partial(finder.make_scene, recipe=finder.FIRST),
}
VERSION = 2
_LARGEST = 6.5e4  # of float16


def simulate(
    recipe: str,
    out: Path | str,
    *,
    count: int,
    seed: int,
    size: int = 64,
    pixel_scales: tuple[float, ...] = (0.1, 0.3),
    processes: int | None = None,
) -> Iterator[Step]:
    """Simulate a labelled training set.

    The same seed gives the same stamps whatever the number of processes. The file appears under its name only when it
    is whole.

    Parameters
    ----------
    recipe : name in RECIPES
    out : HDF5 file: ``cutouts`` (n, scale, band, size, size) float16, ``label`` (n,), ``truth/<column>`` (n,)
    count : number of stamps
    size : stamp side, pixels
    pixel_scales : arcsec, one for each index of the second axis
    processes : worker processes; one a core by default

    Raises
    ------
    DataError
        for an unknown recipe, a count below one, or a file that cannot be written
    """
    out = Path(out)
    if recipe not in RECIPES:
        raise DataError(f"There is no recipe {recipe!r}; choose one of {', '.join(RECIPES)}.")
    if count < 1:
        raise DataError(f"Cannot simulate {count} stamps; ask for one at least.")
    if not out.parent.is_dir():
        raise DataError(f"The folder {out.parent} does not exist; make it or choose another --out.")
    part = out.with_name(out.name + ".part")
    try:
        with h5py.File(part, "w") as file:
            yield from _fill(file, recipe, count, seed, size, pixel_scales, processes or os.cpu_count() or 1)
        os.replace(part, out)
    except OSError as error:
        raise DataError(f"Cannot write {out}: {error}; free some space or choose another --out.") from error
    finally:
        part.unlink(missing_ok=True)


def _fill(
    file: h5py.File, recipe: str, count: int, seed: int, size: int, pixel_scales: tuple[float, ...], processes: int
) -> Iterator[Step]:
    shape = (len(pixel_scales), 1, size, size)
    cutouts = file.create_dataset("cutouts", (count, *shape), np.float16, chunks=(min(64, count), *shape))
    label = file.create_dataset("label", (count,), np.int8)
    label.attrs["classes"] = list(finder.CLASSES)
    columns = {name: file.create_dataset(f"truth/{name}", (count,), dtype) for name, dtype in finder.TRUTH.items()}
    file.attrs.update(recipe=recipe, seed=seed, version=VERSION, pixel_scales=pixel_scales, bands=["any"])
    done = 0
    for batch in _scenes(recipe, seed, size, pixel_scales, processes):
        batch = batch[: count - done]
        rows = slice(done, done + len(batch))
        stamps = np.stack([example.cutouts for example in batch])
        cutouts[rows] = np.clip(stamps, -_LARGEST, _LARGEST).astype(np.float16)
        label[rows] = [example.label for example in batch]
        for name, column in columns.items():
            column[rows] = np.array([example.truth[name] for example in batch], column.dtype)
        done += len(batch)
        yield Step(done, count, note=f"{done} stamps")
        if done >= count:
            return


def _scenes(
    recipe: str, seed: int, size: int, pixel_scales: tuple[float, ...], processes: int
) -> Iterator[list[Example]]:
    """Stamps in the order of their scenes, in batches, without end."""
    make = partial(_make_batch, recipe, seed, size, pixel_scales)
    starts = iter(range(0, 2**62, 16))
    if processes == 1:
        yield from map(make, starts)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        pending: list[Any] = [pool.apply_async(make, (next(starts),)) for _ in range(4 * processes)]
        while True:
            pending.append(pool.apply_async(make, (next(starts),)))
            yield pending.pop(0).get()


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _make_batch(recipe: str, seed: int, size: int, pixel_scales: tuple[float, ...], start: int) -> list[Example]:
    make_scene = RECIPES[recipe]
    return [
        example
        for index in range(start, start + 16)
        for example in make_scene(seed, index, size=size, pixel_scales=pixel_scales)
    ]
