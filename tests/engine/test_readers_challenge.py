"""The Bologna lens-finding challenge as downloaded: images beside a table, four bands in four folders."""

import math
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from engine.errors import DataError
from engine.train.data import open_training_set
from engine.train.readers.convert import convert
from engine.train.readers.report import inspect
from tests.conftest import sky_header
from tests.engine.test_readers import finish

HEADER = "ID,is_lens,Einstein_area,numb_pix_lensed_image,flux_lensed_image_in_sigma"
AREA = math.pi * (1.5 * math.pi / 648_000) ** 2  # of an Einstein radius of 1.5 arcsec, in steradians
ROWS = (f"100001,1,{AREA},100,400", "100002,0,0.0,0,0", "100003,1,nan,nan,nan", "100004,0,nan,0,0")
BANDS = {"Band1": "R", "Band2": "I", "Band3": "G", "Band4": "U"}


def write(path: Path, value: float, *, scale: float = 0.1, blank: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(int(value)).normal(value, 0.1, (101, 101)).astype(np.float32) * 1e-11
    if blank:
        pixels[:3, :4] = 100
    fits.writeto(path, pixels, sky_header((101, 101), scale))


def space(folder: Path, table: str = "\n".join([HEADER, *ROWS])) -> Path:
    root = folder / "SpaceBasedTraining"
    for number in range(1, 5):
        write(root / f"files/imageEUC_VIS-10000{number}.fits", number)
    (root / "classifications.csv").write_text(table)
    return folder


def ground(folder: Path) -> Path:
    root = folder / "GroundBasedTraining"
    for place, (name, band) in enumerate(BANDS.items(), 1):
        for number in range(1, 5):
            path = root / f"Public/{name}/imageSDSS_{band}-10000{number}.fits"
            write(path, 10 * place + number, scale=0.2, blank=(band, number) == ("U", 2))
    (root / "classifications.csv").write_text("\n".join([HEADER, *ROWS]))
    return folder


def test_stamps_from_space_with_their_table(tmp_path: Path) -> None:
    report = finish(convert(space(tmp_path / "in"), tmp_path / "set.h5"))
    assert (report.layout, report.whole, report.pixel_scale) == ("bologna-space", True, 0.1)
    assert report.counts == {"all lens": 2, "all not": 2}
    assert "steradians" in report.notes[0]
    data = open_training_set([tmp_path / "set.h5"], bands=())
    assert (data.classes, data.bands, data.pixel_scales, data.size) == (("not", "lens"), ("VIS",), (0.1,), 101)
    assert data.label.tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(data.truth["identifier"], [100001, 100002, 100003, 100004])
    np.testing.assert_allclose(data.truth["einstein_radius"], [1.5, 0, np.nan, np.nan])
    np.testing.assert_allclose(data.truth["arc_snr"], [40, 0, np.nan, 0])
    with h5py.File(tmp_path / "set.h5") as file:
        for number in range(4):
            expected = fits.getdata(tmp_path / f"in/SpaceBasedTraining/files/imageEUC_VIS-10000{number + 1}.fits")
            np.testing.assert_array_equal(file["cutouts"][number, 0, 0], expected)
        assert file["truth/einstein_radius"].attrs["unit"] == "arcsec"


def test_stamps_from_the_ground_by_wavelength_and_without_blank_pixels(tmp_path: Path) -> None:
    report = finish(convert(ground(tmp_path / "in"), tmp_path / "set.h5"))
    assert (report.layout, report.pixel_scale, report.pixels_without_data) == ("bologna-ground", 0.2, 12)
    assert report.highest < 1
    data = open_training_set([tmp_path / "set.h5"], bands=("u", "g", "r", "i"))
    assert data.pixel_scales == (0.2,)
    (_, stamps), *_ = data.chunks()
    np.testing.assert_allclose(np.nanmean(stamps[0, 0], (1, 2)) * 1e11, [41, 31, 11, 21], rtol=1e-3)
    assert np.isnan(stamps[1, 0]).sum((1, 2)).tolist() == [12, 0, 0, 0]


def square_arcsec(row: str) -> str:
    return row.replace(str(AREA), str(math.pi * 1.5**2))


@pytest.mark.parametrize(
    "lines",
    [
        ["# ID, is_lens, Einstein_area, numb_pix_lensed_image, flux_lensed_image_in_sigma", *ROWS],
        ["# made for the challenge", "", HEADER.lower(), *ROWS, ""],
        ["\ufeff" + HEADER.replace("numb_pix_lensed_image", "numb_pix_lensed"), *ROWS],
        [HEADER.replace(",", ";"), *(row.replace(",", ";") for row in ROWS)],
        [HEADER.replace(",", " "), *(row.replace(",", "  ") for row in ROWS)],
        [HEADER, *map(square_arcsec, reversed(ROWS))],
        [HEADER + ",remark", *(row.replace("10000", "0010000") + ",text" for row in ROWS)],
        [HEADER, *ROWS, "notes," + "x" * 140_000],
    ],
)
def test_tables_as_people_write_them(lines: list[str], tmp_path: Path) -> None:
    finish(convert(space(tmp_path / "in", "\r\n".join(lines)), tmp_path / "set.h5"))
    data = open_training_set([tmp_path / "set.h5"])
    assert data.label.tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(data.truth["einstein_radius"], [1.5, 0, np.nan, np.nan])
    np.testing.assert_allclose(data.truth["arc_snr"], [40, 0, np.nan, 0])


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    table = [HEADER, *ROWS[:3], "100009,1,0,0,0", "100001,0,0,0,0", "none,1,0,0,0", "100002,2,0,0,0"]
    report = finish(inspect(space(tmp_path / "in", "\n".join(table))))
    assert report.counts == {"all lens": 2, "all not": 1}
    assert report.missing == [
        "image 100004 has no row in the table",
        "row 100009 has no image",
        "SpaceBasedTraining/classifications.csv line 6 gives image 100001 another class than a line before",
        "SpaceBasedTraining/classifications.csv line 7 has no identifier or no class",
        "SpaceBasedTraining/classifications.csv line 8 has no identifier or no class",
    ]
    assert not report.whole


def test_a_missing_or_broken_band_is_named(tmp_path: Path) -> None:
    root = ground(tmp_path / "in") / "GroundBasedTraining/Public"
    (root / "Band3/imageSDSS_G-100001.fits").unlink()
    whole = (root / "Band2/imageSDSS_I-100002.fits").read_bytes()
    (root / "Band2/imageSDSS_I-100002.fits").write_bytes(whole[:9000])
    fits.writeto(root / "Band1/imageSDSS_R-100003.fits", np.ones((50, 60), "f4"), overwrite=True)
    report = finish(inspect(tmp_path / "in"))
    assert report.missing == ["image 100001 has no band g"]
    broken, other = report.unreadable
    assert "imageSDSS_I-100002.fits" in broken
    assert "its bands have the shapes (1, 101, 101)" in other
    assert report.counts == {"all not": 1}


def test_both_surveys_at_once_need_a_choice(tmp_path: Path) -> None:
    ground(space(tmp_path / "in"))
    with pytest.raises(DataError, match="--layout bologna-space or --layout bologna-ground"):
        finish(inspect(tmp_path / "in"))
    report = finish(inspect(tmp_path / "in", layout="bologna-ground"))
    assert (report.files, report.missing) == (4, [])


def test_images_without_a_table_need_folders_that_say_the_class(tmp_path: Path) -> None:
    root = space(tmp_path / "in") / "SpaceBasedTraining"
    (root / "classifications.csv").unlink()
    with pytest.raises(DataError, match="no class for any of them"):
        finish(inspect(tmp_path / "in"))
    for number, kind in enumerate(("lens", "nolens", "lens", "nolens"), 1):
        (tmp_path / "in" / kind).mkdir(exist_ok=True)
        shutil.move(root / f"files/imageEUC_VIS-10000{number}.fits", tmp_path / "in" / kind)
    assert finish(inspect(tmp_path / "in")).counts == {"all lens": 2, "all not": 2}


@pytest.mark.parametrize(("survey", "count", "blank"), [("space_based", 16, 0), ("ground_based", 12, 276)])
def test_stamps_of_the_challenge_itself(survey: str, count: int, blank: int, real_data: Path) -> None:
    report = finish(inspect(real_data / "labelled/bologna" / survey))
    assert (report.files, report.pixels_without_data, report.unreadable, report.copies) == (count, blank, [], 0)
    assert report.counts == {"all lens": count // 2, "all not": count // 2}
    assert report.highest < 1e-8
