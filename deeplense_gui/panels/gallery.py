"""The candidates of the list as stamps, hundreds at a time; the same selection as the table, and the same keys."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtGui import QImage, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.models.candidates import score_text, signs, tip
from deeplense_gui.models.pages import CandidatePages
from deeplense_gui.session import Session
from deeplense_gui.widgets import pictures
from deeplense_gui.widgets.field_box import FieldBox
from deeplense_gui.widgets.filter_bar import FilterBar
from deeplense_gui.widgets.gallery_view import LARGEST, SMALLEST, Caption, GalleryView
from deeplense_gui.widgets.stamp_reader import StampReader, Wish, read_thumbnail
from deeplense_gui.widgets.stretch_bar import colour_bands
from engine.types import Candidate, Changes, Mosaic

_KEPT = 3000  # thumbnails; each takes up to 64 KiB
_FRAME_MS = 16  # stamps that are made within a frame are painted together
_AHEAD_MS = 50  # those in view are painted before others are read: both want the same processor
_REFRESH_MS = 250  # each panel waits otherwise, so that they do not all look anew in one frame
_FIELD = 10.0  # arcsec; in pixels, five times as many
_ARROW, _HAND = Qt.CursorShape.ArrowCursor, Qt.CursorShape.PointingHandCursor
GROUPS = (("No groups", ""), ("By grade", "grade"), ("By score", "score"))


class GalleryPanel(QWidget):
    """Stamps of ``session.ids()``; those in view are read first, the page below them next."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._pages = CandidatePages(session)
        self._wanted: dict[object, int] = {}
        self._made: set[int] = set()
        self.reader = StampReader(self, make=read_thumbnail, kept=_KEPT)
        self.view = GalleryView(self._caption, self._picture, self._tip)
        self.filters = FilterBar(session)
        self.empty = QLabel(
            "No candidate to show. Scan a mosaic, or widen the filter.",
            alignment=Qt.AlignmentFlag.AlignCenter,
            wordWrap=True,
        )
        self.empty.setProperty("role", "muted")
        self._later = QTimer(self, singleShot=True, interval=_REFRESH_MS)
        self._later.timeout.connect(self._refresh)
        self._reading = QTimer(self, singleShot=True, interval=0)
        self._reading.timeout.connect(self._want)
        self._painting = QTimer(self, singleShot=True, interval=_FRAME_MS)
        self._painting.timeout.connect(self._paint_made)
        self._ahead = QTimer(self, singleShot=True, interval=_AHEAD_MS)
        self._ahead.timeout.connect(lambda: self._ask(self.view.around_view()))
        self._looking_ahead = False
        self._lay_out()
        self._offer_grades()
        self._restore()
        self._listen()
        self._refresh()

    def _lay_out(self) -> None:
        self.setFocusProxy(self.view)
        self.controls = self._make_controls()
        self.bars = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self.bars.setSpacing(0)
        self.bars.addWidget(self.filters)
        self.bars.addWidget(self.controls)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self.bars)
        column.addWidget(self.pages, 1)

    def _make_controls(self) -> QFrame:
        frame = QFrame()
        row = QHBoxLayout(frame)
        row.setContentsMargins(6, 0, 6, 4)
        row.setSpacing(6)
        self.size = QSlider(Qt.Orientation.Horizontal, minimum=SMALLEST, maximum=LARGEST, objectName="gallery-size")
        self.size.setMinimumWidth(60)
        self.size.setMaximumWidth(160)
        self.size.setPageStep(16)
        self.size.setToolTip("Size of the stamps (Ctrl and the wheel)")
        self.field = FieldBox("Side of the field that each stamp shows", name="gallery-field")
        self.look = QComboBox(objectName="gallery-view")
        self.look.setToolTip("How the stamps are stretched, or which band they show")
        self.group = QComboBox(objectName="gallery-group")
        self.group.setToolTip("Put the list together by grade or by score; what is in a group stays sorted")
        for text, name in GROUPS:
            self.group.addItem(text, name)
        self.click = QComboBox(objectName="gallery-click")
        self.click.setToolTip(
            "What a click on a stamp does. Where it grades, Shift and a click grade all from the last one on, "
            "and a click on what has that grade takes it back"
        )
        for text, widget, share in (("Si&ze", self.size, 1), ("Fie&ld", self.field, 0), ("&View", self.look, 0)):
            widget.setAccessibleName(text.replace("&", ""))
            label = QLabel(text)
            label.setProperty("role", "muted")
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget, share)
        for name, widget in (("Groups", self.group), ("Click", self.click)):
            widget.setAccessibleName(name)
            row.addWidget(widget)
        row.addStretch(1)
        return frame

    def _restore(self) -> None:
        """Take what was chosen last time."""
        stored = self._session.preferences
        self.view.set_side(int(float(stored.get("gallery/size", 112))))
        self.size.setValue(self.view.side)
        self._show_mosaic(self._session.mosaic)

    def _listen(self) -> None:
        session = self._session
        session.changed.connect(self._on_changed)
        session.filtered.connect(self._refresh)
        session.project_opened.connect(lambda _: self._refresh())
        session.mosaic_opened.connect(self._show_mosaic)
        session.selected.connect(lambda _: self._show_selection())
        session.marks_changed.connect(lambda: self._show_selection(scroll=False))
        self.reader.made.connect(self._on_made)
        self.reader.rested.connect(self._on_rested)
        self.destroyed.connect(self.reader.stop)
        self.view.picked.connect(lambda identity, marked: session.select(identity, marked=marked))
        self.view.clicked.connect(self._on_clicked)
        self.click.currentIndexChanged.connect(self._show_click)
        session.scheme_changed.connect(self._offer_grades)
        session.project_opened.connect(self._offer_grades)
        self.view.view_changed.connect(self._reading.start)
        self.view.resized.connect(self.size.setValue)
        self.size.valueChanged.connect(self._on_size)
        self.field.valueChanged.connect(self._on_field)
        self.look.currentTextChanged.connect(self._on_look)
        self.group.currentIndexChanged.connect(lambda _: session.set_filters(group=self.group.currentData()))

    def stop(self) -> None:
        """Read nothing more: the window closes."""
        self.reader.stop()
        self.reader.join()

    # the list -----------------------------------------------------------------------------------------------------

    def _on_changed(self, changes: Changes) -> None:
        """Repaint what was graded at once; take new candidates a few times a second."""
        rows = None if "candidates" in changes.kinds else self._pages.reread(changes.ids)
        if rows is not None:
            self.filters.show_state()
            for row in rows:
                self.view.update_row(row)
        elif not self._later.isActive():
            self._later.start()

    def _refresh(self) -> None:
        self._later.stop()
        self._pages.refresh()
        self.view.set_ids(self._pages.ids, self._session.sections())
        self._show_selection(scroll=False)
        self.pages.setCurrentIndex(1 if len(self._pages.ids) else 0)
        self.filters.show_state()
        blocker = QSignalBlocker(self.group)
        self.group.setCurrentIndex(max(self.group.findData(self._session.filters.group), 0))
        self.group.model().item(self.group.findData("score")).setEnabled(not self._session.blind)
        blocker.unblock()

    def _show_selection(self, *, scroll: bool = True) -> None:
        self.view.show_selection(self._session.selection, self._session.marked, scroll=scroll)

    def _caption(self, row: int) -> Caption:
        candidate = self._pages.candidate(row)
        if candidate is None:
            return Caption()
        marks = " ".join(part for part in (signs(candidate), "✎" if candidate.note else "") if part)
        if self._session.conceals(candidate):
            return Caption(None, "", marks)
        return Caption(candidate.grade, candidate.subclass or score_text(candidate.score), marks)

    def _tip(self, row: int) -> str:
        candidate = self._pages.candidate(row)
        if candidate is None:
            return ""
        return "Grade it to see what is known of it" if self._session.conceals(candidate) else tip(candidate)

    # stamps -------------------------------------------------------------------------------------------------------

    def _wish(self, candidate: Candidate) -> Wish | None:
        mosaic = self._session.mosaic_of(candidate)
        if mosaic is None:
            return None
        survey = self._session.mosaics.get(candidate.mosaic)
        return Wish(mosaic, candidate.x, candidate.y, self.field.value(), view=self.look.currentText(), survey=survey)

    def _picture(self, row: int) -> QImage | None:
        candidate = self._pages.candidate(row)
        wish = None if candidate is None else self._wish(candidate)
        return None if wish is None else self.reader.pictures(wish.key)

    def _want(self) -> None:
        """Ask for the stamps in view, then for those around."""
        self._looking_ahead = True
        if not self._ask(self.view.in_view()):
            self._on_rested()

    def _ask(self, rows: Iterable[int]) -> bool:
        """Ask for the stamps of rows; False where there is nothing to read."""
        if not self.isVisible():
            return False
        self._wanted = {}
        wishes = []
        for row in rows:
            candidate = self._pages.candidate(row)
            wish = None if candidate is None else self._wish(candidate)
            if wish is not None:
                self._wanted[wish.key] = row
                wishes.append(wish)
        return self.reader.want(wishes)

    def _on_rested(self) -> None:
        """Those in view are there: paint them, then read those around."""
        self._paint_made()
        if self._looking_ahead:
            self._looking_ahead = False
            self._ahead.start()

    def _on_made(self, key: object) -> None:
        row = self._wanted.get(key)
        if row is not None:
            self._made.add(row)
            if not self._painting.isActive():
                self._painting.start()

    def _paint_made(self) -> None:
        self._painting.stop()
        rows, self._made = self._made, set()
        for row in rows:
            if row < len(self._pages.ids):
                self.view.update_row(row)

    def showEvent(self, event: object) -> None:
        """Read only while somebody looks."""
        self._reading.start()

    # grading by clicks --------------------------------------------------------------------------------------------

    def _offer_grades(self, _project: object = None) -> None:
        """One choice a grade of the scheme; a click selects again where the grade is gone."""
        chosen = self.click.currentData()
        blocker = QSignalBlocker(self.click)
        self.click.clear()
        self.click.addItem("Click selects", None)
        for name in self._session.grade_names():
            self.click.addItem(f"Click gives {name}", name)
        self.click.setCurrentIndex(max(self.click.findData(chosen), 0))
        del blocker
        self._show_click()

    def _show_click(self) -> None:
        grades = self.click.currentData() is not None
        self.view.viewport().setCursor(_HAND if grades else _ARROW)  # a click is more than a look

    def _on_clicked(self) -> None:
        """Give the chosen grade to what was clicked; where all of it has that grade, take it back."""
        grade, session = self.click.currentData(), self._session
        if grade is not None:
            given = {row.grade for row in session.rows(sorted(session.marked))}
            session.grade(None if given == {grade} else grade, stay=True)

    # controls -----------------------------------------------------------------------------------------------------

    def _on_size(self, side: int) -> None:
        self.view.set_side(side)
        self._session.preferences.set("gallery/size", side)

    def _on_field(self, side: float) -> None:
        mosaic = self._session.mosaic
        if mosaic is not None and self._session.stamp_side(mosaic) is None:
            self._session.preferences.set(self._field_key(), side)
        self.view.viewport().update()
        self._reading.start()

    def _on_look(self, title: str) -> None:
        self._session.preferences.set("gallery/view", title)
        self.view.viewport().update()
        self._reading.start()

    def _field_key(self) -> str:
        return "gallery/field" if self.field.suffix() == "″" else "gallery/field_in_pixels"

    def _show_mosaic(self, mosaic: Mosaic | None) -> None:
        """Offer the views that this mosaic has; the unit is that of its pixel scale."""
        if mosaic is None:
            return
        scaled = mosaic.pixel_scale is not None
        blockers = [QSignalBlocker(self.field), QSignalBlocker(self.look)]
        self.field.setSuffix("″" if scaled else " px")
        side = float(self._session.preferences.get(self._field_key(), _FIELD if scaled else 5 * _FIELD))
        self.field.setValue(self._session.stamp_side(mosaic) or side)
        self.look.clear()
        self.look.addItems(pictures.titles(mosaic.bands, colour_bands(mosaic.bands)))
        self.look.setCurrentIndex(max(self.look.findText(str(self._session.preferences.get("gallery/view", ""))), 0))
        del blockers
        self.view.viewport().update()
        self._reading.start()

    def minimumSizeHint(self) -> QSize:
        """As narrow as the wider of the two bars, also while both are in one line: else the window stays that wide."""
        width = max(bar.minimumSizeHint().width() for bar in (self.filters, self.controls))
        return QSize(width, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Both bars in one line where there is room."""
        wide = self.filters.sizeHint().width() + self.controls.sizeHint().width() + 40 < self.width()
        self.bars.setDirection(QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom)
