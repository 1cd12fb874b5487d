"""A window keeps a core of its own."""

from collections.abc import Iterator

import pytest
import torch

from engine import device


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "had", "has"), [(8, 8, 7), (8, 2, 2), (2, 2, 1), (1, 1, 1), (None, 2, 1)])
def test_networks_leave_a_core_and_take_no_more_than_they_had(monkeypatch, cores, had, has):
    monkeypatch.setattr(device.os, "cpu_count", lambda: cores)
    torch.set_num_threads(had)
    device.spare_a_core()
    assert torch.get_num_threads() == has
