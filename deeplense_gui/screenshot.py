"""Takes a picture of the window once there is something to see: the scan done, the best candidate explained."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

from deeplense_gui.main_window import MainWindow

log = logging.getLogger(__name__)
SETTLE_MS = 1500
PATIENCE_MS = 120_000  # a busy machine takes long to load torch and a model


class Photographer(QObject):
    """Waits for the scan and the first saliency map, saves the window as a PNG, and quits with 0; 2 on any error."""

    def __init__(self, window: MainWindow, path: Path, *, scan: bool) -> None:
        super().__init__(window)
        self._window, self._path, self._scan = window, path, scan
        self._done = False
        session = window.session
        session.mosaic_opened.connect(self._on_mosaic)
        session.scanning.connect(self._on_scanning)
        session.message.connect(self._on_message)
        session.crashed.connect(lambda title, trace: self._fail(trace))

    def _on_mosaic(self, mosaic: object) -> None:
        if mosaic is not None:
            QTimer.singleShot(0, self, self._begin)

    def _begin(self) -> None:
        """Scan given files; the demo scans by itself, unless it was scanned before."""
        session = self._window.session
        if self._scan:
            self._scan = False
            session.scan()
        elif session.scan_job is None and len(session.ids()):
            self._explain()

    def _on_scanning(self, under_way: bool) -> None:
        if not under_way:
            QTimer.singleShot(0, self, self._explain)

    def _explain(self) -> None:
        """Select the best and ask why; the picture is taken when the answer has settled."""
        session = self._window.session
        ids = session.ids()
        if len(ids):
            session.select(int(ids[0]))
            session.explained.connect(lambda *_: QTimer.singleShot(SETTLE_MS, self, self._take))
            session.explain(session.saliency_methods()[0])
        QTimer.singleShot(PATIENCE_MS if len(ids) else SETTLE_MS, self, self._take)

    def _take(self) -> None:
        if self._done:
            return
        self._done = True
        saved = self._window.grab().save(str(self._path))
        self._quit(0 if saved else 2)

    def _on_message(self, text: str, level: str, _choices: object) -> None:
        if level == "error":
            self._fail(text)

    def _fail(self, text: str) -> None:
        self._done = True
        log.error("no picture was taken: %s", text)
        self._quit(2)

    def _quit(self, status: int) -> None:
        self._window.close()
        QTimer.singleShot(0, lambda: QApplication.exit(status))
