"""Opening images: which of a file is taken, and that every pixel comes back in its place and its value."""

import bz2
import gzip
import lzma
import pickle
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ImageError
from engine.images.bands import band_name, file_band, file_bands
from engine.images.mosaic import list_images, open_mosaic
from engine.images.planes import Source
from engine.images.stamps import find_stamps, read_stamps
from engine.types import Mosaic
from tests.conftest import sky_header

NY, NX = 30, 50  # not square, so that a swapped axis shows


def noise(shape: tuple[int, ...] = (NY, NX), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, 10.0, shape).astype(np.float32)


def whole(mosaic: Mosaic) -> np.ndarray:
    return mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])


# values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_pixel_type_of_fits_is_read(tmp_path: Path, dtype: str) -> None:
    image = np.round(noise()).astype(dtype)
    fits.PrimaryHDU(image).writeto(tmp_path / "image.fits")
    pixels = whole(open_mosaic(tmp_path / "image.fits"))
    assert pixels.dtype == np.dtype("=f4")
    assert pixels.shape == (1, NY, NX)
    np.testing.assert_array_equal(pixels[0], image.astype(np.float32))


def test_stored_integers_are_scaled_and_blanks_have_no_data(tmp_path: Path) -> None:
    stored = np.arange(NY * NX, dtype=np.int16).reshape(NY, NX)
    hdu = fits.PrimaryHDU(stored)
    hdu.header.update(BSCALE=0.5, BZERO=100.0, BLANK=7)
    hdu.writeto(tmp_path / "scaled.fits")
    with fits.open(tmp_path / "scaled.fits", do_not_scale_image_data=True) as file:
        assert (file[0].header["BSCALE"], file[0].header["BLANK"], file[0].data[0, 7]) == (0.5, 7, 7)
    pixels = whole(open_mosaic(tmp_path / "scaled.fits"))[0]
    assert np.argwhere(np.isnan(pixels)).tolist() == [[0, 7]]
    assert pixels[0, 8] == 104.0
    assert pixels[1, 0] == 100 + NX / 2


