"""``deeplense send`` to a real program at a real hub."""

from __future__ import annotations

import pytest
from astropy.table import Table

from engine.catalogue.store import Project
from tests.engine.catalogue_parts import fill
from tests.engine.cli_parts import CommandLine
from tests.samp_parts import VIEWER, Program, own_hub, program, running_hub


@pytest.fixture
def project(tmp_path):
    path = tmp_path / "survey.deeplense"
    with Project.create(path) as opened:
        first, *_ = fill(opened, 0.9, 0.5, 0.1)
        opened.grade(first, "A", grader="Vera")
    return path


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    own_hub(monkeypatch, tmp_path)
    return CommandLine(capsys)


class Reader(Program):
    """Reads each table when it comes, as TOPCAT does: its file is gone later."""

    def _take(self, key, sender, message, kind, parameters, extra):
        self.table = Table.read(parameters["url"].removeprefix("file://"))
        super()._take(key, sender, message, kind, parameters, extra)


def test_the_candidates_are_there_until_the_program_has_read_them(project, run):
    with running_hub():
        reader = Reader("TOPCAT")
        done = run("send", project, "--grades", "A")
        reader.close()
    assert (done.status, done.out.strip()) == (0, "1 candidate sent to TOPCAT")
    assert list(reader.table["grade"]) == ["A"]


def test_one_program_is_chosen_by_its_name(project, run):
    with running_hub(), program("TOPCAT") as topcat, program("Other") as other:
        assert run("send", project, "--to", "topcat").out.strip() == "3 candidates sent to TOPCAT"
        assert not topcat.received.empty()
        assert other.received.empty()


def test_what_is_missing_is_said_in_one_line(project, run):
    assert "No SAMP hub runs" in (done := run("send", project)).err
    assert done.status == 2
    with running_hub(), program("Viewer", VIEWER):
        assert "connected are: none" in run("send", project).err
    assert "nothing was sent" in run("send", project, "--grades", "X").err
