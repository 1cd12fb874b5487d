import contextlib
import errno
import itertools
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import Project, connect, schema
from engine.catalogue.identity import match, match_radius
from engine.catalogue.schema import FORMAT
from engine.errors import ProjectError
from tests.engine.catalogue_parts import detection, fill, make_mosaic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "team.deeplense"


@pytest.fixture
def project(path: Path) -> Iterator[Project]:
    with Project.create(path) as project:
        yield project


@contextlib.contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Nobody may write in the folder, not even root, who becomes somebody else for as long."""
    temporary = Path(tempfile.gettempdir())
    parents = [parent for parent in folder.parents if temporary in parent.parents]
    modes = {parent: parent.stat().st_mode for parent in parents}
    for parent in parents:
        parent.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        for parent, mode in modes.items():
            parent.chmod(mode)


def test_what_is_written_is_there_on_reopening(anywhere, place):
    a, b = fill(anywhere, 0.2, 0.9)
    anywhere.grade(a, "A", grader="Ada", display={"stretch": "asinh", "limits": np.array([0, 1])}, dwell=2.5)
    anywhere.note(b, "弧 – arc?", grader="Ada")
    anywhere.set_setting("selection", b)
    expected = anywhere.rows([a, b])
    anywhere.close()
    with Project.open(place) as again:
        assert again.rows([a, b]) == expected
        assert again.setting("selection") == b
        assert again.setting("nothing", 7) == 7
        first = again.journal()[0]
    assert (expected[0].grade, expected[0].grader, expected[1].note) == ("A", "Ada", "弧 – arc?")
    assert expected[0].graded_at.utcoffset().total_seconds() == 0
    assert (first.kind, first.payload["grade"], first.payload["before"]["grade"]) == ("grade", "A", None)
    assert (first.display, first.dwell, first.model) == ({"stretch": "asinh", "limits": [0, 1]}, 2.5, "finder-1")


def test_a_rescan_adds_scores_and_touches_no_grade(anywhere):
    ids = fill(anywhere, 0.2, 0.9)
    anywhere.grade(ids[0], "X", grader="Ada")
    run = anywhere.start_run(make_mosaic(), "finder-2")
    changes = anywhere.add(run, [detection(1.0, 51.0, 0.7, "finder-2"), detection(500.0, 500.0, 0.1, "finder-2")])
    again, new = anywhere.rows(changes.ids)
    assert (again.id, again.x, again.grade, again.score, again.model) == (ids[0], 0.0, "X", 0.7, "finder-2")
    assert new.id not in ids
    assert [(row.model, row.score) for row in anywhere.scores(ids[0])] == [("finder-2", 0.7), ("finder-1", 0.2)]
    assert changes.kinds == {"candidates", "scores"}


def test_within_a_run_the_highest_score_counts(anywhere):
    run = anywhere.start_run(make_mosaic(), "finder-1")
    anywhere.add(run, [detection(10, 10, 0.5), detection(11, 10, 0.8), detection(10, 11, 0.3)])
    anywhere.add(run, [detection(10, 10, 0.6)])
    assert [row.score for row in anywhere.rows(anywhere.ids())] == [0.8]
    assert [row.score for row in anywhere.scores(1)] == [0.8]


def test_an_older_run_does_not_replace_a_newer_score(anywhere):
    older = anywhere.start_run(make_mosaic(), "finder-1")
    newer = anywhere.start_run(make_mosaic(), "finder-2")
    anywhere.add(newer, [detection(10, 10, 0.4, "finder-2")])
    anywhere.add(older, [detection(10, 10, 0.9, "finder-1")])
    assert anywhere.candidate(1).model == "finder-2"
    assert len(anywhere.scores(1)) == 2


def test_where_all_candidates_are_with_grade_and_score(anywhere):
    ids = fill(anywhere, 0.2, 0.9, 0.5)
    anywhere.grade(ids[1], "A", grader="Ada")
    found = anywhere.positions(mosaic=make_mosaic().id)
    assert found.ids.tolist() == ids
    assert found.xy.tolist() == [[0.0, 50.0], [100.0, 50.0], [200.0, 50.0]]
    assert list(found.grades) == [None, "A", None]
    assert found.scores.tolist() == [0.2, 0.9, 0.5]
    assert len(anywhere.positions(mosaic="another").ids) == 0


def test_positions_on_two_mosaics_are_two_candidates(anywhere):
    for name in ("one", "two"):
        run = anywhere.start_run(make_mosaic(None, name), "finder-1")
        anywhere.add(run, [detection(10.2, 20.0)])
    assert [row.name for row in anywhere.rows(anywhere.ids(order="id", descending=False))] == [
        "one_x0010y0020",
        "two_x0010y0020",
    ]
    assert len(anywhere.ids(mosaic="id-two")) == 1
    assert [record.id for record in anywhere.mosaics()] == ["id-one", "id-two"]
    assert anywhere.counts("id-one") == {None: 1}


@pytest.mark.parametrize(("scale", "radius"), [(None, 3.0), (0.05, 20.0), (0.2, 5.0), (1.2, 3.0)])
def test_the_match_radius_is_an_arcsecond_but_never_below_three_pixels(scale, radius):
    assert match_radius(make_mosaic(scale)) == radius


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=25),
    st.lists(st.integers(0, 25), max_size=3),
)
def test_identity_does_not_depend_on_how_a_scan_is_cut_into_batches(points, cuts):
    """Compare with the rule itself: each position joins the nearest candidate within 3 px, or begins one."""
    plain: list[tuple[int, int]] = []
    for x, y in points:
        apart = [np.hypot(x - a, y - b) for a, b in plain]
        if not apart or min(apart) > 3:
            plain.append((x, y))
    known = np.empty((0, 2))
    edges = [0, *sorted(min(cut, len(points)) for cut in cuts), len(points)]
    for start, stop in itertools.pairwise(edges):
        found = np.array(points[start:stop], float).reshape(-1, 2)
        owner = match(known, found, 3.0)
        known = np.vstack([known, found[owner == len(known) + np.arange(len(found))]])
    assert known.tolist() == [list(map(float, point)) for point in plain]


def test_sorting_and_filtering(anywhere):
    ids = fill(anywhere, 0.2, 0.9, float("nan"), 0.5)
    anywhere.grade(ids[1], "A", grader="Ada")
    anywhere.grade(ids[3], "X", grader="Ada")
    anywhere.note(ids[0], "50%_ring", grader="Ada")
    low, high, none, middle = ids
    assert anywhere.ids().tolist() == [high, middle, low, none]
    assert anywhere.ids(descending=False).tolist() == [low, middle, high, none]
    assert anywhere.ids(order="id").tolist() == ids[::-1]
    assert anywhere.ids(order="grade", descending=False).tolist() == [high, middle, low, none]
    assert anywhere.ids(min_score=0.5, max_score=0.9).tolist() == [high, middle]
    assert anywhere.ids(grades={"A", None}).tolist() == [high, low, none]
    assert anywhere.ids(grades={"X"}).tolist() == [middle]
    assert anywhere.ids(grades=set()).tolist() == []
    assert anywhere.ids(text="%_RING").tolist() == [low]
    assert anywhere.ids(text="X0100").tolist() == [high]
    assert anywhere.ids(mosaic="unknown").dtype == np.int64
    assert anywhere.counts() == {None: 2, "A": 1, "X": 1}
    assert np.isnan(anywhere.candidate(none).score)
    assert [row.id for row in anywhere.rows(np.array([low, 999, high]))] == [low, high]
    with pytest.raises(ProjectError, match="choose one of score"):
        anywhere.ids(order="beauty")
    with pytest.raises(ProjectError, match="no candidate 999"):
        anywhere.candidate(999)


def test_sorting_is_stable_whatever_is_equal_or_missing(project):
    scores = [0.5, math.nan, 0.9, 0.5, 0.1, math.nan, 0.5]
    ids = np.array(fill(project, *scores))
    assert project.ids().tolist() == ids[[2, 0, 3, 6, 4, 1, 5]].tolist()
    assert project.ids(descending=False).tolist() == ids[[4, 0, 3, 6, 2, 1, 5]].tolist()
    assert project.ids(order="radius").tolist() == ids.tolist()
    fill(project, *scores, *[0.3] * 40)
    with project.writing() as connection:  # some go, as calibration stamps do when they are taken out
        for table, key in ((schema.scores, "candidate"), (schema.candidates, "id")):
            connection.execute(table.delete().where(table.c[key].between(9, 40)))
    assert project.ids(order="x")[:9].tolist() == [47, 46, 45, 44, 43, 42, 41, 8, 7]


def test_names_and_models_of_any_letters(project):
    run = project.start_run(make_mosaic(), "finder-1")
    found = [detection(100.0 * i, 50.0, model=model) for i, model in enumerate(["net", "arc", "", "net"])]
    ids = list(project.add(run, found).ids)
    names = ["Ärmel", "ZUG 9", "弧 of a\nvery long name", "zug 9"]
    with project.writing() as connection:
        for number, name in zip(ids, names, strict=True):
            row = schema.candidates.c.id == number
            connection.execute(schema.candidates.update().where(row).values(name=name))
    assert project.ids(order="name", descending=False).tolist() == [ids[k] for k in (1, 3, 0, 2)]
    assert project.ids(order="model", descending=False).tolist() == [ids[k] for k in (1, 0, 3, 2)]
    for text, places in {"ä": [0], "ZUG": [1, 3], "弧": [2], "a very": [2], "9\nzug": []}.items():
        assert project.ids(text=text, order="id", descending=False).tolist() == [ids[k] for k in places]
    run = project.start_run(make_mosaic(), "a-1")
    project.add(run, [detection(300.0, 50.0, model="a-1")])
    assert project.ids(order="model", descending=False).tolist() == [ids[k] for k in (3, 1, 0, 2)]


def test_many_detections_are_added_quickly(project):
    rng = np.random.default_rng(1)
    run = project.start_run(make_mosaic(), "finder-1")
    points = rng.uniform(0, 30_000, (20_000, 2))
    project.add(run, [detection(x, y, s) for (x, y), s in zip(points, rng.random(len(points)), strict=True)])
    best = project.rows(project.ids()[:1000])
    assert len(project.ids()) > 19_000
    assert [row.score for row in best] == sorted((row.score for row in best), reverse=True)


def test_an_unfinished_scan_is_said_to_be_interrupted(project, path):
    done = project.start_run(make_mosaic(), "finder-1")
    project.finish_run(done, "done")
    project.start_run(make_mosaic(), "finder-1")
    project.close()
    with Project.open(path) as again:
        assert [run.state for run in again.runs()] == ["done", "interrupted"]


def test_a_project_in_memory_can_be_kept(path):
    with Project.create(":memory:") as project:
        ids = fill(project, 0.5)
        project.grade(ids[0], "B", grader="Ada")
        assert project.path is None
        assert project.save_as(path) == path
    with Project.open(path) as kept:
        assert kept.candidate(ids[0]).grade == "B"
        assert kept.history_text("undo") == "Grade B"
        with pytest.raises(ProjectError, match="this very project"):
            kept.save_as(path)


def test_one_writer_any_number_of_readers(project, path):
    ids = fill(project, 0.5)
    with pytest.raises(ProjectError, match="open it read-only"):
        Project.open(path)
    code = f"from engine.catalogue import Project; Project.open({str(path)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "open it read-only" in other.stderr
    with Project.open(path, read_only=True) as reader:
        assert reader.read_only
        project.grade(ids[0], "A", grader="Ada")
        assert reader.candidate(ids[0]).grade == "A"
        with pytest.raises(ProjectError, match="read-only"):
            reader.grade(ids[0], "B", grader="Eve")
    project.close()
    Project.open(path).close()


def test_a_drive_that_is_mounted_to_read(project, path, monkeypatch):
    project.close()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(connect.FileLock, "acquire", refuse)
    with pytest.raises(ProjectError, match="cannot be written: open it read-only"):
        Project.open(path)


@pytest.mark.skipif(os.name != "posix", reason="folders of other systems know other permissions")
@pytest.mark.parametrize("left", ["closed", "killed", "killed and copied without its index"])
def test_a_read_only_folder(tmp_path, left):
    killed = left != "closed"
    folder = tmp_path / "archive"
    folder.mkdir()
    path = folder / "old.deeplense"
    code = f"""
        import os, signal
        from engine.catalogue import Project
        from tests.engine.catalogue_parts import fill
        project = Project.create({str(path)!r})
        project.grade(fill(project, 0.5)[0], "A", grader="Ada")
        {"os.kill(os.getpid(), signal.SIGKILL)" if killed else "project.close()"}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=not killed, cwd=Path(__file__).parents[2])
    assert path.with_name(path.name + "-wal").exists() == killed
    if "copied" in left:
        path.with_name(path.name + "-shm").unlink()
    with unprivileged(folder):
        with Project.open(path, read_only=True) as project:
            assert project.candidate(1).grade == "A"
        with pytest.raises(ProjectError, match=r"cannot be written: open it read-only"):
            Project.open(path)
        with pytest.raises(ProjectError, match=r"cannot be written"):
            Project.create(folder / "new")
    assert sorted(file.name for file in folder.iterdir() if file.suffix == ".deeplense") == ["old.deeplense"]


