"""Making calibration stamps on a mosaic: painted arcs, missed known lenses, duds and repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

import numpy as np
from scipy.spatial import cKDTree

from engine.catalogue import Project
from engine.catalogue.calibration import CalibrationItem, add_stamps
from engine.catalogue.known import missed
from engine.detect.injection import Field, InjectRequest, Painted, paint_one, survey
from engine.detect.scoring import Scorer, bands_for, look
from engine.errors import DataError
from engine.images.cutouts import cut
from engine.types import Cutouts, FloatArray, Mosaic, Plane, Positions, Step

_NAMESPACE = UUID("6d1c1f0e-5f5a-4b7e-9a53-0c8d2d1f7a11")
_BATCH = 16

#: Arcsec around lenses, known and graded, in which no dud is drawn.
_CLEAR = 5.0


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """How many stamps of each kind to make; the same seed makes the same ones, and none of them twice.

    ``einstein_radius`` (lowest, highest) in arcsec, ``gain`` and ``seeing`` are those of ``injection.InjectRequest``.
    """

    lenses: int = 50
    duds: int = 50
    repeats: int = 20
    seed: int = 1
    einstein_radius: tuple[float, float] | None = None
    gain: float | None = None
    seeing: float | None = None


def calibrate(
    project: Project, mosaic: Mosaic, request: CalibrationRequest, classifier: Scorer | None = None
) -> Iterator[Step]:
    """Put calibration stamps of a mosaic into a project; the last step's items are the ids of the new ones.

    Arcs are painted over a wide range of Einstein radius and signal-to-noise, visible or not. With a classifier the
    stamps are scored as a scan would, so that their scores do not give them away.

    Raises
    ------
    DataError : no arcs can be painted on this mosaic, see ``injection.survey``; or the seed gives no new stamp
    """
    inject = InjectRequest(
        mosaic, request.lenses, request.seed,
        einstein_radius=request.einstein_radius, gain=request.gain, seeing=request.seeing,
    )  # fmt: skip
    sky = yield from survey(inject)
    total = request.lenses + request.duds + request.repeats
    items: list[CalibrationItem] = []
    for index in range(request.lenses):
        yield Step(index, total, note=f"{len(items)} arcs painted")
        one = paint_one(inject, sky, index, evenly=True)
        items += [_painted(mosaic, request, one)] if one is not None else []
    project.add_mosaic(mosaic)
    items += [*_duds(project, mosaic, sky, request), *_missed(project, mosaic, request)]
    for start in range(0, len(items) if classifier is not None else 0, _BATCH):
        assert classifier is not None
        yield Step(request.lenses, total, note=f"{start} stamps scored")
        items[start : start + _BATCH] = _scored(items[start : start + _BATCH], mosaic, classifier)
    items += _repeats(project, mosaic, request)
    model = "" if classifier is None else classifier.card.key
    run = project.start_run(mosaic, model or "calibration", {"calibration": request.seed})
    added = add_stamps(project, mosaic.id, items, model)
    project.finish_run(run, "done")
    if not added.ids:
        raise DataError(f"the stamps of seed {request.seed} are in the project already: choose another --seed")
    yield Step(total, total, added.ids, f"{len(added.ids)} calibration stamps")


def _item(mosaic: Mosaic, request: CalibrationRequest, kind: str, x: float, y: float, key: str) -> CalibrationItem:
    ra, dec = (None if not np.isfinite(value) else float(value) for value in mosaic.world(np.array([(x, y)]))[0])
    # Of what is the same on every machine; not of the mosaic's id, which has the path.
    uuid = uuid5(_NAMESPACE, f"{mosaic.name} {mosaic.shape} {request.seed} {kind} {key} {x:.1f} {y:.1f}")
    return CalibrationItem(str(uuid), kind, float(x), float(y), ra, dec)


def _painted(mosaic: Mosaic, request: CalibrationRequest, one: Painted) -> CalibrationItem:
    column, row = round(float(one.host["x"])), round(float(one.host["y"]))
    pixels = one.arc.pixels.astype(np.float32)
    half = (pixels.shape[-1] - 1) // 2
    lit = np.any(pixels != 0, axis=0)
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    y0, x0 = (int(found[0]) if len(found) else half for found in (rows, columns))
    y1, x1 = (int(found[-1]) + 1 if len(found) else half + 1 for found in (rows, columns))
    return replace(
        _item(mosaic, request, "painted", float(one.host["x"]), float(one.host["y"]), str(one.index)),
        is_lens=True,
        einstein_radius=float(one.arc.lens.einstein_radius),
        arc_snr=float(one.arc.snr),
        arc=np.ascontiguousarray(pixels[:, y0:y1, x0:x1]),
        x0=column - half + x0,
        y0=row - half + y0,
    )


def _lenses(project: Project, mosaic: Mosaic) -> Positions:
    """Pixels (n, 2) of all that is a lens to somebody: graded so, or published."""
    grades = {level.name for level in project.scheme().grades if level.lens is not False}
    ids = np.union1d(project.ids(grades=grades, mosaic=mosaic.id), project.ids(known=True, mosaic=mosaic.id))
    here = np.array([(row.x, row.y) for row in project.rows(ids)], np.float64).reshape(-1, 2)
    published = mosaic.pixel(np.array([(one.ra, one.dec) for one in missed(project)], np.float64).reshape(-1, 2))
    return np.concatenate([here, published[np.isfinite(published).all(1)]])


def _duds(project: Project, mosaic: Mosaic, sky: Field, request: CalibrationRequest) -> list[CalibrationItem]:
    """Sources drawn at random, with nothing painted on them, away from what anybody calls a lens."""
    xy = np.column_stack([sky.sources["x"], sky.sources["y"]])
    lenses = _lenses(project, mosaic)
    if len(lenses):
        xy = xy[cKDTree(lenses).query(xy)[0] > _CLEAR / (mosaic.pixel_scale or 1.0)]
    random = np.random.default_rng([request.seed, 2**32 - 2])
    chosen = xy[random.permutation(len(xy))[: request.duds]]
    return [replace(_item(mosaic, request, "dud", x, y, ""), is_lens=False) for x, y in chosen]


def _missed(project: Project, mosaic: Mosaic, request: CalibrationRequest) -> list[CalibrationItem]:
    """Published lenses on the mosaic that no scan found."""
    published = missed(project)
    xy = mosaic.pixel(np.array([(one.ra, one.dec) for one in published], np.float64).reshape(-1, 2))
    ny, nx = mosaic.shape
    inside = (xy[:, 0] > 0) & (xy[:, 0] < nx - 1) & (xy[:, 1] > 0) & (xy[:, 1] < ny - 1)
    return [
        replace(_item(mosaic, replace(request, seed=0), "known", x, y, one.name), is_lens=True)
        for one, (x, y), here in zip(published, xy, inside, strict=True)
        if here
    ]


def _repeats(project: Project, mosaic: Mosaic, request: CalibrationRequest) -> list[CalibrationItem]:
    """Candidates a second time: graded ones at random, and the best of the others where those are too few."""
    random = np.random.default_rng([request.seed, 2**32 - 3])
    ungraded = project.ids(mosaic=mosaic.id, grades={None})
    graded = np.setdiff1d(project.ids(mosaic=mosaic.id), ungraded)
    chosen = np.concatenate([random.permutation(graded), ungraded])[: request.repeats]
    return [
        replace(
            _item(mosaic, request, "repeat", row.x, row.y, ""),
            repeats=row.id, score=row.score, raw_score=row.raw_score, spread=row.spread,
        )
        for row in project.rows(chosen)
    ]  # fmt: skip


def _scored(items: Sequence[CalibrationItem], mosaic: Mosaic, classifier: Scorer) -> list[CalibrationItem]:
    card, bands = classifier.card, bands_for(classifier.card, mosaic)
    places = np.array([(item.x, item.y) for item in items])
    parts = [
        cut(painted(mosaic, item), place[None], size=card.size, pixel_scales=card.pixel_scales, bands=bands).pixels
        for item, place in zip(items, places, strict=True)
    ]
    names = tuple(mosaic.bands[band] for band in bands)
    scores = look(classifier, Cutouts(np.concatenate(parts), card.pixel_scales, names, places))
    return [
        replace(item, score=float(score), raw_score=float(raw), spread=float(spread))
        for item, score, raw, spread in zip(items, scores.score, scores.raw_score, scores.spread, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _PaintedPlane:
    """A band of a mosaic with an arc added to its pixels, whose first one is (x0, y0) of the mosaic."""

    plane: Plane
    arc: FloatArray
    x0: int
    y0: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.plane.shape

    def read(self, y0: int, y1: int, x0: int, x1: int, step: int = 1) -> FloatArray:
        """As the plane reads, plus the arc."""
        pixels = self.plane.read(y0, y1, x0, x1, step)
        rows, columns = np.arange(y0, y1, step) - self.y0, np.arange(x0, x1, step) - self.x0
        ny, nx = self.arc.shape
        here, there = (rows >= 0) & (rows < ny), (columns >= 0) & (columns < nx)
        if not here.any() or not there.any():
            return pixels
        pixels = pixels.copy()
        pixels[np.ix_(here, there)] += self.arc[np.ix_(rows[here], columns[there])]
        return pixels


def painted(mosaic: Mosaic, item: CalibrationItem) -> Mosaic:
    """The mosaic with one stamp's arc in its pixels, to cut and show as any other; the same where there is no arc."""
    if item.arc is None:
        return mosaic
    planes = (_PaintedPlane(plane, band, item.x0, item.y0) for plane, band in zip(mosaic.planes, item.arc, strict=True))
    return replace(mosaic, id=f"{mosaic.id}-{item.uuid}", planes=tuple(planes))
