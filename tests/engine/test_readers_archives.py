"""Archives are read as their folders are, and what could harm is refused."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.errors import DataError
from engine.train.readers import files
from engine.train.readers.convert import convert
from engine.train.readers.report import inspect
from tests.engine.test_readers import finish, published


def zipped(folder: Path, out: Path) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
        archive.writestr("__MACOSX/unpacked/ring/._0.fits", b"no image")


def tarred(mode: str) -> Callable[[Path, Path], None]:
    def write(folder: Path, out: Path) -> None:
        with tarfile.open(out, mode) as archive:
            archive.add(folder / "unpacked", "unpacked")

    return write


WAYS = {".zip": zipped, **{f".tar{end}": tarred(f"w:{end[1:]}") for end in ("", ".gz", ".bz2", ".xz")}}


@pytest.mark.parametrize("suffix", WAYS)
@pytest.mark.parametrize("layout", ["classes", "gri"])
def test_an_archive_is_read_as_its_folder(suffix: str, layout: str, tmp_path: Path, monkeypatch) -> None:
    folder, packed = published(tmp_path / "in", layout), tmp_path / f"set{suffix}"
    WAYS[suffix](folder, packed)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "scratch"))
    plain = finish(convert(folder, tmp_path / "plain.h5"))
    report = finish(convert(packed, tmp_path / "packed.h5"))
    assert (report.counts, report.shapes, report.lowest) == (plain.counts, plain.shapes, plain.lowest)
    with h5py.File(tmp_path / "plain.h5") as one, h5py.File(tmp_path / "packed.h5") as other:
        for name in ("cutouts", "label", "truth/group", "truth/part"):
            np.testing.assert_array_equal(one[name][()], other[name][()])
    assert not list((tmp_path / "scratch").iterdir())


def test_the_name_of_an_archive_does_not_matter(tmp_path: Path) -> None:
    tarred("w:gz")(published(tmp_path / "in", "classes"), tmp_path / "download")
    assert finish(inspect(tmp_path / "download")).files == 8


@pytest.mark.parametrize("suffix", WAYS)
def test_an_archive_cut_short_is_refused_and_leaves_nothing(suffix: str, tmp_path: Path, monkeypatch) -> None:
    WAYS[suffix](published(tmp_path / "in", "classes"), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) // 2])
    for name in ("scratch", "out"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "scratch"))
    with pytest.raises(DataError, match=r"cut short or damaged .* get it again"):
        finish(convert(tmp_path / f"cut{suffix}", tmp_path / "out/set.h5"))
    assert not list((tmp_path / "out").iterdir())
    assert not list((tmp_path / "scratch").iterdir())


def tar_with(member: tarfile.TarInfo, content: bytes = b"") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def tar_link(kind: bytes, name: str = "ring/0.npy") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return tar_with(member)


def zip_with(name: str, mode: int = 0o100644, flags: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"x" * 64)
    data = bytearray(out.getvalue())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= flags
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tar_with(tarfile.TarInfo("../out.npy"), b"x"), "leads out"),
        (tar_with(tarfile.TarInfo("/tmp/out.npy"), b"x"), "leads out"),
        (tar_link(tarfile.SYMTYPE), "a link or a device"),
        (tar_link(tarfile.LNKTYPE), "a link or a device"),
        (tar_link(tarfile.FIFOTYPE), "a link or a device"),
        (zip_with("a/../../out.npy"), "leads out"),
        (zip_with("a\\..\\..\\out.npy"), "leads out"),
        (zip_with("C:\\out.npy"), "leads out"),
        (zip_with("ring/0.npy", 0o120777), "a link"),
        (zip_with("ring/0.npy", flags=1), "encrypted"),
        (b"neither nor", "neither a ZIP nor a TAR"),
        (b"", "neither a ZIP nor a TAR"),
        (b"\x1f\x8b\x08\x00", "cut short or damaged"),
    ],
)
def test_what_could_harm_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(data)
    with pytest.raises(DataError, match=message):
        finish(inspect(tmp_path / "set"))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SMALL", 1 << 20)
    monkeypatch.setattr(files, "_CHUNK", 1 << 16)
    content = bytes(8 << 20)
    with tarfile.open(tmp_path / "bomb.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("ring/0.npy")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match="grows more than 200 times"):
        finish(inspect(tmp_path / "bomb.tgz"))
    monkeypatch.setattr(files, "_LARGEST", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("ring/0.npy", content)
    with pytest.raises(DataError, match="8 MB, no single image"):
        finish(inspect(tmp_path / "bomb.zip"))


def test_no_room_is_said_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarred("w:gz")(published(tmp_path / "in", "classes"), tmp_path / "set.tgz")
    monkeypatch.setattr(files, "_SPARE", 1 << 60)
    with pytest.raises(DataError, match=r"no room to unpack set\.tgz.*TMPDIR"):
        finish(inspect(tmp_path / "set.tgz"))


def test_cancelling_removes_what_was_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarred("w:gz")(published(tmp_path / "in", "classes"), tmp_path / "set.tgz")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "scratch"))
    job = inspect(tmp_path / "set.tgz")
    while "inspected" not in next(job).note:
        pass
    assert os.listdir(tmp_path / "scratch")
    job.close()
    assert not os.listdir(tmp_path / "scratch")


def test_a_damaged_member_is_named_and_left_out(tmp_path: Path) -> None:
    folder = published(tmp_path / "in", "gri")
    zipped(folder, tmp_path / "set.zip")
    data = bytearray((tmp_path / "set.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        info = archive.infolist()[3]
        data[info.header_offset + 200] ^= 0xFF
    (tmp_path / "set.zip").write_bytes(data)
    report = finish(inspect(tmp_path / "set.zip"))
    assert len(report.unreadable) == 1
    assert report.unreadable[0].startswith(f"{info.filename}: ")
    assert sum(report.counts.values()) == report.files - 1
