"""One repaint for many reasons."""

from PySide6.QtWidgets import QWidget

from deeplense_gui.widgets.later import Later


class Counter(QWidget):
    painted = 0

    def paintEvent(self, event: object) -> None:
        self.painted += 1


def test_many_reasons_are_one_repaint(qtbot):
    widget = Counter()
    qtbot.addWidget(widget)
    widget.resize(50, 50)
    widget.show()
    qtbot.waitUntil(lambda: widget.painted == 1)
    later = Later(widget)
    for reason in range(20):
        later.ask(reason)
    qtbot.waitUntil(lambda: widget.painted == 2)
    assert not later.isActive()


def test_a_repaint_that_comes_sooner_ends_the_wait(qtbot):
    widget = Counter()
    qtbot.addWidget(widget)
    later = Later(widget)
    later.ask()
    later.stop()
    assert not later.isActive()
