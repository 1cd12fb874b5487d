"""Long lists: columns that are read before a person sorts by them, and what one grade among very many costs to show."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from deeplense_gui.filters import FEW, row_of
from deeplense_gui.jobs import Reason
from deeplense_gui.models.candidates import COLUMNS
from deeplense_gui.models.pages import PAGE, CandidatePages
from deeplense_gui.session import projects
from deeplense_gui.widgets.markers import Markers
from engine.catalogue import columns
from tests.gui.parts import press

KEY = Qt.Key


@pytest.fixture
def reopened(qtbot, vetting, monkeypatch):
    """The window with its project opened again, long by another measure; and the jobs that have ended."""
    monkeypatch.setattr(projects, "LONG", 10)
    monkeypatch.setattr(projects, "AHEAD_MS", 0)
    monkeypatch.setattr(columns, "_PART", 4)
    ended = []
    vetting.session.jobs.finished.connect(lambda job, reason, error: ended.append((job, reason, error)))
    open_again(vetting.session)
    return vetting, ended


def open_again(session) -> None:
    path = session.project.path
    session.close_project()
    assert session.open_project(path)


def ending(session, ended) -> tuple[Reason, Exception | None] | None:
    return next(((reason, error) for job, reason, error in ended if job.name.startswith("Reading the columns")), None)


def click_header(qtbot, window, order: str) -> list[int]:
    """Sort by a column as a person does; the list as the table then shows it."""
    table = window.panels["candidates"].table
    section = next(i for i, column in enumerate(COLUMNS) if column.order == order)
    header = table.horizontalHeader()
    table.scrollTo(table.model().index(0, section))
    place = header.rect().center()
    place.setX(header.sectionViewportPosition(section) + 8)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
    return [table.model().id_at(row) for row in range(table.model().rowCount())]


def test_the_first_sort_finds_its_column_and_grades_after_it_are_right(qtbot, reopened):
    window, ended = reopened
    session = window.session
    qtbot.waitUntil(lambda: ending(session, ended) is not None, timeout=10_000)
    assert ending(session, ended) == (Reason.DONE, None)
    assert session.project._columns._numbers.keys() >= set(columns.AHEAD)
    for order in ("spread", "signal_to_noise", "name", "x"):
        shown = click_header(qtbot, window, order)
        with session.project.again() as fresh:
            assert shown == fresh.ids(order=order, descending=session.filters.descending).tolist()
    first = int(session.ids()[0])
    session.select(first)
    press(qtbot, window, KEY.Key_A)
    session.set_filters(grades=frozenset({None}))
    assert first not in session.ids().tolist()
    press(qtbot, window, KEY.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert first in session.ids().tolist()


def test_closing_while_columns_are_read_says_nothing(qtbot, reopened, monkeypatch):
    window, ended = reopened
    session = window.session
    said = []
    session.message.connect(lambda text, level, choices: said.append((text, level)))
    session.crashed.connect(lambda *what: said.append(what))
    qtbot.waitUntil(lambda: session._ahead is not None, timeout=5_000)
    session.close_project()
    qtbot.waitUntil(lambda: ending(session, ended) is not None, timeout=10_000)
    assert not [one for one in said if one[1] != "info"]
    assert session.project is None


def test_a_project_that_was_closed_before_is_not_read(qtbot, reopened):
    window, _ = reopened
    window.session.close_project()
    qtbot.wait(20)
    assert window.session._ahead is None


def test_a_short_list_is_not_read_ahead(vetting):
    session = vetting.session
    open_again(session)
    assert len(session.ids()) < projects.LONG
    assert session._ahead is None


def test_a_place_is_found_wherever_one_looks_first():
    ids = np.random.default_rng(1).permutation(3 * FEW)
    for identity in (0, 7, 3 * FEW - 1):
        for near in (0, 5, FEW, 3 * FEW - 1, 5 * FEW):
            assert row_of(ids, identity, near) == int(np.flatnonzero(ids == identity)[0])
    assert row_of(ids, 3 * FEW) is None
    assert row_of(ids, None) is None


def test_a_list_is_known_to_be_empty_as_soon_as_it_is_and_a_longer_one_is_not_read_for_that(vetting, monkeypatch):
    session = vetting.session
    go_on = vetting.actions_by_id["go.next"]
    session.set_filters(grades=frozenset({None}))
    asked = []
    ids = session.project.ids
    monkeypatch.setattr(session.project, "ids", lambda *query, **named: asked.append(named) or ids(*query, **named))
    session.select(int(session.ids()[0]))
    session.grade("A")
    assert go_on.isEnabled()
    assert not asked
    assert not session.listing.empty
    session.select(int(session.ids()[0]), marked=session.ids().tolist())
    session.grade("X")
    assert session.listing.empty
    assert not go_on.isEnabled()
    session.undo()
    assert go_on.isEnabled()
    session.set_filters(min_score=0.999, text="nothing is called so")
    assert session.listing.empty
    assert not go_on.isEnabled()


def test_rows_that_nobody_looked_at_are_not_read_again(vetting):
    session = vetting.session
    pages = CandidatePages(session)
    ids = session.ids()
    assert pages.reread([int(ids[3])]) == []
    assert pages.candidate(3).grade is None
    session.project.grade([int(ids[3]), int(ids[5])], "B", grader="Ada")
    session.listing.forget({"grades"})
    assert pages.reread([int(ids[3]), int(ids[5])]) == [3, 5]
    assert pages.candidate(5).grade == "B"
    assert len(ids) < PAGE


def test_single_changes_leave_circles_as_if_all_were_set_anew():
    random = np.random.default_rng(2)
    count = 300
    xy, ids = random.uniform(0, 1000, (count, 2)), random.permutation(10 * count)[:count]
    scores = np.where(random.random(count) < 0.1, np.nan, random.random(count).round(1))
    grades = np.full(count, None, object)
    grades[:40] = random.choice(["A", "X"], 40)
    markers, anew = Markers(), Markers()
    markers.set(xy, ids, grades, scores)
    for turn in range(60):
        some = random.choice(count, 1 + turn % 3, replace=False)
        grades[some] = random.choice(np.array(["A", "B", None], object), len(some))
        scores[some], xy[some] = random.random(len(some)).round(1), random.uniform(0, 1000, (len(some), 2))
        markers.update(xy[some], ids[some].tolist(), grades[some].tolist(), scores[some].tolist())
    gone = ids[:5].tolist()
    markers.remove(gone)
    anew.set(xy[5:], ids[5:], grades[5:], scores[5:])
    assert rows(markers) == rows(anew)
    place = np.column_stack([markers.colours == 0, -np.nan_to_num(markers.scores)])
    assert (np.lexsort(place.T[::-1]) == np.arange(len(markers))).all()
    markers.update([(1.0, 2.0)], [int(ids[0])], ["A"], [0.5])  # one that had gone
    assert markers.position(int(ids[0])) == (1.0, 2.0)
    assert len(markers) == count - 4


def rows(markers: Markers) -> list[tuple[float, ...]]:
    """All that there is of each, in order of id."""
    found = zip(markers.ids, markers.colours, np.nan_to_num(markers.scores), *markers.xy.T, strict=True)
    return sorted(tuple(float(value) for value in row) for row in found)
