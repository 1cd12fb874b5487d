"""Training sets on disk, their grouped split, and batches of prepared stamps.

A training set is an HDF5 file: ``cutouts`` (n, scale, band, size, size) with the attributes pixel_scales and bands,
``label`` (n,) with the attribute classes, and a group ``truth`` of columns (n,), of which ``group`` names what must
not be on both sides of a split (the source). A label below zero means "not labelled": left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.models.card import file_sha256
from engine.types import FloatArray

ANY = ("any",)
PARTS = ("train", "validation", "test")
Indices = NDArray[np.int64]


class Source(Protocol):
    """Any kind of training set: the files it was read from, and their hashes."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""

    @property
    def sha256(self) -> tuple[str, ...]:
        """Their SHA-256."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """One or several files of the same kind, flattened into examples; the pixels stay on disk.

    An example is a stamp in all of its bands, or, for a model of any band, in one: ``file``, ``row`` and ``band``
    (-1 for all), each (n,), say where it lies. ``truth`` holds the columns that every file has, (n,) each.
    """

    paths: tuple[Path, ...]
    sha256: tuple[str, ...]
    pixel_scales: tuple[float, ...]
    bands: tuple[str, ...]
    size: int
    classes: tuple[str, ...]
    file: Indices
    row: Indices
    band: Indices
    label: Indices
    group: Indices
    truth: Mapping[str, NDArray[Any]]
    recipe: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.label)

    def values(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Columns of the truth table side by side, (n, column)."""
        return np.column_stack([np.asarray(self.truth[name], np.float64) for name in columns])

    def stamps(self, indices: Indices) -> FloatArray:
        """The pixels of some examples, (n, scale, band, size, size), NaN where there are no data."""
        found = np.empty((len(indices), len(self.pixel_scales), len(self.bands), self.size, self.size), np.float32)
        for number, path in enumerate(self.paths):
            here = np.flatnonzero(self.file[indices] == number)
            rows, places = np.unique(self.row[indices[here]], return_inverse=True)
            if len(rows):
                with h5py.File(path) as file:
                    whole = file["cutouts"][rows][places].astype(np.float32)
                band = self.band[indices[here], None, None, None, None]
                found[here] = np.take_along_axis(whole, band, 2) if self.bands == ANY else whole
        return found

    def subset(self, chosen: NDArray[np.bool_]) -> TrainingSet:
        """The examples that are ``chosen`` (n,), in their order."""
        columns = {name: getattr(self, name)[chosen] for name in ("file", "row", "band", "label", "group")}
        return replace(self, truth={name: column[chosen] for name, column in self.truth.items()}, **columns)

    def chunks(self, count: int = 512) -> Iterator[tuple[slice, FloatArray]]:
        """Examples in order, in chunks of about ``count`` stamps: their places and (n, scale, band, size, size)."""
        start = 0
        for number, path in enumerate(self.paths):
            with h5py.File(path) as file:
                rows = self.row[self.file == number]
                first = 0
                while first < len(rows):
                    last = int(np.searchsorted(rows, rows[first] + count))
                    chosen = rows[first:last]
                    stamps = file["cutouts"][chosen[0] : chosen[-1] + 1].astype(np.float32)[chosen - chosen[0]]
                    place = slice(start + first, start + last)
                    if self.bands == ANY:
                        stamps = np.take_along_axis(stamps, self.band[place, None, None, None, None], 2)
                    yield place, stamps
                    first = last
                start += len(rows)


def open_training_set(paths: Sequence[Path | str], *, bands: tuple[str, ...] = ANY) -> TrainingSet:
    """Read all but the pixels of training-set files, and check that they fit together.

    Parameters
    ----------
    bands : ("any",) makes each band of a stamp an example of its own; () or the bands by name keep them together

    Raises
    ------
    DataError
        Files that are no training sets, do not fit each other, or hold fewer than two classes.
    """
    if not paths:
        raise DataError("no training set given: name at least one HDF5 file")
    files = [_open(Path(path), number, bands == ANY) for number, path in enumerate(paths)]
    head = files[0]
    for other in files[1:]:
        for name in ("pixel_scales", "size", "classes", "bands"):
            if getattr(other, name) != getattr(head, name):
                message = f"{other.paths[0]} has {name} {getattr(other, name)}, {head.paths[0]} {getattr(head, name)}"
                raise DataError(f"{message}: train on files of one kind")
    if bands not in ((), ANY) and bands != head.bands:
        raise DataError(f"the training set has the bands {', '.join(head.bands)}, not {', '.join(bands)}: name those")
    together = {
        name: np.concatenate([getattr(file, name) for file in files])
        for name in ("file", "row", "band", "label", "group")
    }
    columns = set.intersection(*(set(file.truth) for file in files))
    merged = TrainingSet(
        paths=tuple(file.paths[0] for file in files),
        sha256=tuple(file.sha256[0] for file in files),
        pixel_scales=head.pixel_scales,
        bands=head.bands,
        size=head.size,
        classes=head.classes,
        truth={name: np.concatenate([file.truth[name] for file in files]) for name in sorted(columns)},
        recipe=head.recipe if len(files) == 1 else {path.paths[0].name: path.recipe for path in files},
        **together,
    )
    present = np.unique(merged.label)
    if len(present) < len(merged.classes):
        absent = [name for index, name in enumerate(merged.classes) if index not in present]
        raise DataError(
            f"the training set holds no example of {', '.join(absent)}: label some, or add a file with them"
        )
    return merged


