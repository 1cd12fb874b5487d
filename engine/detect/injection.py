"""Arcs painted on the galaxies of a mosaic: the survey of what is there, painted stamps, and training sets of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.catalogue.identity import match_radius
from engine.detect.sources import SOURCE, detection_image, find_sources, sigma_image
from engine.detect.tiles import Core, Seen, grown, tile_cores
from engine.errors import DataError
from engine.export.atomic import atomic
from engine.images.cutouts import cut, cut_array
from engine.images.mosaic import COARSE
from engine.images.room import check_room
from engine.simulate.inject import FAINTEST_CONTRAST, SCATTER, Arc, Telescope, asymmetry, choose_hosts, paint
from engine.simulate.psf import PointSpread, gaussian_point_spread, measure_point_spread
from engine.types import FloatArray, Mosaic, Step

CLASSES = ("not", "lens")
FAINTEST_ARC = 12.0  # signal-to-noise below which nobody would call the stamp a lens
SMOOTHEST = 0.3  # largest asymmetry of a lens galaxy
SATURATED = 0.5  # of the brightest pixel of the mosaic: a core above it may be a saturated star's
CLEAREST = 1.3  # Einstein radius over seeing from which people tell an arc from its galaxy
_TILE, _OVERLAP = 1024, 64
_TRIES = 12
_COLUMNS = ("x", "y", "ra", "dec", "einstein_radius", "arc_snr", "contrast", "seeing", "galaxy_radius", "axis_ratio",
            "angle", "lens_e1", "lens_e2", "gamma1", "gamma2", "source_x", "source_y", "source_radius")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class InjectRequest:
    """What to paint and where to.

    ``einstein_radius`` (lowest, highest) in arcsec is drawn evenly in the logarithm; None lets the galaxy's light
    decide. ``gain`` is electrons a unit of the mosaic, for the photon noise of the arcs; ``seeing`` the FWHM in arcsec,
    where the stars are not to be asked.
    """

    mosaic: Mosaic
    count: int = 500
    seed: int = 1
    size: int = 64
    pixel_scales: tuple[float, ...] = (0.1, 0.3)
    einstein_radius: tuple[float, float] | None = None
    gain: float | None = None
    seeing: float | None = None


@dataclass(slots=True, eq=False)
class Field:
    """What is on a mosaic: its sources, the galaxies that could be lenses, and how it is observed."""

    sources: NDArray[np.void]
    hosts: NDArray[np.void]
    telescope: Telescope
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A galaxy with its arc and without: two stamps (scale, band, size, size)."""

    index: int
    host: np.void
    arc: Arc
    stamp: FloatArray
    twin: FloatArray


