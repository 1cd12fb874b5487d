"""Columns that are read before anybody asks for them: whatever is written meanwhile, lists stay right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.catalogue import Project, columns
from engine.catalogue.merge import merge
from engine.catalogue.queues import queue
from engine.errors import ProjectError
from tests.engine.catalogue_parts import detection, make_mosaic

ORDERS = ("score", "spread", "flux", "radius", "signal_to_noise", "ra", "dec", "x", "y", "name", "model", "grade")


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "field.deeplense") as project:
        yield project


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch):
    monkeypatch.setattr(columns, "_PART", 3)


def add(project: Project, first: int, count: int, model: str = "finder-1", seed: int = 1) -> list[int]:
    """Candidates of any values, some of which are missing; the same places as before are scored again."""
    random = np.random.default_rng(seed)
    run = project.start_run(make_mosaic(), model)
    return list(
        project.add(
            run,
            [
                detection(
                    80.0 * k + 40, 50.0, float(random.random()), model, spread=float(random.random()),
                    flux=np.nan if k % 4 == 1 else float(random.integers(5)), ra=None if k % 5 == 0 else 10.0 * (k % 7),
                    dec=None if k % 5 == 0 else -1.0,
                )
                for k in range(first, first + count)
            ],
        ).ids
    )  # fmt: skip


def check(project: Project) -> None:
    """Every list is that of somebody who opens the project now."""
    with project.again() as fresh:
        for number, order in enumerate(ORDERS):
            grades = (None, {None}, {"A"})[number % 3]
            for wanted in ({"descending": False}, {"grades": grades}):
                assert project.ids(order=order, **wanted).tolist() == fresh.ids(order=order, **wanted).tolist(), order
        assert project.ids(text="J04").tolist() == fresh.ids(text="J04").tolist()
        ranges = {"flux": (1, 3), "spread": (0.2, None)}
        assert project.ids(ranges=ranges).tolist() == fresh.ids(ranges=ranges).tolist()
        assert project.counts() == fresh.counts()


def read(project: Project) -> list[float]:
    return [step.done / step.total for step in project.read_ahead()]


def test_what_was_read_ahead_is_what_would_be_read(anywhere):
    add(anywhere, 0, 11)
    shares = read(anywhere)
    assert shares == sorted(shares)
    assert len(shares) == 4
    assert shares[-1] == 1
    assert anywhere._columns._numbers.keys() >= set(columns.AHEAD)
    check(anywhere)


def test_what_is_there_is_not_read_again(project):
    add(project, 0, 7)
    check(project)  # sorts by every column
    before = dict(project._columns._numbers)
    assert read(project)[-1] == 1
    assert all(project._columns._numbers[name] is values for name, values in before.items())
    check(project)


def test_an_empty_project_has_nothing_to_read(anywhere):
    assert read(anywhere) == []
    add(anywhere, 0, 4)
    check(anywhere)


def test_lists_stay_right_after_grades_undo_new_scores_and_new_candidates(anywhere):
    ids = add(anywhere, 0, 11)
    read(anywhere)
    anywhere.grade(ids[:3], "A", grader="Ada")
    check(anywhere)
    anywhere.grade(ids[2:5], "X", grader="Ada")
    anywhere.undo("Ada")
    check(anywhere)
    assert add(anywhere, 0, 6, "finder-2", seed=2)[:6] == ids[:6]
    check(anywhere)
    add(anywhere, 11, 5, "another", seed=3)
    check(anywhere)
    assert anywhere.ids(queue("ungraded", grader="Ada")).tolist() == anywhere.ids(grades={None}).tolist()


def test_lists_stay_right_after_a_merge(project, tmp_path):
    add(project, 0, 8)
    other = Project.create(tmp_path / "other.deeplense")
    with other:
        ids = add(other, 4, 8, seed=4)
        other.grade(ids[:5], "A", grader="Bo")
    read(project)
    list(merge(project, [other.path]))
    check(project)
    assert project.counts()["A"] == 5


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("first", "count", "model"), [(0, 5, "finder-2"), (9, 6, "finder-1")])
def test_what_is_written_while_reading_is_in_the_list(project, first, count, model, told):
    """New scores, new candidates; whether or not the list is looked at before the reading ends."""
    add(project, 0, 10)
    steps = project.read_ahead()
    next(steps)
    add(project, first, count, model, seed=5)
    if told:
        check(project)
    list(steps)
    check(project)
    read(project)
    check(project)


def test_a_project_that_is_closed_while_it_is_read_says_so(project):
    add(project, 0, 10)
    steps = project.read_ahead()
    next(steps)
    project.close()
    with pytest.raises(ProjectError, match="closed"):
        list(steps)


def test_reading_that_is_given_up_leaves_nothing(project):
    add(project, 0, 10)
    steps = project.read_ahead()
    next(steps)
    steps.close()
    assert not project._columns._numbers
    check(project)


def test_an_order_is_kept_until_there_is_something_new(project):
    add(project, 0, 40)
    first = project.ids(order="flux")
    kept = project._columns._orders["flux", True]
    project.grade(first[:2].tolist(), "A", grader="Ada")
    assert project.ids(order="flux", grades={None}).tolist() == first[2:].tolist()
    assert project._columns._orders["flux", True] is kept
    add(project, 40, 1)
    assert len(project.ids(order="flux")) == 41
    for order in ORDERS:
        project.ids(order=order)
    assert len(project._columns._orders) == 2


@given(arrays.arrays(np.float64, st.integers(0, 60), elements=st.sampled_from([0.0, -0.0, 1.0, 2.5, -np.inf, np.nan])))
def test_places_are_those_of_a_stable_sort_with_what_is_missing_last(values):
    assert columns.sorted_places(values).tolist() == np.argsort(values, kind="stable").tolist()


def test_ids_are_found_with_and_without_gaps_between_them():
    kept = columns.Columns()
    assert kept.places(np.array([1, 2])).tolist() == []
    for ids in (np.arange(5, 10), np.array([5, 6, 8, 9])):
        kept.ids = ids
        found = kept.places(np.array([9, 1, 6, 7, 12]))
        assert ids[found].tolist() == [one for one in (9, 6, 7) if one in ids]
