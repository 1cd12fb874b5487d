"""Labelled images as published into a training set, after a report on what they are."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import asdict
from json import dumps
from pathlib import Path

import h5py
import numpy as np

from engine.errors import DataError
from engine.export.atomic import atomic
from engine.images.room import check_room
from engine.train.readers.files import open_files
from engine.train.readers.layouts import LAYOUTS
from engine.train.readers.report import Report, Seen, commands, read_entry, survey, truth_columns
from engine.types import FloatArray, Step


def convert(
    path: Path | str,
    out: Path | str,
    *,
    layout: str | None = None,
    size: int | None = None,
    bands: tuple[str, ...] | None = None,
    pixel_scale: float | None = None,
) -> Generator[Step, None, Report]:
    """Write a training set (see `engine.train.data`); returns the report, which the file also holds.

    ``truth/group`` hashes the pixels, so that copies stay on one side of a split; ``truth/part`` is the layout's own
    part (0 train, 1 validation, 2 test, -1 not said). An unknown pixel scale is written as 1. Pixels are float16 where
    every value survives that, else float32.

    Parameters
    ----------
    path : a folder, or an archive as downloaded
    size : crop or pad (with NaN) to this side about the centre
    bands : names in the order of the images' planes
    pixel_scale : arcsec, where the layout or the files do not say

    Raises
    ------
    DataError : no known layout, images of several sizes without ``size``, bands that do not fit, no room for the set
    """
    with ExitStack() as stack:
        files = yield from open_files(path, stack)
        report, seen = yield from survey(files, layout, more=1)
        known, side = LAYOUTS[report.layout], size or _side(report, seen)
        names = _names(report, seen, bands)
        scale = pixel_scale or report.pixel_scale or 1.0
        report.commands = commands(path, report)[1:]
        shape = (1, len(names), side, side)
        with atomic(Path(out)) as partial, h5py.File(partial, "w") as file:
            check_room(partial.parent, len(seen) * int(np.prod(shape)) * np.dtype(report.storage).itemsize)
            chunks = (min(64, len(seen)), *shape)
            cutouts = file.create_dataset("cutouts", (len(seen), *shape), report.storage, chunks=chunks)
            file.attrs.update(recipe=report.layout, seed=-1, pixel_scales=[scale], bands=list(names))
            file["report"] = dumps(asdict(report))  # attributes end at 64 KiB, a list of bad files may not
            file.create_dataset("label", data=np.array([one.entry.label for one in seen], np.int16))
            file["label"].attrs["classes"] = list(report.classes)
            file["truth/group"] = np.array([one.group for one in seen], np.int64)
            file["truth/part"] = np.array([one.entry.part for one in seen], np.int8)
            for name, values in truth_columns(seen, known).items():
                file[f"truth/{name}"] = values
                if name == "einstein_radius":
                    file[f"truth/{name}"].attrs["unit"] = "arcsec"
            for row, one in enumerate(seen):
                image = centred(read_entry(files, one.entry, known).image, side)
                check_room(partial.parent, int(np.prod(chunks)) * image.itemsize)
                cutouts[row, 0] = image
                yield Step(report.files + row + 1, report.files + len(seen), note=f"{row + 1} of {len(seen)} written")
    return report


def centred(image: FloatArray, size: int) -> FloatArray:
    """The central (band, size, size) of an image, NaN beyond its edges."""
    out = np.full((len(image), size, size), np.nan, np.float32)
    source, target = [], []
    for side in image.shape[1:]:
        kept = min(side, size)
        source.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
        target.append(slice((size - kept) // 2, (size - kept) // 2 + kept))
    out[:, target[0], target[1]] = image[:, source[0], source[1]]
    return out


def _side(report: Report, seen: list[Seen]) -> int:
    sides = {side for one in seen for side in one.shape[1:]}
    if len(sides) > 1:
        raise DataError(f"the images differ in shape: {_listed(report)}; crop or pad them with --size")
    return sides.pop()


def _names(report: Report, seen: list[Seen], bands: tuple[str, ...] | None) -> tuple[str, ...]:
    planes = {one.shape[0] for one in seen}
    if len(planes) > 1:
        raise DataError(f"the images differ in their number of bands: {_listed(report)}; sort them apart")
    count = planes.pop()
    names = bands or report.bands or tuple(str(number + 1) for number in range(count))
    if len(names) != count or len(set(names)) != count:
        raise DataError(f"{len(names)} bands are named for images of {count}: name each once with --bands")
    return names


def _listed(report: Report) -> str:
    return ", ".join(f"{shape} ({count})" for shape, count in report.shapes.items())
