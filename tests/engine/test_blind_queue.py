"""What a blind queue is made of, and what its random controls tell of a cut of score."""

import json

import numpy as np
import pytest

from engine.catalogue import Project
from engine.catalogue.blind_queue import Mixing, blind_queue, counts, cut_report, draw_controls, mixing, set_mixing
from engine.catalogue.calibration import CalibrationItem, add_stamps, stamps
from engine.catalogue.merge import merge
from engine.errors import ProjectError
from tests.engine.catalogue_parts import fill, make_mosaic
from tests.engine.cli_parts import CommandLine

CUT = 0.7


@pytest.fixture
def project():
    """300 candidates with scores up to 1, 90 of them at the cut or above, and 40 calibration stamps."""
    with Project.temporary() as project:
        fill(project, *(np.arange(1, 301) / 300))
        items = [CalibrationItem(f"d{i}", "dud", 5.0 * i, 900.0, is_lens=False, score=0.5) for i in range(40)]
        add_stamps(project, make_mosaic().id, items, "")
        yield project


def test_a_queue_has_the_shares_that_were_asked_for(project):
    queue = blind_queue(project, Mixing(CUT, controls=0.2, stamps=0.1))
    assert (queue.above, queue.controls, queue.stamps, queue.stamps_wanted) == (91, 26, 13, 13)
    assert len(queue.ids) == len(set(queue.ids.tolist())) == 91 + 26 + 13
    below = [row.score for row in project.rows(queue.ids) if row.score < CUT and not row.kind]
    assert len(below) == 26
    assert min(below) < 0.2
    assert max(below) > 0.5  # over all scores below the cut, not the next best
    again = blind_queue(project, Mixing(CUT, controls=0.2, stamps=0.1))
    other = blind_queue(project, Mixing(CUT, controls=0.2, stamps=0.1, seed=2))
    assert np.array_equal(queue.ids, again.ids)
    assert not np.array_equal(queue.ids, other.ids)
    more = blind_queue(project, Mixing(CUT, controls=0.3, stamps=0.1))
    assert set(queue.ids.tolist()) <= set(more.ids.tolist())  # a greater share keeps those that were drawn


def test_without_a_cut_all_are_in_the_queue_and_too_few_stamps_are_told(project):
    everything = blind_queue(project, Mixing())
    assert (everything.above, everything.controls, everything.stamps) == (300, 0, 40)
    few = blind_queue(project, Mixing(stamps=0.5))
    assert (few.stamps, few.stamps_wanted) == (40, 300)
    with pytest.raises(ProjectError, match="choose fewer"):
        Mixing(controls=0.6, stamps=0.4)


def test_a_team_sees_the_same_stamps_whatever_their_ids_are():
    seen = []
    for order in (1, -1):
        with Project.temporary() as project:
            fill(project, *(np.arange(1, 101) / 100))
            items = [CalibrationItem(f"d{i}", "dud", 5.0 * i, 900.0, is_lens=False) for i in range(40)]
            add_stamps(project, make_mosaic().id, items[::order], "")
            chosen = stamps(project, blind_queue(project, Mixing(CUT, stamps=0.2)).ids)
            seen.append({item.uuid for item in chosen.values()})
    assert len(seen[0]) == 8
    assert seen[0] == seen[1]


def test_it_is_kept_with_the_project(project):
    assert mixing(project) == Mixing()
    set_mixing(project, Mixing(CUT, 0.1, None, feedback=True, seed=3))
    assert mixing(project) == Mixing(CUT, 0.1, None, feedback=True, seed=3)


def test_what_one_has_graded_of_a_queue(project):
    queue = blind_queue(project, Mixing(CUT, controls=0.2, stamps=0.1))
    control = next(row.id for row in project.rows(queue.ids) if row.score < CUT and not row.kind)
    outside = next(int(one) for one in project.ids() if one not in queue.ids)
    project.grade([control, outside], "A", grader="Ada")
    assert counts(project, queue.ids, "Ada") == {"A": 1, None: len(queue.ids) - 1}
    assert counts(project, queue.ids, "Bo") == {None: len(queue.ids)}


