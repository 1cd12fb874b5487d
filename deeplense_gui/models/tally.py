"""How what was graded is spread: over scores, hours and kinds; kept up by reading only what has changed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from deeplense_gui.session import Session
from engine.types import Candidate, Changes

BINS = 20
HOURS = 24  # of work, the newest


class Tally:
    """The graded candidates of a session's project."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[int, Candidate] = {}

    def take(self, changes: Changes | None = None) -> None:
        """Read what has changed, or all there is."""
        ids = None if changes is None or not changes.ids else changes.ids
        if ids is None:
            self._rows.clear()
        for identity in ids or ():
            self._rows.pop(identity, None)
        self._rows.update({row.id: row for row in self._session.graded(ids)})

    def grades(self) -> list[str]:
        """Grades there are, best first."""
        given = {row.grade for row in self._rows.values() if row.grade}
        names = self._session.grade_names()
        return [name for name in names if name in given] + sorted(given - set(names))

    def by_score(self) -> tuple[NDArray[np.float64], dict[str, NDArray[np.intp]]]:
        """Edges of bins of score (n + 1,), and for each grade how many candidates are in each (n,)."""
        edges = np.linspace(0, 1, BINS + 1)
        scored = {
            grade: [row.score for row in self._rows.values() if row.grade == grade and np.isfinite(row.score)]
            for grade in self.grades()
        }
        return edges, {grade: np.histogram(scores, edges)[0] for grade, scores in scored.items()}

    def by_hour(self) -> list[tuple[datetime, int]]:
        """How many grades were given in each hour (local time) in which any was, the newest ones."""
        times = [row.graded_at.astimezone() for row in self._rows.values() if row.grade and row.graded_at is not None]
        hours = Counter(time.replace(minute=0, second=0, microsecond=0) for time in times)
        return sorted(hours.items())[-HOURS:]

    def by_kind(self) -> list[tuple[str, bool | None, int]]:
        """Each kind that was named, whether it is a lens (None for one of another scheme), and how often."""
        counts = Counter(row.subclass for row in self._rows.values() if row.subclass)
        scheme = self._session.scheme()
        kinds = {} if scheme is None else {kind.name: kind.lens for kind in scheme.subclasses}
        names = [*(name for name in kinds if counts[name]), *sorted(set(counts) - set(kinds))]
        return [(name, kinds.get(name), counts[name]) for name in names if counts[name]]
