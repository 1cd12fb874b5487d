"""The engine: everything that needs no screen.

``from engine import open_mosaic, scan`` is enough in a notebook; names are resolved when first used, so that
importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.catalogue.store import Project
    from engine.detect.scan import scan
    from engine.errors import DataError, EngineError, ImageError, ModelError, ProjectError
    from engine.images.mosaic import open_mosaic
    from engine.models.predict import load_classifier
    from engine.train.compare import CompareRequest, compare
    from engine.train.evaluate import EvaluateRequest, evaluate
    from engine.train.request import TrainRequest
    from engine.types import ScanRequest

__all__ = [
    "CompareRequest",
    "DataError",
    "EngineError",
    "EvaluateRequest",
    "ImageError",
    "ModelError",
    "Project",
    "ProjectError",
    "ScanRequest",
    "TrainRequest",
    "compare",
    "evaluate",
    "load_classifier",
    "open_mosaic",
    "scan",
]

_HOMES = {
    "CompareRequest": "engine.train.compare",
    "DataError": "engine.errors",
    "EngineError": "engine.errors",
    "EvaluateRequest": "engine.train.evaluate",
    "ImageError": "engine.errors",
    "ModelError": "engine.errors",
    "Project": "engine.catalogue.store",
    "ProjectError": "engine.errors",
    "ScanRequest": "engine.types",
    "TrainRequest": "engine.train.request",
    "compare": "engine.train.compare",
    "evaluate": "engine.train.evaluate",
    "load_classifier": "engine.models.predict",
    "open_mosaic": "engine.images.mosaic",
    "scan": "engine.detect.scan",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("deeplense-gui")
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
