"""The strip under the mosaic: position in the coordinates of choice, values under the cursor, and zoom."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QSettings, QSize, Qt, Signal
from PySide6.QtGui import QActionGroup, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from deeplense_gui import style
from deeplense_gui.widgets.coordinates import galactic, in_degrees, number, sexagesimal
from deeplense_gui.widgets.tiles import Probe
from engine.images.grid import Notation
from engine.images.positions import Frame
from engine.types import Mosaic


class Coordinates(NamedTuple):
    """A way to write positions: its frame and notation, its names in the menu and on the button, and how it is done."""

    frame: Frame
    notation: Notation
    text: str
    short: str
    write: Callable[[float, float], str]


NOTATIONS = (
    Coordinates("icrs", "sexagesimal", "ICRS, hours and degrees", "ICRS", sexagesimal),
    Coordinates("icrs", "degrees", "ICRS, degrees", "ICRS °", in_degrees),
    Coordinates("galactic", "degrees", "Galactic, degrees", "Gal", galactic),
)


class Elided(QLabel):
    """A label that gives way: what does not fit ends in dots, the whole is in the tool tip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        """As narrow as the layout needs."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """The text, cut at the right."""
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        self.style().drawItemText(
            painter, self.rect(), int(self.alignment()), self.palette(), self.isEnabled(), text, self.foregroundRole()
        )


class Readout(QFrame):
    """Position in the chosen coordinates, x and y, the value in each band with its unit, and the zoom.

    ``notation_changed(frame, notation)`` when other coordinates are chosen.
    """

    notation_changed = Signal(str, str)

    def __init__(self, settings: QSettings | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "strip")
        self._settings = settings or QSettings("DeepLense", "DeepLense GUI")
        self._mosaic: Mosaic | None = None
        self.sky, self.degrees, self.pixel, self.zoom = (QLabel() for _ in range(4))
        self.values = Elided()
        self.notation = self._choice()
        self.sky.setToolTip("Where the cursor is on the sky")
        self.degrees.setToolTip("Right ascension and declination in degrees (ICRS)")
        self.pixel.setToolTip("Pixel under the cursor, counted from 0 at the centre of the bottom left one")
        self.zoom.setToolTip("Zoom: 100 % is one pixel of the mosaic on one of the screen")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 1, 10, 1)
        layout.setSpacing(14)
        layout.addWidget(self.notation)
        for label in (self.sky, self.degrees, self.pixel, self.values, self.zoom):
            label.setFont(style.fixed_font(points=9))
            layout.addWidget(label, 1 if label is self.values else 0)
        self.setFixedHeight(28)

    def _choice(self) -> QToolButton:
        """The button with the menu of coordinates; what is chosen stays for next time."""
        button = QToolButton()
        button.setProperty("role", "tight")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setAccessibleName("Coordinates")
        button.setToolTip("Coordinates of the position and of the grid")
        menu = QMenu(button)
        group = QActionGroup(menu)
        for place, choice in enumerate(NOTATIONS):
            action = menu.addAction(choice.text)
            action.setCheckable(True)
            group.addAction(action)
            action.triggered.connect(lambda _=False, place=place: self.choose(place))
        button.setMenu(menu)
        return button

    def choose(self, place: int) -> None:
        """Choose coordinates by their place in NOTATIONS."""
        self._settings.setValue("readout/notation", place)
        self.show_choice()
        self.show_probe(None)

    def show_choice(self) -> None:
        """Show the coordinates that were chosen last, and tell them."""
        choice = NOTATIONS[self.chosen]
        self.notation.setText(choice.short)
        self.notation.menu().actions()[self.chosen].setChecked(True)
        self.notation_changed.emit(choice.frame, choice.notation)

    @property
    def chosen(self) -> int:
        """The place of the chosen coordinates in NOTATIONS."""
        stored = str(self._settings.value("readout/notation", 0))
        return int(stored) if stored.isdigit() and int(stored) < len(NOTATIONS) else 0

    def set_mosaic(self, mosaic: Mosaic | None) -> None:
        """Whose bands the values are of."""
        self._mosaic = mosaic
        self.notation.setVisible(mosaic is not None and mosaic.wcs is not None)
        self.show_probe(None)

    def show_probe(self, probe: Probe | None) -> None:
        """Show what is under the cursor; None when there is nothing."""
        mosaic = self._mosaic
        has_sky = mosaic is not None and mosaic.wcs is not None
        choice = NOTATIONS[self.chosen]
        self.sky.setVisible(has_sky)
        self.degrees.setVisible(has_sky and self.width() > 1000 and choice.notation == "sexagesimal")
        if mosaic is None or probe is None:
            self.sky.setText("l, b" if choice.frame == "galactic" else "RA, Dec")
            self.degrees.setText("")
            self.pixel.setText("" if mosaic is None else f"{mosaic.shape[1]:,} × {mosaic.shape[0]:,} px")
            self.values.setText("")
            return
        known = math.isfinite(probe.ra)
        self.sky.setText(choice.write(probe.longitude, probe.latitude) if known else "no position")
        self.degrees.setText(in_degrees(probe.ra, probe.dec) if known else "")
        self.pixel.setText(f"x {probe.x:.1f}  y {probe.y:.1f}")
        self.values.setText(in_units(mosaic, probe.values))
        self.values.setToolTip(self.values.text())

    def show_zoom(self, zoom: float) -> None:
        """Show the zoom, device pixels to a pixel of the mosaic."""
        percent = zoom * 100
        self.zoom.setText(f"{percent:,.0f} %" if percent >= 100 else f"{percent:.3g} %")


def in_units(mosaic: Mosaic, values: Sequence[float]) -> str:
    """The value in each band; a unit that all share stands once, at the end."""
    units = mosaic.units or ("",) * len(values)
    shared = units[0] if len(set(units)) == 1 else ""
    each = [
        f"{band} {number(value)}{f' {unit}' if unit and not shared else ''}"
        for band, value, unit in zip(mosaic.bands, values, units, strict=False)
    ]
    return "   ".join(each) + (f"   {shared}" if shared else "")