def test_a_full_disk_loses_nothing_that_was_shown_as_given(project, path):
    ids = fill(project, *np.linspace(0, 1, 50))
    given = []
    with project._home.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    limit = f"PRAGMA max_page_count={pages + 2}"
    with project._home.engine.connect() as connection:
        connection.exec_driver_sql(limit)

    def grade_all() -> None:
        for number in ids:
            project.grade(number, "A", grader="Ada", display={"padding": "x" * 1000})
            given.append(number)

    with pytest.raises(ProjectError, match="disk is full"):
        grade_all()
    assert 0 < len(given) < len(ids)
    with project._home.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    project.grade(ids[-1], "B", grader="Ada")
    project.close()
    with Project.open(path) as again:
        assert again.ids(grades={"A"}, order="id", descending=False).tolist() == given
        assert again.candidate(ids[-1]).grade == "B"


def test_files_that_are_no_projects(tmp_path):
    missing, text, empty, other = (tmp_path / name for name in ("a", "b.deeplense", "c.deeplense", "d.deeplense"))
    text.write_text("not a project at all, but quite a long text " * 100)
    empty.touch()
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE holiday (day)")
    for read_only in (False, True):
        with pytest.raises(ProjectError, match="no such project file"):
            Project.open(missing, read_only=read_only)
        for path in (text, empty, other):
            content = path.read_bytes()
            with pytest.raises(ProjectError, match="not a DeepLense project"):
                Project.open(path, read_only=read_only)
            assert path.read_bytes() == content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.deeplense", "c.deeplense", "d.deeplense"]
    with pytest.raises(ProjectError, match="exists already"):
        Project.create(text)
    with pytest.raises(ProjectError, match="not a folder"):
        Project.create(tmp_path / "nowhere" / "a.deeplense")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_file(project, path, read_only):
    fill(project, *np.linspace(0, 1, 2000))
    project.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 :] = os.urandom(len(content) - 4096 * 3)
    path.write_bytes(content)
    with pytest.raises(ProjectError, match="damaged: open a backup"):
        Project.open(path, read_only=read_only)


