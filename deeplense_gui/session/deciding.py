"""What a team decides of candidates: which are one object, and the grade agreed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core


class DecidingVerbs(Core):
    """Mark duplicates and agree on grades; each is one operation for undo."""

    def find_duplicates(self, radius: float, take: Any) -> JobHandle | None:
        """Look for candidates within ``radius`` arcsec of each other; ``take`` gets the groups of ids."""
        if self.project is None:
            return None
        project = self.project
        return self._ask("Looking for duplicates", lambda: work.duplicates(project, radius), take, kind="duplicates")

    def find_consensus(self, take: Any) -> JobHandle | None:
        """Work out what all graders say together; ``take`` gets the Consensus. Blind mode asks nobody."""
        if self.project is None or self.blind:
            return None
        project = self.project
        return self._ask("What graders say together", lambda: work.consensus(project), take, kind="consensus")

    def agreement(self) -> Any | None:
        """How far the graders agree; None without two of them, and in blind mode."""
        if self.project is None or self.blind:
            return None
        found = self._read(lambda: work.agreement(self.project), None)
        return found if found is not None and found.pairs else None

    def mark_same(self, ids: Sequence[int], other: int) -> None:
        """Say that candidates are the same object as another one."""
        if not self.read_only:
            self._write(lambda: self.project.same(list(ids), other, grader=self.preferences.grader))

    def mark_different(self, ids: Sequence[int]) -> None:
        """Say that candidates are objects of their own, however close they lie."""
        if self.read_only:
            return
        project, grader = self.project, self.preferences.grader

        def write() -> Any:
            with project.operation("Not the same object"):
                changes = [project.same(number, number, grader=grader) for number in ids]
            return type(changes[0])("Not the same object", tuple(ids), changes[0].kinds)

        self._write(write)

    def repeated_count(self) -> int:
        """How many candidates are marked as the same object as another one."""
        return 0 if self.project is None else len(self.project.repeated())

    def agree(self, grade: str | None) -> None:
        """Write down the grade that the team agreed on for the selected candidate; None takes one's word back."""
        selection = self.selection
        if selection is not None and not self.read_only:
            self._write(lambda: self.project.agree(selection, grade, grader=self.preferences.grader))
