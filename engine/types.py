"""The frozen data that the rooms of the engine hand each other.

Arrays are (band, y, x) float32 unless stated; pixel positions are (x, y) counted from 0 at the centre of the
first pixel; angles are arcsec; sky positions are ICRS degrees; times are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # astropy takes half a second to import: the window and the command line start without it
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

FloatArray = NDArray[np.float32]
Positions = NDArray[np.float64]

_NEWTON = 8  # steps; each doubles the digits that are right


class Plane(Protocol):
    """One band of a mosaic on disk."""

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) pixels."""

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """Pixels of ``[y0:y1:step, x0:x1:step]``, native float32, NaN where there are no data.

        The region lies inside the plane; the caller clips.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """A survey image of one or more bands, seen on one grid; the pixels stay on disk.

    ``id`` is stable for the same file contents (path, size, mtime, HDU). ``pixel_scale`` is arcsec per pixel, or
    None when neither the file nor the user gave one; ``wcs`` is two-dimensional and celestial, or None. ``units`` has
    the unit of each band's values (BUNIT), "" where the file does not say, or is empty where no file does. ``notes``
    tell the user what was chosen or is missing (which HDU, no WCS).
    """

    id: str
    paths: tuple[Path, ...]
    shape: tuple[int, int]
    bands: tuple[str, ...]
    pixel_scale: float | None
    wcs: WCS | None
    planes: tuple[Plane, ...]
    notes: tuple[str, ...] = ()
    extension: str = ""
    units: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name for titles: the file name, or the first of several."""
        first = self.paths[0].name
        return first if len(self.paths) == 1 else f"{first} + {len(self.paths) - 1}"

    def read(
        self, y0: int, y1: int, x0: int, x1: int, *, step: int = 1, bands: tuple[int, ...] | None = None
    ) -> FloatArray:
        """Read a region of some bands, (band, y, x); what lies off the image is NaN.

        ``step`` decimates (every step-th pixel); ``bands`` are indices, all of them by default.
        """
        ny, nx = self.shape
        chosen = range(len(self.planes)) if bands is None else bands
        rows, columns = range(y0, y1, step), range(x0, x1, step)
        out = np.empty((len(chosen), len(rows), len(columns)), np.float32)
        top, bottom = _those_within(rows, ny)
        left, right = _those_within(columns, nx)
        if (bottom - top, right - left) != out.shape[1:]:
            out.fill(np.nan)
        if bottom > top and right > left:
            inside = (rows[top], rows[bottom - 1] + 1, columns[left], columns[right - 1] + 1)
            for k, band in enumerate(chosen):
                out[k, top:bottom, left:right] = self.planes[band].read(*inside, step)
        return out

    def world(self, xy: Positions) -> Positions:
        """Sky positions (n, 2) ICRS degrees of pixel positions (n, 2); NaN without a WCS."""
        xy = np.asarray(xy, np.float64).reshape(-1, 2)
        if self.wcs is None or not len(xy):
            return np.full(xy.shape, np.nan)
        sky = self.wcs.pixel_to_world(xy[:, 0], xy[:, 1]).icrs
        return np.column_stack([sky.ra.deg, sky.dec.deg])

    def pixel(self, radec: Positions) -> Positions:
        """Pixel positions (n, 2) of sky positions (n, 2) ICRS degrees.

        NaN without a WCS, and for positions so far off the image that its distortion cannot be undone there.
        """
        import warnings

        from astropy.coordinates import SkyCoord

        radec = np.asarray(radec, np.float64).reshape(-1, 2)
        if self.wcs is None or not len(radec):
            return np.full(radec.shape, np.nan)
        sky = SkyCoord(radec[:, 0], radec[:, 1], unit="deg")
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore")  # that the search did not converge for all; these are told below
            xy = np.column_stack(self.wcs.world_to_pixel(sky)).astype(np.float64)
            lost = np.flatnonzero(np.isnan(xy).any(axis=1) & np.isfinite(radec).all(axis=1))
            if len(lost):
                xy[lost] = self._searched(sky[lost])
            if self.wcs.has_distortion:
                back = self.wcs.pixel_to_world(xy[:, 0], xy[:, 1])
                pixel = float(np.sqrt(abs(np.linalg.det(self.wcs.pixel_scale_matrix))))
                xy[~(back.separation(sky).deg < 0.01 * pixel)] = np.nan
        return xy

    def _searched(self, sky: SkyCoord) -> Positions:
        """Pixels of positions that the WCS did not find, by Newton's steps from the middle of the mosaic.

        wcslib undoes polynomials (TPV, TNX) by steps that never come to rest for one position in some thousands. Far
        from the mosaic nothing is lost: there the sky has no pixel.
        """
        from astropy import units

        assert self.wcs is not None
        place = self.wcs.pixel_to_world
        ny, nx = self.shape
        x, y = (nx - 1) / 2, (ny - 1) / 2
        middle = place(x, y)
        reach = 2 * np.nanmax(place([0, 0, nx - 1, nx - 1], [0, ny - 1, 0, ny - 1]).separation(middle).deg)
        found = np.full((len(sky), 2), np.nan)
        near = np.flatnonzero(sky.separation(middle.icrs).deg < reach)
        if not len(near):
            return found
        wanted, xy = sky[near].transform_to(middle), np.tile((x, y), (len(near), 1))
        for _ in range(_NEWTON):
            here = place(*xy.T)
            sides = (wanted, place(xy[:, 0] + 1, xy[:, 1]), place(xy[:, 0], xy[:, 1] + 1))
            offset, right, up = (np.array([part.deg for part in here.spherical_offsets_to(side)]) for side in sides)
            area = right[0] * up[1] - right[1] * up[0]
            xy[:, 0] += (offset[0] * up[1] - offset[1] * up[0]) / area
            xy[:, 1] += (right[0] * offset[1] - right[1] * offset[0]) / area
        pixel = float(np.sqrt(abs(np.linalg.det(self.wcs.pixel_scale_matrix))))
        good = place(*xy.T).separation(wanted) < 0.01 * pixel * units.deg
        found[near[good]] = xy[good]
        return found


