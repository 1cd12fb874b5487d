"""Stamps, the journal and earlier classifications go out and come in whole."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image

from engine.catalogue import Project
from engine.catalogue.imports import import_grades
from engine.errors import DataError
from engine.export.journal import COLUMNS, journal_job
from engine.export.stamps import stamps_job
from engine.images.mosaic import open_mosaic
from engine.types import Mosaic
from tests.engine.catalogue_parts import detection, fill, make_mosaic
from tests.engine.cli_parts import CommandLine


@pytest.fixture
def project(tmp_path: Path, mosaic_file: Path) -> Project:
    """A project of three candidates, one at the corner of the mosaic."""
    mosaic = open_mosaic(mosaic_file)
    xy = np.array([(60.0, 70.0), (100.2, 40.6), (2.0, 1.0)])
    with Project.create(tmp_path / "night") as project:
        found = [
            detection(x, y, 0.9 - i / 10, ra=ra, dec=dec)
            for i, ((x, y), (ra, dec)) in enumerate(zip(xy, mosaic.world(xy), strict=True))
        ]
        project.add(project.start_run(mosaic, "finder-1"), found)
        project.grade(1, "A", grader="Ada é", dwell=1.5, display={"stretch": "asinh"})
        project.note(2, 'an "arc", perhaps', grader="Ada é")
        yield project


@pytest.fixture
def mosaic(mosaic_file: Path) -> Mosaic:
    return open_mosaic(mosaic_file)


def test_stamps_have_the_pixels_and_the_wcs_of_the_mosaic(project, mosaic, tmp_path):
    rows = project.rows([1, 2, 3])
    out = tmp_path / "stamps"
    steps = list(stamps_job(rows, [mosaic], out, width=6.0))
    assert steps[-1].note == "3 stamps in stamps"
    names = sorted(path.name for path in out.iterdir())
    assert [Path(name).suffix for name in names] == [".fits", ".png"] * 3
    whole = mosaic.read(0, mosaic.shape[0], 0, mosaic.shape[1])[0]
    for row, name in zip(rows, names[::2], strict=True):
        with fits.open(out / name) as opened:
            data, header = opened[0].data, opened[0].header
        half = (data.shape[0] - 1) // 2
        assert 2 * half * mosaic.pixel_scale >= 6.0
        sky = WCS(header)
        assert sky.wcs_world2pix([[row.ra, row.dec]], 0)[0] == pytest.approx(
            [half + row.x - round(row.x), half + row.y - round(row.y)], abs=1e-3
        )
        y, x = round(row.y), round(row.x)
        part = whole[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
        assert np.array_equal(data[np.isfinite(data)], part[np.isfinite(part)])
        assert header["OBJECT"] == row.name
        assert header.get("LGRADE", "") == (row.grade or "")
    assert Image.open(out / names[1]).size >= (200, 200)


def test_stamps_say_what_is_wrong(project, mosaic, tmp_path):
    rows = project.rows([1])
    with pytest.raises(DataError, match="fits or png, not gif"):
        list(stamps_job(rows, [mosaic], tmp_path / "a", formats=["gif"]))
    with pytest.raises(DataError, match="choose another folder"):
        list(stamps_job(rows, [mosaic], tmp_path / "no" / "where"))
    assert "1 of mosaics that are not open were left out" in list(stamps_job(rows, [], tmp_path / "b"))[-1].note


def test_the_journal_is_a_table_of_every_statement(project, tmp_path):
    project.undo()
    list(journal_job(project, tmp_path / "journal.csv"))
    with (tmp_path / "journal.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert [(line["action"], line["kind"], line["value"], line["before"]) for line in lines] == [
        ("do", "grade", "A", ""),
        ("do", "note", 'an "arc", perhaps', ""),
        ("undo", "note", "", 'an "arc", perhaps'),
    ]
    assert (lines[0]["grader"], lines[0]["dwell"], lines[0]["display"]) == ("Ada é", "1.5", '{"stretch": "asinh"}')
    assert float(lines[0]["ra"]) == project.candidate(1).ra


def test_classifications_of_another_tool_come_in_as_one_operation(tmp_path):
    with Project.temporary() as project:
        stamps = [detection(50.0 * i, 10, name=f"lens_{i}") for i in range(4)]
        project.add(project.start_run(make_mosaic(), "stamps"), stamps)
        table = tmp_path / "classification.csv"
        table.write_text(
            "file_name,classification,subclassification,comment\n"
            "lens_0.fits,A,arc,nice\nsub/lens_1.FITS,X,Empty,\nlens_2.png,Non Lens,,\nlens_3.fits,Empty,,look again\n"
            "other.fits,A,,\nlens_3.fits,Perhaps,,\n"
        )
        report = list(import_grades(project, table, grader="Cy"))[-1].items[0]
        assert (report.grades, report.notes, report.unmatched, report.unknown) == (3, 2, ("other.fits",), ("Perhaps",))
        rows = project.rows([1, 2, 3, 4])
        assert [(row.grade, row.subclass, row.note) for row in rows] == [
            ("A", "arc", "nice"), ("X", "", ""), ("X", "", ""), (None, "", "look again"),
        ]  # fmt: skip
        assert project.history_text("undo") == "Import classification.csv"
        project.undo()
        assert project.counts() == {None: 4}


def test_what_another_tool_writes_while_nothing_is_said_is_neither_kind_nor_note(tmp_path):
    with Project.temporary() as project:
        stamps = [detection(50.0 * i, 10, name=f"lens_{i}") for i in range(3)]
        project.add(project.start_run(make_mosaic(), "stamps"), stamps)
        table = tmp_path / "classification.csv"
        table.write_text(
            "file_name,classification,subclassification,ra,dec,comment,legacy_survey_data\n"
            "lens_0.fits,NL,NL,7.5,36.2,NL,None\nlens_1.fits,SL,Ring,7.5,36.2,blue,None\n"
            "lens_2.fits,Non-Lens,Non-Lens,,,Non-Lens,None\n"
        )
        report = list(import_grades(project, table, grader="Cy"))[-1].items[0]
        assert (report.grades, report.notes, report.unknown) == (3, 1, ())
        rows = project.rows([1, 2, 3])
        assert [(row.grade, row.subclass, row.note) for row in rows] == [
            ("X", "", ""), ("A", "ring", "blue"), ("X", "", ""),
        ]  # fmt: skip


def test_classifications_by_position_and_what_is_missing(project, tmp_path):
    row = project.candidate(2)
    table = tmp_path / "grades.csv"
    table.write_text(f"RA,Dec,Grade\n{row.ra},{row.dec + 0.5 / 3600},B\n{row.ra},{row.dec + 1},B\n")
    report = list(import_grades(project, table, grader="Cy"))[-1].items[0]
    assert (report.grades, len(report.unmatched)) == (1, 1)
    assert project.candidate(2).grade == "B"
    table.write_text("file,opinion\na,b\n")
    with pytest.raises(DataError, match="has the columns file, opinion"):
        list(import_grades(project, table, grader="Cy"))


def test_the_commands(project, tmp_path, capsys):
    path = project.path
    project.close()
    deeplense = CommandLine(capsys)
    assert deeplense("export", path, "--out", tmp_path / "j.csv", "--journal").status == 0
    assert (tmp_path / "j.csv").read_text().startswith("uuid,at,grader")
    assert deeplense("export", path, "--out", tmp_path / "j.fits", "--journal").status == 2
    assert (
        deeplense("stamps", path, "--out", tmp_path / "s", "--format", "png", "--grades", "A").out == "1 stamps in s\n"
    )
    (tmp_path / "g.csv").write_text("name,grade\nnobody,A\n")
    done = deeplense("import-grades", path, tmp_path / "g.csv", "--grader", "Cy")
    assert (done.out, done.status) == ("0 grades and 0 notes of Cy\n", 0)
    assert "1 lines match no candidate: nobody" in done.err


EXPORTS = """
import itertools, os, sys
from pathlib import Path
from engine.catalogue import Project
from engine.export import FORMATS, write_catalogue
from engine.export.journal import journal_job
from engine.export.report import report_job