def test_infinities_are_no_data(tmp_path: Path) -> None:
    image = noise()
    image[3, 40], image[4, 41] = np.inf, -np.inf
    fits.PrimaryHDU(image).writeto(tmp_path / "image.fits")
    missing = np.isnan(whole(open_mosaic(tmp_path / "image.fits"))[0])
    assert np.argwhere(missing).tolist() == [[3, 40], [4, 41]]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed_files_are_read(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    image = noise()
    fits.PrimaryHDU(image, sky_header(image.shape)).writeto(tmp_path / "plain.fits")
    packed = tmp_path / f"packed.fits{suffix}"
    packed.write_bytes(pack((tmp_path / "plain.fits").read_bytes()))
    mosaic = open_mosaic(packed)
    np.testing.assert_array_equal(whole(mosaic)[0], image)
    assert mosaic.paths == (packed,)
    assert mosaic.pixel_scale == pytest.approx(0.2)
    assert [path.name for path in tmp_path.iterdir()].count(
        "packed.fits"
    ) == 0  # nothing is left beside the user's file


@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"])
def test_compressed_tiles_are_read(tmp_path: Path, method: str) -> None:
    image = np.round(noise((64, 100))).astype(np.int16)
    tiles = (16, 20) if method == "HCOMPRESS_1" else (1, 100)
    hdu = fits.CompImageHDU(image, sky_header(image.shape), compression_type=method, tile_shape=tiles)
    hdu.writeto(tmp_path / "image.fits.fz")
    mosaic = open_mosaic(tmp_path / "image.fits.fz")
    np.testing.assert_array_equal(whole(mosaic)[0], image)
    assert mosaic.wcs is not None
    assert mosaic.extension == "COMPRESSED_IMAGE"


def test_quantised_floats_are_what_astropy_reads(tmp_path: Path) -> None:
    image = noise()
    image[5, 6:9] = np.nan
    fits.CompImageHDU(image, compression_type="RICE_1", quantize_level=8, quantize_method=1, dither_seed=3).writeto(
        tmp_path / "image.fits.fz"
    )
    pixels = whole(open_mosaic(tmp_path / "image.fits.fz"))[0]
    np.testing.assert_array_equal(pixels, fits.getdata(tmp_path / "image.fits.fz"))
    assert np.isnan(pixels).sum() == 3


# axes and the sky -----------------------------------------------------------------------------------------------------


def test_rows_and_columns_are_not_swapped(tmp_path: Path) -> None:
    image = np.zeros((NY, NX), np.float32)
    image[7, 41] = 5
    fits.PrimaryHDU(image).writeto(tmp_path / "image.fits")
    mosaic = open_mosaic(tmp_path / "image.fits")
    assert mosaic.shape == (NY, NX)
    assert mosaic.read(7, 8, 41, 42).tolist() == [[[5.0]]]
    np.testing.assert_array_equal(mosaic.read(6, 9, 40, 44)[0], image[6:9, 40:44])


@pytest.mark.parametrize("angle", [0.0, 30.0, 200.0])
def test_positions_are_those_of_astropy_and_come_back(tmp_path: Path, angle: float) -> None:
    header = sky_header((NY, NX), 0.2)
    turn = np.deg2rad(angle)
    header.update(PC1_1=np.cos(turn), PC1_2=-np.sin(turn), PC2_1=np.sin(turn), PC2_2=np.cos(turn))
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "sky.fits")
    mosaic = open_mosaic(tmp_path / "sky.fits")
    xy = np.array([[0.0, 0.0], [NX - 1, 0], [0, NY - 1], [41.25, 7.5]])
    expected = WCS(header).all_pix2world(xy, 0)
    np.testing.assert_allclose(mosaic.world(xy), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(mosaic.pixel(mosaic.world(xy)), xy, atol=1e-6)
    assert mosaic.pixel_scale == pytest.approx(0.2, rel=1e-6)


def test_galactic_coordinates_become_icrs(tmp_path: Path) -> None:
    header = sky_header((NY, NX))
    header.update(CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN", CRVAL1=0.0, CRVAL2=0.0)
    for key in ("RADESYS", "LONPOLE", "LATPOLE"):
        header.remove(key, ignore_missing=True)
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "galactic.fits")
    mosaic = open_mosaic(tmp_path / "galactic.fits")
    # The centre of the Galaxy in equatorial coordinates, as every textbook has it.
    assert mosaic.world(np.array([[(NX - 1) / 2, (NY - 1) / 2]]))[0] == pytest.approx([266.405, -28.936], abs=1e-3)


def test_without_a_wcs_the_pixel_scale_is_typed(tmp_path: Path) -> None:
    fits.PrimaryHDU(noise()).writeto(tmp_path / "image.fits")
    silent, told = open_mosaic(tmp_path / "image.fits"), open_mosaic(tmp_path / "image.fits", pixel_scale=0.26)
    assert (silent.wcs, silent.pixel_scale, told.pixel_scale) == (None, None, 0.26)
    assert any("No pixel scale" in note for note in silent.notes)
    assert any("No WCS" in note for note in told.notes)
    assert np.isnan(told.world(np.array([[3.0, 4.0]]))).all()
    with pytest.raises(ImageError, match="give arcsec per pixel"):
        open_mosaic(tmp_path / "image.fits", pixel_scale=-1)


@pytest.mark.parametrize(("pixel_scale", "warned"), [(0.05, False), (0.4, False), (1.19, True), (5.0, True)])
def test_pixels_coarser_than_arcs_are_said(tmp_path: Path, pixel_scale: float, warned: bool) -> None:
    fits.PrimaryHDU(noise(), sky_header((NY, NX), pixel_scale=pixel_scale)).writeto(tmp_path / "image.fits")
    notes = open_mosaic(tmp_path / "image.fits").notes
    assert any("coarser than the arcs of most lenses" in note for note in notes) == warned


def test_a_placeholder_wcs_is_dropped_and_said(tmp_path: Path) -> None:
    header = sky_header((NY, NX), pixel_scale=3600.0)  # a degree a pixel: nobody's survey
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "image.fits")
    mosaic = open_mosaic(tmp_path / "image.fits")
    assert (mosaic.wcs, mosaic.pixel_scale) == (None, None)
    assert any("placeholder" in note for note in mosaic.notes)


# which image of a file ------------------------------------------------------------------------------------------------


