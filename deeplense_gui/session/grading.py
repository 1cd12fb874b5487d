"""What people say of candidates, and taking it back."""

from __future__ import annotations

import time

from deeplense_gui.session.core import Core


class GradingVerbs(Core):
    """Grade, note, undo and redo."""

    @property
    def can_grade(self) -> bool:
        """Whether a candidate is selected in a project that can be written to."""
        return self.selection is not None and not self.read_only

    def grade(self, letter: str | None) -> None:
        """Grade the selected candidate and all marked with it, then go to the next ungraded one.

        None takes the grades back and stays. Undo takes back what one key did.
        """
        chosen = self.marked_ids()
        if not self.can_grade or not chosen:
            return
        before = self.ids()
        changes = self._write(
            lambda: self.project.grade(
                chosen,
                letter,
                grader=self.preferences.grader,
                display=dict(self.display),
                dwell=round(time.monotonic() - self._selected_at, 2),
            )
        )
        if changes is None:
            return
        if len(chosen) > 1:
            self.say(f"{changes.operation}. Undo takes all of them back.")
        if letter is not None:
            self._advance(before, after=chosen[-1])

    def note(self, text: str) -> None:
        """Write a note to the selected candidate."""
        candidate = self.candidate()
        if candidate is not None and self.can_grade and text.strip() != candidate.note:
            self._write(lambda: self.project.note(candidate.id, text.strip(), grader=self.preferences.grader))

    def undo(self) -> None:
        """Take the last change back, on disk too, and show the candidate it was about."""
        self._step_history("undo")

    def redo(self) -> None:
        """Do again what was undone."""
        self._step_history("redo")

    def _step_history(self, verb: str) -> None:
        if self.read_only:
            return
        changes = self._write(getattr(self.project, verb))
        if changes is None:
            return
        self.say(changes.operation)
        if changes.ids:
            self.select(changes.ids[0], marked=changes.ids)
