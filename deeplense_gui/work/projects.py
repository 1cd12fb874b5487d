"""What is asked of a project and written to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.types import Step


def kept(project: Any, run: int, steps: Iterator[Step]) -> Iterator[Step]:
    """Write what a scan finds to the project as it comes; the items are the Changes."""
    for step in steps:
        yield replace(step, items=(project.add(run, step.items),) if step.items else ())


def news(project: Any) -> Iterator[Step]:
    """Look what others wrote to a project; the item is the Changes, None, or the EngineError where it fails."""
    try:
        yield Step(1, 1, (project.news(),))
    except EngineError as error:
        yield Step(1, 1, (error,))


def copied(project: Any, place: Path | str) -> Iterator[Step]:
    """Copy a project, whole, to a file or a server; the item is where it is then.

    The project is opened a second time, to read: the window goes on writing to it meanwhile.
    """
    opened = project.again()
    try:
        yield Step(0, 0, note="Copying")
        yield Step(1, 1, (opened.save_as(place),))
    finally:
        opened.close()


def find_shared(address: str) -> Iterator[Step]:
    """Look what is at the address of a server; the item is a ``Found``, or the EngineError where it fails."""
    from engine.catalogue import server

    try:
        yield Step(1, 1, (server.find(server.parse(address)),))
    except EngineError as error:
        yield Step(1, 1, (error,))


def queue(name: str, grader: str, wanted: int) -> Any:
    """The query of a named queue, as one person sees it; ``wanted`` graders each are enough."""
    from engine.catalogue.queues import queue

    return queue(name, grader=grader, wanted=wanted)


def duplicates(project: Any, radius: float) -> Iterator[Step]:
    """Look for candidates that are one object; the item is the list of groups of ids."""
    yield Step(0, 1)
    from engine.catalogue.duplicates import duplicates

    yield Step(1, 1, (duplicates(project, radius),))


def consensus(project: Any) -> Iterator[Step]:
    """What several graders say together; the item is a Consensus."""
    yield Step(0, 1)
    from engine.catalogue.consensus import consensus

    yield Step(1, 1, (consensus(project),))


def agreement(project: Any) -> Any:
    """How far the graders of a project agree: an Agreement."""
    from engine.catalogue.consensus import agreement

    return agreement(project)


def merge(project: Any, paths: Sequence[Path]) -> Iterator[Step]:
    """Merge other projects into one; the item of the last step is a MergeReport."""
    from engine.catalogue.merge import merge

    yield from merge(project, paths)


def import_grades(project: Any, path: Path, grader: str) -> Iterator[Step]:
    """Take up the grades of a CSV; the item of the last step is an ImportReport."""
    from engine.catalogue.imports import import_grades

    yield from import_grades(project, path, grader=grader)


def open_known(path: Path) -> Iterator[Step]:
    """Read a catalogue of known objects; the item is a KnownTable."""
    yield Step(0, 1, note=path.name)
    from engine.catalogue.known_files import open_known

    yield Step(1, 1, (open_known(path),))


def crossmatch(project: Any, table: Any, columns: Mapping[str, str | None], radius: float) -> Iterator[Step]:
    """Match a catalogue of known objects; the item of the last step is a CrossmatchReport."""
    yield Step(0, 0, note=table.path.name)
    from engine.catalogue.known import crossmatch

    yield from crossmatch(project, table.objects(columns), radius)


def matches(project: Any, candidate: int) -> list[Any]:
    """What catalogues of known objects say of a candidate."""
    from engine.catalogue.known import matches

    return matches(project, [candidate]).get(candidate, [])


def calibration(project: Any, ids: Sequence[int] | None = None) -> dict[int, Any]:
    """The calibration stamps of a project, or some of them, by candidate."""
    from engine.catalogue.calibration import stamps

    return stamps(project, ids)


def calibration_kinds(project: Any) -> dict[str, int]:
    """How many calibration stamps of each kind a project has."""
    from engine.catalogue.calibration import kinds

    return kinds(project)


def grader_reports(project: Any) -> list[Any]:
    """How each grader does on the calibration stamps."""
    from engine.catalogue.calibration import grader_report

    return grader_report(project)
