"""Projects of older formats open, at whatever moment the program was killed on the way."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from engine.catalogue import Project, migrate
from engine.catalogue.schema import FORMAT, metadata
from engine.errors import ProjectError

OLD = Path(__file__).with_name("project_format_1.sql")
SECOND = Path(__file__).with_name("project_format_2.sql")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "old.deeplense"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(OLD.read_text())
    return path


def _format(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT value FROM meta WHERE key='format'").fetchone()[0])


def _check(project: Project) -> None:
    first, second, third = project.rows([1, 2, 3])
    assert (first.grade, first.grader, second.grade, second.note, third.grade) == ("X", "Bo", None, "弧 – arc?", None)
    assert project.candidate(1, seen_by="Ada").grade == "A"
    assert first.graded_at.year == 2026
    assert project.setting("selection") == 2
    assert len(project.journal()) == 7


@pytest.mark.parametrize("read_only", [False, True])
def test_an_old_project_opens(path, read_only):
    with Project.open(path, read_only=read_only) as project:
        _check(project)
        assert project.history_text("undo") == "Grade X"
    assert _format(path) == (1 if read_only else FORMAT)
    assert path.with_name("old.deeplense.format-1").is_file() != read_only


def test_what_is_migrated_has_the_tables_of_a_new_one(path):
    with Project.open(path) as project:
        project.grade(3, "B", grader="Ada")
        project.classify(3, "arc", grader="Ada")
        project.undo()
        project.undo()
        project.undo()
        assert project.candidate(1).grade == "A"
        with project.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_failure_on_the_way_leaves_the_old_project(path, monkeypatch):
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrate.opinions, "replay", full)
    with pytest.raises(ProjectError, match="No space left"):
        Project.open(path)
    assert _format(path) == 1
    monkeypatch.undo()
    with Project.open(path) as project:
        _check(project)


def test_the_copy_that_is_kept_is_the_old_project(path, tmp_path):
    Project.open(path).close()
    kept = Path(shutil.copy(path.with_name("old.deeplense.format-1"), tmp_path / "kept.deeplense"))
    with Project.open(kept, read_only=True) as project:
        _check(project)


def test_a_project_of_the_second_format_keeps_all_that_was_said(tmp_path):
    path = tmp_path / "two.deeplense"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(SECOND.read_text())
    with Project.open(path) as project:
        said = {
            (one.candidate, one.grader): (one.grade, one.note)
            for row in project.opinions([1, 2]).values()
            for one in row
        }
        assert said == {(1, "Ada"): ("A", ""), (1, "Bo"): ("X", ""), (2, "Ada"): ("A", "")}
        assert [level.name for level in project.scheme().grades] == ["3", "2", "1", "0"]
        assert len(project.journal()) == 8
        assert project.history_text("undo", "Ada") == 'Einstein radius 1.25"'
        project.same(2, 1, grader="Ada")
        with project.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert _format(path) == FORMAT
