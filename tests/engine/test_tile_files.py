"""Which files are one tile of a survey."""

from pathlib import Path

import pytest

from engine.errors import ImageError
from engine.images.tile_files import find_tiles


def names(tiles: list[tuple[Path, ...]]) -> list[tuple[str, ...]]:
    return [tuple(file.name for file in tile) for tile in tiles]


def test_each_file_is_a_tile_unless_bands_are_named(tmp_path: Path) -> None:
    for name in ("b_g.fits", "a_g.fits", "a_r.fits.fz", "notes.txt"):
        (tmp_path / name).touch()
    assert names(find_tiles([tmp_path])) == [("a_g.fits",), ("a_r.fits.fz",), ("b_g.fits",)]


@pytest.mark.parametrize(
    "pattern",
    ["tile_{tile}_{band}.fits", "{band}/tile_{tile}.fits", "CFHT_W_{band}_{tile}.fits", "{band}/{tile}-{band}.fits"],
)
def test_files_that_differ_in_the_band_alone_are_one_tile(tmp_path: Path, pattern: str) -> None:
    files = {
        (tile, band): tmp_path / pattern.format(tile=tile, band=band) for tile in ("0123", "0456") for band in "irg"
    }
    for file in files.values():
        file.parent.mkdir(exist_ok=True)
        file.touch()
    expected = [tuple(files[tile, band] for band in "gri") for tile in ("0123", "0456")]
    assert find_tiles(list(files.values()), ("g", "r", "i")) == expected


def test_a_tile_may_lack_a_band_and_a_file_may_name_none(tmp_path: Path) -> None:
    for name in ("a_g.fits", "a_r.fits", "b_g.fits", "cube.fits", "grid_of_r2.fits"):
        (tmp_path / name).touch()
    assert names(find_tiles([tmp_path], ("g", "r"))) == [
        ("a_g.fits", "a_r.fits"),
        ("b_g.fits",),
        ("cube.fits",),
        ("grid_of_r2.fits",),
    ]


def test_a_file_named_twice_is_one_and_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.fits").touch()
    monkeypatch.chdir(tmp_path)
    assert find_tiles([Path("a.fits"), tmp_path, tmp_path / "a.fits"]) == [(tmp_path / "a.fits",)]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.fits does not exist: check the name"):
        find_tiles([tmp_path / "a.fits"])


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no FITS"):
        find_tiles([tmp_path])
