"""Arrays too large for memory, written piece by piece."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.images.room import check_room


@contextmanager
def new_array(path: Path) -> Iterator[Callable[[NDArray[Any], int], None]]:
    """Write a float16 array (n, ...) as ``.npy``: call what it gives with pieces (k, ...) in their order, and n.

    The file appears under its name only when it is whole. It is not written through a memory map: on a full disk the
    system ends who does that.

    Raises
    ------
    DataError
        A disk without room for it.
    """
    temporary = path.with_suffix(".part")

    def append(piece: NDArray[Any], length: int) -> None:
        try:
            if not file.tell():
                shape = (length, *piece.shape[1:])
                check_room(path.parent, 2 * math.prod(shape))
                np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
            file.write(np.ascontiguousarray(piece, "<f2").data)
            file.flush()
        except OSError as error:
            raise DataError(f"{path} cannot be written ({error.strerror}): free some space and start again") from error

    try:
        with temporary.open("wb") as file:
            yield append
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