project = Project.open(sys.argv[1], read_only=True)
rows = project.rows(project.ids())
out = Path(sys.argv[2])

def write(name, rows):
    if name == "journal.csv":
        list(journal_job(project, out / name))
    elif name.startswith("report"):
        list(report_job(rows[:40], [], out / name))
    else:
        write_catalogue(rows, out / name)

names = [*(f"a{suffix}" for suffix in FORMATS), "journal.csv", "report.html", "report.pdf"]
for name in names:
    write(name, rows[:5])
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.write(1, b"%d\\n" % os.getpid())
        for name in itertools.islice(itertools.cycle(names), int(line), None):
            write(name, rows)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _counts(out: Path) -> dict[str, int]:
    """How many candidates each export holds, as its usual reader finds them."""
    return {
        **{suffix: len(Table.read(out / f"a.{suffix}")) for suffix in ("csv", "ecsv", "fits", "vot")},
        "parquet": pyarrow.parquet.read_table(out / "a.parquet").num_rows,
        "reg": (out / "a.reg").read_text().count("circle("),
        "html": (out / "report.html").read_text().count("</article>"),
    }


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a word of POSIX")
def test_a_killed_export_leaves_no_half_a_file(tmp_path):
    dice = random.Random(3)
    with Project.create(tmp_path / "a") as project:
        fill(project, *[0.5] * 200)
        path = project.path
    out = tmp_path / "out"
    out.mkdir()
    kills = int(os.environ.get("DEEPLENSE_KILLS", "9"))  # more of them take longer and see more
    command = [sys.executable, "-c", EXPORTS, str(path), str(out)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as runner:
        for kill in range(kills):
            runner.stdin.write(f"{kill % 9}\n")
            runner.stdin.flush()
            child = int(runner.stdout.readline())
            time.sleep(dice.uniform(0.0, 0.3))
            os.kill(child, signal.SIGKILL)
            assert runner.stdout.readline() == f"ended {-signal.SIGKILL}\n"
            counts = _counts(out)
            report = counts.pop("html")
            assert {*counts.values()} <= {5, 200}, counts
            assert report in (5, 40)
            assert (out / "report.html").read_text().endswith("</html>")
            assert (out / "report.pdf").read_bytes().rstrip().endswith(b"%%EOF")
            assert (out / "journal.csv").read_text().startswith("uuid,")