def open_for(
    paths: Sequence[Path | str], *, bands: tuple[str, ...], targets: tuple[str, ...] = (), only: str | None = None
) -> TrainingSet:
    """A training set with what is to be learned in it: classes, values of its truth table, or ``only`` one class.

    Raises
    ------
    DataError
        As ``open_training_set``, a single class and no target, or no class of that name.
    """
    data = open_training_set(paths, bands=bands)
    if targets:
        return _with_targets(data, targets)
    if only is not None:
        if only not in data.classes:
            raise DataError(f"the training set has no class {only!r}: choose of {', '.join(data.classes)}")
        return data
    if len(data.classes) < 2:
        columns = ", ".join(name for name in data.truth if name != "group") or "none"
        message = f"the training set holds the class {data.classes[0]} alone: nothing to tell apart"
        raise DataError(f"{message}; name a column of its truth table as the target ({columns}), or that class alone")
    return data


def _with_targets(data: TrainingSet, columns: Sequence[str]) -> TrainingSet:
    """The examples that have a value in each of these columns of the truth table, for a regression.

    Raises
    ------
    DataError
        A column that is not there, or that has the same value everywhere.
    """
    for name in columns:
        if name not in data.truth:
            known = ", ".join(column for column in data.truth if column != "group") or "none"
            raise DataError(f"the truth table has no column {name!r} of numbers: choose of {known}")
    data = data.subset(np.asarray(np.isfinite(data.values(columns)).all(1)))
    if not len(data):
        raise DataError(f"no example has a value of {' and '.join(columns)}: choose another target")
    for name, values in zip(columns, data.values(columns).T, strict=True):
        if np.ptp(values) == 0:
            raise DataError(f"{name} is {values[0]:g} in every example: choose another target")
    return data


def _open(path: Path, number: int, any_band: bool) -> TrainingSet:
    if not path.is_file():
        raise DataError(f"the training set {path} does not exist: check the path")
    try:
        with h5py.File(path) as file:
            return _read(file, path, number, any_band)
    except OSError as error:
        raise DataError(
            f"{path} is not an HDF5 file ({error}): make one with 'deeplense simulate' or export one"
        ) from error


