"""What people say of candidates: grades, subclasses, notes and flags, each on disk on return and open to undo."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from engine.catalogue import history, journal, opinions
from engine.catalogue.database import Database, Home
from engine.catalogue.records import Event, Opinion
from engine.catalogue.schema import opinions as opinion_table
from engine.types import Changes

Ids = int | Sequence[int] | NDArray[np.int64]


@dataclass(slots=True)
class _Group:
    """An operation being made of several writes; it gets its id with the first of them."""

    text: str
    id: int | None = None


class Vetting(Database):
    """The journal of a project.

    A statement belongs to the person who makes it: nobody changes or clears what another one said. Each method takes
    one id or several, and makes one operation for undo; where the same person said the same before, nothing is written.
    """

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._group: _Group | None = None

    def grade(
        self,
        ids: Ids,
        grade: str | None,
        *,
        grader: str,
        display: Mapping[str, Any] | None = None,
        dwell: float | None = None,
    ) -> Changes:
        """Give candidates a grade, or take one's own away (None).

        ``display`` is the state of the display the grade was given from, ``dwell`` the seconds spent looking.
        """
        text = "Clear grade" if grade is None else f"Grade {grade}"
        return self._state(text, "grade", ids, {"grade": grade}, grader=grader, display=display, dwell=dwell)

    def classify(
        self,
        ids: Ids,
        subclass: str,
        *,
        grader: str,
        display: Mapping[str, Any] | None = None,
        dwell: float | None = None,
    ) -> Changes:
        """Say what kind of lens candidates are, or what else; an empty text takes it back."""
        text = f"Subclass {subclass}" if subclass else "Clear subclass"
        return self._state(text, "subclass", ids, {"subclass": subclass}, grader=grader, display=display, dwell=dwell)

    def note(self, ids: Ids, text: str, *, grader: str) -> Changes:
        """Replace one's own note of candidates; an empty text removes it."""
        return self._state("Note" if text else "Remove note", "note", ids, {"note": text}, grader=grader)

    def flag(self, ids: Ids, on: bool, *, grader: str) -> Changes:
        """Flag candidates for others to see, or take the flag down."""
        return self._state("Flag" if on else "Remove flag", "flag", ids, {"flag": int(on)}, grader=grader)

    def come_back(self, ids: Ids, on: bool, *, grader: str) -> Changes:
        """Put candidates aside to come back to, or be done with it."""
        text = "Come back" if on else "Done coming back"
        return self._state(text, "come_back", ids, {"come_back": int(on)}, grader=grader)

    def measure(self, ids: Ids, einstein_radius: float | None, *, grader: str) -> Changes:
        """Write an Einstein radius in arcsec, as read off the arcs by eye; None removes it."""
        text = "Remove Einstein radius" if einstein_radius is None else f'Einstein radius {einstein_radius:.2f}"'
        value = {"einstein_radius": None if einstein_radius is None else float(einstein_radius)}
        return self._state(text, "einstein_radius", ids, value, grader=grader)

    def same(self, ids: Ids, other: int, *, grader: str) -> Changes:
        """Say that candidates are the same object as another one; a candidate and itself: it is no duplicate."""
        own = [number for number in numbers(ids) if number == int(other)]
        text = "An object of its own" if own == numbers(ids) else "Same object"
        with self.writing() as connection:
            journal.models(connection, [int(other)])
            return self._state(text, "same_as", ids, {"same_as": int(other)}, grader=grader)

    def agree(self, ids: Ids, grade: str | None, *, grader: str) -> Changes:
        """Write down the grade that the team agreed on, beside everybody's own; None takes it back.

        The list shows it until somebody grades the candidate anew.
        """
        text = "Agreement taken back" if grade is None else f"Agreed on {grade}"
        return self._state(text, "agreed", ids, {"agreed": grade}, grader=grader)

    def reveal(self, id: int, what: Collection[str], *, grader: str) -> None:
        """Journal that a person saw what blind mode hides, such as score or grades; it is no matter of undo."""
        with self.writing() as connection:
            operation = journal.begin_operation(connection, "Reveal", grader, "noted")
            journal.append(connection, operation, "do", "reveal", grader, {int(id): {"revealed": sorted(what)}})

    def _state(
        self,
        text: str,
        kind: str,
        ids: Ids,
        values: Mapping[str, Any],
        *,
        grader: str,
        display: Mapping[str, Any] | None = None,
        dwell: float | None = None,
    ) -> Changes:
        wanted = numbers(ids)
        with self.writing() as connection:
            models = journal.models(connection, wanted)  # says so where a candidate does not exist
            standing = opinions.of_grader(connection, wanted, grader)
            stated = {
                number: values
                for number in wanted
                if any(standing[number][name] != value for name, value in values.items())
            }
            if not stated:
                return Changes(text)
            text = text if len(stated) == 1 else f"{text}: {len(stated)} candidates"
            group = self._group or _Group(text)
            if group.id is None:
                group.id = journal.begin_operation(connection, group.text, grader)
            known: dict[str, Any] = {"model_of": models, "standing": standing}
            journal.append(connection, group.id, "do", kind, grader, stated, display=display, dwell=dwell, **known)
            return Changes(group.text, tuple(stated), frozenset({history.CHANGED[kind]}))

    @contextlib.contextmanager
    def operation(self, text: str) -> Iterator[None]:
        """Make the statements made inside one operation, kept and undone as a whole.

        An exception inside takes all of them back. Other threads' writes wait, so nothing slow belongs inside.
        """
        with self.writing():
            outer, self._group = self._group, self._group or _Group(text)
            try:
                yield
            finally:
                self._group = outer

    def undo(self, grader: str | None = None) -> Changes | None:
        """Take back the last operation, or the last of one person, by appending its inverse; None if there is none."""
        with self.writing() as connection:
            return history.revert(connection, "undo", grader)

    def redo(self, grader: str | None = None) -> Changes | None:
        """Do again what was undone last, until something else is done; None when there is nothing."""
        with self.writing() as connection:
            return history.revert(connection, "redo", grader)

    def history_text(self, action: str, grader: str | None = None) -> str | None:
        """What ``undo`` would take back or ``redo`` do again, such as "Grade A"."""
        with self.reading() as connection:
            operation = history.next_operation(connection, action, grader)
        return None if operation is None else operation.text

    def journal(self, candidate: int | None = None) -> list[Event]:
        """All that was ever said, in order, of all candidates or of one."""
        with self.reading() as connection:
            return journal.read(connection, candidate)

    def opinions(self, ids: Ids) -> dict[int, list[Opinion]]:
        """What everybody says of candidates, side by side."""
        with self.reading() as connection:
            return opinions.read(connection, numbers(ids))

    def graders(self) -> dict[str, int]:
        """Who has graded, and how many candidates each."""
        grader = opinion_table.c.grader
        query = select(grader, func.count()).where(opinion_table.c.grade.is_not(None)).group_by(grader).order_by(grader)
        with self.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def numbers(ids: Ids) -> list[int]:
    """Ids as a list, each once."""
    return [int(ids)] if isinstance(ids, int | np.integer) else list(dict.fromkeys(int(number) for number in ids))
