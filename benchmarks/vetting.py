"""From the key that grades to the next stamp on the screen, and a page of the gallery, against matplotlib.

The stamps are those of a mosaic that is made here, and the same number of FITS files. Between two keys the window has a
moment, as from any person. The key writes the grade to the disk too; matplotlib only reads, stretches and draws the
same stamps in as many views (``ratio``), or in one (``ratio_one_view``).
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["MPLBACKEND"] = "Agg"

import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from measure import report, write_sky
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from deeplense_gui import style
from deeplense_gui.main_window import MainWindow
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from deeplense_gui.widgets.stamp import StampView
from engine.catalogue.store import Project
from engine.images.mosaic import open_mosaic
from engine.types import Detection, Mosaic

PAGE = 100
VIEWS = 6  # asinh, brighter, log, sqrt, linear, residual
SIDE = 64  # pixels of a stamp


class Times(NamedTuple):
    """Seconds by the clock on the wall, and of the processor by one thread."""

    wall: list[float]
    processor: list[float]


class Painted:
    """When the large stamp was painted: the picture, wall time, and processor time of the window's thread."""

    def __init__(self) -> None:
        self.log: list[tuple[object, float, float]] = []
        original = StampView.paintEvent

        def timed(view: StampView, event: QPaintEvent) -> None:
            original(view, event)
            if view.crosshair and view.picture is not None:
                self.log.append((view.picture, time.perf_counter(), time.thread_time()))

        StampView.paintEvent = timed


def until(condition: Callable[[], bool], patience: float = 120, *, rest: float = 0.0) -> None:
    """Let the window work until something holds, with a rest between two looks where processor time is counted."""
    end = time.perf_counter() + patience
    while not condition():
        QApplication.processEvents()
        time.sleep(rest)
        if time.perf_counter() > end:
            raise SystemExit("the window did not get there in time")


def breathe(seconds: float) -> None:
    """Let the window work for a while."""
    end = time.perf_counter() + seconds
    until(lambda: time.perf_counter() > end)


def make_mosaic_project(folder: Path, count: int, side: int) -> tuple[Path, Mosaic, np.ndarray]:
    """A mosaic and a project with a candidate at each of its sources."""
    xy = write_sky(folder / "field.fits", side, sources=count)
    mosaic = open_mosaic(folder / "field.fits")
    sky = mosaic.world(xy)
    with Project.create(folder / "field.deeplense") as project:
        run = project.start_run(mosaic, "benchmark")
        found = [
            Detection(float(x), float(y), float(ra), float(dec), 1.0, 3.0, 9.0, 1 - k / count, 0.5, 0.1, "benchmark")
            for k, ((x, y), (ra, dec)) in enumerate(zip(xy, sky, strict=True))
        ]
        project.add(run, found)
        project.finish_run(run, "done")
    return folder / "field.deeplense", mosaic, xy


