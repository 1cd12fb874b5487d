"""Stamps prepared once for a whole training, and the batches drawn of them."""

from __future__ import annotations

import hashlib
import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import DataError
from engine.models import contrast, preprocess
from engine.train.array_file import new_array
from engine.train.data import TrainingSet

_CHUNK = 256


def prepared_path(data: TrainingSet, channels: Sequence[str], folder: Path) -> Path:
    """Where the prepared stamps of a training set lie: named by the data, the channels and the code that makes them."""
    digest = hashlib.sha256(inspect.getsource(preprocess).encode())
    if preprocess.DIMMED in channels:
        digest.update(inspect.getsource(contrast).encode())
    digest.update("|".join([*data.sha256, *data.bands, *channels]).encode())
    digest.update(np.stack([data.file, data.row, data.band]).tobytes())
    return folder / f"prepared-{digest.hexdigest()[:16]}.npy"


def prepare_all(data: TrainingSet, channels: Sequence[str], path: Path, *, threads: int) -> Iterator[int]:
    """Write all examples as the network sees them, (n, scale, channel, y, x) float16; yields how many were added.

    Half precision keeps three digits, far below the noise of a stamp, in half of the disk and memory. The file
    appears under its name only when it is whole.
    """
    with new_array(path) as append:
        for _, made in prepared(data, channels, threads=threads):
            append(made, len(data))
            yield len(made)


def prepared(
    data: TrainingSet, channels: Sequence[str], *, threads: int
) -> Iterator[tuple[slice, NDArray[np.float16]]]:
    """All examples in order as the network sees them, in chunks: their places and (n, scale, channel, y, x)."""
    pending: deque[tuple[slice, Future[NDArray[np.float16]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for place, stamps in _padded(data.chunks(_CHUNK)):
            if stamps is not None:
                pending.append((place, pool.submit(_prepare, stamps, data, channels)))
            while pending and (len(pending) > threads or stamps is None):
                ready, future = pending.popleft()
                yield ready, future.result()


def _prepare(stamps: NDArray[np.float32], data: TrainingSet, channels: Sequence[str]) -> NDArray[np.float16]:
    made = preprocess.prepare(stamps, channels, bands=data.bands, pixel_scales=data.pixel_scales)
    return made.astype(np.float16)


def _padded(
    chunks: Iterator[tuple[slice, NDArray[np.float32]]],
) -> Iterator[tuple[slice, NDArray[np.float32] | None]]:
    """The chunks and a last None that flushes what is still in the pool."""
    yield from chunks
    yield slice(0), None


class Examples:
    """Prepared stamps and what is to be learned of them, on a device, or on disk where they do not fit there.

    ``label`` is the class (n,), or the values of a regression (n, target).
    """

    def __init__(self, path: Path, label: NDArray[Any], device: torch.device) -> None:
        # Copy-on-write: torch wants writable memory, the file stays as it is.
        stamps = torch.from_numpy(np.load(path, mmap_mode="c"))
        if len(stamps) != len(label):
            raise DataError(f"{path} holds {len(stamps)} stamps for {len(label)} labels: delete it and start again")
        if device.type == "cuda" and stamps.nbytes < 0.4 * torch.cuda.mem_get_info(device)[0]:
            stamps = stamps.to(device)
        self.stamps, self.device = stamps, device
        self.label = torch.from_numpy(label).to(device)

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Stamps (n, scale, channel, y, x) float32 and labels (n,), or values (n, target), on the device."""
        chosen = torch.from_numpy(np.ascontiguousarray(indices))
        stamps = self.stamps[chosen.to(self.stamps.device)].to(self.device).float()
        return stamps, self.label[chosen.to(self.device)]
