"""What a lens model makes of the selected candidate: data, model, what is left over, the source, and the numbers."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.session import Session
from deeplense_gui.widgets.lens_pictures import make_pictures, numbers
from deeplense_gui.widgets.readout import Elided
from deeplense_gui.widgets.stamp import Field, StampView
from engine.errors import EngineError
from engine.types import Changes, LensFit, Mosaic

CONCEALED = "Blind mode: nothing is fitted before the grade is given."
UNASKED = (
    "No lens was fitted to this candidate yet.\nFit (Shift+M) puts a lens in front of a source and compares it with "
    "the pixels: a few seconds."
)
NO_SCALE = "This mosaic has no pixel scale: a ring has no size on it. Open it with one."
_AUTOMATIC = 0.0  # of the boxes
_NUMBERS = 250  # points, in which the lines of numbers do not wrap


class LensPanel(QWidget):
    """Four pictures and a few lines; what is chosen stays for the next candidate."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._bands: tuple[str, ...] = ()
        self.message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.message.setProperty("role", "muted")
        self.pages = QStackedWidget()
        self.pages.addWidget(self.message)
        self.pages.addWidget(self._make_result())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._make_controls())
        column.addWidget(self.pages, 1)
        for signal in (session.selected, session.blinded, session.project_opened, session.mosaic_opened):
            signal.connect(self.refresh)
        session.lens_fitted.connect(self.refresh)
        session.changed.connect(self._on_changed)
        session.jobs.finished.connect(self.refresh)
        self.refresh()

    def _make_controls(self) -> QHBoxLayout:
        stored = self.session.preferences
        self.title = Elided()
        self.band = QComboBox(objectName="lens-band")
        self.band.setAccessibleName("Band that is fitted")
        self.band.setToolTip("The band that is fitted: arcs are bluer than the galaxies before them")
        self.band.activated.connect(lambda: stored.set("lens/band", self.band.currentText()))
        tip = "Side of the square around the candidate: wide enough for the ring and some sky"
        self.side = self._box("lens-side", "Field that is fitted", 100, "usual", tip)
        tip = "FWHM of the PSF; measured from the stars around the candidate unless typed"
        self.seeing = self._box("lens-seeing", "Seeing", 10, "measured", tip)
        self.fit = QPushButton("Fit", objectName="fit-lens")
        self.fit.setToolTip("Fit a lens to this candidate (Shift+M), from the ring where one was measured (R)")
        self.fit.clicked.connect(self.toggle)
        self.keep = QPushButton("Keep radius", objectName="keep-radius")
        self.keep.setToolTip("Write this Einstein radius to the candidate, as if the ring had been dragged there")
        self.keep.clicked.connect(self._keep)
        row = QHBoxLayout()
        row.setContentsMargins(8, 4, 8, 0)
        row.addWidget(self.title, 1)
        for text, widget in (("&Band", self.band), ("Fie&ld", self.side), ("&Seeing", self.seeing)):
            label = QLabel(text)
            label.setProperty("role", "muted")
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget)
        row.addWidget(self.keep)
        row.addWidget(self.fit)
        return row

    def _box(self, name: str, title: str, most: float, automatic: str, tip: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox(minimum=_AUTOMATIC, maximum=most, decimals=2, singleStep=0.1, suffix="″", objectName=name)
        box.setSpecialValueText(automatic)
        box.setAccessibleName(title)
        box.setToolTip(f"{tip}; 0 for “{automatic}”")
        box.setKeyboardTracking(False)
        box.lineEdit().returnPressed.connect(box.clearFocus)
        return box

    def _make_result(self) -> QWidget:
        self.field, self.source_field = Field(self), Field(self)
        self.views = {name: StampView(self.field) for name in ("data", "model", "residual")}
        self.views["source"] = StampView(self.source_field)
        result = QWidget()
        row = QHBoxLayout(result)
        row.setContentsMargins(8, 0, 8, 6)
        row.setSpacing(6)
        for view in self.views.values():
            view.small = True
            row.addWidget(view, 1)
        self.numbers = QLabel(textFormat=Qt.TextFormat.RichText, wordWrap=True)
        self.numbers.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.numbers.setMinimumWidth(_NUMBERS)
        self.numbers.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.numbers.setAccessibleName("Numbers of the lens model")
        self.notes = QLabel(wordWrap=True)
        self.notes.setProperty("role", "warning")
        self.notes.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        lines = QVBoxLayout()
        lines.setSpacing(4)
        lines.addWidget(self.numbers)
        lines.addWidget(self.notes)
        lines.addStretch(1)
        row.addLayout(lines, 2)
        return result

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The pictures are squares beside each other: no wider than they are high."""
        for view in self.views.values():
            view.setMaximumWidth(max(self.pages.height() - 6, view.minimumWidth()))

    # asking -------------------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Fit a lens, or stop the fit that is under way."""
        if self.session.is_fitting:
            self.session.stop_fitting()
        else:
            self.ask()

    def ask(self) -> None:
        """Fit a lens to the selected candidate, instead of a fit that is under way."""
        if self.session.fit_lens(**self.options()) is not None:
            self.refresh()

    def options(self) -> dict[str, Any]:
        """The band, field and seeing that are chosen, as ``Session.fit_lens`` takes them."""
        side, seeing = (box.value() or None for box in (self.side, self.seeing))
        return {"band": max(self.band.currentIndex(), 0), "side": side, "seeing": seeing}

    def _keep(self) -> None:
        found = self._found()
        if isinstance(found, LensFit):
            self.session.measure(found.einstein_radius)

    # showing ------------------------------------------------------------------------------------------------------

    def _found(self) -> LensFit | EngineError | None:
        candidate = self.session.candidate()
        return None if candidate is None else self.session.lens_fits.get(candidate.id)

    def _on_changed(self, changes: Changes) -> None:
        if self.session.selection in changes.ids and "grades" in changes.kinds:  # a grade may end the concealment
            self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what was made of the selected candidate."""
        session, candidate = self.session, self.session.candidate()
        mosaic = None if candidate is None else session.mosaic_of(candidate)
        concealed = candidate is not None and session.conceals(candidate)
        found, fitting = self._found(), session.is_fitting
        self.title.setText("" if candidate is None or concealed else candidate.name)
        self.fit.setText("Stop" if fitting else "Fit")
        self.fit.setEnabled(fitting or (mosaic is not None and mosaic.pixel_scale is not None and not concealed))
        self.keep.setEnabled(isinstance(found, LensFit) and not concealed and session.can_grade)
        if mosaic is not None:
            self._offer(mosaic)
        if candidate is None:
            self._say("Nothing selected.")
        elif concealed:
            self._say(CONCEALED)
        elif isinstance(found, LensFit):
            self._show(found)
        elif fitting:
            self._say("Fitting a lens…")
        elif found is not None:
            self._say(str(found))
        elif mosaic is None:
            self._say("The mosaic of this candidate is not open.")
        else:
            self._say(NO_SCALE if mosaic.pixel_scale is None else UNASKED)

    def _offer(self, mosaic: Mosaic) -> None:
        """The bands of a mosaic; the one chosen last if it has it, else the first."""
        if mosaic.bands == self._bands:
            return
        self._bands = mosaic.bands
        blocker = QSignalBlocker(self.band)
        self.band.clear()
        self.band.addItems(list(mosaic.bands))
        self.band.setCurrentIndex(max(self.band.findText(str(self.session.preferences.get("lens/band", ""))), 0))
        self.band.setEnabled(len(mosaic.bands) > 1)
        blocker.unblock()

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.pages.setCurrentIndex(0)

    def _show(self, fit: LensFit) -> None:
        self.field.set(fit.side)
        self.source_field.set(fit.source_side)
        for name, picture in make_pictures(fit).items():
            self.views[name].show_picture(picture)
        self.numbers.setText(numbers(fit))
        self.notes.setText("\n".join(f"{note}." for note in fit.notes))
        self.notes.setVisible(bool(fit.notes))
        self.pages.setCurrentIndex(1)