def survey(request: InjectRequest) -> Generator[Step, None, Field]:
    """Find the sources of a mosaic tile by tile, measure its PSF and noise, and choose the galaxies that could lens.

    Raises
    ------
    DataError : no pixel scale or one too coarse, no PSF, or no galaxy that could be a lens
    """
    mosaic = request.mosaic
    scale = mosaic.pixel_scale
    if scale is None:
        raise DataError(f"{mosaic.name} has no pixel scale, so arcs have no size: give one with --pixel-scale")
    if scale > COARSE:
        raise DataError(
            f'The pixels of {mosaic.name} ({scale:.2f}") are coarser than arcs: inject into a sharper image'
        )
    tiles, seen, parts = tile_cores(mosaic.shape, _TILE), Seen(match_radius(mosaic)), [np.empty(0, SOURCE)]
    noises, peaks = [], []
    for number, core in enumerate(tiles):
        yield Step(number, len(tiles), note="Finding galaxies")
        y0, y1, x0, x1 = grown(core, _OVERLAP, mosaic.shape)
        pixels = mosaic.read(y0, y1, x0, x1)
        image, light = detection_image(pixels)
        found = find_sources(image, light=light)
        found["x"] += x0
        found["y"] += y0
        noises.append([sigma_image(band)[2] for band in pixels])
        peaks.append([float(np.max(band, initial=-np.inf, where=np.isfinite(band))) for band in pixels])
        inner = (found["x"] >= core[2]) & (found["x"] < core[3]) & (found["y"] >= core[0]) & (found["y"] < core[1])
        parts.append(seen.new(found[inner], core))
    yield Step(len(tiles), len(tiles), note="Measuring the PSF")
    sources = np.concatenate(parts)
    levels = np.where(np.array(noises) > 0, noises, np.nan)
    noise = np.array([np.median(band[np.isfinite(band)]) if np.isfinite(band).any() else np.inf for band in levels.T])
    crowded = tiles[int(np.argmax([len(part) for part in parts[1:]]))]
    spread = tuple(_spread(request, band, crowded, scale) for band in range(len(mosaic.bands)))
    gain = np.full(len(noise), np.nan if request.gain is None else request.gain)
    telescope = Telescope(mosaic.bands, scale, spread, noise, gain)
    hosts = choose_hosts(sources, mosaic.shape, min(one.fwhm for one in spread), scale)
    brightest = np.max(peaks, axis=0)
    hosts = hosts[np.array([_believable(mosaic, host, telescope, brightest) for host in hosts], bool)]
    if not len(hosts):
        raise DataError(
            f"No galaxy of {mosaic.name} could be a lens: none is bright, smooth, alone and larger than a star"
        )
    notes = [f"Band {band}: {one.note}" for band, one in zip(mosaic.bands, spread, strict=True) if one.note]
    return Field(sources, hosts, telescope, notes)


def _spread(request: InjectRequest, band: int, core: Core, scale: float) -> PointSpread:
    if request.seeing is not None:
        return gaussian_point_spread(request.seeing / scale)
    y0, y1, x0, x1 = grown(core, _OVERLAP, request.mosaic.shape)
    light, image, sigma = sigma_image(request.mosaic.read(y0, y1, x0, x1, bands=(band,))[0])
    if not sigma > 0:
        raise DataError(f"Band {request.mosaic.bands[band]} holds no data where the sources are: leave it out")
    return measure_point_spread(light, find_sources(image, threshold=3.0, light=light))


def _believable(mosaic: Mosaic, host: np.void, telescope: Telescope, brightest: NDArray[np.float64]) -> bool:
    """Whether a galaxy is smooth, and no saturated star: such stars reach what is the brightest pixel of the mosaic."""
    column, row, reach = round(float(host["x"])), round(float(host["y"])), 8
    core = mosaic.read(row - reach, row + reach + 1, column - reach, column + reach + 1)
    if np.any(np.max(np.nan_to_num(core, nan=-np.inf), axis=(1, 2)) > SATURATED * brightest):
        return False
    return asymmetry(*_profile(mosaic, host, telescope)) < SMOOTHEST


def _profile(mosaic: Mosaic, host: np.void, telescope: Telescope) -> tuple[FloatArray, float, float]:
    """The arguments of asymmetry: pixels resampled about the galaxy, its reach, and the noise."""
    reach = 2 * float(host["radius"]) / telescope.pixel_scale + 2
    best = int(np.argmin(telescope.noise))
    size = 2 * int(np.ceil(reach)) + 9
    position = np.array([[host["x"], host["y"]]])
    stamp = cut(mosaic, position, size=size, pixel_scales=(telescope.pixel_scale,), bands=(best,)).pixels[0, 0, 0]
    return stamp - np.float32(np.nanpercentile(stamp, 10)), reach, float(telescope.noise[best])


