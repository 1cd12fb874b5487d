"""Calls that may take their time, in threads of their own: with a deadline, and given up at once when not wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from engine.errors import ExchangeError
from engine.types import Step

PAUSE = 0.1  # seconds between two steps
Answer = TypeVar("Answer")


def gather(
    calls: Mapping[str, Callable[[], Answer]], *, seconds: float
) -> Generator[Step, None, dict[str, Answer | ExchangeError]]:
    """Run calls side by side; each step's items are (name, answer) of those that have come back since.

    An answer is what the call returned, or the ExchangeError it raised or that it took more than ``seconds``. All are
    returned at the end. Threads that hang are left to themselves: they end with the program at the latest.
    """
    pool = ThreadPool(len(calls))
    pending = {name: pool.apply_async(call) for name, call in calls.items()}
    answers: dict[str, Answer | ExchangeError] = {}
    deadline = time.monotonic() + seconds
    try:
        while pending:
            late = time.monotonic() > deadline
            fresh: list[tuple[str, Answer | ExchangeError]] = []
            for name in [name for name, call in pending.items() if late or call.ready()]:
                call = pending.pop(name)
                try:
                    answer: Answer | ExchangeError = call.get(0) if call.ready() else _late(name, seconds)
                except ExchangeError as error:
                    answer = error
                fresh.append((name, answer))
            answers.update(fresh)
            yield Step(len(answers), len(calls), tuple(fresh), f"Waiting for {', '.join(pending)}" if pending else "")
            if pending:
                next(iter(pending.values())).wait(PAUSE)
    finally:
        pool.terminate()
    return answers


def wait_for(name: str, call: Callable[[], Answer], *, seconds: float) -> Generator[Step, None, Answer]:
    """Run one call; returns what it returns, raises the ExchangeError it raised or that it took too long."""
    steps = gather({name: call}, seconds=seconds)
    answer: Answer | ExchangeError
    while True:
        try:
            yield Step(0, 0, note=next(steps).note)
        except StopIteration as end:
            answer = end.value[name]
            break
    if isinstance(answer, ExchangeError):
        raise answer
    return answer


def _late(name: str, seconds: float) -> ExchangeError:
    return ExchangeError(f"{name} did not answer within {seconds:g} s: try again later")
