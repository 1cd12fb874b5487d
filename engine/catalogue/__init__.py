"""The project file: what scans found and what people said of it."""

from engine.catalogue.records import Event, MosaicRecord, RunRecord, ScoreRecord
from engine.catalogue.store import Project

__all__ = ["Event", "MosaicRecord", "Project", "RunRecord", "ScoreRecord"]
