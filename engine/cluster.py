"""The same scan over the many tiles of a survey with Dask: on processes of this machine, or on a cluster.

A tile is a task; what comes back are its candidates, never pixels. No more tasks are handed out than there are workers:
neither the scheduler nor this process ever holds more than a few tiles' worth. Workers may come and go at any time:
each finds out by itself whether it fits.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import engine
from engine.detect.survey import ScannedTile, SurveyScan, Tally, load_networks, problem, scan_tile
from engine.errors import ClusterError, ModelError
from engine.images.tile_files import TileFiles
from engine.types import Step

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_STEP_SECONDS = 0.15
_LOOK_SECONDS = 1.0  # between two looks at who the workers are
_ANSWER_SECONDS = 10  # that a scheduler may take to answer
_LOST = "cancelled", "lost"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LEAVE_CTRL_C = "from signal import SIG_IGN, SIGINT, signal; signal(SIGINT, SIG_IGN)"  # to the process that asked

_networks = lru_cache(maxsize=1)(load_networks)
_one_at_a_time = threading.Lock()  # networks and SEP are not made for several threads of a worker


def scan_tiles(
    tiles: Sequence[TileFiles], survey: SurveyScan, *, address: str | None = None, workers: int = 1
) -> Iterator[Step]:
    """Scan tiles many at a time.

    Parameters
    ----------
    address : of a running scheduler, such as tcp://host:8786; without one, processes of this machine are started
    workers : how many of those

    Yields
    ------
    Steps at least five a second; ``items`` has the ScannedTile that was finished, in no order. A tile whose worker
    dies is done by another one, at last alone; a tile that cannot be scanned, or whose workers die even so, says that
    in its ``problem``. Close the generator to cancel: tiles under way are given up.

    Raises
    ------
    ClusterError : Dask is not installed, the scheduler does not answer, or a worker has another version of the
        program, another model or does not see the files
    """
    tally = Tally(len(tiles))
    start = f"Asking {address}" if address else f"Starting {workers} processes"
    yield tally.step(note=start)
    with _connected(address, workers) as client:
        yield from _scan_on(client, tiles, survey, tally)


def _scan_on(client: Client, tiles: Sequence[TileFiles], survey: SurveyScan, tally: Tally) -> Iterator[Step]:
    waiting, fatal = deque(tiles), deque[TileFiles]()
    again: set[TileFiles] = set()
    flying: dict[Future, TileFiles] = {}
    finished: SimpleQueue[Future] = SimpleQueue()
    look, room = 0.0, 0
    try:
        while waiting or flying or fatal:
            if time.monotonic() >= look:
                look, room = time.monotonic() + _LOOK_SECONDS, _count_workers(client)
            if not waiting and not flying:  # alone: then no other is to blame, and there is more memory
                waiting.append(fatal.popleft())
            while waiting and len(flying) < room:
                files = waiting.popleft()
                missing = next((file for file in files if not file.exists()), None)
                if missing is not None:  # what a worker alone does not see is another matter
                    yield tally.take(ScannedTile(files, problem=f"{missing} does not exist any more"))
                    continue
                future = client.submit(_scan_here, files, survey, engine.__version__, pure=False)
                flying[future] = files
                future.add_done_callback(finished.put)
            try:
                future = finished.get(timeout=_STEP_SECONDS)
            except Empty:
                ours = room or client.cluster is not None  # processes of our own come again by themselves
                note = "" if ours else f"No worker yet: start some with dask worker {client.scheduler.address}"
                yield tally.step(note=note)
                continue
            files = flying.pop(future)
            if files not in again and _was_fatal(future):
                again.add(files)
                fatal.append(files)
            else:
                yield tally.take(_outcome(future, files))
    finally:
        if client.status == "running":
            client.cancel(list(flying), force=True)


def _was_fatal(future: Future) -> bool:
    from distributed import KilledWorker

    return future.status == "error" and isinstance(future.exception(), KilledWorker)


def _count_workers(client: Client) -> int:
    if client.status != "running":
        raise _gone()
    try:
        return len(client.nthreads())
    except OSError as error:
        raise _gone() from error


def _gone() -> ClusterError:
    return ClusterError(
        "the Dask scheduler is gone: start it and its workers again, then run the same command to go on"
    )


def _outcome(future: Future, files: TileFiles) -> ScannedTile:
    """What came of a task that ended.

    Raises
    ------
    ClusterError : its worker does not fit, or the scheduler forgot it
    """
    if future.status == "finished":
        return future.result()  # type: ignore[no-any-return]
    if future.status in _LOST:
        raise _gone()
    error = future.exception()
    if isinstance(error, ClusterError):
        raise error
    if isinstance(error, ModuleNotFoundError):
        raise ClusterError(f"a worker lacks {error.name}: install the same DeepLense on all machines") from error
    if _was_fatal(future):
        died = "each worker that scanned it died, the last one with no other tile beside it; is the memory enough?"
        return ScannedTile(files, problem=f"{files[0].name}: {died}")
    return ScannedTile(files, problem=problem(files, error))


@contextmanager
def _connected(address: str | None, workers: int) -> Iterator[Client]:
    """A client of a scheduler, be it one of our own that ends with it."""
    try:
        import dask

        # What matters is said by us; this has to be known before distributed is imported.
        dask.config.set({"logging": dict.fromkeys(("distributed", "distributed.client"), "critical")})
        from distributed import Client

        if address is None:
            import cryptography  # noqa: F401  # Dask asks for it when it is too late to say so
    except ImportError as error:
        raise ClusterError('Dask is not installed: pip install "deeplense-gui[cluster]"') from error
    with ExitStack() as open_until_done:
        own = _processes(workers) if address is None else nullcontext(address)
        scheduler = open_until_done.enter_context(own)
        try:
            client = Client(scheduler, timeout=_ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address}: start one with dask scheduler, and check the address"
            ) from error
        yield open_until_done.enter_context(client)


@contextmanager
def _processes(count: int) -> Iterator[LocalCluster]:
    """A scheduler on this machine with so many workers, and nobody else's."""
    import dask
    from distributed import LocalCluster

    settings: dict[str, Any] = {f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker")}  # no pages
    settings["distributed.deploy.lost-worker-timeout"] = "1 day"  # else what starts again slowly is given up
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            security=True,  # others on this machine could else run what they like as this user
            dashboard_address=None,
            scheduler_kwargs={"allowed_failures": 0},  # we try once more, alone
            memory_limit=0,  # workers hold no data: one that Dask paused would never go on
            silence_logs=logging.CRITICAL,
            preload=_LEAVE_CTRL_C,
        ) as cluster,
    ):
        yield cluster


