"""Frame times of the mosaic while the whole window scans it, beside those of the same window at rest.

A real scan with the bundled finder runs in the worker; candidates stream into the list and the circles meanwhile. A
frame is a move of 24 pixels, its paint, and all the window has to do then. Runs on Qt's offscreen platform. ``ratio``
is 50 ms over the worst frame: 1 or more is the promise.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import report, write_sky
from moving import facts, frames, path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
LONGEST = 50.0  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="mosaic, pixels")
    parser.add_argument("--seconds", type=float, default=20, help="how long to pan at the most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deeplense-benchmark-") as folder:
        os.environ["DEEPLENSE_CACHE"] = folder
        measure(folder, options)


def measure(folder: str, options: argparse.Namespace) -> None:
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from deeplense_gui import style
    from deeplense_gui.__main__ import SWITCH_SECONDS
    from deeplense_gui.main_window import MainWindow
    from deeplense_gui.preferences import Preferences
    from deeplense_gui.session import Session

    sys.setswitchinterval(SWITCH_SECONDS)
    application = QApplication([])
    style.apply(application)
    preferences = Preferences(QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat))
    session = Session(preferences=preferences)
    window = MainWindow(session)
    window.resize(1600, 900)
    window.show()
    file = Path(folder) / "sky.fits"
    write_sky(file, options.side, sources=options.side**2 // 4000)

    def wait(done: object) -> None:
        while not done():
            application.processEvents()
            time.sleep(0.005)

    session.open_mosaic([file])
    canvas = window.panels["mosaic"].canvas
    wait(lambda: canvas.is_complete and not session.jobs.unfinished)  # the model is loaded too
    wait(lambda: not canvas._reader._has_work())
    canvas.centre_on(options.side / 2, options.side / 2, zoom=1.0)
    places = list(path(options.side, int(60 * options.seconds)))
    rest = frames([lambda x=x, y=y: canvas.centre_on(x, y) for x, y in places[:300]], canvas.repaint, application)
    session.scan()
    wait(lambda: len(session.ids()) > 0 or session.scan_job is None)
    found: list[np.ndarray] = []
    started = time.perf_counter()
    for x, y in places:
        if session.scan_job is None or time.perf_counter() - started > options.seconds:
            break
        found.append(frames([lambda x=x, y=y: canvas.centre_on(x, y)], canvas.repaint, application))
    busy, under_way = np.concatenate(found), session.scan_job is not None
    candidates = len(session.ids())
    window.close()
    preferences.settings.sync()  # else written when the folder is gone
    report(
        "pan while scanning",
        ratio=float(LONGEST / busy[:, 0].max()),
        goal=1,
        platform="offscreen",
        side=options.side,
        frames=len(busy),
        candidates=candidates,
        scan_ended=not under_way,
        milliseconds=facts(busy),
        over_50_ms=int((busy[:, 0] > LONGEST).sum()),
        at_rest=facts(rest),
        load=os.getloadavg()[0],
    )


if __name__ == "__main__":
    main()
