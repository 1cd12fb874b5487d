"""The button with all that can be drawn over the mosaic; each can be shown or hidden, and that is remembered."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from deeplense_gui import style
from deeplense_gui.widgets.layers import LAYERS

SIGMAS = ("3 5 10 20 50", "2 3 5 8 12", "5 10 20 50 100", "10 30 100 300 1000")
_ON = ("true", "True", "1")


class OverlayButton(QToolButton):
    """``toggled_layer(id, shown)``; ``contours_changed(band | None, sigmas)``; the files are asked for by the panel."""

    toggled_layer = Signal(str, bool)
    contours_changed = Signal(object, object)
    regions_wanted = Signal()
    regions_removed = Signal()
    known_wanted = Signal()
    known_removed = Signal()

    def __init__(self, settings: QSettings | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings or QSettings("DeepLense", "DeepLense GUI")
        self.setIcon(style.icon("overlays"))
        self.setToolTip("What is drawn over the mosaic (H hides all)")
        self.setAccessibleName("Overlays of the mosaic")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setProperty("role", "tight")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.layers: dict[str, QAction] = {}
        for layer in LAYERS:
            action = menu.addAction(layer.text)
            action.setCheckable(True)
            action.setChecked(str(self._settings.value(f"overlays/{layer.id}", layer.shown)) in _ON)
            action.setToolTip(layer.tip)
            action.toggled.connect(lambda on, name=layer.id: self._toggle(name, on))
            self.layers[layer.id] = action
        menu.addSeparator()
        self.contours = menu.addMenu("Contours of")
        self.levels = menu.addMenu("Contour levels")
        self._fill_levels()
        menu.addSeparator()
        for text, signal in (
            ("Load regions…", self.regions_wanted),
            ("Remove the regions", self.regions_removed),
            ("Load known objects…", self.known_wanted),
            ("Remove the known objects", self.known_removed),
        ):
            menu.addAction(text).triggered.connect(signal)
        self.setMenu(menu)

    def shown(self) -> set[str]:
        """The ids of the overlays that are shown."""
        return {name for name, action in self.layers.items() if action.isChecked()}

    def show_layer(self, name: str, shown: bool = True) -> None:
        """Show or hide an overlay."""
        self.layers[name].setChecked(shown)

    def toggle_layer(self, name: str) -> None:
        """Show what is hidden, hide what is shown."""
        self.layers[name].toggle()

    def set_bands(self, bands: Sequence[str]) -> None:
        """Offer contours of the band that is shown, or of one of the mosaic's."""
        self.contours.clear()
        group = QActionGroup(self.contours)
        for text, band in (("the band shown", None), *((name, k) for k, name in enumerate(bands))):
            action = self.contours.addAction(text)
            action.setCheckable(True)
            action.setChecked(band is None)
            action.setData(band)
            group.addAction(action)
            action.triggered.connect(self._choose_contours)
        self._tell_contours()

    def _fill_levels(self) -> None:
        stored = str(self._settings.value("overlays/sigmas", SIGMAS[0]))
        group = QActionGroup(self.levels)
        for text in SIGMAS:
            action = self.levels.addAction(f"{text.replace(' ', ', ')} σ")
            action.setCheckable(True)
            action.setChecked(text == stored)
            action.setData(text)
            group.addAction(action)
            action.triggered.connect(self._choose_contours)

    def _choose_contours(self) -> None:
        """Choosing a band or levels shows the contours."""
        self._tell_contours()
        self.show_layer("contours")

    def _tell_contours(self) -> None:
        band = next((action.data() for action in self.contours.actions() if action.isChecked()), None)
        levels = next((str(action.data()) for action in self.levels.actions() if action.isChecked()), SIGMAS[0])
        self._settings.setValue("overlays/sigmas", levels)
        self.contours_changed.emit(band, tuple(float(level) for level in levels.split()))

    def _toggle(self, name: str, on: bool) -> None:
        self._settings.setValue(f"overlays/{name}", on)
        self.toggled_layer.emit(name, on)
