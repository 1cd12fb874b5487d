"""Opening project files: connections, the lock of the one writer, and errors in words."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from engine.catalogue import packed
from engine.catalogue.schema import APPLICATION_ID, FORMAT, meta, metadata
from engine.errors import ProjectError

#: Files up to this size are checked whole when they are opened; it takes about 0.1 s.
_CHECKED_BYTES = 32 * 2**20

_ADVICE = {
    "FULL": "the disk is full: free some space and repeat the last step; what was graded before is safe",
    "READONLY": "it or its folder cannot be written: open it read-only, or copy it to a folder of your own",
    "NOTADB": "it is not a DeepLense project: choose a file made by DeepLense",
    "CORRUPT": "the file is damaged: open a backup copy, or save what can be read with `sqlite3 FILE .recover`",
    "BUSY": "another program is using it: close that program and try again",
    "LOCKED": "another program is using it: close that program and try again",
    "CANTOPEN": "it cannot be opened: check that the folder exists and that you may read and write in it",
    "IOERR": "the disk did not answer: check the drive or the network connection and try again",
    "PERM": "you may not open it: ask its owner for access, or copy it to a folder of your own",
}


@contextlib.contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Turn errors of the database and the system into a ProjectError that says what to do."""
    name = "the project in memory" if path is None else str(path)
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorname", "") or ""
        advice = _ADVICE.get(
            code.removeprefix("SQLITE_").split("_")[0], f"{error.orig}: try again, or open a backup copy"
        )
        raise ProjectError(f"{name}: {advice}") from error
    except PermissionError as error:
        raise ProjectError(f"{name}: {_ADVICE['READONLY']}") from error
    except OSError as error:
        raise ProjectError(
            f"{name}: {error.strerror or error}: check the drive and the folder, and try again"
        ) from error


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
        with translated(path):
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


def set_durable(connection: Connection, durable: bool) -> None:
    """Say, between transactions, whether commits wait for the disk: only then do they outlive a power cut."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")


def _url(path: Path, query: str) -> str:
    return f"sqlite:///file:{quote(path.resolve().as_posix())}?{query}&uri=true"


def create_file(path: Path | None, created: str) -> Engine:
    """Write the tables of a new project; None keeps it in memory."""
    engine = _engine("sqlite://" if path is None else _url(path, "mode=rwc"), writable=True, memory=path is None)
    with translated(path), engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        metadata.create_all(connection)
        connection.execute(
            meta.insert(), [{"key": "format", "value": str(FORMAT)}, {"key": "created", "value": created}]
        )
    if path is not None:
        # What tells whose file it is must stand in the file, not in its log.
        with translated(path), engine.connect() as connection:
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
    _recognise(path)
    writable = _writable(path) and _writable(path.parent)
    if not read_only:
        if not writable:
            raise ProjectError(f"{path}: {_ADVICE['READONLY']}")
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
        with translated(path):
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
        with translated(path), engine.begin() as connection:
            upgrade(connection, written)
    except ProjectError:
        engine.dispose()
        raise


def _recognise(path: Path) -> None:
    """Look at the header alone: opening a foreign database with SQLite could already change it."""
    with translated(path), path.open("rb") as file:
        header = file.read(72)
    if header[:16] != b"SQLite format 3\0" or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ProjectError(f"{path}: {_ADVICE['NOTADB']}")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _checked(engine: Engine, path: Path) -> int:
    """Make sure that the project is of a format that can be read, and whole; returns the format."""
    try:
        with translated(path), engine.connect() as connection:
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
                raise ProjectError(f"{path}: {_ADVICE['CORRUPT']}")
    except ProjectError:
        engine.dispose()
        raise
    return written


def copy_database(engine: Engine, path: Path) -> None:
    """Write a complete copy of the database to a new file, while it is in use."""
    partial = path.with_name(f".{path.name}.partial")
    with translated(path), engine.connect() as connection:
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
