"""The project file: what scans found and what people said of it.

Names are resolved when first used. Were they imported here, two threads that import parts of this package at once would
each wait for the other, and one would get a module that is half there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.catalogue.queries import Query
    from engine.catalogue.records import Event, MosaicRecord, Opinion, RunRecord, ScoreRecord
    from engine.catalogue.scheme import LETTERS, NUMBERS, SCHEMES, GradeLevel, Scheme, Subclass
    from engine.catalogue.store import Project

__all__ = [
    "LETTERS",
    "NUMBERS",
    "SCHEMES",
    "Event",
    "GradeLevel",
    "MosaicRecord",
    "Opinion",
    "Project",
    "Query",
    "RunRecord",
    "Scheme",
    "ScoreRecord",
    "Subclass",
]

_HOMES = {
    "LETTERS": "scheme",
    "NUMBERS": "scheme",
    "SCHEMES": "scheme",
    "Event": "records",
    "GradeLevel": "scheme",
    "MosaicRecord": "records",
    "Opinion": "records",
    "Project": "store",
    "Query": "queries",
    "RunRecord": "records",
    "Scheme": "scheme",
    "ScoreRecord": "records",
    "Subclass": "scheme",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'engine.catalogue' has no attribute '{name}'")
    return getattr(import_module(f"engine.catalogue.{_HOMES[name]}"), name)
