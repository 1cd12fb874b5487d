"""Grades as training examples: labelled cut-outs in the layout that ``deeplense train`` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from math import cos, floor, prod, radians
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from engine.catalogue import Project
from engine.errors import DataError
from engine.export.atomic import atomic
from engine.images.cutouts import cut
from engine.images.room import check_room
from engine.types import Candidate, FloatArray, Mosaic, Step

VERSION = 1
CLASSES = ("not", "lens")

#: Which grades are which class. A grade such as A2 counts as its first letter; C is left out: nobody is sure of it.
LABELS: Mapping[str, int] = {"A": 1, "B": 1, "X": 0}

_CELL_ARCSEC = 30.0
_CELL_PIXELS = 100.0
_SAME_ARCSEC = 3.0
_BATCH = 128


def training_set_job(
    project: Project,
    mosaics: Sequence[Mosaic],
    path: Path | str,
    size: int,
    pixel_scales: Sequence[float],
    *,
    labels: Mapping[str, int] = LABELS,
    classes: Sequence[str] = CLASSES,
    bands: Sequence[str] | None = None,
) -> Iterator[Step]:
    """Cut the graded candidates of some mosaics out, and write them with their labels to an HDF5 file.

    The file has ``cutouts`` (n, scale, band, size, size) float32, NaN where there are no data or not that band,
    ``label`` (n,), and ``truth`` with position, candidate, score and ``group``: candidates close on the sky share a
    group, in whatever file or band they are, so that no split of the set has one object on both sides. The bands
    are those of all mosaics; the file appears when it is whole.

    Parameters
    ----------
    size : stamp side, pixels of the output
    pixel_scales : arcsec, one for each index of the second axis
    labels : class index for each grade; grades that are not named are left out
    bands : these alone, in this order; all of the mosaics' by default

    Raises
    ------
    DataError : no graded candidate on these mosaics, an unknown class, or a file that cannot be written
    """
    path = Path(path)
    if not labels or not all(0 <= label < len(classes) for label in labels.values()):
        raise DataError(f"labels {dict(labels)} do not fit the classes {', '.join(classes)}: number them from 0")
    chosen = {mosaic.id: mosaic for mosaic in mosaics}
    graded = {grade for grade in project.counts() if grade is not None and _label(grade, labels) is not None}
    rows = [
        row for row in project.rows(project.ids(order="id", descending=False, grades=graded)) if row.mosaic in chosen
    ]
    if not rows:
        raise DataError(f"no candidate on these mosaics has a grade among {', '.join(labels)}: grade some first")
    bands = tuple(bands or dict.fromkeys(band for mosaic in chosen.values() for band in mosaic.bands))
    poor = next((mosaic for mosaic in chosen.values() if not set(bands) & set(mosaic.bands)), None)
    if poor is not None:
        raise DataError(f"{poor.name} has none of the bands {', '.join(bands)}: leave it out, or name its bands")
    shape = (len(pixel_scales), len(bands), size, size)
    with atomic(path) as partial, h5py.File(partial, "w") as file:
        check_room(path.parent, 4 * len(rows) * prod(shape))
        chunks = (min(16, len(rows)), *shape)
        cutouts = file.create_dataset("cutouts", (len(rows), *shape), np.float32, chunks=chunks, fillvalue=np.nan)
        file.attrs.update(recipe="graded", seed=-1, version=VERSION, pixel_scales=pixel_scales, bands=list(bands))
        _write_truth(file, rows, chosen, labels, classes)
        for done, batch in _batches(rows):
            mosaic = chosen[rows[batch[0]].mosaic]
            stamps = _cut(mosaic, [rows[i] for i in batch], bands, size, pixel_scales)
            check_room(path.parent, stamps.nbytes)
            cutouts[batch] = stamps
            yield Step(done, len(rows), note=f"{done} of {len(rows)} stamps cut")


def _label(grade: str | None, labels: Mapping[str, int]) -> int | None:
    return None if not grade else labels.get(grade, labels.get(grade[0]))


def _batches(rows: Sequence[Candidate]) -> Iterator[tuple[int, list[int]]]:
    """Indices of rows of one mosaic at a time, with how many were given out."""
    of_mosaic: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        of_mosaic.setdefault(row.mosaic, []).append(index)
    done = 0
    for indices in of_mosaic.values():
        for start in range(0, len(indices), _BATCH):
            batch = indices[start : start + _BATCH]
            done += len(batch)
            yield done, batch


def _cut(
    mosaic: Mosaic, rows: Sequence[Candidate], bands: tuple[str, ...], size: int, pixel_scales: Sequence[float]
) -> FloatArray:
    positions = np.array([(row.x, row.y) for row in rows])
    stamps = cut(mosaic, positions, size=size, pixel_scales=pixel_scales)
    out = np.full((len(rows), len(pixel_scales), len(bands), size, size), np.nan, np.float32)
    there = [place for place, band in enumerate(stamps.bands) if band in bands]
    out[:, :, [bands.index(stamps.bands[place]) for place in there]] = stamps.pixels[:, :, there]
    return out


def _write_truth(
    file: h5py.File,
    rows: Sequence[Candidate],
    mosaics: Mapping[str, Mosaic],
    labels: Mapping[str, int],
    classes: Sequence[str],
) -> None:
    label = file.create_dataset("label", data=np.array([_label(row.grade, labels) for row in rows], np.int8))
    label.attrs["classes"] = list(classes)
    truth = file.create_group("truth")
    truth["group"] = groups(rows)
    truth["candidate"] = np.array([row.id for row in rows], np.int64)
    for name in ("x", "y", "score"):
        truth[name] = np.array([getattr(row, name) for row in rows], np.float64)
    for name in ("ra", "dec"):
        found = [getattr(row, name) for row in rows]
        truth[name] = np.array([np.nan if value is None else value for value in found], np.float64)
    texts = {"name": [row.name for row in rows], "grade": [row.grade or "" for row in rows]}
    texts["mosaic"] = [mosaics[row.mosaic].name for row in rows]
    for name, values in texts.items():
        truth.create_dataset(name, data=values, dtype=h5py.string_dtype())


def groups(rows: Sequence[Candidate]) -> NDArray[np.int64]:
    """The group (n,) of each candidate: a hash of the patch of sky it lies in, or of the mosaic without a WCS.

    The hash is the same in every file. What lies closer than 3 arcsec shares a group across the border of patches
    too, unless the two are in different files.
    """
    number = np.array([_hash(_cell(row)) for row in rows], np.int64)
    placed = [i for i, row in enumerate(rows) if row.ra is not None and row.dec is not None]
    if placed:
        sky = np.radians(np.array([(rows[i].ra, rows[i].dec) for i in placed], np.float64))
        ra, dec = sky[:, 0], sky[:, 1]
        points = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
        pairs = cKDTree(points).query_pairs(radians(_SAME_ARCSEC / 3600), output_type="ndarray")
        links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(placed), len(placed)))
        cluster = connected_components(links, directed=False)[1]
        of_placed = number[placed]
        first = np.unique(cluster, return_index=True)[1]
        number[placed] = of_placed[first][cluster]
    return number


def _cell(row: Candidate) -> str:
    if row.ra is None or row.dec is None:
        return f"{row.mosaic} {floor(row.x / _CELL_PIXELS)} {floor(row.y / _CELL_PIXELS)}"
    band = floor(row.dec * 3600 / _CELL_ARCSEC)
    width = _CELL_ARCSEC / 3600 / max(cos(radians(band * _CELL_ARCSEC / 3600)), 1e-6)
    return f"{band} {floor(row.ra % 360 / width)}"


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1
