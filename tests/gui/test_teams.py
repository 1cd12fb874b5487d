"""What a team adds to a project in the window: merges, imports, known objects, reports of graders."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QFileDialog

from deeplense_gui.dialogs.crossmatch import NONE, CrossmatchDialog
from deeplense_gui.dialogs.export import FORMATS, ExportDialog
from deeplense_gui.dialogs.graders import GradersDialog, share_text
from engine.catalogue.calibration import CalibrationItem, Share, add_stamps
from engine.catalogue.known_files import open_known
from engine.catalogue.store import Project
from tests.gui.parts import dialog


def done(qtbot, session, word: str):
    return qtbot.waitSignal(session.message, timeout=20_000, check_params_cb=lambda text, *_: word in text)


def test_merging_again_changes_nothing_and_nobodys_grade(qtbot, vetting, tmp_path):
    session = vetting.session
    first = int(session.ids()[0])
    session.grade("A")
    copy = session.project.save_as(tmp_path / "karl.deeplense")
    with Project.open(copy) as project:
        project.grade(first, "X", grader="Karl")
    for _ in range(2):
        with done(qtbot, session, "Merged"):
            session.merge([copy])
        assert session.project.graders() == {"Karl": 1, "Vera": 1}
        assert {one.grader: one.grade for one in session.project.opinions(first)[first]} == {"Vera": "A", "Karl": "X"}
    session.select(first)
    assert vetting.panels["inspector"].facts.model.text().startswith("others:")


def test_grades_of_another_tool_are_taken_up_as_ones_own(qtbot, vetting, tmp_path):
    session = vetting.session
    row = session.candidate()
    table = tmp_path / "old.csv"
    table.write_text(f"file_name,classification,comment\n{row.name},A,an arc\n")
    with done(qtbot, session, "Imported"):
        session.import_grades(table)
    assert (session.candidate().grade, session.candidate().note) == ("A", "an arc")
    session.undo()
    assert session.candidate().grade is None


def test_known_objects_are_shown_with_reference_but_not_blind(qtbot, vetting, tmp_path, monkeypatch):
    session, facts = vetting.session, vetting.panels["inspector"].facts
    row = session.candidate()
    table = tmp_path / "known.csv"
    table.write_text(f"name,ra,dec,ref,grade\nSL-1,{row.ra},{row.dec},Doe et al. 2020,A\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(table), ""))
    vetting.actions_by_id["file.known"].trigger()
    qtbot.waitUntil(lambda: bool(vetting.findChildren(CrossmatchDialog)), timeout=20_000)
    asked = dialog(vetting, CrossmatchDialog)
    assert asked.columns() == {"ra": "ra", "dec": "dec", "name": "name", "reference": "ref", "grading": "grade"}
    assert [asked.preview.item(0, column).text() for column in (2, 3, 4)] == ["SL-1", "Doe et al. 2020", "A"]
    with done(qtbot, session, "known objects"):
        asked.buttons.button(asked.buttons.StandardButton.Ok).click()
    assert "SL-1" in facts.known.text()
    assert "Doe et al. 2020" in facts.known.text()
    session.set_blind(True)
    assert not facts.known.isVisible()
    assert session.matches(session.candidate()) == []


def test_calibration_stamps_are_mixed_in_when_blind_and_looked_at_with_their_arc(qtbot, vetting):
    session, mosaic = vetting.session, vetting.session.mosaic
    arc = np.full((1, 9, 9), 500.0, np.float32)
    painted = CalibrationItem(
        "u1", "painted", 100.0, 120.0, is_lens=True, einstein_radius=1.2, arc_snr=50.0, arc=arc, x0=96, y0=116
    )
    added = add_stamps(session.project, mosaic.id, [painted], "stand-in")
    session.listing.forget()
    assert added.ids[0] not in session.ids()
    session.set_blind(True)
    assert added.ids[0] in session.ids()
    assert vetting.panels["candidates"].filters.count.text() == f"{len(session.ids())} candidates"
    session.select(added.ids[0])
    seen = session.mosaic_of(session.candidate())
    difference = seen.read(116, 125, 96, 105) - mosaic.read(116, 125, 96, 105)
    assert difference == pytest.approx(arc, abs=0.01)
    session.grade("A")
    session.set_blind(False)
    vetting.actions_by_id["grade.report"].trigger()
    table = dialog(vetting, GradersDialog).table
    assert (table.horizontalHeaderItem(0).text(), table.item(0, 0).text()) == ("Vera", "1")
    assert "1 of 1" in table.item(1, 0).text()


def test_shares_without_a_count_are_a_dash():
    nan = float("nan")
    assert share_text(Share(0, 0, nan, nan, nan)) == "–"
    assert share_text(Share(31, 50, 0.62, 0.55, 0.69)) == "62 % (55-69), 31 of 50"


def test_the_export_dialog_gives_each_format_its_ending(qtbot, tmp_path):
    asked = ExportDialog(tmp_path / "field", 3, 5)
    qtbot.addWidget(asked)
    for index, (_, suffix) in enumerate(FORMATS):
        asked.format.setCurrentIndex(index)
        assert asked.path() == tmp_path / f"field{suffix}"
    asked.format.setCurrentIndex(0)
    assert asked.path() == tmp_path / "field.csv"


def test_columns_that_were_not_guessed_are_chosen_and_seen_at_once(qtbot, tmp_path):
    table = tmp_path / "odd.csv"
    table.write_text("x,y,who,what,note\n10.5,-2.25,L1,galaxy,confident\nbad,0,L2,group,probable\n")
    asked = CrossmatchDialog(open_known(table))
    qtbot.addWidget(asked)
    match = asked.buttons.button(asked.buttons.StandardButton.Ok)
    assert not match.isEnabled()
    assert asked.told.text() == "Choose the column of the right ascension and of the declination."
    for what, name in (("ra", "x"), ("dec", "y"), ("name", "who"), ("grading", "note")):
        asked.boxes[what].setCurrentIndex(asked.boxes[what].findData(name))
    assert match.isEnabled()
    assert [asked.preview.item(0, k).text() for k in range(5)] == [
        "10.500000",
        "-2.250000",
        "L1",
        "odd.csv",
        "confident",
    ]
    assert "1 rows without a position were left out" in asked.told.text()
    asked.boxes["grading"].setCurrentIndex(asked.boxes["grading"].findText(NONE))
    assert asked.preview.item(0, 4).text() == ""
    asked.boxes["ra"].setCurrentIndex(asked.boxes["ra"].findData("who"))
    assert "hold no positions" in asked.told.text()
    assert not match.isEnabled()


def test_an_export_says_what_is_known_and_leaves_duplicates_and_stamps_out(qtbot, vetting, tmp_path):
    session = vetting.session
    best, second = (int(one) for one in session.ids()[:2])
    add_stamps(session.project, session.mosaic.id, [CalibrationItem("u1", "dud", 100.0, 120.0, is_lens=False)], "s")
    session.mark_same([second], best)
    session.set_blind(True)
    out = tmp_path / "lenses.csv"
    with done(qtbot, session, "written"):
        session.export(out, once=True)
    lines = out.read_text().splitlines()
    assert len(lines) == 40  # 40 candidates without one duplicate, below the names of columns
    assert {"known_name", "known_reference", "known_grading", "known_separation"} < set(lines[0].split(","))
    vetting.session.set_blind(False)
    vetting.actions_by_id["file.export"].trigger()
    asked = dialog(vetting, ExportDialog)
    assert asked.once.isVisible()
    assert asked.once.isChecked()
