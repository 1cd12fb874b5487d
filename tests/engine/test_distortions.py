"""Positions through every kind of distortion: as astropy has them, as the formulas have them, and back."""

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.images.mosaic import open_mosaic
from engine.types import Mosaic

SIDE = 400
SCALE = 0.26 / 3600  # degrees
CENTRES = ((150.1, 2.2), (0.0, 0.0), (359.9999, -45.0), (12.0, 89.99), (200.0, -90.0))


def header(centre: tuple[float, float], kind: str = "TAN", turn: float = 20.0) -> fits.Header:
    """A rotated, sheared grid whose reference pixel lies off the middle, as on a chip of a camera."""
    head = fits.Header({"CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}", "CUNIT1": "deg", "CUNIT2": "deg"})
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    head.update(CRVAL1=centre[0], CRVAL2=centre[1], CRPIX1=-350.5, CRPIX2=610.25, RADESYS="ICRS")
    head.update(CD1_1=-SCALE * cosine, CD1_2=SCALE * sine, CD2_1=SCALE * sine * 1.01, CD2_2=SCALE * cosine)
    return head


def with_sip(head: fits.Header) -> fits.Header:
    terms = {"2_0": 2e-6, "1_1": -3e-6, "0_2": 1e-6, "3_0": 4e-10, "1_2": -2e-10}
    head.update(A_ORDER=3, B_ORDER=3, **{f"A_{k}": v for k, v in terms.items()})
    head.update({f"B_{k}": -0.7 * v for k, v in terms.items()})
    return head


def with_pv(head: fits.Header) -> fits.Header:
    head.update(PV1_0=2e-5, PV1_1=1.001, PV1_2=-4e-4, PV1_4=0.012, PV1_5=-0.02, PV1_7=0.4, PV1_9=-0.2)
    head.update(PV2_0=-1e-5, PV2_1=0.9992, PV2_2=3e-4, PV2_4=-0.01, PV2_6=0.015, PV2_7=0.3, PV2_10=0.1)
    return head


TNX_TERMS = {(0, 0): 3e-6, (1, 0): 2e-4, (2, 0): 0.01, (3, 0): -0.5, (0, 1): -1e-4, (1, 1): 0.02, (0, 2): -0.015}
TNX_RANGE = (-0.1, 0.1, -0.12, 0.08)


def with_wat(head: fits.Header, surface: int = 3, extra: str = "") -> fits.Header:
    """IRAF's TNX: a surface (1 Chebyshev, 2 Legendre, 3 plain powers), half of the cross terms, in 68-letter pieces."""
    order = [(i, j) for j in range(4) for i in range(4 - j)]
    for axis, (name, sign) in enumerate((("lngcor", 1.0), ("latcor", -1.0)), 1):
        scale = 1.0 if surface == 3 else 1e-2
        numbers = [surface, 4, 4, 2, *TNX_RANGE, *(sign * scale * TNX_TERMS.get(key, 0.0) for key in order)]
        kind = head["CTYPE1"][-3:].lower()
        text = f"wtype={kind} axtype={'ra' if axis == 1 else 'dec'} {extra}{name} = "
        text += '"' + " ".join(f"{n}." if isinstance(n, int) else f"{n:.14f}" for n in numbers) + ' "'
        for piece in range(0, len(text), 68):
            head[f"WAT{axis}_{piece // 68 + 1:03d}"] = text[piece : piece + 68]
    head["WAT0_001"] = "system=image"
    return head


def opened(folder: Path, head: fits.Header) -> Mosaic:
    fits.PrimaryHDU(np.ones((SIDE, SIDE), np.float32), head).writeto(folder / "sky.fits", overwrite=True)
    mosaic = open_mosaic(folder / "sky.fits")
    assert mosaic.wcs is not None, mosaic.notes
    return mosaic


