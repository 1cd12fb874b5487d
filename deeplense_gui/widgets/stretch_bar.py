"""The bar above the mosaic: bands, stretch, limits, softening and colour map; what was chosen stays for next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSettings, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QDoubleValidator, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.widgets.colour_choice import ColourChoice
from deeplense_gui.widgets.colours import COLOUR_MAPS
from deeplense_gui.widgets.midtone import MidtoneControl
from deeplense_gui.widgets.stretch import LIMITS, LUPTON, PRESETS, Coder, Stretch, automatic_midtone
from deeplense_gui.widgets.stretch_memory import StretchMemory
from engine.images.scaling import KINDS
from engine.images.wavelengths import wavelength
from engine.types import Mosaic

_COLOUR = "colour"
_ALIKE = 4.0  # times by which the noise of one survey's mosaics may differ


def colour_bands(bands: Sequence[str]) -> tuple[int, ...]:
    """Which bands to show as red, green and blue: the reddest, the middle and the bluest; empty below three bands.

    Bands with unknown names count as ordered from blue to red.
    """
    if len(bands) < 3:
        return ()
    known = [wavelength(band) for band in bands]
    order = sorted(range(len(bands)), key=lambda k: known[k] or 0) if all(known) else list(range(len(bands)))
    return order[-1], order[len(order) // 2], order[0]


class _Choice(QComboBox):
    """Never wider than its longest item asks for: Qt remembers the least width that it had while it was empty."""

    def minimumSizeHint(self) -> QSize:
        """That of the items."""
        return self.sizeHint()


class StretchBar(QFrame):
    """Emits ``changed(Stretch)`` as soon as a control moves; ``set_mosaic`` says what there is to choose from.

    Stretch and limits are remembered for all mosaics; the bands, the Lupton colours and limits that were typed for each
    survey, which is told by its bands, pixel scale and units. ``buttons`` is the row for whatever else goes there.
    """

    changed = Signal(object)

    def __init__(self, settings: QSettings | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "bar")
        self.memory = StretchMemory(settings)
        self._bands: tuple[str, ...] = ()
        self._noise: tuple[float, ...] = ()
        self._coders: Mapping[int, Coder] = {}
        self._kinds = {True: LUPTON, False: "asinh"}  # in colour, and of a single band
        self.view = self._combo("Band", (), "Which band is shown, or three of them in colour")
        self.colours = ColourChoice(self)
        self.colours_button = QToolButton()
        self.colours_button.setText("Colours…")
        self.colours_button.setToolTip("Which bands are red, green and blue, contrast and slope")
        self.colours_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.kind = self._combo("Stretch", KINDS, "How brightness goes with pixel values")
        self.preset = self._combo(
            "Colours", tuple(PRESETS), "Standard, the blue lifted (arcs are often blue), or the faint light lifted"
        )
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
        self.midtone = MidtoneControl()
        self.colour_map = self._combo("Colour map", COLOUR_MAPS, "Colours of a single band")
        self.colour_map.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.colour_map.setMinimumContentsLength(5)
        self._labels: list[QLabel] = []
        self._lay_out()
        self._restore()
        for combo in (self.view, self.kind, self.preset, self.limits, self.colour_map):
            combo.activated.connect(self._choose)
        for field in (self.low, self.high):
            field.editingFinished.connect(self._choose)
            field.returnPressed.connect(field.clearFocus)  # letters grade again
        self.softening.valueChanged.connect(self._choose)
        self.midtone.changed.connect(self._choose)
        self.colours_button.clicked.connect(lambda: self.colours.show_below(self.colours_button))
        self.colours.changed.connect(self._choose)
        self.colours.measure_wanted.connect(self._measure)

    def _combo(self, name: str, items: Sequence[str], tip: str) -> QComboBox:
        combo = _Choice()
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
        self.row, self._second, self.buttons = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        self._finer = QWidget()  # goes below where there is no room beside the others
        self._details = (self.low, self.high, self.softening, self.midtone)  # what is on it
        finer = QHBoxLayout(self._finer)
        finer.setContentsMargins(0, 0, 0, 0)
        for row in (self.row, self._second, self.buttons, finer):
            row.setSpacing(6)
        for row, text, widgets in (
            (self.row, "&Band", [self.view]),
            (self.row, "&Stretch", [self.kind, self.preset, self.colours_button]),
            (self.row, "&Limits", [self.limits]),
            (finer, "", [self.low, self.high]),
            (finer, "&Faint", [self.softening]),
            (finer, "&Midtone", [self.midtone]),
            (self.row, "", [self._finer, self.colour_map]),
        ):
            if text:
                label = QLabel(text)
                label.setProperty("role", "muted")
                label.setBuddy(widgets[0])
                row.addWidget(label)
                self._labels.append(label)
            for widget in widgets:
                row.addWidget(widget)
        self.row.addStretch(1)
        self.row.addLayout(self.buttons)
        self._second.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(self.row)
        column.addLayout(self._second)

    def minimumSizeHint(self) -> QSize:
        """As wide as one row without labels and what can go below; the tool tips say what the labels do."""
        needed = self._wanted(labels=False) - self._breadth(self._finer.isHidden(), self._finer.sizeHint().width())
        return QSize(needed, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show labels where there is room for them, and go on in a second row where there is too little."""
        self._fit()

    def _breadth(self, hidden: bool, width: int) -> int:
        return 0 if hidden else width + self.row.spacing()

    def _wanted(self, *, labels: bool) -> int:
        """How wide all is in one row, with or without the labels."""
        apart = (self.view, self.kind, self.preset, self.colours_button, self.limits, self.colour_map)
        both = (*apart, *self._details)
        shown = sum(self._breadth(w.isHidden(), min(w.sizeHint().width(), w.maximumWidth())) for w in both)
        named = [label for label in self._labels if labels and not label.buddy().isHidden()]
        shown += sum(self._breadth(False, label.sizeHint().width()) for label in named)
        edges = self.layout().contentsMargins()
        return shown + self.buttons.sizeHint().width() + edges.left() + edges.right()

    def _fit(self) -> None:
        labelled = self.width() >= self._wanted(labels=True)
        for label in self._labels:
            label.setVisible(labelled and not label.buddy().isHidden())
        self._finer.setVisible(not all(widget.isHidden() for widget in self._details))
        below = self.width() < self._wanted(labels=False)
        if below != (self._second.indexOf(self._finer) >= 0):
            if below:
                self._second.insertWidget(0, self._finer)
            else:
                self.row.insertWidget(self.row.indexOf(self.colour_map), self._finer)

    # state --------------------------------------------------------------------------------------------------------

    def stretch(self) -> Stretch:
        """What is chosen."""
        return Stretch(
            kind=self.kind.currentText() or "asinh",  # type: ignore[arg-type]
            limits=str(self.limits.currentData()),
            low=_to_float(self.low.text(), 0.0),
            high=_to_float(self.high.text(), 1.0),
            softening=self.softening.value() / 100,
            colour_map=self.colour_map.currentText(),
            bands=self._chosen_bands(),
            Q=self.colours.contrast.value(),
            alpha=self.colours.slope.value(),
            preset=self.preset.currentText(),
            noise=self._noise,
            midtone=self.midtone.value(),
        )

    @property
    def _in_colour(self) -> bool:
        return bool(self.view.currentData() == _COLOUR)

    def _chosen_bands(self) -> tuple[int, ...]:
        return self.colours.bands() if self._in_colour else (int(self.view.currentData() or 0),)

    def set_mosaic(self, mosaic: Mosaic) -> None:
        """Offer the bands of a mosaic as they were last shown for its survey; at first in colour if it has three."""
        self._bands, self._coders = mosaic.bands, {}
        stored, usual = self.memory.turn_to(mosaic), Stretch()
        default = colour_bands(mosaic.bands)
        chosen = [mosaic.bands.index(name) for name in stored.get("rgb", ()) if name in mosaic.bands]
        self.colours.set_bands(mosaic.bands, chosen if len(chosen) == 3 else default or (0, 0, 0))
        self.colours.set_numbers(stored.get("Q", usual.Q), stored.get("alpha", usual.alpha))
        noise = stored.get("noise", ())
        self._noise = tuple(noise) if len(noise) == len(mosaic.bands) else ()
        blockers = [QSignalBlocker(self.view), QSignalBlocker(self.preset)]
        self.view.clear()
        if default:
            self.view.addItem("Colour", _COLOUR)
        for index, band in enumerate(mosaic.bands):
            self.view.addItem(band, index)
        if stored.get("band") in mosaic.bands:
            self.view.setCurrentText(stored["band"])
        self.preset.setCurrentText(stored.get("preset", "standard"))
        del blockers
        self._restore_limits(stored.get("limits"))
        self._offer_kinds()
        self._show_applicable()
        self.changed.emit(self.stretch())

    def step_band(self, by: int) -> None:
        """Show the next band, or the one before; in colour counts as one of them."""
        count = self.view.count()
        if count > 1:
            self.view.setCurrentIndex((self.view.currentIndex() + by) % count)
            self._choose()

    def blink(self) -> None:
        """Show the next single band, without remembering it."""
        first = 1 if self.view.findData(_COLOUR) >= 0 else 0
        count = self.view.count() - first
        if count > 1:
            self.view.setCurrentIndex(first + (self.view.currentIndex() - first + 1) % count)
            self._offer_kinds()
            self._show_applicable()
            self.changed.emit(self.stretch())

    def show_view(self, index: int) -> None:
        """Show one of the choices of ``view``: colour or a band."""
        if 0 <= index < self.view.count():
            self.view.setCurrentIndex(index)
            self._choose()

    def show_limits(self, coders: Mapping[int, Coder]) -> None:
        """Tell the scales of the bands: "custom" limits start from theirs, and the survey's units come from them."""
        self._coders = coders
        stretch = self.stretch()
        coder = coders.get(stretch.bands[0])
        if coder is not None and self.limits.currentData() != "custom":
            low, high = coder.limits(stretch)
            self.low.setText(f"{low:.5g}")
            self.high.setText(f"{high:.5g}")
            self.limits.setToolTip(f"Shown from {low:.4g} to {high:.4g}")
        self._show_midtone(stretch)
        if stretch.is_lupton and not self._noise_fits(stretch.bands):
            self._measure()
        self.colours.show_units(self._bands, self._noise)

    def _show_midtone(self, stretch: Stretch) -> None:
        coders = [self._coders[band] for band in stretch.bands if band in self._coders]
        if coders and len(coders) == len(stretch.bands):
            self.midtone.show_automatic(automatic_midtone(coders, stretch))

    def _noise_fits(self, bands: Sequence[int]) -> bool:
        """Whether the units that are kept for the survey can be those of this mosaic: else they are measured anew."""
        if not self._noise:
            return False
        ratios = [self._coders[band].noise / self._noise[band] for band in bands if band in self._coders]
        return all(1 / _ALIKE < ratio < _ALIKE for ratio in ratios)

    def _measure(self) -> None:
        """Take the noise of this mosaic for the units of its survey."""
        stretch = self.stretch()
        known = [self._coders[band].noise for band in stretch.bands if band in self._coders]
        if len(known) == len(stretch.bands):
            others = sum(known) / len(known)
            count = len(self._bands)
            self._noise = tuple(self._coders[k].noise if k in self._coders else others for k in range(count))
            self._remember()
            self.colours.show_units(self._bands, self._noise)
            self.changed.emit(self.stretch())

    def _choose(self) -> None:
        if self.kind.currentText():
            self._kinds[self.kind.findText(LUPTON) >= 0] = self.kind.currentText()
        self._offer_kinds()
        self._show_applicable()
        self._show_midtone(self.stretch())
        self._remember()
        self.changed.emit(self.stretch())

    def _offer_kinds(self) -> None:
        """Lupton's colours are there for three bands; each of the two has the stretch that was last chosen for it."""
        offered = self.kind.findText(LUPTON) >= 0
        blocker = QSignalBlocker(self.kind)
        if self._in_colour and not offered:
            self.kind.insertItem(0, LUPTON)
        elif not self._in_colour and offered:
            self.kind.removeItem(self.kind.findText(LUPTON))
        self.kind.setCurrentText(self._kinds[self._in_colour])
        del blocker

    def _show_applicable(self) -> None:
        stretch = self.stretch()
        applicable = {
            self.colours_button: stretch.is_colour,
            self.preset: stretch.is_lupton,
            self.limits: not stretch.is_lupton,
            self.softening: stretch.can_soften,
            self.midtone: stretch.kind == "MTF",
            self.colour_map: not stretch.is_colour,
            self.low: stretch.limits == "custom" and not stretch.is_lupton,
            self.high: stretch.limits == "custom" and not stretch.is_lupton,
        }
        for widget, shown in sorted(applicable.items(), key=lambda item: item[1]):  # hide first: a window never shrinks
            widget.setVisible(shown)
        self.view.setEnabled(self.view.count() > 1)
        self._fit()
        self.updateGeometry()

    # settings -----------------------------------------------------------------------------------------------------

    def _remember(self) -> None:
        stretch = self.stretch()
        typed = stretch.limits == "custom"
        chosen = {
            "kind": self._kinds[False],
            "colour_kind": self._kinds[True],
            "softening": self.softening.value(),
            "midtone": "" if stretch.midtone is None else stretch.midtone,
            "colour_map": stretch.colour_map,
        }
        self.memory.keep_for_all(chosen if typed else {**chosen, "limits": stretch.limits})
        if self._bands:
            survey = {
                "band": "" if self._in_colour else self.view.currentText(),
                "rgb": [self._bands[k] for k in self.colours.bands()],
                "Q": stretch.Q,
                "alpha": stretch.alpha,
                "preset": stretch.preset,
                "noise": list(self._noise),
                "limits": [stretch.low, stretch.high] if typed else None,
            }
            self.memory.keep_for_survey(survey)

    def _restore_limits(self, typed: Any) -> None:
        """Take the limits typed for this survey, else the share chosen last: counts of another mean nothing here."""
        if isinstance(typed, list) and len(typed) == 2:
            self.limits.setCurrentIndex(self.limits.findData("custom"))
            for field, value in zip((self.low, self.high), typed, strict=True):
                field.setText(f"{_to_float(str(value), 0.0):.5g}")
        elif self.limits.currentData() == "custom":
            self.limits.setCurrentIndex(max(self.limits.findData(self.memory.of_all("limits", Stretch().limits)), 0))

    def _restore(self) -> None:
        default, stored = Stretch(), self.memory.of_all
        kinds = {True: stored("colour_kind", LUPTON), False: stored("kind", default.kind)}
        self._kinds = {
            True: kinds[True] if kinds[True] in (*KINDS, LUPTON) else LUPTON,
            False: kinds[False] if kinds[False] in KINDS else default.kind,
        }
        self.kind.setCurrentText(self._kinds[False])
        self.limits.setCurrentIndex(max(self.limits.findData(stored("limits", default.limits)), 0))
        self.softening.setValue(int(float(stored("softening", default.softening * 100))))
        midtone = _to_float(stored("midtone", ""), 0.0)
        self.midtone.set_value(midtone if 0 < midtone < 1 else None)
        self.colour_map.setCurrentText(stored("colour_map", default.colour_map))
        self._show_applicable()


def _to_float(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
