"""One project for a team on a real PostgreSQL server: the same as a file, and what only a server can do."""

import builtins
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis.stateful import initialize

from engine.catalogue import NUMBERS, Project, connect, migrate, schema
from engine.catalogue import server as servers
from engine.catalogue.calibration import CalibrationItem, add_stamps, stamps
from engine.catalogue.consensus import agreement, consensus
from engine.catalogue.queues import queue
from engine.errors import ConnectionLostError, ProjectError
from tests.engine.catalogue_parts import detection, fill, make_mosaic
from tests.engine.cli_parts import CommandLine
from tests.engine.test_history import Grading
from tests.engine.test_merge import merged, said
from tests.server_parts import ESCAPED, PASSWORD, Server


class GradingOnAServer(Grading):
    """The state machine of grading, undo, redo, merge and reopening, with a project on a server."""

    made: Server

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.path = self.made.address()
        self.project.save_as(self.path)
        self.project.close()
        self.project = Project.open(self.path)


GradingOnAServer.TestCase.settings = settings(Grading.TestCase.settings, max_examples=2, stateful_step_count=15)


class TestGradingOnAServer(GradingOnAServer.TestCase):
    @pytest.fixture(autouse=True)
    def _on_the_server(self, server):
        GradingOnAServer.made = server


def test_queues_consensus_and_counts_are_those_of_a_file(anywhere):
    fill(anywhere, 0.2, 0.9, 0.4)
    anywhere.grade([1, 2], "A", grader="Ada")
    anywhere.grade(1, "C", grader="Bo")
    anywhere.note(3, "Ärger 100%", grader="Bo")
    assert anywhere.ids(queue("disagreements", grader="Ada")).tolist() == [1]
    assert anywhere.ids(queue("ungraded", grader="Bo")).tolist() == [2, 3]
    assert sorted(anywhere.ids(queue("few graders", grader="Bo")).tolist()) == [2, 3]
    assert anywhere.ids(text="100%").tolist() == [3]
    assert anywhere.ids(order="grade", descending=False).tolist() == [2, 1, 3]
    assert anywhere.counts() == {"A": 1, "C": 1, None: 1}
    assert anywhere.counts(seen_by="Ada") == {"A": 2, None: 1}
    assert anywhere.graders() == {"Ada": 2, "Bo": 1}
    assert consensus(anywhere).span.tolist() == [2.0, 0.0]
    assert agreement(anywhere).common == 1


def test_a_scheme_settings_and_calibration_stamps_go_to_a_server_and_back(tmp_path, server):
    with Project.create(tmp_path / "here") as here:
        ids = fill(here, *[0.5] * 30)
        here.grade(ids[:20], "A", grader="Ada")
        here.undo()
        here.redo()
        here.note(3, "弧", grader="Bo")
        here.set_scheme(NUMBERS)
        arc = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
        add_stamps(
            here, make_mosaic().id, [CalibrationItem("u1", "painted", 5.0, 6.0, is_lens=True, arc=arc)], "finder-1"
        )
        here.set_setting("filters", {"order": "ra"})
        address = here.save_as(server.address())
        with Project.open(address) as shared:
            assert said(shared) == said(here)
            assert (shared.scheme(), shared.setting("filters")) == (here.scheme(), {"order": "ra"})
            assert shared.runs() == here.runs()
            assert np.array_equal(stamps(shared)[31].arc, arc)
            assert shared.history_text("undo") == here.history_text("undo")
            shared.grade(30, "3", grader="Cy")
            new = shared.add(shared.start_run(make_mosaic(), "finder-2"), [detection(5000, 50)]).ids
            back = shared.save_as(tmp_path / "back")
            with Project.open(back) as again:
                assert said(again) == said(shared)
                assert again.candidate(new[0]).x == 5000
            with pytest.raises(ProjectError, match="exists already"):
                here.save_as(address)


