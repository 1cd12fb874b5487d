"""A plot in the colours of the window that can be saved as a picture, or as its numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog, QMenu

from deeplense_gui import style
from deeplense_gui.session import Session


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
