"""A PostgreSQL server of the tests' own: made in a temporary folder, gone when they end."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "p@ss:w/rd"  # every sign that an address must escape
ESCAPED = "p%40ss%3Aw%2Frd"


def programs() -> Path | None:
    """The folder of the server's programs, the newest there is; None where PostgreSQL is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb")
    folders = [*([Path(found).resolve().parent] if found else []), *folders]
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


class Server:
    """A cluster with one database, ``team``, and its user ``ada``; each project asked for has another name."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder, self.binaries = folder, binaries
        self.port = _free_port()
        self._numbers = itertools.count(1)

    def run(self, program: str, *arguments: object, text: str | None = None) -> str:
        """Run one of the server's programs, as somebody who is not root: the server refuses root."""
        done = subprocess.run(
            [*_as_nobody_of_power(), self.binaries / program, *map(str, arguments)],
            input=text, capture_output=True, text=True, check=False, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = self.folder / "data"
        self.run("initdb", "--pgdata", data, "--username", "ada", "--pwfile", password, "--auth", "scram-sha-256",
                 "--no-sync", "--encoding", "UTF8", "--locale", "C.UTF-8")  # fmt: skip
        settings = {"fsync": "off", "full_page_writes": "off", "unix_socket_directories": "''", "port": self.port,
                    "listen_addresses": "'127.0.0.1'", "max_connections": 40}  # fmt: skip
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self.start()
        self.query("CREATE DATABASE team", database="postgres")

    def start(self) -> None:
        """Start the server, if it does not run."""
        if not (self.folder / "data" / "postmaster.pid").exists():
            self.run("pg_ctl", "--pgdata", self.folder / "data", "--log", self.folder / "log", "--wait", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "--pgdata", self.folder / "data", "--mode", "immediate", "--wait", "stop")

    def address(self, project: str | None = None, *, user: str = f"ada:{ESCAPED}", database: str = "team") -> str:
        """The address of a project, by default of one that nobody has used before."""
        project = project or f"project_{next(self._numbers)}"
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?project={project}"

    def query(self, text: str, *, database: str = "team") -> list[tuple]:
        """Ask the server something, past DeepLense."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="ada", password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def cut_connections(self) -> None:
        """End every connection to the server, as a server that is restarted does."""
        self.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'DeepLense'")


# Waits until nobody holds its input open, which is when the tests end or are killed.
_SWEEP = """
cat
"$0" --pgdata "$1/data" --mode immediate --wait stop
rm -rf "$1" || { sleep 2; rm -rf "$1"; }
"""


@contextmanager
def running(binaries: Path) -> Iterator[Server]:
    """A server that runs, in a folder that every user may enter; both go with this process, however that ends."""
    folder = Path(tempfile.mkdtemp(prefix="deeplense-server-", dir="/tmp" if os.geteuid() == 0 else None))
    server = Server(folder, binaries)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    sweeper = subprocess.Popen(
        [*_as_nobody_of_power(), "sh", "-c", _SWEEP, binaries / "pg_ctl", folder],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
    )  # fmt: skip
    try:
        server.make()
        yield server
    finally:
        sweeper.communicate(timeout=60)


def _as_nobody_of_power() -> Sequence[str]:
    """What a command of root begins with to be run by the user that the package of the server made."""
    if os.geteuid() != 0:
        return ()
    import pwd

    group = pwd.getpwnam("postgres").pw_gid
    return ("setpriv", "--reuid", "postgres", "--regid", str(group), "--clear-groups")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
