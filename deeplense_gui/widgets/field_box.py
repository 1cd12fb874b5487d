"""A box for the side of the field that stamps show."""

from __future__ import annotations

from PySide6.QtWidgets import QDoubleSpinBox

from deeplense_gui.widgets.stamp import NARROWEST, WIDEST


class FieldBox(QDoubleSpinBox):
    """A side in arcsec or pixels, taken when it is typed to its end; Return gives the keys back to grading."""

    def __init__(self, tip: str, *, name: str) -> None:
        super().__init__(minimum=NARROWEST, maximum=WIDEST, decimals=1, objectName=name)
        self.setToolTip(tip)
        self.setKeyboardTracking(False)
        self.lineEdit().returnPressed.connect(self.clearFocus)
