"""Bringing projects of older formats up to the present one.

A step takes a format to the next, in the transaction that also writes the new number: a kill leaves the old one.
Formats are a line of whole numbers, so the steps are functions here rather than a folder of revision scripts, which a
program packed into one file would not find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from engine.catalogue import opinions, schema


def upgrade(connection: sa.Connection, written: int) -> None:
    """Take the tables from the format ``written`` to the present one, inside the transaction of ``connection``."""
    operations = Operations(MigrationContext.configure(connection))
    for number in range(written, schema.FORMAT):
        _STEPS[number](operations, connection)
    if written < 2:  # there were no opinions yet
        spoken = connection.execute(sa.select(schema.events.c.candidate).distinct()).scalars().all()
        opinions.replay(connection, list(spoken))
    meta = schema.meta
    connection.execute(meta.update().where(meta.c.key == "format").values(value=str(schema.FORMAT)))


def _each_person_an_opinion(operations: Operations, connection: sa.Connection) -> None:
    """Format 2: opinions of several graders, subclasses, flags, calibration stamps and catalogues of known objects."""
    operations.add_column("mosaics", sa.Column("footprint", sa.Text))
    operations.add_column("candidates", sa.Column("subclass", sa.String, nullable=False, server_default=""))
    for name in ("flag", "come_back"):
        operations.add_column("candidates", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    operations.add_column("candidates", sa.Column("einstein_radius", sa.Double))
    operations.add_column("candidates", sa.Column("kind", sa.String, nullable=False, server_default=""))
    for name in ("candidates_by_score", "candidates_by_grade"):
        operations.drop_index(name)
        next(index for index in schema.candidates.indexes if index.name == name).create(connection)
    operations.create_index("events_by_grader", "events", ["grader", "at"])
    schema.metadata.create_all(connection)


def _duplicates_and_agreements(operations: Operations, connection: sa.Connection) -> None:
    """Format 3: what is a duplicate, what a team agreed on, and events that are about the project."""
    operations.add_column("candidates", sa.Column("same_as", sa.Integer))
    there = {column["name"] for column in sa.inspect(connection).get_columns("opinions")}
    for name in ("same_as", "same_at", "agreed", "agreed_at"):
        if name not in there:  # the step before made the table as it is now
            operations.add_column("opinions", sa.Column(name, schema.opinions.c[name].type))
    # SQLite cannot let a column be empty afterwards: the table is written anew.
    for index in schema.events.indexes:
        operations.drop_index(str(index.name))
    operations.rename_table("events", "events_before")
    schema.events.create(connection)
    names = [column.name for column in schema.events.columns]
    before = sa.table("events_before", *map(sa.column, names))
    connection.execute(schema.events.insert().from_select(names, sa.select(before)))
    operations.drop_table("events_before")


#: The step that leads on from each format.
_STEPS: Mapping[int, Callable[[Operations, sa.Connection], None]] = {
    1: _each_person_an_opinion,
    2: _duplicates_and_agreements,
}
