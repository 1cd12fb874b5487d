"""DS9 through XPA, where both are installed: the mosaic with regions, at a candidate."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from engine.errors import ExchangeError
from engine.exchange.background import wait_for
from engine.types import Step

TITLE = "DeepLense"  # names our DS9 among those that run
STARTS = 40.0  # seconds until DS9 must listen
_ANSWERS = 60.0
_ZOOM = 4
PROGRAMS = ("ds9", "xpaset", "xpaget", "xpaaccess")


def is_installed() -> bool:
    """Whether DS9 and XPA can be run."""
    return all(shutil.which(program) for program in PROGRAMS)


def show(
    files: Sequence[Path], regions: Path | None = None, *, radec: tuple[float, float] | None = None,
    xy: tuple[float, float] | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Open files in DS9, one a frame, with regions over them, and go to a place.

    The DS9 that was started last time is used again, and what it shows is not loaded anew.

    Parameters
    ----------
    radec : where to go, ICRS degrees
    xy : where to go in an image without WCS, pixels from 0

    Raises
    ------
    ExchangeError : DS9 does not start, or does not take a command
    """
    yield from _start()
    shown = _ask("file").strip()
    commands: list[tuple[str, ...]] = []
    if str(files[-1]) != shown:
        for number, file in enumerate(files):
            new = [("frame", "new")] if number or shown else []
            commands += [*new, ("file", f"{{{file}}}"), ("scale", "zscale")]
        if len(files) > 1:
            commands.append(("lock", "frame", "wcs"))
    if regions is not None:
        commands += [("regions", "delete", "all"), ("regions", "load", f"{{{regions}}}")]
    if radec is not None:
        commands += _go(f"{radec[0]:.7f}", f"{radec[1]:.7f}", "wcs", "icrs", "degrees")
    elif xy is not None:
        commands += _go(f"{xy[0] + 1:.2f}", f"{xy[1] + 1:.2f}", "image")
    commands.append(("raise",))
    for number, words in enumerate(commands):
        for step in wait_for("DS9", partial(_tell, *words), seconds=_ANSWERS):
            yield Step(number, len(commands), note=step.note and f"DS9: {' '.join(words)[:60]}")


def _go(*place: str) -> list[tuple[str, ...]]:
    return [("zoom", "to", str(_ZOOM)), ("pan", "to", *place)]


def _start() -> Iterator[Step]:
    """Start DS9 unless ours runs, and wait until it listens."""
    if not is_installed():
        raise ExchangeError("DS9 and XPA are not installed: install ds9 and xpa-tools")
    if _listens():
        return
    process = subprocess.Popen(
        ["ds9", "-title", TITLE], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + STARTS
    while not _listens():
        yield Step(0, 0, note="DS9 starts")
        # One that hands over to another, and one that listened just after we asked, has not failed.
        if process.poll() is not None and not _listens():
            raise ExchangeError(f"DS9 ended at once (status {process.returncode}): start it by hand to see why")
        if time.monotonic() > deadline:
            raise ExchangeError(f"DS9 does not listen to XPA after {STARTS:g} s: start it by hand to see why")
        time.sleep(0.2)


def _listens() -> bool:
    return _run("xpaaccess", TITLE).stdout.strip() == "yes"


def _ask(*words: str) -> str:
    return _run("xpaget", TITLE, *words).stdout


def _tell(*words: str) -> None:
    done = _run("xpaset", "-p", TITLE, *words)
    if done.returncode or "XPA$ERROR" in done.stderr + done.stdout:
        said = " ".join((done.stderr or done.stdout).split())[:120]
        raise ExchangeError(f"DS9 did not take “{' '.join(words)[:60]}” ({said}): close DS9 and try again")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_ANSWERS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ExchangeError(f"DS9 did not answer within {_ANSWERS:g} s: close it and try again") from error
