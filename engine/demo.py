"""The demo: a simulated survey field with a known truth, made once, scanned with or without a window."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from engine.detect.scan import scan
from engine.errors import DataError, EngineError
from engine.export import write_catalogue
from engine.export.atomic import atomic
from engine.images.disk_cache import cache_folder
from engine.images.mosaic import open_mosaic
from engine.models.card import load_card
from engine.models.library import model_folder
from engine.types import Candidate, Mosaic, ScanRequest, Step

TRUTH = "truth.ecsv"
FIRST = 60
"""How many candidates a person is supposed to look at."""

_DRAWN_BY = (
    "contaminants.py",
    "family.py",
    "field.py",
    "galaxies.py",
    "lenses.py",
    "scene.py",
    "sky.py",
)  # modules of engine.simulate

SCREENSHOT_SECONDS = 900


def demo_mosaic() -> Generator[Step, None, tuple[Path, ...]]:
    """Make the demo field, or find it in the cache.

    Returns
    -------
    The paths of its bands; the truth table lies beside them. They are also the items of the last step.

    Raises
    ------
    DataError : the cache cannot be written
    """
    from engine.simulate.field import FieldRequest, make_field

    request = FieldRequest()
    target = cache_folder() / f"demo-{_recipe_digest(request)}"
    if not (target / TRUTH).is_file():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=".demo-", dir=target.parent))
        except OSError as error:
            raise DataError(
                f"{target.parent} cannot be written ({error.strerror}): set DEEPLENSE_CACHE to a folder that can"
            ) from error
        try:
            yield from make_field(work, request)
            _move(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        for older in target.parent.glob("demo-*"):
            if older != target:
                shutil.rmtree(older, ignore_errors=True)
    paths = tuple(sorted(target.glob("field_*.fits"), key=lambda path: "ugrizy".find(path.stem[-1])))
    yield Step(1, 1, paths, "The demo field is ready")
    return paths


def run_headless(
    folder: Path | str, *, model: str = "finder", window: bool = True
) -> Generator[Step, None, list[Path]]:
    """Scan the demo field and write what a session with the window would leave behind.

    Into ``folder``: the project, the catalogue as CSV and ECSV, an HTML report with stamps, ``summary.json`` with
    completeness and purity against the truth table, and (``window``) a screenshot of the window.

    Returns
    -------
    The paths of what was written.
    """
    from engine.catalogue.store import Project
    from engine.export.report import write_report

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror}): choose another folder") from error
    card = load_card(model_folder(model))
    paths = yield from demo_mosaic()
    mosaic = open_mosaic(paths)
    place = folder / "demo.deeplense"
    project = Project.open(place) if place.exists() else Project.create(place)
    try:
        run = project.start_run(mosaic, card.key, {})
        for step in scan(ScanRequest(mosaic, model=model)):
            project.add(run, step.items)
            yield step
        project.finish_run(run, "done")
        rows = project.rows(project.ids(order="score", descending=True, mosaic=mosaic.id))
    finally:
        project.close()
    written = [write_catalogue(rows, folder / f"catalogue.{kind}") for kind in ("csv", "ecsv")]
    yield Step(0, 3, note="Writing the report")
    written.append(write_report(rows[:FIRST], [mosaic], folder))
    summary = judge(rows, _read_truth(paths[0].parent / TRUTH), mosaic)
    with atomic(folder / "summary.json") as partial:
        partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    written += [folder / "summary.json", place]
    if window:
        yield Step(2, 3, note="Taking a picture of the window")
        written.append(take_screenshot(folder / "screenshot.png", place))
    yield Step(3, 3)
    return written


def judge(rows: Sequence[Candidate], truth: Sequence[dict[str, float]], mosaic: Mosaic) -> dict[str, Any]:
    """Compare candidates, best first, with the lenses that are really there.

    A candidate points to a lens when it lies within 1.5 Einstein radii (the outer image of a source is that far from
    its deflector), or 1.5 arcsec where that is more; a lens is found by the first candidate that points to it.
    ``purity`` counts candidates that point to a lens among those of at least a score. "Plain" lenses are those with an
    Einstein radius above 1.5 x seeing and an arc S/N above 30.
    """
    scale = mosaic.pixel_scale or 1.0
    xy = np.array([(row.x, row.y) for row in rows]).reshape(-1, 2)
    true = np.zeros(len(rows), bool)
    tree = cKDTree(xy) if len(xy) else None
    lenses = []
    for lens in truth:
        reach = max(1.5 * lens["einstein_radius"], 1.5) / scale
        near = sorted(tree.query_ball_point((lens["x"], lens["y"]), reach)) if tree is not None else []
        true[near] = True
        plain = lens["einstein_radius"] > 1.5 * lens["seeing"] and lens["arc_snr"] > 30
        rank = near[0] + 1 if near else None
        score = rows[near[0]].score if near else None
        lenses.append({**lens, "plain": plain, "rank": rank, "score": score})
    lenses.sort(key=lambda lens: lens["rank"] or len(rows) + 1)
    purity = np.cumsum(true) / np.arange(1, len(rows) + 1)
    pure = np.flatnonzero(purity >= 0.5)
    half = int(pure[-1]) + 1 if len(pure) else 0

    def found(wanted: Sequence[dict[str, Any]], first: int) -> dict[str, Any]:
        count = sum(lens["rank"] is not None and lens["rank"] <= first for lens in wanted)
        return {"found": count, "of": len(wanted), "completeness": count / len(wanted) if wanted else None}

    easy = [lens for lens in lenses if lens["plain"]]
    return {
        "model": rows[0].model if rows else None,
        "candidates": len(rows),
        "lenses": len(lenses),
        f"first_{FIRST}": {"plain": found(easy, FIRST), "all": found(lenses, FIRST)},
        f"purity_of_first_{FIRST}": float(purity[min(FIRST, len(rows)) - 1]) if rows else None,
        "half_purity": {
            "score": rows[half - 1].score if half else None,
            "candidates": half,
            "plain": found(easy, half),
            "all": found(lenses, half),
        },
        "truth": lenses,
    }


def take_screenshot(path: Path, project: Path) -> Path:
    """A picture of the window with the demo in a project, drawn without a display by a process of its own.

    A project that holds a scan of the field is shown as it is; else the window scans first.

    Raises
    ------
    EngineError : the window could not be drawn
    """
    command = [sys.executable, "-m", "deeplense_gui", "--demo", "--project", str(project)]
    command += ["--screenshot", str(path)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    path.unlink(missing_ok=True)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SCREENSHOT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"The window did not draw within {SCREENSHOT_SECONDS} s; the other files are written"
        ) from error
    if not path.is_file():
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise EngineError(f"No picture of the window could be taken ({reason}); the rest is written")
    return path


def open_window() -> int:
    """Start the window with the demo and wait for its end; returns its exit status.

    Raises
    ------
    EngineError : there is no display
    """
    if sys.platform == "linux" and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        raise EngineError("There is no display: use deeplense demo --headless DIR")
    return subprocess.run([sys.executable, "-m", "deeplense_gui", "--demo"]).returncode


def _recipe_digest(request: object) -> str:
    """Changes with the request and with the code that draws the field, so that the cache never holds an old one."""
    digest = hashlib.sha256(repr(request).encode())
    for name in _DRAWN_BY:
        digest.update((files("engine.simulate") / name).read_bytes())
    return digest.hexdigest()[:12]


def _move(work: Path, target: Path) -> None:
    """Give the finished field its name; another program may have made it meanwhile, and then that one stands."""
    try:
        work.rename(target)
    except OSError as error:
        if not (target / TRUTH).is_file():
            raise DataError(f"{target} cannot be written ({error.strerror}): set DEEPLENSE_CACHE to another") from error


def _read_truth(path: Path) -> list[dict[str, float]]:
    from astropy.table import Table

    table = Table.read(path, format="ascii.ecsv")
    return [{name: float(row[name]) for name in table.colnames} for row in table]
