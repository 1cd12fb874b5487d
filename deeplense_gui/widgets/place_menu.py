"""What can be done with a place on the mosaic: copy its position in several notations, go there, measure, save."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QWidget

from deeplense_gui.widgets.coordinates import galactic, in_degrees, region, sexagesimal
from engine.images.positions import to_frame
from engine.types import Mosaic


class PlaceMenu(QMenu):
    """The context menu of a pixel position; ``copied(text)`` after one was put on the clipboard."""

    copied = Signal(str)

    def __init__(self, mosaic: Mosaic, x: float, y: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        for title, text in positions(mosaic, x, y):
            self.addAction(f"Copy {title}:  {text}").triggered.connect(lambda _=False, text=text: self._copy(text))
        self.addSeparator()

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.copied.emit(text)


def positions(mosaic: Mosaic, x: float, y: float) -> list[tuple[str, str]]:
    """A place in every notation, each with its title; pixels alone without a WCS."""
    radec = mosaic.world(np.array([[x, y]]))
    found = []
    if math.isfinite(radec[0, 0]) and math.isfinite(radec[0, 1]):
        ra, dec = (float(value) for value in radec[0])
        longitude, latitude = (float(value) for value in to_frame(radec, "galactic")[0])
        found = [
            ("RA Dec", sexagesimal(ra, dec)),
            ("degrees", in_degrees(ra, dec).replace("°", "")),
            ("Galactic", galactic(longitude, latitude).replace("°", "")),
            ("DS9 region", region(ra, dec)),
        ]
    return [*found, ("pixel", f"{x:.2f} {y:.2f}")]
