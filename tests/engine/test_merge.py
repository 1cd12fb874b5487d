import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalogue import LETTERS, NUMBERS, Project
from engine.catalogue.identity import pair
from engine.catalogue.merge import MergeReport, merge
from engine.errors import ProjectError
from tests.engine.catalogue_parts import detection, fill, make_mosaic
from tests.engine.cli_parts import CommandLine

GRADERS = ("Ada", "Bo", "Cy")
KILLS = int(os.environ.get("DEEPLENSE_KILLS", "6"))  # more of them take longer and see more
WORDS = ("A", "B", "X", None, "note", "flag", "undo")


def merged(project: Project, *others: Path) -> MergeReport:
    steps = list(merge(project, others))
    assert all(0 <= step.done <= step.total for step in steps)
    return steps[-1].items[0]


def said(project: Project) -> dict[tuple[float, float], object]:
    """All that a project says of each place on its mosaic, without its own numbers."""
    with project.reading():
        rows = project.rows(project.ids(order="id", calibration=True))
        opinions = project.opinions([row.id for row in rows])
    return {
        (round(row.x / 100), round(row.y / 100)): (
            (row.grade, row.grader, row.graded_at, row.subclass, row.note, row.flag, row.score, row.model),
            [replace(one, candidate=0) for one in opinions[row.id]],
            [event.uuid for event in project.journal(row.id)],
        )
        for row in rows
    }


statements = st.lists(
    st.tuples(
        st.sampled_from(GRADERS), st.integers(0, 5), st.sampled_from(["A", "B", "X", None, "note", "flag", "undo"])
    ),
    max_size=12,
)


def team(folder: Path, spoken: list[list[tuple[str, int, str | None]]], places: list[set[int]]) -> list[Path]:
    """A project a person, each with candidates of its own around common places, and what was said there."""
    paths = []
    for number, (lines, found) in enumerate(zip(spoken, places, strict=True)):
        mosaic = replace(make_mosaic(), id=f"machine-{number}")  # another path and time: only the name is common
        with Project.create(folder / f"{number}.deeplense") as project:
            run = project.start_run(mosaic, f"finder-{number}")
            spots = sorted(found)
            shift = number * 0.9  # centroids move a little from scan to scan
            project.add(run, [detection(100.0 * spot + shift, 50.0 - shift, 0.1 * spot) for spot in spots])
            for who, at, what in lines:
                if what == "undo":
                    project.undo()
                elif at < len(spots):
                    ids = at + 1
                    if what == "note":
                        project.note(ids, f"{who} was here", grader=who)
                    elif what == "flag":
                        project.flag(ids, True, grader=who)
                    else:
                        project.grade(ids, what, grader=who)
            paths.append(project.path)
    return paths


@settings(max_examples=5, deadline=None)
@given(
    spoken=st.lists(statements, min_size=3, max_size=3),
    places=st.lists(st.sets(st.integers(0, 5)), min_size=3, max_size=3),
)
def test_any_order_gives_the_same_and_again_changes_nothing(spoken, places):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = team(folder, spoken, places)
        results = []
        for number, order in enumerate([(0, 1, 2), (0, 2, 1), (2, 1, 0)]):
            with Project.open(paths[order[0]], read_only=True) as first:
                copy = first.save_as(folder / f"merged-{number}")
            with Project.open(copy) as project:
                before = project.rows(project.ids(order="id", descending=False))
                for other in order[1:]:
                    merged(project, paths[other])
                results.append(said(project))
                after = project.rows([row.id for row in before])
                assert [(row.id, row.x, row.name) for row in after] == [(row.id, row.x, row.name) for row in before]
                again = merged(project, *(paths[other] for other in order[1:]))
                assert (again.events, again.operations, again.candidates, again.mosaics) == (0, 0, 0, 0)
                assert said(project) == results[-1]
        assert all(result == results[0] for result in results)
        assert set(results[0]) == {(place, 0) for place in set().union(*places)}