def _those_within(places: range, size: int) -> tuple[int, int]:
    """Of rising places those in 0..size, as the indices at which they begin and end."""
    first = min(max(-(places.start // places.step), 0), len(places))
    return first, min(max(-((places.start - size) // places.step), first), len(places))


@dataclass(frozen=True, slots=True, eq=False)
class Cutouts:
    """Square pixels around positions, at one or more pixel scales.

    ``pixels`` is (n, scale, band, size, size) float32, NaN where the mosaic has no data; ``pixel_scales`` are arcsec,
    one for each index of the second axis; ``positions`` is (n, 2) pixels of the mosaic.
    """

    pixels: FloatArray
    pixel_scales: tuple[float, ...]
    bands: tuple[str, ...]
    positions: Positions

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, slots=True)
class Detection:
    """A source a scan found and a model scored; a position, not yet an entry of a project.

    ``radius`` is the half-light radius in pixels, ``flux`` in the units of the mosaic, ``signal_to_noise`` of the
    detection; ``score`` is the calibrated probability, ``raw_score`` the network's own, ``spread`` the standard
    deviation of the score over test-time views; ``model`` is the key of the card. ``ra`` and ``dec`` are None without
    a WCS. ``name`` is what it is called, such as the file of a stamp; "" names it by its position.
    """

    x: float
    y: float
    ra: float | None
    dec: float | None
    flux: float
    radius: float
    signal_to_noise: float
    score: float
    raw_score: float
    spread: float
    model: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of a project's list: a detection with its identity and what people said of it.

    ``grade`` is None until a person gives one. ``mosaic`` is the id of the mosaic it was found on. ``einstein_radius``
    (arcsec) is what a person measured. ``same_as`` is the candidate that this one is a duplicate of, its own id where
    somebody said that it is none. ``kind`` is empty for what a scan found; painted, known, dud and repeat are
    calibration stamps, put in to learn how well people grade.
    """

    id: int
    name: str
    ra: float | None
    dec: float | None
    x: float
    y: float
    flux: float
    radius: float
    signal_to_noise: float
    score: float
    raw_score: float
    spread: float
    model: str
    mosaic: str
    grade: str | None = None
    grader: str = ""
    graded_at: datetime | None = None
    note: str = ""
    subclass: str = ""
    flag: bool = False
    come_back: bool = False
    einstein_radius: float | None = None
    kind: str = ""
    same_as: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a write to the project did: panels refresh only what it names.

    ``operation`` is the text for the undo menu ("Grade A"); ``kinds`` are of candidates, scores, grades, subclasses,
    notes, flags, come_backs, measurements, duplicates, known, settings; ``ids`` are candidate ids.
    """

    operation: str
    ids: tuple[int, ...] = ()
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job: how far it is, and what it brought since the last one."""

    done: int
    total: int
    items: tuple[Any, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ScanRequest:
    """All a scan needs, frozen when it is asked for.

    ``model`` is a name of the library or a folder; ``min_score`` keeps only candidates of at least this calibrated
    score; ``threshold`` is the detection threshold in units of the background sigma. ``detector`` says where stamps
    are cut: at "sources", at the peaks of the dense network ``heatmap_model`` ("heatmap"), or at "both".
    """

    mosaic: Mosaic
    model: str = "finder"
    min_score: float = 0.0
    threshold: float = 1.5
    tile: int = 1024
    overlap: int = 128
    detector: str = "sources"
    heatmap_model: str = "heatmap"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and expects; ``model.json`` beside ``model.safetensors``.

    ``key`` is the name and a prefix of the weights' SHA-256. ``bands`` names the bands in order, or is ("any",) for a
    model that scores one band, whichever. ``size`` is the stamp side in pixels at each of ``pixel_scales`` (arcsec).
    ``channels`` names what is made of each scale and band before the network sees it (engine.models.preprocess).
    ``calibration`` holds slope and intercept of the logit, and the prior they were fitted for. ``history`` has one
    mapping of metrics an epoch; ``metrics`` those of the held-out test part. ``stride`` is the side in pixels of the
    cells of a dense detector (engine.models.heatmap), and 0 for a model of stamps. ``targets`` names the values that a
    regression gives instead of classes, with the mean and scale of its outputs.
    """

    name: str
    architecture: str
    task: str
    classes: tuple[str, ...]
    bands: tuple[str, ...]
    size: int
    pixel_scales: tuple[float, ...]
    channels: tuple[str, ...]
    calibration: Mapping[str, float] = field(default_factory=dict)
    weights_sha256: str = ""
    data_sha256: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    limits: str = ""
    licence: str = ""
    stride: int = 0
    targets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name and the first 12 digits of the SHA-256 of the weights."""
        return f"{self.name}-{self.weights_sha256[:12]}"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of n stamps: calibrated probability, the network's own, and the spread over test-time views."""

    score: NDArray[np.float64]
    raw_score: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Values a regression gives of n stamps: (n, target) in the units they were trained in; NaN without any data.

    ``sigma`` is the error to expect: that on held-out examples and the spread over test-time views, in quadrature.
    """

    names: tuple[str, ...]
    value: NDArray[np.float64]
    sigma: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """Why a model scored a stamp so: one map a scale.

    ``maps`` is (scale, size, size) float32 in 0..1; ``pixel_scales`` are arcsec; ``method`` is the name in the
    registry; ``target`` what was explained.
    """

    maps: FloatArray
    pixel_scales: tuple[float, ...]
    method: str
    model: str
    target: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What a model says of a stamp that was changed in one way, ``change`` in words.

    ``score`` is the calibrated probability, a mean over test-time views whose standard deviation is ``spread``.
    """

    change: str
    score: float
    spread: float


@dataclass(frozen=True, slots=True, eq=False)
class LensFit:
    """What a quick lens model makes of a stamp.

    Angles on the sky are arcsec, ``angle`` and ``shear_angle`` degrees from the x axis of the pixels towards their y
    axis; errors are one standard deviation. ``axis_ratio`` and ``angle`` are those of the mass, ``magnification`` is
    the brightness of all images over that of the source. ``chi2`` is the mean square of the misfit in sigmas inside the
    circle that was fitted, outliers counted linearly, ``chi2_alone`` that of the deflector without a lensed source.
    ``data``, ``model``, ``arcs`` (the lensed source alone) and ``residual`` (in sigmas) are (n, n) and span ``side``
    arcsec, ``source`` (m, m) spans ``source_side``; NaN where nothing was fitted. ``notes`` say what speaks against it.
    ``parameters`` are all numbers of the fit, as engine.interpret.lens_model.parameters names them.
    """

    einstein_radius: float
    einstein_radius_error: float
    axis_ratio: float
    angle: float
    shear: float
    shear_angle: float
    magnification: float
    source_radius: float
    chi2: float
    chi2_alone: float
    side: float
    source_side: float
    data: FloatArray
    model: FloatArray
    arcs: FloatArray
    residual: FloatArray
    source: FloatArray
    notes: tuple[str, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Substructure:
    """Which substructure a lens may carry, as a network tells it from copies of that lens (engine.interpret).

    ``probability`` of each of ``classes``, held equally likely before; ``right`` is the fraction of copies that are
    told right and ``chance`` what guessing would reach; ``typical`` is the fraction of copies (of the class that fits
    best) further from their kind than the stamp. ``place`` (2,) is where the network puts the stamp and ``places`` (m,
    2) where it puts the copies, those of class k where ``labels`` (m,) is k. ``stamp`` (n, n) and ``examples`` (class,
    n, n), a copy of each class, span ``side`` arcsec, without lens light. ``left`` is what a smooth lens would leave
    over of such copies, the median mean square in sigmas of each class, ``left_of_stamp`` what it leaves of the stamp
    above the noise. ``notes`` say what speaks against it.
    """

    model: str
    classes: tuple[str, ...]
    probability: tuple[float, ...]
    right: float
    chance: float
    typical: float
    place: NDArray[np.float64]
    places: NDArray[np.float64]
    labels: NDArray[np.int64]
    stamp: FloatArray
    examples: FloatArray
    left: tuple[float, ...]
    side: float
    notes: tuple[str, ...] = ()
    left_of_stamp: float = 0.0

    @property
    def tells(self) -> bool:
        """Whether anything can be told at all: the copies are told apart, and the stamp is like them."""
        return not self.notes
