"""What a score hangs on, in the window: asked by key, shown as it comes, kept, and hidden when blind."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from deeplense_gui import work
from engine.types import Probe, Step
from tests.gui.parts import press

SHIFT = Qt.KeyboardModifier.ShiftModifier
FOUND = (Probe("as it is", 0.9, 0.01), Probe("half as bright", 0.3, 0.05), Probe("i alone", 0.88, 0.02))


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Which candidates were probed; each is answered at once."""
    ids: list[int] = []

    def probe(models, mosaic, candidate, model):
        ids.append(candidate.id)
        for number, one in enumerate(FOUND):
            yield Step(number + 1, len(FOUND), (one,))

    monkeypatch.setattr(work.Models, "probe", probe)
    return ids


@pytest.fixture
def panel(vetting):
    return vetting.panels["sensitivity"]


def shown(panel) -> list[tuple[str, int, str]]:
    rows = []
    for number in range(panel.rows.count() // 3):
        name, bar, value = (panel.rows.itemAtPosition(number, column).widget() for column in range(3))
        rows.append((name.text(), bar.value(), value.text()))
    return rows


def test_a_key_probes_and_each_change_has_its_bar(qtbot, vetting, panel, asked):
    assert "Shift+P" in panel.message.text()
    press(qtbot, vetting, Qt.Key.Key_P, SHIFT)
    qtbot.waitUntil(lambda: len(shown(panel)) == 3, timeout=10_000)
    assert asked == [vetting.session.selection]
    assert not panel.visibleRegion().isEmpty()
    assert shown(panel) == [
        ("as it is", 900, "0.900 ±0.010"),
        ("half as bright", 300, "0.300 ±0.050  -0.600"),
        ("i alone", 880, "0.880 ±0.020  -0.020"),
    ]
    assert panel.words.text() == "It falls by 0.60: half as bright."


def test_it_stays_with_its_candidate(qtbot, vetting, panel, asked):
    first = vetting.session.selection
    press(qtbot, vetting, Qt.Key.Key_P, SHIFT)
    qtbot.waitUntil(lambda: len(shown(panel)) == 3, timeout=10_000)
    vetting.session.select(int(vetting.session.ids()[1]))
    assert panel.pages.currentIndex() == 0
    vetting.session.select(first)
    assert panel.pages.currentIndex() == 1
    assert len(asked) == 1


def test_nothing_is_told_before_the_grade(qtbot, vetting, panel, asked):
    vetting.session.set_blind(True)
    assert not panel.ask.isEnabled()
    assert "Blind mode" in panel.message.text()
    press(qtbot, vetting, Qt.Key.Key_P, SHIFT)
    assert asked == []


def test_another_model_has_another_answer(qtbot, vetting, panel, asked):
    press(qtbot, vetting, Qt.Key.Key_P, SHIFT)
    qtbot.waitUntil(lambda: len(shown(panel)) == 3, timeout=10_000)
    vetting.session.use_model("another")
    assert vetting.session.probes == {}


def test_the_real_probe_runs_in_the_worker(qtbot, vetting, panel):
    qtbot.mouseClick(panel.ask, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not vetting.session.is_probing, timeout=20_000)
    names = [name for name, _, _ in shown(panel)]
    assert names[0] == "as it is"
    assert "seeing worse by 0.3″" in names
