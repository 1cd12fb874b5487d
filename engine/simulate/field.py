"""A survey field in three bands with lenses among thousands of galaxies and stars, and its truth table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from engine.errors import DataError
from engine.simulate import family, galaxies, sky
from engine.simulate.family import LensLight
from engine.simulate.scene import Scene, View
from engine.simulate.sky import Conditions, Generator, Grid, Image
from engine.types import Step

BANDS = ("g", "r", "i")
SCALE, SEEING = 0.2, 0.75  # arcsec; a survey whose bands were brought to one seeing
ZERO_POINT, NOISE = 30.0, 4.0  # AB magnitude of unit flux, and the noise of one pixel
_CENTRE = (150.1163, 2.2009)  # degrees
_MARGIN = 130  # pixels between a lens and the edge
FAINTEST_IN_FIELD = 25.0  # signal-to-noise of the faintest arc
_HALF = 64  # pixels: half the side of the box in which a lens is drawn
# Flux in g, r, i over that in r, in noise units: old stars are red, star formation is blue.
_RED, _MIDDLE, _BLUE = np.array([0.38, 1.0, 1.45]), np.array([0.62, 1.0, 1.15]), np.array([1.0, 1.0, 0.85])


@dataclass(frozen=True, slots=True)
class FieldRequest:
    """What field to make: side in pixels and how many objects of each kind."""

    side: int = 4096
    seed: int = 2026
    lenses: int = 22
    galaxies: int = 7000
    stars: int = 900


def make_field(folder: Path | str, request: FieldRequest = FieldRequest()) -> Iterator[Step]:
    """Make the field and write ``field_g.fits``, ``field_r.fits``, ``field_i.fits`` and ``truth.ecsv`` into ``folder``.

    The same request gives the same pixels. The truth table lists the lenses: x, y (pixels from 0), ra, dec (deg),
    einstein_radius (arcsec), arc_snr (r band, over the arc's own pixels), seeing (arcsec). The last step's items are
    the paths of the images.
    """
    folder = Path(folder)
    random = np.random.default_rng(request.seed)
    total = request.galaxies + request.stars + request.lenses + 3 * len(BANDS)
    conditions = Conditions(SCALE, SEEING, 3.2, 0.02, 0.4, 0.02, 25.0, 0.0, 1e4, False)
    light = np.zeros((len(BANDS), request.side, request.side), np.float32)
    done = 0
    for _ in range(request.galaxies):
        _place_galaxy(random, light, conditions)
        done += 1
        if done % 20 == 0:
            yield Step(done, total, note="Drawing galaxies")
    for _ in range(request.stars):
        _place_star(random, light, conditions)
        done += 1
        if done % 20 == 0:
            yield Step(done, total, note="Drawing stars")
    kernel = sky.point_spread_function(conditions)
    for band in range(len(BANDS)):
        yield Step(done, total, note="Blurring")
        light[band] = sky.convolve(light[band], kernel)
        done += 1
    rows: list[dict[str, float]] = []
    for x, y in _spread(random, request):
        rows.append(_place_lens(random, light, conditions, kernel, x, y, giant=len(rows) % 11 == 10))
        done += 1
        yield Step(done, total, note="Drawing lenses")
    wcs = _world_coordinates(request.side)
    paths = []
    for band, name in enumerate(BANDS):
        yield Step(done, total, note="Adding noise")
        pixels = light[band] + sky.noise(random, light[band].astype(np.float64), conditions)
        pixels = np.minimum(pixels, 4000)
        yield Step(done, total, note="Writing")
        paths.append(_write(folder / f"field_{name}.fits", (NOISE * pixels).astype(np.float32), name, wcs))
        done += 2
    _write_truth(folder / "truth.ecsv", rows, wcs)
    yield Step(total, total, tuple(paths), "Field made")


def _place_galaxy(random: Generator, light: NDArray[np.float32], conditions: Conditions) -> None:
    flux = float(min(25 * (1 + random.pareto(0.9)), 2e5))
    radius = float(np.clip(0.22 * (flux / 100) ** 0.24 * np.exp(random.normal(0, 0.35)), 0.06, 5))
    half = int(np.clip(np.ceil(7 * radius / SCALE), 8, 150))
    grid = Grid(2 * half + 1, SCALE)
    image = np.zeros((grid.size, grid.size))
    centre = (random.uniform(-0.5, 0.5) * SCALE, random.uniform(-0.5, 0.5) * SCALE)
    shape = {"axis_ratio": random.uniform(0.3, 1), "angle": random.uniform(0, np.pi)}
    kind, colour = random.random(), _BLUE
    if radius < 0.45:
        galaxies.add_sersic(
            image, grid, flux=flux, radius=radius, index=random.uniform(0.7, 2.5), centre=centre, **shape
        )
        colour = _MIDDLE if random.random() < 0.3 else _BLUE
    elif kind < 0.4:
        galaxies.add_elliptical(random, image, grid, flux=flux, radius=radius, centre=centre, **shape)
        colour = _RED
    elif kind < 0.82:
        galaxies.add_spiral(random, image, grid, flux=flux, radius=radius, centre=centre)
        colour = _MIDDLE
    elif kind < 0.93:
        galaxies.add_edge_on(random, image, grid, flux=flux, radius=radius, centre=centre)
        colour = _MIDDLE
    else:
        galaxies.add_merger(random, image, grid, flux=flux, radius=radius)
    _paste(light, image, colour * np.exp(random.normal(0, 0.12, 3)), *random.uniform(0, light.shape[1], 2))


def _place_star(random: Generator, light: NDArray[np.float32], conditions: Conditions) -> None:
    flux = float(min(40 * (1 + random.pareto(0.55)), 3e6))
    grid = Grid(2 * int(np.clip(4 * flux**0.25, 4, 160)) + 1, SCALE)
    image = np.zeros((grid.size, grid.size))
    sky.add_star(
        random, image, grid, conditions, (random.uniform(-0.5, 0.5) * SCALE, random.uniform(-0.5, 0.5) * SCALE), flux
    )
    warmth = random.uniform(0, 1)
    _paste(light, image, warmth * _RED + (1 - warmth) * _BLUE, *random.uniform(0, light.shape[1], 2))


def _place_lens(
    random: Generator,
    light: NDArray[np.float32],
    conditions: Conditions,
    kernel: Image,
    x: float,
    y: float,
    *,
    giant: bool,
) -> dict[str, float]:
    """Add a lens; returns its row of the truth table. The position is the deflector's."""
    theta = float(random.uniform(3.5, 6) if giant else np.exp(random.uniform(np.log(0.85), np.log(2.8))))
    while True:
        grid = Grid(2 * _HALF + 1, SCALE)
        scene = Scene(grid, (View(conditions, kernel),), {})
        made: LensLight = family.draw_lens_light(random, scene, theta, int(giant), on_arc=False, neighbours=0.0)
        if made.arc_snr > FAINTEST_IN_FIELD:
            break
    column, row = round(x), round(y)
    _paste(light, made.deflector[0], _RED * np.exp(random.normal(0, 0.06, 3)), column, row)
    _paste(light, made.arc[0], _BLUE * np.exp(random.normal(0, 0.1, 3)), column, row)
    return {
        "x": column + made.lens.centre[0] / SCALE, "y": row + made.lens.centre[1] / SCALE,
        "einstein_radius": theta, "arc_snr": made.arc_snr, "seeing": SEEING,
    }  # fmt: skip


def _paste(light: NDArray[np.float32], image: Image, colour: NDArray[np.float64], x: float, y: float) -> None:
    """Add a stamp, times the colour in each band, with its middle at the pixel nearest to (x, y); it may hang over."""
    half = image.shape[0] // 2
    column, row = round(x) - half, round(y) - half
    y0, y1 = max(row, 0), min(row + image.shape[0], light.shape[1])
    x0, x1 = max(column, 0), min(column + image.shape[1], light.shape[2])
    if y0 < y1 and x0 < x1:
        light[:, y0:y1, x0:x1] += colour[:, None, None] * image[y0 - row : y1 - row, x0 - column : x1 - column]


def _spread(random: Generator, request: FieldRequest) -> list[tuple[float, float]]:
    """Positions at random, none within 30 arcsec of another or near the edge."""
    places: list[tuple[float, float]] = []
    for _ in range(1000 * request.lenses):
        x, y = random.uniform(_MARGIN, request.side - _MARGIN, 2)
        if all(np.hypot(x - a, y - b) * SCALE > 30 for a, b in places):
            places.append((x, y))
        if len(places) == request.lenses:
            return places
    raise DataError(f"{request.lenses} lenses have no room in {request.side} pixels: make the field larger")


def _world_coordinates(side: int) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = _CENTRE
    wcs.wcs.crpix = [(side + 1) / 2, (side + 1) / 2]
    wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
    return wcs


def _write(path: Path, pixels: NDArray[np.float32], band: str, wcs: WCS) -> Path:
    header = wcs.to_header()
    header["FILTER"] = band
    header["MAGZERO"] = (ZERO_POINT, "AB magnitude of unit flux")
    header["SEEING"] = (SEEING, "arcsec, FWHM")
    header["OBJECT"] = ("Simulated survey field", "made by deeplense; no real sky")
    fits.PrimaryHDU(pixels, header).writeto(path, overwrite=True)
    return path


def _write_truth(path: Path, rows: list[dict[str, float]], wcs: WCS) -> None:
    table = Table(rows=rows)
    table["ra"], table["dec"] = wcs.pixel_to_world_values(table["x"], table["y"])
    units = {"x": "pix", "y": "pix", "ra": "deg", "dec": "deg", "einstein_radius": "arcsec", "seeing": "arcsec"}
    for name, unit in units.items():
        table[name].unit = unit
    table.write(path, format="ascii.ecsv", overwrite=True)
