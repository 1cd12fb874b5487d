"""Several clients of one project on a real server: nothing is lost, each sees the others, and a server may go away."""

import itertools
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engine.catalogue import Project
from engine.catalogue.merge import merge
from engine.errors import ConnectionLostError, ProjectError
from tests.engine.catalogue_parts import detection, fill, make_mosaic

ROOT = Path(__file__).parents[2]

# Grades every candidate and takes each fifth grade back, in a process of its own.
GRADER = """
import sys
from engine.catalogue import Project
with Project.open(sys.argv[1]) as project:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(1, int(sys.argv[3]) + 1):
        project.grade(number, "ABCX"[number % 4], grader=sys.argv[2])
        if number % 5 == 0:
            project.undo(sys.argv[2])
"""


@pytest.fixture
def address(server):
    return server.address()


@pytest.fixture
def ada(address):
    with Project.create(address) as project:
        fill(project, *np.linspace(0.1, 0.9, 40))
        project.news()
        yield project


@pytest.fixture
def bo(ada, address):
    with Project.open(address) as project:
        project.news()
        yield project


def test_two_processes_grade_at_once_and_nothing_is_lost(ada, address):
    command = [sys.executable, "-c", GRADER, address]
    both = [
        subprocess.Popen(
            [*command, who, "20"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for who in ("Cy", "Di")
    ]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        assert one.wait(60) == 0
        one.stdin.close()
        one.stdout.close()
    journal = ada.journal()
    assert len({event.uuid for event in journal}) == len(journal) == 2 * (20 + 4)
    for who in ("Cy", "Di"):
        given = {row.id: row.grade for row in ada.rows(range(1, 21), seen_by=who)}
        assert given == {n: None if n % 5 == 0 else "ABCX"[n % 4] for n in range(1, 21)}
    shown = {row.id: row.grade for row in ada.rows(range(1, 21))}
    assert shown == {n: None if n % 5 == 0 else "ABCX"[n % 4] for n in range(1, 21)}
    assert ada.news().ids == tuple(range(1, 21))


def test_scans_grades_and_merges_at_once_keep_every_number_apart(ada, address, tmp_path):
    with Project.create(tmp_path / "other") as other:
        other.grade(fill(other, *[0.5] * 60), "B", grader="Eve")

    def scan(number: int) -> None:
        with Project.open(address) as project:
            run = project.start_run(make_mosaic(None, f"field-{number}"), "finder-2")
            for y in range(0, 500, 100):
                project.add(run, [detection(x, y) for x in range(0, 500, 100)])
            project.finish_run(run, "done")

    def grade(who: str) -> None:
        with Project.open(address) as project:
            for number in range(1, 21):
                project.grade(number, "A", grader=who)
                project.add_to_setting("saved", {f"{who} {number}": number})

    def take() -> None:
        with Project.open(address) as project:
            list(merge(project, [tmp_path / "other.deeplense"]))

    with ThreadPoolExecutor(5) as threads:
        jobs = [
            threads.submit(scan, 1),
            threads.submit(scan, 2),
            threads.submit(grade, "Cy"),
            threads.submit(grade, "Di"),
        ]
        for job in [*jobs, threads.submit(take)]:
            job.result()
    assert len(ada.ids()) == 60 + 2 * 25
    assert ada.graders() == {"Cy": 20, "Di": 20, "Eve": 60}
    assert [run.state for run in ada.runs()].count("done") == 2
    assert len(ada.setting("saved")) == 40


def test_each_hears_of_the_others_words_but_not_of_its_own(ada, bo):
    ada.grade([1, 2], "A", grader="Ada")
    ada.note(3, "arc", grader="Ada")
    assert ada.news() is None
    heard = bo.news()
    assert (heard.ids, heard.kinds) == ((1, 2, 3), {"grades", "notes"})
    assert bo.candidate(1).grade == "A"
    assert bo.news() is None
    bo.grade(4, "X", grader="Bo")
    ada.undo("Ada")
    assert (bo.news().ids, ada.news().ids) == ((3,), (4,))
    ada.reveal(1, ["score"], grader="Ada")
    assert bo.news() is None


def test_others_scans_and_schemes_are_heard_of_and_listed(ada, bo):
    assert len(bo.ids()) == 40
    run = ada.start_run(make_mosaic(), "finder-2")
    ada.add(run, [detection(0, 50, 0.3, "finder-2"), detection(9000, 50, 0.99, "finder-2")])
    assert ada.news() is None
    assert bo.news().kinds == {"candidates", "scores"}
    assert bo.ids()[0] == 41
    assert bo.candidate(1).score == 0.3
    ada.add(run, [detection(0, 50, 0.95, "finder-2")])  # better than what the same scan said before
    assert bo.news().kinds == {"scores"}
    assert bo.ids().tolist()[:2] == [41, 1]


def test_nobody_sees_the_others_grades_with_their_own_eyes(ada, bo):
    ada.grade([1, 2, 3], "A", grader="Ada")
    ada.note(1, "surely a ring", grader="Ada")
    bo.grade(1, "X", grader="Bo")
    assert [row.grade for row in bo.rows([1, 2, 3], seen_by="Bo")] == ["X", None, None]
    assert bo.candidate(1, seen_by="Bo").note == ""
    assert bo.counts(seen_by="Bo") == {"X": 1, None: 39}
    assert 2 in bo.ids(grades={None}, seen_by="Bo")
    assert len(bo.ids(text="ring", seen_by="Bo")) == 0


def test_one_waits_for_another_who_writes(ada, bo):
    done = threading.Event()

    def grade() -> None:
        bo.grade(1, "X", grader="Bo")
        done.set()

    with ThreadPoolExecutor(1) as threads:
        with ada.operation("A page"):
            ada.grade(1, "A", grader="Ada")
            waiting = threads.submit(grade)
            assert not done.wait(0.2)
        waiting.result()
    assert (ada.candidate(1).grade, ada.candidate(1).grader) == ("X", "Bo")
    assert ada.candidate(1, seen_by="Ada").grade == "A"


def test_one_who_waits_too_long_is_told_and_nothing_is_written(ada, bo):
    with bo._home.engine.connect() as connection:  # of the pool that the next write takes
        connection.connection.driver_connection.autocommit = True
        connection.connection.cursor().execute("SET lock_timeout = '100ms'")
        connection.connection.driver_connection.autocommit = False
    with ada.operation("A page"):
        ada.grade(1, "A", grader="Ada")
        with pytest.raises(ProjectError, match="somebody else is writing"):
            bo.grade(2, "X", grader="Bo")
    assert bo.candidate(2).grade is None


# A server that goes away ----------------------------------------------------------------------------------------------


def test_a_cut_connection_is_made_anew_for_the_next_grade(ada, server):
    server.cut_connections()
    ada.grade(1, "A", grader="Ada")
    assert ada.candidate(1).grade == "A"


def test_cut_in_the_middle_of_an_operation_all_of_it_is_taken_back(ada, server):
    ada.grade(1, "B", grader="Ada")
    with pytest.raises(ConnectionLostError, match="what was given before is safe"):
        _cut_while_grading(ada, server)
    ada.news()
    assert [row.grade for row in ada.rows([1, 2, 3])] == ["B", None, None]
    assert len(ada.journal()) == 1


def _cut_while_grading(ada, server):
    with ada.operation("A page"):
        ada.grade([1, 2], "A", grader="Ada")
        server.cut_connections()
        ada.grade(3, "A", grader="Ada")


def test_a_server_that_is_away_is_said_at_once_and_found_again(ada, bo, server):
    ada.grade(1, "A", grader="Ada")
    server.stop()
    with pytest.raises(ConnectionLostError):
        ada.grade(2, "B", grader="Ada")
    server.start()
    with pytest.raises(ConnectionLostError):  # nobody waits but who looks whether it is back
        ada.grade(2, "B", grader="Ada")
    ada.news()
    ada.grade(2, "B", grader="Ada")
    assert _look(bo).ids == (1, 2)


def test_one_who_vanished_in_the_middle_of_a_write_is_let_go_of(ada, server):
    kept = server.query(
        "SELECT setting FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout') AND setting = '0'"
    )
    assert kept == [("0",)]  # of the server itself; each client of ours asks for another
    with ada.reading() as connection:
        asked = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("idle_in_transaction_session_timeout", "lock_timeout", "tcp_keepalives_idle")
        }
    assert asked == {"idle_in_transaction_session_timeout": "2min", "lock_timeout": "20s", "tcp_keepalives_idle": "10"}


def test_many_grades_while_a_connection_is_cut_again_and_again(ada, server):
    """What was acknowledged is there; what was not may be, where only the answer was lost."""

    def cut() -> None:
        for _ in range(8):
            time.sleep(0.05)
            server.cut_connections()

    given: dict[int, str] = {}
    with ThreadPoolExecutor(1) as threads:
        cutting = threads.submit(cut)
        for number, grade in zip(itertools.cycle(range(1, 41)), itertools.cycle("ABCXX"), strict=False):
            while given.get(number) != grade:
                try:
                    ada.grade(number, grade, grader="Ada")
                except ConnectionLostError:
                    _look(ada)
                else:
                    given[number] = grade
            if cutting.done():
                break
        cutting.result()
    _look(ada)
    found = {row.id: row.grade for row in ada.rows(range(1, 41)) if row.grade}
    assert given.items() <= found.items()


def _look(project):
    while True:
        try:
            return project.news()
        except ConnectionLostError:
            time.sleep(0.01)
