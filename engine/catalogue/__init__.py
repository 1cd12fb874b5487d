"""The project file: what scans found and what people said of it."""

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
