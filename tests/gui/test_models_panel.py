"""The model in use, scoring again with another, and teaching one the grades: by real clicks and keys."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from deeplense_gui import work
from deeplense_gui.jobs import Reason
from engine.errors import DataError
from engine.tuning.judgement import Judgement
from engine.types import Step
from tests.gui.parts import CARD, StandIn, messages, press, put

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
OWN = Judgement("grades", 8, 53, 0.80, (0.70, 0.90), 0.91, (0.85, 0.97), 0.98)
NEW = replace(CARD, name="taught", weights_sha256="fedcba9876543210")


class Taught(StandIn):
    card = NEW


@pytest.fixture
def panel(qtbot, vetting, monkeypatch):
    """The panel in front, two models in the library, the second scoring in its own name."""
    monkeypatch.setattr(work, "finders", lambda: [CARD, NEW])
    put(monkeypatch, "card", lambda name: NEW if name == "taught" else CARD)
    monkeypatch.setattr(work.Models, "classifier", lambda self, name: Taught() if name == "taught" else StandIn())
    press(qtbot, vetting, Qt.Key.Key_F6)
    qtbot.waitUntil(lambda: vetting.panels["models"].model.count() == 2, timeout=5_000)
    return vetting.panels["models"]


@pytest.fixture
def lessons(monkeypatch) -> list[tuple]:
    """What was asked to be taught; two epochs, then the new model."""
    asked: list[tuple] = []

    def tuned(project, mosaics, start, name, numbers):
        asked.append((len(mosaics), start, name, numbers))
        for epoch in (1.0, 2.0):
            yield Step(int(epoch), 3, ({"epoch": epoch, "train_loss": 0.5 / epoch, "loss": 0.6 / epoch},), "Epoch")
        card = replace(NEW, name=name)
        yield Step(3, 3, (SimpleNamespace(card=card, judgements=(OWN,), notes=("Only 8 lenses were held out.",)),))

    monkeypatch.setattr(work, "fine_tune", tuned)
    return asked


def grade_some(qtbot, window) -> None:
    for key in (Qt.Key.Key_A, Qt.Key.Key_X, Qt.Key.Key_X, Qt.Key.Key_C):
        press(qtbot, window, key)


def teach(qtbot, panel) -> None:
    with qtbot.waitSignal(panel.session.models_changed, timeout=15_000):
        qtbot.mouseClick(panel.tune, LEFT)


def test_it_counts_what_the_grades_say(qtbot, vetting, panel):
    assert panel.taught.text() == "0 lenses, 0 others graded"
    assert not panel.tune.isEnabled()
    vetting.panels["candidates"].table.setFocus()
    grade_some(qtbot, vetting)
    assert panel.taught.text() == "1 lens, 2 others graded"
    assert panel.tune.isEnabled()


def test_a_model_is_taught_judged_used_and_scores_again(qtbot, vetting, panel, lessons):
    said = messages(vetting.session)
    vetting.panels["candidates"].table.setFocus()
    grade_some(qtbot, vetting)
    panel.name.setFocus()
    panel.name.selectAll()
    QTest.keyClicks(panel.name, "taught")
    panel.epochs.setValue(2)
    panel.painted.setValue(100)
    teach(qtbot, panel)
    assert lessons == [(1, "finder", "taught", {"painted": 100, "simulated": 1500, "epochs": 2})]
    assert panel.plot.table == [("epoch", "learned", "held out"), (1.0, 0.5, 0.6), (2.0, 0.25, 0.3)]
    assert "0.800" in panel.table.text()
    assert "0.910" in panel.table.text()
    assert panel.notes.text() == "Only 8 lenses were held out."
    assert "AUC 0.800 before and 0.910 after, on your own grades" in said[-1][0]
    grades = {row.id: row.grade for row in vetting.session.project.rows(vetting.session.ids())}
    with qtbot.waitSignal(vetting.session.scanning, timeout=15_000, check_params_cb=lambda on: not on):
        qtbot.mouseClick(panel.use, LEFT)
    rows = vetting.session.project.rows(vetting.session.ids())
    assert {row.model for row in rows} == {NEW.key}
    assert {row.id: row.grade for row in rows} == grades
    assert (vetting.session.model, vetting.session.preferences.get("model")) == ("taught", "taught")
    assert panel.model.currentData() == "taught"
    assert not panel.use.isVisible()


def test_it_can_be_stopped(qtbot, vetting, panel, monkeypatch):
    def endless(*arguments):
        while True:
            yield Step(1, 3, note="Epoch 1")

    monkeypatch.setattr(work, "fine_tune", endless)
    vetting.session.grade("A")
    qtbot.mouseClick(panel.tune, LEFT)
    qtbot.waitUntil(lambda: panel.words.text() == "Epoch 1", timeout=10_000)
    assert panel.tune.text() == "Stop"
    assert not panel.name.isEnabled()
    qtbot.mouseClick(panel.tune, LEFT)
    qtbot.waitUntil(lambda: vetting.session.tuning.job.reason is Reason.CANCELLED, timeout=10_000)
    assert panel.words.text() == "Stopped: nothing was changed."
    assert panel.tune.text() == "Fine-tune"


def test_why_it_failed_is_said_where_one_looks(qtbot, vetting, panel, monkeypatch):
    def fail(*arguments):
        yield Step(0, 1)
        raise DataError("grade 5 of each")

    monkeypatch.setattr(work, "fine_tune", fail)
    said = messages(vetting.session)
    vetting.session.grade("A")
    qtbot.mouseClick(panel.tune, LEFT)
    qtbot.waitUntil(lambda: bool(said), timeout=10_000)
    assert panel.words.text() == "grade 5 of each"
    assert said[-1][:2] == ("grade 5 of each", "error")


@pytest.mark.parametrize("name", ["../mine", "finder"])
def test_a_name_that_is_none_or_is_taken_is_refused(qtbot, vetting, panel, lessons, name):
    said = messages(vetting.session)
    vetting.session.grade("A")
    panel.name.setFocus()
    panel.name.selectAll()
    QTest.keyClicks(panel.name, name)
    qtbot.mouseClick(panel.tune, LEFT)
    assert said[-1][1] == "warning"
    assert lessons == []


def test_another_model_scores_again_by_a_key_and_is_remembered(qtbot, vetting, panel, preferences):
    panel.model.setFocus()
    press(qtbot, vetting, Qt.Key.Key_Down)
    assert vetting.session.model == preferences.get("model") == "taught"
    vetting.panels["candidates"].table.setFocus()
    with qtbot.waitSignal(vetting.session.scanning, timeout=15_000, check_params_cb=lambda on: not on):
        press(qtbot, vetting, Qt.Key.Key_F5, SHIFT)
    assert {row.model for row in vetting.session.project.rows(vetting.session.ids())} == {NEW.key}
    assert [run.state for run in vetting.session.project.runs()] == ["done", "done"]


def test_a_model_that_is_gone_is_still_named(qtbot, vetting, panel):
    vetting.session.model = "lost"
    vetting.session.models_changed.emit()
    assert panel.model.currentText() == "lost (missing)"


def test_a_free_name_is_offered(vetting, panel, tmp_path, monkeypatch):
    from engine.models import library

    monkeypatch.setattr(library, "user_models", lambda: tmp_path)
    name = vetting.session.free_model_name()
    (tmp_path / name).mkdir()
    assert vetting.session.free_model_name() == f"{name}-2"