def mef(path: Path, *images: tuple[str, tuple[int, int], float]) -> Path:
    hdus = [fits.ImageHDU(np.full(shape, value, np.float32), name=name) for name, shape, value in images]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def test_the_sky_is_picked_not_its_errors(tmp_path: Path) -> None:
    path = mef(tmp_path / "mef.fits", ("RMS", (90, 90), 9.0), ("SCI", (20, 40), 1.0), ("WHT", (20, 40), 3.0))
    mosaic = open_mosaic(path)
    assert (mosaic.shape, mosaic.extension) == ((20, 40), "SCI")
    assert any("HDU 2 SCI, one of 3" in note for note in mosaic.notes)
    assert [info.key for info in list_images(path) if info.picked] == [2]
    assert "error" in next(info.remark for info in list_images(path) if info.name == "RMS")


def test_the_largest_image_is_picked_and_another_can_be_asked_for(tmp_path: Path) -> None:
    path = mef(tmp_path / "mef.fits", ("", (10, 12), 1.0), ("", (NY, NX), 2.0))
    assert open_mosaic(path).shape == (NY, NX)
    asked = open_mosaic(path, hdu=1)
    assert (asked.shape, float(whole(asked)[0, 0, 0])) == ((10, 12), 1.0)
    assert asked.id != open_mosaic(path).id
    assert asked.id == open_mosaic(path, hdu=1).id
    with pytest.raises(ImageError, match="HDU 0 is not an image; images are: 1, 2"):
        open_mosaic(path, hdu=0)


def test_a_primary_without_pixels_is_passed_over(tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(np.zeros((0, 8), np.float32)), fits.ImageHDU(noise())]).writeto(tmp_path / "a.fits")
    assert open_mosaic(tmp_path / "a.fits").shape == (NY, NX)


def test_hdus_are_bands_when_named(tmp_path: Path) -> None:
    path = mef(tmp_path / "mef.fits", ("SCI_R", (8, 9), 2.0), ("SCI_G", (8, 9), 1.0), ("ERR_G", (8, 9), 7.0))
    mosaic = open_mosaic(path, bands=["g", "r"])
    assert mosaic.bands == ("g", "r")
    assert whole(mosaic)[:, 0, 0].tolist() == [1.0, 2.0]


# bands ----------------------------------------------------------------------------------------------------------------


def test_band_files_keep_the_order_they_are_given_in(band_files: list[Path]) -> None:
    g, r, i = band_files
    mosaic = open_mosaic([i, g, r])
    assert mosaic.bands == ("i", "g", "r")
    for plane, path in enumerate((i, g, r)):
        np.testing.assert_array_equal(whole(mosaic)[plane], fits.getdata(path))
    np.testing.assert_array_equal(mosaic.read(5, 9, 2, 4, bands=(2, 0)), whole(mosaic)[[2, 0], 5:9, 2:4])
    assert mosaic.name == "sky_i.fits + 2"


def test_names_given_by_hand_win(band_files: list[Path]) -> None:
    assert open_mosaic(band_files, bands=["B", "V", "Rc"]).bands == ("B", "V", "Rc")
    with pytest.raises(ImageError, match="2 bands are named"):
        open_mosaic(band_files, bands=["B", "V"])
    with pytest.raises(ImageError, match="not distinct"):
        open_mosaic(band_files, bands=["B", "B", "V"])


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (["field_g.fits", "field_r.fits.gz", "field_i.fits.fz"], ("g", "r", "i")),
        (["RXJ1131_F814W_sci.fits", "RXJ1131_F555W_sci.fits"], ("F814W", "F555W")),
        (["imageSDSS_G-100002.fits", "imageSDSS_U-100002.fits"], ("G", "U")),
        (["cfhtls_w3_g.fits", "cfhtls_w3_r.fits"], ("g", "r")),
        (["red.fits", "green.fits"], ("red", "green")),
        (["a1.fits", "a2.fits"], ("1", "2")),
        (["x/a.fits", "y/a.fits"], ("1", "2")),
    ],
)
def test_bands_from_file_names(names: Sequence[str], bands: tuple[str, ...]) -> None:
    assert file_bands([Path(name) for name in names]) == bands


@pytest.mark.parametrize(
    ("text", "name"),
    [("g.MP9401", "g"), ("z DECam SDSS c0004 9260.0 1520.0", "z"), ("HSC_g", "g"), ("F814W", "F814W"), ("CLEAR", "")],
)
def test_bands_from_headers(text: str, name: str) -> None:
    assert band_name(text) == name


def test_a_file_name_without_a_band_has_none() -> None:
    assert file_band(Path("abell370.fits")) == ""


