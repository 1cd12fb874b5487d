"""What people say of candidates, and taking it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from deeplense_gui.session.schemes import SchemeVerbs
from engine.errors import EngineError
from engine.types import Candidate, Changes

_PAUSE = 120.0  # seconds between two grades that count as a pause, not as work


class GradingVerbs(SchemeVerbs):
    """Grade, name the kind, note, flag, measure; undo and redo. All of it is signed with the grader's name."""

    @property
    def can_grade(self) -> bool:
        """Whether a candidate is selected in a project that can be written to."""
        return self.selection is not None and not self.read_only

    def grade(self, letter: str | None, *, stay: bool = False) -> None:
        """Grade the selected candidate and all marked with it, then go to the next ungraded one, unless told to stay.

        None takes the grades back and stays. Undo takes back what one key did. The next stamp is shown before the lists
        take note: whoever grades waits for nothing else.
        """
        chosen = self.marked_ids()
        if not self.can_grade or not chosen:
            return
        before = self.ids()
        try:
            changes = self.project.grade(chosen, letter, **self._said(timed=True))
        except EngineError as error:
            self._complain(error)
            return
        self.listing.forget(changes.kinds, changes.ids)
        if letter is not None:
            self._graded_at.append(time.monotonic())
            if not stay:
                self._advance(before, after=chosen[-1])
        self.changed.emit(changes)
        if len(chosen) > 1:
            self.say(f"{changes.operation}. Undo takes all of them back.")

    def _said(self, *, timed: bool = False) -> dict[str, Any]:
        """Who says it, and for grades what was seen and for how long."""
        if not timed:
            return {"grader": self.preferences.grader}
        shown = dict(self.display) | {"blind": self.blind}
        return {
            "grader": self.preferences.grader,
            "display": shown,
            "dwell": round(time.monotonic() - self._selected_at, 2),
        }

    def classify(self, subclass: str) -> None:
        """Say what kind the selected candidates are; the same once more takes it back."""
        candidate = self.candidate()
        if candidate is not None:
            named = "" if candidate.subclass == subclass else subclass
            self._state(lambda ids: self.project.classify(ids, named, **self._said(timed=True)))

    def toggle_flag(self) -> None:
        """Flag the selected candidates for others to see, or take the flag down."""
        candidate = self.candidate()
        if candidate is not None:
            self._state(lambda ids: self.project.flag(ids, not candidate.flag, **self._said()))

    def toggle_come_back(self) -> None:
        """Keep the selected candidates to come back to, or no longer."""
        candidate = self.candidate()
        if candidate is not None:
            self._state(lambda ids: self.project.come_back(ids, not candidate.come_back, **self._said()))

    def measure(self, einstein_radius: float) -> None:
        """Write the Einstein radius (arcsec) that the ring was dragged to."""
        radius = round(einstein_radius, 3)
        self._state(lambda ids: self.project.measure(ids[:1], radius, **self._said()), single=True)

    def note(self, text: str) -> None:
        """Write a note to the selected candidate."""
        candidate = self.candidate()
        if candidate is not None and text.strip() != candidate.note:
            self._state(lambda ids: self.project.note(ids, text.strip(), **self._said()), single=True)

    def _state(self, write: Callable[[list[int]], Changes], *, single: bool = False) -> None:
        """Write something of the selected candidate, or of all marked with it."""
        if self.can_grade and self.selection is not None:
            chosen = [self.selection] if single else self.marked_ids()
            self._write(lambda: write(chosen))

    def opinions(self, candidate: Candidate) -> list[Any]:
        """What everybody says of a candidate; nothing while blind mode conceals it."""
        if self.project is None or self.conceals(candidate):
            return []
        return self._read(lambda: self.project.opinions([candidate.id]).get(candidate.id, []), [])

    def pace(self) -> float | None:
        """Grades an hour of this sitting, pauses left out; None before it can be told."""
        times = list(self._graded_at)
        steps = [b - a for a, b in pairwise(times) if b - a < _PAUSE]
        return 3600 * len(steps) / sum(steps) if len(steps) > 4 and sum(steps) > 0 else None

    def undo(self) -> None:
        """Take one's own last change back, on disk too, and show the candidate it was about."""
        self._step_history("undo")

    def redo(self) -> None:
        """Do again what was undone."""
        self._step_history("redo")

    def _step_history(self, verb: str) -> None:
        if self.read_only:
            return
        changes = self._write(lambda: getattr(self.project, verb)(self.preferences.grader))
        if changes is None:
            return
        if "settings" in changes.kinds:
            self._renew_scheme(changes)
        self.say(changes.operation)
        if changes.ids:
            self.select(changes.ids[0], marked=changes.ids)
