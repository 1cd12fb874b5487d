import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue.names import iau_name, pixel_name


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        # The lens SL2SJ142209+524652; 9.179 s and 52.19 arcsec are truncated, not rounded.
        ((14 + 22 / 60 + 9.179 / 3600) * 15, 52 + 46 / 60 + 52.19 / 3600, "DLG J142209.17+524652.1"),
        # Exact digits do not lose their last one to binary fractions.
        ((14 + 22 / 60 + 9.17 / 3600) * 15, 52 + 46 / 60 + 52.1 / 3600, "DLG J142209.17+524652.1"),
        (0.0, 0.0, "DLG J000000.00+000000.0"),
        (359.9999999999, -1e-7, "DLG J235959.99-000000.0"),
        (-10.0, -89.99999, "DLG J232000.00-895959.9"),
        (360.0, 90.0, "DLG J000000.00+900000.0"),
    ],
)
def test_names_are_truncated_positions(ra, dec, name):
    assert iau_name(ra, dec) == name


@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))
def test_a_name_is_the_corner_of_the_box_the_position_is_in(ra, dec):
    name = iau_name(ra, dec)
    text = name.removeprefix("DLG J")
    corner = SkyCoord(f"{text[:2]}h{text[2:4]}m{text[4:9]}s", f"{text[9:12]}d{text[12:14]}m{text[14:]}s", frame="icrs")
    across = (ra - corner.ra.to_value(units.deg)) % 360 * 240
    up = (abs(dec) - abs(corner.dec.to_value(units.deg))) * 3600
    assert len(name) == 23
    assert across < 0.01 + 1e-7 or across > 86400 - 1e-7
    assert -1e-7 < up < 0.1 + 1e-7


def test_without_a_wcs_a_name_is_the_nearest_pixel():
    assert pixel_name("field", 991.6, 799.4) == "field_x0992y0799"
    assert pixel_name("big", 20000.2, -0.4) == "big_x20000y0000"
