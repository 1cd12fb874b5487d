"""Room on the disk, asked before it is needed.

A disk that fills up ends the process: libhdf5 does not survive a write that fails, nor anyone one to a memory map.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.errors import DataError

SPARE = 16 << 20
"""Bytes that are left over, for what a library still writes when a file is closed."""


def check_room(folder: Path, needed: int) -> None:
    """Refuse to write ``needed`` more bytes into a folder whose disk has not got them.

    Raises
    ------
    DataError
        Less than that and SPARE is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DataError(
            f"{folder} has room for {free >> 20} MB, {(needed + SPARE) >> 20} MB are needed: "
            "free some space or choose another folder"
        )
