"""A project of a million candidates: open, sort, filter, grade and the memory of the list.

Prints one JSON line: milliseconds of each as [first, median, worst, processor time of the first, of the median], the
memory of a process that opens the project and lists everything beyond one that opens an empty project, and how much
sooner the list is there than through an object for every candidate, in the same run. The first time reads a column from
the file. Processor time is what counts on a machine that others use as well.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import write_sky

from engine.catalogue import Project, Query
from engine.catalogue.queues import queue
from engine.images.mosaic import open_mosaic
from engine.types import Detection

COUNT = int(os.environ.get("DEEPLENSE_CANDIDATES", 1_000_000))
GRADED = min(20_000, COUNT // 4)
SIDE = 4096  # pixels of the mosaic
LISTS = {
    "sort_score": {},
    "sort_score_ascending": {"descending": False},
    "sort_spread": {"order": "spread"},
    "sort_ra": {"order": "ra"},
    "sort_name": {"order": "name", "descending": False},
    "sort_model": {"order": "model"},
    "sort_grade": {"order": "grade"},
    "sort_random": {"order": "random", "seed": 3},
    "filter_score": {"min_score": 0.9},
    "filter_grade": {"grades": {"A", "B"}},
    "filter_ungraded": {"grades": {None}},
    "filter_ranges": {"ranges": {"flux": (20, 60), "signal_to_noise": (10, 50)}},
    "filter_text": {"text": "0123"},
    "ungraded_by_one": queue("ungraded", grader="Ada"),
    "disagreements": queue("disagreements", grader="Ada"),
    "few_graders": queue("few graders", grader="Ada"),
}


def fill(path: Path) -> None:
    """Write a project, and beside it the mosaic that its candidates are on."""
    random = np.random.default_rng(1)
    write_sky(path.with_name("field.fits"), SIDE, sources=1000)
    mosaic = open_mosaic(path.with_name("field.fits"))
    with Project.create(path) as project:
        run = project.start_run(mosaic, "finder-1")
        project.add(run, [Detection(0, 0, 0, 0, 1, 1, 1, 0.5, 0.5, 0, "finder-1")])
    side = int(np.ceil(np.sqrt(COUNT)))
    y, x = np.divmod(np.arange(1, COUNT), side)
    apart = SIDE / side
    score, spread, flux, signal = random.random((4, COUNT - 1))
    rows = (
        (i + 2, f"DLG J{i:09d}", 10 + a / 1e5, b / 1e5, apart * a, apart * b, 100 * f, 3.0, 100 * n, s, s, p)
        for i, (a, b, s, p, f, n) in enumerate(
            zip(x.tolist(), y.tolist(), score.tolist(), spread.tolist(), flux.tolist(), signal.tolist(), strict=True)
        )
    )
    with sqlite3.connect(path) as database:  # the store itself adds as many in half a minute
        database.executemany(
            "INSERT INTO candidates (id, mosaic, name, ra, dec, x, y, flux, radius, signal_to_noise, score, raw_score,"
            " spread, model, run) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'finder-1', 1)",
            rows,
        )
    with Project.open(path) as project:
        ids = random.permutation(np.arange(1, COUNT + 1))[:GRADED]
        for who, shift in (("Ada", 0), ("Bo", GRADED // 4)):
            for part, grade in zip(np.array_split(ids[shift:], 4), "ABCX" if who == "Ada" else "XCBA", strict=True):
                project.grade(part, grade, grader=who)


def timed(repeats: int, work: Callable[[], object]) -> list[float]:
    """First, median and worst of the wall's milliseconds; the first and the median of the processor's."""
    walls, processors = [], []
    for _ in range(repeats + 1):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(1000 * (time.perf_counter() - wall))
        processors.append(1000 * (time.process_time() - processor))
    again = walls[1:], processors[1:]
    return [walls[0], statistics.median(again[0]), max(again[0]), processors[0], statistics.median(again[1])]


def open_and_list(path: Path) -> None:
    """What the window does to show a project: the list, its first rows, the counts, where the candidates are."""
    with Project.open(path) as project:
        project.rows(project.ids()[:256])
        project.counts()
        project.positions("id")


def memory(path: Path) -> float:
    """MiB at the peak of a process that opens a project and lists all of it."""
    code = f"""
from engine.catalogue import Project
with Project.open({str(path)!r}) as project:
    ids = project.ids()
    rows = project.rows(ids[:1000])
    positions = project.positions()
status = open("/proc/self/status").read()  # not getrusage, which remembers the process that forked this one
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, empty = Path(folder) / "million.deeplense", Path(folder) / "empty.deeplense"
        fill(path)
        Project.create(empty).close()
        opened = timed(5, lambda: open_and_list(path))
        with Project.open(path) as project:
            project.ids()
            lists = {}
            for name, query in LISTS.items():
                given = (query, {}) if isinstance(query, Query) else (None, query)
                lists[name] = timed(3, lambda given=given: project.ids(given[0], **given[1]))
            wanted = iter(project.ids(grades={None}, seen_by="Ada")[:100].tolist())
            grades = timed(50, lambda: project.grade(next(wanted), "A", grader="Ada", display={"stretch": "asinh"}))
            undos = timed(20, project.undo)
            some = project.ids()[: COUNT // 10]
            objects = 10 * timed(1, lambda: sorted(project.rows(some), key=lambda row: -row.score))[1]
        base = memory(empty)
        result = {
            "candidates": COUNT,
            "open_ms": opened,
            **{f"{name}_ms": times for name, times in lists.items()},
            "grade_ms": grades,
            "undo_ms": undos,
            "memory_mib": memory(path) - base,
            "memory_empty_mib": base,
            "ratio_to_objects": objects / lists["sort_score"][1],
        }
    print(json.dumps({name: np.round(value, 1).tolist() for name, value in result.items()}))


if __name__ == "__main__":
    main()