def test_controls_are_in_the_journal_once_and_come_together(tmp_path):
    with Project.create(tmp_path / "a") as a, Project.create(tmp_path / "b") as b:
        for one in (a, b):
            fill(one, *(np.arange(1, 101) / 100))
        first = draw_controls(a, Mixing(CUT, controls=0.2), grader="Ada")
        assert first >= 8
        assert draw_controls(a, Mixing(CUT, controls=0.2), grader="Ada") == 0
        assert {event.kind for event in a.journal()} == {"control"}
        assert a.history_text("undo") is None
        draw_controls(b, Mixing(CUT, controls=0.2, seed=2), grader="Bo")
        theirs = {event.candidate for event in b.journal()}
        list(merge(a, [b.path]))
        assert theirs < {event.candidate for event in a.journal()}
        assert cut_report(a, CUT).controls == sum(row.score < CUT for row in a.rows(
            sorted({event.candidate for event in a.journal()})))  # fmt: skip


def test_the_lenses_below_a_cut_are_estimated_without_bias():
    truth = np.zeros(400, bool)
    truth[np.random.default_rng(4).choice(np.arange(0, 279), 40, replace=False)] = True  # lost below the cut
    truth[-60:] = True
    estimates, inside = [], 0
    for seed in range(24):
        with Project.temporary() as project:
            ids = np.array(fill(project, *(np.arange(1, 401) / 400)))
            for lens, grade in ((True, "A"), (False, "X")):
                project.grade(ids[truth == lens], grade, grader="Ada")
            draw_controls(project, Mixing(CUT, controls=0.4, seed=seed), grader="Ada")
            report = cut_report(project, CUT)
            assert (report.above, report.found, report.below) == (121, 60, 279)
            estimates.append(report.share.share * report.below)
            inside += report.share.low * report.below <= 40 <= report.share.high * report.below
            assert report.lost[1] >= 40  # all of them were seen
            assert report.completeness[0] == pytest.approx(60 / (60 + report.lost[0]))
    assert np.mean(estimates) == pytest.approx(40, abs=5.5)  # three standard errors of the mean
    assert 0.6 < inside / 24 <= 1  # 68 %, more where much of the sky below was drawn


def test_a_control_is_what_most_say_and_nothing_is_told_before_it_is_graded(capsys, tmp_path):
    with Project.create(tmp_path / "team") as project:
        fill(project, *(np.arange(1, 101) / 100))
        set_mixing(project, Mixing(CUT, controls=0.2))
        draw_controls(project, mixing(project), grader="Ada")
        empty = cut_report(project, CUT)
        assert np.isnan(empty.completeness).all()
        drawn = project.rows(sorted({event.candidate for event in project.journal()}))
        control = next(row.id for row in drawn if row.score < CUT)
        project.grade([control, 100], "A", grader="Ada")
        project.grade(control, "X", grader="Bo")
        assert (cut_report(project, CUT).share.hits, cut_report(project, CUT).share.count) == (0, 1)
        project.grade(control, "B", grader="Cy")
        report = cut_report(project, CUT)
        assert (report.share.hits, report.share.count, report.found, report.graded) == (1, 1, 1, 1)
        project.agree(control, "X", grader="Cy")
        assert cut_report(project, CUT).share.hits == 0
        path = project.path
    assert "1 of 31 candidates above the cut of 0.7 are graded" in CommandLine(capsys)("blind", path).out
    told = json.loads(CommandLine(capsys)("blind", path, "--cut", "0.5", "--json").out)
    assert (told["cut"], told["below"], told["completeness"][0]) == (0.5, 49, 1.0)
    with Project.open(path) as project:
        assert mixing(project).cut == 0.5
        assert mixing(project).controls == 0.2
