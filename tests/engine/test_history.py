import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.catalogue import LETTERS, NUMBERS, Project, Scheme, opinions
from engine.catalogue.merge import merge
from engine.errors import ProjectError
from tests.engine.catalogue_parts import fill, make_mosaic

COUNT = 4
numbers = st.integers(1, COUNT)
people = st.sampled_from(["Ada", "Bo"])
grades = st.sampled_from(["A", "B", "C", "X", None])
notes = st.sampled_from(["", "arc", "弧 'quoted' \n two lines"])

SILENT = {
    "grade": None, "subclass": "", "note": "", "flag": False, "come_back": False, "einstein_radius": None,
    "same_as": None,
}  # fmt: skip
Key = tuple[int, str, str]  # candidate, person, what is said
Said = dict[Key, tuple[object, int]]  # value and time
Change = tuple[Key, tuple[object, int], tuple[object, int]]  # before, after


@dataclass
class Operation:
    """What an operation of the plain model changed, in order: key, value before, value after, each with its time."""

    number: int
    text: str
    who: str
    changes: list[Change]


class Grading(RuleBasedStateMachine):
    """A project against the simplest model of it: what each person says, and what was done and undone."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "team.deeplense"
        self.project = Project.create(self.path)
        assert fill(self.project, *[0.5] * COUNT) == [1, 2, 3, 4]
        self.other = Project.open(self.project.save_as(self.path.with_name("other")))
        self.others: Said = {}
        self.said: Said = {}
        self.done: list[Operation] = []
        self.undone: list[Operation] = []
        self.clock = 0
        self.count = 0
        self.events = 0

    def _say(
        self, said: dict[Key, tuple[object, int]], who: str, what: str, number: int, value: object
    ) -> list[object]:
        """One statement in the model; an operation's changes, empty where the same was said before."""
        key, self.clock = (number, who, what), self.clock + 1
        before = said.get(key, (SILENT[what], 0))
        if before[0] == value:
            return []
        said[key] = (value, self.clock if value else 0)
        return [(key, before, said[key])]

    def _did(self, text: str, who: str, changes: list[Change]) -> None:
        if changes:
            self.undone = [one for one in self.undone if one.who != who]
            self.count += 1
            self.done.append(Operation(self.count, text, who, changes))

    @rule(number=numbers, grade=grades, who=people)
    def grade(self, number: int, grade: str | None, who: str) -> None:
        done = self._say(self.said, who, "grade", number, grade)
        changes = self.project.grade(number, grade, grader=who)
        assert changes.ids == ((number,) if done else ())
        self._did(f"Grade {grade}" if grade else "Clear grade", who, done)

    @rule(number=numbers, text=notes, who=people)
    def note(self, number: int, text: str, who: str) -> None:
        self.project.note(number, text, grader=who)
        self._did("Note" if text else "Remove note", who, self._say(self.said, who, "note", number, text))

    @rule(number=numbers, on=st.booleans(), who=people)
    def flag(self, number: int, on: bool, who: str) -> None:
        self.project.flag(number, on, grader=who)
        self._did("Flag" if on else "Remove flag", who, self._say(self.said, who, "flag", number, on))

    @rule(number=numbers, on=st.booleans(), who=people)
    def come_back(self, number: int, on: bool, who: str) -> None:
        self.project.come_back(number, on, grader=who)
        self._did("Come back" if on else "Done coming back", who, self._say(self.said, who, "come_back", number, on))

    @rule(number=numbers, other=numbers, who=people)
    def same(self, number: int, other: int, who: str) -> None:
        self.project.same(number, other, grader=who)
        text = "An object of its own" if number == other else "Same object"
        self._did(text, who, self._say(self.said, who, "same_as", number, other))

    @rule(several=st.lists(st.tuples(numbers, grades, st.sampled_from(["", "arc"])), max_size=5), who=people)
    def named_operation(self, several: list[tuple[int, str | None, str]], who: str) -> None:
        changes = []
        with self.project.operation("Vet a page"):
            for number, grade, subclass in several:
                changes += self._say(self.said, who, "grade", number, grade)
                changes += self._say(self.said, who, "subclass", number, subclass)
                self.project.grade(number, grade, grader=who)
                self.project.classify(number, subclass, grader=who)
        self._did("Vet a page", who, changes)

    @rule()
    def failing_operation(self) -> None:
        with pytest.raises(ProjectError, match="no candidate 99"):
            self._fail()

    def _fail(self) -> None:
        with self.project.operation("Half done"):
            self.project.grade(1, "Z", grader="Ada")
            self.project.grade(99, "Z", grader="Ada")

    @rule(who=st.sampled_from([None, "Ada", "Bo"]), times=st.integers(1, 4))
    def undo(self, who: str | None, times: int) -> None:
        for _ in range(times):
            mine = [one for one in self.done if who in (None, one.who)]
            changes = self.project.undo(who)
            assert (changes is None) == (not mine)
            if mine:
                assert changes is not None
                assert changes.operation == f"Undo: {mine[-1].text}"
                self.done.remove(mine[-1])
                self.undone.append(mine[-1])
                for key, before, _ in reversed(mine[-1].changes):
                    self.said[key] = before

    @rule(times=st.integers(1, 4))
    def redo(self, times: int) -> None:
        for _ in range(times):
            changes = self.project.redo()
            assert (changes is None) == (not self.undone)
            if self.undone:
                again = min(self.undone, key=lambda one: one.number)
                assert changes is not None
                assert changes.operation == f"Redo: {again.text}"
                self.undone.remove(again)
                self.done = sorted([*self.done, again], key=lambda one: one.number)
                for key, _, after in again.changes:
                    self.said[key] = after

    @rule()
    def rescan(self) -> None:
        fill(self.project, *[0.6] * COUNT)

    @rule(number=numbers, grade=grades)
    def grade_elsewhere(self, number: int, grade: str | None) -> None:
        self.other.grade(number, grade, grader="Cy")
        self._say(self.others, "Cy", "grade", number, grade)

    @rule()
    def merge(self) -> None:
        list(merge(self.project, [self.other.path]))
        self.said.update(self.others)

    @precondition(lambda self: self.done)
    @rule()
    def reopen(self) -> None:
        self.project.close()
        self.project = Project.open(self.path)

    @invariant()
    def says_the_same(self) -> None:
        rows = {row.id: row for row in self.project.rows(range(1, COUNT + 2))}
        assert list(rows) == [1, 2, 3, 4]
        for number, row in rows.items():
            for who in ("Ada", "Bo", "Cy"):
                mine = self.project.candidate(number, seen_by=who)
                assert {what: getattr(mine, what) for what in SILENT} == {
                    what: self.said.get((number, who, what), (silent, 0))[0] for what, silent in SILENT.items()
                }
            by_time = {
                what: sorted((t, value, key[1]) for key, (value, t) in self.said.items() if key[::2] == (number, what))
                for what in SILENT
            }
            by_time = {what: [one for one in said if one[1]] for what, said in by_time.items()}
            newest = by_time["grade"][-1] if by_time["grade"] else (0, None, "")
            assert (row.grade, row.grader) == newest[1:]
            assert (row.graded_at is None) == (row.grade is None)
            assert row.note == (by_time["note"][-1][1] if by_time["note"] else "")
            assert row.same_as == (by_time["same_as"][-1][1] if by_time["same_as"] else None)
            assert (row.flag, row.come_back) == (bool(by_time["flag"]), bool(by_time["come_back"]))
        assert self.project.history_text("undo") == (self.done[-1].text if self.done else None)
        first = min(self.undone, key=lambda one: one.number, default=None)
        assert self.project.history_text("redo") == (first.text if first else None)

    @invariant()
    def the_journal_only_grows_and_explains_what_is_said(self) -> None:
        journal = self.project.journal()
        assert len(journal) >= self.events
        self.events = len(journal)
        derived: dict[Key, object] = {}
        for event in journal:
            derived[event.candidate, event.grader, event.kind] = event.payload[event.kind]
        assert {key: value for key, value in derived.items() if value} == {
            key: value for key, (value, _) in self.said.items() if value
        }

    def teardown(self) -> None:
        if hasattr(self, "project"):
            self.project.close()
            self.other.close()
            self.folder.cleanup()


