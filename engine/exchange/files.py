"""Files that go to other programs, and those that they name to us."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests

from engine.errors import ExchangeError
from engine.exchange.network import session, trouble
from engine.export import write_catalogue
from engine.export.atomic import atomic
from engine.export.columns import Known
from engine.export.stamps import stamps_job
from engine.export.view import view_box, write_cutout
from engine.types import Candidate, Mosaic, Step

STAMP_WIDTH = 60.0  # arcsec of a stamp for other programs, which show what is around it too
LARGEST = 8 * 2**30  # bytes of a file that is fetched
_HERE = ("127.0.0.1", "localhost", "::1")
_FITS = (b"SIMPLE", b"\x1f\x8b")  # plain, or packed with gzip, which other programs unpack too


def write_table(rows: Sequence[Candidate], folder: Path, name: str, known: Known | None = None) -> Iterator[Step]:
    """Write candidates, with what is known of them, as a VOTable for others; the item of the last step is its path."""
    yield Step(0, 0, note=name)
    path = write_catalogue(rows, folder / f"{_plain(name)}.vot", known)
    yield Step(1, 1, (path,))


def write_stamp(candidate: Candidate, mosaic: Mosaic, folder: Path) -> Iterator[Step]:
    """Cut the stamp of a candidate out as FITS with its WCS; the item of the last step is its path."""
    stamps = folder / f"stamp-{candidate.id}"
    for _ in stamps_job([candidate], [mosaic], stamps, formats=("fits",), width=STAMP_WIDTH):
        yield Step(0, 0, note=candidate.name)
    yield Step(1, 1, (next(stamps.glob("*.fits")),))


def fits_files(mosaic: Mosaic, folder: Path, *, as_opened: bool = True) -> Iterator[Step]:
    """The FITS files of a mosaic, one a band; the item of the last step is the tuple of their paths.

    A mosaic that is no FITS file, or not the image another program would take from it (``as_opened`` false), is written
    as one into ``folder``.

    Raises
    ------
    DataError : it is too large to be written, or the disk is full
    """
    yield Step(0, 0, note=mosaic.name)
    if as_opened and all(_is_fits(path) for path in mosaic.paths):
        yield Step(1, 1, (mosaic.paths,))
        return
    ny, nx = mosaic.shape
    path = folder / f"{_plain(mosaic.paths[0].stem)}-{mosaic.id[:8]}.fits"
    if not path.exists():
        for step in write_cutout(mosaic, view_box(mosaic, (0, nx, 0, ny)), path):
            yield Step(step.done, step.total, note=step.note)
    yield Step(1, 1, ((path,),))


def received(url: str, name: str, folder: Path, *, suffix: str = "") -> Iterator[Step]:
    """The file that another program names by an address; the item of the last step is its path.

    A file on this machine is taken where it lies, unless it lies among temporary files or ``suffix`` asks for another
    ending; then, and from the network, it comes into ``folder``.

    Raises
    ------
    ExchangeError : it cannot be read, or fetched
    """
    yield Step(0, 0, note=name)
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        end = suffix or Path(unquote(parts.path)).suffix or ".fits"
        path = folder / f"{_plain(name)}{end}"
        yield from _fetch(url, name, path)
    elif parts.scheme in ("file", ""):
        source = Path(url2pathname(unquote(parts.path)) if parts.scheme else url)
        if not source.is_file():
            raise ExchangeError(f"{source} was sent, and is not there: send it again")
        lasting = Path(tempfile.gettempdir()).resolve() not in source.resolve().parents
        path = source if lasting and not suffix else folder / f"{_plain(name)}{suffix or source.suffix}"
        if path != source:
            folder.mkdir(parents=True, exist_ok=True)
            with atomic(path) as partial:
                shutil.copyfile(source, partial)
    else:
        raise ExchangeError(f"{url[:80]} was sent, which is no file and no web address")
    yield Step(1, 1, (path,))


def _fetch(url: str, name: str, path: Path) -> Iterator[Step]:
    path.parent.mkdir(parents=True, exist_ok=True)
    asked = session()
    asked.trust_env = urlsplit(url).hostname not in _HERE  # programs on this machine are not behind the proxy
    try:
        with asked, asked.get(url, stream=True) as response:
            response.raise_for_status()
            total = int(response.headers.get("Content-Length") or 0)
            done = 0
            with atomic(path) as partial, partial.open("wb") as file:
                for part in response.iter_content(1 << 18):
                    done += file.write(part)
                    if done > LARGEST:
                        raise ExchangeError(f"{name} has more than {LARGEST / 2**30:g} GiB: fetch it by hand")
                    yield Step(done, max(total, done), note=f"{name}, {done / 1e6:.0f} MB")
    except requests.RequestException as error:
        raise trouble(urlsplit(url).netloc, error) from error


def _is_fits(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith(_FITS)


def _plain(name: str) -> str:
    """A name as every system takes it in a file's."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("_.")[:80] or "received"
