"""The files of a published set: a folder, or an archive read where it lies, without unpacking it under its own names.

Members of a ZIP or a plain TAR are read one at a time. A compressed TAR can only be read from its start, so it becomes
a plain one in a temporary folder first. Nothing is ever written to a path that an archive gives.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from engine.errors import DataError
from engine.images.damage import DAMAGE, reason
from engine.train.readers.pixels import SUFFIXES
from engine.types import Step

TABLE = ".csv"
_PACKERS: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_LARGEST = 256 << 20  # bytes of one member: a labelled image has a few megabytes at most
_EXPANSION = 200  # images shrink by a factor of ten at most; what was packed to fill a disk, by a thousand
_SMALL = 1 << 30  # bytes below which expansion does no harm
_SPARE = 256 << 20  # bytes left free on the disk
_CHUNK = 4 << 20
_BROKEN: tuple[type[Exception], ...] = (*DAMAGE, zipfile.BadZipFile, tarfile.TarError, NotImplementedError)

Member = Path | zipfile.ZipInfo | tarfile.TarInfo


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Files by their names within a folder or an archive, in the order of the names.

    ``name`` is that of the folder, or of the archive without its suffixes.
    """

    name: str
    members: Mapping[PurePosixPath, Member]
    archive: zipfile.ZipFile | tarfile.TarFile | None
    scratch: Path

    @contextmanager
    def on_disk(self, name: PurePosixPath) -> Iterator[Path]:
        """A path to read a file from; that of a member of an archive goes away with the context.

        Raises
        ------
        DataError : the archive is damaged there
        """
        member = self.members[name]
        if isinstance(member, Path):
            yield member
            return
        copy = self.scratch / re.sub(r"[^\w.-]", "_", name.name)[-100:]
        try:
            with self._stream(member) as source, copy.open("wb") as out:
                shutil.copyfileobj(source, out, _CHUNK)
        except _BROKEN as error:
            raise DataError(f"{name.name} cannot be unpacked ({reason(error)}): get the archive again") from error
        try:
            yield copy
        finally:
            with suppress(OSError):  # still open on some systems: it goes with the folder
                copy.unlink()

    def _stream(self, member: Member) -> IO[bytes]:
        if isinstance(self.archive, zipfile.ZipFile) and isinstance(member, zipfile.ZipInfo):
            return self.archive.open(member)
        assert isinstance(self.archive, tarfile.TarFile)
        assert isinstance(member, tarfile.TarInfo)
        source = self.archive.extractfile(member)
        if source is None:
            raise DataError(f"{member.name} is no file: pack the images themselves")
        return source


def open_files(path: Path | str, stack: ExitStack) -> Generator[Step, None, Files]:
    """Open a folder, or an archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz), by what it holds, whatever its name.

    Parameters
    ----------
    stack : closes the archive and removes what was unpacked

    Raises
    ------
    DataError : there is no such folder or archive; it is damaged, or refused (links, paths that lead out, bombs)
    """
    path = Path(path)
    if path.is_dir():
        found: dict[PurePosixPath, Member] = {}
        for count, file in enumerate(path.rglob("*.*")):
            name = PurePosixPath(*file.relative_to(path).parts)
            if _wanted(name, 0):
                found[name] = file
            if count % 256 == 0:
                yield Step(0, 0, note=f"{count} names read")
        return Files(path.resolve().name, {name: found[name] for name in sorted(found)}, None, path)
    if not path.is_file():
        raise DataError(f"{path} does not exist: name the folder of the set, or its archive")
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deeplense-")))
    try:
        with path.open("rb") as packed:
            start = packed.read(8)
        packer = next((packer for magic, packer in _PACKERS.items() if start.startswith(magic)), None)
        plain = path if packer is None else (yield from _unpack(packer, path, scratch / "set.tar"))
        members: dict[PurePosixPath, Member] = {}
        archive: zipfile.ZipFile | tarfile.TarFile
        if start.startswith(b"PK"):
            archive = stack.enter_context(zipfile.ZipFile(path))
            members.update(_zip_members(archive))
        elif tarfile.is_tarfile(plain):
            archive = stack.enter_context(tarfile.TarFile(plain))
            for count, (name, member) in enumerate(_tar_members(archive)):
                members[name] = member
                if count % 256 == 0:
                    yield Step(0, 0, note=f"{count} names read")
        else:
            raise DataError(
                f"{path.name} is neither a ZIP nor a TAR archive: name the folder of the set, or an archive"
            )
    except _BROKEN as error:
        raise DataError(f"{path.name} is cut short or damaged ({reason(error)}): get it again") from error
    bare = path.name.split(".tar")[0] if ".tar" in path.name else path.stem
    return Files(bare, {name: members[name] for name in sorted(members)}, archive, scratch)


def _hidden(path: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _unpack(packer: Any, path: Path, out: Path) -> Generator[Step, None, Path]:
    """The archive without its compression, in a temporary file; refused where it grows beyond belief or the disk."""
    total, written = path.stat().st_size, 0
    with path.open("rb") as packed, packer(packed) as source, out.open("wb") as target:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > _SMALL and written > _EXPANSION * packed.tell():
                raise DataError(f"{path.name} grows more than {_EXPANSION} times when unpacked: it is refused")
            if shutil.disk_usage(out.parent).free < _SPARE:
                message = f"there is no room to unpack {path.name} in {tempfile.gettempdir()}"
                raise DataError(f"{message}: free some, or name another folder in the variable TMPDIR")
            target.write(chunk)
            yield Step(packed.tell(), total, note=f"{written >> 20} MB unpacked")
    return out


def _zip_members(archive: zipfile.ZipFile) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
    for member in archive.infolist():
        name = _safe(member.filename)
        if (member.external_attr >> 28) == 0o12:
            raise DataError(f"the archive holds a link ({name}): it is refused, pack the images themselves")
        if member.flag_bits & 1:
            raise DataError("the archive is encrypted: unpack it with its password first")
        if not member.is_dir() and _wanted(name, member.file_size):
            yield name, member


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    for member in archive:
        name = _safe(member.name)
        if not (member.isreg() or member.isdir()):
            raise DataError(f"the archive holds a link or a device ({name}): it is refused, pack the images themselves")
        if member.isreg() and _wanted(name, member.size):
            yield name, member


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise DataError(f"the archive holds a path that leads out of it ({name!r}): it is refused")
    return path


def _wanted(name: PurePosixPath, size: int) -> bool:
    """Whether a member can be part of a set; one that no labelled image can be is refused."""
    if name.suffix.lower() not in (*SUFFIXES, TABLE) or _hidden(name):
        return False
    if size > _LARGEST:
        raise DataError(f"{name} in the archive has {size >> 20} MB, no single image: it is refused, take it out")
    return True
