"""Mosaics and detections for the tests of the catalogue; no pixels behind them."""

from pathlib import Path

from engine.catalogue import Project
from engine.types import Detection, Mosaic


def make_mosaic(pixel_scale: float | None = 0.2, name: str = "field") -> Mosaic:
    return Mosaic(f"id-{name}", (Path(f"/sky/{name}.fits.gz"),), (1000, 2000), ("i",), pixel_scale, None, ())


def detection(x: float, y: float, score: float = 0.5, model: str = "finder-1", **changes: object) -> Detection:
    values = {
        "x": x,
        "y": y,
        "ra": None,
        "dec": None,
        "flux": 10.0,
        "radius": 3.0,
        "signal_to_noise": 20.0,
        "score": score,
        "raw_score": score,
        "spread": 0.0,
        "model": model,
    }
    return Detection(**{**values, **changes})


def fill(project: Project, *scores: float) -> list[int]:
    """Add candidates 100 px apart, in the order of ``scores``."""
    run = project.start_run(make_mosaic(), "finder-1", {"threshold": 1.5})
    return list(project.add(run, [detection(100.0 * i, 50.0, score) for i, score in enumerate(scores)]).ids)