def write_stamps(folder: Path, mosaic: Mosaic, xy: np.ndarray) -> list[Path]:
    """The same stamps as FITS files."""
    folder.mkdir()
    paths = []
    for number, (x, y) in enumerate(np.rint(xy).astype(int)):
        pixels = mosaic.read(y - SIDE // 2, y + SIDE // 2, x - SIDE // 2, x + SIDE // 2)[0]
        paths.append(folder / f"stamp{number:04d}.fits")
        fits.writeto(paths[-1], pixels)
    return paths


def grade_all(window: MainWindow, painted: Painted, count: int, pause: float) -> Times:
    """From each key to the next stamp painted."""
    session, large = window.session, window.panels["inspector"].grid.large
    wall, processor = [], []
    for number in range(count - 1):
        breathe(pause)
        painted.log.clear()
        before, shown = session.selection, large.picture
        start, spent = time.perf_counter(), time.thread_time()
        QTest.keyClick(window.focusWidget() or window, (Qt.Key.Key_X, Qt.Key.Key_C, Qt.Key.Key_B)[number % 3])
        until(
            lambda before=before, shown=shown: (
                session.selection != before and any(picture is not shown for picture, *_ in painted.log)
            )
        )
        at, by_then = next((wall, used) for picture, wall, used in painted.log if picture is not shown)
        wall.append(at - start)
        processor.append(by_then - spent)
    return Times(wall, processor)


def show_page(window: MainWindow) -> float:
    """Processor seconds from nothing to a page of a hundred stamps read, stretched and painted."""
    gallery = window.panels["gallery"]
    window.docks["gallery"].raise_()
    window.spread_list()
    gallery.size.setValue(64)
    breathe(1.0)
    until(lambda: len(gallery.view.in_view()) >= PAGE, 20)
    rows = gallery.view.in_view()[:PAGE]
    with gallery.reader._lock:
        gallery.reader._made.clear()
    start = time.process_time()
    gallery._want()
    # The last is made last; a loop without a rest would be counted as if it were work.
    until(lambda: all(gallery._picture(row) is not None for row in reversed(rows)), rest=0.002)
    time.sleep(0.03)  # longer than a frame, so that the last of them are painted too
    QApplication.processEvents()
    return time.process_time() - start


def stretched(pixels: np.ndarray) -> np.ndarray:
    """Asinh between percentiles."""
    low, high = np.percentile(pixels, [1, 99.5])
    return np.arcsinh(10 * np.clip((pixels - low) / (high - low), 0, 1))


def draw_one(read: Callable[[int], np.ndarray], count: int, side: int, views: int = 1) -> Times:
    """What matplotlib takes for each stamp, in one view of it or in several beside each other."""
    figure, axes = plt.subplots(1, views, figsize=(side / 100, side / 100), dpi=100, squeeze=False)
    wall, processor = [], []
    for number in range(count):
        start, spent = time.perf_counter(), time.thread_time()
        pixels = stretched(read(number))
        for place in axes.flat:
            place.clear()
            place.imshow(pixels, origin="lower", cmap="gray")
        figure.suptitle(f"candidate {number}")
        figure.canvas.draw()
        wall.append(time.perf_counter() - start)
        processor.append(time.thread_time() - spent)
    plt.close(figure)
    return Times(wall, processor)


def draw_page(read: Callable[[int], np.ndarray]) -> float:
    """Processor seconds that matplotlib takes for a page of ten by ten."""
    start = time.process_time()
    figure, axes = plt.subplots(10, 10, figsize=(9, 9), dpi=100)
    for number, place in enumerate(axes.flat):
        place.imshow(stretched(read(number)), origin="lower", cmap="gray")
        place.set_axis_off()
    figure.canvas.draw()
    spent = time.process_time() - start
    plt.close(figure)
    return spent


def facts(times: Times) -> dict[str, float]:
    """Median and 99th percentile of both clocks, milliseconds."""
    return {
        f"{clock}_{name}_ms": round(1000 * float(np.percentile(values, share)), 2)
        for clock, values in (("wall", times.wall), ("processor", times.processor))
        for name, share in (("median", 50), ("p99", 99))
    }


def in_window(folder: Path, opened: Path, painted: Painted, count: int, pause: float) -> tuple[Times, float, int]:
    """Key times, seconds for a page, and the side of the large view, for a project or a folder of stamps."""
    settings = Preferences(QSettings(str(folder / f"{opened.stem}.ini"), QSettings.Format.IniFormat))
    session = Session(preferences=settings)
    session.warm_up = lambda: None  # torch is not what is measured
    window = MainWindow(session)
    window.resize(1920, 1080)
    window.show()
    window.open_files([opened])
    inspector = window.panels["inspector"]
    until(lambda: len(session.ids()) == count and inspector.grid.large.picture is not None)
    breathe(1.0)
    times = grade_all(window, painted, count, pause)
    side = min(inspector.grid.large.width(), inspector.grid.large.height())
    page = show_page(window)
    window.close()
    return times, page, side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="candidates")
    parser.add_argument("--side", type=int, default=16384, help="pixels of the mosaic")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two keys")
    options = parser.parse_args()
    application = QApplication([])
    painted = Painted()
    style.apply(application, "dark")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, mosaic, xy = make_mosaic_project(folder, options.count, options.side)
        paths = write_stamps(folder / "stamps", mosaic, xy)
        centres = np.rint(xy).astype(int)

        def from_mosaic(k: int) -> np.ndarray:
            x, y = centres[k]
            return mosaic.read(y - SIDE // 2, y + SIDE // 2, x - SIDE // 2, x + SIDE // 2)[0]

        def from_file(k: int) -> np.ndarray:
            return fits.getdata(paths[k])

        keys, page, side = in_window(folder, project, painted, options.count, options.pause)
        stamp_keys, stamp_page, _ = in_window(folder, folder / "stamps", painted, options.count, options.pause)
        some = min(options.count, 100)
        single, theirs = draw_one(from_mosaic, some, side), draw_one(from_mosaic, some, side, VIEWS)
        theirs_files = draw_one(from_file, some, side, VIEWS)
        their_page = draw_page(from_mosaic)
    report(
        "vetting",
        ratio=ratio(theirs, keys),
        goal=10,
        mosaic=facts(keys),
        stamps=facts(stamp_keys),
        ratio_one_view=round(ratio(single, keys), 2),
        matplotlib_mosaic=facts(theirs),
        matplotlib_stamps=facts(theirs_files),
        ratio_stamps=round(ratio(theirs_files, stamp_keys), 2),
        page_ms=round(1000 * page, 1),
        page_of_stamps_ms=round(1000 * stamp_page, 1),
        matplotlib_page_ms=round(1000 * their_page, 1),
        ratio_page=round(their_page / page, 2),
    )


def ratio(theirs: Times, ours: Times) -> float:
    """How many times as much processor time the others take: other programs on the machine change it little."""
    return statistics.median(theirs.processor) / statistics.median(ours.processor)


if __name__ == "__main__":
    main()
