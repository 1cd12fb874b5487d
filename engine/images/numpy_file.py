"""Plain .npy arrays: a stamp, or a cube of them, without any header."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import ImageError
from engine.images.damage import DAMAGE, reason
from engine.images.planes import Layer, MappedPlane
from engine.types import Plane


def read_array(path: Path) -> Layer:
    """A .npy file as a layer; the first of three axes is the band. Nothing is unpickled.

    Raises
    ------
    ImageError : not an array of two or three axes of numbers, or damaged
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise ImageError(
            f"{path.name} is not a readable .npy array ({reason(error)}): save it without pickled objects"
        ) from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "iuf" or not array.size:
        raise ImageError(f"{path.name} holds {array.dtype} {array.shape}: two or three axes of numbers are needed")
    if not array.flags.c_contiguous or not isinstance(array, np.memmap):
        raise ImageError(f"{path.name} is in Fortran order: save it with numpy.ascontiguousarray")
    shape = (int(array.shape[-2]), int(array.shape[-1]))
    count = array.shape[0] if array.ndim == 3 else 1
    planes: tuple[Plane, ...] = tuple(
        MappedPlane(
            path, offset=array.offset + index * shape[0] * shape[1] * array.itemsize, dtype=array.dtype.str, shape=shape
        )
        for index in range(count)
    )
    return Layer(path, 0, "", planes, ("",) * count)
