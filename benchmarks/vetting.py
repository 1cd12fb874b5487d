"""From the key that grades to the next stamp on the screen, and a page of the gallery, against matplotlib.

The stamps are those of a mosaic that is made here, and the same number of FITS files. Between two keys the window has a
moment, as from any person; matplotlib reads, stretches and draws the same stamps at the same size, one view of each,
while the window draws all of its views.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["MPLBACKEND"] = "Agg"

import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from measure import report, write_sky
from PySide6.QtCore import QEvent, QObject, QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from deeplense_gui import style
from deeplense_gui.main_window import MainWindow
from deeplense_gui.preferences import Preferences
from deeplense_gui.session import Session
from engine.catalogue.store import Project
from engine.images.mosaic import open_mosaic
from engine.types import Detection, Mosaic

PAGE = 100
SIDE = 64  # pixels of a stamp


class Watch(QObject):
    """Counts the paints of a widget."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self.paints = 0
        widget.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Count."""
        self.paints += event.type() == QEvent.Type.Paint
        return False


def until(condition: Callable[[], bool], patience: float = 120) -> None:
    """Let the window work until something holds."""
    end = time.perf_counter() + patience
    while not condition():
        QApplication.processEvents()
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


def grade_all(window: MainWindow, count: int, pause: float) -> list[float]:
    """Seconds from each key to the next stamp painted."""
    session, inspector = window.session, window.panels["inspector"]
    watch = Watch(inspector.grid.large)
    times = []
    for number in range(count - 1):
        breathe(pause)
        before, painted = session.selection, watch.paints
        start = time.perf_counter()
        QTest.keyClick(window.focusWidget() or window, (Qt.Key.Key_X, Qt.Key.Key_C, Qt.Key.Key_B)[number % 3])
        until(
            lambda before=before, painted=painted: (
                session.selection != before and inspector.grid.large.picture is not None and watch.paints > painted
            )
        )
        times.append(time.perf_counter() - start)
    return times


def show_page(window: MainWindow) -> float:
    """Seconds from nothing to a page of a hundred stamps painted, none of them read before."""
    gallery = window.panels["gallery"]
    window.docks["gallery"].raise_()
    window.spread_list()
    gallery.size.setValue(64)
    breathe(1.0)
    gallery.field.setValue(gallery.field.value() * 1.5)  # other stamps than were read while the window opened
    watch = Watch(gallery.view.viewport())
    until(lambda: len(gallery.view.in_view()) >= PAGE, 20)
    rows = gallery.view.in_view()[:PAGE]
    start, painted = time.perf_counter(), watch.paints
    until(lambda: all(gallery._picture(row) is not None for row in rows) and watch.paints > painted)
    return time.perf_counter() - start


def stretched(pixels: np.ndarray) -> np.ndarray:
    """Asinh between percentiles."""
    low, high = np.percentile(pixels, [1, 99.5])
    return np.arcsinh(10 * np.clip((pixels - low) / (high - low), 0, 1))


def draw_one(read: Callable[[int], np.ndarray], count: int, side: int) -> list[float]:
    """Seconds that matplotlib takes for each stamp."""
    figure, axes = plt.subplots(figsize=(side / 100, side / 100), dpi=100)
    times = []
    for number in range(count):
        start = time.perf_counter()
        axes.clear()
        axes.imshow(stretched(read(number)), origin="lower", cmap="gray")
        axes.set_title(f"candidate {number}")
        figure.canvas.draw()
        times.append(time.perf_counter() - start)
    plt.close(figure)
    return times


def draw_page(read: Callable[[int], np.ndarray]) -> float:
    """Seconds that matplotlib takes for a page of ten by ten."""
    start = time.perf_counter()
    figure, axes = plt.subplots(10, 10, figsize=(9, 9), dpi=100)
    for number, place in enumerate(axes.flat):
        place.imshow(stretched(read(number)), origin="lower", cmap="gray")
        place.set_axis_off()
    figure.canvas.draw()
    spent = time.perf_counter() - start
    plt.close(figure)
    return spent


def facts(times: list[float]) -> dict[str, float]:
    """Median and 99th percentile, milliseconds."""
    return {
        "median_ms": round(1000 * statistics.median(times), 2),
        "p99_ms": round(1000 * float(np.percentile(times, 99)), 2),
    }


def in_window(folder: Path, opened: Path, count: int, pause: float) -> tuple[list[float], float, int]:
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
    times = grade_all(window, count, pause)
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

        keys, page, side = in_window(folder, project, options.count, options.pause)
        stamp_keys, stamp_page, _ = in_window(folder, folder / "stamps", options.count, options.pause)
        some = min(options.count, 200)
        theirs, theirs_files = draw_one(from_mosaic, some, side), draw_one(from_file, some, side)
        their_page = draw_page(from_mosaic)
    ratio = statistics.median(theirs) / statistics.median(keys)
    report(
        "vetting",
        ratio=ratio,
        goal=10,
        mosaic=facts(keys),
        stamps=facts(stamp_keys),
        matplotlib_mosaic=facts(theirs),
        matplotlib_stamps=facts(theirs_files),
        ratio_stamps=round(statistics.median(theirs_files) / statistics.median(stamp_keys), 2),
        page_ms=round(1000 * page, 1),
        page_of_stamps_ms=round(1000 * stamp_page, 1),
        matplotlib_page_ms=round(1000 * their_page, 1),
        ratio_page=round(their_page / page, 2),
        p99_met=max(facts(keys)["p99_ms"], facts(stamp_keys)["p99_ms"]) < 50,
    )


if __name__ == "__main__":
    main()
