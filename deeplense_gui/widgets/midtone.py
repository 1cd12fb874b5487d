"""The midtone of a stretch: a slider, and a switch that has it follow the sky of what is shown."""

from __future__ import annotations

import math

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QToolButton, QWidget

_STEPS = 600
_DARK, _FAINT = -1.0, 5.0  # the ends of the slider: midtones of 10 to 1 and of 1 to 100,000, odds against


def to_place(midtone: float) -> int:
    """Where a midtone (0..1) is on the slider, which is even in the logarithm of its odds."""
    odds = math.log10((1 - midtone) / midtone)
    return round(min(max((odds - _DARK) / (_FAINT - _DARK), 0.0), 1.0) * _STEPS)


def to_midtone(place: int) -> float:
    """The midtone of a place on the slider."""
    return 1 / (1 + 10 ** (_DARK + (_FAINT - _DARK) * place / _STEPS))


class MidtoneControl(QWidget):
    """Emits ``changed`` when a person moves it; moving the slider ends that it follows the sky."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._midtone = 0.5
        self.slider = QSlider(Qt.Orientation.Horizontal, objectName="midtone")
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 12)
        self.slider.setFixedWidth(60)
        self.slider.setAccessibleName("Midtone")
        self.automatic = QToolButton(text="Auto", checkable=True, checked=True, objectName="midtone-auto")
        self.automatic.setToolTip("Choose the midtone so that the sky is at a quarter of white, for each mosaic anew")
        self.automatic.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.slider)
        row.addWidget(self.automatic)
        self.setFocusProxy(self.slider)
        self._show()
        self.slider.valueChanged.connect(self._on_moved)
        self.automatic.clicked.connect(lambda _: self.changed.emit())

    def value(self) -> float | None:
        """The midtone that was chosen; None where it follows the sky."""
        return None if self.automatic.isChecked() else self._midtone

    def set_value(self, midtone: float | None) -> None:
        """Take up what was chosen before."""
        self.automatic.setChecked(midtone is None)
        if midtone is not None:
            self._midtone = midtone
            self._show()

    def show_automatic(self, midtone: float) -> None:
        """Tell what suits the sky, while it follows it; a person's own choice stays."""
        if self.automatic.isChecked():
            self._midtone = midtone
            self._show()

    def _show(self) -> None:
        blocker = QSignalBlocker(self.slider)
        self.slider.setValue(to_place(self._midtone))
        blocker.unblock()
        self.slider.setToolTip(
            f"What is shown half bright, of the way from the darkest to the brightest value: {self._midtone:.2g}.\n"
            "Further right lifts the faint"
        )

    def _on_moved(self, place: int) -> None:
        self._midtone = to_midtone(place)
        self.automatic.setChecked(False)
        self._show()
        self.changed.emit()
