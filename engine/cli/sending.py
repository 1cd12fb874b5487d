"""Commands that hand a project to other programs on this machine: send."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exporting import Grades, MinScore, ProjectFile, chosen
from engine.cli.program import BAD_INPUT, Quiet, app, complain, follow
from engine.errors import DataError, ExchangeError

if TYPE_CHECKING:
    from engine.exchange.samp import Connection, Delivery
    from engine.types import Step


@app.command()
def send(
    project: ProjectFile,
    to: Annotated[
        str | None, typer.Option(metavar="NAME", help="One program, by its name; all that can by default.")
    ] = None,
    grades: Grades = None,
    min_score: MinScore = None,
    quiet: Quiet = False,
) -> None:
    """Send a project's candidates as a table to TOPCAT or any other program that listens to SAMP."""
    from engine.catalogue.known import matches
    from engine.catalogue.store import Project
    from engine.exchange.samp import Connection
    from engine.export import write_catalogue

    with Project.open(project, read_only=True) as opened:
        name, rows = opened.name, chosen(opened, grades, min_score)
        known = matches(opened, [row.id for row in rows])
    if not rows:
        raise DataError(f"{name} has no such candidates: nothing was sent")
    connection = Connection(on_message=_ignore, on_clients=_ignore, on_lost=_ignore)
    with tempfile.TemporaryDirectory(prefix="deeplense-sent-") as folder:
        try:
            if not connection.open():
                raise ExchangeError("No SAMP hub runs: start TOPCAT or Aladin first, which bring one")
            table = write_catalogue(rows, Path(folder) / f"{name}.vot", known)
            delivery = follow(_delivering(connection, table, to), "Sending", quiet)
        finally:
            connection.close()
    for text in delivery.troubles:
        complain(text)
    if not delivery.taken:
        raise typer.Exit(BAD_INPUT)
    many = "1 candidate" if len(rows) == 1 else f"{len(rows):,} candidates"
    typer.echo(f"{many} sent to {', '.join(delivery.taken)}")


def _delivering(connection: Connection, table: Path, to: str | None) -> Generator[Step, None, Delivery]:
    from engine.exchange.samp import TABLE

    there = [client for client in connection.clients if client.accepts(TABLE)]
    wanted = [client for client in there if to is None or client.name.casefold() == to.casefold()]
    if not wanted:
        names = ", ".join(client.name for client in there) or "none"
        raise ExchangeError(f"No such program takes tables; connected are: {names}. Start TOPCAT, and send again")
    url = table.as_uri()
    last: Step | None = None
    for step in connection.deliver(TABLE, {"url": url, "table-id": url, "name": f"{table.stem} (DeepLense)"}, wanted):
        last = step
        yield step
    assert last is not None
    delivery: Delivery = last.items[0]
    return delivery


def _ignore(_: object) -> None:
    """A command hears nothing: it sends and goes."""
