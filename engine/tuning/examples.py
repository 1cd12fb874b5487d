"""What a fine-tuning learns from: the grades of a project, arcs painted on its own mosaics, and simulations.

Grades alone are few, and most of them are of false candidates. Painted arcs bring lenses with the mosaic's own PSF,
noise and neighbours; simulations keep the network from forgetting what it knew ("rehearsal", Robins 1995, Connection
Science 7, 123). Each file says in ``truth/part`` what is learned from, what chooses the epoch, and what is held out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from engine.catalogue import Project
from engine.detect.injection import InjectRequest, inject
from engine.errors import DataError
from engine.export.training_set import training_set_job
from engine.simulate.dataset import RECIPES, simulate
from engine.train.data import ANY, PARTS, drawn_parts, split
from engine.types import ModelCard, Mosaic, Step

GRADES, PAINTED, SIMULATED = "grades", "painted", "simulated"
FEWEST = 5  # objects of a kind from which some can be held out
VALIDATION, TEST = 0.15, 0.3
_SAME_ARCSEC, _SAME_PIXELS = 3.0, 10.0
_LEFT_OUT = -1


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many painted and simulated stamps go with the grades, and what draws them."""

    painted: int
    simulated: int
    seed: int
    processes: int | None = None


def graded(project: Project, mosaics: Sequence[Mosaic], card: ModelCard, path: Path, seed: int) -> Iterator[Step]:
    """Write the graded candidates as a model takes them, in parts.

    Raises
    ------
    DataError : nothing is graded on these mosaics
    """
    bands = None if card.bands == ANY else card.bands
    yield from training_set_job(
        project, mosaics, path, card.size, card.pixel_scales, labels=project.scheme().labels, bands=bands
    )
    with h5py.File(path, "r+") as file:
        # An object each, not the patch of sky that the set was grouped by: a small mosaic is few of those.
        file["truth/group"][...] = _objects(file["truth/ra"][()], file["truth/dec"][()])
        file["truth/part"] = parted(file["label"][()], file["truth/group"][()], seed)


def painted(
    mosaics: Sequence[Mosaic], card: ModelCard, beside: Path, folder: Path, wanted: Wanted
) -> Generator[Step, None, tuple[list[Path], list[str]]]:
    """Paint arcs on each mosaic; returns the files, and why there is none of a mosaic that cannot be painted on.

    What lies where a graded candidate of ``beside`` lies is left out: a person knows better than the painter, and
    nothing held out may be learned from under another name.
    """
    files: list[Path] = []
    notes: list[str] = []
    fit = [mosaic for mosaic in mosaics if card.bands in (ANY, mosaic.bands)]
    for number, mosaic in enumerate(fit):
        path = folder / f"{PAINTED}-{number}.h5"
        request = InjectRequest(
            mosaic, count=max(3, wanted.painted // len(fit)), seed=wanted.seed, size=card.size,
            pixel_scales=card.pixel_scales,
        )  # fmt: skip
        try:
            yield from inject(request, path)
        except DataError as error:
            notes.append(f"No arcs were painted on {mosaic.name}: {error}")
            continue
        with h5py.File(path, "r+") as file:
            label = file["label"][()]
            label[_beside(file, beside, mosaic)] = _LEFT_OUT
            file["label"][...] = label
            file["truth/part"] = parted(label, file["truth/group"][()], wanted.seed)
        files.append(path)
    return files, notes


def simulated(card: ModelCard, path: Path, wanted: Wanted) -> Generator[Step, None, tuple[list[Path], list[str]]]:
    """Simulate stamps of the kind the model was made for; none, and a note, for bands that no recipe has."""
    kind = next((name for name, one in RECIPES.items() if (one.bands, one.classes) == (card.bands, card.classes)), None)
    if kind is None:
        return [], [f"No simulated stamps were added: there is no recipe for the bands {', '.join(card.bands)}."]
    yield from simulate(
        kind, path, count=wanted.simulated, seed=wanted.seed, size=card.size, pixel_scales=card.pixel_scales,
        processes=wanted.processes,
    )  # fmt: skip
    with h5py.File(path, "r+") as file:
        truth, label = file["truth"], file["label"][()]
        group = truth["group"][()] if "group" in truth else np.arange(len(label))
        truth["part"] = parted(label, group, wanted.seed)
    return [path], []


def parted(label: NDArray[np.integer], group: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """The part (place in PARTS) of each example (n,); what is rare is learned from, not held out."""
    part = np.zeros(len(label), np.int8)
    known = np.flatnonzero(label >= 0)
    kinds = [np.unique(group[label == kind]) for kind in (0, 1)]
    if min(map(len, kinds)) >= FEWEST:
        with suppress(DataError):  # too few that are of one kind alone
            for name, members in split(label[known], group[known], seed=seed, validation=VALIDATION, test=TEST).items():
                part[known[members]] = PARTS.index(name)
            return part
    drawn = drawn_parts(group, seed=seed, validation=VALIDATION, test=TEST).astype(np.int8)
    rare = [groups for groups in kinds if len(groups) < FEWEST]
    return np.where(np.isin(group, np.concatenate([[], *rare])), part, drawn)


def counted(path: Path) -> Mapping[str, int]:
    """How many objects of a set a person called a lens, and how many not."""
    with h5py.File(path) as file:
        label = file["label"][()]
    return {"lenses": int((label == 1).sum()), "others": int((label == 0).sum())}


def in_all_parts(files: Sequence[Path]) -> bool:
    """Whether each part of some sets together holds lenses and others."""
    found = set()
    for path in files:
        with h5py.File(path) as file:
            found |= set(zip(file["truth/part"][()].tolist(), file["label"][()].tolist(), strict=True))
    return found >= {(part, label) for part in range(len(PARTS)) for label in (0, 1)}


def _objects(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """A number for each object (n,): what lies within 3 arcsec is one, in whatever mosaic; without a WCS each is."""
    number = np.arange(len(ra))
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if len(placed):
        points = SkyCoord(ra[placed], dec[placed], unit="deg").cartesian.xyz.value.T
        near = cKDTree(points).sparse_distance_matrix(cKDTree(points), np.radians(_SAME_ARCSEC / 3600))
        number[placed] = placed[connected_components(near, directed=False)[1]]
    return number


def _beside(painted_set: h5py.File, graded_set: Path, mosaic: Mosaic) -> NDArray[np.bool_]:
    """Which stamps (n,) of a painted set show an object that was graded, on whatever mosaic."""
    with h5py.File(graded_set) as file:
        truth = {name: file[f"truth/{name}"][()] for name in ("ra", "dec", "x", "y", "mosaic")}
    xy = np.column_stack([painted_set["truth/x"][()], painted_set["truth/y"][()]])
    here = np.array([name.decode() == mosaic.name for name in truth["mosaic"]], bool)
    places = np.column_stack([truth["x"], truth["y"]])[here]
    if mosaic.wcs is not None:
        sky = np.column_stack([truth["ra"], truth["dec"]])
        seen = mosaic.pixel(sky[np.isfinite(sky).all(1)])
        places = np.concatenate([places, seen[np.isfinite(seen).all(1)]])
    if not len(places):
        return np.zeros(len(xy), bool)
    reach = _SAME_PIXELS if mosaic.pixel_scale is None else _SAME_ARCSEC / mosaic.pixel_scale
    return np.asarray(cKDTree(places).query(xy)[0] < reach)
