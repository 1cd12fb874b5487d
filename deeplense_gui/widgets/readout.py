"""The strip under the mosaic: position and values under the cursor, zoom, and whether there is a WCS."""

from __future__ import annotations

import math

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QWidget

from deeplense_gui import style
from deeplense_gui.widgets.coordinates import in_degrees, number, sexagesimal
from deeplense_gui.widgets.tiles import Probe
from engine.types import Mosaic


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
    """RA and Dec in both notations, x and y, the value in each band, and the zoom."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "strip")
        self._mosaic: Mosaic | None = None
        self.sky, self.degrees, self.pixel, self.zoom = (QLabel() for _ in range(4))
        self.values = Elided()
        self.sky.setToolTip("Right ascension and declination under the cursor (ICRS)")
        self.degrees.setToolTip("Right ascension and declination in degrees")
        self.pixel.setToolTip("Pixel under the cursor, counted from 0 at the centre of the bottom left one")
        self.zoom.setToolTip("Zoom: 100 % is one pixel of the mosaic on one of the screen")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 3, 10, 3)
        layout.setSpacing(18)
        for label in (self.sky, self.degrees, self.pixel, self.values, self.zoom):
            label.setFont(style.fixed_font(points=9))
            layout.addWidget(label, 1 if label is self.values else 0)
        self.setFixedHeight(26)

    def set_mosaic(self, mosaic: Mosaic | None) -> None:
        """Whose bands the values are of."""
        self._mosaic = mosaic
        self.show_probe(None)

    def show_probe(self, probe: Probe | None) -> None:
        """Show what is under the cursor; None when there is nothing."""
        mosaic = self._mosaic
        has_sky = mosaic is not None and mosaic.wcs is not None
        self.sky.setVisible(has_sky)
        self.degrees.setVisible(has_sky and self.width() > 640)
        if mosaic is None or probe is None:
            self.sky.setText("RA, Dec")
            self.degrees.setText("")
            self.pixel.setText("" if mosaic is None else f"{mosaic.shape[1]:,} × {mosaic.shape[0]:,} px")
            self.values.setText("")
            return
        known = math.isfinite(probe.ra)
        self.sky.setText(sexagesimal(probe.ra, probe.dec) if known else "no position")
        self.degrees.setText(in_degrees(probe.ra, probe.dec) if known else "")
        self.pixel.setText(f"x {probe.x:.1f}  y {probe.y:.1f}")
        pairs = zip(mosaic.bands, probe.values, strict=False)
        self.values.setText("   ".join(f"{band} {number(value)}" for band, value in pairs))
        self.values.setToolTip(self.values.text())

    def show_zoom(self, zoom: float) -> None:
        """Show the zoom, device pixels to a pixel of the mosaic."""
        self.zoom.setText(f"{zoom * 100:.3g} %")
