"""Queues: what to look at next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.catalogue.queries import Query
from engine.errors import ProjectError

#: A score that swings by so much between views of one stamp is uncertain.
UNCERTAIN = 0.1

#: Grades whose worth differs by so much are a disagreement: A against C, 3 against 1.
DISAGREEMENT = 2.0

#: Named queues: a name, and the fields of a ``Query`` for a grader and a number of graders wanted.
QUEUES: Mapping[str, Callable[[str, int], dict[str, Any]]] = {
    "ungraded": lambda grader, _: {"grades": {None}, "seen_by": grader},
    "uncertain": lambda grader, _: {
        "grades": {None}, "seen_by": grader, "order": "spread", "ranges": {"spread": (UNCERTAIN, None)},
    },
    "disagreements": lambda *_: {"differ_by": DISAGREEMENT},
    "few graders": lambda grader, wanted: {"fewer_than": wanted, "grades": {None}, "seen_by": grader},
    "come back": lambda grader, _: {"come_back": True, "seen_by": grader},
    "flagged": lambda *_: {"flagged": True},
}  # fmt: skip


def queue(name: str, *, grader: str, wanted: int = 2) -> Query:
    """The query of a named queue for one person; ``wanted`` is how many persons should grade each candidate.

    Raises
    ------
    ProjectError : no queue of this name
    """
    if name not in QUEUES:
        raise ProjectError(f"there is no queue {name!r}: choose one of {', '.join(QUEUES)}")
    return Query(**QUEUES[name](grader, wanted))