def test_grades_stand_side_by_side_and_undo_stays_ones_own(tmp_path):
    with Project.create(tmp_path / "ada") as ada, Project.create(tmp_path / "bo") as bo:
        fill(ada, 0.2, 0.9)
        fill(bo, 0.2, 0.9, 0.4)
        ada.grade(1, "A", grader="Ada")
        bo.grade([1, 3], "C", grader="Bo")
        report = merged(ada, bo.path)
        assert (report.events, report.operations, report.candidates, report.graders) == (2, 1, 1, ("Bo",))
        assert [(one.grader, one.grade) for one in ada.opinions(1)[1]] == [("Ada", "A"), ("Bo", "C")]
        assert ada.candidate(3).grade == "C"
        assert ada.history_text("undo") == "Grade A"
        assert ada.graders() == {"Ada": 1, "Bo": 2}
        assert ada.ids(grades={None}, seen_by="Ada").tolist() == [2, 3]
        assert ada.ids(differ_by=2).tolist() == [1]
        assert sorted(ada.ids(fewer_than=2).tolist()) == [2, 3]
        assert ada.counts(seen_by="Bo") == {"C": 2, None: 1}
        ada.undo()
        assert ada.candidate(1).grade == "C"


def test_an_undo_in_a_copy_comes_along(tmp_path):
    with Project.create(tmp_path / "desk") as desk:
        fill(desk, 0.2)
        desk.grade(1, "A", grader="Ada")
        with Project.open(desk.save_as(tmp_path / "lap")) as laptop:
            laptop.undo()
            assert merged(desk, laptop.path).events == 1
            assert desk.candidate(1).grade is None
            assert (desk.history_text("undo"), desk.history_text("redo")) == (None, None)
            laptop.grade(1, "B", grader="Ada")
            laptop.note(1, "ring", grader="Ada")
            merged(desk, laptop.path)
        assert (desk.candidate(1).grade, desk.candidate(1).note) == ("B", "ring")


def test_what_was_said_later_elsewhere_is_not_undone_here(tmp_path):
    with Project.create(tmp_path / "desk") as desk:
        fill(desk, 0.2)
        with Project.open(desk.save_as(tmp_path / "lap")) as laptop:
            desk.grade(1, "A", grader="Ada")
            laptop.grade(1, "X", grader="Ada")
            merged(desk, laptop.path)
        assert desk.candidate(1).grade == "X"
        desk.undo()
        assert desk.candidate(1).grade == "X"


def test_each_candidate_is_paired_once_the_closest_first():
    known, found = np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[2.0, 0.0], [1.0, 0.0], [13.1, 0.0], [11.0, 2.0]])
    assert pair(known, found, 3.0).tolist() == [-1, 0, -1, 1]
    assert pair(np.empty((0, 2)), found, 3.0).tolist() == [-1] * 4


def placed(name: str, ra: float, dec: float = 2.0, path: str = "/a") -> object:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [ra, dec]
    wcs.wcs.crpix, wcs.wcs.cdelt = [1000, 500], [-0.2 / 3600, 0.2 / 3600]
    return replace(make_mosaic(), id=f"{path}/{name}", paths=(Path(f"{path}/{name}"),), wcs=wcs)


@pytest.mark.parametrize(
    ("theirs", "mosaics", "warning"),
    [
        (placed("i.fits", 0.0001, path="/b"), 1, None),
        (placed("renamed.fits", 0.0001, path="/b"), 1, None),
        (placed("i.fits", 40.0, path="/b"), 2, "another image than the one of that name"),
        (placed("r.fits", 40.0, path="/b"), 2, "is not in this project"),
        (replace(placed("i.fits", 0.0001, path="/b"), bands=("r",)), 2, "another image"),
    ],
)
def test_a_mosaic_is_known_by_its_sky(theirs, mosaics, warning):
    with tempfile.TemporaryDirectory() as folder, Project.temporary() as project:
        project.add(project.start_run(placed("i.fits", 0.0001), "finder-1"), [detection(10, 10)])
        with Project.create(Path(folder) / "other") as other:
            other.add(other.start_run(theirs, "finder-1"), [detection(11, 10)])
            other.grade(1, "A", grader="Bo")
            report = merged(project, other.path)
        assert len(project.mosaics()) == mosaics
        assert len(project.ids()) == mosaics
        assert (warning in " ".join(report.warnings)) if warning else not report.warnings


def test_other_grades_and_this_very_project_are_told(tmp_path):
    with Project.create(tmp_path / "a") as a, Project.create(tmp_path / "b") as b:
        fill(a, 0.5)
        fill(b, 0.5)
        b.set_scheme(NUMBERS)
        assert "other grades" in merged(a, b.path).warnings[0]
        with pytest.raises(ProjectError, match="the project to merge into"):
            merged(a, a.path)
        with pytest.raises(ProjectError, match="no such project"):
            merged(a, tmp_path / "nobody")


