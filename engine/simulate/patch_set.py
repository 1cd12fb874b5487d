"""Sets of patches on disk: many scenes made in a process pool, written to HDF5 with the table of their lenses."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.errors import DataError
from engine.images.room import check_room
from engine.simulate.dataset import LARGEST, check_place
from engine.simulate.patches import COLUMNS, Patch, make_patches
from engine.types import Step

RECIPE, VERSION = "field", 1
_SCENES = 4  # made by a worker at a time
_LARGEST = 6.5e4  # of float16


def simulate_patches(
    out: Path | str,
    *,
    count: int,
    seed: int,
    size: int = 256,
    pixel_scale: float = 0.2,
    processes: int | None = None,
) -> Iterator[Step]:
    """Simulate patches of survey fields with and without lenses (engine.simulate.patches).

    The same seed gives the same patches whatever the number of processes. The file appears under its name only when
    it is whole.

    Parameters
    ----------
    out : HDF5 file: ``images`` (n, band, y, x) float16; ``seeing`` (n,) arcsec; ``group`` (n,), the scene; and a row
        for each lens in ``lenses/<column>``: image, x, y, einstein_radius, arc_snr, group
    count : number of patches
    size : patch side, pixels
    pixel_scale : arcsec
    processes : worker processes; one a core by default

    Raises
    ------
    DataError
        for a count below one, patches too small to hold a lens, or a file that cannot be written
    """
    out = Path(out)
    if count < 1 or not 64 <= size <= LARGEST or not pixel_scale > 0:
        message = f'Cannot simulate {count} patches of {size} px of {pixel_scale:g}"'
        raise DataError(f"{message}: ask for 1 or more of 64 to {LARGEST} px.")
    check_place(out, seed)
    part = out.with_name(out.name + ".part")
    make = partial(_make_batch, seed, size, pixel_scale)
    try:
        check_room(out.parent, 2 * count * size**2)
        with h5py.File(part, "w") as file:
            file.attrs.update(recipe=RECIPE, seed=seed, version=VERSION, pixel_scale=pixel_scale, bands=["any"])
            yield from _fill(file, make, count, size, processes or os.cpu_count() or 1)
        os.replace(part, out)
    except OSError as error:
        raise DataError(f"Cannot write {out}: {error}; free some space or choose another --out.") from error
    finally:
        part.unlink(missing_ok=True)


def _fill(file: h5py.File, make: Any, count: int, size: int, processes: int) -> Iterator[Step]:
    images = file.create_dataset("images", (count, 1, size, size), np.float16, chunks=(1, 1, size, size))
    seeing = file.create_dataset("seeing", (count,), np.float32)
    group = file.create_dataset("group", (count,), np.int64)
    kinds = {"image": np.int32, **COLUMNS, "group": np.int64}
    table: dict[str, list[Any]] = {name: [] for name in kinds}
    done = 0
    for batch in _in_order(make, processes):
        batch = batch[: count - done]
        rows = slice(done, done + len(batch))
        check_room(Path(file.filename).parent, 2 * len(batch) * size**2)
        images[rows, 0] = np.clip([patch.pixels for patch in batch], -_LARGEST, _LARGEST).astype(np.float16)
        seeing[rows] = [patch.seeing for patch in batch]
        group[rows] = [patch.group for patch in batch]
        for index, patch in enumerate(batch, done):
            for name in COLUMNS:
                table[name].extend(patch.lenses[name])
            table["image"].extend([index] * len(patch.lenses))
            table["group"].extend([patch.group] * len(patch.lenses))
        done += len(batch)
        yield Step(done, count, note=f"{done} patches, {len(table['x'])} lenses")
        if done >= count:
            break
    for name, values in table.items():
        file.create_dataset(f"lenses/{name}", data=np.array(values, kinds[name]))


def _in_order(make: Any, processes: int) -> Iterator[list[Patch]]:
    """Batches of patches in the order of their scenes, without end."""
    starts = iter(range(0, 2**62, _SCENES))
    if processes == 1:
        yield from map(make, starts)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        pending: list[Any] = [pool.apply_async(make, (next(starts),)) for _ in range(2 * processes)]
        while True:
            pending.append(pool.apply_async(make, (next(starts),)))
            yield pending.pop(0).get()


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _make_batch(seed: int, size: int, pixel_scale: float, start: int) -> list[Patch]:
    return [
        patch
        for index in range(start, start + _SCENES)
        for patch in make_patches(seed, index, size=size, pixel_scale=pixel_scale)
    ]
