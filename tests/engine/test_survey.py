"""The tiles of a survey scanned one after the other, kept in a project, and gone on with."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.catalogue import Project
from engine.detect.scan import scan
from engine.detect.survey import ScannedTile, keep, left_to_scan, scan_one_by_one, survey_scan
from engine.errors import ModelError
from engine.images.mosaic import open_mosaic
from engine.images.tile_files import TileFiles
from engine.models.predict import load_classifier
from engine.types import ScanRequest
from tests.conftest import sky_header
from tests.engine.cli_parts import CommandLine, tiny_model
from tests.engine.survey_parts import SHAPE, assert_same, truncate, write_tiles


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiles(tmp_path: Path) -> list[TileFiles]:
    return write_tiles(tmp_path, 3)


@pytest.fixture
def deeplense(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def scanned(tiles: list[TileFiles], **options: object) -> list[ScannedTile]:
    return [tile for step in scan_one_by_one(tiles, survey_scan(**options)) for tile in step.items]


def test_a_tile_is_scanned_as_a_mosaic_is(tiles: list[TileFiles], model: Path) -> None:
    classifier = load_classifier(model)
    found = scanned(tiles, model=str(model), min_score=0.01)
    assert [tile.files for tile in found] == tiles
    for tile in found:
        request = ScanRequest(open_mosaic(tile.files), min_score=0.01)
        alone = ScannedTile(tile.files, None, tuple(item for step in scan(request, classifier) for item in step.items))
        assert_same([tile], [alone])
        assert len(tile.detections) == 6
        assert tile.mosaic is not None
        assert (tile.mosaic.id, tile.mosaic.planes) == (request.mosaic.id, ())


def test_steps_tell_how_far_it_is(tiles: list[TileFiles], model: Path) -> None:
    truncate(tiles[1])
    steps = list(scan_one_by_one(tiles, survey_scan(model=str(model))))
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, steps[-1].total)
    assert 0 < next(step.done for step in steps if step.done) < steps[-1].total / 3  # within the first tile
    assert [step.done for step in steps if step.items] == [steps[-1].total * part // 3 for part in (1, 2, 3)]
    assert steps[-1].note == "3 of 3 tiles, 12 candidates so far, 1 tiles failed"


def test_what_cannot_be_scanned_stops_nothing(tiles: list[TileFiles], model: Path, tmp_path: Path) -> None:
    truncate(tiles[0])
    nowhere, empty, other = tmp_path / "nowhere.fits", tmp_path / "empty.fits", tmp_path / "other.fits"
    fits.PrimaryHDU(fits.getdata(tiles[1][0])).writeto(nowhere)
    fits.PrimaryHDU(np.full(SHAPE, np.nan, np.float32), sky_header(SHAPE)).writeto(empty)
    other.write_text("no image at all")
    gone = tmp_path / "gone.fits"
    found = scanned([tiles[0], (nowhere,), (empty,), (other,), (gone,), tiles[1]], model=str(model))
    problems = [tile.problem for tile in found]
    expected = ["tile_0.fits", "nowhere.fits has no WCS", "empty.fits holds no data", "other.fits is", "gone.fits does"]
    assert all(part in one for part, one in zip(expected, problems, strict=False)), problems
    assert not any("\n" in one for one in problems)
    assert problems[-1] == ""
    assert len(found[-1].detections) == 6
    assert len(scanned([(nowhere,)], model=str(model), pixel_scale=0.2)[0].detections) == 6


def test_networks_are_loaded_once(tiles: list[TileFiles], model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.models import heatmap, predict

    loaded: list[str] = []
    for module, name in ((predict, "load_classifier"), (heatmap, "load_detector")):
        load = getattr(module, name)
        monkeypatch.setattr(module, name, lambda given, load=load, name=name: (loaded.append(name), load(given))[1])
    found = scanned(tiles, model=str(model), detector="both")
    assert [tile.problem for tile in found] == ["", "", ""]
    assert loaded == ["load_classifier", "load_detector"]


def test_what_does_not_fit_is_said_before_the_work(model: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        survey_scan(model="nothing-like-it")
    with pytest.raises(ModelError, match="no detector 'eyes'"):
        survey_scan(model=str(model), detector="eyes")
    with pytest.raises(ModelError, match="it finds no lenses"):
        survey_scan(model="heatmap")


def test_a_tile_is_kept_whole_or_not_at_all(
    tiles: list[TileFiles], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = survey_scan(model=str(model), pixel_scale=0.2)
    first, second, _ = scanned(tiles, model=str(model), pixel_scale=0.2)
    with Project.temporary() as project:
        changes = keep(project, survey, first)
        assert len(changes.ids) == 6
        assert project.runs()[0].state == "done"
        assert project.setting("open_options") == {project.mosaics()[0].id: {"pixel_scale": 0.2}}

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(project, "finish_run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                keep(project, survey, second)
        assert (len(project.ids()), len(project.runs()), len(project.mosaics())) == (6, 1, 1)
        assert left_to_scan(project, tiles, survey) == tiles[1:]


@pytest.mark.parametrize(
    "change",
    [{"min_score": 0.1}, {"pixel_scale": 0.3}, {"bands": ("i",)}, {"hdu": 0}, {"threshold": 5.0}],
    ids=lambda one: next(iter(one)),
)
def test_a_tile_is_left_out_that_was_scanned_so(tiles: list[TileFiles], model: Path, change: dict[str, object]) -> None:
    survey = survey_scan(model=str(model))
    with Project.temporary() as project:
        for tile in scanned(tiles[:2], model=str(model)):
            keep(project, survey, tile)
        assert left_to_scan(project, tiles, survey) == [tiles[2]]
        assert left_to_scan(project, tiles, survey_scan(model=str(model), **change)) == tiles
        other = tiny_model(model.parent / f"other-{next(iter(change))}")
        assert left_to_scan(project, tiles, survey_scan(model=str(other))) == [tiles[2]]  # the same weights elsewhere
        os.utime(tiles[0][0], ns=(1, 1))
        assert left_to_scan(project, tiles, survey) == [tiles[0], tiles[2]]


def test_the_command_goes_on_where_it_stopped(
    deeplense: CommandLine, tiles: list[TileFiles], model: Path, tmp_path: Path
) -> None:
    whole = tiles[1][0].read_bytes()
    truncate(tiles[1])
    command = ["scan-tiles", tmp_path, "--model", model, "--project", tmp_path / "survey"]
    done = deeplense(*command)
    assert (done.status, done.out) == (2, "2 tiles scanned, 12 candidates\n")
    assert done.err.startswith("deeplense: tile_1.fits")
    assert done.err.count("\n") == 1
    tiles[1][0].write_bytes(whole)
    done = deeplense(*command)
    assert (done.status, done.out, done.err) == (
        0,
        "1 tiles scanned, 6 candidates; 2 were in the project already\n",
        "",
    )
    assert deeplense(*command, "--quiet").out == ""
    with Project.open(tmp_path / "survey.deeplense") as project:
        assert len(project.ids()) == 18
        assert len(project.runs()) == 3
    assert deeplense(*command, "--again").out == "3 tiles scanned, 18 candidates\n"
    with Project.open(tmp_path / "survey.deeplense") as project:
        assert len(project.ids()) == 18
        assert len(project.runs()) == 6


def test_a_tile_of_several_bands(deeplense: CommandLine, band_files: list[Path], model: Path, tmp_path: Path) -> None:
    command = ["scan-tiles", *band_files, "--bands", "g,r,i", "--model", model, "--min-score", 0.01, "--project"]
    assert deeplense(*command, tmp_path / "survey").status == 0
    with Project.open(tmp_path / "survey.deeplense") as project:
        assert [one.bands for one in project.mosaics()] == [("g", "r", "i")]
        assert project.setting("open_options")[project.mosaics()[0].id] == {"bands": ["g", "r", "i"]}


def test_an_interrupt_keeps_what_was_finished(
    deeplense: CommandLine, tiles: list[TileFiles], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.detect import survey

    scan_tile = survey.scan_tile

    def interrupted(files: TileFiles, *more: object) -> object:
        if files == tiles[1]:
            raise KeyboardInterrupt
        return scan_tile(files, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(survey, "scan_tile", interrupted)
    done = deeplense("scan-tiles", tmp_path, "--model", model, "--project", tmp_path / "survey")
    assert (done.status, done.err) == (130, "deeplense: cancelled\n")
    with Project.open(tmp_path / "survey.deeplense") as project:
        assert len(project.ids()) == 6
        assert left_to_scan(project, tiles, survey_scan(model=str(model))) == tiles[1:]
