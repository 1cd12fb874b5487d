"""The candidate list: filters above, a table that keeps selection and place while a scan streams in."""

from __future__ import annotations

from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.models.candidates import COLUMNS, GRADE, SCORE, CandidateTable
from deeplense_gui.models.delegates import GradeDelegate, ScoreDelegate
from deeplense_gui.session import Session
from deeplense_gui.widgets.filter_bar import FilterBar
from engine.types import Changes, Mosaic

REFRESH_MS = 170  # each panel waits otherwise, so that they do not all look anew in one frame
_ROWS = QItemSelectionModel.SelectionFlag.Rows
_ONLY = QItemSelectionModel.SelectionFlag.ClearAndSelect | _ROWS
_TOO = QItemSelectionModel.SelectionFlag.Select | _ROWS


class Table(QTableView):
    """The table; the current row is the selected candidate, other selected rows are marked with it."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave letters to the grades: the table has no search by typing."""
        if event.text().isalnum() and not event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier:
            event.ignore()
        else:
            super().keyPressEvent(event)


class CandidatesPanel(QWidget):
    """Filters and table over ``session.ids()``."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.filters = FilterBar(session)
        self.model = CandidateTable(session, self)
        self.table = self._make_table()
        self.empty = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.empty.setProperty("role", "muted")
        self.setFocusProxy(self.table)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.filters)
        column.addWidget(self.empty, 1)
        column.addWidget(self.table, 1)
        self._later = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._later.timeout.connect(self._refresh)
        self._syncing = False
        session.changed.connect(self._on_changed)
        session.filtered.connect(self._refresh)
        session.selected.connect(self._show_selection)
        session.marks_changed.connect(lambda: self._show_selection(session.selection, scroll=False))
        session.project_opened.connect(lambda _: self._refresh())
        session.mosaic_opened.connect(self._show_columns)
        session.scanning.connect(lambda _: self._show_empty())
        self._refresh()

    def _make_table(self) -> Table:
        table = Table(objectName="candidates")
        table.setModel(self.model)
        table.setAccessibleName("Candidates")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(25)
        table.setItemDelegateForColumn(SCORE, ScoreDelegate(table))
        table.setItemDelegateForColumn(GRADE, GradeDelegate(table))
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setStretchLastSection(True)
        for index, column in enumerate(COLUMNS):
            table.setColumnWidth(index, column.width)
        header.sectionClicked.connect(self._sort_by)
        table.selectionModel().selectionChanged.connect(lambda *_: self._on_selection())
        return table

    def focus_filter(self) -> None:
        """Put the cursor into the text filter."""
        self.filters.text.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filters.text.selectAll()

    def _sort_by(self, section: int) -> None:
        """Sort by a column: numbers fall first, texts rise first; a second click turns it round."""
        column, filters = COLUMNS[section], self._session.filters
        if column.order:
            same = column.order == filters.order
            descending = (
                not filters.descending if same else column.number and column.order not in ("ra", "dec", "x", "y")
            )
            self._session.set_filters(order=column.order, descending=descending)
        self._show_order()

    def _show_order(self) -> None:
        filters = self._session.filters
        section = next((i for i, column in enumerate(COLUMNS) if column.order == filters.order), -1)
        order = Qt.SortOrder.DescendingOrder if filters.descending else Qt.SortOrder.AscendingOrder
        self.table.horizontalHeader().setSortIndicator(section, order)

    def _on_changed(self, changes: Changes) -> None:
        """Repaint what was graded at once; take new candidates a few times a second."""
        if "candidates" in changes.kinds or not self.model.reread(changes.ids):
            if not self._later.isActive():
                self._later.start()
        else:
            self.filters.show_state()

    def _refresh(self) -> None:
        """Show the list anew; what was looked at stays where it was on the screen."""
        self._later.stop()
        anchor, offset = self._anchor()
        new = self.model.row_of(self._session.selection) is None  # selected before the list knew it
        self._syncing = True
        self.model.refresh()
        self._syncing = False
        row = self.model.row_of(anchor)
        if row is not None:
            self.table.doItemsLayout()  # now, not later: the bar must know how long the list has become
            bar = self.table.verticalScrollBar()
            bar.setValue(self.table.rowViewportPosition(row) + bar.value() - offset)
        self._show_selection(self._session.selection, scroll=new)
        self._show_order()
        self._show_empty()
        self.filters.show_state()

    def _anchor(self) -> tuple[int | None, int]:
        """The candidate whose place on the screen is kept: the selected one if it is seen, else the uppermost."""
        height = self.table.viewport().height()
        row = self.model.row_of(self._session.selection)
        if row is not None and -10 < self.table.rowViewportPosition(row) < height - 10:
            return self.model.id_at(row), self.table.rowViewportPosition(row)
        if self.table.verticalScrollBar().value() == 0:
            return None, 0
        row = self.table.rowAt(0)
        return self.model.id_at(row), self.table.rowViewportPosition(row)

    def _show_selection(self, candidate_id: int | None, *, scroll: bool = True) -> None:
        row = self.model.row_of(candidate_id)
        model = self.table.selectionModel()
        self._syncing = True
        if row is None:
            model.clear()
        elif row != self.table.currentIndex().row() or self._marked() != self._session.marked:
            across = self.table.horizontalScrollBar().value()
            self.table.setAutoScroll(False)
            model.setCurrentIndex(self.model.index(row, SCORE), _ONLY)
            for first, last in self.model.runs_of(self._session.marked):
                model.select(QItemSelection(self.model.index(first, 0), self.model.index(last, 0)), _TOO)
            self.table.setAutoScroll(True)
            if scroll:
                self.table.scrollTo(self.model.index(row, SCORE))
            self.table.horizontalScrollBar().setValue(across)
        self._syncing = False

    def _marked(self) -> frozenset[int]:
        """The candidates of the selected rows."""
        ranges = self.table.selectionModel().selection()
        return frozenset(i for part in ranges for i in self.model.ids_between(part.top(), part.bottom()))

    def _on_selection(self) -> None:
        current = self.table.currentIndex()
        if not self._syncing and current.isValid():
            marked, identity = self._marked(), self.model.id_at(current.row())
            if marked and identity not in marked:
                identity = next(iter(marked))
            self._session.select(identity, marked=marked)

    def _show_columns(self, mosaic: Mosaic | None) -> None:
        """Hide the position on the sky where the mosaic has none."""
        for section, column in enumerate(COLUMNS):
            if column.order in ("ra", "dec"):
                self.table.setColumnHidden(section, mosaic is not None and mosaic.wcs is None)
        self._show_empty()

    def _show_empty(self) -> None:
        """Where the list is empty, say why and what to do."""
        session = self._session
        empty = self.model.rowCount() == 0
        self.empty.setVisible(empty)
        self.table.setVisible(not empty)
        if session.scan_job is not None:
            text = "Scanning: the first candidates appear here, best first."
        elif session.project is not None and sum(session.counts().values()):
            text = "No candidate passes these filters."
        elif session.mosaic is not None:
            text = "No candidates yet. Press F5 to scan the mosaic."
        else:
            text = "Open a mosaic to begin."
        self.empty.setText(text)
