"""One object that is two candidates: found by position, decided by people, left out where each counts once."""

import numpy as np
import pytest

from engine.catalogue import Project
from engine.catalogue.duplicates import duplicates
from engine.errors import ProjectError
from tests.engine.catalogue_parts import fill
from tests.engine.test_known import scan, sky


def test_the_same_object_on_two_mosaics_is_a_duplicate():
    first, second = sky(name="one"), sky((10.0, 2.01), name="two")
    with Project.temporary() as project:
        ids = scan(project, first, (300.0, 700.0), (500.0, 500.0))
        again = scan(project, second, tuple(second.pixel(first.world(np.array([(300.0, 700.0)])))[0]))
        assert duplicates(project, 1.0) == [(ids[0], again[0])]


def test_a_chain_is_one_group_and_others_are_apart():
    with Project.temporary() as project:
        ids = scan(project, sky(), (100, 100), (108, 100), (116, 100), (700, 700), (708, 700), (900, 100))
        assert duplicates(project, 2.0) == [tuple(ids[:3]), tuple(ids[3:5])]
        assert duplicates(project, 0.5) == []


def test_what_is_the_same_is_left_out_once_it_is_said_and_undone():
    with Project.temporary() as project:
        a, b, c, d = fill(project, 0.9, 0.8, 0.7, 0.6)
        project.same([b, c], a, grader="Ada")
        assert project.history_text("undo") == "Same object: 2 candidates"
        assert project.ids(once=True).tolist() == [a, d]
        assert project.ids().tolist() == [a, b, c, d]
        project.same(c, c, grader="Bo")  # the newest word on it
        assert project.ids(once=True).tolist() == [a, c, d]
        assert [row.same_as for row in project.rows([a, b, c, d])] == [None, a, c, None]
        project.undo("Bo")
        project.undo("Ada")
        assert len(project.repeated()) == 0
        project.redo("Ada")
        assert project.repeated().tolist() == [b, c]
        with pytest.raises(ProjectError, match="no candidate 99"):
            project.same(a, 99, grader="Ada")


def test_of_a_ring_one_is_left():
    with Project.temporary() as project:
        a, b, c, d = fill(project, 0.9, 0.8, 0.7, 0.6)
        project.same(a, b, grader="Ada")
        project.same(b, c, grader="Bo")
        project.same(c, a, grader="Cy")
        project.same(d, c, grader="Cy")  # leads into the ring, and is not of it
        assert project.ids(once=True).tolist() == [a]
