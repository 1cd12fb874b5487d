"""Plots of what was graded: grade against score, grades an hour, counts of kinds; up to date while one grades."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import QDialog, QFileDialog, QGridLayout, QMenu, QWidget

from deeplense_gui import style
from deeplense_gui.models.tally import Tally
from deeplense_gui.session import Session
from engine.types import Changes

GATHER_MS = 400
FEW = 6  # bars that have room; fewer are not made wider


class Plot(pg.PlotWidget):
    """A plot whose context menu saves it as a picture, or its numbers; ``table`` is those, its head first."""

    def __init__(self, session: Session, title: str, left: str, bottom: str) -> None:
        super().__init__(background=style.theme().panel)
        self._session, self.title = session, title
        self.table: list[Sequence[Any]] = []
        self.setAccessibleName(title)
        self.setToolTip("Right click: save as PNG or CSV")
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.getPlotItem().layout.setContentsMargins(6, 4, 10, 6)
        self.setTitle(title, color=style.theme().text, size="10pt")
        for side, text in (("left", left), ("bottom", bottom)):
            axis = self.getAxis(side)
            axis.setPen(style.theme().border)
            axis.setTextPen(style.theme().muted)
            axis.enableAutoSIPrefix(False)
            self.setLabel(side, text, color=style.theme().muted)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._ask)
        self.menu = QMenu(self)
        self.menu.addAction("Save as PNG…", lambda: self._save("PNG picture (*.png)", ".png"))
        self.menu.addAction("Save numbers as CSV…", lambda: self._save("Table (*.csv)", ".csv"))

    def _ask(self, place: QPoint) -> None:
        self.menu.popup(self.mapToGlobal(place))

    def _save(self, kinds: str, suffix: str) -> None:
        start = Path(self._session.preferences.folder) / f"{self.title.lower().replace(' ', '-')}{suffix}"
        name, _ = QFileDialog.getSaveFileName(self, f"Save “{self.title}”", str(start), kinds)
        if name:
            path = Path(name) if Path(name).suffix else Path(name + suffix)
            try:
                self._write(path)
            except OSError as error:
                self._session.say(f"{path} was not written ({error.strerror}): choose another folder", "error")
            else:
                self._session.say(f"“{self.title}” written to {path}")

    def _write(self, path: Path) -> None:
        if path.suffix.lower() == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(self.table)
        elif not self.grab().save(str(path)):
            raise OSError(0, "the picture cannot be saved there")

    def bars(self, colour: str, *, name: str = "", **places: Any) -> None:
        """Draw bars of a colour; ``places`` are those of pyqtgraph's BarGraphItem."""
        pen = pg.mkPen(style.theme().panel)
        self.addItem(pg.BarGraphItem(brush=colour, pen=pen, name=name or None, **places))


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
