"""The selected candidate: what is known of it, its stamp in all views, and why the network scored it so."""

from __future__ import annotations

from collections import OrderedDict

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.session import Session
from deeplense_gui.widgets.facts import Facts
from deeplense_gui.widgets.field_box import FieldBox
from deeplense_gui.widgets.pictures import residual_picture, survey_picture
from deeplense_gui.widgets.saliency_bar import SaliencyBar
from deeplense_gui.widgets.stamp import Field, Picture, Ring
from deeplense_gui.widgets.stamp_reader import StampReader, Wish, side_to_read
from deeplense_gui.widgets.view_grid import ViewGrid
from engine.types import Candidate, Changes, Mosaic

_SIDE = 12.0
_KEPT = 64  # candidates whose residual is remembered
_NOTICED = 0.04  # seconds: what is read in less does not flash
_LIFT_REACH = 30.0  # how far the faint slider lifts


class InspectorPanel(QWidget):
    """Shows ``session.candidate()``; field of view, view, opacity and brightness stay for the next one."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.candidate: Candidate | None = None
        self.field, self.ring = Field(self), Ring(self)
        self.reader = StampReader(self)
        self._residuals: OrderedDict[int, Picture | None] = OrderedDict()
        self._unit = self._place = ""
        self._ahead = QTimer(self, singleShot=True, interval=0)
        self._ahead.timeout.connect(self._prepare_next)
        self._lay_out()
        self._restore()
        self._listen()
        self._show_selected(session.selection)

    # building -----------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.facts = Facts()
        self.grid = ViewGrid(self.field, self.ring)
        self.saliency = SaliencyBar(self.session.saliency_methods(), self.grid.large)
        self.message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.message.setProperty("role", "muted")
        self.find = QPushButton("Open the mosaic…", objectName="find-mosaic")
        self.find.setToolTip("Open the mosaic of this candidate again, or say where its file is now")
        self.find.clicked.connect(self.session.find_mosaic)
        absent = QWidget()
        column = QVBoxLayout(absent)
        column.addStretch(1)
        column.addWidget(self.message)
        column.addWidget(self.find, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        present = QWidget()
        column = QVBoxLayout(present)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        beside = QHBoxLayout()
        beside.setContentsMargins(10, 2, 10, 2)
        beside.addWidget(self.grid)
        column.addLayout(beside, 1)
        column.addLayout(self._make_controls())
        column.addWidget(self.saliency)
        self.pages = QStackedWidget()
        self.pages.addWidget(absent)
        self.pages.addWidget(present)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.facts)
        layout.addWidget(self.pages, 1)

    def _make_controls(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(10, 4, 10, 0)
        row.setSpacing(6)
        tip = "Side of the field that all views show (] closer, [ farther, or the wheel)"
        self.side = FieldBox(tip, name="field-of-view")
        self.side.setAccessibleName("Field of view")
        self.lift = QSlider(Qt.Orientation.Horizontal, objectName="lift")
        self.lift.setRange(0, 100)
        self.lift.setMinimumWidth(60)
        self.lift.setAccessibleName("Faint light of the stamps")
        self.lift.setToolTip("Lift the faint light in all views: arcs, counter-images, outskirts")
        self.ring_button = QToolButton(icon=style.icon("ring"), text="Ring", checkable=True, objectName="ring")
        self.ring_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.ring_button.setToolTip("A ring to measure the Einstein radius: drag it to the arcs (R)")
        self.ring_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for text, widget, share in (("Fie&ld", self.side, 0), ("Fain&t", self.lift, 1)):
            label = QLabel(text)
            label.setProperty("role", "muted")
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget, share)
            row.addSpacing(4)
        row.addWidget(self.ring_button)
        return row

    def _restore(self) -> None:
        """Take what was chosen last time."""
        stored = self.session.preferences
        self.grid.choose(str(stored.get("inspector/view", "")))
        self.lift.setValue(int(float(stored.get("inspector/lift", 0))))
        self.saliency.opacity.setValue(int(float(stored.get("inspector/opacity", 55))))
        self.saliency.choose_method(str(stored.get("inspector/method", "")))
        self.grid.large.set_overlays(self.session.overlays)

    def _listen(self) -> None:
        session = self.session
        session.selected.connect(self._show_selected)
        session.changed.connect(self._on_changed)
        session.mosaic_opened.connect(lambda _: self._show_selected(session.selection))
        session.project_opened.connect(self._forget)
        session.explaining.connect(self._on_explaining)
        session.explained.connect(self.saliency.take)
        session.residual_made.connect(self._on_residual)
        session.online.pictured.connect(self._on_pictured)
        session.jobs.finished.connect(lambda *_: self._show_busy())
        session.overlays_toggled.connect(self._show_overlays)
        self.reader.made.connect(self._on_made)
        self.reader.failed.connect(self._on_failed)
        self.destroyed.connect(self.reader.stop)
        self.field.changed.connect(self._on_field)
        self.side.valueChanged.connect(lambda side: self.field.set(side, self.field.x, self.field.y))
        self.lift.valueChanged.connect(self._on_lift)
        self.grid.chosen.connect(lambda title: session.preferences.set("inspector/view", title))
        self.ring_button.toggled.connect(self.ring.set_shown)
        self.ring.changed.connect(lambda: self.ring_button.setChecked(self.ring.shown))
        self.ring.dropped.connect(self._on_ring)
        session.blinded.connect(lambda _: self._show_selected(session.selection))
        self.saliency.asked.connect(session.explain)
        self.saliency.opacity_changed.connect(lambda percent: session.preferences.set("inspector/opacity", percent))

    def stop(self) -> None:
        """Read nothing more: the window closes."""
        self.reader.stop()
        self.reader.join()

    # the candidate ------------------------------------------------------------------------------------------------

    def _mosaic(self) -> Mosaic | None:
        return None if self.candidate is None else self.session.mosaic_of(self.candidate)

    def _show_selected(self, _identity: int | None) -> None:
        self.candidate = self.session.candidate()
        candidate, mosaic = self.candidate, self._mosaic()
        self.facts.setVisible(candidate is not None)
        self.find.setVisible(candidate is not None)
        self.pages.setCurrentIndex(0 if mosaic is None else 1)
        if candidate is None:
            self.message.setText("Nothing selected.\nClick a circle on the mosaic or a row of the list.")
            return
        self._show_facts(candidate)
        if mosaic is None:
            self.message.setText("The mosaic of this candidate is not open. Its grade and score are kept.")
            return
        self._use_unit(mosaic)
        self.field.set(self.field.side)
        self._show_stamp(mosaic, candidate)
        self.grid.large.repaint()  # now: the lists and the mosaic follow
        if candidate.id not in self._residuals:
            self.session.ask_residual(candidate)
        concealed = self.session.conceals(candidate)
        self.saliency.setEnabled(not concealed)
        self.saliency.show_candidate(None if concealed else candidate.id, in_pixels=mosaic.pixel_scale is None)
        self._show_measure(candidate)
        self._show_busy()

    def _show_facts(self, candidate: Candidate) -> None:
        """What is known, unless it could sway the grade."""
        session = self.session
        if session.conceals(candidate):
            self.facts.conceal(session.blind_name(candidate))
            self.facts.show_known([])
            return
        self.facts.show_known(
            [
                f"{one.name} ({one.reference}{', ' + one.grading if one.grading else ''}), {one.separation:.1f}″ away"
                for one in session.matches(candidate)
            ]
        )
        said = [(one.grader, one.grade) for one in session.opinions(candidate) if one.grade]
        self.facts.show_candidate(candidate, [one for one in said if one[0] != candidate.grader])

    def _show_measure(self, candidate: Candidate) -> None:
        """Put the ring where it was measured."""
        if candidate.einstein_radius is not None:
            self.ring.set_radius(candidate.einstein_radius)

    def _forget(self, _project: object) -> None:
        """Another project numbers its candidates anew."""
        self._residuals.clear()
        self.saliency.forget()
        self._show_selected(self.session.selection)

    def _on_changed(self, changes: Changes) -> None:
        if self.candidate is not None and (self.candidate.id in changes.ids or "known" in changes.kinds):
            self.candidate = self.session.candidate()
            if self.candidate is not None:
                self._show_facts(self.candidate)
                if "grades" in changes.kinds:
                    self.saliency.setEnabled(not self.session.conceals(self.candidate))

    def _use_unit(self, mosaic: Mosaic) -> None:
        """Fields of view are remembered in arcsec and in pixels; those of stamps begin with the whole stamp."""
        unit, whole = "″" if mosaic.pixel_scale is not None else " px", self.session.stamp_side(mosaic)
        place = unit if whole is None else mosaic.id
        if place == self._place:
            return
        self._place, self._unit = place, unit
        self.side.setSuffix(unit)
        self.ring.set_radius(1.5 if unit == "″" else 7.5)
        side = float(self.session.preferences.get(self._side_key(), _SIDE if unit == "″" else 60.0))
        self.field.set(side if whole is None else whole)
        self._show_side()

    def _side_key(self) -> str:
        return "inspector/side" if self._unit == "″" else "inspector/side_in_pixels"

    # the stamp ----------------------------------------------------------------------------------------------------

    def _wish(self, mosaic: Mosaic, candidate: Candidate) -> Wish:
        lift = round(_LIFT_REACH ** (self.lift.value() / 100), 3)
        survey = self.session.mosaics.get(candidate.mosaic)
        return Wish(mosaic, candidate.x, candidate.y, side_to_read(self.field.side), lift, survey=survey)

    def _show_stamp(self, mosaic: Mosaic, candidate: Candidate) -> None:
        """Show the pictures if they are made, else ask for them; then for the next candidate's."""
        wish = self._wish(mosaic, candidate)
        made = self.reader.pictures(wish.key)
        if made is None:
            made = self.reader.wait(wish, _NOTICED)
        if made is None:
            self.grid.say("Reading…")
            return
        self.grid.show_pictures([*made, *self._others(candidate)])
        self._ahead.start()

    def _others(self, candidate: Candidate) -> list[Picture]:
        """Views that are not made of the stamp's own pixels alone, as far as they are there."""
        residual, survey = self._residuals.get(candidate.id), self.session.online.pictures.get(candidate.id)
        shown = [] if residual is None else [residual]
        if survey is not None and self._unit == "″" and not self.session.conceals(candidate):
            shown.append(survey_picture(survey.title, survey.service, survey.pixels, survey.side))
        return shown

    def _on_pictured(self, identity: int) -> None:
        """Show a survey's picture large: it was asked for."""
        mosaic, candidate = self._mosaic(), self.candidate
        if mosaic is not None and candidate is not None and candidate.id == identity:
            self._show_stamp(mosaic, candidate)
            self.grid.choose(self.session.online.pictures[identity].title)

    def _on_made(self, key: object) -> None:
        mosaic, candidate = self._mosaic(), self.candidate
        if mosaic is not None and candidate is not None and key == self._wish(mosaic, candidate).key:
            self._show_stamp(mosaic, candidate)

    def _on_failed(self, key: object, text: str) -> None:
        mosaic, candidate = self._mosaic(), self.candidate
        if mosaic is not None and candidate is not None and key == self._wish(mosaic, candidate).key:
            self.grid.say(f"{mosaic.name} cannot be read here: {text}")

    def _prepare_next(self) -> None:
        """Make the stamps that grading, or going back, brings next."""
        near = [(one, self.session.mosaic_of(one)) for one in self.session.neighbours()]
        self.reader.want([self._wish(mosaic, one) for one, mosaic in near if mosaic is not None])
        if near and near[0][0].id not in self._residuals:
            self.session.ask_residual(near[0][0], ahead=True)

    def _on_residual(self, identity: int, residual: object) -> None:
        values, side = getattr(residual, "values", None), getattr(residual, "side", 0.0)
        if identity in self._residuals:  # asked ahead, and again when it was selected
            return
        picture = None if values is None else residual_picture(values, side, self._unit)
        self._residuals[identity] = picture
        while len(self._residuals) > _KEPT:
            self._residuals.popitem(last=False)
        mosaic, candidate = self._mosaic(), self.candidate
        if candidate is not None and candidate.id == identity and mosaic is not None:
            self._show_stamp(mosaic, candidate)

    def _on_field(self) -> None:
        self._show_side()
        if self._place == self._unit:
            self.session.preferences.set(self._side_key(), self.field.side)
        mosaic, candidate = self._mosaic(), self.candidate
        if mosaic is not None and candidate is not None:
            wish = self._wish(mosaic, candidate)
            if self.reader.pictures(wish.key) is None:  # the old pixels stay until the wider ones are there
                self.reader.want([wish])
            else:
                self._show_stamp(mosaic, candidate)

    def _show_side(self) -> None:
        blocker = QSignalBlocker(self.side)
        self.side.setValue(self.field.side)
        blocker.unblock()

    def _on_lift(self, value: int) -> None:
        self.session.preferences.set("inspector/lift", value)
        self._on_field()

    def _on_ring(self) -> None:
        """Keep what the ring was dragged to; without a pixel scale there is no radius in arcsec to keep."""
        if self._unit == "″":
            self.session.measure(self.ring.radius)

    def next_view(self, by: int = 1) -> None:
        """Show the next of the views large."""
        self.grid.step(by)

    # saliency -----------------------------------------------------------------------------------------------------

    def _on_explaining(self, _identity: int, method: str) -> None:
        self.saliency.choose_method(method)
        self.session.preferences.set("inspector/method", method)
        QTimer.singleShot(0, self, self._show_busy)  # the job is submitted right after this signal

    def _show_busy(self) -> None:
        self.saliency.show_busy(self.session.is_explaining)

    def _show_overlays(self, shown: bool) -> None:
        for view in (self.grid.large, *self.grid.small):
            view.set_overlays(shown)
