"""Positions as people type them; distances and angles against astropy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.images.positions import Place, from_frame, parse_position, separation, to_frame

longitudes, latitudes = st.floats(0, 359.999), st.floats(-89.9, 89.9)


@pytest.mark.parametrize(
    "text",
    [
        "10:02:14.32 +02:30:20.5",
        "10 02 14.32 +02 30 20.5",
        "10h02m14.32s +02d30m20.5s",
        "10:02:14.32, +02:30:20.5",
        "150.5596667 2.5056944",
        "150.5596667,+2.5056944",
        "150.5596667° +2.5056944°",
        "DLG J100214.32+023020.5",
        "J100214.32+023020.5",
    ],
)
def test_sky_positions_in_every_notation(text):
    place = parse_position(text)
    assert not place.in_pixels
    assert (place.first, place.second) == pytest.approx((150.5596667, 2.5056944), abs=1e-6)


def test_declinations_just_south_of_the_equator_keep_their_sign():
    assert parse_position("00:00:01 -00:00:30").second == pytest.approx(-30 / 3600)


@pytest.mark.parametrize("text", ["l 236.8 b 42.1", "gal 236.8 42.1", "l=236.8, b=+42.1", "g236.8+42.1"])
def test_galactic_positions(text):
    place = parse_position(text)
    sky = SkyCoord(236.8, 42.1, unit="deg", frame="galactic").icrs
    assert (place.first, place.second) == pytest.approx((sky.ra.deg, sky.dec.deg), abs=1e-9)


@pytest.mark.parametrize("text", ["px 1024 2048.5", "1024 2048.5 px", "x 1024 y 2048.5", "x=1024, y=2048.5"])
def test_pixels(text):
    assert parse_position(text) == Place(1024, 2048.5, in_pixels=True)


def test_bare_numbers_are_pixels_where_there_is_no_sky():
    assert parse_position("10 20", has_sky=False) == Place(10, 20, in_pixels=True)


@pytest.mark.parametrize("text", ["", "nowhere", "10:02:14", "1024 2048", "25:00:00 +10:00:00", "12 34 56 +95 0 0"])
def test_what_is_no_position_is_refused_with_a_hint(text):
    with pytest.raises(DataError, match=r"px|RA and Dec"):
        parse_position(text)


@given(ra0=longitudes, dec0=latitudes, ra1=longitudes, dec1=latitudes)
def test_distance_and_angle_are_those_of_astropy(ra0, dec0, ra1, dec1):
    start, end = SkyCoord(ra0, dec0, unit="deg"), SkyCoord(ra1, dec1, unit="deg")
    distance, angle = separation(np.array([ra0, dec0]), np.array([ra1, dec1]))
    assert distance == pytest.approx(start.separation(end).arcsec, abs=1e-6, rel=1e-9)
    if 1e-3 < distance < 647_000:
        turned = (angle - start.position_angle(end).deg + 180) % 360 - 180
        assert turned == pytest.approx(0, abs=1e-5)


@given(longitude=longitudes, latitude=latitudes)
def test_frames_there_and_back(longitude, latitude):
    there = to_frame(np.array([[longitude, latitude]]), "galactic")
    back = from_frame(there, "galactic")[0]
    assert SkyCoord(*back, unit="deg").separation(SkyCoord(longitude, latitude, unit="deg")).arcsec < 1e-6
