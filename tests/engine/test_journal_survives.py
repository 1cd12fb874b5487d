"""Kill the program in the middle of grading, undoing and changing the scheme: what was shown is there afterwards."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.catalogue import Project
from engine.catalogue.scheme import LETTERS, NUMBERS
from tests.engine.catalogue_parts import fill

KILLS = int(os.environ.get("DEEPLENSE_KILLS", "20"))  # more of them take longer and see more

# Imports once, then forks a grader for each line it reads. The grader opens the project itself, and prints a grade only
# when the store has returned; every seventh is taken back, shown as a negative number.
GRADERS = """
import os, sys
from engine.catalogue import Project

def say(number):
    os.write(1, b"%d\\n" % number)  # at once: print writes the end of the line apart where Python is unbuffered

def grade():
    project = Project.open(sys.argv[1])
    say(os.getpid())
    for number in project.ids(grades={None}, order="id", descending=False).tolist():
        project.grade(number, "ABCX"[number % 4], grader="Ada", display={"stretch": "asinh"}, dwell=0.1)
        say(number)
        if number % 7 == 0:
            project.undo()
            say(-number)

assert "torch" not in sys.modules
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        grade()
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a word of POSIX")
def test_kills_in_the_middle_of_grading(tmp_path):
    path = tmp_path / "team.deeplense"
    dice = random.Random(20)
    with Project.create(path) as project:
        fill(project, *[0.5] * 20_000)
    command = [sys.executable, "-c", GRADERS, str(path)]
    shown: dict[int, str | None] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as graders:
        for run in range(KILLS):
            graders.stdin.write("next\n")
            graders.stdin.flush()
            grader = int(graders.stdout.readline())
            lines = [graders.stdout.readline()] if run % 2 else []  # on a busy machine some never come to a grade
            time.sleep(dice.uniform(0.01, 0.15))
            os.kill(grader, signal.SIGKILL)
            while not (line := graders.stdout.readline()).startswith("ended"):
                assert line, "the graders are gone"
                lines.append(line)
            assert line == f"ended {-signal.SIGKILL}\n"
            for number in map(int, lines):
                shown[abs(number)] = "ABCX"[number % 4] if number > 0 else None
            shown = _check(path, shown, abs(int(lines[-1])) if lines else 0)
    assert len(shown) >= KILLS // 2


def _check(path: Path, shown: dict[int, str | None], last: int) -> dict[int, str | None]:
    """Compare what was shown with what is there; at the most one write was on disk and not yet shown."""
    with Project.open(path) as project:
        said = {row.id: row.grade for row in project.rows(project.ids(grades={"A", "B", "C", "X"}))}
        events = project.journal()
    differ = [number for number in said.keys() | shown.keys() if said.get(number) != shown.get(number)]
    assert len(differ) <= 1, "a grade that was shown is not there"
    # One more grade, or the undo of the last one.
    assert all(number not in shown or shown[number] is None or (number == last and last % 7 == 0) for number in differ)
    assert len({event.uuid for event in events}) == len(events) >= len(said)
    return {**said}


# Page after page is graded as one operation, taken back, given again, and then the scheme changed; ``step`` counts on
# from the number it reads. What is done is printed only then.
PAGES = """
import os, sys
from engine.catalogue import Project
from engine.catalogue.scheme import LETTERS, NUMBERS

def step(project, number):
    page, part = divmod(number, 4)
    if part == 0:
        project.grade(range(10 * page + 1, 10 * page + 11), "A", grader="Ada")
    elif part == 3:
        project.set_scheme((NUMBERS, LETTERS)[page % 2], grader="Ada")
    else:
        assert (project.undo() if part == 1 else project.redo()) is not None

def go_on(number):
    with Project.open(sys.argv[1]) as project:
        os.write(1, b"%d\\n" % os.getpid())
        while True:
            step(project, number)
            number += 1
            os.write(1, b"%d\\n" % number)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        go_on(int(line))
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _after(steps: int) -> tuple[list[int], str]:
    """Who has a grade, and the scheme, when so many steps of PAGES are done."""
    pages, part = divmod(steps, 4)
    graded = 10 * (pages + (part in (1, 3)))
    return list(range(1, graded + 1)), (LETTERS, NUMBERS)[pages % 2].stored()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a word of POSIX")
def test_kills_in_the_middle_of_undo_redo_and_a_change_of_the_scheme(tmp_path):
    path, dice, steps = tmp_path / "team.deeplense", random.Random(5), 0
    with Project.create(path) as project:
        fill(project, *[0.5] * 20_000)
    with subprocess.Popen(
        [sys.executable, "-c", PAGES, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as program:  # fmt: skip
        for run in range(KILLS):
            program.stdin.write(f"{steps}\n")
            program.stdin.flush()
            child = int(program.stdout.readline())
            lines = [program.stdout.readline()] if run % 2 else []
            time.sleep(dice.uniform(0.0, 0.1))
            os.kill(child, signal.SIGKILL)
            while not (line := program.stdout.readline()).startswith("ended"):
                assert line, "the program is gone"
                lines.append(line)
            assert line == f"ended {-signal.SIGKILL}\n"
            steps = int(lines[-1]) if lines else steps
            with Project.open(path) as project:
                found = project.ids(grades={"A"}, order="id", descending=False).tolist(), project.scheme().stored()
            assert found in (_after(steps), _after(steps + 1)), "something half done, or taken for done, is not there"
            steps += found == _after(steps + 1)
    assert steps > KILLS // 2
