"""Stamps from files laid out on one sheet, a cell each: what works on a mosaic works on them too.

The layout can be kept (`Sheet.layout`): laid out by it again, each stamp comes back to where it was, what is new
comes after them, and the cell of a file that is gone stays empty.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import ImageError
from engine.images.pictures import COLOURS, GREY, is_picture, picture_shape, read_picture
from engine.images.stamps import find_stamps, open_stamp_file
from engine.types import Detection, FloatArray, Mosaic, Plane, Step

_GAP = 4  # pixels without data between the cells
_KEPT_BYTES = 128 * 2**20  # of stamps in memory


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """A stamp on a sheet: its name, where it is from, its centre (x, y) on the sheet, and where its pixels are.

    ``x0`` and ``y0`` are the sheet's pixel that its first pixel lies on; ``ra`` and ``dec`` of its centre are None
    without a WCS.
    """

    name: str
    path: Path
    index: int
    shape: tuple[int, int]
    x0: int
    y0: int
    source: Mosaic | None
    ra: float | None = None
    dec: float | None = None

    @property
    def x(self) -> float:
        """Column of the centre on the sheet."""
        return self.x0 + (self.shape[1] - 1) / 2

    @property
    def y(self) -> float:
        """Row of the centre on the sheet."""
        return self.y0 + (self.shape[0] - 1) / 2

    def detection(self) -> Detection:
        """The stamp as what was found at its centre, without a score."""
        nothing = math.nan
        measured = dict.fromkeys(("flux", "radius", "signal_to_noise", "score", "raw_score", "spread"), nothing)
        return Detection(x=self.x, y=self.y, ra=self.ra, dec=self.dec, model="", name=self.name, **measured)

    def pixels(self) -> FloatArray:
        """(band, y, x); NaN where there are no data."""
        if self.source is None:
            return read_picture(self.path, self.index)
        ny, nx = self.shape
        return self.source.read(0, ny, 0, nx)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Stamps on one mosaic; ``problems`` names the files that could not be read, and why."""

    mosaic: Mosaic
    stamps: tuple[Stamp, ...]
    layout: Mapping[str, Any]
    problems: tuple[str, ...] = ()
    _alone: dict[tuple[int, int], Mosaic] = field(default_factory=dict, init=False, repr=False)

    @property
    def side(self) -> float:
        """Side of a cell, arcsec; pixels without a pixel scale."""
        return float(self.layout["cell"]) * (self.mosaic.pixel_scale or 1.0)

    def alone(self, x: float, y: float) -> Mosaic:
        """The sheet with nothing on it but the stamp around a position, so that no neighbour is seen beside it."""
        cell = int(self.layout["cell"])
        box = (round(y) // cell * cell, round(x) // cell * cell)
        if box not in self._alone:  # each stamp is asked for many times: by every panel, with every frame
            planes = tuple(_Cell(plane, (*box, cell)) for plane in self.mosaic.planes)
            self._alone[box] = replace(self.mosaic, planes=planes)
        return self._alone[box]


class _Store:
    """The pixels of the stamps that were read last."""

    def __init__(self, stamps: Mapping[int, Stamp]) -> None:
        self.stamps = stamps
        self._kept: OrderedDict[int, FloatArray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def pixels(self, number: int) -> FloatArray:
        """(band, y, x) of the stamp in a cell."""
        with self._lock:
            kept = self._kept.get(number)
        if kept is not None:
            return kept
        made = self.stamps[number].pixels()
        with self._lock:
            if number not in self._kept:
                self._kept[number] = made
                self._bytes += made.nbytes
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"stamps": self.stamps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["stamps"])  # type: ignore[misc]


@dataclass(frozen=True, slots=True, eq=False)
class _SheetPlane:
    """One band of a sheet of ``columns`` cells of ``cell`` pixels; rows of cells begin at the bottom."""

    store: _Store
    band: int
    cell: int
    columns: int
    shape: tuple[int, int]

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`."""
        rows, columns = np.arange(y0, y1, step), np.arange(x0, x1, step)
        out = np.full((len(rows), len(columns)), np.nan, np.float32)
        for down in range(y0 // self.cell, -(-y1 // self.cell)):
            for across in range(x0 // self.cell, min(-(-x1 // self.cell), self.columns)):
                stamp = self.store.stamps.get(down * self.columns + across)
                if stamp is None:
                    continue
                ny, nx = stamp.shape
                here = slice(*np.searchsorted(rows, (stamp.y0, stamp.y0 + ny)))
                there = slice(*np.searchsorted(columns, (stamp.x0, stamp.x0 + nx)))
                if here.start < here.stop and there.start < there.stop:
                    bands = self.store.pixels(down * self.columns + across)
                    pixels = bands[self.band if len(bands) > 1 else 0]  # grey among colours: alike in all of them
                    pixels = pixels[rows[here.start] - stamp.y0 :: step, columns[there.start] - stamp.x0 :: step]
                    out[here, there] = pixels[: here.stop - here.start, : there.stop - there.start]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """A plane of which only a square (y0, x0, side) is seen."""

    plane: Plane
    box: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """That of the whole."""
        return self.plane.shape

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``; see `engine.types.Plane`."""
        top, left, side = self.box
        out = np.full((len(range(y0, y1, step)), len(range(x0, x1, step))), np.nan, np.float32)
        down = _first(y0, top, step), min(y1, top + side)
        across = _first(x0, left, step), min(x1, left + side)
        if down[0] < down[1] and across[0] < across[1]:
            seen = self.plane.read(*down, *across, step)
            row, column = (down[0] - y0) // step, (across[0] - x0) // step
            out[row : row + seen.shape[0], column : column + seen.shape[1]] = seen
        return out


def _first(start: int, least: int, step: int) -> int:
    """The first of start, start + step, ... that is not below ``least``."""
    return start + max(-(-(least - start) // step), 0) * step


def open_sheet(
    paths: Sequence[Path | str], *, pixel_scale: float | None = None, layout: Mapping[str, Any] | None = None
) -> Iterator[Step]:
    """Lay the stamps of a folder, or of files, out on a sheet; the pixels stay on disk.

    Parameters
    ----------
    paths : one folder, or image files: FITS, HDF5, .npy, PNG or JPEG. A cube of few planes is a stamp of several bands,
        one of many is a stamp a plane; a picture has the bands red, green and blue, or grey, and is a stamp a frame.
        Stamps that have not as many bands as most are left out, and named, but grey pictures are shown among coloured
        ones.
    pixel_scale : arcsec per pixel, where the files do not say
    layout : of an earlier `Sheet`, to put each stamp where it was

    Yields
    ------
    Steps, one a file; the item of the last is the Sheet.

    Raises
    ------
    ImageError : no folder, or no file that can be read as a stamp
    """
    files = [Path(path) for path in paths]
    if len(files) == 1 and files[0].is_dir():
        files = find_stamps(files[0], pictures=True)
    found: list[tuple[str, Path, int, Mosaic | None, tuple[int, int], tuple[str, ...]]] = []
    problems = []
    for number, path in enumerate(files):
        yield Step(number, len(files), note=path.name)
        try:
            found += _open(path, pixel_scale)
        except ImageError as error:
            problems.append(str(error))
    if not found:
        raise ImageError(problems[0] if problems else "There is no stamp here: choose a folder with images")
    bands = _common_bands({name: other for name, *_, other in found}, layout["names"] if layout else ())
    fits = {name: len(other) == len(bands) or (other == GREY and bands == COLOURS) for name, *_, other in found}
    for name, *_, other in found:
        if not fits[name]:
            problems.append(f"{name} has {_counted(other)}, most of the others {_counted(bands)}: it is left out")
    sheet = _lay_out([one[:5] for one in found if fits[one[0]]], bands, layout, pixel_scale)
    identity = hashlib.sha256("\n".join(["stamps", *(str(Path(path).resolve()) for path in paths)]).encode())
    mosaic = replace(sheet.mosaic, id=identity.hexdigest()[:16], paths=tuple(Path(path) for path in paths))
    yield Step(len(files), len(files), (replace(sheet, mosaic=mosaic, problems=tuple(problems)),))


def _common_bands(bands: Mapping[str, tuple[str, ...]], known: Sequence[str]) -> tuple[str, ...]:
    """The bands of most stamps, of the richest of them where as many have others; those ``known`` before decide."""
    counts = Counter(len(bands[name]) for name in known if name in bands) or Counter(map(len, bands.values()))
    number = max(counts, key=lambda one: (counts[one], one))
    return next(one for one in bands.values() if len(one) == number)


def _counted(bands: tuple[str, ...]) -> str:
    return "1 band" if len(bands) == 1 else f"{len(bands)} bands"


def _open(
    path: Path, pixel_scale: float | None
) -> list[tuple[str, Path, int, Mosaic | None, tuple[int, int], tuple[str, ...]]]:
    """Name, file, plane, source, shape and bands of the stamps in a file."""
    if is_picture(path):
        shape, bands, frames = picture_shape(path)
        return [
            (f"{path.name} {frame}" if frame else path.name, path, frame, None, shape, bands) for frame in range(frames)
        ]
    stamps = open_stamp_file(path, pixel_scale=pixel_scale)
    several = len(stamps) > 1
    return [
        (f"{path.name} {index}" if several else path.name, path, index, mosaic, mosaic.shape, mosaic.bands)
        for index, mosaic in stamps
    ]


def _lay_out(
    found: Sequence[tuple[str, Path, int, Mosaic | None, tuple[int, int]]],
    bands: tuple[str, ...],
    layout: Mapping[str, Any] | None,
    pixel_scale: float | None,
) -> Sheet:
    """Give each stamp its cell: the one it had, or the next free one."""
    places = {name: place for place, name in enumerate(layout["names"])} if layout else {}
    names = list(layout["names"]) if layout else []
    for name, *_ in found:
        if name not in places:
            places[name] = len(names)
            names.append(name)
    cell = int(layout["cell"]) if layout else max(max(shape) for *_, shape in found) + _GAP
    columns = int(layout["columns"]) if layout else math.ceil(math.sqrt(len(found)))
    centres = _centres([source for *_, source, _ in found])
    stamps = {}
    for (name, path, index, source, (ny, nx)), (ra, dec) in zip(found, centres, strict=True):
        down, across = divmod(places[name], columns)
        x0, y0 = across * cell + (cell - nx) // 2, down * cell + (cell - ny) // 2
        stamps[places[name]] = Stamp(name, path, index, (ny, nx), x0, y0, source, ra, dec)
    shape = (math.ceil(len(names) / columns) * cell, columns * cell)
    store = _Store(stamps)
    planes = tuple(_SheetPlane(store, band, cell, columns, shape) for band in range(len(bands)))
    scales = [source.pixel_scale for *_, source, _ in found if source is not None and source.pixel_scale is not None]
    scale = pixel_scale or (float(np.median(scales)) if scales else None)
    notes = [f"{len(stamps):,} stamps"]
    if scales and max(scales) > 1.01 * min(scales):
        notes.append(
            f'The pixels of these stamps differ: {min(scales):.3g}" to {max(scales):.3g}"; {scale:.3g}" counts'
        )
    mosaic = Mosaic("", (), shape, bands, scale, None, planes, tuple(notes))
    kept = {"names": names, "cell": cell, "columns": columns}
    return Sheet(mosaic, tuple(stamps[place] for place in sorted(stamps)), kept)


def _centres(sources: Sequence[Mosaic | None]) -> list[tuple[float | None, float | None]]:
    """ICRS degrees of the centres, None without a WCS."""
    out: list[tuple[float | None, float | None]] = []
    for source in sources:
        if source is None or source.wcs is None:
            out.append((None, None))
            continue
        ny, nx = source.shape
        ra, dec = source.world(np.array([[(nx - 1) / 2, (ny - 1) / 2]]))[0]
        out.append((float(ra), float(dec)) if np.isfinite(ra) and np.isfinite(dec) else (None, None))
    return out
