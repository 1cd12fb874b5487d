"""The mosaic: canvas, stretch bar and readout, listening to the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtWidgets import QFileDialog, QToolButton, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.filters import Filters
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session import Session
from deeplense_gui.widgets.canvas import MosaicCanvas
from deeplense_gui.widgets.goto import GoToLine
from deeplense_gui.widgets.overlay_menu import OverlayButton
from deeplense_gui.widgets.place_menu import PlaceMenu
from deeplense_gui.widgets.readout import Readout
from deeplense_gui.widgets.stretch import Stretch
from deeplense_gui.widgets.stretch_bar import StretchBar
from engine.errors import EngineError
from engine.types import Candidate, Changes, Mosaic, Step

_GATHER_MS = 130  # each panel waits otherwise, so that they do not all look anew in one frame
_BLINK_MS = 600
_MANY = 500
_NEAR = 4.0  # zoom at which a place that was asked for is shown
_FILES = "overlay_files"
REGION_FILES = "DS9 regions (*.reg *.ds9);;FITS regions (*.fits);;All files (*)"
CATALOGUES = "Catalogues (*.csv *.tsv *.txt *.ecsv *.fits *.fit *.vot *.xml *.votable);;All files (*)"


class MosaicPanel(QWidget):
    """The shown mosaic with a circle around each of its candidates that the list shows."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        settings = session.preferences.settings
        self.bar = StretchBar(settings)
        self.canvas = MosaicCanvas()
        self.readout = Readout(settings)
        self.overlays = OverlayButton(settings)
        self.goto = GoToLine(session.names_like, self.canvas)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.readout)
        self._add_buttons()
        self._pending: set[int] = set()
        self._shown = self._state()
        self._gather = QTimer(self, singleShot=True, interval=_GATHER_MS)
        self._gather.timeout.connect(self._take_pending)
        self._blink = QTimer(self, interval=_BLINK_MS)
        self._blink.timeout.connect(self.bar.blink)
        self._before_blink = 0
        self._listen()
        self.canvas.shown = self.overlays.shown()
        self.readout.show_choice()
        self._show_mosaic(session.mosaic)
        self.canvas.set_overlays(session.overlays)

    def _add_buttons(self) -> None:
        for icon, text, key, verb in (
            ("goto", "Go to a position or a candidate", "Ctrl+G", self.goto.open),
            ("fit", "Show the whole mosaic", "F", self.canvas.fit),
            ("actual-size", "One pixel of the mosaic on one of the screen", "Ctrl+1", self.canvas.actual_size),
            ("centre", "Go to the selected candidate", "Z", self.canvas.centre_on_selection),
        ):
            button = _button(icon, f"{text} ({key})", text)
            button.clicked.connect(verb)
            self.bar.buttons.addWidget(button)
        self.ruler_button = _button("ruler", "Measure distance and position angle (M)", "Measure")
        self.ruler_button.setCheckable(True)
        self.ruler_button.toggled.connect(self.canvas.set_measuring)
        self.bar.buttons.addWidget(self.ruler_button)
        self.bar.buttons.addWidget(self.overlays)

    def _listen(self) -> None:
        canvas, session, overlays = self.canvas, self.session, self.overlays
        canvas.describe = self._describe
        canvas.candidate_clicked.connect(session.select)
        canvas.probed.connect(self.readout.show_probe)
        canvas.view_changed.connect(self._show_zoom)
        canvas.limits_known.connect(lambda: self.bar.show_limits(canvas.coders))
        canvas.failed.connect(lambda text: session.say(text, "error"))
        canvas.measured.connect(session.say)
        canvas.measuring_changed.connect(self.ruler_button.setChecked)
        canvas.menu_wanted.connect(self._open_menu)
        self.bar.changed.connect(self._set_stretch)
        self.readout.notation_changed.connect(canvas.set_frame)
        self.goto.asked.connect(self.go_to)
        self.goto.closed.connect(canvas.setFocus)
        overlays.toggled_layer.connect(self._show_layer)
        overlays.contours_changed.connect(canvas.set_contours)
        overlays.regions_wanted.connect(self.ask_regions)
        overlays.regions_removed.connect(self.remove_regions)
        overlays.known_wanted.connect(self.ask_known)
        overlays.known_removed.connect(self.remove_known)
        session.mosaic_opened.connect(self._show_mosaic)
        session.project_opened.connect(self._show_project)
        session.filtered.connect(self._on_filtered)
        session.changed.connect(self._note_changes)
        session.selected.connect(self._select)
        session.marks_changed.connect(self._mark)
        session.overlays_toggled.connect(canvas.set_overlays)
        session.blinded.connect(canvas.set_concealing)
        session.jobs.stepped.connect(self._note_scan)
        session.scanning.connect(lambda _: self._show_covered())

    def stop(self) -> None:
        """Read nothing more: the window closes."""
        self._blink.stop()
        self.canvas.close_reader(wait=True)

    def _show_mosaic(self, mosaic: Mosaic | None) -> None:
        self.stop_blinking()
        self.goto.hide()
        self.canvas.set_measuring(False)
        self.canvas.set_mosaic(mosaic)
        self.readout.set_mosaic(mosaic)
        self.bar.setEnabled(mosaic is not None)
        if mosaic is not None:
            self.bar.set_mosaic(mosaic)
            self.overlays.set_bands(mosaic.bands)
        self._show_project()

    def _show_project(self, project: Any = None) -> None:
        self.canvas.set_concealing(self.session.blind)
        self._show_all()
        self._show_covered()
        self._restore_files()

    def _set_stretch(self, stretch: Stretch) -> None:
        self.canvas.set_stretch(stretch)
        self.session.display["stretch"] = {
            "kind": stretch.kind,
            "limits": stretch.limits,
            "softening": stretch.softening,
            "midtone": stretch.midtone,
        }

    def _show_zoom(self) -> None:
        self.readout.show_zoom(self.canvas.view.zoom * self.canvas.devicePixelRatioF())

    # going and looking --------------------------------------------------------------------------------------------

    def go_to(self, text: str) -> None:
        """Go to a position or a candidate that was typed; the line says what is wrong with it."""
        try:
            found = self.session.find_place(text)
        except EngineError as error:
            self.goto.refuse(str(error))
            return
        self.goto.leave()
        if found.candidate is not None:
            self.session.select(found.candidate)
        self.point_at(found.x, found.y)

    def point_at(self, x: float, y: float) -> None:
        """Go to a pixel, close enough to see what is there, and show it for a moment."""
        self.canvas.centre_on(x, y, zoom=max(self.canvas.view.zoom, _NEAR))
        self.canvas.point_at(x, y)

    def toggle_blinking(self) -> None:
        """Show one band after the other, or stop that and go back to what was shown before."""
        if self._blink.isActive():
            self.stop_blinking()
        elif self.session.mosaic is not None and len(self.session.mosaic.bands) > 1:
            self._before_blink = self.bar.view.currentIndex()
            self.bar.blink()
            self._blink.start()

    def stop_blinking(self) -> None:
        """Show what was shown before the bands blinked."""
        if self._blink.isActive():
            self._blink.stop()
            self.bar.show_view(self._before_blink)

    def step_band(self, by: int) -> None:
        """Show the next band, or the one before."""
        self.stop_blinking()
        self.bar.step_band(by)

    def _open_menu(self, at: QPoint, x: float, y: float) -> None:
        mosaic = self.session.mosaic
        if mosaic is None:
            return
        menu = PlaceMenu(mosaic, x, y, self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.copied.connect(lambda text: self.session.say(f"Copied {text}"))
        for text, verb in (
            ("Centre here", lambda: self.canvas.centre_on(x, y)),
            ("Measure", lambda: self.canvas.set_measuring(True)),
            ("Save the view as PNG…", self.ask_picture),
            ("Save the view as FITS…", self.ask_cutout),
        ):
            menu.addAction(text).triggered.connect(verb)
        menu.popup(at)

    # files --------------------------------------------------------------------------------------------------------

    def ask_picture(self) -> None:
        """Ask for a file, and save what is seen as a picture; where it lies on the sky goes beside it."""
        path = self._ask_save("Save the view as a picture", "PNG (*.png)", ".png")
        if path is None:
            return
        canvas, ratio = self.canvas, self.canvas.devicePixelRatioF()
        image = canvas.grab().toImage()
        if not image.save(str(path)):
            self.session.say(f"{path} cannot be written: choose another folder", "error")
            return
        size = image.width(), image.height()  # on some screens a part of a pixel more than the view
        middle = canvas.view.pixel(QPointF(*size) / (2 * ratio))
        beside = self.session.describe_picture(path, middle, canvas.view.zoom * ratio, size)
        self.session.say(f"View saved as {path}" + (f", its WCS as {beside.name}" if beside is not None else ""))

    def ask_cutout(self) -> None:
        """Ask for a file, and save what is in view as FITS, all bands."""
        path = self._ask_save("Save what is in view as FITS", "FITS (*.fits)", ".fits")
        if path is not None:
            self.session.save_cutout(path, self.canvas.view.edges())

    def _ask_save(self, title: str, kinds: str, suffix: str) -> Path | None:
        mosaic = self.session.mosaic
        if mosaic is None:
            return None
        start = Path(self.session.preferences.folder) / f"{mosaic.name.split('.')[0]}-view{suffix}"
        name, _ = QFileDialog.getSaveFileName(self, title, str(start), kinds)
        return Path(name).with_suffix(Path(name).suffix or suffix) if name else None

    def ask_regions(self) -> None:
        """Ask for region files, and show them."""
        names, _ = QFileDialog.getOpenFileNames(self, "Load regions", self.session.preferences.folder, REGION_FILES)
        for name in names:
            self.load_regions(Path(name))

    def load_regions(self, path: Path) -> None:
        """Show the shapes of a region file."""

        def take(file: Any) -> None:
            self.canvas.regions.set([*self.canvas.regions.files.values(), file])
            self.overlays.show_layer("regions")
            self._remember_files()
            self.canvas.update()
            for note in file.notes:
                self.session.say(note)

        self.session.read_regions(path, take)

    def remove_regions(self) -> None:
        """Show no region file any more."""
        self.canvas.regions.set([])
        self._remember_files()
        self.canvas.update()

    def ask_known(self) -> None:
        """Ask for a catalogue of known objects, and show them."""
        name, _ = QFileDialog.getOpenFileName(self, "Load known objects", self.session.preferences.folder, CATALOGUES)
        if name:
            self.load_known(Path(name))

    def load_known(self, path: Path) -> None:
        """Show the objects of a catalogue."""

        def take(objects: Any) -> None:
            self.canvas.known.set(str(path), *objects)
            self.overlays.show_layer("known")
            self._remember_files()
            self.canvas.update()
            ny, nx = self.canvas.shape or (0, 0)
            x, y = self.canvas.known.xy.T
            inside = int(((x >= 0) & (x < nx) & (y >= 0) & (y < ny)).sum())
            self.session.say(f"{inside:,} of {len(x):,} objects of {path.name} are on this mosaic")

        self.session.read_known(path, take)

    def remove_known(self) -> None:
        """Show no known objects any more."""
        self.canvas.known.set("", np.empty((0, 2)), ())
        self._remember_files()
        self.canvas.update()

    def _remember_files(self) -> None:
        """Keep in the project which files are drawn over this mosaic."""
        session = self.session
        if session.read_only or session.mosaic is None:
            return
        files = {"regions": [str(path) for path in self.canvas.regions.files], "known": self.canvas.known.source}
        session.keep(_FILES, (session.project.setting(_FILES) or {}) | {session.mosaic.id: files})

    def _restore_files(self) -> None:
        """Load again what was drawn over this mosaic when it was left, as far as the files are there."""
        session = self.session
        if session.project is None or session.mosaic is None:
            return
        files = (session.project.setting(_FILES) or {}).get(session.mosaic.id, {})
        for name in files.get("regions", ()):
            if Path(name).exists() and Path(name) not in self.canvas.regions.files:
                self.load_regions(Path(name))
        known = files.get("known", "")
        if known and Path(known).exists() and known != self.canvas.known.source:
            self.load_known(Path(known))

    def _show_layer(self, name: str, shown: bool) -> None:
        self.canvas.show_layer(name, shown)

    def _note_scan(self, job: JobHandle, step: Step) -> None:
        if job is self.session.scan_job and self.canvas.shows("footprint"):
            self._show_covered()

    def _show_covered(self) -> None:
        self.canvas.footprint.set_covered(self.session.covered_tiles())
        self.canvas.update()

    # candidates ---------------------------------------------------------------------------------------------------

    def _show_all(self) -> None:
        """All candidates of the shown mosaic that the list shows, anew."""
        self._pending.clear()
        self._shown = self._state()
        mosaic = self.session.mosaic
        if self.session.project is None or mosaic is None:
            self.canvas.set_candidates(np.empty((0, 2)), np.empty(0, np.int64), ())
        else:
            found = self.session.positions(mosaic.id)
            listed = np.isin(found.ids, self.session.ids())
            self.canvas.set_candidates(found.xy[listed], found.ids[listed], found.grades[listed], found.scores[listed])
        self.canvas.select(self.session.selection, reveal=False)

    def _on_filtered(self) -> None:
        """Circles have no order: where the list has nothing but another one, they are those that are there."""
        (before, *then), (filters, *now) = self._shown, self._state()
        self._shown = (filters, *now)
        if before == filters or filters.sorted_as(before) != before or then != now:
            self._show_all()

    def _state(self) -> tuple[Filters, Any, Mosaic | None, bool]:
        return self.session.filters, self.session.project, self.session.mosaic, self.session.blind

    def _note_changes(self, changes: Changes) -> None:
        """Gather what changed for a moment: a scan writes several times a second."""
        if changes.kinds & {"candidates", "scores", "grades"}:
            self._pending.update(changes.ids)
            if not self._gather.isActive():
                self._gather.start()

    def _take_pending(self) -> None:
        if self.session.project is None or self.session.mosaic is None or not self._pending:
            return
        if len(self._pending) > _MANY:
            self._show_all()
            return
        asked, mosaic = sorted(self._pending), self.session.mosaic.id
        self._pending.clear()
        listed = np.array(asked)[np.isin(asked, self.session.ids())]
        here = [row for row in self.session.rows(listed) if row.mosaic == mosaic and not self.session.conceals(row)]
        self.canvas.remove_candidates(sorted(set(asked) - {row.id for row in here}))
        self.canvas.update_candidates(
            np.array([(row.x, row.y) for row in here]),
            [row.id for row in here],
            [row.grade for row in here],
            [1.0 if self.session.blind else row.score for row in here],
        )

    def _select(self, candidate_id: int | None) -> None:
        if candidate_id is not None and self.canvas.markers.position(candidate_id) is None:
            self._take_pending()
        self.canvas.select(candidate_id)

    def _mark(self) -> None:
        """Ring what is selected together."""
        self.canvas.circles.mark(self.session.marked)
        self.canvas.update()

    def _describe(self, candidate_id: int) -> str:
        rows = self.session.rows([candidate_id])
        return "" if not rows else describe(rows[0]) if not self.session.conceals(rows[0]) else "not graded yet"


def _button(icon: str, tip: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(style.icon(icon))
    button.setToolTip(tip)
    button.setAccessibleName(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setProperty("role", "tight")
    return button


def describe(candidate: Candidate) -> str:
    """Name, score and grade, for the tool tip."""
    grade = f"grade {candidate.grade}" if candidate.grade else "no grade yet"
    return f"{candidate.name}\nscore {candidate.score:.3f}, {grade}"
