"""The tables of a project file.

The heart is ``events``, which only grows. ``grade``, ``grader``, ``graded_at`` and ``note`` of a candidate, and the
``state`` of an operation, are derived from it in the transaction that appends the event; the newest score of a
candidate is likewise a copy from ``scores``, kept where it can be sorted by.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

#: Version of the layout below; a file with a greater one was written by a newer program.
FORMAT = 1

#: "DLNS", written to the header of the SQLite file, so that ``file`` and we know whose it is.
APPLICATION_ID = 0x444C4E53

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

mosaics = Table(
    "mosaics",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("stem", String, nullable=False),
    Column("paths", Text, nullable=False),
    Column("ny", Integer, nullable=False),
    Column("nx", Integer, nullable=False),
    Column("bands", Text, nullable=False),
    Column("pixel_scale", Double),
    Column("has_wcs", Integer, nullable=False),
    Column("extension", String, nullable=False),
    Column("match_radius", Double, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mosaic", ForeignKey("mosaics.number"), nullable=False),
    Column("model", String, nullable=False),
    Column("settings", Text, nullable=False),
    Column("started", String, nullable=False),
    Column("finished", String),
    Column("state", String, nullable=False),
    sqlite_autoincrement=True,
)

candidates = Table(
    "candidates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mosaic", ForeignKey("mosaics.number"), nullable=False),
    Column("name", String, nullable=False),
    Column("ra", Double),
    Column("dec", Double),
    Column("x", Double, nullable=False),
    Column("y", Double, nullable=False),
    Column("flux", Double),
    Column("radius", Double),
    Column("signal_to_noise", Double),
    Column("score", Double),
    Column("raw_score", Double),
    Column("spread", Double),
    Column("model", String, nullable=False),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("grade", String),
    Column("grader", String, nullable=False, server_default=""),
    Column("graded_at", String),
    Column("note", Text, nullable=False, server_default=""),
    Index("candidates_by_score", "score"),
    Index("candidates_by_grade", "grade", "score"),
    Index("candidates_by_position", "mosaic", "y", "x"),
    sqlite_autoincrement=True,
)

scores = Table(
    "scores",
    metadata,
    Column("candidate", ForeignKey("candidates.id"), nullable=False),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("model", String, nullable=False),
    Column("score", Double),
    Column("raw_score", Double),
    Column("spread", Double),
    UniqueConstraint("candidate", "run"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    Column("text", String, nullable=False),
    Column("grader", String, nullable=False),
    Column("at", String, nullable=False),
    # done: can be undone; undone: can be done again; dropped: undone, then something else was done.
    Column("state", String, nullable=False),
    Index("operations_by_state", "state", "id"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    Column("operation", ForeignKey("operations.id"), nullable=False),
    Column("action", String, nullable=False),
    Column("grader", String, nullable=False),
    Column("at", String, nullable=False),
    Column("candidate", ForeignKey("candidates.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("model", String, nullable=False),
    Column("display", Text),
    Column("dwell", Double),
    Index("events_by_operation", "operation", "id"),
    Index("events_by_candidate", "candidate", "id"),
    sqlite_autoincrement=True,
)
