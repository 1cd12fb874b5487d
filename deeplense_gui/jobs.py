"""A worker thread that advances the engine's generators, and the queue in front of it.

A job is a generator of ``engine.types.Step``. The worker advances the running one step by step; between two steps it
looks whether the job was cancelled (``close()``) and whether an interactive request waits (it runs first). What waits
for other programs or the network goes to a second worker, so that a scan never waits with it. All signals are emitted
in the thread of ``Jobs``, the GUI's.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from PySide6.QtCore import QObject, Qt, QThread, Signal, Slot

from engine.types import Step

log = logging.getLogger(__name__)
Factory = Callable[[], Iterator[Step]]


class Reason(Enum):
    """How a job ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(eq=False)
class JobHandle:
    """A job that was submitted: its progress, and the way to cancel it.

    ``reason`` is None until it has ended; ``error`` and ``traceback`` tell why it failed; ``result`` is what the
    generator returned. ``quiet`` jobs are not shown in the job list. ``outside`` jobs wait for other programs.
    """

    id: int
    name: str
    kind: str
    priority: bool
    quiet: bool
    factory: Factory = field(repr=False)
    reason: Reason | None = None
    error: Exception | None = None
    traceback: str = ""
    result: Any = None
    started_at: float | None = None
    step: Step = field(default_factory=lambda: Step(0, 0))
    cancel_asked: bool = False
    outside: bool = False
    _pending: Step | None = field(default=None, repr=False)

    @property
    def fraction(self) -> float | None:
        """Progress in 0..1, None while the total is unknown."""
        return min(self.step.done / self.step.total, 1.0) if self.step.total > 0 else None

    @property
    def time_left(self) -> float | None:
        """Seconds left at the mean speed so far; None before it can be told."""
        if self.started_at is None or not self.fraction or self.reason is not None:
            return None
        elapsed = time.monotonic() - self.started_at
        return elapsed * (1 - self.fraction) / self.fraction if elapsed > 0.5 else None


class _Worker(QThread):
    """The thread: it owns no state but the queue; what it finds out goes out through two signals."""

    began = Signal(object)
    stepped = Signal(object)
    ended = Signal(object, object)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.condition = threading.Condition()
        self.queue: deque[JobHandle] = deque()
        self.urgent: dict[str, JobHandle] = {}
        self.stopping = False

    def run(self) -> None:
        """Advance jobs until told to stop."""
        while True:
            with self.condition:
                self.condition.wait_for(lambda: self.stopping or self.urgent or self.queue)
                if self.stopping:
                    break
                job = self._next_urgent() or self.queue.popleft()
            self._run(job)
        for job in [*self.urgent.values(), *self.queue]:
            self.ended.emit(job, Reason.CANCELLED)

    def _next_urgent(self) -> JobHandle | None:
        return self.urgent.pop(next(iter(self.urgent))) if self.urgent else None

    def _run(self, job: JobHandle) -> None:
        """Run one job to its end; a job that is not urgent lets urgent ones in between its steps."""
        if job.cancel_asked:
            self.ended.emit(job, Reason.CANCELLED)
            return
        job.started_at = time.monotonic()
        self.began.emit(job)
        try:
            reason = self._advance(job)
        except Exception as error:  # the one place: whatever the engine raises becomes a message or a report
            job.error, job.traceback, reason = error, traceback.format_exc(), Reason.FAILED
            log.info("job %s failed: %s", job.name, error)
        self.ended.emit(job, reason)

    def _advance(self, job: JobHandle) -> Reason:
        steps = iter(job.factory())
        while True:
            if job.cancel_asked or self.stopping:
                close = getattr(steps, "close", None)
                if close is not None:
                    close()
                return Reason.CANCELLED
            if not job.priority:
                self._serve_urgent()
            try:
                step = next(steps)
            except StopIteration as stop:
                job.result = stop.value
                return Reason.DONE
            self._report(job, step)

    def _serve_urgent(self) -> None:
        while not self.stopping:
            with self.condition:
                job = self._next_urgent()
            if job is None:
                return
            self._run(job)

    def _report(self, job: JobHandle, step: Step) -> None:
        """Hand a step over; steps that the GUI has not taken yet are merged, so that it is never flooded."""
        with self.condition:
            waiting = job._pending
            job._pending = (
                step
                if waiting is None
                else Step(step.done, step.total, (*waiting.items, *step.items), step.note or waiting.note)
            )
        if waiting is None:
            self.stepped.emit(job)


