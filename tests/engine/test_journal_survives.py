"""Kill the program in the middle of grading: what was shown as given is there afterwards."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.catalogue import Project
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
