"""Fixtures for the tests of the engine."""

import multiprocessing
import pickle
from collections.abc import Callable
from multiprocessing.pool import ApplyResult, ThreadPool
from types import SimpleNamespace
from typing import Any

import pytest


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
