"""A project file that is open: its connections, its threads, its one writer."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock
from sqlalchemy import Connection, Engine

from engine.catalogue import connect
from engine.catalogue.records import now
from engine.catalogue.schema import runs
from engine.errors import ProjectError

#: The ending of project files.
SUFFIX = ".deeplense"


class Database:
    """An open project file: who may write, and one transaction at a time.

    May be used from several threads: readers have connections of their own and do not wait for a writer, writers
    take turns.
    """

    def __init__(self, engine: Engine, path: Path | None, lock: FileLock | None, copied: Path | None = None) -> None:
        self.path = path
        self.read_only = path is not None and lock is None
        self._engine = engine
        self._lock = lock
        self._copied = copied
        self._turn = threading.RLock()
        self._mine = threading.local()
        self._closed = False

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Make a new project file, ``.deeplense`` by default; ``":memory:"`` makes one without a file."""
        if str(path) == ":memory:":
            return cls.temporary()
        path = Path(path)
        path = path if path.suffix else path.with_suffix(SUFFIX)
        if path.exists():
            raise ProjectError(f"{path} exists already: open it, or choose another name")
        if not path.parent.is_dir():
            raise ProjectError(f"{path.parent} is not a folder: make it first, or choose another one")
        lock = connect.take_lock(path)
        try:
            return cls(connect.create_file(path, now()), path, lock)
        except ProjectError:
            path.unlink(missing_ok=True)
            lock.release()
            raise

    @classmethod
    def temporary(cls) -> Self:
        """Make a project in memory, for a scan that asks for a catalogue alone; it ends with ``close``."""
        return cls(connect.create_file(None, now()), None, None)

    @classmethod
    def open(cls, path: Path | str, read_only: bool = False) -> Self:
        """Open a project file; only one program at a time may write, any number may read."""
        path = Path(path)
        if read_only or not path.is_file():
            engine, copied = connect.open_file(path, read_only=read_only)
            return cls(engine, path, None, copied)
        lock = connect.take_lock(path)
        try:
            engine, _ = connect.open_file(path, read_only=False)
            opened = cls(engine, path, lock)
            with opened.writing() as connection:
                running = runs.update().where(runs.c.state == "running")
                connection.execute(running.values(state="interrupted", finished=now()))
        except ProjectError:
            lock.release()
            raise
        return opened

    def close(self) -> None:
        """Close the file and let others write; harmless when repeated."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._engine.dispose()
            if self._lock is not None:
                self._lock.release()
            if self._copied is not None:
                shutil.rmtree(self._copied, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save_as(self, path: Path | str) -> Path:
        """Write a whole copy to a new file, to keep a temporary project or a moment; replaces what is there."""
        path = Path(path)
        path = path if path.suffix else path.with_suffix(SUFFIX)
        if self.path is not None and path.exists() and os.path.samefile(path, self.path):
            raise ProjectError(f"{path} is this very project and saved already: choose another name")
        lock = connect.take_lock(path)
        try:
            with self.reading():
                connect.copy_database(self._engine, path)
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
                raise ProjectError(f"{self.path} is open read-only: open it for writing to change it")
            with connect.translated(self.path), self._engine.connect() as connection:
                connect.set_durable(connection, durable)
                with connection.begin():
                    self._mine.transaction = connection
                    try:
                        yield connection
                    finally:
                        self._mine.transaction = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; inside a transaction of this thread it is that one's."""
        joined: Connection | None = getattr(self._mine, "transaction", None)
        if joined is not None:
            yield joined
            return
        # In memory there is one connection for all, so that readers take turns too.
        with self._turn if self.path is None else contextlib.nullcontext():
            self._check_open()
            with connect.translated(self.path), self._engine.connect() as connection:
                yield connection

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction, the end of which is open."""
        return getattr(self._mine, "transaction", None) is not None

    def _check_open(self) -> None:
        if self._closed:
            raise ProjectError("the project is closed: open it again")
