"""Labelled images as published into a training set, after a report on what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from json import dumps
from pathlib import Path

import h5py
import numpy as np

from engine.errors import DataError, EngineError
from engine.export.atomic import atomic
from engine.train.data import PARTS
from engine.train.readers.layouts import LAYOUTS, Entry, find_layout
from engine.train.readers.pixels import read_pixels
from engine.types import FloatArray, Step


@dataclass(slots=True)
class Report:
    """What a folder of labelled images holds; counts are of images unless the name says otherwise."""

    layout: str
    classes: tuple[str, ...]
    files: int
    shapes: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    lowest: float = np.inf
    highest: float = -np.inf
    pixels_without_data: int = 0
    constant: int = 0
    copies: int = 0
    copies_across_parts: int = 0
    copies_across_classes: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Seen:
    entry: Entry
    group: int
    value: float
    pixel_scale: float | None
    shape: tuple[int, ...]


def inspect(folder: Path | str, *, layout: str | None = None) -> Generator[Step, None, tuple[Report, list[_Seen]]]:
    """Read every image once; files that cannot be read are named in the report.

    Raises
    ------
    DataError : no known layout, or nothing that can be read
    """
    name, classes, entries = find_layout(folder, layout)
    report, seen = Report(name, classes, len(entries)), []
    shapes: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for done, entry in enumerate(entries, 1):
        try:
            found = read_pixels(entry.path)
        except EngineError as error:
            report.unreadable.append(f"{entry.path.relative_to(folder)}: {error}")
        else:
            image = found.image
            good = image[np.isfinite(image)]
            shapes[" x ".join(map(str, image.shape))] += 1
            dtypes[found.dtype] += 1
            counts[f"{PARTS[entry.part] if entry.part >= 0 else 'all'} {classes[entry.label]}"] += 1
            report.pixels_without_data += image.size - good.size
            report.constant += int(good.size == 0 or good.min() == good.max())
            if good.size:
                report.lowest = min(report.lowest, float(good.min()))
                report.highest = max(report.highest, float(good.max()))
            seen.append(_Seen(entry, pixel_group(image), found.value, found.pixel_scale, image.shape))
        yield Step(done, 2 * len(entries), note=f"{done} of {len(entries)} files inspected")
    if not seen:
        raise DataError(f"none of the {len(entries)} files can be read; the first is {report.unreadable[0]}")
    report.shapes, report.dtypes, report.counts = dict(shapes), dict(dtypes), dict(counts)
    copies: dict[int, list[Entry]] = {}
    for one in seen:
        copies.setdefault(one.group, []).append(one.entry)
    report.copies = len(seen) - len(copies)
    report.copies_across_parts = sum(len({e.part for e in alike}) > 1 for alike in copies.values())
    report.copies_across_classes = sum(len({e.label for e in alike}) > 1 for alike in copies.values())
    return report, seen


def pixel_group(image: FloatArray) -> int:
    """A number that equal pixels share in every file: NaN of whatever bits are alike, and so are both zeros."""
    clean = np.where(np.isnan(image), np.float32(np.nan), image) + np.float32(0)
    digest = blake2b(np.ascontiguousarray(clean, "<f4").tobytes(), digest_size=8, salt=str(image.shape).encode()[:16])
    return int.from_bytes(digest.digest(), "big") >> 1


def convert(
    folder: Path | str,
    out: Path | str,
    *,
    layout: str | None = None,
    size: int | None = None,
    bands: tuple[str, ...] | None = None,
    pixel_scale: float | None = None,
) -> Generator[Step, None, Report]:
    """Write a training set (see `engine.train.data`); returns the report, which the file also holds.

    ``truth/group`` hashes the pixels, so that copies stay on one side of a split; ``truth/part`` is the layout's own
    part (0 train, 1 validation, 2 test, -1 not said). An unknown pixel scale is written as 1.

    Parameters
    ----------
    size : crop or pad (with NaN) to this side about the centre
    bands : names in the order of the images' planes
    pixel_scale : arcsec, where the layout or the files do not say

    Raises
    ------
    DataError : no known layout, images of several sizes without ``size``, bands that do not fit
    """
    report, seen = yield from inspect(folder, layout=layout)
    shapes = {one.shape for one in seen}
    planes = {shape[0] for shape in shapes}
    sides = {side for shape in shapes for side in shape[1:]}
    if len(planes) > 1 or (size is None and len(sides) > 1):
        listed = ", ".join(f"{shape} ({count})" for shape, count in report.shapes.items())
        raise DataError(f"the images differ in shape: {listed}; crop or pad them with --size, or sort them apart")
    known, side, count = LAYOUTS[report.layout], size or max(sides), planes.pop()
    names = bands or (known.bands if len(known.bands) == count else ())
    names = names or (("any",) if count == 1 else tuple(str(n + 1) for n in range(count)))
    if len(names) != count:
        raise DataError(f"{len(names)} bands are named for images of {count}: name each with --bands")
    scale = pixel_scale or known.scales.get(max(sides)) or seen[0].pixel_scale or 1.0
    with atomic(Path(out)) as partial, h5py.File(partial, "w") as file:
        shape = (1, count, side, side)
        cutouts = file.create_dataset("cutouts", (len(seen), *shape), np.float32, chunks=(min(64, len(seen)), *shape))
        file.attrs.update(recipe=report.layout, seed=-1, pixel_scales=[scale], bands=list(names))
        file["report"] = dumps(asdict(report))  # attributes end at 64 KiB, a list of bad files may not
        file.create_dataset("label", data=np.array([one.entry.label for one in seen], np.int16))
        file["label"].attrs["classes"] = list(report.classes)
        file["truth/group"] = np.array([one.group for one in seen], np.int64)
        file["truth/part"] = np.array([one.entry.part for one in seen], np.int8)
        if known.target:
            file[f"truth/{known.target}"] = np.array([one.value for one in seen])
        for row, one in enumerate(seen):
            cutouts[row, 0] = centred(read_pixels(one.entry.path).image, side)
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
