"""A project that is open, in a file or on a server: its threads, its transactions, its copies."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from sqlalchemy import Connection, Engine

from engine.catalogue import connect, server
from engine.catalogue.advice import translated
from engine.catalogue.copies import copy_tables
from engine.catalogue.news import News
from engine.catalogue.records import now
from engine.catalogue.schema import runs
from engine.errors import ConnectionLostError, ProjectError
from engine.types import Changes

#: The ending of project files.
SUFFIX = ".deeplense"

#: For so many seconds after a server was found gone nobody else waits for it.
_GONE_FOR = 15.0


class Home(Protocol):
    """Where a project is: a file (``connect.FileHome``) or a server (``server.ServerHome``).

    ``place`` opens it again and shows no password, ``name`` is for titles, ``path`` is that of a file.
    """

    engine: Engine
    path: Path | None
    place: str
    name: str
    read_only: bool

    def reading(self, *, snapshot: bool) -> AbstractContextManager[Connection]:
        """A connection to read with."""

    def writing(self, *, durable: bool) -> AbstractContextManager[Connection]:
        """A transaction to write in."""

    def again(self) -> Home:
        """The same once more, to read."""

    def release(self) -> None:
        """Let go of it."""


class Database:
    """An open project, and one transaction at a time.

    May be used from several threads: readers have connections of their own and do not wait for a writer, writers
    take turns. A file has one program that writes, a server any number.
    """

    def __init__(self, home: Home) -> None:
        self.path, self.place, self.name, self.read_only = home.path, home.place, home.name, home.read_only
        self._home = home
        self._turn = threading.RLock()
        self._mine = threading.local()
        self._closed = False
        self._news = News()
        self._followed = False
        self._gone: tuple[float, str] | None = None

    @classmethod
    def create(cls, place: Path | str) -> Self:
        """Make a new project: a file, ``.deeplense`` by default, or on a server, at ``postgresql://user@host/database``.

        ``":memory:"`` makes one without a file.
        """
        if server.is_address(place):
            return cls(server.create(server.parse(place), now()))
        if str(place) == ":memory:":
            return cls.temporary()
        path = _with_suffix(place)
        if path.exists():
            raise ProjectError(f"{path} exists already: open it, or choose another name")
        if not path.parent.is_dir():
            raise ProjectError(f"{path.parent} is not a folder: make it first, or choose another one")
        lock = connect.take_lock(path)
        try:
            return cls(connect.FileHome(connect.create_file(path, now()), path, lock))
        except ProjectError:
            path.unlink(missing_ok=True)
            lock.release()
            raise

    @classmethod
    def temporary(cls) -> Self:
        """Make a project in memory, for a scan that asks for a catalogue alone; it ends with ``close``."""
        return cls(connect.FileHome(connect.create_file(None, now()), None, None))

    @classmethod
    def open(cls, place: Path | str, read_only: bool = False) -> Self:
        """Open a project: of a file only one program at a time may write, any number may read.

        On a server, ``postgresql://user@host/database``, any number may write. The password may stand in the address,
        in ``~/.pgpass`` or in the variable PGPASSWORD.
        """
        if server.is_address(place):
            return cls(server.open_project(server.parse(place), read_only=read_only))
        path = Path(place)
        if read_only or not path.is_file():
            engine, copied = connect.open_file(path, read_only=read_only)
            return cls(connect.FileHome(engine, path, None, copied))
        connect.recognise(path)  # before a lock is laid beside what may be somebody else's file
        lock = connect.take_lock(path)
        try:
            engine, _ = connect.open_file(path, read_only=False)
            opened = cls(connect.FileHome(engine, path, lock))
            with opened.writing() as connection:
                running = runs.update().where(runs.c.state == "running")
                connection.execute(running.values(state="interrupted", finished=now()))
        except ProjectError:
            lock.release()
            raise
        return opened

    def again(self) -> Self:
        """Open the same project a second time, to read, however long that takes."""
        return type(self)(self._home.again())

    @property
    def shared(self) -> bool:
        """Whether it is on a server, where others write too."""
        return isinstance(self._home, server.ServerHome)

    def close(self) -> None:
        """Close the project and let others write; harmless when repeated."""
        with self._turn:
            if not self._closed:
                self._closed = True
                self._home.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save_as(self, place: Path | str) -> Path | str:
        """Write a whole copy to a new file, which replaces what is there, or to a server that has no such project."""
        if server.is_address(place):
            address = server.parse(place)
            with self.reading(snapshot=True) as source:
                server.create(address, now(), lambda target: copy_tables(source, target)).release()
            return place
        path = _with_suffix(place)
        if self.path is not None and path.exists() and os.path.samefile(path, self.path):
            raise ProjectError(f"{path} is this very project and saved already: choose another name")
        lock = connect.take_lock(path)
        try:
            with self.reading(snapshot=True) as source:
                if self.shared:
                    connect.copy_from(source, path, now())
                else:
                    connect.copy_database(self._home.engine, path)
        finally:
            lock.release()
        return path

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction, which inner ones join. What is not durable outlives the program, but not a power cut."""
        with self._turn:
            joined: Connection | None = getattr(self._mine, "transaction", None)
            if joined is not None:
                yield joined
                return
            self._check_open()
            if self.read_only:
                raise ProjectError(f"{self.place} is open read-only: open it for writing to change it")
            with self._reached(), self._home.writing(durable=durable) as connection:
                self._mine.transaction = connection
                connection.execution_options(appended=(appended := set[str]()))
                try:
                    yield connection
                finally:
                    self._mine.transaction = None
                    self._news.wrote(appended)

    @contextlib.contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A connection to read with; inside a transaction of this thread it is that one's.

        Where others write too, several statements are sure to see one state only in a ``snapshot``.
        """
        joined: Connection | None = getattr(self._mine, "transaction", None)
        if joined is not None:
            yield joined
            return
        self._check_open()
        with self._reached(), self._home.reading(snapshot=snapshot) as connection:
            yield connection

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Errors in words. While a project is followed, only who follows waits for a server that is gone."""
        looking = getattr(self._mine, "looking", False)
        if self._gone is not None and not looking and time.monotonic() < self._gone[0]:
            raise ConnectionLostError(self._gone[1])
        try:
            with translated(self.place):
                yield
        except ConnectionLostError as error:
            if self._followed:
                self._gone = (time.monotonic() + _GONE_FOR, str(error))
            raise
        if looking:
            self._gone = None

    def news(self) -> Changes | None:
        """What others wrote since the last call; the first only begins to look.

        From then on the project counts as followed: where a server does not answer, this call waits for it and finds
        out that it is back, and every other one fails at once.
        """
        self._followed = self._mine.looking = True
        try:
            with self.reading(snapshot=True) as connection:
                return self._news.look(connection)
        finally:
            self._mine.looking = False

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction, the end of which is open."""
        return getattr(self._mine, "transaction", None) is not None

    def _check_open(self) -> None:
        if self._closed:
            raise ProjectError("the project is closed: open it again")


def _with_suffix(place: Path | str) -> Path:
    path = Path(place)
    return path if path.suffix else path.with_suffix(SUFFIX)