def test_a_merge_that_is_cancelled_leaves_the_project(tmp_path):
    with Project.create(tmp_path / "a") as a, Project.create(tmp_path / "b") as b:
        fill(b, *[0.5] * 10)
        b.grade(list(range(1, 11)), "A", grader="Bo")
        job = merge(a, [b.path])
        next(job)
        job.close()
        assert a.mosaics() == a.journal() == []


KILLED = """
import os, sys
from engine.catalogue import Project
from engine.catalogue.merge import merge

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        project = Project.open(sys.argv[1])
        os.write(1, b"%d\\n" % os.getpid())
        list(merge(project, sys.argv[2:]))
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a word of POSIX")
def test_a_killed_merge_leaves_the_old_project_whole(tmp_path):
    dice = random.Random(7)
    with Project.create(tmp_path / "a") as a, Project.create(tmp_path / "b") as b:
        fill(a, *[0.5] * 50)
        a.grade(list(range(1, 51)), "A", grader="Ada")
        fill(b, *[0.5] * 3000)
        b.grade(list(range(1, 3001)), "X", grader="Bo")
        paths = [a.path, b.path]
        before = said(a)
    ended = set()
    command = [sys.executable, "-c", KILLED, *map(str, paths)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as runner:
        for wait in itertools.chain((0.0, 0.02), (dice.uniform(0.02, 0.5) for _ in range(KILLS - 2))):
            runner.stdin.write("next\n")
            runner.stdin.flush()
            child = int(runner.stdout.readline())
            time.sleep(wait)
            with contextlib.suppress(ProcessLookupError):  # on a quick machine the merge is done by then
                os.kill(child, signal.SIGKILL)
            ended.add(runner.stdout.readline())
            with Project.open(paths[0]) as project:
                assert len(project.journal()) in (50, 3050)
                if len(project.journal()) == 50:
                    assert said(project) == before
                else:
                    assert project.graders() == {"Ada": 50, "Bo": 3000}
    assert f"ended {-signal.SIGKILL}\n" in ended
    with Project.open(paths[0]) as project:
        merged(project, paths[1])
        assert project.graders() == {"Ada": 50, "Bo": 3000}


def test_the_command_merges_into_a_copy_and_prints_the_consensus(tmp_path, capsys):
    deeplense = CommandLine(capsys)
    with Project.create(tmp_path / "ada") as ada, Project.create(tmp_path / "bo") as bo:
        for project, grades in ((ada, "AAX"), (bo, "ABC")):
            for number, grade in zip(fill(project, 0.2, 0.9, 0.4), grades, strict=True):
                project.grade(number, grade, grader=project.path.stem)
    done = deeplense("merge", ada.path, bo.path, "--out", tmp_path / "team")
    assert (done.status, done.out) == (0, "3 new entries, graded by bo; 0 new candidates\n")
    assert deeplense("merge", ada.path, bo.path, "--out", tmp_path / "team").status == 2
    with Project.open(ada.path) as project:
        assert project.graders() == {"ada": 3}
    shown = deeplense("consensus", tmp_path / "team.deeplense", "--out", tmp_path / "together.csv")
    assert shown.status == 0
    assert "on 0 the graders differ by two or more" in shown.out
    assert "ada A, bo B" in (tmp_path / "together.csv").read_text()
    assert '"fleiss":' in deeplense("consensus", tmp_path / "team.deeplense", "--json").out
    assert "no table format" in deeplense("consensus", tmp_path / "team.deeplense", "--out", tmp_path / "a.doc").err


def test_duplicates_agreements_and_schemes_come_along_by_the_ids_of_here(tmp_path):
    with Project.create(tmp_path / "a") as a, Project.create(tmp_path / "b") as b:
        fill(a, 0.5, 0.4, 0.3)
        run = b.start_run(make_mosaic(), "finder-1")
        b.add(run, [detection(100.0 * i, 50) for i in (2, 1, 0)])
        b.same(1, 3, grader="Bo")
        b.same(2, 2, grader="Bo")
        b.agree(3, "B", grader="Bo")
        b.set_scheme(NUMBERS, grader="Bo")
        for _ in range(2):
            merged(a, b.path)
        assert [row.same_as for row in a.rows([1, 2, 3])] == [None, 2, 1]
        assert a.candidate(1).grade == "B"
        assert a.scheme() == LETTERS
        assert [event.kind for event in a.journal()] == ["same_as", "same_as", "agreed", "scheme"]
        assert a.undo() is None
