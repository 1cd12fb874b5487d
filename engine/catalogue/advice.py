"""Errors of databases in words: what is wrong, and what a person can do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping

from sqlalchemy.exc import DBAPIError, OperationalError

from engine.errors import ConnectionLostError, ProjectError

READ_ONLY = "it or its folder cannot be written: open it read-only, or copy it to a folder of your own"
NOT_A_PROJECT = "it is not a DeepLense project: choose a file made by DeepLense"
DAMAGED = "the file is damaged: open a backup copy, or save what can be read with `sqlite3 FILE .recover`"
LOST = (
    "the connection to the server was lost: what was given before is safe; check the network, then repeat the last step"
)
NO_RIGHT = (
    "you may not write there: ask the owner of the database to let you, or open it read-only if you only want to look"
)

#: By the beginning of SQLite's name of the error.
_SQLITE: Mapping[str, str] = {
    "FULL": "the disk is full: free some space and repeat the last step; what was graded before is safe",
    "READONLY": READ_ONLY,
    "NOTADB": NOT_A_PROJECT,
    "CORRUPT": DAMAGED,
    "BUSY": "another program is using it: close that program and try again",
    "LOCKED": "another program is using it: close that program and try again",
    "CANTOPEN": "it cannot be opened: check that the folder exists and that you may read and write in it",
    "IOERR": "the disk did not answer: check the drive or the network connection and try again",
    "PERM": "you may not open it: ask its owner for access, or copy it to a folder of your own",
}

_REFUSED = (
    "the server refuses this user or password: check both; the password may stand in the address, in ~/.pgpass or in"
    " PGPASSWORD"
)
_NO_DATABASE = "the server has no such database: check its name, or have it made with `createdb`"

#: By the beginning of PostgreSQL's SQLSTATE, the longest first.
_POSTGRESQL: Mapping[str, str] = {
    "25006": NO_RIGHT,
    "42501": NO_RIGHT,
    "42P01": "tables of the project are missing there: restore the database from a backup",
    "53100": "the disk of the server is full: ask its owner for space and repeat the last step; what was graded before"
    " is safe",
    "53300": "the server has no connection left: close a window or a program, and try again",
    "55P03": "somebody else is writing to it just now, a scan or a merge: try again in a moment",
    "28": _REFUSED,
    "3D": _NO_DATABASE,
    "40": "somebody else wrote the same at the same moment: repeat the last step",
}

#: SQLSTATEs that end a connection: those of the connection itself, of the server's shutdown, of one idle for too long.
_ENDS = ("08", "25P03", "57P")


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn errors of the database and the system into a ProjectError that says what to do; ``name`` is the project's.

    Raises
    ------
    ConnectionLostError : the server cannot be reached, or no longer
    """
    try:
        yield
    except DBAPIError as error:
        raise _in_words(name, error) from error
    except PermissionError as error:
        raise ProjectError(f"{name}: {READ_ONLY}") from error
    except OSError as error:
        if error.errno == errno.EROFS:  # a drive that is mounted to read, a disc
            raise ProjectError(f"{name}: {READ_ONLY}") from error
        raise ProjectError(
            f"{name}: {error.strerror or error}: check the drive and the folder, and try again"
        ) from error


def _in_words(name: str, error: DBAPIError) -> ProjectError:
    told = (str(error.orig).splitlines() or [""])[0]
    code = getattr(error.orig, "sqlite_errorname", None)
    if code is not None:
        advice = _SQLITE.get(code.removeprefix("SQLITE_").split("_")[0])
        return ProjectError(f"{name}: {advice or f'{told}: try again, or open a backup copy'}")
    state = getattr(error.orig, "sqlstate", None) or ""
    if error.connection_invalidated or state.startswith(_ENDS):
        return ConnectionLostError(f"{name}: {LOST}")
    known = next((_POSTGRESQL[state[:length]] for length in (5, 2) if state[:length] in _POSTGRESQL), None)
    if known is None and not state and error.statement is None:
        if isinstance(error, OperationalError):
            return _not_reached(name, told)
        return ProjectError(f"{name}: {told}: correct the address")
    return ProjectError(f"{name}: {known or f'{told}: try again, or ask the owner of the database'}")


def _not_reached(name: str, told: str) -> ProjectError:
    """Why a connection could not be made: the server's answer has no code then, and may be in its own language."""
    if "password" in told or "authentication" in told or "role" in told:
        return ProjectError(f"{name}: {_REFUSED}")
    if "database" in told and "not exist" in told:
        return ProjectError(f"{name}: {_NO_DATABASE}")
    cause = told.removeprefix("connection failed: ")
    return ConnectionLostError(
        f"{name}: the server does not answer ({cause}): check the address, the network and that the server runs, then"
        " try again"
    )