Grading.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
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
        assert project.candidate(1, seen_by="Bo").grade is None
        undone = project.journal(1)[-1]
        assert (undone.action, undone.grader, undone.operation) == ("undo", "Bo", "Grade X")
        assert len({event.uuid for event in project.journal()}) == 3


def test_many_candidates_in_one_operation():
    with Project.temporary() as project:
        ids = fill(project, *[0.5] * 10)
        changes = project.grade(ids, "X", grader="Ada")
        assert changes.operation == project.history_text("undo") == "Grade X: 10 candidates"
        assert changes.ids == tuple(ids)
        assert project.counts() == {"X": 10}
        assert set(project.undo().ids) == set(ids)
        assert project.counts() == {None: 10}


def test_a_new_mosaic_is_nothing_to_undo():
    with Project.temporary() as project:
        project.add_mosaic(make_mosaic())
        assert project.undo() is None
        assert project.redo() is None


def test_each_person_undoes_their_own():
    with Project.temporary() as project:
        fill(project, 0.5)
        project.grade(1, "A", grader="Ada")
        project.grade(1, "X", grader="Bo")
        assert project.history_text("undo", "Ada") == "Grade A"
        assert project.undo("Ada").operation == "Undo: Grade A"
        assert project.candidate(1).grade == "X"
        assert project.candidate(1, seen_by="Ada").grade is None
        assert project.undo("Ada") is None
        project.grade(1, "C", grader="Bo")
        assert project.redo("Ada").operation == "Redo: Grade A"


