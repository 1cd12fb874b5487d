"""Sets of patches for a dense detector: what is in them, and the patches as the network sees them."""

from __future__ import annotations

import hashlib
import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.models import local_sky
from engine.models.card import file_sha256
from engine.train.array_file import new_array
from engine.train.data import split

COLUMNS = ("image", "x", "y", "einstein_radius", "arc_snr")


@dataclass(frozen=True, slots=True, eq=False)
class PatchSet:
    """All but the pixels of one or more files of patches (engine.simulate.patch_set).

    ``lenses`` holds COLUMNS, ``image`` counting over all files; ``group`` (n,) is the scene of each patch.
    """

    paths: tuple[Path, ...]
    sha256: tuple[str, ...]
    size: int
    pixel_scale: float
    group: NDArray[np.int64]
    lenses: dict[str, NDArray[Any]]
    recipe: dict[str, Any]

    def __len__(self) -> int:
        return len(self.group)

    def of(self, image: int) -> NDArray[np.float64]:
        """Positions (x, y) and Einstein radii of the lenses of a patch, (m, 3) pixels and arcsec."""
        first, last = np.searchsorted(self.lenses["image"], [image, image + 1])
        names = ("x", "y", "einstein_radius")
        return np.stack([self.lenses[name][first:last] for name in names], 1).astype(np.float64)

    def parts(self, *, seed: int, validation: float, test: float) -> dict[str, NDArray[np.int64]]:
        """Indices of the patches for training, validation and test; no scene is in two parts."""
        lensed = np.isin(np.arange(len(self)), self.lenses["image"]).astype(np.int64)
        return split(lensed, self.group, seed=seed, validation=validation, test=test)


def is_patch_set(path: Path | str) -> bool:
    """Whether a file holds patches with positions of lenses rather than labelled stamps."""
    try:
        with h5py.File(path) as file:
            return "images" in file and "lenses" in file
    except OSError:
        return False


def open_patch_set(paths: Sequence[Path | str]) -> PatchSet:
    """Read all but the pixels, and check that the files fit together.

    Raises
    ------
    DataError
        Files that are no sets of patches, do not fit each other, or hold no lens.
    """
    found = [_read(Path(path)) for path in paths]
    head = found[0]
    for other in found[1:]:
        if (other.size, other.pixel_scale) != (head.size, head.pixel_scale):
            raise DataError(f"{other.paths[0]} and {head.paths[0]} differ in size or pixel scale: train on one kind")
    starts = np.cumsum([0, *(len(one) for one in found)])
    lenses = {name: np.concatenate([one.lenses[name] for one in found]) for name in COLUMNS}
    counts = [len(one.lenses["image"]) for one in found]
    lenses["image"] = lenses["image"] + np.repeat(starts[:-1], counts)
    if not len(lenses["image"]):
        raise DataError(f"{head.paths[0]} holds no lens: simulate more patches")
    return PatchSet(
        paths=tuple(one.paths[0] for one in found),
        sha256=tuple(one.sha256[0] for one in found),
        size=head.size,
        pixel_scale=head.pixel_scale,
        group=np.concatenate([one.group for one in found]),
        lenses=lenses,
        recipe=head.recipe if len(found) == 1 else {one.paths[0].name: one.recipe for one in found},
    )


def _read(path: Path) -> PatchSet:
    if not is_patch_set(path):
        raise DataError(f"{path} is not a set of patches: make one with 'deeplense patches'")
    with h5py.File(path) as file:
        images, table = file["images"], file["lenses"]
        if images.ndim != 4 or images.shape[1] != 1 or images.shape[2] != images.shape[3]:
            raise DataError(f"images in {path} have the shape {images.shape}, not (n, 1, size, size): make them anew")
        missing = [name for name in COLUMNS if name not in table] + [name for name in ("group",) if name not in file]
        if missing or "pixel_scale" not in file.attrs:
            raise DataError(f"{path} lacks {', '.join(missing) or 'its pixel_scale'}: make it anew")
        lenses = {name: np.asarray(table[name][()]) for name in COLUMNS}
        order = np.argsort(lenses["image"], kind="stable")
        return PatchSet(
            paths=(path,),
            sha256=(file_sha256(path),),
            size=int(images.shape[-1]),
            pixel_scale=float(file.attrs["pixel_scale"]),
            group=np.asarray(file["group"][()], np.int64),
            lenses={name: column[order] for name, column in lenses.items()},
            recipe={name: _plain(file.attrs[name]) for name in ("recipe", "seed", "version") if name in file.attrs},
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def prepared_path(data: PatchSet, channels: Sequence[str], folder: Path) -> Path:
    """Where the prepared patches lie: named by the data, the channels and the code that makes them."""
    digest = hashlib.sha256(inspect.getsource(local_sky).encode())
    digest.update("|".join([*data.sha256, *channels]).encode())
    return folder / f"prepared-{digest.hexdigest()[:16]}.npy"


def prepare_patches(data: PatchSet, channels: Sequence[str], path: Path, *, threads: int) -> Iterator[int]:
    """Write all patches as the network sees them, (n, channel, y, x) float16; yields how many were added.

    The file appears under its name only when it is whole.
    """
    pending: deque[Future[NDArray[np.float32]]] = deque()
    with new_array(path) as append, ThreadPoolExecutor(threads) as pool:
        for place in data.paths:
            with h5py.File(place) as file:
                for pixels in file["images"]:
                    pending.append(pool.submit(local_sky.prepare_region, pixels.astype(np.float32), channels))
                    if len(pending) > 4 * threads:
                        append(pending.popleft().result()[None], len(data))
                        yield 1
        while pending:
            append(pending.popleft().result()[None], len(data))
            yield 1
