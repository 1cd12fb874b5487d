"""A small window for the colours of three bands: which is red, green and blue, and Lupton's contrast and slope."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from deeplense_gui.widgets.stretch import Stretch

_CHANNELS = ("Red", "Green", "Blue")


class ColourChoice(QFrame):
    """Emits ``changed`` as soon as a control moves; ``measure_wanted`` when the units are to be measured anew."""

    changed = Signal()
    measure_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("role", "popup")
        self.channels = [_combo(name) for name in _CHANNELS]
        default = Stretch()
        self.contrast = _number("Q", default.Q, 0.1, 50, 1, "Contrast: the larger, the more of bright cores is seen")
        self.slope = _number("α", default.alpha, 0.001, 5, 0.01, "How bright the faint light is, per unit of noise")
        self.measure = QPushButton("Measure the units here")
        self.measure.setToolTip("Count each band in units of this mosaic's noise, and keep that for the survey")
        self.measure.clicked.connect(self.measure_wanted)
        self.about = QLabel()
        self.about.setProperty("role", "muted")
        form = QFormLayout(self)
        form.setContentsMargins(12, 10, 12, 10)
        bands = QHBoxLayout()
        for combo in self.channels:
            bands.addWidget(combo)
            combo.activated.connect(self.changed)
        form.addRow("Red, green, blue", bands)
        for label, spin in (("Contrast Q", self.contrast), ("Slope α", self.slope)):
            form.addRow(label, spin)
            spin.valueChanged.connect(self.changed)
        form.addRow(self.measure)
        form.addRow(self.about)

    def bands(self) -> tuple[int, ...]:
        """The indices of the bands shown as red, green and blue."""
        return tuple(max(combo.currentIndex(), 0) for combo in self.channels)

    def set_bands(self, bands: Sequence[str], chosen: Sequence[int]) -> None:
        """Offer the bands of a mosaic."""
        blockers = [QSignalBlocker(combo) for combo in self.channels]
        for combo, index in zip(self.channels, chosen, strict=True):
            combo.clear()
            combo.addItems(list(bands))
            combo.setCurrentIndex(index)
        del blockers

    def set_numbers(self, contrast: float, slope: float) -> None:
        """Show Q and alpha, as they were chosen before."""
        blockers = [QSignalBlocker(spin) for spin in (self.contrast, self.slope)]
        self.contrast.setValue(contrast)
        self.slope.setValue(slope)
        del blockers

    def show_units(self, bands: Sequence[str], noise: Sequence[float]) -> None:
        """Say what one unit of each band is; nothing while that is not known."""
        pairs = zip(bands, noise, strict=False)
        self.about.setText("Units: " + "   ".join(f"{band} {value:.3g}" for band, value in pairs) if noise else "")
        self.adjustSize()

    def show_below(self, widget: QWidget) -> None:
        """Open under a button."""
        self.adjustSize()
        self.move(widget.mapToGlobal(widget.rect().bottomLeft()))
        self.show()
        self.channels[0].setFocus()


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(f"The band shown as {name.lower()}")
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    return combo


def _number(name: str, value: float, low: float, high: float, step: float, tip: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(decimals=3, minimum=low, maximum=high, singleStep=step)
    spin.setValue(value)
    spin.setAccessibleName(name)
    spin.setToolTip(tip)
    spin.setKeyboardTracking(False)
    return spin