HEADERS = {
    "TAN": lambda centre: header(centre),
    "SIP": lambda centre: with_sip(header(centre, "TAN-SIP")),
    "TPV": lambda centre: with_pv(header(centre, "TPV")),
    "SCAMP": lambda centre: with_pv(header(centre)),
    "TNX": lambda centre: with_wat(header(centre, "TNX")),
    "ZPX": lambda centre: with_wat(header(centre, "ZPX"), extra="projp1=1. projp3=220. "),
    "ZEA": lambda centre: header(centre, "ZEA"),
}


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Mosaic]:
    folder = tmp_path_factory.mktemp("distorted")
    return {
        (kind, number): opened(folder, make(centre))
        for kind, make in HEADERS.items()
        for number, centre in enumerate(CENTRES)
    }


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(HEADERS)),
    number=st.integers(0, len(CENTRES) - 1),
    x=st.floats(-20, SIDE + 20),
    y=st.floats(-20, SIDE + 20),
)
def test_positions_come_back(
    mosaics: dict[tuple[str, int], Mosaic], kind: str, number: int, x: float, y: float
) -> None:
    mosaic = mosaics[kind, number]
    sky = mosaic.world(np.array([[x, y]]))
    assert 0 <= sky[0, 0] < 360
    assert abs(sky[0, 1]) <= 90
    np.testing.assert_allclose(mosaic.pixel(sky), [[x, y]], rtol=0, atol=1e-3)