def _read(file: h5py.File, path: Path, number: int, any_band: bool) -> TrainingSet:
    missing = [name for name in ("cutouts", "label") if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        raise DataError(f"{path} is not a training set, it lacks {' and '.join(missing)}: export or simulate one")
    cutouts, label = file["cutouts"], np.asarray(file["label"][()])
    if cutouts.ndim != 5 or cutouts.shape[-1] != cutouts.shape[-2]:
        raise DataError(
            f"cutouts in {path} have the shape {cutouts.shape}, not (n, scale, band, size, size): export them anew"
        )
    if label.shape != cutouts.shape[:1] or not np.issubdtype(label.dtype, np.integer):
        raise DataError(f"label in {path} must be {len(cutouts)} integers, one a stamp: export the set anew")
    classes = tuple(_texts(_attribute(file, "label", "classes", ["not", "lens"])))
    if label.size and label.max() >= len(classes):
        raise DataError(f"{path} has labels up to {label.max()} but only {len(classes)} classes: name every class")
    scales = tuple(float(value) for value in np.atleast_1d(_attribute(file, "cutouts", "pixel_scales", [])))
    bands = tuple(_texts(_attribute(file, "cutouts", "bands", [])))
    if len(scales) != cutouts.shape[1] or len(bands) != cutouts.shape[2]:
        message = f"{path} names {len(scales)} pixel scales and {len(bands)} bands for cutouts of shape {cutouts.shape}"
        raise DataError(f"{message}: set the attributes pixel_scales and bands of cutouts")
    row, band = _usable(cutouts, label, any_band, path)
    truth = {
        name: np.asarray(column[()])[row]
        for name, column in file.get("truth", {}).items()
        if column.shape == label.shape
    }
    # Without groups each stamp stands for itself, apart from its own bands; the file keeps rows of two sets apart.
    group = truth["group"].astype(np.int64) if "group" in truth else row + (number << 40)
    return TrainingSet(
        paths=(path,),
        sha256=(file_sha256(path),),
        pixel_scales=scales,
        bands=ANY if any_band else bands,
        size=int(cutouts.shape[-1]),
        classes=classes,
        file=np.full(len(row), number),
        row=row,
        band=band,
        label=label[row].astype(np.int64),
        group=group,
        truth={name: column for name, column in truth.items() if column.dtype.kind in "fiub"},
        recipe={name: _decoded(_attribute(file, "cutouts", name, "")) for name in ("recipe", "seed", "version")},
    )


def _usable(cutouts: h5py.Dataset, label: NDArray[Any], any_band: bool, path: Path) -> tuple[Indices, Indices]:
    """Rows (sorted) and bands of the labelled stamps that hold any data at their centre."""
    if not np.issubdtype(cutouts.dtype, np.floating):
        raise DataError(f"cutouts in {path} are {cutouts.dtype}, not floating point: export them anew")
    middle = cutouts.shape[-1] // 2
    # The central pixels tell at little cost whether a band is there: it is NaN as a whole where a survey has none.
    centre = cutouts[:, :, :, middle - 1 : middle + 1, middle - 1 : middle + 1]
    there = np.isfinite(centre).any((1, 3, 4)) & (label >= 0)[:, None]
    row, band = np.nonzero(there) if any_band else (np.flatnonzero(there.any(1)), None)
    if not len(row):
        raise DataError(f"{path} holds no labelled stamp with data at its centre: export or simulate more")
    return row.astype(np.int64), np.full(len(row), -1) if band is None else band.astype(np.int64)


def split(
    label: NDArray[Any], group: NDArray[Any], *, seed: int, validation: float = 0.1, test: float = 0.1
) -> dict[str, Indices]:
    """Indices of the parts train, validation and test; no group is in two of them.

    A group goes where the hash of its number and the seed says, so it lands in the same part in whatever set it
    turns up: members of a committee trained on different sets share their held-out groups. Only where that leaves a
    part with less than half of its share of the groups of some kind (small sets) are groups moved to it.

    Raises
    ------
    DataError
        Too few groups for each part to hold every label.
    """
    groups, inverse = np.unique(group, return_inverse=True)
    draw, part = _hash01(groups, seed), drawn_parts(groups, seed=seed, validation=validation, test=test)
    held = np.zeros((len(groups), int(label.max()) + 1), bool)
    held[inverse, label] = True
    kinds = np.unique(held, axis=0, return_inverse=True)[1].ravel()  # by the labels a group holds: twins hold both
    for kind in range(kinds.max() + 1):
        members = np.flatnonzero(kinds == kind)
        members = members[np.argsort(draw[members])]
        if len(members) >= len(PARTS):
            part[members] = _topped_up(part[members], (1 - validation - test, validation, test))
    for number, name in enumerate(PARTS):
        absent = np.setdiff1d(label, label[part[inverse] == number])
        if len(absent):
            raise DataError(f"too few sources with label {absent[0]} for a {name} part: add examples (3 at the least)")
    return {name: np.flatnonzero(part[inverse] == number) for number, name in enumerate(PARTS)}


def drawn_parts(group: NDArray[Any], *, seed: int, validation: float = 0.1, test: float = 0.1) -> Indices:
    """The part (its place in PARTS) where ``split`` puts groups unless a part needs filling up, (n,)."""
    draw = _hash01(group, seed)
    return np.where(draw < validation, 1, np.where(draw < validation + test, 2, 0))


def _topped_up(part: Indices, fractions: Sequence[float]) -> Indices:
    """The parts of some groups, changed so that each part holds at least half of its share, and one."""
    part = part.copy()
    needed = np.array([max(1, round(0.5 * fraction * len(part))) for fraction in fractions])
    while True:
        surplus = np.bincount(part, minlength=len(needed)) - needed
        if surplus.min() >= 0:
            return part
        part[np.flatnonzero(part == surplus.argmax())[0]] = surplus.argmin()


def _hash01(values: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Uniform numbers in 0..1 that depend on value and seed alone (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        x = values.astype(np.int64).astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x.astype(np.float64) / 2.0**64


def _attribute(file: h5py.File, dataset: str, name: str, default: Any) -> Any:
    """An attribute of the dataset, or else of the file."""
    return file[dataset].attrs.get(name, file.attrs.get(name, default))


def _texts(values: Any) -> list[str]:
    values = _decoded(values)
    values = values.split(",") if isinstance(values, str) else values
    return [item.decode() if isinstance(item, bytes) else str(item) for item in np.atleast_1d(values).tolist()]


def _decoded(value: Any) -> Any:
    """An attribute as plain Python; a text in JSON is read."""
    value = value.decode() if isinstance(value, bytes) else value
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
