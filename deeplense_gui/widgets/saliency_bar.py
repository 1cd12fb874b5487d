"""Saliency maps: their controls (method, which of the network's fields, opacity), and laying them over a stamp."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSlider, QToolButton, QWidget

from deeplense_gui import style
from deeplense_gui.widgets.stamp import StampView
from engine.types import Saliency

_KEPT = 64  # candidates whose maps are remembered
METHOD_NAMES = {"gradcam": "Grad-CAM", "integrated_gradients": "Integrated gradients", "occlusion": "Occlusion"}
METHOD_TIP = (
    "Grad-CAM is coarse and quick, integrated gradients fine and slower; occlusion hides patch after patch and takes "
    "longest"
)


class SaliencyBar(QWidget):
    """Lays the map of the candidate over ``view``; maps that were made are kept, so that they show again at once.

    ``asked(method)`` wants a map; ``opacity_changed(percent)`` is for remembering.
    """

    asked = Signal(str)
    opacity_changed = Signal(int)

    def __init__(self, methods: Sequence[str], view: StampView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._maps: OrderedDict[int, Saliency] = OrderedDict()
        self._candidate: int | None = None
        self._in_pixels = False
        self._chosen: int | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 2, 10, 6)
        row.setSpacing(6)
        self.explain = QPushButton("Explain", icon=style.icon("saliency"), objectName="explain")
        self.explain.setToolTip("Show which parts of the stamp made the score (E; Shift+E by gradients)")
        self.explain.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.explain.clicked.connect(lambda: self.asked.emit(self.method.currentData()))
        self.method = self._combo("Saliency method", METHOD_TIP)
        self.method.setObjectName("method")
        for method in methods:
            self.method.addItem(METHOD_NAMES.get(method, method), method)
        self.method.setMinimumContentsLength(7)
        self.method.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.field = self._combo("Field of the map", "The network looks at several fields: the map of which one")
        self.field.activated.connect(self._on_field)
        self.field.setMinimumContentsLength(3)  # it keeps its place, so that nothing moves when a map comes
        self.field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.opacity = QSlider(Qt.Orientation.Horizontal, objectName="opacity")
        self.opacity.setRange(0, 100)
        view.set_opacity(0)  # as the slider stands
        self.opacity.setMinimumWidth(56)
        self.opacity.setAccessibleName("Opacity of the saliency map")
        self.opacity.setToolTip("Opacity of the map; H hides everything drawn over the pixels")
        self.opacity.valueChanged.connect(self._on_opacity)
        self.clear = QToolButton(icon=style.icon("close"), objectName="clear-saliency")
        self.clear.setAccessibleName("Take the saliency map away")
        self.clear.setToolTip("Take the saliency map away")
        self.clear.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clear.clicked.connect(self._on_clear)
        row.addWidget(self.explain)
        row.addWidget(self.method, 2)
        row.addWidget(self.field)
        row.addWidget(self.opacity, 2)
        row.addWidget(self.clear)
        self._show_fields(())

    def _combo(self, name: str, tip: str) -> QComboBox:
        combo = QComboBox()
        combo.setAccessibleName(name)
        combo.setToolTip(tip)
        combo.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return combo

    def choose_method(self, method: str) -> None:
        """Show a method as the chosen one."""
        self.method.setCurrentIndex(max(self.method.findData(method), 0))

    def show_busy(self, busy: bool) -> None:
        """Whether a map is being made."""
        self.explain.setText("Explain…" if busy else "Explain")
        self._view.set_notice("explaining…" if busy else "")

    def forget(self) -> None:
        """Forget all maps."""
        self._maps.clear()

    def take(self, identity: int, saliency: Saliency) -> None:
        """Keep the map of a candidate, and show it if it is that candidate's turn."""
        self._maps[identity] = saliency
        self._maps.move_to_end(identity)
        while len(self._maps) > _KEPT:
            self._maps.popitem(last=False)
        self._show()

    def show_candidate(self, identity: int | None, *, in_pixels: bool = False) -> None:
        """Show the map of a candidate, if there is one; ``in_pixels`` where the mosaic has no pixel scale."""
        self._candidate, self._in_pixels = identity, in_pixels
        self._show()

    def _show(self) -> None:
        """Lay the map over the view: that of the field nearest to what is shown, unless one was chosen."""
        saliency = self._maps.get(self._candidate) if self._candidate is not None else None
        if saliency is None:
            self._view.show_saliency(None)
            self._show_fields(())
            return
        per_unit = 1 / saliency.pixel_scales[0] if self._in_pixels else 1.0
        sides = [saliency.maps.shape[-1] * scale * per_unit for scale in saliency.pixel_scales]
        nearest = min(range(len(sides)), key=lambda k: abs(sides[k] - self._view.field.side))
        index = self._chosen if self._chosen is not None and self._chosen < len(sides) else nearest
        self._show_fields([f"{side:.3g}{' px' if self._in_pixels else '″'}" for side in sides], index)
        self._view.show_saliency(saliency.maps[index], sides[index])

    def _show_fields(self, sides: Sequence[str], chosen: int = 0) -> None:
        """Offer the fields of a map by their sides; none when there is no map."""
        self.field.clear()
        self.field.addItems(list(sides))
        self.field.setCurrentIndex(chosen)
        self.field.setEnabled(len(sides) > 1)
        self.clear.setEnabled(bool(sides))

    def _on_field(self, index: int) -> None:
        self._chosen = index
        self._show()

    def _on_clear(self) -> None:
        if self._candidate is not None:
            self._maps.pop(self._candidate, None)
        self._show()

    def _on_opacity(self, percent: int) -> None:
        self._view.set_opacity(percent / 100)
        self.opacity_changed.emit(percent)
