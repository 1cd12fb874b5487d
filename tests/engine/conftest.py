"""Fixtures for the tests of the engine."""

import math
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from multiprocessing.pool import ApplyResult, ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.catalogue import Project


class _Workers(ThreadPool):
    """Threads in place of processes; their work is pickled all the same."""

    def __init__(self, count: int, initializer: object = None) -> None:
        super().__init__(count)

    def apply_async(self, func: Callable[..., Any], args: Any = (), *more: Any, **named: Any) -> "ApplyResult[Any]":
        func, args = pickle.loads(pickle.dumps((func, args)))
        return super().apply_async(func, args, *more, **named)


@pytest.fixture
def threads_as_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process pools without the seconds that processes take to start; one test of each job starts real ones."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: SimpleNamespace(Pool=_Workers))


@pytest.fixture(params=["file", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new project can be made: a file, then a schema on a server."""
    return tmp_path / "team.deeplense" if request.param == "file" else request.getfixturevalue("server").address()


@pytest.fixture
def anywhere(place: Path | str) -> Iterator[Project]:
    """A new project in a file, then one on a server: both do the same."""
    with Project.create(place) as project:
        yield project


@pytest.fixture(autouse=True)
def _silent_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command says nothing of how far it is, however slow the machine: what else it says is told apart."""
    monkeypatch.setattr("engine.cli.program.TELL_SECONDS", math.inf)
