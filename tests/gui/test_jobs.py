"""The worker: one end for each job, cancel between steps, and interactive requests that cut in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from deeplense_gui.jobs import Jobs, Reason
from engine.errors import ImageError
from engine.types import Step


@pytest.fixture
def jobs(qtbot):
    made = Jobs()
    made.log = []
    made.started.connect(lambda job: made.log.append(("started", job.name)))
    made.finished.connect(lambda job, reason, error: made.log.append((reason, job.name)))
    yield made
    made.stop()


def steps(count: int, pause: float = 0.0) -> Iterator[Step]:
    for number in range(count):
        time.sleep(pause)
        yield Step(number + 1, count, (number,))


def endless(closed: threading.Event, running: threading.Event | None = None) -> Iterator[Step]:
    try:
        while True:
            if running is not None:
                running.set()
            time.sleep(0.002)
            yield Step(1, 10)
    finally:
        closed.set()


def test_every_item_arrives_in_order_and_the_end_comes_once(qtbot, jobs):
    seen = []
    jobs.stepped.connect(lambda job, step: seen.extend(step.items))
    with qtbot.waitSignal(jobs.finished) as end:
        job = jobs.submit("count", lambda: steps(500))
    assert seen == list(range(500))
    assert end.args[1:] == [Reason.DONE, None]
    assert jobs.log == [("started", "count"), (Reason.DONE, "count")]
    assert job.fraction == 1
    assert not jobs.unfinished


def test_the_return_value_is_the_result(qtbot, jobs):
    def work() -> Iterator[Step]:
        yield Step(1, 1)
        return "answer"

    with qtbot.waitSignal(jobs.finished):
        job = jobs.submit("ask", work)
    assert job.result == "answer"


def test_signals_come_in_the_thread_of_the_window(qtbot, jobs):
    threads = []
    inside = []

    def work() -> Iterator[Step]:
        inside.append(threading.current_thread())
        yield Step(1, 1)

    jobs.stepped.connect(lambda *_: threads.append(threading.current_thread()))
    with qtbot.waitSignal(jobs.finished):
        jobs.submit("where", work)
    assert threads == [threading.main_thread()]
    assert inside[0] is not threading.main_thread()


def test_cancel_closes_the_generator_between_two_steps(qtbot, jobs):
    closed, running = threading.Event(), threading.Event()
    job = jobs.submit("endless", lambda: endless(closed, running))
    assert running.wait(5)
    with qtbot.waitSignal(jobs.finished) as end:
        jobs.cancel(job)
    assert end.args[1] is Reason.CANCELLED
    assert closed.is_set()


def test_a_job_cancelled_while_it_waits_never_runs(qtbot, jobs):
    closed, ran = threading.Event(), []
    first = jobs.submit("first", lambda: endless(closed))
    second = jobs.submit("second", lambda: ran.append(1) or steps(1))
    jobs.cancel(second)
    with qtbot.waitSignal(jobs.finished):
        jobs.cancel(first)
    assert not ran
    assert jobs.log.count((Reason.CANCELLED, "second")) == 1
    assert ("started", "second") not in jobs.log


@pytest.mark.parametrize(("error", "trace"), [(ImageError("no image"), "ImageError"), (ZeroDivisionError(), "Zero")])
def test_a_failure_ends_the_job_and_not_the_worker(qtbot, jobs, error, trace):
    def work() -> Iterator[Step]:
        yield Step(0, 1)
        raise error

    with qtbot.waitSignal(jobs.finished) as end:
        job = jobs.submit("bad", work)
    assert end.args[1:] == [Reason.FAILED, error]
    assert trace in job.traceback
    with qtbot.waitSignal(jobs.finished) as end:
        jobs.submit("good", lambda: steps(1))
    assert end.args[1] is Reason.DONE


def test_an_error_of_the_factory_is_a_failure_too(qtbot, jobs):
    with qtbot.waitSignal(jobs.finished) as end:
        jobs.submit("bad", lambda: 1 / 0)
    assert end.args[1] is Reason.FAILED


def test_an_interactive_request_cuts_in(qtbot, jobs):
    closed, running = threading.Event(), threading.Event()
    scan = jobs.submit("scan", lambda: endless(closed, running))
    assert running.wait(5)
    with qtbot.waitSignal(jobs.finished, timeout=2000) as end:
        jobs.submit("explain", lambda: steps(2), priority=True)
    assert end.args[0].name == "explain"
    assert not closed.is_set()
    jobs.cancel(scan)


def test_the_newest_interactive_request_of_a_kind_wins(qtbot, jobs):
    gate, held = threading.Event(), threading.Event()

    def hold() -> Iterator[Step]:
        held.set()
        gate.wait(5)
        yield Step(1, 1)

    jobs.submit("hold", hold)
    assert held.wait(5)
    ran = []
    for number in range(5):
        jobs.submit(f"explain {number}", lambda n=number: ran.append(n) or steps(1), priority=True, kind="explain")
    jobs.submit("other", lambda: ran.append("other") or steps(1), priority=True)
    with qtbot.waitSignals([jobs.finished] * 3):
        gate.set()
    qtbot.waitUntil(lambda: not jobs.unfinished)
    assert ran == [4, "other"]
    assert [entry for entry in jobs.log if entry[0] is Reason.CANCELLED] == [
        (Reason.CANCELLED, f"explain {number}") for number in range(4)
    ]


def test_jobs_run_one_after_the_other(qtbot, jobs):
    for name in ("one", "two", "three"):
        jobs.submit(name, lambda: steps(3))
    qtbot.waitUntil(lambda: not jobs.unfinished)
    assert [name for kind, name in jobs.log if kind == "started"] == ["one", "two", "three"]


def test_time_left_follows_from_the_mean_speed(qtbot, jobs):
    job = jobs.submit("timed", lambda: steps(4))
    qtbot.waitUntil(lambda: job.reason is Reason.DONE)
    assert job.time_left is None
    job.reason, job.step, job.started_at = None, Step(1, 4), time.monotonic() - 2
    assert job.time_left == pytest.approx(6, rel=0.05)


def test_stop_joins_the_thread_in_the_middle_of_a_job(qtbot):
    jobs, closed, running = Jobs(), threading.Event(), threading.Event()
    jobs.submit("endless", lambda: endless(closed, running))
    assert running.wait(5)
    jobs.stop()
    assert closed.is_set()
    jobs.stop()


def test_a_slow_window_is_not_flooded(qtbot, jobs):
    calls, seen = [], []
    jobs.stepped.connect(lambda job, step: (calls.append(1), seen.extend(step.items), time.sleep(0.01)))
    with qtbot.waitSignal(jobs.finished):
        jobs.submit("flood", lambda: steps(3000))
    assert seen == list(range(3000))
    assert len(calls) < 1500


def test_what_waits_for_other_programs_goes_on_beside_the_engine(qtbot, jobs):
    closed, running = threading.Event(), threading.Event()
    scan = jobs.submit("scan", lambda: endless(closed, running))
    with qtbot.waitSignal(jobs.finished, check_params_cb=lambda job, *_: job.name == "look-up"):
        look_up = jobs.submit("look-up", lambda: steps(3), outside=True)
    assert look_up.reason is Reason.DONE
    assert scan in jobs.unfinished
    outside, shut = threading.Event(), threading.Event()
    slow = jobs.submit("slow service", lambda: endless(shut, outside), outside=True)
    assert outside.wait(5)
    with qtbot.waitSignal(jobs.finished, check_params_cb=lambda job, *_: job is slow):
        jobs.cancel(slow)
    assert shut.is_set()
    assert not closed.is_set()