def test_a_file_of_a_newer_program(project, path):
    project.close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value=? WHERE key='format'", (str(FORMAT + 1),))
    with pytest.raises(ProjectError, match=r"newer DeepLense.*update"):
        Project.open(path)
    with pytest.raises(ProjectError, match="newer DeepLense"):
        Project.open(path)  # the lock is free again


def test_a_closed_project_says_so(project):
    project.close()
    project.close()
    with pytest.raises(ProjectError, match="closed"):
        project.ids()


@pytest.mark.parametrize("in_memory", [False, True])
def test_threads_share_a_project(path, in_memory):
    project = Project.temporary() if in_memory else Project.create(path)
    ids = fill(project, *np.linspace(0, 1, 20))
    failures: list[BaseException] = []

    def scan() -> None:
        run = project.start_run(make_mosaic(), "finder-2")
        for y in range(100, 1000, 50):
            project.add(run, [detection(x, y, 0.5, "finder-2") for x in range(0, 1000, 50)])

    def grade() -> None:
        for number in ids:
            project.grade(number, "A", grader="Ada")
            assert project.candidate(number).grade == "A"
            project.undo()
            project.redo()

    def look() -> None:
        for _ in range(30):
            project.rows(project.ids()[:50])

    def guarded(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (scan, grade, look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert project.counts() == {"A": 20, None: 18 * 20}
    project.close()
