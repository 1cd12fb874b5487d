"""Files compressed as a whole (.gz, .bz2, .xz), unpacked once into the user's cache."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from engine.errors import ImageError
from engine.images import disk_cache
from engine.images.damage import DAMAGE, reason
from engine.types import Step

_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_ENOUGH = 16  # bytes that tell every format apart
_CHUNK = 1 << 20
_USUAL_GAIN = 4  # of packing a noisy image; what is packed better is found out while it is unpacked
_BEAT = 0.15  # seconds between two steps
_PIECES, _PIECE = 16, 1 << 16  # of a copy, and the bytes of each, that tell whether it is as it was made

_lock = threading.Lock()


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file.

    Raises
    ------
    ImageError : missing, a folder, empty, or not readable
    """
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder: name the image files in it")
        with path.open("rb") as file:
            start = file.read(_ENOUGH)
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist: check the name") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}): check the permissions") from error
    if not start:
        raise ImageError(f"{path.name} is empty (0 bytes): get the file again")
    return start


def plain(path: Path) -> Path:
    """The file itself, or the unpacked copy of a compressed one.

    Raises
    ------
    ImageError : the file cannot be read or unpacked
    """
    target = _target(path)
    if target is None:
        return path
    with _lock:  # two threads that ask for one file wait for one copy
        for _ in unpacking(path):
            pass
    return target


def unpacking(path: Path) -> Iterator[Step]:
    """Unpack a compressed file into the cache, unless it is there or not compressed; a job of bytes read.

    Raises
    ------
    ImageError : the file cannot be read or unpacked, or there is no room for it
    """
    target = _target(path)
    if target is None:
        return
    if _is_whole(target):
        disk_cache.touch(target)
        disk_cache.touch(_mark(target))
        return
    size = path.stat().st_size
    try:
        with disk_cache.writing(target, size * _USUAL_GAIN) as partial, path.open("rb") as packed:
            start = first_bytes(path)
            opener = next(opener for magic, opener in _OPENERS.items() if start.startswith(magic))
            beat, written = time.monotonic(), 0
            with opener(packed) as file, partial.open("wb") as out:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
                    written += len(chunk)
                    if written % (256 * _CHUNK) < len(chunk):
                        disk_cache.make_room(_CHUNK)
                    if time.monotonic() - beat > _BEAT:
                        beat = time.monotonic()
                        yield Step(packed.tell(), size, note=f"Unpacking {path.name}")
            with disk_cache.writing(_mark(target), 0) as mark:
                mark.write_text(_state(partial), "utf-8")
    except DAMAGE as error:
        remedy = "get the file again"
        if isinstance(error, disk_cache.NoRoomError) or (isinstance(error, OSError) and error.errno in _NO_ROOM):
            remedy = "free some space, set DEEPLENSE_CACHE to a folder with more, or unpack the file yourself"
        elif isinstance(error, PermissionError | NotADirectoryError | FileExistsError):
            remedy = "set DEEPLENSE_CACHE to a folder that can be written"
        raise ImageError(f"{path.name} cannot be unpacked ({reason(error)}): {remedy}") from error
    yield Step(size, size, note=f"Unpacking {path.name}")


def _target(path: Path) -> Path | None:
    """Where the unpacked copy of a compressed file is, or would be; None for any other file."""
    start = first_bytes(path)
    if not any(start.startswith(magic) for magic in _OPENERS):
        return None
    status = path.stat()
    return disk_cache.entry(f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}", ".unpacked")


def _mark(target: Path) -> Path:
    """Where the state of an unpacked copy is kept."""
    return target.with_suffix(".mark")


def _is_whole(target: Path) -> bool:
    """Whether there is an unpacked copy, and as it was made: a damaged one is made anew."""
    try:
        return _mark(target).read_text("utf-8") == _state(target)
    except (OSError, ValueError):
        return False


def _state(copy: Path) -> str:
    """Size and time of change of a copy, and a checksum of pieces all over it: all of it would take too long."""
    status, check = copy.stat(), 0
    with copy.open("rb") as file:
        for piece in range(_PIECES):
            file.seek(max(status.st_size - _PIECE, 0) * piece // (_PIECES - 1))
            check = zlib.crc32(file.read(_PIECE), check)
    return f"{status.st_size} {status.st_mtime_ns} {check}"
