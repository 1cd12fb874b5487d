"""Make the screenshots of the guide from the running program: ``python docs/make_screenshots.py [FOLDER]``.

They show the demo field as any user sees it: opened, scanned, a few candidates graded, the best one explained. Nothing
is drawn by hand. Needs no display. The demo field is made anew, so that your own grades of it stay as they are; name a
folder that holds one in ``DEEPLENSE_CACHE`` to save the minutes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("DEEPLENSE_CACHE", tempfile.mkdtemp(prefix="deeplense-"))
PATIENCE = 900  # seconds; the first run makes the demo field
SETTLE = 1.5
GRADES = "AABXABC"


def wait(application: object, condition: Callable[[], object], what: str) -> None:
    """Run the window until something has happened."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited too long for {what}")
        application.processEvents()
        time.sleep(0.01)


def settle(application: object) -> None:
    """Run the window for a moment, so that tiles and stamps are drawn."""
    deadline = time.monotonic() + SETTLE
    wait(application, lambda: time.monotonic() > deadline, "a moment")


def main(folder: Path) -> None:
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from deeplense_gui import style
    from deeplense_gui.main_window import MainWindow
    from deeplense_gui.preferences import Preferences
    from deeplense_gui.session import Session

    folder.mkdir(parents=True, exist_ok=True)
    settings = Path(tempfile.mkdtemp()) / "settings.ini"
    preferences = Preferences(QSettings(str(settings), QSettings.Format.IniFormat))
    preferences.grader = "Vera"
    application = QApplication(sys.argv[:1])
    style.apply(application, preferences.theme)
    session = Session(preferences=preferences)
    session.crashed.connect(lambda title, trace: sys.exit(f"{title}: {trace}"))
    window = MainWindow(session)
    window.resize(1440, 900)
    window.show()

    def take(name: str, widget: object = window) -> None:
        settle(application)
        widget.grab().save(str(folder / f"{name}.png"))

    take("start")
    session.open_demo()
    wait(application, lambda: session.scan_job is not None, "the demo field")
    wait(application, lambda: len(session.ids()) > 50, "the first candidates")
    take("scanning")
    wait(application, lambda: session.scan_job is None, "the scan")
    session.select(int(session.ids()[0]))
    for letter in GRADES:
        session.grade(letter)
    explained: list[object] = []
    session.explained.connect(lambda *found: explained.append(found))
    session.select(int(session.ids()[0]))
    take("window")
    session.explain("gradcam")
    wait(application, lambda: explained, "the saliency map")
    take("saliency", window.panels["inspector"])
    window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
