"""The connection to SAMP as the window sees it: what comes in other threads is told in this one."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Qt, Signal

from engine.types import Step

LAST_SECONDS = 3.0  # that closing waits for the hub


class SampLink(QObject):
    """``changed`` when connected, parted, or other programs came or went; ``heard(Message)``; ``lost(text)``; and
    ``pointed(x, y)`` when another program points at a pixel of the shown mosaic, ``catalogue(path)`` when a table that
    one sent is to be matched.

    ``sent`` holds the candidate ids of each table that was sent, by its id at the hub, the newest last.
    """

    changed = Signal()
    heard = Signal(object)
    lost = Signal(str)
    pointed = Signal(float, float)
    catalogue = Signal(object)
    _told = Signal(object, str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.connection: Any = None
        self.clients: tuple[Any, ...] = ()
        self.sharing = False
        self.sent: dict[str, NDArray[np.int64]] = {}
        self.urls: dict[str, str] = {}
        self._folder: Path | None = None
        self._opening: Any = None
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    @property
    def connected(self) -> bool:
        """Whether there is a hub that knows of us."""
        return self.connection is not None

    @property
    def others(self) -> tuple[Any, ...]:
        """The programs at the hub that take something of ours, by name."""
        return tuple(sorted((one for one in self.clients if one.accepts_any), key=lambda one: one.name.casefold()))

    @property
    def folder(self) -> Path:
        """Where files for others lie until the window closes."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="deeplense-sent-"))
        return self._folder

    def opening(self, start_hub: bool) -> Iterator[Step]:
        """Connect; for the worker. The item of the last step is the connection, None where no hub runs."""
        yield Step(0, 0, note="Looking for a SAMP hub")
        from engine.exchange.background import wait_for
        from engine.exchange.samp import Connection

        self._opening = connection = Connection(
            on_message=lambda message: self._told.emit(connection, "message", message),
            on_clients=lambda clients: self._told.emit(connection, "clients", clients),
            on_lost=lambda text: self._told.emit(connection, "lost", text),
        )
        opened = False
        try:
            opened = yield from wait_for("The SAMP hub", lambda: connection.open(start_hub=start_hub), seconds=20)
        finally:
            if not opened:
                connection.close()
        yield Step(1, 1, (connection if opened else None,))

    def use(self, connection: Any) -> None:
        """Take a connection that was opened."""
        self.connection, self.clients = connection, connection.clients
        self.changed.emit()

    def part(self) -> Any:
        """Be connected no more; returns the connection, which is still to be closed."""
        parted, self.connection, self.clients = self.connection, None, ()
        self.forget_sent()
        self.changed.emit()
        return parted

    def forget_sent(self) -> None:
        """Link no table any more: another project numbers its candidates anew."""
        self.sent.clear()
        self.urls.clear()

    def close(self) -> None:
        """End the connection and drop the files for others; for the end of the program."""
        open_ones = {id(one): one for one in (self.connection, self._opening) if one is not None}
        threads = [threading.Thread(target=one.close, daemon=True) for one in open_ones.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LAST_SECONDS)
        self.connection = self._opening = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, connection: Any, kind: str, what: Any) -> None:
        if connection is not self.connection:
            return
        if kind == "message":
            self.heard.emit(what)
        elif kind == "clients":
            self.clients = what
            self.changed.emit()
        else:
            self.part()
            self.lost.emit(what)


def closing(connection: Any) -> Callable[[], Iterator[Step]]:
    """A job that closes a connection."""

    def job() -> Iterator[Step]:
        yield Step(0, 0)
        connection.close()
        yield Step(1, 1)

    return job
