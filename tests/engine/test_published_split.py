"""The split that a set was published with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.train.published import given_parts

LABEL = np.arange(60) % 2
GROUP = np.arange(60) // 2  # pairs of one source with both labels
PART = np.repeat([0, 1, 2], 20)


def sets(parts: dict[str, np.ndarray]) -> list[set[int]]:
    return [set(parts[name].tolist()) for name in ("train", "validation", "test")]


def test_three_parts_are_taken_as_they_are() -> None:
    assert sets(given_parts(LABEL, GROUP, PART, seed=0)) == [set(np.flatnonzero(number == PART)) for number in range(3)]


@pytest.mark.parametrize("held_out", [1, 2])
def test_with_two_parts_the_held_out_one_is_the_test_part(held_out: int) -> None:
    part = np.where(PART == 2, held_out, 0)
    parts = given_parts(LABEL, GROUP, part, seed=0, validation=0.2)
    train, validation, test = sets(parts)
    assert test == set(np.flatnonzero(part == held_out))
    assert train | validation == set(np.flatnonzero(part == 0))
    assert not train & validation
    assert 4 <= len(validation) <= 14
    assert not {*GROUP[parts["train"]]} & {*GROUP[parts["validation"]]}
    other = given_parts(LABEL, GROUP, part, seed=1, validation=0.2)
    assert sets(other)[2] == test
    assert sets(other)[1] != validation


def test_what_is_not_said_is_trained_on() -> None:
    assert sets(given_parts(LABEL, GROUP, np.where(PART == 0, -1, PART), seed=0))[0] == set(range(20))


@given(st.integers(0, 2**31), st.lists(st.integers(0, 80), min_size=60, max_size=60))
def test_no_source_is_in_two_parts(seed: int, group: list[int]) -> None:
    sources = np.array(group)
    try:
        parts = given_parts(np.zeros(60, int), sources, PART, seed=seed)
    except DataError:
        return  # so many copies that a part is empty
    found = [set(sources[members]) for members in parts.values()]
    assert len(set.union(*found)) == sum(map(len, found))
    assert set(parts["test"]) == set(np.flatnonzero(PART == 2))


@pytest.mark.parametrize("part", [np.zeros(60, int), np.full(60, -1), np.ones(60, int)])
def test_a_set_without_parts_is_refused(part: np.ndarray) -> None:
    with pytest.raises(DataError, match="not published in a train and a test part"):
        given_parts(LABEL, GROUP, part, seed=0)


def test_a_part_without_a_class_is_refused() -> None:
    with pytest.raises(DataError, match="the published validation part has no source of its own with label 1"):
        given_parts(np.where(PART == 1, 0, LABEL), GROUP, PART, seed=0)