def test_planes_of_a_cube_are_bands(tmp_path: Path) -> None:
    cube = noise((3, NY, NX))
    header = sky_header((NY, NX))
    header["BANDS"] = "grz"
    fits.PrimaryHDU(cube, header).writeto(tmp_path / "cube.fits")
    mosaic = open_mosaic(tmp_path / "cube.fits")
    assert (mosaic.bands, mosaic.shape) == (("g", "r", "z"), (NY, NX))
    np.testing.assert_array_equal(whole(mosaic), cube)
    fits.CompImageHDU(cube, header, quantize_level=0, compression_type="GZIP_1").writeto(tmp_path / "cube.fits.fz")
    np.testing.assert_array_equal(whole(open_mosaic(tmp_path / "cube.fits.fz")), cube)
    fits.PrimaryHDU(cube).writeto(tmp_path / "nameless.fits")
    assert open_mosaic(tmp_path / "nameless.fits").bands == ("1", "2", "3")
    assert open_mosaic(tmp_path / "nameless.fits", bands=["g", "r", "i"]).bands == ("g", "r", "i")


def test_a_cube_of_many_planes_may_be_a_set_of_stamps(tmp_path: Path) -> None:
    for count, said in ((5, False), (23, True)):
        fits.PrimaryHDU(noise((count, NY, NX))).writeto(tmp_path / f"{count}.fits")
        mosaic = open_mosaic(tmp_path / f"{count}.fits")
        assert len(mosaic.bands) == count
        assert any("if they are stamps, score them" in note for note in mosaic.notes) == said


def test_axes_of_length_one_do_not_count(tmp_path: Path) -> None:
    image = noise()
    fits.PrimaryHDU(image[None, None]).writeto(tmp_path / "radio.fits")
    mosaic = open_mosaic(tmp_path / "radio.fits")
    assert len(mosaic.bands) == 1
    np.testing.assert_array_equal(whole(mosaic)[0], image)


def test_bands_on_different_grids_need_a_wcs_and_an_overlap(tmp_path: Path) -> None:
    header = sky_header((NY, NX))
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "g.fits")
    fits.PrimaryHDU(noise((NY, NX + 1))).writeto(tmp_path / "wide.fits")
    with pytest.raises(ImageError, match=r"wide\.fits is 51 x 30 pixels, g\.fits 50 x 30, and wide\.fits has no WCS"):
        open_mosaic([tmp_path / "g.fits", tmp_path / "wide.fits"])
    header["CRPIX1"] += 3 * NX
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "far.fits")
    with pytest.raises(ImageError, match=r"far\.fits does not overlap g\.fits on the sky: open them one by one"):
        open_mosaic([tmp_path / "g.fits", tmp_path / "far.fits"])


def test_bands_a_little_apart_share_a_grid(tmp_path: Path) -> None:
    header = sky_header((NY, NX))
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "sky_g.fits")
    header["CRPIX1"] += 0.2
    fits.PrimaryHDU(noise(), header).writeto(tmp_path / "sky_r.fits")
    assert open_mosaic([tmp_path / "sky_g.fits", tmp_path / "sky_r.fits"]).bands == ("g", "r")


def test_a_band_without_data_is_named(tmp_path: Path) -> None:
    cube = noise((2, NY, NX))
    cube[1] = np.nan
    fits.PrimaryHDU(cube).writeto(tmp_path / "cube.fits")
    assert any(note.startswith("Band 2 holds no data") for note in open_mosaic(tmp_path / "cube.fits").notes)


# HDF5 and .npy --------------------------------------------------------------------------------------------------------


def test_hdf5_images_and_cubes_are_picked_or_named(tmp_path: Path) -> None:
    image, cube = noise(), noise((3, 20, 40), seed=1)
    with h5py.File(tmp_path / "sky.h5", "w") as file:
        file["image_data"] = image
        file["deep/cube"] = cube.astype(">f8")
        file["noise_map"] = noise((80, 90))
        file["exposure_time"] = 540.0
        file["deep/cube"].attrs["bands"] = ["g", "r", "i"]
    mosaic = open_mosaic(tmp_path / "sky.h5")
    np.testing.assert_array_equal(whole(mosaic)[0], image)
    assert mosaic.extension == "image_data"
    named = open_mosaic(tmp_path / "sky.h5", dataset="/deep/cube")
    assert named.bands == ("g", "r", "i")
    np.testing.assert_array_equal(whole(named), cube)
    assert [info.key for info in list_images(tmp_path / "sky.h5") if info.picked] == ["image_data"]
    with pytest.raises(ImageError, match=r"'deep' is not an image.*images are: .*deep/cube"):
        open_mosaic(tmp_path / "sky.h5", dataset="deep")


