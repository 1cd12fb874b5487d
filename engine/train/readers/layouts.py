"""How published sets lie on disk. ``LAYOUTS`` is the one registry: a new one is a line, or a function, here."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import DataError
from engine.train.readers.challenge import find_challenge
from engine.train.readers.entries import Found, Layout
from engine.train.readers.files import Files
from engine.train.readers.folders import find_folders
from engine.train.readers.pixels import PICTURES, SUFFIXES

_DARK = "--together --channels log,linear --task substructure"

LAYOUTS: Mapping[str, Layout] = {
    "bologna-space": Layout(
        "classifications.csv and imageEUC_VIS-<ID>.fits, or these in lens and nolens",
        find_challenge,
        bands=("VIS",),
        scales={101: 0.1},
        training="",
    ),
    "bologna-ground": Layout(
        "classifications.csv and imageSDSS_{U,G,R,I}-<ID>.fits, or these in lens and nolens",
        find_challenge,
        bands=("u", "g", "r", "i"),  # by wavelength; the folders Band1 to Band4 are r, i, g, u
        scales={101: 0.2},
        blank=100.0,
        training="--together",
    ),
    "substructure": Layout(
        "{train,val}/{no,sphere,vort}/*.npy", find_folders, folders=("no", "sphere", "vort"), training=_DARK
    ),
    "dark-matter": Layout(
        "{axion,cdm,no_sub}/*.npy, Models I to III",
        find_folders,
        folders=("axion", "cdm", "no_sub"),
        scales={150: 0.05},
        target="axion_mass",
        training=_DARK,
    ),
    "gri": Layout(
        "{train,test}_{lenses,nonlenses}/*.npy",
        find_folders,
        folders=("nonlenses", "lenses"),
        bands=("g", "r", "i"),
        training="--together",
    ),
    "pictures": Layout(
        "{sub,no_sub}/*.jpg", find_folders, folders=("no_sub", "sub"), suffixes=PICTURES, training=_DARK
    ),
    "halo-mass": Layout(
        "lens_data/*.npy, pickled [image, mass fraction]",
        find_folders,
        classes=("lens",),
        folders=("lens_data",),
        target="mass_fraction",
        training="--together --channels log,linear --target mass_fraction",
    ),
    "classes": Layout("a folder of class folders of .npy, FITS, HDF5, JPEG or PNG", find_folders, suffixes=SUFFIXES),
}


def find_layout(files: Files, name: str | None = None) -> tuple[str, Found]:
    """The name of the layout that a set has, and what it holds.

    Parameters
    ----------
    name : a key of LAYOUTS; the first that fits by default

    Raises
    ------
    DataError : none of the layouts fits, or both surveys of the Bologna challenge do
    """
    if name is not None and name not in LAYOUTS:
        raise DataError(f"there is no layout {name!r}: choose one of {', '.join(LAYOUTS)}")
    fitting: dict[str, Found] = {}
    for key in [name] if name else LAYOUTS:
        found = LAYOUTS[key].find(files, LAYOUTS[key])
        if found.classes:
            fitting[key] = found
            if key != "bologna-space":  # the only one that another may lie beside
                break
        elif "bologna-space" in fitting:
            break
    if not fitting:
        known = "; ".join(f"{key}: {layout.about}" for key, layout in LAYOUTS.items())
        raise DataError(f"{files.name} has {'not the layout ' + name if name else 'no layout that is known'} ({known})")
    if len(fitting) > 1:
        names = " or ".join(f"--layout {key}" for key in fitting)
        raise DataError(f"{files.name} holds the challenge from space and from the ground: choose one with {names}")
    return next(iter(fitting.items()))
