"""Projects on a PostgreSQL server: their addresses, their connections, and how writers take turns.

A project is a schema of a database. Whoever writes holds the row of ``meta`` that tells the format until the
transaction ends: each sees all that was written before, nobody's words are written over, and nobody writes to a project
that a newer program has changed meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, literal, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.schema import CreateSchema

from engine.catalogue.advice import NO_RIGHT, translated
from engine.catalogue.dialect import number_scores
from engine.catalogue.schema import FORMAT, candidates, meta, metadata, opinions
from engine.errors import ProjectError

#: The schema of a project whose address names none.
DEFAULT = "deeplense"

_HOW = "write it as postgresql://user@host/database, and ?project=name after it for one of several projects"
_BEGINNING = re.compile(r"postgres(ql)?(\+\w+)?:/+", re.IGNORECASE)  # a path keeps one of the two slashes
_NAME = re.compile(r"(?!pg_)[A-Za-z_][A-Za-z0-9_-]{0,62}")

#: A dead network is noticed within some twenty seconds; what the address says otherwise goes before.
_PATIENCE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "DeepLense",
}

#: Seconds after which a connection that nobody used is tried first: the server may have been started anew meanwhile.
_RESTED = 1.0

#: The server, too, must let go of one who went away in the middle of a write: the others wait for their turn.
_SESSION = """
SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '120s';
SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where on a server a project is: ``url`` leads to the database, ``schema`` is the part of it."""

    url: URL = field(repr=False)
    schema: str

    @property
    def place(self) -> str:
        """The address without its password; it opens the project again where the password is known otherwise."""
        query = {} if self.schema == DEFAULT else {"project": self.schema}
        url = self.url
        shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, {**url.query, **query})
        return shown.render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """What the project is called: as its schema is, or its database."""
        return str(self.url.database) if self.schema == DEFAULT else self.schema


@dataclass(frozen=True, slots=True)
class Found:
    """What is at an address: whether there is a project, its candidates and who has graded them."""

    project: bool
    candidates: int = 0
    graders: tuple[str, ...] = ()


def is_address(place: Path | str) -> bool:
    """Whether a place is the address of a server, and not a file."""
    return _BEGINNING.match(_plain(place)) is not None


def _plain(place: Path | str) -> str:
    return (place.as_posix() if isinstance(place, Path) else place).strip()


def parse(place: Path | str) -> Address:
    """Read an address, also one that was taken for a path; neither it nor an error ever shows its password.

    Raises
    ------
    ProjectError : it is none, or names no database
    """
    text = _BEGINNING.sub("postgresql://", _plain(place))
    try:
        url = make_url(text)
        query = dict(url.query)
    except (ArgumentError, ValueError):
        raise ProjectError(f"this is no address of a shared project: {_HOW}") from None
    if "@" in (url.host or ""):
        raise ProjectError("the password has an @, / or : in it: write these as %40, %2F and %3A")
    if not url.database:
        raise ProjectError(f"the address names no database: {_HOW}")
    schema, password = query.pop("project", DEFAULT), query.pop("password", url.password)
    if not isinstance(schema, str) or not _NAME.fullmatch(schema):
        raise ProjectError(f"a project cannot be called {schema!r}: take letters, digits, - and _")
    return Address(url.set(drivername="postgresql+psycopg", password=str(password or "") or None, query=query), schema)


def with_password(place: str, password: str) -> str:
    """An address with a password that was given apart from it; without one, as it is."""
    address = parse(place)
    if not password:
        return place
    url, query = address.url, {**address.url.query, "project": address.schema}
    whole = URL.create("postgresql", url.username, password, url.host, url.port, url.database, query)
    return whole.render_as_string(hide_password=False)


class ServerHome:
    """A project on a server that is open; see ``engine.catalogue.database.Home``."""

    path: Path | None = None

    def __init__(self, address: Address, engine: Engine, *, read_only: bool) -> None:
        self.address = address
        self.engine = engine
        self.read_only = read_only
        self.place, self.name = address.place, address.name
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshot = engine.execution_options(isolation_level="REPEATABLE READ")

    @contextlib.contextmanager
    def reading(self, *, snapshot: bool) -> Iterator[Connection]:
        """A connection to read with; several statements see one state only in a ``snapshot``, which takes longer."""
        with (self._snapshot if snapshot else self._single).connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, *, durable: bool) -> Iterator[Connection]:
        """A transaction, once it is one's turn."""
        with ExitStack() as stack:
            yield self._begin(stack)

    def _begin(self, stack: ExitStack) -> Connection:
        """Begin a transaction; a connection that was lost since it was last used is made anew."""
        for again in (True, False):
            trial = ExitStack()
            try:
                connection = trial.enter_context(self.engine.connect())
                trial.enter_context(connection.begin())
                self._take_turn(connection)
            except DBAPIError as error:
                trial.__exit__(type(error), error, error.__traceback__)
                if not (again and error.connection_invalidated):
                    raise
            except ProjectError as error:
                trial.__exit__(type(error), error, error.__traceback__)
                raise
            else:
                stack.push(trial)
                return connection
        raise AssertionError("unreachable")

    def _take_turn(self, connection: Connection) -> None:
        turn = select(meta.c.value).where(meta.c.key == "format").with_for_update()
        _check_format(self.place, int(connection.execute(turn).scalar() or 0))

    def again(self) -> ServerHome:
        """The same project once more, to read."""
        return open_project(self.address, read_only=True)

    def release(self) -> None:
        """Let go of the connections."""
        self.engine.dispose()