def test_nobody_clears_what_another_one_said():
    with Project.temporary() as project:
        fill(project, 0.5)
        project.grade(1, "A", grader="Ada")
        assert project.grade(1, None, grader="Bo").ids == ()
        assert project.candidate(1).grade == "A"


def test_a_clock_put_back_does_not_change_who_said_what_last(monkeypatch):
    with Project.temporary() as project:
        fill(project, 0.5)
        project.grade(1, "A", grader="Ada")
        monkeypatch.setattr("engine.catalogue.journal.now", lambda: "2001-01-01T00:00:00.000000+00:00")
        project.grade(1, "X", grader="Ada")
        assert project.candidate(1).grade == "X"
        assert [event.payload["grade"] for event in project.journal()] == ["A", "X"]
        replayed = project.candidate(1)
        with project.writing() as connection:
            opinions.replay(connection, [1])
        assert project.candidate(1) == replayed


def test_a_reveal_is_in_the_journal_and_nothing_to_undo():
    with Project.temporary() as project:
        fill(project, 0.5)
        project.reveal(1, {"score", "grades"}, grader="Ada")
        project.grade(1, "A", grader="Ada")
        assert [(event.kind, event.payload.get("revealed")) for event in project.journal()] == [
            ("reveal", ["grades", "score"]),
            ("grade", None),
        ]
        project.undo()
        assert project.undo() is None


def test_an_einstein_radius_is_written_and_taken_back():
    with Project.temporary() as project:
        fill(project, 0.5)
        assert project.measure(1, 1.234, grader="Ada").operation == 'Einstein radius 1.23"'
        assert project.candidate(1).einstein_radius == 1.234
        assert len(project.ids(ranges={"einstein_radius": (1, None)})) == 1
        project.undo()
        assert project.candidate(1).einstein_radius is None


def test_a_scheme_is_undone_and_done_again_over_a_restart(tmp_path):
    with Project.create(tmp_path / "a") as project:
        fill(project, 0.5)
        project.grade(1, "A", grader="Ada")
        project.set_scheme(NUMBERS, grader="Ada")
        assert not project.set_scheme(NUMBERS, grader="Ada").kinds
        path = project.path
    with Project.open(path) as project:
        assert project.history_text("undo", "Ada") == "Scheme 3 2 1 0"
        assert project.undo("Ada").kinds == {"settings"}
        assert project.scheme() == LETTERS
        path = project.path
    with Project.open(path) as project:
        assert project.redo("Ada").kinds == {"settings"}
        assert project.scheme() == NUMBERS
        project.undo("Ada")
        assert project.undo("Ada").ids == (1,)
        assert [(event.kind, event.action) for event in project.journal() if event.candidate is None] == [
            ("scheme", "do"), ("scheme", "undo"), ("scheme", "redo"), ("scheme", "undo"),
        ]  # fmt: skip


def test_an_undone_scheme_leaves_the_one_that_another_person_chose_since():
    own = Scheme(NUMBERS.grades, LETTERS.subclasses[:2])
    with Project.temporary() as project:
        project.set_scheme(NUMBERS, grader="Ada")
        project.set_scheme(own, grader="Bo")
        project.undo("Ada")
        assert project.scheme() == own
        project.undo("Bo")
        assert project.scheme() == NUMBERS


def test_what_a_team_agreed_on_is_shown_until_somebody_grades_anew():
    with Project.temporary() as project:
        (number,) = fill(project, 0.5)
        project.grade(number, "A", grader="Ada")
        project.classify(number, "arc", grader="Ada")
        project.grade(number, "X", grader="Bo")
        project.agree(number, "B", grader="Bo")
        row = project.candidate(number)
        assert (row.grade, row.grader) == ("B", "Bo")
        assert {one.grader: one.grade for one in project.opinions(number)[number]} == {"Ada": "A", "Bo": "X"}
        project.grade(number, "C", grader="Ada")
        assert project.candidate(number).grade == "C"
        project.undo("Ada")
        assert project.candidate(number).grade == "B"
        project.undo("Bo")
        assert project.candidate(number).grade == "X"