def by_hand(head: fits.Header, xi: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Right ascension and declination of gnomonic standard coordinates (degrees)."""
    a, d = np.radians(head["CRVAL1"]), np.radians(head["CRVAL2"])
    xi, eta = np.radians(xi), np.radians(eta)
    below = np.cos(d) - eta * np.sin(d)
    ra = a + np.arctan2(xi, below)
    dec = np.arctan((np.sin(d) + eta * np.cos(d)) * np.cos(ra - a) / below)
    return np.column_stack([np.degrees(ra) % 360, np.degrees(dec)])


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, x = (axis.ravel() for axis in np.mgrid[0:SIDE:37, 0:SIDE:37].astype(float))
    head = header(CENTRES[0])
    dx, dy = x + 1 - head["CRPIX1"], y + 1 - head["CRPIX2"]
    return np.column_stack([x, y]), head["CD1_1"] * dx + head["CD1_2"] * dy, head["CD2_1"] * dx + head["CD2_2"] * dy


def assert_same_sky(found: np.ndarray, expected: np.ndarray, pixels: float = 0.01) -> None:
    apart = np.hypot((found[:, 0] - expected[:, 0]) * np.cos(np.radians(expected[:, 1])), found[:, 1] - expected[:, 1])
    assert apart.max() / SCALE < pixels


@pytest.mark.parametrize("surface", [1, 2, 3])
def test_tnx_is_the_surface_of_iraf(tmp_path: Path, surface: int) -> None:
    xy, xi, eta = grid()
    xmin, xmax, ymin, ymax = TNX_RANGE
    if surface == 3:
        u, v, value, scale = xi, eta, np.polynomial.polynomial.polyval2d, 1.0
    else:
        u, v = (2 * xi - xmax - xmin) / (xmax - xmin), (2 * eta - ymax - ymin) / (ymax - ymin)
        value = np.polynomial.chebyshev.chebval2d if surface == 1 else np.polynomial.legendre.legval2d
        scale = 1e-2
    coefficients = np.zeros((4, 4))
    for key, number in TNX_TERMS.items():
        coefficients[key] = number * scale
    correction = value(u, v, coefficients)
    assert np.abs(correction).max() > 2 * SCALE  # pixels, or the test would prove nothing
    head = with_wat(header(CENTRES[0], "TNX"), surface)
    expected = by_hand(head, xi + correction, eta - correction)
    assert_same_sky(opened(tmp_path, head).world(xy), expected)


@pytest.mark.parametrize("kind", ["TPV", "TAN"])
def test_pv_is_the_polynomial_of_scamp(tmp_path: Path, kind: str) -> None:
    head = with_pv(header(CENTRES[0], kind))
    xy, xi, eta = grid()

    def polynomial(axis: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        terms = (1, x, y, np.hypot(x, y), x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3)
        return sum(head.get(f"PV{axis}_{k}", 0.0) * term for k, term in enumerate(terms))

    expected = by_hand(head, polynomial(1, xi, eta), polynomial(2, eta, xi))
    assert_same_sky(opened(tmp_path, head).world(xy), expected)


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("kind", sorted(HEADERS))
def test_a_cube_lies_where_its_planes_do(tmp_path: Path, kind: str, spectral: bool) -> None:
    """Astropy and wcslib take no distortion where there is a third axis: here its bands, or wavelengths."""
    head = HEADERS[kind](CENTRES[0])
    flat = opened(tmp_path, head)
    if spectral:
        head.update(CTYPE3="WAVE", CUNIT3="m", CRVAL3=5e-7, CRPIX3=1.0, CD3_3=1e-9)
    fits.PrimaryHDU(np.ones((3, SIDE, SIDE), np.float32), head).writeto(tmp_path / "cube.fits")
    cube = open_mosaic(tmp_path / "cube.fits")
    assert cube.wcs is not None, cube.notes
    xy = np.random.default_rng(3).uniform(0, SIDE, (50, 2))
    np.testing.assert_allclose(cube.world(xy), flat.world(xy), rtol=0, atol=1e-11)


def test_sip_is_that_of_astropy(tmp_path: Path) -> None:
    head = with_sip(header(CENTRES[1], "TAN-SIP"))
    mosaic, wcs = opened(tmp_path, head), WCS(head)
    xy = np.random.default_rng(1).uniform(0, SIDE, (5000, 2))
    sky = mosaic.world(xy)
    np.testing.assert_allclose(sky, wcs.all_pix2world(xy, 0), rtol=0, atol=1e-10)
    np.testing.assert_allclose(mosaic.pixel(sky), xy, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", sorted(HEADERS))
def test_no_position_of_the_sky_falls_on_the_image_but_its_own(
    mosaics: dict[tuple[str, int], Mosaic], kind: str
) -> None:
    random = np.random.default_rng(3)
    sky = np.column_stack([random.uniform(0, 360, 2000), np.degrees(np.arcsin(random.uniform(-1, 1, 2000)))])
    for number in range(len(CENTRES)):
        mosaic = mosaics[kind, number]
        around = mosaic.world(np.full((1, 2), SIDE / 2)) + random.normal(0, 0.5, (2000, 2))
        around = np.column_stack([around[:, 0] % 360, np.clip(around[:, 1], -90, 90)])
        for positions in (sky, around):
            xy = mosaic.pixel(positions)
            inside = np.all((xy > -0.5) & (xy < SIDE - 0.5), axis=1)
            if inside.any():
                back, given_ = mosaic.world(xy[inside]), positions[inside]
                apart = np.hypot((back[:, 0] - given_[:, 0] + 180) % 360 - 180, 0) * np.cos(np.radians(given_[:, 1]))
                assert np.hypot(apart, back[:, 1] - given_[:, 1]).max() < SCALE


def test_where_a_distortion_cannot_be_undone_there_is_no_position(tmp_path: Path) -> None:
    mosaic = opened(tmp_path, with_sip(header(CENTRES[0], "TAN-SIP")))
    sky = np.array([[150.1, 2.2], [170.0, 30.0], [330.0, -2.0], [np.nan, 0.0]])
    found = mosaic.pixel(sky)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("centre", CENTRES)
def test_a_position_where_the_search_of_the_wcs_comes_to_no_rest_is_found(
    tmp_path: Path, centre: tuple[float, float]
) -> None:
    """Along the line where the radial term of an old SCAMP solution bends, wcslib gives up."""
    head = header(centre, "TPV")
    head.update(CRPIX1=4370.4, CRPIX2=4282.9, CD1_1=-1.83e-6, CD1_2=7.35e-5, CD2_1=7.24e-5, CD2_2=1.9e-7)
    head.update(PV1_0=4.88e-4, PV1_1=1.0165, PV1_2=-0.02498, PV1_3=-0.15767, PV1_4=5.117e-3, PV1_5=-0.04447)
    head.update(PV1_6=-0.13409, PV1_7=-0.09843, PV1_8=-0.02019, PV1_9=-0.20491)
    head.update(PV2_0=8.817e-3, PV2_1=1.05319, PV2_2=6.797e-3, PV2_4=0.07294, PV2_5=-0.0433, PV2_6=-8.18e-3)
    head.update(PV2_7=-0.01386, PV2_8=-0.08504, PV2_9=-0.14064, PV2_23=-0.01028)
    mosaic = opened(tmp_path, head)
    xy = np.random.default_rng(5).uniform(0, SIDE, (40_000, 2))
    np.testing.assert_allclose(mosaic.pixel(mosaic.world(xy)), xy, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "name",
    ["tnx.fits", "zpx.fits", "tpv.fits", "tpv_odd.fits", "tanpv.fits", "sipsample.fits", "pole.fits", "razero.fits"],
)
def test_real_headers_come_back_to_a_thousandth(real_data: Path, name: str) -> None:
    mosaic = open_mosaic(real_data / "robustness" / "wcs" / name)
    ny, nx = mosaic.shape
    xy = np.random.default_rng(1).uniform(0, (nx, ny), (5000, 2))
    np.testing.assert_allclose(mosaic.pixel(mosaic.world(xy)), xy, rtol=0, atol=1e-3)
