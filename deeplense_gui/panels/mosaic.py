"""The mosaic: canvas, stretch bar and readout, listening to the session."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.session import Session
from deeplense_gui.widgets.canvas import MosaicCanvas
from deeplense_gui.widgets.readout import Readout
from deeplense_gui.widgets.stretch import Stretch
from deeplense_gui.widgets.stretch_bar import StretchBar
from engine.types import Candidate, Changes, Mosaic

_GATHER_MS = 200
_MANY = 500


class MosaicPanel(QWidget):
    """The shown mosaic with a circle around each of its candidates that the list shows."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.bar = StretchBar(session.preferences.settings)
        self.canvas = MosaicCanvas()
        self.readout = Readout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.readout)
        self._add_buttons()
        self._pending: set[int] = set()
        self._gather = QTimer(self, singleShot=True, interval=_GATHER_MS)
        self._gather.timeout.connect(self._take_pending)
        self._listen()
        self._show_mosaic(session.mosaic)
        self.canvas.set_overlays(session.overlays)

    def _add_buttons(self) -> None:
        for icon, text, key, verb in (
            ("fit", "Show the whole mosaic", "F", self.canvas.fit),
            ("actual-size", "One pixel of the mosaic on one of the screen", "1", self.canvas.actual_size),
            ("centre", "Go to the selected candidate", "Z", self.canvas.centre_on_selection),
            ("zoom-in", "Closer", "+", lambda: self.canvas.zoom_by(1.5)),
            ("zoom-out", "Farther", "-", lambda: self.canvas.zoom_by(1 / 1.5)),
        ):
            button = QToolButton()
            button.setIcon(style.icon(icon))
            button.setToolTip(f"{text} ({key})")
            button.setAccessibleName(text)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setProperty("role", "tight")
            button.clicked.connect(verb)
            self.bar.row.addWidget(button)

    def _listen(self) -> None:
        canvas, session = self.canvas, self.session
        canvas.describe = self._describe
        canvas.candidate_clicked.connect(session.select)
        canvas.probed.connect(self.readout.show_probe)
        canvas.view_changed.connect(self._show_zoom)
        canvas.limits_known.connect(self._show_limits)
        canvas.failed.connect(lambda text: session.say(text, "error"))
        self.bar.changed.connect(self._set_stretch)
        session.mosaic_opened.connect(self._show_mosaic)
        session.project_opened.connect(self._show_all)
        session.filtered.connect(self._show_all)
        session.changed.connect(self._note_changes)
        session.selected.connect(self._select)
        session.overlays_toggled.connect(canvas.set_overlays)

    def stop(self) -> None:
        """Read nothing more: the window closes."""
        self.canvas.close_reader(wait=True)

    def _show_mosaic(self, mosaic: Mosaic | None) -> None:
        self.canvas.set_mosaic(mosaic)
        self.readout.set_mosaic(mosaic)
        self.bar.setEnabled(mosaic is not None)
        if mosaic is not None:
            self.bar.set_bands(mosaic.bands)
        self._show_all()

    def _set_stretch(self, stretch: Stretch) -> None:
        self.canvas.set_stretch(stretch)
        self.session.display["stretch"] = {
            "kind": stretch.kind,
            "limits": stretch.limits,
            "softening": stretch.softening,
        }

    def _show_limits(self) -> None:
        stretch = self.canvas.stretch
        coder = self.canvas.coder(stretch.bands[0])
        if coder is not None:
            self.bar.show_limits(*coder.limits(stretch))

    def _show_zoom(self) -> None:
        self.readout.show_zoom(self.canvas.view.zoom * self.canvas.devicePixelRatioF())

    # candidates ---------------------------------------------------------------------------------------------------

    def _show_all(self, project: Any = None) -> None:
        """All candidates of the shown mosaic that the list shows, anew."""
        self._pending.clear()
        mosaic = self.session.mosaic
        if self.session.project is None or mosaic is None:
            self.canvas.set_candidates(np.empty((0, 2)), np.empty(0, np.int64), ())
        else:
            found = self.session.project.positions(mosaic=mosaic.id)
            listed = np.isin(found.ids, self.session.ids())
            grades = np.array(found.grades, object)[listed]
            self.canvas.set_candidates(found.xy[listed], found.ids[listed], grades, found.scores[listed])
        self.canvas.select(self.session.selection, reveal=False)

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
        here = [row for row in self.session.rows(listed) if row.mosaic == mosaic]
        gone = set(asked) - {row.id for row in here}
        if gone:
            self.canvas.remove_candidates(sorted(gone))
        self.canvas.update_candidates(
            np.array([(row.x, row.y) for row in here]),
            [row.id for row in here],
            [row.grade for row in here],
            [row.score for row in here],
        )

    def _select(self, candidate_id: int | None) -> None:
        if candidate_id is not None and self.canvas.markers.position(candidate_id) is None:
            self._take_pending()
        self.canvas.select(candidate_id)

    def _describe(self, candidate_id: int) -> str:
        rows = self.session.rows([candidate_id])
        return describe(rows[0]) if rows else ""


def describe(candidate: Candidate) -> str:
    """Name, score and grade, for the tool tip."""
    grade = f"grade {candidate.grade}" if candidate.grade else "no grade yet"
    return f"{candidate.name}\nscore {candidate.score:.3f}, {grade}"
