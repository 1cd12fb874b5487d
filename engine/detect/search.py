"""Looking for the sources in a region of pixels: here, or in a process of its own.

SEP keeps the interpreter to itself while it works, a quarter of a second at a time: in the process of a window all
would stand still meanwhile.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from engine.detect.heatmap import joined, measured_peaks
from engine.detect.sources import SOURCE, detection_image, extract_sources, measure_sources
from engine.types import FloatArray, Positions

log = logging.getLogger(__name__)

_MEASURED_AT_ONCE = 250
_STEP_SECONDS = 0.15
_BEHIND = 5  # nice: what asks is a window, which goes first
_GONE = (EOFError, OSError)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Pixels (band, y, x), NaN where there are no data, and what is looked for in them.

    ``threshold`` is that of the sources, in units of the noise, None for none of them; ``inside`` (x0, x1, y0, y1) is
    where their centres have to lie. ``peaks`` (n, 2), of a dense network, are taken as well where they are farther
    than ``radius`` from any source. All in pixels of the region.
    """

    pixels: FloatArray
    threshold: float | None
    inside: tuple[float, float, float, float]
    peaks: Positions | None
    radius: float


Search = Callable[[Region], Generator[float, None, NDArray[np.void]]]
"""Yields the fraction done, several times a second; returns the sources, of dtype engine.detect.sources.SOURCE."""


def search_here(region: Region) -> Generator[float, None, NDArray[np.void]]:
    """Look for the sources of a region in this thread."""
    yield 0.0
    image, light = detection_image(region.pixels)
    yield 0.2
    parts = [np.empty(0, SOURCE)]
    if region.threshold is not None:
        found = extract_sources(image, threshold=region.threshold)
        x0, x1, y0, y1 = region.inside
        x, y = found["x"], found["y"]
        found = found[(x >= x0) & (x < x1) & (y >= y0) & (y < y1)]
        yield 0.6
        for start in range(0, len(found), _MEASURED_AT_ONCE):
            parts.append(measure_sources(found[start : start + _MEASURED_AT_ONCE], image, light))
            yield 0.6 + 0.4 * start / len(found)
    sources = np.concatenate(parts)
    if region.peaks is not None:
        sources = joined(sources, measured_peaks(region.peaks, image, light), region.radius)
    return sources


class SearchProcess:
    """A Search in a process of its own, which is started when it is first needed and ends with this one or ``close``.

    Where it cannot be had, or dies, the search goes on in this process. For programs that may be imported again: a
    script that scans without a ``__main__`` guard is run once more by the new process.
    """

    def __init__(self) -> None:
        self._pipe: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._broken = False

    def start(self) -> None:
        """Start the process, if it is not there and may be had; does not wait for it."""
        if self._process is not None or self._broken:
            return
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="source search", daemon=True)
        try:
            self._process.start()
        except OSError as error:  # no memory, no more processes
            self._give_up(error)
        theirs.close()  # so that either end learns of the other's

    def __call__(self, region: Region) -> Generator[float, None, NDArray[np.void]]:
        """Look for the sources of a region in the process, and yield while it works."""
        self.start()
        if self._pipe is None:
            return (yield from search_here(region))
        pipe, share = self._pipe, 0.0
        sources: NDArray[np.void] | None = None
        try:
            pipe.send(region)
            while sources is None:
                if pipe.poll(_STEP_SECONDS):
                    answer: float | NDArray[np.void] = pipe.recv()
                    if isinstance(answer, float):
                        share = answer
                    else:
                        sources = answer
                yield share
        except _GONE as error:
            self._give_up(error)
            return (yield from search_here(region))
        finally:
            if sources is None:  # given up in the middle: nobody wants that answer any more
                self.close()
        return sources

    def close(self) -> None:
        """End the process; a later search starts another one."""
        pipe, self._pipe = self._pipe, None
        process, self._process = self._process, None
        if pipe is not None:
            pipe.close()
        if process is not None and process.pid is not None:
            process.terminate()
            process.join()

    def _give_up(self, error: Exception) -> None:
        log.warning("the process that looks for sources is gone (%r): going on without it", error)
        self._broken = True
        self.close()


def _serve(pipe: Connection) -> None:
    """Answer regions with the fractions done and then the sources, until nobody asks any more."""
    if hasattr(os, "nice"):
        os.nice(_BEHIND)
    while True:
        try:
            region = pipe.recv()
            search = search_here(region)
            while True:
                try:
                    pipe.send(float(next(search)))
                except StopIteration as end:
                    pipe.send(end.value)
                    break
        except _GONE:
            return
