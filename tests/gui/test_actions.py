"""The table of commands: each one is reachable, explained, and does something or is disabled."""

from __future__ import annotations

from collections import Counter

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QDialog,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QScrollBar,
)

from deeplense_gui import style, work
from deeplense_gui.actions import ACTIONS as FIXED
from deeplense_gui.actions import MENUS, TAKEN
from deeplense_gui.grading_actions import grading_actions
from engine.types import Step

ACTIONS = (*FIXED, *grading_actions(None, TAKEN))
IDS = [action.id for action in ACTIONS]


def test_ids_and_keys_are_unique():
    assert max(Counter(IDS).values()) == 1
    keys = Counter(QKeySequence(key).toString() for action in ACTIONS for key in action.keys)
    assert not [key for key, count in keys.items() if count > 1]


@pytest.mark.parametrize("action", ACTIONS, ids=IDS)
def test_each_is_explained_and_has_its_place(action):
    assert action.text
    assert len(action.tip) > 8
    assert action.menu in MENUS
    assert not action.icon or action.icon in style.icon_names()
    assert all(not QKeySequence(key).isEmpty() for key in action.keys)


@pytest.fixture
def harmless(monkeypatch, sky):
    """No dialog of the system, no demo that takes minutes."""
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([], ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("", False))

    def demo():
        yield Step(0, 1)
        return (sky,)

    monkeypatch.setattr(work, "demo", demo)


@pytest.mark.parametrize("action", [action for action in ACTIONS if action.id != "file.quit"], ids=lambda a: a.id)
def test_each_runs_or_is_disabled_with_and_without_a_project(qtbot, vetting, harmless, action):
    made = vetting.actions_by_id[action.id]
    assert made.toolTip().startswith(action.tip)
    assert made.isEnabled() == action.enabled(vetting.session)
    made.trigger()
    for shown in vetting.findChildren(QDialog):
        shown.close()
    for job in vetting.session.jobs.unfinished:
        vetting.session.jobs.cancel(job)
    qtbot.waitUntil(lambda: not vetting.session.jobs.unfinished, timeout=20_000)
    vetting.session.close_project()
    vetting.session.show_mosaic(None)
    assert made.isEnabled() == action.enabled(vetting.session)
    made.trigger()
    for shown in vetting.findChildren(QDialog):
        shown.close()


def test_quit_closes_the_window(window):
    window.actions_by_id["file.quit"].trigger()
    assert not window.isVisible()


def test_each_is_in_a_menu(window):
    texts = {action.objectName() for menu in window.menuBar().actions() for action in menu.menu().actions()}
    assert set(IDS) <= texts


def test_each_control_can_be_reached_and_names_itself(vetting):
    """Keys alone must do, and a screen reader has to have something to say."""
    for kind in (QAbstractButton, QAbstractSlider, QComboBox, QLineEdit):
        for control in vetting.findChildren(kind):
            if not control.isVisible() or isinstance(control, QScrollBar) or control.objectName().startswith("qt_"):
                continue
            named = control.accessibleName() or getattr(control, "text", lambda: "")() or control.toolTip()
            assert named, control
            if type(control.parent()).__name__ not in {"QDockWidget", "Table"} and control.isEnabled():
                assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control
