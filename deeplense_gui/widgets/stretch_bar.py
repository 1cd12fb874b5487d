"""The bar above the mosaic: bands, stretch, limits, softening and colour map; what was chosen stays for next time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QSettings, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QDoubleValidator, QResizeEvent
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QLineEdit, QSlider, QWidget

from deeplense_gui.widgets.colours import COLOUR_MAPS
from deeplense_gui.widgets.stretch import LIMITS, Stretch
from engine.images.scaling import KINDS
from engine.images.wavelengths import wavelength

_COLOUR = "colour"


def colour_bands(bands: Sequence[str]) -> tuple[int, ...]:
    """Which bands to show as red, green and blue: the reddest, the middle and the bluest; empty below three bands.

    Bands with unknown names count as ordered from blue to red.
    """
    if len(bands) < 3:
        return ()
    known = [wavelength(band) for band in bands]
    order = sorted(range(len(bands)), key=lambda k: known[k] or 0) if all(known) else list(range(len(bands)))
    return order[-1], order[len(order) // 2], order[0]


class StretchBar(QFrame):
    """Emits ``changed(Stretch)`` as soon as a control moves; ``set_bands`` says what there is to choose from."""

    changed = Signal(object)

    def __init__(self, settings: QSettings | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "bar")
        self._settings = settings or QSettings("DeepLense", "DeepLense GUI")
        self._bands: tuple[str, ...] = ()
        self._sample_limits: tuple[float, float] | None = None
        self.view = self._combo("Band", (), "Which band is shown, or three of them in colour")
        self.channels = [
            self._combo(name, (), f"The band shown as {name.lower()}") for name in ("Red", "Green", "Blue")
        ]
        self.kind = self._combo("Stretch", KINDS, "How brightness goes with pixel values")
        self.limits = self._combo(
            "Limits", (), "Share of pixels between the darkest and the brightest value, or values of your own"
        )
        for name in LIMITS:
            self.limits.addItem(f"{name} %" if name[0].isdigit() else name, name)
        self.low, self.high = (self._number(text) for text in ("Darkest value", "Brightest value"))
        self.softening = QSlider(Qt.Orientation.Horizontal)
        self.softening.setRange(0, 100)
        self.softening.setFixedWidth(84)
        self.softening.setAccessibleName("Faint light")
        self.softening.setToolTip("Lift the faint light: arcs and outskirts, without moving the limits")
        self.colour_map = self._combo("Colour map", COLOUR_MAPS, "Colours of a single band")
        self._labels: list[QLabel] = []
        self._lay_out()
        self._restore()
        for combo in (self.view, *self.channels, self.kind, self.limits, self.colour_map):
            combo.activated.connect(self._choose)
        for field in (self.low, self.high):
            field.editingFinished.connect(self._choose)
            field.returnPressed.connect(field.clearFocus)  # letters grade again
        self.softening.valueChanged.connect(self._choose)

    def _combo(self, name: str, items: Sequence[str], tip: str) -> QComboBox:
        combo = QComboBox()
        combo.addItems(list(items))
        combo.setAccessibleName(name)
        combo.setToolTip(tip)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        return combo

    def _number(self, name: str) -> QLineEdit:
        field = QLineEdit()
        field.setValidator(QDoubleValidator(field))
        field.setFixedWidth(78)
        field.setAccessibleName(name)
        field.setToolTip(f"{name} shown, in the units of the mosaic")
        field.setPlaceholderText(name.split()[0].lower())
        return field

    def _lay_out(self) -> None:
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(8, 4, 8, 4)
        self.row.setSpacing(6)
        for text, widgets in (
            ("&Band", [self.view, *self.channels]),
            ("&Stretch", [self.kind]),
            ("&Limits", [self.limits, self.low, self.high]),
            ("&Faint", [self.softening]),
            ("", [self.colour_map]),
        ):
            if text:
                label = QLabel(text)
                label.setProperty("role", "muted")
                label.setBuddy(widgets[0])
                self.row.addWidget(label)
                self._labels.append(label)
            for widget in widgets:
                self.row.addWidget(widget)
            self.row.addSpacing(6)
        self.row.addStretch(1)

    def minimumSizeHint(self) -> QSize:
        """Narrower than with the labels: they go where there is no room, the tool tips say the same."""
        hint = super().minimumSizeHint()
        labels = sum(label.sizeHint().width() + self.row.spacing() for label in self._labels if not label.isHidden())
        return QSize(hint.width() - labels, hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the labels where there is room for them."""
        self._fit_labels()

    def _fit_labels(self) -> None:
        needed = super().minimumSizeHint().width()
        needed += sum(label.sizeHint().width() + self.row.spacing() for label in self._labels if label.isHidden())
        for label in self._labels:
            label.setVisible(self.width() >= needed)

    # state --------------------------------------------------------------------------------------------------------

    def stretch(self) -> Stretch:
        """What is chosen."""
        return Stretch(
            kind=KINDS[max(self.kind.currentIndex(), 0)],
            limits=str(self.limits.currentData()),
            low=_to_float(self.low.text(), 0.0),
            high=_to_float(self.high.text(), 1.0),
            softening=self.softening.value() / 100,
            colour_map=self.colour_map.currentText(),
            bands=self._chosen_bands(),
        )

    def _chosen_bands(self) -> tuple[int, ...]:
        if self.view.currentData() == _COLOUR:
            return tuple(max(combo.currentIndex(), 0) for combo in self.channels)
        return (int(self.view.currentData() or 0),)

    def set_bands(self, bands: Sequence[str]) -> None:
        """Offer the bands of a mosaic; in colour where there are three, unless a band was chosen before."""
        self._bands = tuple(bands)
        wanted = str(self._settings.value("stretch/band", ""))
        colour = colour_bands(bands)
        blockers = [QSignalBlocker(combo) for combo in (self.view, *self.channels)]
        self.view.clear()
        if colour:
            self.view.addItem("Colour", _COLOUR)
        for index, band in enumerate(bands):
            self.view.addItem(band, index)
        if wanted in bands:
            self.view.setCurrentText(wanted)
        for combo, index in zip(self.channels, colour or (0, 0, 0), strict=True):
            combo.clear()
            combo.addItems(list(bands))
            combo.setCurrentIndex(index)
        del blockers
        self._show_applicable()
        self.changed.emit(self.stretch())

    def show_limits(self, low: float, high: float) -> None:
        """Tell which values the limits come to, so that choosing "custom" starts from there."""
        self._sample_limits = (low, high)
        if self.limits.currentData() != "custom":
            self.low.setText(f"{low:.5g}")
            self.high.setText(f"{high:.5g}")
            self.limits.setToolTip(f"Shown from {low:.4g} to {high:.4g}")

    def _choose(self) -> None:
        self._show_applicable()
        self._remember()
        self.changed.emit(self.stretch())

    def _show_applicable(self) -> None:
        stretch = self.stretch()
        for combo in self.channels:
            combo.setVisible(stretch.is_colour and len(self._bands) > 3)
        for field in (self.low, self.high):
            field.setVisible(stretch.limits == "custom")
        self.view.setEnabled(self.view.count() > 1)
        self.colour_map.setVisible(not stretch.is_colour)
        self.softening.setEnabled(stretch.can_soften)
        self._fit_labels()

    # settings -----------------------------------------------------------------------------------------------------

    def _remember(self) -> None:
        stretch = self.stretch()
        band = "" if self.view.currentData() == _COLOUR else self.view.currentText()
        for name, value in (
            ("kind", stretch.kind),
            ("limits", stretch.limits if stretch.limits != "custom" else "99.5"),
            ("softening", self.softening.value()),
            ("colour_map", stretch.colour_map),
            ("band", band),
        ):
            self._settings.setValue(f"stretch/{name}", value)

    def _restore(self) -> None:
        default = Stretch()

        def stored(name: str, otherwise: Any) -> str:
            return str(self._settings.value(f"stretch/{name}", otherwise))

        self.kind.setCurrentText(stored("kind", default.kind))
        self.limits.setCurrentIndex(max(self.limits.findData(stored("limits", default.limits)), 0))
        self.softening.setValue(int(float(stored("softening", default.softening * 100))))
        self.colour_map.setCurrentText(stored("colour_map", default.colour_map))
        self._show_applicable()


def _to_float(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
