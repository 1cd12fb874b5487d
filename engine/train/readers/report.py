"""What a published set holds, found out by reading every image of it once."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError, EngineError
from engine.train.data import PARTS
from engine.train.readers.copies import near_copies, pixel_group, sketch
from engine.train.readers.entries import TEST, TRAIN, VALIDATION, Entry, Found, Layout
from engine.train.readers.files import Files, open_files
from engine.train.readers.layouts import LAYOUTS, find_layout
from engine.train.readers.pixels import Pixels, read_pixels
from engine.types import Step

_SHOWN = 5


@dataclass(slots=True)
class Report:
    """What a set holds; counts are of images unless the name says otherwise.

    ``pixel_scale`` is arcsec per pixel, None where neither the publisher nor the files say; ``storage`` is the type
    that keeps the pixels and ``storage_error`` the largest relative error it makes. Of ``copies`` (equal in every
    pixel) and near copies (the same image with a little noise, another scale, turned or mirrored) ``leaks`` names some
    that lie in two parts of the set. ``unreadable`` and ``missing`` name every file that cannot be used, and why.
    """

    layout: str
    classes: tuple[str, ...]
    files: int
    shapes: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    bands: tuple[str, ...] = ()
    pixel_scale: float | None = None
    lowest: float | None = None
    highest: float | None = None
    pixels_without_data: int = 0
    infinite_pixels: int = 0
    images_without_all_data: int = 0
    constant: int = 0
    copies: int = 0
    copies_across_parts: int = 0
    copies_across_classes: int = 0
    near_copies: int = 0
    near_copies_across_parts: int = 0
    leaks: list[str] = field(default_factory=list)
    storage: str = "float32"
    storage_error: float = 0.0
    truth: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every image of the set can be used."""
        return not (self.unreadable or self.missing)


@dataclass(slots=True, eq=False)
class Seen:
    """What is kept of an image that was read: all but its pixels."""

    entry: Entry
    group: int
    sketch: NDArray[np.float16]
    value: float
    pixel_scale: float | None
    shape: tuple[int, ...]


def inspect(path: Path | str, *, layout: str | None = None) -> Generator[Step, None, Report]:
    """Read every image of a folder or an archive once; files that cannot be read are named in the report.

    Raises
    ------
    DataError : no known layout, nothing that can be read, or an archive that is damaged or refused
    """
    with ExitStack() as stack:
        files = yield from open_files(path, stack)
        report, _ = yield from survey(files, layout)
    report.commands = commands(path, report)
    return report


def survey(files: Files, layout: str | None, more: int = 0) -> Generator[Step, None, tuple[Report, list[Seen]]]:
    """The report on open files, and what is kept of each image; ``more`` times the images are to be gone through."""
    name, found = find_layout(files, layout)
    total = len(found.entries)
    report = Report(name, found.classes, total, missing=list(found.missing), notes=list(found.notes))
    tally = _Tally(report, found.classes)
    seen: list[Seen] = []
    for done, entry in enumerate(found.entries, 1):
        try:
            pixels = read_entry(files, entry, LAYOUTS[name], sky=not seen)
        except EngineError as error:
            report.unreadable.append(f"{entry.name}: {error}")
        else:
            tally.add(entry, pixels)
            image = pixels.image
            seen.append(Seen(entry, pixel_group(image), sketch(image), pixels.value, pixels.pixel_scale, image.shape))
        yield Step(done, (1 + more) * total, note=f"{done} of {total} images inspected")
    _check_any(files, found, report, seen)
    yield Step(total, (1 + more) * total, note="looking for copies")
    tally.close()
    _say_copies(report, seen)
    _say_truth(report, seen, LAYOUTS[name])
    _say_known(report, seen, LAYOUTS[name])
    return report, seen


def read_entry(files: Files, entry: Entry, layout: Layout, *, sky: bool = False) -> Pixels:
    """An image in all of its bands, with its pixel scale if ``sky``; pixels of the value that says so hold NaN.

    Raises
    ------
    EngineError : a file that cannot be read, or bands of several shapes
    """
    bands = []
    for name in entry.names:
        with files.on_disk(name) as path:
            bands.append(read_pixels(path, sky=sky))
    if len({band.image.shape for band in bands}) > 1:
        raise DataError(f"its bands have the shapes {', '.join(str(band.image.shape) for band in bands)}")
    first = bands[0]
    image = np.concatenate([band.image for band in bands])
    if layout.blank is not None:
        image[image == layout.blank] = np.nan
    return Pixels(
        image,
        first.dtype,
        first.pixel_scale,
        first.value,
        all(band.half for band in bands),
        max(band.loss for band in bands),
        sum(band.infinite for band in bands),
    )


class _Tally:
    """Counts over images, written into a report at the end."""

    def __init__(self, report: Report, classes: Sequence[str]) -> None:
        self._report, self._classes, self._half = report, classes, True
        self._shapes: Counter[str] = Counter()
        self._dtypes: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def add(self, entry: Entry, pixels: Pixels) -> None:
        report, image = self._report, pixels.image
        good = image[np.isfinite(image)]
        self._shapes[" x ".join(map(str, image.shape))] += 1
        self._dtypes[pixels.dtype] += 1
        self._counts[f"{PARTS[entry.part] if entry.part >= 0 else 'all'} {self._classes[entry.label]}"] += 1
        self._half &= pixels.half
        report.storage_error = max(report.storage_error, pixels.loss)
        report.pixels_without_data += image.size - good.size
        report.infinite_pixels += pixels.infinite
        report.images_without_all_data += int(good.size < image.size)
        report.constant += int(good.size == 0 or good.min() == good.max())
        if good.size:
            low, high = float(good.min()), float(good.max())
            report.lowest = low if report.lowest is None else min(report.lowest, low)
            report.highest = high if report.highest is None else max(report.highest, high)

    def close(self) -> None:
        report = self._report
        report.shapes, report.dtypes, report.counts = dict(self._shapes), dict(self._dtypes), dict(self._counts)
        report.storage = "float16" if self._half else "float32"


