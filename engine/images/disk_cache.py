"""What is made once from large files (unpacked copies, pyramids) and kept in the user's cache folder, within bounds.

An entry is one file that appears whole or not at all; its name is a digest of what it was made from. Several programs
may share the folder. When room is needed, the entries not used for longest go first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

BOUND = 16 * 10**9
"""Bytes kept in all; ``DEEPLENSE_CACHE_GB`` sets another bound."""

_SPARE = 500 * 10**6  # bytes of the disk left to others
_ABANDONED = 86_400.0  # seconds after which a file that nobody finished is taken for left behind
_PARTIAL = ".partial"

_held: set[Path] = set()  # what this program may still open


class NoRoomError(OSError):
    """The disk, or the bound of the cache, does not hold an entry of this size."""


def cache_folder() -> Path:
    """Where made things are kept: ``DEEPLENSE_CACHE``, or the user's cache folder."""
    named = os.environ.get("DEEPLENSE_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("deeplense-gui", appauthor=False))


def images_folder() -> Path:
    """Where entries made from images are kept."""
    return cache_folder() / "images"


def entry(identity: str, suffix: str) -> Path:
    """Where the entry made from ``identity`` is, or would be."""
    return images_folder() / (hashlib.sha256(identity.encode()).hexdigest()[:32] + suffix)


def touch(path: Path) -> None:
    """Note that an entry is used; its time of change stays, and this program drops it no more."""
    _held.add(path)
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


@contextlib.contextmanager
def writing(path: Path, size: int) -> Iterator[Path]:
    """Give a temporary name to write an entry of about ``size`` bytes to; it becomes ``path`` when all went well.

    Raises
    ------
    NoRoomError : the disk has no room for it, even without what the cache can drop
    OSError : the folder cannot be written
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    make_room(size)
    partial = folder / f"{path.name}-{secrets.token_hex(4)}{_PARTIAL}"
    try:
        yield partial
        os.replace(partial, path)
        touch(path)
        with contextlib.suppress(NoRoomError):  # it may have grown beyond what was foreseen
            make_room(0)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def make_room(size: int) -> None:
    """Drop entries not in use, the longest unused first, until ``size`` bytes more fit the bound and the disk.

    Raises
    ------
    NoRoomError : even an empty cache would not do
    """
    folder, bound = images_folder(), _bound()
    entries = _entries(folder)
    used, free = sum(length for _, length, _ in entries), shutil.disk_usage(folder).free
    for _, length, path in sorted(entries):
        if used + size <= bound and free >= size + _SPARE:
            return
        if path not in _held:
            with contextlib.suppress(OSError):  # another program may use it (Windows) or have dropped it
                path.unlink()
                used, free = used - length, free + length
    if used + size > bound or free < size + _SPARE:
        raise NoRoomError(
            f"{size / 1e9:.1f} GB are needed in {folder}, {max(min(bound, free - _SPARE), 0) / 1e9:.1f} GB can be had"
        )


def _bound() -> int:
    named = os.environ.get("DEEPLENSE_CACHE_GB", "")
    with contextlib.suppress(ValueError):
        return int(float(named) * 1e9)
    return BOUND


def _entries(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of last use, bytes and path of each entry; what was left behind unfinished is dropped."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            status = path.stat()
            if path.suffix != _PARTIAL:
                found.append((max(status.st_atime, status.st_mtime), status.st_size, path))
            elif time.time() - status.st_mtime > _ABANDONED:
                path.unlink()
    return found
