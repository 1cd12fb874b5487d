"""``deeplense fine-tune`` and ``rescore``: what they say, and what they refuse."""

from __future__ import annotations

import pytest

from engine.catalogue import Project
from engine.images.mosaic import open_mosaic
from engine.models import library
from tests.engine.catalogue_parts import detection
from tests.engine.cli_parts import CommandLine


@pytest.fixture
def deeplense(capsys) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def project_file(band_files, synthetic_sky, tmp_path):
    """Every galaxy a candidate, graded in turn."""
    path = tmp_path / "field.deeplense"
    mosaic = open_mosaic(band_files)
    with Project.create(path) as project:
        run_number = project.start_run(mosaic, "finder-1")
        changes = project.add(run_number, [detection(x, y, 0.5) for x, y in synthetic_sky[1]])
        for number, letter in zip(changes.ids, "AXB" * len(changes.ids), strict=False):
            project.grade(number, letter, grader="Ada")
    return path


@pytest.mark.usefixtures("threads_as_processes")
def test_a_project_teaches_a_finder_that_then_ranks_it(deeplense, project_file, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "user_models", lambda: tmp_path / "library")
    options = ("--painted", "0", "--simulated", "60", "--epochs", "1", "--processes", "1")
    done = deeplense("fine-tune", project_file, "--out", "mine", *options)
    assert done.status == 0, done.err
    assert "on your own grades" in done.out
    assert f"is in {tmp_path / 'library' / 'mine'}" in done.out
    done = deeplense("rescore", project_file, "--model", "mine")
    assert done.status == 0, done.err
    with Project.open(project_file, read_only=True) as project:
        rows = project.rows(project.ids())
        assert {row.model.rsplit("-", 1)[0] for row in rows} == {"mine"}
        assert f"{len(rows)} candidates scored by mine-" in done.out
        assert project.runs()[-1].state == "done"
    done = deeplense("fine-tune", project_file, "--out", "mine", *options)
    assert done.status == 2
    assert "there is a model mine already" in done.err


def test_a_bundled_model_is_not_hidden_by_another_of_its_name(deeplense, project_file):
    done = deeplense("fine-tune", project_file, "--out", "finder")
    assert done.status == 2
    assert "there is a model finder already" in done.err


def test_a_project_without_grades_teaches_nothing(deeplense, band_files, tmp_path):
    path = tmp_path / "empty.deeplense"
    with Project.create(path) as project:
        project.start_run(open_mosaic(band_files), "finder-1")
    done = deeplense("fine-tune", path, "--out", tmp_path / "mine")
    assert done.status == 2
    assert "grade some first" in done.err
