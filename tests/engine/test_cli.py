"""The command line as scripts use it: exit statuses, what is printed, what is written."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet
import pytest
import typer
from astropy.io import fits
from astropy.table import Table
from scipy.spatial import cKDTree

from engine.catalogue import Project
from engine.cli import program as cli
from engine.cli import sky
from engine.errors import EngineError
from engine.images.mosaic import open_mosaic
from engine.models.card import load_card
from engine.types import Step
from tests.engine.catalogue_parts import detection
from tests.engine.cli_parts import CommandLine, tiny_model
from tests.engine.test_store import unprivileged
from tests.engine.test_train import write_set

COLUMNS = ["id", "name", "ra", "dec", "x", "y", "score", "raw_score", "model", "grade", "grader", "note"]
COMMANDS = [name for names in cli.SECTIONS.values() for name in names]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def deeplense(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def small(tmp_path: Path, synthetic_sky: tuple[np.ndarray, np.ndarray]) -> Path:
    """A corner of the synthetic sky without a WCS: few sources, quickly scanned."""
    path = tmp_path / "small.fits"
    fits.PrimaryHDU(synthetic_sky[0][:130, :180]).writeto(path)
    return path


def read(path: Path) -> Table:
    if path.suffix == ".parquet":
        return Table(pyarrow.parquet.read_table(path).to_pydict())
    return Table.read(path, format={".csv": "ascii.csv", ".vot": "votable"}.get(path.suffix))


def one_line(text: str) -> bool:
    return text.startswith("deeplense: ") and text.count("\n") == 1 and "Traceback" not in text


# help -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["scan", "--help"], ["models"], ["--version"]])
def test_help_loads_neither_torch_nor_astropy(arguments: list[str]) -> None:
    code = f"""if True:
        import sys
        from engine.cli import main
        try:
            main({arguments!r})
        except SystemExit:
            pass
        print(sorted({{"torch", "astropy", "sqlalchemy", "lenstronomy", "PySide6"}} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_names_every_command(deeplense: CommandLine) -> None:
    assert sorted(COMMANDS) == sorted(typer.main.get_command(cli.app).commands)
    for arguments in ([], ["--help"], ["-h"]):
        shown = deeplense(*arguments)
        assert shown.status == 0
        assert all(f" {command} " in shown.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(deeplense: CommandLine, command: str) -> None:
    shown = deeplense(command, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert "Usage:" in shown.out


@pytest.mark.parametrize(("arguments", "asked"), [(["scan"], "deeplense scan --help"), (["scann"], "deeplense --help")])
def test_a_wrong_command_line_tells_whose_help_to_read(
    deeplense: CommandLine, arguments: list[str], asked: str
) -> None:
    refused = deeplense(*arguments)
    assert refused.status == 2
    assert one_line(refused.err)
    assert asked.removeprefix("deeplense") in refused.err


@pytest.mark.parametrize("command", ["calibrate", "blind", "fine-tune"])
def test_a_seed_below_zero_is_refused(deeplense: CommandLine, command: str) -> None:
    refused = deeplense(command, "any.deeplense", "--seed", "-1")
    assert refused.status == 2
    assert "'--seed'" in refused.err


def test_the_version_is_that_of_the_package(deeplense: CommandLine) -> None:
    import engine

    assert deeplense("--version").out == f"{engine.__version__}\n"


# scan -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".fits", ".vot", ".parquet"])
def test_a_scan_writes_the_candidates_best_first(
    deeplense: CommandLine, small: Path, model: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"lenses{suffix}"
    done = deeplense("scan", small, "--model", model, "--pixel-scale", 0.2, "--out", out)
    assert (done.status, done.out, done.err) == (0, "", "")
    table = read(out)
    assert table.colnames[: len(COLUMNS)] == COLUMNS
    assert len(table) >= 6
    scores = np.asarray(table["score"])
    assert (scores[:-1] >= scores[1:]).all()
    assert set(table["model"]) in ({load_card(model).key}, {load_card(model).key.encode()})
    assert not any(str(entry).strip("-") for name in ("grade", "grader", "note") for entry in table[name])


def test_a_scan_makes_a_project_and_goes_on_in_it(
    deeplense: CommandLine, small: Path, model: Path, tmp_path: Path
) -> None:
    command = ["scan", small, "--model", model, "--pixel-scale", 0.2, "--project", tmp_path / "survey"]
    assert deeplense(*command).status == 0
    place = tmp_path / "survey.deeplense"
    with Project.open(place) as project:
        found = project.ids()
        project.grade(found[:1], "A", grader="ada")
        assert len(found) >= 6
    assert deeplense(*command, "--out", tmp_path / "again.csv").status == 0
    with Project.open(place) as project:
        np.testing.assert_array_equal(project.ids(), found)
        assert [run.state for run in project.runs()] == ["done", "done"]
        assert project.counts()["A"] == 1
    assert len(read(tmp_path / "again.csv")) == len(found)
    stamps = deeplense("stamps", place, "--out", tmp_path / "stamps", "--grades", "A")  # opened with that pixel scale
    assert (stamps.status, len(list((tmp_path / "stamps").glob("*.fits")))) == (0, 1)


def test_a_scan_that_would_keep_nothing_is_refused(deeplense: CommandLine, small: Path, tmp_path: Path) -> None:
    refused = deeplense("scan", small)
    assert refused.status == 2
    assert one_line(refused.err)
    assert "--project" in refused.err
    project = tmp_path / "new.deeplense"
    assert deeplense("scan", tmp_path / "nothing.fits", "--project", project).status == 2
    assert not project.exists()


def test_positions_without_a_wcs_are_empty(
    deeplense: CommandLine, small: Path, model: Path, tmp_path: Path, synthetic_sky: tuple[np.ndarray, np.ndarray]
) -> None:
    out = tmp_path / "lenses.csv"
    assert deeplense("scan", small, "--model", model, "--pixel-scale", 0.2, "--out", out).status == 0
    header, *lines = out.read_text().splitlines()
    place = {name: index for index, name in enumerate(header.split(","))}
    rows = [line.split(",") for line in lines]
    assert {(row[place["ra"]], row[place["dec"]]) for row in rows} == {("", "")}
    found = np.array([(float(row[place["x"]]), float(row[place["y"]])) for row in rows])
    whole = synthetic_sky[1][(synthetic_sky[1] < (170, 120)).all(axis=1)]
    assert cKDTree(found).query(whole)[0].max() < 0.5


def test_positions_with_a_wcs_and_regions(
    deeplense: CommandLine, mosaic_file: Path, model: Path, tmp_path: Path
) -> None:
    for name in ("a.csv", "a.reg"):
        done = deeplense("scan", mosaic_file, "--model", model, "--min-score", 0.01, "--out", tmp_path / name)
        assert done.status == 0
    table = read(tmp_path / "a.csv")
    sky = open_mosaic(mosaic_file).world(np.column_stack([table["x"], table["y"]]))
    np.testing.assert_allclose(np.column_stack([table["ra"], table["dec"]]), sky, atol=1e-9)
    circles = [line for line in (tmp_path / "a.reg").read_text().splitlines() if line.startswith("icrs;circle")]
    assert len(circles) == len(table)


def test_bands_are_named_in_the_order_of_the_files(
    deeplense: CommandLine, band_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    opened = []

    def scanned(request: object) -> Iterator[Step]:
        opened.append(request.mosaic.bands)  # type: ignore[attr-defined]
        yield Step(1, 1)

    monkeypatch.setattr("engine.detect.scan.scan", scanned)
    out = tmp_path / "a.csv"
    assert deeplense("scan", *band_files, "--model", model, "--out", out).status == 0
    assert deeplense("scan", *band_files, "--bands", "u, v,w", "--model", model, "--out", out).status == 0
    assert opened == [("g", "r", "i"), ("u", "v", "w")]
    assert read(out).colnames[: len(COLUMNS)] == COLUMNS  # nothing found is a catalogue without rows


def test_a_minimum_score_leaves_out_the_rest(deeplense: CommandLine, small: Path, model: Path, tmp_path: Path) -> None:
    common = ["scan", small, "--model", model, "--pixel-scale", 0.2, "--out"]
    assert deeplense(*common, tmp_path / "all.csv").status == 0
    every = read(tmp_path / "all.csv")["score"]
    middle = float(np.median(every))
    assert deeplense(*common, tmp_path / "some.csv", "--min-score", middle).status == 0
    some = read(tmp_path / "some.csv")["score"]
    assert 0 < len(some) < len(every)
    assert some.min() >= middle


def test_cancelling_leaves_no_catalogue(
    deeplense: CommandLine, small: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    def interrupted(request: object) -> Iterator[Step]:
        try:
            yield Step(1, 10, (detection(5.0, 5.0),))
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    monkeypatch.setattr("engine.detect.scan.scan", interrupted)
    done = deeplense("scan", small, "--model", model, "--out", tmp_path / "a.csv")
    assert (done.status, done.err) == (130, "deeplense: cancelled\n")
    assert closed == [True]
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan"], "Missing argument"),
        (["scan", "{small}"], "--out"),
        (["scan", "{small}", "--out", "a.doc"], "no catalogue format ends in '.doc'"),
        (["scan", "{small}", "--out", "{small}"], "is also an input"),
        (["scan", "{small}", "--out", "{tmp}/no/a.csv"], "is not a folder: make it first"),
        (["scan", "{small}", "--out", "{tmp}/a.csv", "--min-score", "2"], "--min-score"),
        (["scan", "{small}", "--out", "{tmp}/a.csv", "--model", "nothing-like-it"], "no model"),
        (["scan", "{tmp}/missing.fits", "--out", "{tmp}/a.csv"], "does not exist: check the name"),
        (["scan", "{small}", "--out", "{tmp}/a.csv", "--pixel-scale", "-3"], "give arcsec per pixel"),
        (["scan", "{small}", "--out", "{tmp}/a.csv", "--bands", "g,r"], "2 bands are named"),
        (["score", "{tmp}/empty", "--out", "{tmp}/a.csv", "--model", "{model}"], "holds no FITS"),
        (["score", "{small}", "--out", "{tmp}"], "is a folder: give a file name"),
        (["export", "{tmp}/missing.deeplense", "--out", "{tmp}/a.csv"], "no such project file"),
        (["export", "{small}", "--out", "{tmp}/a.csv"], "not a DeepLense project"),
        (["export", "{small}", "--out", "{tmp}/a.h5", "--grades", "A"], "takes every grade"),
        (["simulate", "--out", "{tmp}/no/a.h5"], "no"),
        (["simulate", "nonsense", "--out", "{tmp}/a.h5"], "nonsense"),
        (["train", "{tmp}/missing.h5", "--out", "{tmp}/model"], "missing.h5"),
        (["models", "nothing-like-it"], "no model"),
        (["demo", "--headless", "{small}"], "cannot be made"),
        (["nonsense"], "nonsense"),
        (["scan", "--nonsense"], "--nonsense"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    deeplense: CommandLine, small: Path, model: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = deeplense(*(one.format(small=small, tmp=tmp_path, model=model) for one in arguments))
    assert done.status == 2
    assert message in done.err
    assert one_line(done.err), done.err
    assert done.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name != "posix", reason="folders of other systems know other permissions")
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    deeplense: CommandLine, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.images.mosaic.open_mosaic", lambda *_, **__: pytest.fail("work was begun"))
    (tmp_path / "sealed").mkdir()
    with unprivileged(tmp_path / "sealed"):
        done = deeplense("scan", small, "--out", tmp_path / "sealed" / "a.csv")
    assert done.status == 2
    assert "cannot be written: choose another folder" in done.err


def test_a_full_disk_is_said_and_the_old_catalogue_stays(
    deeplense: CommandLine, small: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.detect.scan.scan", lambda request: iter([Step(1, 1)]))
    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "a.csv").write_text("old")
    done = deeplense("scan", small, "--model", model, "--out", tmp_path / "a.csv")
    assert done.status == 2
    assert "No space left on device): free some space" in done.err
    assert one_line(done.err)
    assert (tmp_path / "a.csv").read_text() == "old"


# score ----------------------------------------------------------------------------------------------------------------


def test_scores_of_stamps_cubes_and_folders(deeplense: CommandLine, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stamps"
    folder.mkdir()
    random = np.random.default_rng(2)
    fits.PrimaryHDU(random.normal(size=(40, 44)).astype(np.float32)).writeto(folder / "one.fits")
    np.save(folder / "three.npy", random.normal(size=(3, 40, 44)))
    out = tmp_path / "scores.csv"
    done = deeplense("score", folder, "--model", model, "--pixel-scale", 0.2, "--out", out)
    assert (done.status, done.out, done.err) == (0, "", "")
    table = read(out)
    assert table.colnames == ["file", "plane", "score", "raw_score"]
    assert [(Path(name).name, plane) for name, plane in zip(table["file"], table["plane"], strict=True)] == [
        ("one.fits", 0),
        ("three.npy", 0),
        ("three.npy", 1),
        ("three.npy", 2),
    ]
    assert ((table["score"] > 0) & (table["score"] < 1)).all()
    assert len(set(table["raw_score"])) > 1


def test_a_pixel_scale_that_was_assumed_is_said(
    deeplense: CommandLine, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(sky, "remark", lambda notes, quiet: said.extend(notes))
    np.save(tmp_path / "stamp.npy", np.random.default_rng(2).normal(size=(40, 44)))
    common = ["score", tmp_path / "stamp.npy", "--model", model, "--out", tmp_path / "scores.csv"]
    assert deeplense(*common, "--pixel-scale", 0.2).status == 0
    assert said == []
    assert deeplense(*common).status == 0
    assert said == ["No pixel scale in 1 of 1 files: the model's was assumed; give it with --pixel-scale"]


def test_a_bad_stamp_is_named_and_the_others_scored(deeplense: CommandLine, model: Path, tmp_path: Path) -> None:
    fits.PrimaryHDU(np.random.default_rng(2).normal(size=(40, 44))).writeto(tmp_path / "good.fits")
    (tmp_path / "bad.fits").write_text("this is a text")
    out = tmp_path / "scores.csv"
    done = deeplense("score", tmp_path / "bad.fits", tmp_path / "good.fits", "--model", model, "--out", out)
    assert done.status == 2
    assert one_line(done.err)
    assert "bad.fits" in done.err
    assert [Path(name).name for name in read(out)["file"]] == ["good.fits"]


# export ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, mosaic_file: Path, model: Path) -> Path:
    path = tmp_path / "night.deeplense"
    mosaic = open_mosaic(mosaic_file)
    with Project.create(path) as opened:
        run = opened.start_run(mosaic, load_card(model).key, {})
        ids = opened.add(run, [detection(40.0 * k, 60.0, score=k / 10) for k in range(1, 7)]).ids
        opened.grade(ids[0], "A", grader="Ada")
        opened.grade([ids[1], ids[2]], "X", grader="Ada")
        opened.note(ids[0], "blue arc", grader="Ada")
    return path


def test_a_project_is_exported_as_a_catalogue(deeplense: CommandLine, project: Path, tmp_path: Path) -> None:
    done = deeplense("export", project, "--out", tmp_path / "all.csv")
    assert (done.status, done.out, done.err) == (0, "", "")
    table = read(tmp_path / "all.csv")
    assert table.colnames[: len(COLUMNS)] == COLUMNS
    assert table["score"].tolist() == [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert (table["grade"][-1], table["grader"][-1], table["note"][-1]) == ("A", "Ada", "blue arc")


def test_grades_and_scores_choose_what_is_exported(deeplense: CommandLine, project: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.ecsv"
    assert deeplense("export", project, "--grades", "A, X", "--min-score", 0.2, "--out", out).status == 0
    assert read(out)["grade"].tolist() == ["X", "X"]
    assert read(out)["score"].tolist() == [0.3, 0.2]


@pytest.mark.parametrize("command", ["export", "stamps", "fit"])
def test_a_grade_that_a_project_does_not_know_is_refused(
    deeplense: CommandLine, project: Path, tmp_path: Path, command: str
) -> None:
    refused = deeplense(command, project, "--grades", "A,Q", "--out", tmp_path / "some.csv")
    assert refused.status == 2
    assert one_line(refused.err)
    assert "has no grade Q: choose among A, B, C, X" in refused.err


def test_a_project_is_shared_only_on_a_server(deeplense: CommandLine, project: Path) -> None:
    refused = deeplense("share", project, "lenses")
    assert refused.status == 2
    assert one_line(refused.err)
    assert "lenses is no address of a server" in refused.err


def test_a_project_in_use_can_be_exported(deeplense: CommandLine, project: Path, tmp_path: Path) -> None:
    with Project.open(project):
        assert deeplense("export", project, "--out", tmp_path / "all.csv").status == 0
    assert len(read(tmp_path / "all.csv")) == 6


def test_grades_become_a_training_set_in_the_models_layout(
    deeplense: CommandLine, project: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set.h5"
    done = deeplense("export", project, "--model", model, "--out", out)
    assert (done.status, done.err) == (0, "")
    with h5py.File(out) as file:
        assert file["cutouts"].shape[0] == 3
        assert file["cutouts"].shape[1] == len(load_card(model).pixel_scales)
        assert file["cutouts"].shape[-1] == load_card(model).size
        assert sorted(file["label"][:].tolist()) == [0, 0, 1]


# simulate, train, models, demo ----------------------------------------------------------------------------------------


def test_a_simulated_set_is_the_same_for_the_same_seed(deeplense: CommandLine, tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        done = deeplense("simulate", "--count", 4, "--seed", 3, "--processes", 1, "--out", tmp_path / name)
        assert (done.status, done.out, done.err) == (0, "", "")
    with h5py.File(tmp_path / "a.h5") as one, h5py.File(tmp_path / "b.h5") as other:
        assert len(one["cutouts"]) == 4
        np.testing.assert_array_equal(one["cutouts"][:], other["cutouts"][:])
        np.testing.assert_array_equal(one["label"][:], other["label"][:])


def test_a_trained_model_can_be_shown_and_used(deeplense: CommandLine, tmp_path: Path) -> None:
    data, out = write_set(tmp_path / "rings.h5"), tmp_path / "rings"
    options = ["--architecture", "test_resnet", "--epochs", 1, "--batch-size", 32, "--device", "cpu", "--threads", 1]
    done = deeplense("train", data, "--out", out, "--name", "ringer", *options)
    assert (done.status, done.out, done.err) == (0, "", "")
    shown = deeplense("models", out)
    assert json.loads(shown.out)["name"] == "ringer"
    np.save(tmp_path / "stamp.npy", np.random.default_rng(0).normal(size=(30, 30)))
    scores = tmp_path / "scores.csv"
    assert deeplense("score", tmp_path / "stamp.npy", "--model", out, "--out", scores).status == 0
    assert len(read(scores)) == 1


def test_models_are_listed_or_their_absence_said(
    deeplense: CommandLine, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.library.bundled_models", lambda: tmp_path / "none")
    monkeypatch.setattr("engine.models.library.user_models", lambda: model.parent)
    listed = deeplense("models")
    assert listed.status == 0
    assert listed.out.startswith(f"{load_card(model).key}  lens finding  test_resnet  any  32 px at 0.2")
    monkeypatch.setattr("engine.models.library.user_models", lambda: tmp_path / "none")
    assert deeplense("models").status == 2


def test_the_demo_without_a_window_prints_what_it_wrote(
    deeplense: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(folder: Path, *, model: str) -> Iterator[Step]:
        yield Step(1, 1)
        return [folder / f"catalogue-{model}.csv"]

    monkeypatch.setattr("engine.demo.run_headless", made)
    done = deeplense("demo", "--headless", tmp_path, "--model", "other")
    assert (done.status, done.out) == (0, f"{tmp_path / 'catalogue-other.csv'}\n")


def test_the_demo_ends_as_its_window_does(deeplense: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.demo.open_window", lambda: 3)
    assert deeplense("demo").status == 3


# progress -------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_progress_and_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    steps = iter([Step(1, 4, note="[/b] is a name"), Step(4, 4, note="done")])
    cli.follow(steps, "Scanning a[0].fits", quiet=False)
    assert "Scanning a[0].fits" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    cli.remark(["No WCS: positions are in pixels"], quiet=False)
    assert terminal.getvalue().endswith("deeplense: No WCS: positions are in pixels\n")


def test_a_log_gets_a_line_now_and_then_of_a_long_job_and_none_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("engine.cli.program.time.monotonic", lambda: now)
    monkeypatch.setattr(cli, "TELL_SECONDS", 15.0)

    def job(seconds: float) -> Iterator[Step]:
        nonlocal now
        for number in range(5):
            yield Step(number, 4, note=f"tile {number}")
            now += seconds

    cli.follow(job(1.0), "Scanning", quiet=False)
    assert capsys.readouterr().err == ""
    cli.follow(job(10.0), "Scanning", quiet=False)
    assert capsys.readouterr().err == "deeplense: Scanning: 50 % (0:00:20 left) tile 2\n"
    cli.follow(job(10.0), "Scanning", quiet=True)
    assert capsys.readouterr().err == ""


def test_quiet_is_silent_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    taken: list[Step] = []
    cli.follow(iter([Step(1, 2), Step(2, 2)]), "Scanning", quiet=True, take=taken.append)
    cli.remark(["No WCS"], quiet=True)
    assert terminal.getvalue() == ""
    assert taken == [Step(1, 2), Step(2, 2)]


def test_an_error_of_several_lines_is_printed_as_one(deeplense: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise EngineError("first\n  second")

    monkeypatch.setattr("engine.demo.open_window", broken)
    done = deeplense("demo")
    assert (done.status, done.err) == (2, "deeplense: first second\n")
