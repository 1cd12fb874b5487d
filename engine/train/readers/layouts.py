"""How published sets lie on disk. ``LAYOUTS`` is the one registry: a new one is a line, or a function, here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import DataError
from engine.train.readers.pixels import PICTURES, SUFFIXES

_PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2}


@dataclass(frozen=True, slots=True)
class Layout:
    """Classes by the names of their folders (a prefix such as ``train_`` is a part), and what is known of the images.

    ``classes`` without names takes every folder of images for a class; ``scales`` gives arcsec per pixel by the side of
    the images, where the publisher states it; ``target`` names the number that is pickled with an image.
    """

    about: str
    classes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = (".npy",)
    bands: tuple[str, ...] = ()
    scales: Mapping[int, float] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A labelled file; ``part`` is 0 train, 1 validation, 2 test, or -1 where the layout does not say."""

    path: Path
    label: int
    part: int


LAYOUTS: Mapping[str, Layout] = {
    "substructure": Layout("{train,val}/{no,sphere,vort}/*.npy", ("no", "sphere", "vort")),
    "dark-matter": Layout(
        "{axion,cdm,no_sub}/*.npy, Models I to III", ("axion", "cdm", "no_sub"), scales={150: 0.05}, target="axion_mass"
    ),
    "gri": Layout("{train,test}_{lenses,nonlenses}/*.npy", ("nonlenses", "lenses"), bands=("g", "r", "i")),
    "pictures": Layout("{sub,no_sub}/*.jpg", ("no_sub", "sub"), PICTURES),
    "halo-mass": Layout("lens_data/*.npy, pickled [image, mass]", ("lens_data",), target="mass"),
    "classes": Layout("a folder of class folders of .npy, FITS, HDF5, JPEG or PNG", suffixes=SUFFIXES),
}


def find_layout(folder: Path | str, name: str | None = None) -> tuple[str, tuple[str, ...], list[Entry]]:
    """The layout a folder has, its classes and its labelled files in the order of their names.

    Parameters
    ----------
    name : a key of LAYOUTS; the first that fits by default

    Raises
    ------
    DataError : no folder, or none of the layouts fits
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: unpack the archive and name the folder it makes")
    if name is not None and name not in LAYOUTS:
        raise DataError(f"there is no layout {name!r}: choose one of {', '.join(LAYOUTS)}")
    paths = sorted(path for path in folder.rglob("*.*") if not _hidden(path.relative_to(folder)))
    for key in [name] if name else LAYOUTS:
        classes, entries = _entries(folder, paths, LAYOUTS[key])
        if len({entry.label for entry in entries}) == len(classes) > 0 and (len(classes) > 1 or LAYOUTS[key].classes):
            return key, classes, entries
    known = "; ".join(f"{key}: {layout.about}" for key, layout in LAYOUTS.items())
    raise DataError(f"{folder} has {'not the layout ' + name if name else 'no layout that is known'} ({known})")


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _entries(folder: Path, paths: Sequence[Path], layout: Layout) -> tuple[tuple[str, ...], list[Entry]]:
    found = []
    for path in paths:
        if path.suffix.lower() not in layout.suffixes:
            continue
        above = (folder.resolve().name, *path.relative_to(folder).parts[:-1])
        prefix, kind = _without_part(above[-1])
        part = next((n for n in (prefix, *(_PARTS.get(a.lower(), -1) for a in reversed(above))) if n >= 0), -1)
        if kind in layout.classes or (not layout.classes and len(above) > 1 and kind.lower() not in _PARTS):
            found.append((path, kind, part))
    classes = layout.classes or tuple(sorted({kind for _, kind, _ in found}, key=lambda k: (not _negative(k), k)))
    return classes, [Entry(path, classes.index(kind), part) for path, kind, part in found]


def _without_part(name: str) -> tuple[int, str]:
    match = re.fullmatch(r"(train|test|val)_(.+)", name)
    return (_PARTS[match[1]], match[2]) if match else (-1, name)


def _negative(kind: str) -> bool:
    """A name such as nonlens: it comes first, so that the lenses are the higher class."""
    return kind.lower().startswith(("no", "not", "non"))
