"""Start the window: ``deeplense-gui [FILES...] [--project P] [--demo] [--screenshot FILE]``."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from deeplense_gui import style
from deeplense_gui.main_window import MainWindow
from deeplense_gui.preferences import Preferences, is_address
from deeplense_gui.screenshot import Photographer
from deeplense_gui.session import Session
from engine.errors import EngineError

SWITCH_SECONDS = 0.001  # a frame asks for the interpreter several times, and waits as long for each while a job runs


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="deeplense-gui", description="Find and judge strong gravitational lenses in survey mosaics."
    )
    parser.add_argument("files", nargs="*", help="a mosaic (one file, or one a band) or a project")
    parser.add_argument("--project", help="open this project (a file, or postgresql://…), or start it if there is none")
    parser.add_argument("--demo", action="store_true", help="open and scan the simulated demo field")
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="scan, select the best, save a picture and quit")
    parser.add_argument("--size", default="1440x900", metavar="WxH", help="window size of the screenshot")
    return parser.parse_args(arguments)


def start(options: argparse.Namespace, application: QApplication) -> MainWindow:
    """Make the window, show it, and open what the command line names."""
    preferences = Preferences()
    if options.screenshot:  # a picture neither follows this user's settings nor changes them
        folder = tempfile.mkdtemp(prefix="deeplense-")
        preferences = Preferences(QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat))
    style.apply(application, preferences.theme)
    session = Session(preferences=preferences)
    window = MainWindow(session)

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, EngineError):  # what one can put right is no crash, wherever it comes up
            session.say(str(error), "error")
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        logging.getLogger(__name__).error(text)
        session.crashed.emit("An action in the window", text)

    sys.excepthook = report
    window.show()
    if options.project is not None:
        known = is_address(options.project) or Path(options.project).exists()
        (session.open_project if known else session.new_project)(options.project)
    if options.files:
        window.open_files(options.files)
    if options.demo or (options.screenshot and not options.files):
        session.open_demo()
    if options.screenshot:
        width, height = (int(part) for part in options.size.split("x"))
        window.resize(width, height)
        Photographer(window, options.screenshot, scan=bool(options.files)).setParent(window)
    return window


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the window until it is closed; the exit status is 0, or 2 when a screenshot could not be made."""
    options = parse(arguments)
    logging.basicConfig(level=logging.WARNING)
    sys.setswitchinterval(SWITCH_SECONDS)
    application = QApplication.instance() or QApplication(sys.argv[:1])
    application.setApplicationName("DeepLense GUI")
    application.setApplicationDisplayName("DeepLense")
    application.setDesktopFileName("io.github.deeplense.DeepLenseGUI")
    window = start(options, application)
    signal.signal(signal.SIGINT, lambda *_: window.close())
    heartbeat = QTimer(interval=300)  # lets Python see Ctrl+C while Qt waits
    heartbeat.timeout.connect(lambda: None)
    heartbeat.start()
    return application.exec()


if __name__ == "__main__":
    multiprocessing.freeze_support()  # a bundled window starts itself again to look for sources
    sys.exit(main())
