"""Opening project files: connections, and the lock of the one writer."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.pool import StaticPool

from engine.catalogue import packed
from engine.catalogue.advice import DAMAGED, NOT_A_PROJECT, READ_ONLY, translated
from engine.catalogue.copies import copy_tables
from engine.catalogue.schema import APPLICATION_ID, FORMAT, meta, metadata
from engine.errors import ProjectError

#: Files up to this size are checked whole when they are opened; it takes about 0.1 s.
_CHECKED_BYTES = 32 * 2**20

IN_MEMORY = "the project in memory"


def take_lock(path: Path) -> FileLock:
    """Become the one writer of a project, until ``release``.

    The lock belongs to the process that holds it, so that it is free again however that process ends. The file
    ``<project>.lock`` stays behind: removing it would let two writers in.
    """
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise ProjectError(
            f"{path} is open for writing in another window or program: close it there, or open it read-only here"
        ) from None
    except NotImplementedError:
        raise ProjectError(
            f"{path}: this drive cannot lock files: copy the project to a local drive, or open it read-only"
        ) from None
    except OSError as error:
        with translated(str(path)):
            raise error
    return lock


def _prepare(connection: sqlite3.Connection, *, writable: bool) -> None:
    # Transactions are begun by us: the driver would begin them only at the first write, after what was read for it.
    connection.isolation_level = None
    packed.install(connection)
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-65536")
    if writable:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
    else:
        cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _engine(url: str, *, writable: bool, memory: bool = False) -> Engine:
    if memory:
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        engine = create_engine(url, pool_size=4, max_overflow=-1, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        _prepare(connection, writable=writable)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _url(path: Path, query: str) -> str:
    return f"sqlite:///file:{quote(path.resolve().as_posix())}?{query}&uri=true"


class FileHome:
    """A project file that is open, or a project in memory; see ``engine.catalogue.database.Home``."""

    def __init__(self, engine: Engine, path: Path | None, lock: FileLock | None, copied: Path | None = None) -> None:
        self.engine = engine
        self.path = path
        self.place = IN_MEMORY if path is None else str(path)
        self.name = IN_MEMORY if path is None else path.stem
        self.read_only = path is not None and lock is None
        self._lock = lock
        self._copied = copied
        self._turn = threading.RLock()

    @contextlib.contextmanager
    def reading(self, *, snapshot: bool) -> Iterator[Connection]:
        """A connection to read with: one state of the file, however many statements."""
        # In memory there is one connection for all, so that readers take turns too.
        with self._turn if self.path is None else contextlib.nullcontext(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, *, durable: bool) -> Iterator[Connection]:
        """A transaction. Only one that is durable outlives a power cut: its end waits for the disk."""
        with self._turn, self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with connection.begin():
                yield connection

    def again(self) -> FileHome:
        """The same file once more, to read."""
        assert self.path is not None
        engine, copied = open_file(self.path, read_only=True)
        return FileHome(engine, self.path, None, copied)

    def release(self) -> None:
        """Close the file and let others write."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release()
        if self._copied is not None:
            shutil.rmtree(self._copied, ignore_errors=True)


def create_file(path: Path | None, created: str, fill: Callable[[Connection], None] | None = None) -> Engine:
    """Write the tables of a new project, and what ``fill`` puts into them; None keeps it in memory."""
    engine = _engine("sqlite://" if path is None else _url(path, "mode=rwc"), writable=True, memory=path is None)
    name = IN_MEMORY if path is None else str(path)
    with translated(name), engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        metadata.create_all(connection)
        connection.execute(
            meta.insert(), [{"key": "format", "value": str(FORMAT)}, {"key": "created", "value": created}]
        )
        if fill is not None:
            fill(connection)
    if path is not None:
        # What tells whose file it is must stand in the file, not in its log.
        with translated(name), engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return engine