@pytest.mark.parametrize("into", ["file", "server"])
def test_files_and_servers_merge_into_each_other(tmp_path, server, into):
    places = [tmp_path / "mine", server.address()]
    ours, theirs = places if into == "file" else reversed(places)
    with Project.create(ours) as mine, Project.create(theirs) as other:
        fill(mine, 0.2, 0.9)
        fill(other, 0.2, 0.9, 0.4)
        mine.grade(1, "A", grader="Ada")
        other.grade([1, 3], "C", grader="Bo")
        place = theirs if into == "file" else other.path
        report = merged(mine, place)
        assert (report.events, report.candidates, report.graders) == (2, 1, ("Bo",))
        assert [(one.grader, one.grade) for one in mine.opinions(1)[1]] == [("Ada", "A"), ("Bo", "C")]
        assert merged(mine, place).events == 0
        with pytest.raises(ProjectError, match="the project to merge into"):
            merged(mine, ours if into == "server" else mine.path)


def test_every_command_takes_an_address(tmp_path, server, capsys, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    address = server.address(user="ada")
    with Project.create(address) as project, Project.create(tmp_path / "bo") as bo:
        for number, grade in zip(fill(project, 0.2, 0.9, 0.4), "AAX", strict=True):
            project.grade(number, grade, grader="Ada")
        bo.grade(fill(bo, 0.2, 0.9, 0.4)[0], "C", grader="Bo")
    deeplense = CommandLine(capsys)
    assert deeplense("merge", address, tmp_path / "bo.deeplense").out.startswith("1 new entries, graded by Bo")
    assert deeplense("merge", address, tmp_path / "bo.deeplense", "--out", tmp_path / "all").status == 0
    assert json.loads(deeplense("consensus", address, "--json").out)["common"] == 1
    assert deeplense("graders", address).status == 0
    assert deeplense("export", address, "--out", tmp_path / "a.csv", "--grades", "A").status == 0
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2
    assert deeplense("export", address, "--journal", "--out", tmp_path / "j.csv").status == 0
    (tmp_path / "old.csv").write_text("file_name,classification,comment\nfield_x0200y0050,B,arc\n")
    assert "1 grades" in deeplense("import-grades", address, tmp_path / "old.csv", "--grader", "Cy").out
    with Project.open(address) as project, Project.open(tmp_path / "all.deeplense") as copy:
        assert project.graders() == {"Ada": 3, "Bo": 1, "Cy": 1}
        assert copy.graders() == {"Ada": 3, "Bo": 1}


def test_a_file_is_shared_by_one_command(tmp_path, server, capsys):
    with Project.create(tmp_path / "mine") as mine:
        fill(mine, 0.2, 0.9)
        mine.grade(1, "A", grader="Ada")
    address = server.address()
    shared = CommandLine(capsys)("share", tmp_path / "mine.deeplense", address)
    assert (shared.status, PASSWORD in shared.out, ESCAPED in shared.out) == (0, False, False)
    with Project.open(address) as project:
        assert project.graders() == {"Ada": 1}
    assert "exists already" in CommandLine(capsys)("share", tmp_path / "mine.deeplense", address).err


# Addresses and what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"user": "ada:wrong"}, ProjectError, "refuses this user or password"),
        ({"user": f"nobody:{ESCAPED}"}, ProjectError, "refuses this user or password"),
        ({"database": "nothing"}, ProjectError, "no such database"),
        ({"project": "nothing"}, ProjectError, "no project in this database yet"),
        ({"project": "a b"}, ProjectError, "cannot be called"),
        ({"project": "a&colour=red"}, ProjectError, "colour"),
        ({"project": "a&port=1"}, ConnectionLostError, "does not answer"),
    ],
)
def test_each_thing_that_is_wrong_has_its_words(server, change, error, told):
    with pytest.raises(ProjectError, match=told) as raised:
        Project.open(server.address(**change))
    assert type(raised.value) is error
    assert "wrong" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["postgresql://", "postgresql://ada@host", "postgresql://ada:s3cret@host:x/db", "postgresql://a:s3cret@b@host/db"],
)
def test_what_is_no_address_is_said_without_its_password(text):
    with pytest.raises(ProjectError) as raised:
        Project.open(text)
    assert "s3cret" not in str(raised.value)


