"""Plots of what was graded: grade against score, grades an hour, counts of kinds; up to date while one grades."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QGridLayout, QWidget

from deeplense_gui import style
from deeplense_gui.models.tally import Tally
from deeplense_gui.session import Session
from deeplense_gui.widgets.plot import Plot
from engine.types import Changes

GATHER_MS = 400
FEW = 6  # bars that have room; fewer are not made wider


class StatisticsDialog(QDialog):
    """Three plots of the graded candidates of the project; it stays open beside the window."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Statistics")
        self.resize(860, 620)
        self._tally = Tally(session)
        self._changes: list[Changes] = []
        self.scores = Plot(session, "Grade against score", "candidates", "score")
        self.hours = Plot(session, "Grades an hour", "grades", "")
        self.kinds = Plot(session, "Kinds", "", "candidates")
        self.legend = self.scores.addLegend(offset=(-8, 2), labelTextColor=style.theme().text)
        grid = QGridLayout(self)
        grid.addWidget(self.scores, 0, 0, 1, 2)
        grid.addWidget(self.hours, 1, 0)
        grid.addWidget(self.kinds, 1, 1)
        self._gather = QTimer(self, singleShot=True, interval=GATHER_MS)
        self._gather.timeout.connect(self._catch_up)
        session.changed.connect(self._note)
        session.blinded.connect(self._begin)  # methods, not lambdas: these end with the dialog
        session.project_opened.connect(self._begin)
        self._begin()

    def _begin(self, *_: object) -> None:
        self._changes.clear()
        self._tally.take()
        self._draw()

    def _note(self, changes: Changes) -> None:
        """Gather changes for a moment: grading waits for no plot."""
        if changes.kinds & {"grades", "subclasses", "scores", "settings"}:
            self._changes.append(changes)
            self._gather.start()

    def _catch_up(self) -> None:
        changes, self._changes = self._changes, []
        for one in changes:
            self._tally.take(one)
        self._draw()

    def _draw(self) -> None:
        self._draw_scores()
        self._draw_hours()
        self._draw_kinds()

    def _draw_scores(self) -> None:
        plot = self.scores
        plot.clear()
        edges, counts = self._tally.by_score()
        below = np.zeros(len(edges) - 1)
        for grade, heights in counts.items():
            colour = style.grade_colour(grade).name()
            plot.bars(colour, name=grade, x0=edges[:-1], x1=edges[1:], y0=below, height=heights)
            below = below + heights
        self.legend.setColumnCount(max(len(counts), 1))
        plot.setXRange(0, 1, padding=0.02)
        plot.setYRange(0, max(below.max(), 1) * 1.25, padding=0)  # room for the legend
        rows = zip(edges[:-1].round(4), edges[1:].round(4), *counts.values(), strict=True)
        plot.table = [("score_from", "score_to", *counts), *rows]

    def _draw_hours(self) -> None:
        plot, hours = self.hours, self._tally.by_hour()
        plot.clear()
        heights = [count for _, count in hours]
        plot.bars(style.theme().accent, x=range(len(hours)), height=heights, width=0.8)
        every = max(1, -(-len(hours) // 3))
        ticks = [(place, f"{hour:%d %b %H h}") for place, (hour, _) in enumerate(hours) if place % every == 0]
        plot.getAxis("bottom").setTicks([ticks])
        shown = max(len(hours), FEW)
        plot.setXRange(-0.5 - 0.12 * shown, shown - 0.4, padding=0)  # a label that sticks out would not be drawn
        plot.setYRange(0, max([*heights, 1]) * 1.05, padding=0)
        plot.table = [("hour", "grades"), *((hour.isoformat(), count) for hour, count in hours)]

    def _draw_kinds(self) -> None:
        plot, kinds = self.kinds, self._tally.by_kind()
        plot.clear()
        colours = {True: style.theme().good, False: style.theme().muted, None: style.theme().border}
        for place, (_, lens, count) in enumerate(kinds):
            plot.bars(colours[lens], x0=0, width=count, y=-place, height=0.8)
        plot.getAxis("left").setTicks([[(-place, name) for place, (name, *_) in enumerate(kinds)]])
        plot.setXRange(0, max([*(count for *_, count in kinds), 1]) * 1.05, padding=0)
        plot.setYRange(-max(len(kinds), FEW) + 0.4, 0.6, padding=0)
        says = {True: "lens", False: "not a lens", None: ""}
        plot.table = [("kind", "says", "candidates"), *((name, says[lens], count) for name, lens, count in kinds)]