def open_file(path: Path, *, read_only: bool) -> tuple[Engine, Path | None]:
    """Open a project file, and say in which folder its copy lies, if reading it took one.

    A database whose folder cannot be written is read as it is; were grades left in its write-ahead log by a program
    that was killed, a copy is read, since SQLite cannot read such a log in place. A project of an older format is
    brought up to the present one, after a copy of it was kept beside it; read-only, that is done to a copy.
    """
    if not path.is_file():
        raise ProjectError(f"{path}: there is no such project file: check the name, or make a new project")
    recognise(path)
    writable = _writable(path) and _writable(path.parent)
    if not read_only:
        if not writable:
            raise ProjectError(f"{path}: {READ_ONLY}")
        engine = _engine(_url(path, "mode=rw"), writable=True)
        written = _checked(engine, path)
        if written < FORMAT:
            copy_database(engine, path.with_name(f"{path.name}.format-{written}"))
            _migrate(engine, path, written)
        return engine, None
    log = path.with_name(path.name + "-wal")
    # SQLite itself must write beside the file, be it only the index of the log; the connection refuses the rest.
    query = "mode=rw" if writable else "mode=ro" if log.is_file() else "mode=ro&immutable=1"
    engine = _engine(_url(path, query), writable=False)
    try:
        written = _checked(engine, path)
    except ProjectError:
        if writable or not log.is_file():
            raise
        return _open_copy(path, log)
    if written == FORMAT:
        return engine, None
    engine.dispose()
    return _open_copy(path, log)


def _open_copy(path: Path, log: Path) -> tuple[Engine, Path]:
    folder = Path(tempfile.mkdtemp(prefix="deeplense-"))
    try:
        with translated(str(path)):
            copy = Path(shutil.copyfile(path, folder / path.name))
            if log.is_file():
                shutil.copyfile(log, folder / log.name)
        engine = _engine(_url(copy, "mode=rw"), writable=True)
        written = _checked(engine, path)
        if written < FORMAT:
            _migrate(engine, path, written)
        engine.dispose()
        return _engine(_url(copy, "mode=rw"), writable=False), folder
    except ProjectError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _migrate(engine: Engine, path: Path, written: int) -> None:
    from engine.catalogue.migrate import upgrade

    try:
        with translated(str(path)), engine.begin() as connection:
            upgrade(connection, written)
    except ProjectError:
        engine.dispose()
        raise


def recognise(path: Path) -> None:
    """Raise ProjectError for what is no project, by its header: SQLite could already change a foreign database."""
    with translated(str(path)), path.open("rb") as file:
        header = file.read(72)
    if header[:16] != b"SQLite format 3\0" or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ProjectError(f"{path}: {NOT_A_PROJECT}")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _checked(engine: Engine, path: Path) -> int:
    """Make sure that the project is of a format that can be read, and whole; returns the format."""
    try:
        with translated(str(path)), engine.connect() as connection:
            written = int(connection.execute(select(meta.c.value).where(meta.c.key == "format")).scalar() or 0)
            if written > FORMAT:
                raise ProjectError(
                    f"{path} was written by a newer DeepLense (project format {written}, this one reads up to"
                    f" {FORMAT}): update DeepLense to open it"
                )
            if (
                path.stat().st_size <= _CHECKED_BYTES
                and connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok"
            ):
                raise ProjectError(f"{path}: {DAMAGED}")
    except ProjectError:
        engine.dispose()
        raise
    return written


def copy_from(source: Connection, path: Path, created: str) -> None:
    """Write a complete copy of a project on a server to a new file."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        create_file(partial, created, lambda target: copy_tables(source, target)).dispose()
        with translated(str(path)):
            os.replace(partial, path)
    finally:
        for ending in ("", "-wal", "-shm"):
            partial.with_name(partial.name + ending).unlink(missing_ok=True)


def copy_database(engine: Engine, path: Path) -> None:
    """Write a complete copy of the database to a new file, while it is in use."""
    partial = path.with_name(f".{path.name}.partial")
    with translated(str(path)), engine.connect() as connection:
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        target = sqlite3.connect(partial)
        try:
            source.backup(target)
        except sqlite3.Error as error:
            partial.unlink(missing_ok=True)
            raise OSError(0, str(error)) from error
        finally:
            target.close()
        os.replace(partial, path)