def _scan_here(files: TileFiles, survey: SurveyScan, version: str) -> ScannedTile | None:
    """The task: scan a tile on this worker; None where it is no longer wanted.

    Raises
    ------
    ClusterError : this worker has another version or model, or does not see the tile
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd headers are the rule
        logging.getLogger("astropy").setLevel(logging.WARNING)  # and are told once more when a WCS is sent
        _hold_memory()
        _check(files, survey, version)
        networks = _networks(survey)
        job = scan_tile(files, survey, networks)
        while _is_wanted():
            try:
                next(job)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
        job.close()
        return None


@lru_cache(maxsize=1)
def _hold_memory() -> None:
    """Let the C library of Linux keep freed memory for the next array, as it does of itself outside of Dask.

    Dask tells it to give all back at once (MALLOC_TRIM_THRESHOLD_), and a scan then takes twice the processor's time.
    """
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
        for option, limit in ((_M_TRIM_THRESHOLD, 256 << 20), (_M_MMAP_THRESHOLD, 32 << 20)):
            if change is not None:
                change(option, limit)


def _check(files: TileFiles, survey: SurveyScan, version: str) -> None:
    """Refuse to work with what is not the same here as where the scan was asked for."""
    if engine.__version__ != version:
        raise _refusal(f"has DeepLense {engine.__version__}, this is {version}: install the same on all machines")
    for file in files:
        if not file.exists():
            raise _refusal(f"does not see {file}: mount the folder there at the same path")
    try:
        networks = _networks(survey)
    except ModelError as error:
        raise _refusal(f"cannot load the model: {error}") from error
    keys = networks.classifier.card.key, networks.detector.card.key if networks.detector else ""
    for found, wanted in zip(keys, (survey.model_key, survey.heatmap_key), strict=True):
        if found != wanted:
            raise _refusal(f"has the model {found}, not {wanted}: copy the folder of the model there")


def _refusal(reason: str) -> ClusterError:
    from distributed import get_worker

    return ClusterError(f"the worker {get_worker().address} on {socket.gethostname()} {reason}")


def _is_wanted() -> bool:
    """Whether somebody still waits for the task that runs in this thread; a thread cannot be stopped from outside."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is not None and task.state == "executing"
