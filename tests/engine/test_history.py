import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.catalogue import Project
from engine.errors import ProjectError
from tests.engine.catalogue_parts import fill, make_mosaic

COUNT = 4
numbers = st.integers(1, COUNT)
people = st.sampled_from(["Ada", "Bo"])
grades = st.sampled_from(["A", "B", "C", "X", None])
notes = st.sampled_from(["", "arc", "弧 'quoted' \n two lines"])

Said = dict[int, tuple[str | None, str, str]]


class Grading(RuleBasedStateMachine):
    """A project against the simplest model of it: what is said now, and two stacks of what was said before."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "team.deeplense"
        self.project = Project.create(self.path)
        assert fill(self.project, *[0.5] * COUNT) == [1, 2, 3, 4]
        self.said: Said = dict.fromkeys(range(1, COUNT + 1), (None, "", ""))
        self.past: list[tuple[str, Said]] = []
        self.future: list[tuple[str, Said]] = []
        self.events = 0

    def _done(self, text: str, said: Said) -> None:
        if said != self.said:
            self.past.append((text, self.said))
            self.future = []
            self.said = said

    def _graded(self, said: Said, number: int, grade: str | None, who: str) -> Said:
        return {**said, number: (grade, who if grade else "", said[number][2])}

    @rule(number=numbers, grade=grades, who=people)
    def grade(self, number: int, grade: str | None, who: str) -> None:
        said = self._graded(self.said, number, grade, who)
        changes = self.project.grade(number, grade, grader=who)
        assert changes.ids == ((number,) if said != self.said else ())
        self._done(f"Grade {grade}" if grade else "Clear grade", said)

    @rule(number=numbers, text=notes, who=people)
    def note(self, number: int, text: str, who: str) -> None:
        self.project.note(number, text, grader=who)
        grade, grader, _ = self.said[number]
        self._done("Note" if text else "Remove note", {**self.said, number: (grade, grader, text)})

    @rule(several=st.lists(st.tuples(numbers, grades), max_size=5), who=people)
    def named_operation(self, several: list[tuple[int, str | None]], who: str) -> None:
        said, changed = self.said, False
        with self.project.operation("Vet a page"):
            for number, grade in several:
                before, said = said, self._graded(said, number, grade, who)
                changed |= said != before
                self.project.grade(number, grade, grader=who)
        if changed and said == self.said:  # there and back: still an operation that can be undone
            self.past.append(("Vet a page", said))
            self.future = []
        self._done("Vet a page", said)

    @rule()
    def failing_operation(self) -> None:
        with pytest.raises(ProjectError, match="no candidate 99"):
            self._fail()

    def _fail(self) -> None:
        with self.project.operation("Half done"):
            self.project.grade(1, "Z", grader="Ada")
            self.project.grade(99, "Z", grader="Ada")

    @rule()
    def undo(self) -> None:
        changes = self.project.undo()
        assert (changes is None) == (not self.past)
        if self.past:
            text, before = self.past.pop()
            assert changes is not None
            assert changes.operation == f"Undo: {text}"
            self.future.append((text, self.said))
            self.said = before

    @rule()
    def redo(self) -> None:
        changes = self.project.redo()
        assert (changes is None) == (not self.future)
        if self.future:
            text, after = self.future.pop()
            self.past.append((text, self.said))
            self.said = after

    @rule()
    def rescan(self) -> None:
        fill(self.project, *[0.6] * COUNT)

    @precondition(lambda self: self.past)
    @rule()
    def reopen(self) -> None:
        self.project.close()
        self.project = Project.open(self.path)

    @invariant()
    def says_the_same(self) -> None:
        rows = self.project.rows(range(1, COUNT + 2))
        assert {row.id: (row.grade, row.grader, row.note) for row in rows} == self.said
        assert all((row.graded_at is None) == (row.grade is None) for row in rows)
        assert self.project.undo_text == (self.past[-1][0] if self.past else None)
        assert self.project.redo_text == (self.future[-1][0] if self.future else None)

    @invariant()
    def the_journal_only_grows_and_explains_what_is_said(self) -> None:
        journal = self.project.journal()
        assert len(journal) >= self.events
        self.events = len(journal)
        derived: Said = dict.fromkeys(range(1, COUNT + 1), (None, "", ""))
        for event in journal:
            grade, grader, note = derived[event.candidate]
            if event.kind == "grade":
                derived[event.candidate] = (event.payload["grade"], event.payload["grader"], note)
            else:
                derived[event.candidate] = (grade, grader, event.payload["note"])
        assert derived == self.said

    def teardown(self) -> None:
        if hasattr(self, "project"):
            self.project.close()
            self.folder.cleanup()


Grading.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestGrading = Grading.TestCase


def test_undo_takes_back_the_time_and_the_grader_too(tmp_path):
    with Project.create(tmp_path / "a") as project:
        fill(project, 0.5)
        project.grade(1, "A", grader="Ada")
        before = project.candidate(1)
        project.grade(1, "X", grader="Bo", dwell=3.0)
        project.undo()
        assert project.candidate(1) == before
        undone = project.journal(1)[-1]
        assert (undone.action, undone.grader, undone.operation) == ("undo", "Bo", "Grade X")
        assert len({event.uuid for event in project.journal()}) == 3


def test_many_candidates_in_one_operation():
    with Project.temporary() as project:
        ids = fill(project, *[0.5] * 10)
        changes = project.grade(ids, "X", grader="Ada")
        assert changes.operation == project.undo_text == "Grade X: 10 candidates"
        assert changes.ids == tuple(ids)
        assert project.counts() == {"X": 10}
        assert set(project.undo().ids) == set(ids)
        assert project.counts() == {None: 10}


def test_a_new_mosaic_is_nothing_to_undo():
    with Project.temporary() as project:
        project.add_mosaic(make_mosaic())
        assert project.undo() is None
        assert project.redo() is None