def paint_one(request: InjectRequest, sky: Field, index: int, *, evenly: bool = False) -> Painted | None:
    """Painting number ``index`` of a request: the same numbers give the same pixels, in whatever order they are made.

    ``evenly`` draws Einstein radius over seeing and arc signal-to-noise over wide ranges, visible or not, to measure
    completeness; else only arcs that a person would see are kept, and None says that no try gave one.
    """
    random = np.random.default_rng([request.seed, index])
    telescope = sky.telescope
    for _ in range(1 if evenly else _TRIES):
        host, theta = _draw_host(random, request, sky, evenly)
        snr = float(np.exp(random.uniform(*np.log((8, 300) if evenly else (25, 500)))))
        half = int(np.ceil(max(request.size * max(request.pixel_scales) / 2, 3.5 * theta) / telescope.pixel_scale)) + 4
        column, row = round(float(host["x"])), round(float(host["y"]))
        pixels = request.mosaic.read(row - half, row + half + 1, column - half, column + half + 1)
        arc = paint(random, host, pixels - _sky_level(pixels), telescope, theta, snr)
        if not evenly and (arc.snr < FAINTEST_ARC or arc.contrast < FAINTEST_CONTRAST):
            continue
        place = np.array([[half + host["x"] - column, half + host["y"] - row]])
        scales, size = request.pixel_scales, request.size
        twin, stamp = (
            cut_array(image, place, native_scale=telescope.pixel_scale, size=size, pixel_scales=scales)[0]
            for image in (pixels, pixels + arc.pixels.astype(np.float32))
        )
        return Painted(index, host, arc, stamp, twin)
    return None


