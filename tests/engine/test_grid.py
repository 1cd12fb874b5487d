"""Coordinate grid and compass against astropy: at a pole, across RA 0, flipped, rotated, distorted, not square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip

from engine.images.grid import coordinate_grid, latitude_label, longitude_label, orientation
from engine.types import Mosaic


def mosaic(
    ra: float, dec: float, *, angle: float = 0.0, flipped: bool = False, scale: float = 0.2, projection: str = "TAN",
    sip: bool = False, frame: str = "RA",
) -> Mosaic:  # fmt: skip
    shape = (700, 1100)
    wcs = WCS(naxis=2)
    axes = ("RA---", "DEC--") if frame == "RA" else ("GLON-", "GLAT-")
    wcs.wcs.ctype = [f"{axis}{projection}{'-SIP' if sip else ''}" for axis in axes]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [550.5, 350.5]
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wcs.wcs.cd = matrix @ np.diag([scale if flipped else -scale, scale]) / 3600
    if sip:
        a, b = np.zeros((3, 3)), np.zeros((3, 3))
        a[2, 0], b[0, 2] = 4e-5, -3e-5
        wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return Mosaic("m", (Path("m.fits"),), shape, ("r",), scale, wcs, ())


FIELDS = {
    "plain": mosaic(150.1, 2.2),
    "across RA 0": mosaic(0.01, -30.0),
    "north pole inside": mosaic(40.0, 89.99),
    "south pole inside": mosaic(200.0, -89.985, angle=30),
    "beside the pole": mosaic(120.0, 89.9),
    "rotated": mosaic(39.97, -1.58, angle=113.0),
    "flipped": mosaic(215.5, 52.8, flipped=True),
    "rotated and flipped": mosaic(215.5, 52.8, angle=-75.0, flipped=True),
    "distorted": mosaic(10.0, 41.0, sip=True),
    "in galactic coordinates": mosaic(210.0, -40.0, frame="GLON"),
    "wide": mosaic(83.0, -5.0, scale=300.0, projection="STG"),
}
BOX = (0.0, 1099.0, 0.0, 699.0)


@pytest.fixture(params=FIELDS, ids=list(FIELDS))
def field(request) -> Mosaic:
    return FIELDS[request.param]


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_each_point_of_a_line_has_its_value(field, frame):
    lines = coordinate_grid(field, BOX, frame=frame)
    assert {line.axis for line in lines} == {"longitude", "latitude"}
    for line in lines:
        xy = line.xy[np.isfinite(line.xy).all(axis=1)]
        sky = field.wcs.pixel_to_world(xy[:, 0], xy[:, 1]).transform_to(frame).spherical
        if line.axis == "latitude":
            assert sky.lat.deg == pytest.approx(np.full(len(xy), line.value), abs=1e-6)
        else:
            off_pole = np.abs(sky.lat.deg) < 89.9999
            turned = (sky.lon.deg - line.value + 180) % 360 - 180
            away = np.abs(turned) * np.cos(sky.lat.rad)
            assert (away[off_pole] < 1e-6).all()


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_no_line_is_missing_in_view(field, frame):
    """Wherever a row of pixels passes a value of the grid, a line of the grid is there."""
    lines = coordinate_grid(field, BOX, frame=frame)
    step = {
        axis: np.diff(sorted(line.value for line in lines if line.axis == axis)).min(initial=360)
        for axis in ("longitude", "latitude")
    }
    x = np.linspace(0, 1099, 600)
    for y in (11.0, 350.0, 688.0):
        sky = field.wcs.pixel_to_world(x, np.full_like(x, y)).transform_to(frame).spherical
        for axis, values in (("longitude", np.unwrap(sky.lon.rad) * 180 / np.pi), ("latitude", sky.lat.deg)):
            if step[axis] == 360 or np.abs(np.diff(values)).max() > step[axis]:
                continue
            for at in np.flatnonzero(np.diff(np.floor(values / step[axis]))):
                place = np.array([x[at : at + 2].mean(), y])
                value = round(values[at : at + 2].mean() / step[axis]) * step[axis]
                same = [
                    line for line in lines if line.axis == axis and abs((line.value - value + 180) % 360 - 180) < 1e-6
                ]
                assert same, (axis, value)
                assert min(distance(place, line.xy) for line in same) < 3, (axis, value)


def distance(place: np.ndarray, path: np.ndarray) -> float:
    """From a point to a broken line."""
    start, along = path[:-1], np.diff(path, axis=0)
    good = np.isfinite(start).all(axis=1) & np.isfinite(along).all(axis=1)
    start, along = start[good], along[good]
    share = np.clip(np.einsum("ij,ij->i", place - start, along) / (along**2).sum(axis=1), 0, 1)
    return float(np.hypot(*(start + share[:, None] * along - place).T).min())


def test_there_are_neither_too_few_lines_nor_too_many(field):
    lines = coordinate_grid(field, BOX, count=5)
    for axis in ("longitude", "latitude"):
        assert 2 <= sum(line.axis == axis for line in lines) <= 12


def test_no_grid_without_a_sky():
    bare = Mosaic("m", (Path("m.fits"),), (10, 10), ("r",), None, None, ())
    assert coordinate_grid(bare, (0, 9, 0, 9)) == ()


@pytest.mark.parametrize(
    ("value", "step", "hours", "text"),
    [
        (215.5, 0.5, True, "14h22m"),
        (215.5 - 1e-12, 15 * 10 / 3600, True, "14h22m00s"),
        (359.99999999, 15 * 0.5 / 3600, True, "00h00m00.0s"),
        (30.0, 15.0, True, "02h"),
        (215.55, 0.05, False, "215.55°"),
    ],
)
def test_longitudes_are_written_as_finely_as_their_step(value, step, hours, text):
    assert longitude_label(value, step, hours) == text


@pytest.mark.parametrize(
    ("value", "step", "sixtieths", "text"),
    [
        (-1.5, 0.5, True, "-01°30′"),
        (-10 / 3600, 10 / 3600, True, "-00°00′10″"),
        (0.0, 10 / 3600, True, "+00°00′00″"),
        (52.78, 0.02, False, "+52.78°"),
    ],
)
def test_latitudes_are_written_as_finely_as_their_step(value, step, sixtieths, text):
    assert latitude_label(value, step, sixtieths) == text


@pytest.mark.parametrize("place", [(550.0, 350.0), (40.0, 660.0)])
def test_the_compass_points_where_astropy_does(field, place):
    shown = orientation(field, *place)
    here = field.wcs.pixel_to_world(*place).icrs
    for arm, angle in ((shown.north, 0), (shown.east, 90)):
        there = here.directional_offset_by(angle * units.deg, 3 * field.pixel_scale * units.arcsec)
        step = np.array(field.wcs.world_to_pixel(there)) - place
        assert np.degrees(np.arccos(np.clip(step @ np.array(arm) / np.hypot(*step), -1, 1))) < 0.6


def test_sky_coordinates_are_icrs_whatever_the_wcs():
    """The grid of a mosaic in Galactic coordinates is one of RA and Dec all the same."""
    field = FIELDS["in galactic coordinates"]
    line = coordinate_grid(field, BOX)[0]
    x, y = line.xy[len(line.xy) // 2]
    assert isinstance(sky := field.wcs.pixel_to_world(x, y), SkyCoord)
    assert sky.icrs.ra.deg == pytest.approx(line.value, abs=1e-6)