def find(address: Address) -> Found:
    """Look what is at an address.

    Raises
    ------
    ProjectError : the server cannot be reached, refuses, or has a project of a newer format
    """
    engine = _connected(address, read_only=True)
    try:
        with translated(address.place), engine.connect() as connection:
            if _written(connection, address) is None:
                return Found(False)
            graders = select(opinions.c.grader).distinct().order_by(opinions.c.grader)
            return Found(
                True,
                connection.execute(select(func.count()).where(candidates.c.kind == "")).scalar_one(),
                tuple(connection.execute(graders).scalars()),
            )
    finally:
        engine.dispose()


def create(address: Address, created: str, fill: Callable[[Connection], None] | None = None) -> ServerHome:
    """Write the tables of a new project, and what ``fill`` puts into them, in one transaction."""
    engine = _connected(address, read_only=False)
    try:
        with translated(address.place), engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"deeplense {address.schema}"))))
            if _written(connection, address) is not None:
                raise ProjectError(f"{address.place} exists already: open it, or add ?project=another-name")
            if not inspect(connection).has_schema(address.schema):
                connection.execute(CreateSchema(address.schema))
            metadata.create_all(connection, checkfirst=False)
            number_scores(connection)
            rows = [{"key": "format", "value": str(FORMAT)}, {"key": "created", "value": created}]
            connection.execute(meta.insert(), rows)
            if fill is not None:
                fill(connection)
    except ProjectError:
        engine.dispose()
        raise
    return ServerHome(address, engine, read_only=False)


def open_project(address: Address, *, read_only: bool) -> ServerHome:
    """Open a project; one of an older format is brought up to the present one, in one transaction.

    Raises
    ------
    ProjectError : there is none, it was written by a newer program, or one may not write to it
    """
    engine = _connected(address, read_only=read_only)
    try:
        with translated(address.place), engine.begin() as connection:
            written = _written(connection, address)
            if written is None:
                raise ProjectError(
                    f"{address.place}: there is no project in this database yet: check the address, or make one there"
                )
            if written < FORMAT and read_only:
                raise ProjectError(f"{address.place} is of an older format: open it for writing once")
            if not read_only and not _may_write(connection):
                raise ProjectError(f"{address.place}: {NO_RIGHT}")
        if written < FORMAT:
            _migrate(engine, address)
    except ProjectError:
        engine.dispose()
        raise
    return ServerHome(address, engine, read_only=read_only)


def _migrate(engine: Engine, address: Address) -> None:
    from engine.catalogue.migrate import upgrade

    with translated(address.place), engine.begin() as connection:
        turn = select(meta.c.value).where(meta.c.key == "format").with_for_update()
        written = int(connection.execute(turn).scalar_one())
        if written < FORMAT:  # else somebody else was faster
            upgrade(connection, written)


def _connected(address: Address, *, read_only: bool) -> Engine:
    try:
        import psycopg
    except ImportError:
        raise ProjectError(
            'a shared project needs the driver of PostgreSQL: install it with: python -m pip install "psycopg[binary]"'
        ) from None
    patience = {name: value for name, value in _PATIENCE.items() if name not in address.url.query}
    engine = create_engine(
        address.url,
        pool_size=4,
        max_overflow=-1,
        connect_args=patience,
        use_native_hstore=False,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.autocommit = True
        only = "SET default_transaction_read_only = on;" if read_only else ""
        connection.execute(f'SET search_path TO "{address.schema}";{only}{_SESSION}')
        connection.autocommit = False

    @event.listens_for(engine, "checkin")
    def _rest(_connection: object, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _alive(connection: Any, record: Any, _proxy: object) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) > _RESTED:
            try:
                engine.dialect.do_ping(connection)
            except psycopg.Error as error:
                raise DisconnectionError from error  # the pool makes another one

    return engine


def _written(connection: Connection, address: Address) -> int | None:
    """The format of the project, None where there is no project."""
    if not inspect(connection).has_table("meta", schema=address.schema):
        return None
    written = int(connection.execute(select(meta.c.value).where(meta.c.key == "format")).scalar() or 0)
    _check_format(address.place, written)
    return written


def _check_format(place: str, written: int) -> None:
    if written > FORMAT:
        raise ProjectError(
            f"{place} was written by a newer DeepLense (project format {written}, this one reads up to {FORMAT}):"
            " update DeepLense to open it"
        )


def _may_write(connection: Connection) -> bool:
    """Whether one has the right, and the server is no copy that only follows another."""
    right = func.has_table_privilege(literal("events"), literal("INSERT"))
    return bool(connection.execute(select(right & ~func.pg_is_in_recovery())).scalar())
