"""The journal as a table: every statement, who made it, when, and looking at what."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from engine.catalogue import Project
from engine.export.atomic import atomic
from engine.types import Step

COLUMNS = ("uuid", "at", "grader", "action", "operation", "candidate", "name", "ra", "dec", "kind", "value", "before",
           "model", "dwell", "display")  # fmt: skip
_BATCH = 5_000


def journal_job(project: Project, path: Path | str) -> Iterator[Step]:
    """Write the journal as CSV, in order of time; the file appears when it is whole.

    ``action`` is do, undo or redo; ``value`` is what was said, and ``before`` what the same person said until then.

    Raises
    ------
    DataError : the file cannot be written
    """
    path = Path(path)
    events = project.journal()
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for start in range(0, len(events), _BATCH):
            part = events[start : start + _BATCH]
            wanted = {event.candidate for event in part if event.candidate is not None}
            rows = {row.id: row for row in project.rows(sorted(wanted))}
            for event in part:
                row = None if event.candidate is None else rows[event.candidate]
                key = "revealed" if event.kind == "reveal" else event.kind
                value, before = event.payload.get(key), event.payload.get("before", {}).get(key)
                display = "" if event.display is None else json.dumps(event.display, ensure_ascii=False)
                who = (event.uuid, event.at.isoformat(), event.grader, event.action, event.operation)
                place = ("",) * 4 if row is None else (row.id, row.name, _text(row.ra), _text(row.dec))
                what = (*place, event.kind, _text(value), _text(before))
                table.writerow([*who, *what, event.model, _text(event.dwell), display])
            yield Step(start + len(part), len(events), note=path.name)
    yield Step(len(events), len(events), (path,), f"{len(events):,} entries in {path.name}")


def _text(value: object) -> str:
    if isinstance(value, dict):  # a scheme
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else " ".join(map(str, value)) if isinstance(value, list) else str(value)
