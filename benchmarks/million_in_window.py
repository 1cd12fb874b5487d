"""The window with a million candidates on their mosaic: what a person waits for.

Prints one JSON line, in milliseconds. Until the window answers after the project is opened and after the first sort by
a column, as [wall, processor]. From a key that grades until the window answers and has painted, in the whole list, in
the queue of what is not graded, with a filter and in groups by grade, as [median, worst, processor median, processor
worst]; and for how long it does not answer once more while it catches up with that grade, [median, worst]. Processor
time is that of the window's thread: what counts on a machine that others use as well.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from million_candidates import COUNT, fill
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from deeplense_gui import style
from deeplense_gui.main_window import MainWindow
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session

KEYS = (Qt.Key.Key_X, Qt.Key.Key_C, Qt.Key.Key_B, Qt.Key.Key_A)
SORTS = ("flux", "spread", "ra", "y", "signal_to_noise", "name", "model")
SETTLED = 3.0  # seconds after which a window does nothing more by itself
LISTS = {
    "list": {},
    "ungraded_queue": {"queue": "ungraded"},
    "grade_filter": {"queue": "", "grades": frozenset({None})},
    "grade_groups": {"grades": None, "group": "grade"},
}


def wait(seconds: float) -> float:
    """Let the window work for a while; the longest that it did not answer meanwhile, milliseconds of its thread."""
    longest, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.thread_time()
        QApplication.processEvents()
        longest = max(longest, time.thread_time() - before)
        time.sleep(0.002)
    return 1000 * longest


def grade(window: MainWindow, repeats: int = 20) -> dict[str, list[float]]:
    """Keys that grade, with a moment between two."""
    walls, processors, pauses = [], [], []
    for number in range(repeats):
        wall, processor = once(lambda number=number: QTest.keyClick(focused(window), KEYS[number % len(KEYS)]))
        walls.append(wall)
        processors.append(processor)
        pauses.append(wait(0.6))
    facts = [statistics.median(walls), max(walls), statistics.median(processors), max(processors)]
    return {"key": facts, "catches_up": [statistics.median(pauses), max(pauses)]}


def focused(window: MainWindow) -> QWidget:
    """What has the keys."""
    return window.focusWidget() or window


def once(work: Callable[[], object]) -> list[float]:
    """Wall and processor time until the window answers again and has painted."""
    wall, processor = time.perf_counter(), time.thread_time()
    work()
    QApplication.processEvents()
    return [1000 * (time.perf_counter() - wall), 1000 * (time.thread_time() - processor)]


def first_sorts(session: Session) -> dict[str, list[float]]:
    """The list anew by columns that nobody has sorted by."""
    times = {}
    for column in SORTS:
        times[column] = once(lambda column=column: session.set_filters(order=column))
        wait(0.5)
    session.set_filters(order="score")
    return times


def main() -> None:
    application = QApplication([])
    style.apply(application, "dark")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "million.deeplense"
        fill(path)
        settings = QSettings(str(Path(name) / "settings.ini"), QSettings.Format.IniFormat)
        session = Session(preferences=Preferences(settings))
        session.warm_up = lambda: None  # torch is not what is measured
        window = MainWindow(session)
        window.resize(1920, 1080)
        window.show()
        wait(SETTLED)
        result: dict[str, object] = {"candidates": COUNT}
        result["open_ms"] = once(lambda: window.open_files([path]))
        start = time.perf_counter()
        result["after_opening_ms"] = wait(SETTLED)
        while session.jobs.unfinished:
            result["after_opening_ms"] = max(result["after_opening_ms"], wait(0.1))
        result["read_ahead_within_s"] = time.perf_counter() - start
        result["first_sort_ms"] = first_sorts(session)
        for label, filters in LISTS.items():
            session.set_filters(**filters)
            session.select(int(session.ids()[0]))
            wait(SETTLED)
            result[f"grade_in_{label}_ms"] = grade(window)
        window.close()
    print(json.dumps(rounded(result)))


def rounded(value: object) -> object:
    """Milliseconds to a tenth."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 1) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