def _draw_host(random: np.random.Generator, request: InjectRequest, sky: Field, evenly: bool) -> tuple[np.void, float]:
    """A galaxy and its Einstein radius; a drawn radius goes to one of the galaxies whose light comes nearest to it."""
    natural, seeing = sky.hosts["einstein_radius"], sky.telescope.seeing
    chosen = request.einstein_radius or ((0.6 * seeing, 5 * seeing) if evenly else None)
    if chosen is None:
        seen = np.flatnonzero(natural > CLEAREST * seeing)
        host = sky.hosts[int(random.choice(seen if len(seen) else np.argsort(-natural)[:10]))]
        theta = float(host["einstein_radius"]) * np.exp(random.normal(0, SCATTER))
        return host, max(theta, CLEAREST * seeing)
    theta = float(np.exp(random.uniform(*np.log(chosen))))
    near = np.argsort(np.abs(np.log(natural / theta)), kind="stable")[: max(5, len(natural) // 5)]
    return sky.hosts[int(random.choice(near))], theta


def _sky_level(pixels: FloatArray) -> FloatArray:
    """Median of the fainter part of each band, (band, 1, 1)."""
    middle = np.nanmedian(pixels, axis=(1, 2), keepdims=True)
    spread = np.nanmedian(np.abs(pixels - middle), axis=(1, 2), keepdims=True)
    level = np.nanmedian(np.where(pixels < middle + 4 * spread, pixels, np.nan), axis=(1, 2), keepdims=True)
    return np.asarray(np.nan_to_num(level), np.float32)


def inject(request: InjectRequest, out: Path | str) -> Iterator[Step]:
    """Write a training set: galaxies with a painted arc, each one's twin without, and other sources as they are.

    The file has the layout of engine.train.data: ``cutouts`` (n, scale, band, size, size) float32, ``label``, and
    ``truth`` with every parameter; all stamps of one galaxy share ``group``. It appears when it is whole; the last
    step's note says how many of each kind there are.

    Raises
    ------
    DataError : see ``survey``; no arc could be seen; or a file that cannot be written
    """
    out = Path(out)
    sky = yield from survey(request)
    rows: list[tuple[FloatArray, int, str, dict[str, float]]] = []
    wanted, painted, index = request.count // 3 or 1, 0, 0
    while painted < wanted and index < 4 * wanted + 20:
        one = paint_one(request, sky, index)
        index += 1
        if one is not None:
            painted += 1
            truth = _truth(request, sky, one)
            rows.append((one.stamp, 1, "lens", truth))
            rows.append((one.twin, 0, "twin", truth | {"einstein_radius": np.nan, "arc_snr": 0.0, "contrast": 0.0}))
        yield Step(len(rows), request.count, note=f"{painted} arcs painted")
    if not painted:
        raise DataError("No arc could be seen on any galaxy: choose larger Einstein radii, or a deeper image")
    rows += _others(request, sky, request.count - len(rows))
    yield Step(len(rows), request.count, note="Writing")
    _write(request, out, rows)
    text = f"{painted} arcs on {len(sky.hosts)} galaxies, as many twins, {len(rows) - 2 * painted} other sources"
    yield Step(len(rows), len(rows), tuple(sky.notes), text)


def _others(request: InjectRequest, sky: Field, count: int) -> list[tuple[FloatArray, int, str, dict[str, float]]]:
    """Sources of the mosaic as they are, at random."""
    random = np.random.default_rng([request.seed, 2**32 - 1])
    chosen = random.permutation(len(sky.sources))[: max(count, 0)]
    xy = np.column_stack([sky.sources["x"][chosen], sky.sources["y"][chosen]])
    stamps = cut(request.mosaic, xy, size=request.size, pixel_scales=request.pixel_scales).pixels
    blank = dict.fromkeys(_COLUMNS, np.nan) | {"arc_snr": 0.0, "seeing": sky.telescope.seeing}
    places = request.mosaic.world(xy)
    return [
        (stamp, 0, "source", blank | {"x": x, "y": y, "ra": ra, "dec": dec})
        for stamp, (x, y), (ra, dec) in zip(stamps, xy, places, strict=True)
    ]


def _truth(request: InjectRequest, sky: Field, one: Painted) -> dict[str, float]:
    host, lens, source = one.host, one.arc.lens, one.arc.source
    ra, dec = request.mosaic.world(np.array([[host["x"], host["y"]]]))[0]
    values = (
        host["x"], host["y"], ra, dec, lens.einstein_radius, one.arc.snr, one.arc.contrast, sky.telescope.seeing,
        host["radius"], host["axis_ratio"], host["angle"], lens.e1, lens.e2, lens.gamma1, lens.gamma2,
        *(np.array(source.position) - lens.centre), source.radius,
    )  # fmt: skip
    truth = {name: float(value) for name, value in zip(_COLUMNS, values, strict=True)}
    return truth | {f"flux_{band}": float(flux) for band, flux in zip(sky.telescope.bands, one.arc.flux, strict=True)}


def _write(request: InjectRequest, out: Path, rows: list[tuple[FloatArray, int, str, dict[str, float]]]) -> None:
    check_room(out.parent, sum(row[0].nbytes for row in rows))
    with atomic(out) as partial, h5py.File(partial, "w") as file:
        file.create_dataset("cutouts", data=np.stack([row[0] for row in rows]))
        label = file.create_dataset("label", data=np.array([row[1] for row in rows], np.int8))
        label.attrs["classes"] = list(CLASSES)
        file.attrs.update(
            recipe="inject", seed=request.seed, version=1, pixel_scales=request.pixel_scales,
            bands=list(request.mosaic.bands),
        )  # fmt: skip
        truth = file.create_group("truth")
        truth["kind"] = np.array([row[2].encode() for row in rows], "S8")
        truth["group"] = np.array([_group(request.mosaic, row[3]) for row in rows], np.int64)
        truth["seed"] = np.full(len(rows), request.seed, np.int64)
        for name in (*_COLUMNS, *(f"flux_{band}" for band in request.mosaic.bands)):
            truth[name] = np.array([row[3].get(name, 0.0) for row in rows], np.float64)


def _group(mosaic: Mosaic, truth: dict[str, float]) -> int:
    """A number for the galaxy, the same in every set made of this mosaic, whatever the seed."""
    text = f"{mosaic.name} {truth['x']:.1f} {truth['y']:.1f}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