@pytest.mark.parametrize("how", ["keywords", "header"])
def test_hdf5_attributes_hold_a_wcs(tmp_path: Path, how: str) -> None:
    header = sky_header((NY, NX), 0.3)
    with h5py.File(tmp_path / "sky.h5", "w") as file:
        file["image"] = noise()
        if how == "header":
            file["image"].attrs["header"] = header.tostring(sep="\n")
        else:
            for card in header.cards:
                file["image"].attrs[card.keyword] = card.value
    mosaic = open_mosaic(tmp_path / "sky.h5")
    xy = np.array([[41.0, 7.0]])
    np.testing.assert_allclose(mosaic.world(xy), WCS(header).all_pix2world(xy, 0), atol=1e-10)
    assert mosaic.pixel_scale == pytest.approx(0.3)


def test_hdf5_attributes_hold_a_pixel_scale(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sky.h5", "w") as file:
        file["image"] = noise()
        file.attrs["pixel_scale"] = 0.08
    assert open_mosaic(tmp_path / "sky.h5").pixel_scale == pytest.approx(0.08)


def test_npy_arrays_are_images_and_cubes(tmp_path: Path) -> None:
    cube = noise((2, NY, NX)).astype(">f8")
    np.save(tmp_path / "cube.npy", cube)
    np.testing.assert_array_equal(whole(open_mosaic(tmp_path / "cube.npy")), cube.astype(np.float32))
    np.save(tmp_path / "image.npy", cube[0])
    np.testing.assert_array_equal(whole(open_mosaic(tmp_path / "image.npy"))[0], cube[0].astype(np.float32))


def test_npy_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "trap.npy", np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(ImageError, match="without pickled objects"):
        open_mosaic(tmp_path / "trap.npy")
    assert not (tmp_path / "sprung").exists()


# regions --------------------------------------------------------------------------------------------------------------

KINDS = (
    "plain",
    "scaled",
    "compressed",
    "rows",
    "floats",
    "hdf5",
    "chunks",
    "pieces",
    "lzf",
    "whole",
    "cube",
    "npy",
    "gz",
)


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Mosaic, np.ndarray]]:
    folder = tmp_path_factory.mktemp("kinds")
    cube = noise((2, 37, 53), seed=4)
    cube[:, 10:14, 20:30] = np.nan
    counts = np.random.default_rng(1).integers(-300, 300, (37, 53)).astype(np.int16)
    fits.PrimaryHDU(cube[0]).writeto(folder / "plain.fits")
    scaled = fits.PrimaryHDU(counts)
    scaled.header.update(BSCALE=2.0, BZERO=5.0)
    scaled.writeto(folder / "scaled.fits")
    fits.CompImageHDU(counts, tile_shape=(8, 16)).writeto(folder / "compressed.fits")
    fits.CompImageHDU(counts, tile_shape=(1, 53)).writeto(folder / "rows.fits")
    fits.CompImageHDU(cube[0], tile_shape=(8, 16), dither_seed=3).writeto(folder / "floats.fits")
    hdf5: dict[str, dict[str, Any]] = {
        "hdf5": {"chunks": (1, 8, 16), "compression": "gzip"},
        "chunks": {"chunks": (1, 8, 16)},
        "pieces": {"chunks": (2, 37, 5), "compression": "gzip", "shuffle": True},
        "lzf": {"chunks": (1, 8, 16), "compression": "lzf"},
        "whole": {},
    }
    for name, storage in hdf5.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("image", data=cube, **storage)
    fits.PrimaryHDU(cube).writeto(folder / "cube.fits")
    np.save(folder / "npy.npy", cube)
    (folder / "gz.fits").write_bytes(gzip.compress((folder / "cube.fits").read_bytes()))
    expected = {"plain": cube[:1], "scaled": 2.0 * counts[None] + 5, "compressed": counts[None], "rows": counts[None]}
    expected["floats"] = fits.getdata(folder / "floats.fits", 1)[None]
    files = {path.stem: path for path in folder.iterdir()}
    return {kind: (open_mosaic(files[kind]), expected.get(kind, cube).astype(np.float32)) for kind in KINDS}


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    y=st.tuples(st.integers(-9, 45), st.integers(0, 50)),
    x=st.tuples(st.integers(-9, 60), st.integers(0, 70)),
    step=st.integers(1, 12),
)
def test_a_region_is_that_part_of_the_whole(
    mosaics: dict[str, tuple[Mosaic, np.ndarray]], kind: str, y: tuple[int, int], x: tuple[int, int], step: int
) -> None:
    mosaic, pixels = mosaics[kind]
    border = 130  # so wide that every region lies within
    padded = np.pad(pixels, ((0, 0), (border, border), (border, border)), constant_values=np.nan)
    y0, y1, x0, x1 = y[0], y[0] + y[1], x[0], x[0] + x[1]
    expected = padded[:, border + y0 : border + y1 : step, border + x0 : border + x1 : step]
    found = mosaic.read(y0, y1, x0, x1, step=step)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_planes_travel_to_another_process(mosaics: dict[str, tuple[Mosaic, np.ndarray]], kind: str) -> None:
    mosaic, pixels = mosaics[kind]
    mosaic.planes[0].read(0, 2, 0, 2)  # what is open by now stays behind
    copy = pickle.loads(pickle.dumps(mosaic.planes[0]))
    np.testing.assert_array_equal(copy.read(3, 30, 5, 50), pixels[0, 3:30, 5:50])


