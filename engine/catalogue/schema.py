"""The tables of a project file.

The heart is ``events``, which only grows. What each person says of each candidate (``opinions``), what the list shows
of it (``grade`` to ``einstein_radius`` of a candidate: the newest by anyone) and the ``state`` of an operation are
derived from it in the transaction that appends the event; the newest score of a candidate is likewise a copy from
``scores``, kept where it can be sorted by.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

#: Version of the layout below; a file with a greater one was written by a newer program.
FORMAT = 3

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
    # Sky positions of the corners: what tells a mosaic on another machine, where path and time are others.
    Column("footprint", Text),
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
    Column("subclass", String, nullable=False, server_default=""),
    Column("flag", Integer, nullable=False, server_default="0"),
    Column("come_back", Integer, nullable=False, server_default="0"),
    Column("einstein_radius", Double),
    # The candidate that this one is a duplicate of, after the newest statement; its own id: an object of its own.
    Column("same_as", Integer),
    # Empty for what a scan found, else what calibration stamp it is.
    Column("kind", String, nullable=False, server_default=""),
    Index("candidates_by_position", "mosaic", "y", "x"),
    sqlite_autoincrement=True,
)
Index("candidates_by_score", candidates.c.kind, candidates.c.score.desc())
Index("candidates_by_grade", candidates.c.kind, candidates.c.grade, candidates.c.score.desc())

opinions = Table(
    "opinions",
    metadata,
    Column("candidate", ForeignKey("candidates.id"), primary_key=True),
    Column("grader", String, primary_key=True),
    Column("grade", String),
    Column("graded_at", String),
    Column("subclass", String, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("noted_at", String),
    Column("flag", Integer, nullable=False, server_default="0"),
    Column("come_back", Integer, nullable=False, server_default="0"),
    Column("einstein_radius", Double),
    Column("same_as", Integer),
    Column("same_at", String),
    # The grade that this person says the team agreed on, beside their own.
    Column("agreed", String),
    Column("agreed_at", String),
    Index("opinions_by_grader", "grader", "grade", "candidate"),
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
    # done: can be undone; undone: can be done again; dropped: undone, then something else was done;
    # merged: done in another project; noted: nothing that could be undone.
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
    # None: it is about the project, such as its scheme.
    Column("candidate", ForeignKey("candidates.id")),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("model", String, nullable=False),
    Column("display", Text),
    Column("dwell", Double),
    Index("events_by_operation", "operation", "id"),
    Index("events_by_candidate", "candidate", "id"),
    Index("events_by_grader", "grader", "at"),
    sqlite_autoincrement=True,
)

calibration = Table(
    "calibration",
    metadata,
    Column("candidate", ForeignKey("candidates.id"), primary_key=True),
    Column("uuid", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("is_lens", Integer),
    Column("einstein_radius", Double),
    Column("arc_snr", Double),
    Column("repeats", ForeignKey("candidates.id")),
    # The arc as painted, packed by engine.catalogue.calibration, and the pixel its first one falls on.
    Column("arc", LargeBinary),
    Column("x0", Integer),
    Column("y0", Integer),
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("path", String, nullable=False),
    Column("columns", Text, nullable=False),
    Column("matched_at", String, nullable=False),
    Column("radius", Double, nullable=False),
    Column("objects", Integer, nullable=False),
    sqlite_autoincrement=True,
)

known = Table(
    "known",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("catalogue", ForeignKey("catalogues.id"), nullable=False),
    # None: an object of the catalogue that lies on a mosaic and that no scan found.
    Column("candidate", ForeignKey("candidates.id")),
    Column("mosaic", ForeignKey("mosaics.number"), nullable=False),
    Column("name", String, nullable=False),
    Column("ra", Double, nullable=False),
    Column("dec", Double, nullable=False),
    Column("separation", Double),
    Column("reference", Text, nullable=False),
    Column("grading", String, nullable=False),
    Index("known_by_candidate", "candidate"),
    sqlite_autoincrement=True,
)
