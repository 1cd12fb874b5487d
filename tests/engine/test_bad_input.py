"""Files that are not what they claim: each ends in one clear line that says what to do."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalogue import Project
from engine.detect.scan import scan
from engine.detect.stamps import score_stamps, write_scores
from engine.errors import DataError, EngineError, ImageError, ModelError, ProjectError
from engine.images.mosaic import list_images, open_mosaic
from engine.images.stamps import find_stamps
from engine.models.card import CARD, WEIGHTS, save_card
from engine.models.predict import load_classifier
from engine.types import ScanRequest
from tests.conftest import sky_header
from tests.engine.catalogue_parts import fill
from tests.engine.sky_parts import Brightness, noise
from tests.engine.test_predict import write_model
from tests.engine.test_store import unprivileged


def clear(error: EngineError) -> str:
    """The message, once it was found to be one line that offers a way out."""
    message = str(error)
    assert "\n" not in message
    assert ":" in message or ";" in message  # what is wrong, and what to do
    assert "Traceback" not in message
    assert 20 < len(message) < 300
    return message


def truncated(path: Path) -> None:
    fits.PrimaryHDU(noise((200, 300))).writeto(path)
    os.truncate(path, 100_000)


def header_only(path: Path) -> None:
    fits.PrimaryHDU(noise((200, 300))).writeto(path)
    os.truncate(path, 1000)


def table_only(path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(np.zeros(3, [("ra", "f8"), ("dec", "f8")]))]).writeto(path)


def one_axis(path: Path) -> None:
    fits.PrimaryHDU(np.arange(20.0)).writeto(path)


def truncated_gzip(path: Path) -> None:
    plain, packed = path.with_name("plain.fits"), path.with_name("plain.fits.gz")
    fits.PrimaryHDU(noise((200, 300))).writeto(plain)
    fits.PrimaryHDU(noise((200, 300))).writeto(packed)
    path.write_bytes(packed.read_bytes()[:50_000])
    plain.unlink()
    packed.unlink()


def damaged_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["image"] = noise((200, 300))
    os.truncate(path, 4000)


def without_an_image(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["redshift"] = np.arange(10.0)


def all_nan(path: Path) -> None:
    fits.PrimaryHDU(np.full((600, 300), np.nan, np.float32)).writeto(path)


def all_blank(path: Path) -> None:
    hdu = fits.PrimaryHDU(np.full((60, 30), -1, np.int16))
    hdu.header["BLANK"] = -1
    hdu.writeto(path)


def complex_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones((8, 8), complex))


def unbalanced_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, noise((8, 9)))
    path.write_bytes(path.read_bytes().replace(b"(8, 9)", b"Y8, 9)"))


BAD_IMAGES: list[tuple[Callable[[Path], object], str]] = [
    (truncated, r"is cut short: [\d,]+ of 240,000 bytes are there: get the file again"),
    (header_only, r"get the file again"),
    (table_only, r"holds no image, only headers or tables: choose a file with an image"),
    (one_axis, r"has one axis only \(20 values\)"),
    (lambda path: path.write_text("not an image at all\n" * 300), r"neither FITS nor HDF5 nor \.npy by its content"),
    (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\): get the file again"),
    (lambda path: path.mkdir(), r"is a folder: name the image files in it"),
    (lambda path: None, r"does not exist: check the name"),
    (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), r"is a picture: .*open the FITS file"),
    (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), r"is a ZIP archive: unpack it first"),
    (lambda path: path.write_bytes(b"SIMPLE  =                    T" + b" " * 2850), r"get the file again"),
    (truncated_gzip, r"cannot be unpacked \(.*\): get the file again"),
    (damaged_hdf5, r"is not a readable HDF5 file \(.*\): get the file again"),
    (without_an_image, r"holds no array of two or three axes: choose a file with an image"),
    (all_nan, r"holds no data: every pixel is NaN or blank; choose another image"),
    (all_blank, r"holds no data"),
    (unbalanced_npy, r"is not a readable \.npy array"),
    (complex_array, r"two or three axes of numbers are needed"),
]


@pytest.mark.parametrize(("make", "message"), BAD_IMAGES)
def test_what_is_no_image_is_said_in_one_line(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "image.fits"
    make(path)
    with pytest.raises(ImageError, match=message) as caught:
        open_mosaic(path)
    assert "image.fits" in clear(caught.value)


def test_a_truncated_image_is_listed_with_its_problem(tmp_path: Path) -> None:
    truncated(tmp_path / "image.fits")
    (info,) = list_images(tmp_path / "image.fits")
    assert "cut short" in info.remark
    assert not info.picked


@pytest.mark.skipif(os.name != "posix", reason="files of other systems know other permissions")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    path = folder / "image.fits"
    fits.PrimaryHDU(noise((9, 9))).writeto(path)
    with unprivileged(folder):
        if os.geteuid() == 65534:
            os.seteuid(0)
            path.chmod(0)
            os.seteuid(65534)
        else:
            path.chmod(0)
        with pytest.raises(ImageError, match=r"cannot be read \(Permission denied\): check the permissions") as caught:
            open_mosaic(path)
    clear(caught.value)


def test_damage_inside_compressed_tiles_shows_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "image.fits.fz"
    fits.CompImageHDU(noise((400, 300))).writeto(path)
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4 :] = b"\xff" * (len(content) - len(content) * 3 // 4)
    path.write_bytes(content)
    mosaic = open_mosaic(path)
    with pytest.raises(ImageError, match=r"image\.fits\.fz is damaged: pixels cannot be unpacked") as caught:
        list(scan(ScanRequest(mosaic, tile=128), Brightness()))
    assert "get the file again" in clear(caught.value)


def test_a_file_that_goes_away_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "sky.h5"
    with h5py.File(path, "w") as file:
        file["image"] = noise((400, 300))
    mosaic = open_mosaic(path)
    copy = open_mosaic(shutil.copy(path, tmp_path / "copy.h5"))
    fresh = replace(copy, planes=tuple(_reopened(plane) for plane in copy.planes))
    (tmp_path / "copy.h5").unlink()
    with pytest.raises(ImageError) as caught:
        fresh.read(0, 5, 0, 5)
    assert "copy.h5" in clear(caught.value)
    assert np.isfinite(mosaic.read(0, 5, 0, 5)).all()


def _reopened(plane: object) -> object:
    """The plane as another process gets it: nothing of it is open."""
    import pickle

    return pickle.loads(pickle.dumps(plane))


def test_cubes_do_not_mix_with_band_files(tmp_path: Path) -> None:
    fits.PrimaryHDU(noise((30, 40))).writeto(tmp_path / "g.fits")
    fits.PrimaryHDU(np.stack([noise((30, 40))] * 3)).writeto(tmp_path / "cube.fits")
    with pytest.raises(ImageError, match=r"cube\.fits is a cube of 3 planes: open it by itself") as caught:
        open_mosaic([tmp_path / "g.fits", tmp_path / "cube.fits"])
    clear(caught.value)


def test_deeper_cubes_are_said_to_be_shown_in_part(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.random.default_rng(0).normal(size=(4, 2, 30, 40))).writeto(tmp_path / "deep.fits")
    mosaic = open_mosaic(tmp_path / "deep.fits")
    assert len(mosaic.bands) == 2
    assert any("Only the first of 4 cubes" in note for note in mosaic.notes)


def test_a_sky_that_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    header = sky_header((30, 40))
    header["CD1_1"] = header["CD2_2"] = header["CD1_2"] = header["CD2_1"] = 0.0
    fits.PrimaryHDU(noise((30, 40)), header).writeto(tmp_path / "singular.fits")
    mosaic = open_mosaic(tmp_path / "singular.fits")
    assert mosaic.wcs is None
    assert any("WCS" in note for note in mosaic.notes)
    steps = list(scan(ScanRequest(mosaic), Brightness()))
    assert all(item.ra is None for step in steps for item in step.items)


def test_folders_without_stamps(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ImageError, match="choose a folder with images") as caught:
        find_stamps(tmp_path)
    clear(caught.value)
    with pytest.raises(ImageError, match="check the name") as caught:
        find_stamps(tmp_path / "nowhere")
    clear(caught.value)


def test_a_bad_stamp_does_not_stop_the_others(tmp_path: Path) -> None:
    truncated(tmp_path / "a.fits")
    fits.PrimaryHDU(noise((40, 50))).writeto(tmp_path / "b.fits")
    items = [item for step in score_stamps([tmp_path], classifier=Brightness()) for item in step.items]
    assert isinstance(items[0], ImageError)
    assert [item.file.name for item in items[1:]] == ["b.fits"]


# models ---------------------------------------------------------------------------------------------------------------


def test_weights_of_another_model(tmp_path: Path) -> None:
    write_model(tmp_path / "one")
    write_model(tmp_path / "two", seed=1)
    shutil.copy(tmp_path / "two" / WEIGHTS, tmp_path / "one" / WEIGHTS)
    with pytest.raises(ModelError, match=r"not those of the card \(SHA-256 \w{12} instead of \w{12}\): copy") as caught:
        load_classifier(tmp_path / "one")
    clear(caught.value)


def test_models_without_card_or_weights(tmp_path: Path) -> None:
    card = write_model(tmp_path / "one")
    (tmp_path / "one" / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="is missing: copy the model again") as caught:
        load_classifier(tmp_path / "one")
    clear(caught.value)
    (tmp_path / "one" / CARD).unlink()
    with pytest.raises(ModelError, match="choose the folder of a trained model") as caught:
        load_classifier(tmp_path / "one")
    clear(caught.value)
    save_card(card, tmp_path / "one")
    mosaic_path = tmp_path / "image.fits"
    fits.PrimaryHDU(noise((40, 50))).writeto(mosaic_path)
    with pytest.raises(ModelError):
        list(scan(ScanRequest(open_mosaic(mosaic_path), model=str(tmp_path / "one"))))


# projects and what is written -----------------------------------------------------------------------------------------


def test_a_second_opener_of_a_project(tmp_path: Path) -> None:
    path = tmp_path / "night.deeplense"
    with Project.create(path) as first:
        fill(first, 0.5)
        with pytest.raises(ProjectError, match=r"open for writing in another window.*read-only here") as caught:
            Project.open(path)
        clear(caught.value)
        assert len(first.ids()) == 1


@pytest.mark.skipif(os.name != "posix", reason="folders of other systems know other permissions")
def test_a_read_only_project_folder(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with Project.create(folder / "night.deeplense") as project:
        fill(project, 0.5)
    with unprivileged(folder), pytest.raises(ProjectError, match="cannot be written: open it read-only") as caught:
        Project.open(folder / "night.deeplense")
    clear(caught.value)


def test_a_full_disk_takes_nothing_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "scores.csv"
    write_scores([], path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\): free some space") as caught:
        write_scores([], path)
    clear(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_a_disk_that_fills_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.fits.gz"
    fits.PrimaryHDU(noise((40, 50))).writeto(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.images.unpack.gzip.GzipFile.read", full)
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ImageError, match=r"No space left on device.*free some space") as caught:
        open_mosaic(path)
    assert "get the file again" not in clear(caught.value)  # another copy of it would not help
    assert list((tmp_path / "cache" / "images").iterdir()) == []


# damage at random -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("intact")
    image = noise((40, 60))
    header = sky_header(image.shape)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, header, name="SCI")]).writeto(folder / "plain.fits")
    fits.CompImageHDU((image * 50).astype(np.int32), header, tile_shape=(8, 60)).writeto(folder / "rice.fits")
    fits.CompImageHDU(image, header, compression_type="GZIP_2").writeto(folder / "gzip2.fits")
    fits.PrimaryHDU(image, header).writeto(folder / "packed.fits.gz")
    with h5py.File(folder / "sky.h5", "w") as file:
        file.create_dataset("image", data=image, chunks=(8, 60), compression="gzip")
    np.save(folder / "image.npy", image)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damage_never_ends_in_a_traceback(
    intact: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(intact)))
    content = bytearray(intact[name])
    # Most of what matters stands in the first blocks.
    where = st.one_of(st.integers(0, min(6000, len(content) - 1)), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(where, st.integers(0, 255)), min_size=1, max_size=12)):
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(1, len(content))))])
    message = ""
    try:
        mosaic = open_mosaic(path)
        ny, nx = mosaic.shape
        mosaic.read(0, min(ny, 64), 0, min(nx, 64))
        mosaic.world(np.array([[1.0, 2.0]]))
    except EngineError as error:
        message = str(error)
    assert "\n" not in message
