"""The blind queue, duplicates, agreements: asked for and decided with clicks and keys."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from deeplense_gui.dialogs.calibration import CalibrationDialog
from deeplense_gui.dialogs.duplicates import STAMP, DuplicatesDialog
from deeplense_gui.dialogs.graders import GradersDialog
from deeplense_gui.dialogs.limits import LimitsDialog
from deeplense_gui.dialogs.resolve import ResolveDialog
from deeplense_gui.models.candidates import signs, tip
from engine.catalogue.calibration import CalibrationItem, add_stamps
from engine.catalogue.store import Project
from engine.errors import DataError
from engine.types import Detection, Step
from tests.gui.parts import dialog, messages, press

KEY, LEFT = Qt.Key, Qt.MouseButton.LeftButton
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def accept(qtbot, window, asked) -> None:
    """Click OK, and be in the window again."""
    qtbot.mouseClick(asked.buttons.button(asked.buttons.StandardButton.Ok), LEFT)
    qtbot.waitUntil(lambda: not window.findChildren(type(asked)))
    with qtbot.waitActive(window):
        window.activateWindow()
    window.panels["mosaic"].canvas.setFocus()


@pytest.fixture
def mixed(qtbot, vetting):
    """Vetting with twelve duds and eight painted stamps, and a cut that half of the candidates pass."""
    session = vetting.session
    arc = np.full((1, 5, 5), 300.0, np.float32)
    stamps = [CalibrationItem(f"d{i}", "dud", 20.0 * i + 20, 30.0, is_lens=False) for i in range(12)]
    stamps += [
        CalibrationItem(f"l{i}", "painted", 30.0 * i + 40, 200.0, is_lens=True, einstein_radius=1.2, arc_snr=40.0,
                        arc=arc, x0=30 * i + 38, y0=198)
        for i in range(8)
    ]  # fmt: skip
    add_stamps(session.project, session.mosaic.id, stamps, "stand-in")
    session.listing.forget()
    return vetting


def test_shares_of_the_blind_queue_are_chosen_shown_and_kept(qtbot, mixed):
    session, bar = mixed.session, mixed.panels["vetting"].queue
    cut = round(float(np.median([row.score for row in session.rows(session.ids())])), 2)
    mixed.actions_by_id["grade.calibrate"].trigger()
    asked = dialog(mixed, CalibrationDialog)
    assert "There are 20: 12 dud, 8 painted" in asked.there.text()
    asked.has_cut.click()
    asked.cut.setValue(cut)
    asked.controls.setValue(20)
    asked.stamps.setValue(10)
    qtbot.waitUntil(lambda: "random controls (1 in 5)" in asked.told.text(), timeout=5_000)
    accept(qtbot, mixed, asked)
    press(qtbot, mixed, KEY.Key_B, CONTROL | SHIFT)
    queue = session.blind_queue()
    assert (queue.controls, queue.stamps) == (-(-2 * queue.above // 7), -(-queue.above // 7))
    assert sorted(session.ids().tolist()) == queue.ids.tolist()
    assert session.counts() == {None: len(queue.ids)}
    assert f"score ≥ {cut:g} · 1 in 5 at random · 1 in 10 calibration" in bar.mixed.text()
    assert bar.mixed.isVisible()
    assert mixed.width() == 1280
    stamp = next(row.id for row in session.rows(session.ids()) if row.kind)
    session.select(stamp)
    place = session.ids().tolist().index(stamp) + 1
    assert mixed.panels["inspector"].facts.name.text() == f"Candidate {place} of the list"
    drawn = {event.candidate for event in session.project.journal() if event.kind == "control"}
    below = {row.id for row in session.rows(queue.ids) if row.score < cut and not row.kind}
    assert below <= drawn
    before = session.ids().tolist()
    path = session.project.path
    session.close_project()
    session.open_project(path)
    assert session.ids().tolist() == before


def test_what_a_stamp_was_is_told_where_that_was_chosen(qtbot, mixed):
    session = mixed.session
    session.set_blind(True)
    rows = session.rows(session.ids())
    painted, dud = (next(row.id for row in rows if row.kind == kind) for kind in ("painted", "dud"))
    seen = messages(session)
    session.select(painted)
    press(qtbot, mixed, KEY.Key_X)
    assert not [text for text, *_ in seen if "painted" in text]
    mixed.actions_by_id["grade.calibrate"].trigger()
    asked = dialog(mixed, CalibrationDialog)
    asked.feedback.setChecked(True)
    accept(qtbot, mixed, asked)
    session.select(painted)
    press(qtbot, mixed, KEY.Key_X)
    press(qtbot, mixed, KEY.Key_Z, CONTROL)
    session.select(dud)
    press(qtbot, mixed, KEY.Key_X)
    told = [text for text, *_ in seen]
    assert "Missed: an arc was painted on it, Einstein radius 1.20″, S/N 40. You said X." in told
    assert "Right: a source drawn at random, hardly ever a lens. You said X." in told
    ordinary = next(row.id for row in rows if not row.kind)
    session.select(ordinary)
    press(qtbot, mixed, KEY.Key_X)
    assert len([text for text, *_ in seen if "You said" in text]) == 2


def test_controls_tell_what_the_cut_loses(qtbot, mixed):
    session = mixed.session
    session.set_mixing(type(session.mixing())(cut=0.5, controls=0.3))
    session.set_blind(True)
    for row in session.rows(session.blind_queue().ids):
        if not row.kind:
            session.project.grade(row.id, "A" if row.score > 0.5 else "X", grader="Vera")
    mixed.actions_by_id["grade.report"].trigger()
    told = dialog(mixed, GradersDialog).cut.text()
    assert "Below it 0 % (0-" in told
    assert "Completeness of the cut: 100 %" in told


def test_shares_that_leave_nothing_are_refused(qtbot, mixed):
    mixed.actions_by_id["grade.calibrate"].trigger()
    asked = dialog(mixed, CalibrationDialog)
    asked.has_cut.setChecked(True)
    asked.controls.setValue(60)
    asked.stamps.setValue(40)
    qtbot.waitUntil(lambda: "choose fewer" in asked.told.text(), timeout=5_000)
    assert not asked.buttons.button(asked.buttons.StandardButton.Ok).isEnabled()
    asked.stamps.setValue(90)
    asked.controls.setValue(0)
    qtbot.waitUntil(lambda: "stamps are wanting: make more" in asked.told.text(), timeout=5_000)


def test_stamps_are_made_from_the_dialog_other_ones_each_time_or_it_is_said_why_not(qtbot, vetting, monkeypatch):
    session = vetting.session
    asked_for = []

    def calibrate(project, mosaic, request, classifier):
        asked_for.append(request)
        yield Step(0, 1)
        if request.lenses > 100:
            raise DataError("too few galaxies to paint on: ask for fewer")
        run = project.start_run(mosaic, "calibration", {"calibration": request.seed})
        item = CalibrationItem(f"d{request.seed}", "dud", 10.0 * request.seed, 10.0, is_lens=False)
        yield Step(1, 1, add_stamps(project, mosaic.id, [item], "").ids)
        project.finish_run(run, "done")

    monkeypatch.setattr("engine.detect.calibration.calibrate", calibrate)
    seen = messages(session)
    vetting.actions_by_id["grade.calibrate"].trigger()
    asked = dialog(vetting, CalibrationDialog)
    assert asked.there.text() == "There are none yet."
    for made in (1, 2):
        asked.numbers["duds"].setValue(made)
        qtbot.mouseClick(asked.make, LEFT)
        qtbot.waitUntil(lambda made=made: asked.there.text() == f"There are {made}: {made} dud.", timeout=10_000)
        qtbot.waitUntil(asked.make.isEnabled)
    assert [(one.seed, one.duds) for one in asked_for] == [(1, 1), (2, 2)]
    asked.numbers["lenses"].setValue(200)
    qtbot.mouseClick(asked.make, LEFT)
    qtbot.waitUntil(lambda: any("too few galaxies" in text for text, *_ in seen), timeout=10_000)
    qtbot.waitUntil(asked.make.isEnabled)
    asked.reject()


# duplicates -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def twice(qtbot, vetting):
    """Vetting where two candidates lie beside the best two."""
    session = vetting.session
    best = session.rows(session.ids()[:2])
    run = session.project.start_run(session.mosaic, "stand-in")
    places = np.array([(row.x + 6, row.y) for row in best])
    sky = session.mosaic.world(places)
    found = [
        Detection(x, y, ra, dec, 10.0, 2.0, 9.0, 0.1, 0.1, 0.0, "stand-in")
        for (x, y), (ra, dec) in zip(places, sky, strict=True)
    ]
    added = session.project.add(run, found)
    session.listing.forget()
    session.filtered.emit()
    vetting.actions_by_id["view.duplicates"].trigger()
    asked = dialog(vetting, DuplicatesDialog)
    qtbot.waitUntil(lambda: asked.groups.count() == 2, timeout=10_000)
    return vetting, asked, [row.id for row in best], list(added.ids)


def test_duplicates_are_gone_through_decided_and_left_out(qtbot, twice):
    window, asked, best, added = twice
    session = window.session
    assert asked.count.text() == "2 groups, 2 of them open"
    first = session.selection
    assert first in best
    assert asked.table.item(1, 4).text() == "1.20″"
    qtbot.mouseClick(asked.same, LEFT)
    assert asked.count.text() == "2 groups, 1 of them open"
    assert session.selection in best
    assert session.selection != first
    qtbot.mouseClick(asked.different, LEFT)
    assert asked.count.text() == "2 groups, 0 of them open"
    marked = [row for row in session.rows(added) if row.same_as == first]
    assert len(marked) == 1
    assert session.repeated_count() == 1
    assert signs(marked[0]) == "="
    assert f"same object as candidate {first}" in tip(marked[0])
    total = len(session.ids())
    session.set_filters(once=True)
    assert len(session.ids()) == sum(session.counts().values()) == total - 1
    qtbot.mouseClick(asked.undo, LEFT)
    assert asked.count.text() == "2 groups, 1 of them open"
    qtbot.mouseClick(asked.undo, LEFT)
    assert asked.count.text() == "2 groups, 2 of them open"
    assert len(session.ids()) == total
    asked.close()
    session.mark_same([added[0]], best[0])  # nothing follows any more
    assert len(session.ids()) == total - 1


def test_another_one_of_the_group_can_be_kept(qtbot, twice):
    window, asked, _, added = twice
    session = window.session
    asked.table.selectRow(1)
    kept = session.selection
    assert kept in added
    qtbot.mouseClick(asked.same, LEFT)
    assert session.rows([kept])[0].same_as is None
    assert [row.same_as for row in session.rows(session.project.repeated())] == [kept]


def test_a_group_is_seen_as_stamps_and_not_in_blind_mode(qtbot, twice):
    window, asked, _, _ = twice

    def shades(line: int) -> int:
        picture = asked.table.item(line, 0).icon().pixmap(STAMP, STAMP).toImage()
        return len({picture.pixel(x, STAMP // 2) for x in range(0, STAMP, 3)})

    qtbot.waitUntil(lambda: min(shades(0), shades(1)) > 5, timeout=10_000)
    window.session.set_blind(True)
    assert not asked.isVisible()  # its scores would be seen
    assert not window.actions_by_id["view.duplicates"].isEnabled()


# disagreements --------------------------------------------------------------------------------------------------------


@pytest.fixture
def divided(qtbot, vetting):
    """Vetting where two others differ on three candidates, and the queue of those is shown."""
    session = vetting.session
    ids = [int(one) for one in session.ids()[:3]]
    for grader, grade in (("Ada", "A"), ("Karl", "X")):
        session.project.grade(ids, grade, grader=grader)
    session.project.note(ids[0], "blue arc", grader="Ada")
    session.listing.forget()
    bar = vetting.panels["vetting"].queue
    bar.queue.setCurrentIndex(bar.queue.findData("disagreements"))
    qtbot.mouseClick(bar.resolve, LEFT)
    asked = dialog(vetting, ResolveDialog)
    with qtbot.waitActive(asked):
        asked.activateWindow()
    return vetting, asked, ids


def test_a_disagreement_is_resolved_side_by_side(qtbot, divided):
    window, asked, ids = divided
    session = window.session
    assert session.ids().tolist() == ids
    assert [asked.table.item(row, 0).text() + asked.table.item(row, 1).text() for row in (0, 1)] == ["AdaA", "KarlX"]
    assert asked.table.item(0, 5).text() == "blue arc"
    qtbot.waitUntil(lambda: asked.together.text().startswith("2 graders: mean 1.50 ± 2.12"), timeout=5_000)
    qtbot.mouseClick(asked.grades["B"], LEFT)
    assert session.selection == ids[1]
    assert session.ids().tolist() == ids[1:]
    row = session.rows(ids[:1])[0]
    assert (row.grade, row.grader) == ("B", "Vera")
    assert {one.grader: one.grade for one in session.project.opinions(ids[0])[ids[0]]} == {
        "Ada": "A", "Karl": "X", "Vera": None,
    }  # fmt: skip
    qtbot.keyClick(asked, KEY.Key_Z, CONTROL)
    qtbot.waitUntil(lambda: session.ids().tolist() == ids)
    with Project.open(session.project.path, read_only=True) as project:
        assert [event.action for event in project.journal(ids[0])][-2:] == ["do", "undo"]


def test_an_agreement_is_told_and_taken_back(qtbot, divided):
    window, asked, ids = divided
    session = window.session
    session.set_filters(queue="")
    qtbot.mouseClick(asked.grades["C"], LEFT)
    assert session.selection == ids[0]
    assert asked.agreed.text().startswith("Agreed on C (by Vera")
    qtbot.mouseClick(asked.back, LEFT)
    assert asked.agreed.text() == "Not agreed on yet."
    qtbot.keyClick(asked, KEY.Key_B)
    qtbot.waitUntil(lambda: asked.agreed.text().startswith("Agreed on B"))
    asked.close()
    session.select(ids[1])  # a closed one follows nothing


def test_blind_mode_shows_no_grades_side_by_side_before_ones_own(qtbot, divided):
    window, asked, ids = divided
    window.session.set_blind(True)
    window.session.select(ids[0])
    assert asked.table.rowCount() == 0
    assert not asked.grades["A"].isEnabled()
    assert "Blind" in asked.agreed.text()
    window.session.grade("C")
    window.session.select(ids[0])
    assert asked.table.rowCount() == 3


def test_how_many_graders_are_few_is_chosen(qtbot, divided):
    window, _, ids = divided
    session, bar = window.session, window.panels["vetting"].queue
    bar.queue.setCurrentIndex(bar.queue.findData("few graders"))
    assert bar.wanted.isVisible()
    assert not set(ids) & set(session.ids().tolist())
    bar.wanted.setValue(3)
    assert set(ids) <= set(session.ids().tolist())
    bar.queue.setCurrentIndex(0)
    assert not bar.wanted.isVisible()


# any column -----------------------------------------------------------------------------------------------------------


def test_words_are_chosen_among_what_there_is_and_saved(qtbot, divided):
    window, _, ids = divided
    session = window.session
    session.project.classify(ids[0], "quad", grader="Karl")  # whose grade is the newest
    session.project.grade(int(session.project.ids()[5]), "C", grader="Vera")
    session.clear_filters()
    window.actions_by_id["list.limits"].trigger()
    asked = dialog(window, LimitsDialog)
    asked.boxes["grader"].setCurrentIndex(asked.boxes["grader"].findText("Ada"))
    accept(qtbot, window, asked)
    assert sorted(session.ids().tolist()) == ids
    assert window.panels["vetting"].queue.filter.text() == "Filter (1)"
    session.set_filters(kind="quad")
    assert session.ids().tolist() == ids[:1]
    session.save_filters("Ada's quads")
    session.clear_filters()
    assert len(session.ids()) == 40
    session.use_filters("Ada's quads")
    assert session.ids().tolist() == ids[:1]
    session.clear_filters()
    session.set_filters(known=True)
    assert len(session.ids()) == 0
    session.set_filters(known=False, model=session.candidate().model, mosaic=session.mosaic.id)
    assert len(session.ids()) == 40
    session.set_blind(True)
    assert session.filters.words == ()
    window.actions_by_id["list.limits"].trigger()
    assert not {"grader", "model", "known"} & set(dialog(window, LimitsDialog).boxes)


def test_limits_keep_all_their_digits(qtbot, vetting):
    session = vetting.session
    session.set_filters(ranges=(("ra", 215.123456789, None),))
    vetting.actions_by_id["list.limits"].trigger()
    asked = dialog(vetting, LimitsDialog)
    assert asked.ranges() == (("ra", 215.123456789, None),)


def test_how_far_graders_agree_is_told_beside_how_each_does(qtbot, divided):
    window, asked, _ = divided
    asked.close()
    window.actions_by_id["grade.report"].trigger()
    told = dialog(window, GradersDialog).agreement.text()
    assert "κ -1.00 on 3 candidates" in told  # always the opposite
    assert "Ada and Karl 0.00 (3)" in told
    window.session.set_blind(True)
    assert window.session.agreement() is None
    assert window.session.find_consensus(print) is None


def test_what_is_worked_out_when_the_dialog_closes_has_nobody_to_go_to(qtbot, divided):
    window, asked, ids = divided
    session = window.session
    qtbot.waitUntil(lambda: not session.jobs.unfinished, timeout=5_000)
    session.project.grade(ids, "B", grader="Cy")
    asked._ask_together()
    asked.close()
    session.agree("B")  # nor is anything asked any more
    qtbot.waitUntil(lambda: not session.jobs.unfinished, timeout=5_000)
    qtbot.waitUntil(lambda: not window.findChildren(ResolveDialog), timeout=5_000)
