"""The tests' own PostgreSQL server leaves nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import server_parts

START = """
import time
from tests.server_parts import programs, running
with running(programs()) as server:
    print(server.folder, flush=True)
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs as another user
        return True
    return True


@pytest.mark.skipif(server_parts.programs() is None, reason="no PostgreSQL server here")
def test_a_server_ends_with_a_process_that_is_killed() -> None:
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen([sys.executable, "-c", START], cwd=root, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        folder = Path(started.stdout.readline().strip())
        postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        assert is_running(postmaster)
        started.kill()
    deadline = time.monotonic() + 30
    while (folder.exists() or is_running(postmaster)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
    assert not is_running(postmaster)