def test_tiles_wider_than_a_region_are_unpacked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image = np.round(noise((200, 400))).astype(np.int16)  # higher than what opening looks at
    # A compression that is left to astropy.
    fits.CompImageHDU(image, tile_shape=(1, 400), compression_type="PLIO_1").writeto(tmp_path / "rows.fits")
    (plane,) = open_mosaic(tmp_path / "rows.fits").planes
    unpacked: list[tuple[slice, ...]] = []
    read = Source.read

    def counted(source: Source, index: tuple[slice, ...]) -> np.ndarray:
        unpacked.append(index)
        return read(source, index)

    monkeypatch.setattr(Source, "read", counted)
    for x0 in range(0, 400, 50):
        region = plane.read(5, 30, x0, x0 + 50)
        np.testing.assert_array_equal(region, image[5:30, x0 : x0 + 50])
        region[:] = -1  # it is the caller's own
    assert unpacked == [(slice(5, 30), slice(0, 400))]
    np.testing.assert_array_equal(plane.read(2, 30, 0, 9), image[2:30, :9])
    assert len(unpacked) == 2
    monkeypatch.setattr("engine.images.planes._STRIP_BYTES", 1000)  # too wide to be kept
    np.testing.assert_array_equal(plane.read(0, 30, 7, 9), image[:30, 7:9])
    assert unpacked[-1] == (slice(0, 30), slice(7, 9))


def test_opening_a_large_mosaic_reads_next_to_nothing(tmp_path: Path) -> None:
    path, side = tmp_path / "large.fits", 16_000
    header = fits.Header({"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": side, "NAXIS2": side})
    with path.open("wb") as file:
        file.write(header.tostring().encode())
        file.truncate(file.tell() + 4 * side * side + -(4 * side * side) % 2880)  # a gigabyte that takes no disk
    tracemalloc.start()
    try:
        mosaic = open_mosaic(path)
        assert mosaic.read(9000, 9010, 15_000, 15_010).shape == (1, 10, 10)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


# stamps ---------------------------------------------------------------------------------------------------------------


def test_a_folder_of_stamps_is_read_in_order(tmp_path: Path) -> None:
    for name, value in (("b.fits", 2.0), ("a.fits", 1.0)):
        fits.PrimaryHDU(np.full((5, 6), value, np.float32)).writeto(tmp_path / name)
    np.save(tmp_path / "c.npy", np.stack([np.full((5, 6), 3.0), np.full((5, 6), 4.0)]))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.fits").write_text("nor this")
    assert [path.name for path in find_stamps(tmp_path)] == ["a.fits", "b.fits", "c.npy"]
    stamps = read_stamps(tmp_path)
    assert [(index, len(mosaic.bands)) for index, mosaic in stamps] == [(0, 1), (0, 1), (0, 1), (1, 1)]
    assert [float(whole(mosaic)[0, 0, 0]) for _, mosaic in stamps] == [1.0, 2.0, 3.0, 4.0]
    assert len({mosaic.id for _, mosaic in stamps}) == 4