def _check_any(files: Files, found: Found, report: Report, seen: Sequence[Seen]) -> None:
    if seen:
        return
    if report.unreadable:
        raise DataError(f"none of the {report.files} files can be read; the first is {report.unreadable[0]}")
    raise DataError(
        f"{files.name} holds images, but no class for any of them ({found.missing[0]}): put the table of the classes "
        "beside them"
    )


def _say_copies(report: Report, seen: Sequence[Seen]) -> None:
    groups: dict[int, list[Entry]] = {}
    for one in seen:
        groups.setdefault(one.group, []).append(one.entry)
    report.copies = len(seen) - len(groups)
    across = [alike for alike in groups.values() if len({entry.part for entry in alike}) > 1]
    report.copies_across_parts = len(across)
    report.copies_across_classes = sum(len({entry.label for entry in alike}) > 1 for alike in groups.values())
    pairs = near_copies(np.stack([one.sketch for one in seen]), np.array([one.group for one in seen]))
    near = [(seen[a].entry, seen[b].entry) for a, b in pairs]
    apart = [pair for pair in near if pair[0].part != pair[1].part]
    report.near_copies, report.near_copies_across_parts = len(near), len(apart)
    for alike in [*across, *map(list, apart)][:_SHOWN]:
        other = next(entry for entry in alike if entry.part != alike[0].part)
        report.leaks.append(f"{alike[0].name} = {other.name}")


def _say_truth(report: Report, seen: Sequence[Seen], layout: Layout) -> None:
    for name, values in truth_columns(seen, layout).items():
        good = values[np.isfinite(values)]
        if good.size and name != "identifier":
            spread = f"{good.min():.4g} to {good.max():.4g}, mean {good.mean():.4g}, deviation {good.std():.4g}"
            report.truth[name] = f"{good.size} of {len(values)}: {spread}"


def truth_columns(seen: Sequence[Seen], layout: Layout) -> dict[str, NDArray[np.float64]]:
    """What tables and pickles say of the images, a column each, NaN where they say nothing."""
    names = sorted({name for one in seen for name in one.entry.truth})
    columns = {name: np.array([one.entry.truth.get(name, np.nan) for one in seen]) for name in names}
    if layout.target:
        columns[layout.target] = np.array([one.value for one in seen])
    return columns


def _say_known(report: Report, seen: Sequence[Seen], layout: Layout) -> None:
    """Bands and pixel scale as far as they are known, and what to do about the rest."""
    planes = {one.shape[0] for one in seen}
    sides = {side for one in seen for side in one.shape[1:]}
    if len(planes) == 1:
        count = planes.pop()
        report.bands = layout.bands if len(layout.bands) == count else ("any",) if count == 1 else ()
        if not report.bands:
            report.notes.append(f"the {count} bands have no names: give them in order with --bands")
    report.pixel_scale = layout.scales.get(max(sides)) or seen[0].pixel_scale
    if report.pixel_scale is None:
        report.notes.append("the pixel scale is not known: give it with --pixel-scale, else it is written as 1 arcsec")
    if len(sides) > 1 or planes:
        report.notes.append("the images differ in shape: crop or pad them with --size, or sort them apart")
    if report.copies_across_parts or report.near_copies_across_parts:
        report.notes.append("copies lie in two parts: scores on the given parts are too good")
    if report.copies_across_classes:
        report.notes.append("copies lie in two classes: their labels contradict each other")


def has_parts(counts: Iterable[str]) -> bool:
    """Whether the names of the counts say that a set comes with parts to train and to judge on."""
    said = {name.split()[0] for name in counts}
    return PARTS[TRAIN] in said and bool(said & {PARTS[VALIDATION], PARTS[TEST]})


def commands(path: Path | str, report: Report) -> list[str]:
    """The commands that make a training set of it, and a model of that."""
    name = Path(path).resolve().name.split(".")[0] or "set"
    made, quote = f"{name}.h5", shlex.quote
    lacks = "" if report.bands else " --bands ..."
    lacks += "" if report.pixel_scale else " --pixel-scale ..."
    options = [LAYOUTS[report.layout].training] if LAYOUTS[report.layout].training else []
    options += ["--given-parts"] if has_parts(report.counts) else []
    sizes = _by_class(report)
    if len(sizes) > 1 and max(sizes) > 5 * min(sizes):
        options.append("--balance weights")
    return [
        f"deeplense convert {quote(str(path))} --out {quote(made)}{lacks}",
        " ".join([f"deeplense train {quote(made)} --out {quote(name + '-model')}", *options]),
    ]


def _by_class(report: Report) -> list[int]:
    totals = dict.fromkeys(report.classes, 0)
    for key, count in report.counts.items():
        totals[key.split(" ", 1)[1]] += count
    return list(totals.values())
