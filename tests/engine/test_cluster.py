"""The tiles of a survey scanned by the workers of a Dask cluster: real processes, started once for all tests here."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster

import engine
from engine import cluster
from engine.catalogue import Project
from engine.detect.survey import ScannedTile, SurveyScan, keep, left_to_scan, scan_one_by_one, survey_scan
from engine.errors import ClusterError
from engine.images.tile_files import TileFiles
from engine.types import Step
from tests.engine import survey_parts
from tests.engine.cli_parts import CommandLine, tiny_model
from tests.engine.survey_parts import assert_same, truncate, write_tiles
from tests.engine.test_predict import write_model

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCluster]:
    """Two workers; Dask gives a task up, and all that waited behind it, when a worker died of it."""
    options = {
        "dashboard_address": "127.0.0.1:0",
        "memory_limit": 0,
        "silence_logs": logging.CRITICAL,
        "host": "127.0.0.1",
    }
    started = LocalCluster(n_workers=2, threads_per_worker=1, scheduler_kwargs={"allowed_failures": 0}, **options)
    with started, dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}):
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def survey(folder: Path) -> SurveyScan:
    return survey_scan(model=str(folder))


# Tests that kill workers come after those that need networks, which new workers load anew.


@pytest.fixture
def tiles(tmp_path: Path) -> list[TileFiles]:
    return write_tiles(tmp_path, 4)


@pytest.fixture
def scan(local: LocalCluster, survey: SurveyScan) -> Callable[[list[TileFiles]], list[ScannedTile]]:
    def scanned(tiles: list[TileFiles]) -> list[ScannedTile]:
        job = cluster.scan_tiles(tiles, survey, address=local.scheduler_address)
        return [tile for step in job for tile in step.items]

    return scanned


def in_place_of_scanning(monkeypatch: pytest.MonkeyPatch, task: Callable[..., object]) -> None:
    """Let the workers do something else with a tile; they import it from survey_parts."""
    monkeypatch.setattr(cluster, "_scan_here", task)


def wait_for(path: Path) -> bool:
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return path.exists()


def named(folder: Path, *names: str) -> list[TileFiles]:
    """Tiles of no content, for workers that do not look at it."""
    for name in names:
        (folder / name).touch()
    return [(folder / name,) for name in names]


# what is found --------------------------------------------------------------------------------------------------------


def test_the_same_is_found_as_one_after_the_other_and_a_bad_tile_stops_nothing(
    local: LocalCluster, survey: SurveyScan, tiles: list[TileFiles]
) -> None:
    truncate(tiles[2])
    steps, tasks = [], []
    for step in cluster.scan_tiles(tiles, survey, address=local.scheduler_address):
        steps.append(step)
        tasks.append(len(local.scheduler.tasks))
    found = [tile for step in steps for tile in step.items]
    alone = [tile for step in scan_one_by_one(tiles, survey) for tile in step.items]
    assert_same(found, alone)
    assert sum(len(tile.detections) for tile in found) == 18
    assert {tile.problem for tile in found} == {tile.problem for tile in alone}
    with Project.temporary() as project, Project.temporary() as other:
        for tile in found:
            if not tile.problem:
                keep(project, survey, tile)
        for tile in alone:
            if not tile.problem:
                keep(other, survey, tile)
        mosaics = {mosaic.id: mosaic for mosaic in project.mosaics()}
        assert mosaics == {mosaic.id: mosaic for mosaic in other.mosaics()}
        assert left_to_scan(project, tiles, survey) == [tiles[2]]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].done, steps[-1].done) == (0, steps[-1].total)
    assert steps[-1].note == "4 of 4 tiles, 18 candidates so far, 1 tiles failed"
    assert max(tasks) <= 3  # two under way and one that is just done


def test_an_unforeseen_error_is_that_of_its_tile(
    scan: Callable[..., list[ScannedTile]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place_of_scanning(monkeypatch, survey_parts.fail)
    found = scan(named(tmp_path, "a.fits", "b.fits"))
    expected = {f"{name}: ZeroDivisionError: division by zero" for name in ("a.fits", "b.fits")}
    assert {tile.problem for tile in found} == expected


def test_a_tile_that_is_gone_meanwhile_is_named(
    scan: Callable[..., list[ScannedTile]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place_of_scanning(monkeypatch, survey_parts.scan_or_die)
    [gone, there] = scan([(tmp_path / "gone.fits",), *named(tmp_path, "there.fits")])
    assert gone.problem == f"{tmp_path / 'gone.fits'} does not exist any more"
    assert there.problem == ""


def test_a_stopped_scan_goes_on_with_what_is_left(
    local: LocalCluster, survey: SurveyScan, tiles: list[TileFiles], scan: Callable[..., list[ScannedTile]]
) -> None:
    with Project.temporary() as project:
        with closing(cluster.scan_tiles(tiles, survey, address=local.scheduler_address)) as job:
            first = next(tile for step in job for tile in step.items)
            keep(project, survey, first)
        left = left_to_scan(project, tiles, survey)
        assert left == [files for files in tiles if files != first.files]
        for tile in scan(left):
            keep(project, survey, tile)
        assert left_to_scan(project, tiles, survey) == []
        assert len(project.ids()) == 24


# workers that do not fit ----------------------------------------------------------------------------------------------


def test_another_version_is_refused(
    scan: Callable[..., list[ScannedTile]], tiles: list[TileFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "__version__", "99.1", raising=False)
    with pytest.raises(ClusterError, match=r"the worker tcp://.* has DeepLense .*, this is 99\.1: install the same"):
        scan(tiles)


def test_another_model_is_refused(local: LocalCluster, tiles: list[TileFiles], tmp_path: Path) -> None:
    mine = write_model(tmp_path / "model")
    survey = survey_scan(model=str(tmp_path / "model"))
    theirs = write_model(tmp_path / "model", seed=1)
    with pytest.raises(ClusterError, match=f"has the model {theirs.key}, not {mine.key}: copy the folder"):
        list(cluster.scan_tiles(tiles, survey, address=local.scheduler_address))
    nowhere = replace(survey, model=str(tmp_path / "nothing"))
    with pytest.raises(ClusterError, match=r"the worker .* cannot load the model: there is no model"):
        list(cluster.scan_tiles(tiles, nowhere, address=local.scheduler_address))


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="no path that processes see differently")
def test_files_that_workers_do_not_see_are_told(
    scan: Callable[..., list[ScannedTile]], tiles: list[TileFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiles[0][0].parent)
    with pytest.raises(ClusterError, match=r"does not see /proc/self/cwd/tile_0\.fits: mount the folder there"):
        scan([(Path("/proc/self/cwd/tile_0.fits"),)])


def test_a_worker_without_the_program_is_told(
    scan: Callable[..., list[ScannedTile]], tiles: list[TileFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place_of_scanning(monkeypatch, survey_parts.look_for_a_package)
    with pytest.raises(ClusterError, match=r"a worker lacks engine\.nothing_like_it: install the same DeepLense"):
        scan(tiles)


# workers that die, cancel ---------------------------------------------------------------------------------------------


@posix
def test_a_worker_that_dies_has_its_tile_done_by_another_and_a_deadly_tile_is_named(
    scan: Callable[..., list[ScannedTile]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place_of_scanning(monkeypatch, survey_parts.scan_or_die)
    tiles = named(tmp_path, "a.fits", "once.fits", "deadly.fits", "b.fits", "c.fits")
    problems = {tile.files[0].stem: tile.problem for tile in scan(tiles)}
    assert (tmp_path / "once.died").exists()
    assert problems.pop("deadly").startswith("deadly.fits: each worker that scanned it died")
    assert problems == {"a": "", "once": "", "b": "", "c": ""}


def test_cancelling_gives_up_what_is_under_way(
    local: LocalCluster,
    survey: SurveyScan,
    scan: Callable[..., list[ScannedTile]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiles = named(tmp_path, "a.fits", "b.fits", "c.fits")
    with (
        monkeypatch.context() as patch,
        closing(cluster.scan_tiles(tiles, survey, address=local.scheduler_address)) as job,
    ):
        in_place_of_scanning(patch, survey_parts.scan_endlessly)
        began = time.monotonic()
        notes = []
        while not all((tmp_path / f"{name}.begun").exists() for name in "ab"):
            assert time.monotonic() < began + 60
            notes.append(next(job).note)
        assert set(notes[1:]) == {"0 of 3 tiles, 0 candidates so far"}
    assert wait_for(tmp_path / "a.ended")
    assert wait_for(tmp_path / "b.ended")
    assert not (tmp_path / "c.begun").exists()
    in_place_of_scanning(monkeypatch, survey_parts.scan_or_die)
    assert len(scan(tiles)) == 3  # the workers are free again


# the command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def deeplense(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_the_command_scans_on_processes_of_its_own(
    deeplense: CommandLine,
    tiles: list[TileFiles],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_place_of_scanning(monkeypatch, survey_parts.open_only)
    truncate(tiles[3])
    command = ["scan-tiles", tmp_path, "--model", folder, "--project", tmp_path / "survey", "--workers", 1]
    done = deeplense(*command)
    assert (done.status, done.out) == (2, "3 tiles scanned, 3 candidates\n")
    assert done.err.startswith("deeplense: tile_3.fits")
    assert done.err.count("\n") == 1
    with Project.open(tmp_path / "survey.deeplense") as project:
        assert [run.state for run in project.runs()] == ["done"] * 3
        assert [mosaic.paths for mosaic in project.mosaics()] == tiles[:3]
        assert len(project.ids()) == 3


def test_without_dask_it_says_what_to_install(
    deeplense: CommandLine, tiles: list[TileFiles], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = deeplense("scan-tiles", tmp_path, "--model", folder, "--project", tmp_path / "survey", "--workers", 2)
    assert (done.status, done.err) == (2, 'deeplense: Dask is not installed: pip install "deeplense-gui[cluster]"\n')


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://127.0.0.1:9", "nonsense"])
def test_a_scheduler_that_does_not_answer_is_told(
    deeplense: CommandLine,
    tiles: list[TileFiles],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    monkeypatch.setattr(cluster, "_ANSWER_SECONDS", 0.3)
    done = deeplense("scan-tiles", tmp_path, "--model", folder, "--project", tmp_path / "a", "--cluster", address)
    assert done.status == 2
    assert done.err == (
        f"deeplense: no Dask scheduler answers at {address}: start one with dask scheduler, and check the address\n"
    )


def test_workers_of_a_cluster_are_not_ours_to_count(
    deeplense: CommandLine, tiles: list[TileFiles], tmp_path: Path
) -> None:
    command = ["scan-tiles", tmp_path, "--project", tmp_path / "a", "--cluster", "tcp://there:8786", "--workers", 2]
    refused = deeplense(*command)
    assert refused.status == 2
    assert "give --workers or --cluster, not both" in refused.err
    assert not (tmp_path / "a.deeplense").exists()


def test_waiting_for_workers_and_a_scheduler_that_goes(survey: SurveyScan, tiles: list[TileFiles]) -> None:
    options = {
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
        "host": "127.0.0.1",
        "processes": False,
    }
    with LocalCluster(n_workers=0, protocol="tcp", **options) as empty:
        job: Iterator[Step] = cluster.scan_tiles(tiles, survey, address=empty.scheduler_address)
        notes = [next(job).note for _ in range(3)]
        assert notes[-1] == f"No worker yet: start some with dask worker {empty.scheduler_address}"
    with pytest.raises(ClusterError, match="the Dask scheduler is gone"):
        list(job)
