"""Which substructure the selected lens may carry: its stamp among copies of it, and how well that can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.session import Session
from deeplense_gui.widgets.lens_pictures import KINDS, make_copies
from deeplense_gui.widgets.plot import Plot
from deeplense_gui.widgets.readout import Elided
from deeplense_gui.widgets.stamp import Field, StampView
from engine.errors import EngineError
from engine.types import Changes, Substructure

CONCEALED = "Blind mode: nothing is told before the grade is given."
UNASKED = (
    "Does this lens carry dark substructure?\nTell (Shift+D) fits it, makes copies of it with and without subhalos and "
    "vortices, and looks among which of them the stamp belongs: some ten seconds."
)
NO_SCALE = "This mosaic has no pixel scale: a lens has no size on it. Open it with one."
CAUTION = "A hint where to look, no detection."
ABOUT_COPIES = (
    "Copies have one thin lens at redshift 0.5, a source at 1.0 and the substructure of the DeepLense simulations. "
    "Where the smooth lens leaves something over, their sources are clumpy enough to be at fault for it. Left over: "
    "the mean χ² a pixel, above the noise, that a smooth lens and source leave of the stamp and of copies."
)
AMONG = {"no_sub": "without substructure", "cdm": "with subhalos (CDM)", "axion": "with a vortex (axion)"}
ENOUGH = 0.9
"""Probability that the kinds which are named have together."""
_WORDS = 230  # points, in which the rows do not wrap


class SubstructurePanel(QWidget):
    """The stamp beside copies, a plot of where a network puts them all, and what follows, in words.

    ``wanted`` when the button asks for it: band, field and seeing are those of the lens model.
    """

    wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.verdict = Elided()
        self.verdict.setAccessibleName("Substructure in a line")
        self.tell = QPushButton("Tell", objectName="tell-substructure")
        self.tell.setToolTip("Compare the stamp with copies of its lens (Shift+D); band, field and seeing are those "
                             "chosen for the lens model")  # fmt: skip
        self.tell.clicked.connect(self.toggle)
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 0)
        head.addWidget(self.verdict, 1)
        head.addWidget(self.tell)
        self.message = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.message.setProperty("role", "muted")
        self.pages = QStackedWidget()
        self.pages.addWidget(self.message)
        self.pages.addWidget(self._make_result())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.pages, 1)
        for signal in (session.selected, session.blinded, session.project_opened, session.mosaic_opened):
            signal.connect(self.refresh)
        session.substructure_told.connect(self.refresh)
        session.changed.connect(self._on_changed)
        session.jobs.finished.connect(self.refresh)
        self.refresh()

    def _make_result(self) -> QWidget:
        self.field = Field(self)
        self.views: list[StampView] = []
        self.pictures = QHBoxLayout()
        self.pictures.setSpacing(6)
        self.plot = Plot(self.session, "Copies and stamp ★", "", "")
        self.plot.setMinimumWidth(150)
        for side in ("left", "bottom"):
            self.plot.hideAxis(side)
        self.words = QLabel(textFormat=Qt.TextFormat.RichText, wordWrap=True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.words.setMinimumWidth(_WORDS)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setAccessibleName("Substructure in numbers")
        self.notes = QLabel(wordWrap=True)
        self.notes.setProperty("role", "warning")
        caution = QLabel(CAUTION, wordWrap=True)
        caution.setProperty("role", "muted")
        for label in (self.words, caution):
            label.setToolTip(ABOUT_COPIES)
        lines = QVBoxLayout()
        lines.setSpacing(4)
        for widget in (self.words, self.notes, caution):
            lines.addWidget(widget)
        lines.addStretch(1)
        result = QWidget()
        row = QHBoxLayout(result)
        row.setContentsMargins(8, 0, 8, 6)
        row.setSpacing(8)
        row.addLayout(self.pictures, 3)
        row.addWidget(self.plot, 1)
        row.addLayout(lines, 2)
        return result

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The pictures and the plot are squares beside each other: no wider than they are high."""
        for view in (*self.views, self.plot):
            view.setMaximumWidth(max(self.pages.height() - 6, view.minimumWidth()))

    # asking -------------------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Ask for it, or give it up while it is under way."""
        if self.session.is_telling:
            self.session.stop_telling()
            self.refresh()
        else:
            self.wanted.emit()

    def ask(self, **options: Any) -> None:
        """Tell the substructure of the selected candidate; ``options`` are those of ``Session.tell_substructure``."""
        if self.session.tell_substructure(**options) is not None:
            self.refresh()

    # showing ------------------------------------------------------------------------------------------------------

    def _on_changed(self, changes: Changes) -> None:
        if self.session.selection in changes.ids and "grades" in changes.kinds:  # a grade may end the concealment
            self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what was told of the selected candidate."""
        session, candidate = self.session, self.session.candidate()
        mosaic = None if candidate is None else session.mosaic_of(candidate)
        concealed = candidate is not None and session.conceals(candidate)
        found = None if candidate is None else session.substructures.get(candidate.id)
        telling = session.is_telling
        name = "" if candidate is None or concealed else candidate.name
        self.tell.setText("Stop" if telling else "Tell")
        self.tell.setEnabled(telling or (mosaic is not None and mosaic.pixel_scale is not None and not concealed))
        shown = isinstance(found, Substructure) and not concealed
        self.verdict.setText(f"{name}: {verdict(found)}" if isinstance(found, Substructure) and shown else name)
        self.pages.setCurrentIndex(int(shown))
        if isinstance(found, Substructure) and shown:
            self._show(found)
        elif candidate is None:
            self.message.setText("Nothing selected.")
        elif concealed:
            self.message.setText(CONCEALED)
        elif telling:
            self.message.setText("Fitting the lens, making copies of it and comparing them…")
        elif isinstance(found, EngineError):
            self.message.setText(str(found))
        elif mosaic is None:
            self.message.setText("The mosaic of this candidate is not open.")
        else:
            self.message.setText(NO_SCALE if mosaic.pixel_scale is None else UNASKED)

    def _show(self, found: Substructure) -> None:
        self.field.set(found.side)
        made = list(make_copies(found).values())
        while len(self.views) < len(made):
            view = StampView(self.field)
            view.small = True
            self.views.append(view)
            self.pictures.addWidget(view, 1)
        for number, view in enumerate(self.views):
            view.setVisible(number < len(made))
            if number < len(made):
                view.show_picture(made[number])
        self.resizeEvent(None)
        self._draw(found)
        self.words.setText(in_numbers(found))
        self.notes.setText("\n".join(f"{note}." for note in found.notes))
        self.notes.setVisible(bool(found.notes))

    def _draw(self, found: Substructure) -> None:
        self.plot.clear()
        theme = style.theme()
        colours = (theme.muted, theme.accent, theme.warning)
        self.plot.table = [("kind", "first discriminant", "second discriminant")]
        for k, kind in enumerate(found.classes):
            places = found.places[found.labels == k]
            self.plot.plot(places[:, 0], places[:, 1], pen=None, symbol="o", symbolSize=4, symbolPen=None,
                           symbolBrush=colours[k % len(colours)])  # fmt: skip
            self.plot.table += [(kind, *map(float, place)) for place in places]
        self.plot.table.append(("stamp", *map(float, found.place)))
        self.plot.plot(*found.place[:, None], pen=None, symbol="star", symbolSize=16, symbolBrush=theme.text,
                       symbolPen=pg.mkPen(theme.panel))  # fmt: skip


def verdict(found: Substructure) -> str:
    """What follows, in a line: never more than can be told, and of copies, not of dark matter."""
    if not found.tells:
        return "nothing can be told"
    share, kinds = 0.0, []
    for k in np.argsort(found.probability)[::-1]:
        kinds.append(AMONG.get(found.classes[k], f"with {found.classes[k]}"))
        share += found.probability[k]
        if share >= ENOUGH:
            break
    if len(kinds) == len(found.classes):
        return "which copies it is like cannot be told"
    return f"like copies {' or '.join(kinds)}, {share:.0%}"


def in_numbers(found: Substructure) -> str:
    """The numbers as rich text."""
    colours = (style.theme().muted, style.theme().accent, style.theme().warning)
    rows = [
        f"<tr><td><span style='color:{colours[k % 3]}'>●</span> {KINDS.get(kind, kind)}</td>"
        f"<td align='right' style='padding-left:10px'><b>{found.probability[k]:.0%}</b></td>"
        f"<td align='right' style='padding-left:14px'>{found.left[k]:.2f}</td></tr>"
        for k, kind in enumerate(found.classes)
    ]
    rows.append(
        "<tr><td>★ the stamp itself</td><td></td>"
        f"<td align='right' style='padding-left:14px'>{found.left_of_stamp:.2f}</td></tr>"
    )
    head = "<tr><td></td><td align='right'>stamp</td><td style='padding-left:14px'>left over</td></tr>"
    return (
        f"<table cellspacing='1' style='white-space:nowrap'>{head}{''.join(rows)}</table>"
        f"Copies told right: {found.right:.0%} (guessing {found.chance:.0%}; {found.model}). "
        f"Copies further out than the stamp: {found.typical:.0%}."
    )
