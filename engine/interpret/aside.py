"""Work that is heavy on Python, in processes of its own, so that a window moves on meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Any

from engine.types import Step

_WAIT = 0.15  # seconds between steps


def run_aside(calls: Sequence[Callable[[], Any]], note: str, processes: int = 1) -> Iterator[Step]:
    """Make calls in other processes; each item is the index of a call with what it returned, in the order of ending.

    What is called must be picklable. Closing the generator lets go of those that have not begun.
    """
    pool, total = _pool(processes), len(calls)
    ended: set[int] = set()
    yield Step(0, total, note=note)
    try:
        waiting: dict[Future[Any], int] = {pool.submit(call): k for k, call in enumerate(calls)}
        try:
            while waiting:
                done, _ = wait(waiting, _WAIT, FIRST_COMPLETED)
                items = tuple((waiting.pop(one), one.result()) for one in done)
                ended.update(index for index, _ in items)
                yield Step(len(ended), total, items, note)
        finally:
            for one in waiting:
                one.cancel()
    except BrokenProcessPool:  # no memory for a process, or it was killed: slower, but here
        _pool.cache_clear()
        for index in sorted(set(range(total)) - ended):
            ended.add(index)
            yield Step(len(ended), total, ((index, calls[index]()),), note)


@lru_cache(maxsize=1)
def _pool(processes: int) -> ProcessPoolExecutor:
    """Processes that stay for the next call: starting one takes longer than a fit."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """End this process when the one that asked is gone: a pool whose owner was killed would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