class Jobs(QObject):
    """The queue of long work.

    ``started(job)`` and ``finished(job, reason, error)`` come once for each job that runs (one cancelled while it
    waited only finishes); ``stepped(job, step)`` comes with every item the generator yielded, in order, though several
    steps may arrive merged into one.
    """

    submitted = Signal(object)
    started = Signal(object)
    stepped = Signal(object, object)
    finished = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._numbers = itertools.count(1)
        self._open: dict[int, JobHandle] = {}
        self._workers = {False: _Worker("engine worker", self), True: _Worker("outside worker", self)}
        for worker in self._workers.values():
            worker.began.connect(self._on_began, Qt.ConnectionType.QueuedConnection)
            worker.stepped.connect(self._on_stepped, Qt.ConnectionType.QueuedConnection)
            worker.ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    def submit(
        self,
        name: str,
        factory: Factory,
        *,
        priority: bool = False,
        kind: str | None = None,
        quiet: bool | None = None,
        outside: bool = False,
    ) -> JobHandle:
        """Queue a job; ``factory`` is called in the worker thread and returns the generator.

        A ``priority`` job is interactive: it cuts in between two steps of the running job, and replaces one of the
        same ``kind`` (by default the name) that still waits. Interactive jobs are ``quiet`` unless told otherwise.
        Jobs that wait for other programs or the network are ``outside``: the engine's work goes on beside them.
        """
        hidden = priority if quiet is None else quiet
        job = JobHandle(next(self._numbers), name, kind or name, priority, hidden, factory, outside=outside)
        self._open[job.id] = job
        replaced = None
        worker = self._workers[outside]
        with worker.condition:
            if priority:
                replaced = worker.urgent.pop(job.kind, None)
                worker.urgent[job.kind] = job
            else:
                worker.queue.append(job)
            worker.condition.notify()
        if replaced is not None:
            self._on_ended(replaced, Reason.CANCELLED)
        self.submitted.emit(job)
        if not worker.isRunning() and not worker.stopping:
            worker.start()
        return job

    def cancel(self, job: JobHandle) -> None:
        """Ask a job to end: at once if it waits, else after the step it is in."""
        job.cancel_asked = True
        worker = self._workers[job.outside]
        with worker.condition:
            waiting = job in worker.queue or worker.urgent.get(job.kind) is job
            if job in worker.queue:
                worker.queue.remove(job)
            elif waiting:
                del worker.urgent[job.kind]
        if waiting:
            self._on_ended(job, Reason.CANCELLED)

    @property
    def unfinished(self) -> tuple[JobHandle, ...]:
        """Jobs that run or wait, oldest first."""
        return tuple(self._open.values())

    @property
    def running(self) -> bool:
        """Whether a job that the user should know of runs or waits."""
        return any(not job.quiet for job in self._open.values())

    def stop(self) -> None:
        """End the running jobs after their step, drop the others, and join the threads. For the end of the program."""
        for worker in self._workers.values():
            with worker.condition:
                worker.stopping = True
                worker.condition.notify()
        for worker in self._workers.values():
            worker.wait()
        self._open.clear()

    @Slot(object)
    def _on_began(self, job: JobHandle) -> None:
        self.started.emit(job)

    @Slot(object)
    def _on_stepped(self, job: JobHandle) -> None:
        with self._workers[job.outside].condition:
            step, job._pending = job._pending, None
        if step is not None and job.reason is None:
            job.step = step
            self.stepped.emit(job, step)

    @Slot(object, object)
    def _on_ended(self, job: JobHandle, reason: Reason) -> None:
        if self._open.pop(job.id, None) is None:
            return
        self._on_stepped(job)
        job.reason = reason
        self.finished.emit(job, reason, job.error)