def test_the_password_is_nowhere_to_be_seen(server, caplog):
    caplog.set_level("DEBUG")
    address = server.address()
    with Project.create(address) as project:
        fill(project, 0.5)
        server.cut_connections()
        with pytest.raises(ConnectionLostError) as lost:
            project.rows([1])
        with Project.open(Path(address), read_only=True) as again:  # as a command line may hand it on
            assert again.candidate(1).score == 0.5
        told = [project.place, project.name, repr(project._home.engine), str(lost.value), repr(lost.value.__cause__)]
        told += [repr(servers.parse(address)), *(record.getMessage() for record in caplog.records)]
        with pytest.raises(ProjectError) as refused:
            project.grade(1, "A", grader="Ada"), Project.open(address.replace("/team", "/nothing"))
        told += [str(refused.value), repr(refused.value.__cause__)]
    assert not [text for text in told if PASSWORD in text or ESCAPED in text]
    assert project.place == address.replace(f":{ESCAPED}", "")


def test_a_password_file_is_enough(server, tmp_path, monkeypatch):
    secrets = tmp_path / "pgpass"
    secrets.write_text(f"127.0.0.1:{server.port}:team:ada:{PASSWORD.replace(':', chr(92) + ':')}\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secrets))
    with Project.create(server.address(user="ada")) as project, Project.open(project.place) as again:
        assert again.place == project.place


def test_without_the_driver_one_line_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "psycopg":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ProjectError, match=r'pip install "psycopg\[binary\]"'):
        Project.open("postgresql://ada@host/team")


def test_one_who_may_only_look_is_told_so_and_can_look(server):
    with Project.create(server.address()) as project:
        fill(project, 0.5)
        server.query(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'guest') THEN"
            " CREATE ROLE guest LOGIN PASSWORD 'guest'; END IF; END $$"
        )
        name = project.name
        server.query(f"GRANT USAGE ON SCHEMA {name} TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO guest")
        address = server.address(name, user="guest:guest")
        with pytest.raises(ProjectError, match="open it read-only"):
            Project.open(address)
        with Project.open(address, read_only=True) as guest:
            assert guest.candidate(1).score == 0.5
            with pytest.raises(ProjectError, match="open read-only"):
                guest.grade(1, "A", grader="Guest")
        with pytest.raises(ProjectError, match="you may not"):
            Project.create(server.address(user="guest:guest"))


# Formats --------------------------------------------------------------------------------------------------------------


def test_a_project_of_a_newer_program_is_refused_also_by_one_who_has_it_open(server):
    with Project.create(server.address()) as project:
        fill(project, 0.5)
        address = server.address(project.name)
        server.query(f"UPDATE {project.name}.meta SET value = '99' WHERE key = 'format'")
        for attempt in (lambda: Project.open(address), lambda: project.grade(1, "A", grader="Ada")):
            with pytest.raises(ProjectError, match="newer DeepLense"):
                attempt()
        assert project.candidate(1).grade is None


def test_an_older_project_is_brought_up_to_date_whole_or_not_at_all(place, monkeypatch):
    with Project.create(place) as project:
        fill(project, 0.5)
        project.grade(1, "A", grader="Ada")

    def step(operations: object, connection: sa.Connection) -> None:
        operations.add_column("candidates", sa.Column("redshift", sa.Double))  # type: ignore[attr-defined]
        if fails:
            raise OSError(28, "No space left on device")

    present = schema.FORMAT
    for module in (schema, servers, connect):
        monkeypatch.setattr(module, "FORMAT", present + 1)
    monkeypatch.setattr(migrate, "_STEPS", {**migrate._STEPS, present: step})
    fails = True
    with pytest.raises(ProjectError, match="No space left"):
        Project.open(place)
    fails = False
    for _ in range(2):
        with Project.open(place) as project, project.reading() as connection:
            names = [column["name"] for column in sa.inspect(connection).get_columns("candidates")]
            assert names.count("redshift") == 1
            assert project.candidate(1).grade == "A"


def test_of_two_who_make_the_same_project_at_once_one_does(server):
    address = server.address()

    def make() -> str:
        try:
            Project.create(address).close()
        except ProjectError as error:
            return str(error)
        return "made"

    with ThreadPoolExecutor(4) as threads:
        ends = [job.result() for job in [threads.submit(make) for _ in range(4)]]
    assert ends.count("made") == 1
    assert sum("exists already" in end for end in ends) == 3
    with Project.open(address) as project:
        assert project.mosaics() == []
