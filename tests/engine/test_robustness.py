"""Odd but real files: each is read, or refused in one line; none hangs or ends in a traceback."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.spatial import cKDTree

from engine.detect.scan import scan
from engine.detect.sources import detection_image, find_sources
from engine.errors import EngineError, ImageError
from engine.images.cutouts import cut
from engine.images.mosaic import list_images, open_mosaic
from engine.images.pyramid import Pyramid
from engine.images.stamps import read_stamps
from engine.types import Mosaic, ScanRequest
from tests.conftest import real_data_folder
from tests.engine.sky_parts import Brightness

_FOLDER = real_data_folder()
_ODD = sorted(path for path in (_FOLDER / "robustness").rglob("*") if path.is_file()) if _FOLDER else []

# Read by hand: what must open, so that refusing everything does not pass.
READABLE = {
    "scale.fits": (21, 20),
    "comp.fits": (300, 440),
    "m13_gzip.fits": (300, 300),
    "m13_hcomp.fits": (300, 300),
    "m13_plio.fits": (300, 300),
    "m13_rice.fits": (300, 300),
    "test.fits.bz2": (5, 5),
    "test.fits.gz": (5, 5),
    "checksum_false.fits": (40, 30),
    "tpv.fits.gz": (512, 512),
    "tnx.fits": (400, 400),
    "zpx.fits": (512, 512),
    "pole.fits": (256, 256),
    "sip-wcs.fit": (50, 100),
    "dist_lookup.fits.gz": (100, 100),
    "galactic_2d.fits": (43, 43),
    "equatorial_3d.fits": (5, 7),
    "fixed-1890.fits": (100, 100),
}


def _opened(path: Path) -> tuple[Mosaic | None, str]:
    try:
        return open_mosaic(path), ""
    except EngineError as error:
        return None, str(error)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "path",
    _ODD or [None],
    ids=[str(path.relative_to(_FOLDER / "robustness")) for path in _ODD] if _FOLDER else ["none"],
)
def test_an_odd_file_is_read_or_refused_in_one_line(real_data: Path, path: Path) -> None:
    mosaic, refused = _opened(path)
    if mosaic is None:
        assert path.name not in READABLE, refused
        assert "\n" not in refused
        assert path.name in refused
        return
    assert mosaic.shape == READABLE.get(path.name, mosaic.shape)
    ny, nx = mosaic.shape
    pixels = mosaic.read(0, ny, 0, nx)
    assert pixels.shape == (len(mosaic.bands), ny, nx)
    assert not np.isinf(pixels).any()
    centre = np.array([[(nx - 1) / 2, (ny - 1) / 2]])
    sky = mosaic.world(centre)
    if mosaic.wcs is not None:
        assert mosaic.pixel(sky) == pytest.approx(centre, abs=0.05)
        assert 0 <= sky[0, 0] < 360
        assert abs(sky[0, 1]) <= 90
    cut(mosaic, centre, size=16, pixel_scales=(mosaic.pixel_scale or 0.2,))
    Pyramid(mosaic, tile_size=64).tile(0, 0, 0, 0)
    found = find_sources(detection_image(pixels)[0])
    assert (np.isfinite(found["x"]) & np.isfinite(found["flux"])).all()
    assert sum(info.picked for info in list_images(path)) == 1


@pytest.mark.parametrize("name", ["m13_gzip.fits", "m13_hcomp.fits", "m13_plio.fits", "m13_rice.fits"])
def test_compressions_hold_the_same_image(real_data: Path, name: str) -> None:
    folder = real_data / "robustness" / "nom_tam_fits"
    plain, packed = open_mosaic(folder / "m13.fits"), open_mosaic(folder / name)
    region = (100, 200, 50, 250)
    np.testing.assert_array_equal(packed.read(*region), plain.read(*region))


def _open(real_data: Path, stem: str, bands: tuple[str, ...], suffix: str = ".fits") -> Mosaic:
    return open_mosaic([real_data / "fields" / f"{stem}_{band}{suffix}" for band in bands])


@pytest.mark.parametrize(
    ("stem", "files", "bands", "scale", "suffix"),
    [
        ("cfhtls_w3", ("g", "r", "i"), ("g", "r", "i"), 0.186, ".fits"),
        ("kids", ("g", "r", "i"), ("g", "r", "i"), 0.2, ".fits"),
        ("ps1_cloverleaf", ("r", "i", "z"), ("r", "i", "z"), 0.2, ".fits"),
        ("vics82", ("i", "J", "Ks"), ("i", "J", "Ks"), 0.2016, ".fits"),
        ("sdss", ("g", "r", "i"), ("g", "r", "i"), 1.188, ".fits.bz2"),
        ("2mass", ("j", "h", "k"), ("J", "H", "K"), 5.0, ".fits"),
        ("abell370", ("I",), ("I",), 0.2057, ".fits"),
    ],
)
def test_survey_fields_open_as_they_are(
    real_data: Path, stem: str, files: tuple[str, ...], bands: tuple[str, ...], scale: float, suffix: str
) -> None:
    mosaic = _open(real_data, stem, files, suffix)
    assert mosaic.bands == bands
    assert mosaic.pixel_scale == pytest.approx(scale, rel=0.01)
    assert mosaic.wcs is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = fits.getdata(mosaic.paths[-1])
    np.testing.assert_allclose(mosaic.read(0, *mosaic.shape[:1], 0, mosaic.shape[1])[-1], expected, rtol=1e-6)


def _near(mosaic: Mosaic, x: float, y: float, arcsec: float) -> tuple[int, int]:
    """How many candidates a scan finds, and how many within so many arcsec of a position."""
    steps = scan(ScanRequest(mosaic), Brightness())
    xy = np.array([(item.x, item.y) for step in steps for item in step.items])
    assert mosaic.pixel_scale is not None
    return len(xy), len(cKDTree(xy).query_ball_point((x, y), arcsec / mosaic.pixel_scale))


def test_the_lens_of_the_cfhtls_is_a_source(real_data: Path) -> None:
    found, here = _near(_open(real_data, "cfhtls_w3", ("g", "r", "i")), 222.3, 228.2, 0.1)  # the peak of its light
    assert here == 1
    assert 60 < found < 200


def test_the_giant_arc_of_abell_370_is_found_and_its_galaxies_are_not_shredded(real_data: Path) -> None:
    mosaic = _open(real_data, "abell370", ("I",))
    found, here = _near(mosaic, 992, 799, 3.0)
    assert 1 <= here <= 6
    assert 1000 < found < 2500
    assert _near_galaxy(mosaic) <= 8


def _near_galaxy(mosaic: Mosaic) -> int:
    """Sources on the large elliptical at (358, 404), which is 130 pixels across."""
    pixels = mosaic.read(204, 604, 158, 558)
    found = find_sources(detection_image(pixels)[0])
    return int(np.sum(np.hypot(found["x"] - 200, found["y"] - 200) < 65))


def test_rows_without_data_hold_no_sources(real_data: Path) -> None:
    mosaic = _open(real_data, "vics82", ("i", "J", "Ks"))
    pixels = mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])
    assert np.isnan(pixels).any()
    steps = scan(ScanRequest(mosaic), Brightness())
    for item in (item for step in steps for item in step.items):
        assert np.isfinite(pixels[:, round(item.y), round(item.x)]).any()


def test_stamps_and_cubes_of_stamps(real_data: Path) -> None:
    assert [mosaic.pixel_scale for _, mosaic in read_stamps(real_data / "stamps" / "slacs")] == pytest.approx(
        [0.05] * 3
    )
    assert len(read_stamps(real_data / "galaxies" / "des_g.fits", pixel_scale=0.263)) == 23
    (euclid,) = read_stamps(real_data / "stamps" / "euclid")
    assert euclid[1].bands == ("VIS",)
    hubble = [mosaic for _, mosaic in read_stamps(real_data / "stamps" / "hdf5")]
    assert [mosaic.bands for mosaic in hubble] == [("F390W",), ("F814W",)]
    assert [mosaic.pixel_scale for mosaic in hubble] == pytest.approx([0.04, 0.04], rel=1e-3)


def test_pictures_are_no_measurements(real_data: Path) -> None:
    picture = next((real_data / "labelled" / "spacewarps").glob("*.png"))
    with pytest.raises(ImageError, match="already stretched"):
        open_mosaic(picture)
