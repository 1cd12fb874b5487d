"""Files compressed as a whole (.gz, .bz2, .xz), unpacked once into a folder that goes away with the program."""

from __future__ import annotations

import atexit
import bz2
import errno
import gzip
import lzma
import shutil
import tempfile
import threading
from pathlib import Path

from engine.errors import ImageError
from engine.images.damage import DAMAGE, reason

_OPENERS: dict[bytes, type[gzip.GzipFile] | type[bz2.BZ2File] | type[lzma.LZMAFile]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_ENOUGH = 16  # bytes that tell every format apart

_lock = threading.Lock()
_unpacked: dict[tuple[Path, int, int], Path] = {}
_folder: Path | None = None


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
    start = first_bytes(path)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        return path
    global _folder
    status = path.stat()
    key = (path.resolve(), status.st_size, status.st_mtime_ns)
    with _lock:
        if key not in _unpacked:
            try:
                if _folder is None:
                    _folder = Path(tempfile.mkdtemp(prefix="deeplense-"))
                    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
                target = _folder / f"{len(_unpacked)}-{path.stem}"
                _unpack(opener, path, target)
            except DAMAGE as error:
                remedy = "get the file again"
                if isinstance(error, OSError) and error.errno in _NO_ROOM:
                    remedy = f"free some space in {tempfile.gettempdir()}, or unpack the file yourself"
                raise ImageError(f"{path.name} cannot be unpacked ({reason(error)}): {remedy}") from error
            _unpacked[key] = target
        return _unpacked[key]


def _unpack(opener: type[gzip.GzipFile] | type[bz2.BZ2File] | type[lzma.LZMAFile], path: Path, target: Path) -> None:
    whole = False
    try:
        with opener(path) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
        whole = True
    finally:
        if not whole:  # an interrupted user wants the space back too
            target.unlink(missing_ok=True)
