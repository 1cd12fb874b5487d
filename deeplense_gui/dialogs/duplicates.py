"""One object that is several candidates: groups that lie close together, gone through one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtGui import QCloseEvent, QIcon, QKeySequence, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.models.candidates import score_text
from deeplense_gui.session import Session
from deeplense_gui.widgets import pictures
from deeplense_gui.widgets.stamp_reader import StampReader, Wish, read_thumbnail
from deeplense_gui.widgets.stretch_bar import colour_bands
from engine.types import Candidate, Changes

RADIUS = 3.0
STAMP = 96  # points
_FIELD = 12.0  # arcsec of a stamp at the least; in pixels, five times as many
_KEEP_SHAPE, _SMOOTH = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
_WIDER = 4.0  # of the radius: all of a group are seen in each stamp
COLUMNS = ("Name", "Score", "Grade", "Mosaic", "Apart", "Decided")


class DuplicatesDialog(QDialog):
    """Groups to the left, the candidates of one to the right; what is chosen is selected in the window too."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Duplicates")
        self.resize(1000, 520)
        self._session = session
        self.reader = StampReader(self, make=read_thumbnail)
        self.reader.made.connect(self._on_made)
        self._groups: list[tuple[int, ...]] = []
        self._members: list[Candidate] = []
        self._open: list[bool] = []
        self._closed = False
        self._lay_out()
        session.changed.connect(self._on_changed)
        session.project_opened.connect(self._on_project)
        session.blinded.connect(self._on_blinded)
        self._look()

    def _lay_out(self) -> None:
        self.radius = QDoubleSpinBox(decimals=1, minimum=0.1, maximum=60, singleStep=0.5, value=RADIUS, suffix="″")
        self.radius.setAccessibleName("Radius")
        self.radius.setToolTip("Candidates within this distance of each other may be one object")
        self.radius.valueChanged.connect(lambda _: self._look())
        self.count = QLabel()
        self.count.setProperty("role", "muted")
        self.groups = QListWidget(objectName="groups")
        self.groups.setAccessibleName("Groups")
        self.groups.setMinimumWidth(230)
        self.groups.currentRowChanged.connect(lambda _: self._begin_group())
        self.table = QTableWidget(0, len(COLUMNS), objectName="members")
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(STAMP + 8)
        self.table.setIconSize(QSize(STAMP, STAMP))
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemSelectionChanged.connect(self._on_member)
        self.same = self._button("Keep this one", "The others of the group are the same object", self._mark_same)
        self.different = self._button("Not the same", "All of the group are objects of their own", self._mark_different)
        self.undo = self._button("Undo", "Take your last change back (Ctrl+Z)", self._session.undo)
        self.undo.setShortcut(QKeySequence(QKeySequence.StandardKey.Undo))
        close = self._button("Close", "Close; all is kept already", self.close)
        top, middle, bottom = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        top.addWidget(QLabel("Closer than"))
        top.addWidget(self.radius)
        top.addSpacing(10)
        top.addWidget(self.count, 1)
        middle.addWidget(self.groups, 1)
        middle.addWidget(self.table, 3)
        for button in (self.same, self.different, self.undo):
            bottom.addWidget(button)
        bottom.addStretch(1)
        bottom.addWidget(close)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addLayout(middle, 1)
        column.addLayout(bottom)

    def _button(self, text: str, tip: str, verb: object) -> QPushButton:
        button = QPushButton(text, autoDefault=False)
        button.setToolTip(tip)
        button.clicked.connect(verb)
        return button

    def _look(self) -> None:
        self.count.setText("Looking…")
        self._session.find_duplicates(self.radius.value(), self._take_if_open)

    def _on_project(self, _project: object) -> None:
        self.close()

    def _on_blinded(self, on: bool) -> None:
        if on:  # scores would be seen here
            self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Take nothing more that is found or read."""
        self._closed = True
        self.reader.stop()
        super().closeEvent(event)

    def _take_if_open(self, groups: Sequence[tuple[int, ...]]) -> None:
        if not self._closed:
            self._take(groups)

    def _take(self, groups: Sequence[tuple[int, ...]]) -> None:
        """Show the groups that were found, and begin with the first that is open."""
        self._groups = list(groups)
        blocker = QSignalBlocker(self.groups)
        self.groups.clear()
        for rows in self._rows():
            self.groups.addItem(f"{rows[0].name if rows else '?'}  ×{len(rows)}")
        del blocker
        self._mark_groups()
        self._next_open(0)

    def _rows(self) -> list[list[Candidate]]:
        """The candidates of each group, the best first."""
        found = {row.id: row for row in self._session.rows([one for group in self._groups for one in group])}
        return [
            sorted((found[one] for one in group if one in found), key=lambda row: (-np.nan_to_num(row.score), row.id))
            for group in self._groups
        ]

    def _mark_groups(self) -> None:
        """Show which groups are decided: in an open one two candidates and more have nothing said of them."""
        every = [sum(row.same_as is None for row in rows) > 1 for rows in self._rows()]
        for place, is_open in enumerate(every):
            item = self.groups.item(place)
            item.setText(f"{'   ' if is_open else '✓ '}{item.text().removeprefix('✓ ').strip()}")
        total, left = len(every), sum(every)
        none = "No candidates lie so close together."
        self.count.setText(f"{total:,} group{'s' * (total != 1)}, {left:,} of them open" if total else none)
        self._open = every

    def _next_open(self, start: int) -> None:
        around = [*range(start, len(self._open)), *range(start)]
        found = next((place for place in around if self._open[place]), 0 if self._open else -1)
        if found == self.groups.currentRow():
            self._begin_group()
        self.groups.setCurrentRow(found)
        self._enable()

    def _begin_group(self) -> None:
        """Show a group, its best candidate chosen."""
        self._show_group(0)
        self._on_member()

    def _show_group(self, chosen: int) -> None:
        place = self.groups.currentRow()
        self._members = self._rows()[place] if 0 <= place < len(self._groups) else []
        names = {row.id: row.name for row in self._members}
        mosaics = {entry.id: entry.name for entry in self._session.project.mosaics()}
        blocker = QSignalBlocker(self.table)
        self.table.setRowCount(len(self._members))
        for line, row in enumerate(self._members):
            decided = "" if row.same_as is None else "an object of its own"
            if row.same_as not in (None, row.id):
                decided = f"same as {names.get(row.same_as, f'candidate {row.same_as}')}"
            apart = "" if line == 0 else f"{_separation(self._members[0], row):.2f}″"
            texts = (row.name, score_text(row.score), row.grade or "", mosaics.get(row.mosaic, ""), apart, decided)
            for column, text in enumerate(texts):
                self.table.setItem(line, column, QTableWidgetItem(text))
            self._show_stamp(line)
        if self._members:
            self.table.selectRow(min(chosen, len(self._members) - 1))
        del blocker
        self.reader.want([wish for wish in map(self._wish, self._members) if wish is not None])
        self._enable()

    def _wish(self, row: Candidate) -> Wish | None:
        """The stamp of a candidate, alike in scale for all of a group; None where its mosaic is not open."""
        mosaic = self._session.mosaic_of(row)
        if mosaic is None:
            return None
        field = max(_FIELD, _WIDER * self.radius.value()) * (1 if mosaic.pixel_scale else 5)
        title = pictures.titles(mosaic.bands, colour_bands(mosaic.bands))[0]
        survey = self._session.mosaics.get(row.mosaic)
        return Wish(mosaic, row.x, row.y, self._session.stamp_side(mosaic) or field, view=title, survey=survey)

    def _show_stamp(self, line: int) -> None:
        wish = self._wish(self._members[line])
        image = None if wish is None else self.reader.pictures(wish.key)
        picture = QPixmap(STAMP, STAMP)
        picture.fill(self.palette().base().color())  # names do not move when the stamp comes
        if image is not None:
            sharp = QSize(STAMP, STAMP) * self.devicePixelRatioF()
            picture = QPixmap.fromImage(image.scaled(sharp, _KEEP_SHAPE, _SMOOTH))
        icon = QIcon(picture)
        icon.addPixmap(picture, QIcon.Mode.Selected)  # else tinted
        self.table.item(line, 0).setIcon(icon)

    def _on_made(self, _key: object) -> None:
        for line in range(len(self._members)):
            self._show_stamp(line)

    def _on_member(self) -> None:
        row = self.table.currentRow()
        if 0 <= row < len(self._members):
            self._session.select(self._members[row].id)

    def _mark_same(self) -> None:
        kept = self._members[self.table.currentRow()].id
        self._session.mark_same([row.id for row in self._members if row.id != kept], kept)
        self._next_open(self.groups.currentRow())

    def _mark_different(self) -> None:
        self._session.mark_different([row.id for row in self._members])
        self._next_open(self.groups.currentRow())

    def _on_changed(self, changes: Changes) -> None:
        if changes.kinds & {"duplicates", "grades", "scores"} and self._groups:
            self._mark_groups()
            self._show_group(max(self.table.currentRow(), 0))
        self._enable()

    def _enable(self) -> None:
        able = bool(self._members) and not self._session.read_only
        self.same.setEnabled(able)
        self.different.setEnabled(able)
        text = self._session.history()[0]
        self.undo.setEnabled(bool(text))
        self.undo.setToolTip(f"Undo: {text} (Ctrl+Z)" if text else "Nothing to undo")


def _separation(first: Candidate, second: Candidate) -> float:
    """Arcsec between two candidates that lie close together."""
    east = ((first.ra - second.ra + 180) % 360 - 180) * np.cos(np.radians(first.dec))
    return float(np.hypot(east, first.dec - second.dec) * 3600)
