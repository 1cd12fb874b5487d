"""Controls of the saliency map: method, which of the network's fields, opacity."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSlider, QToolButton, QWidget

from deeplense_gui import style

METHOD_NAMES = {"gradcam": "Grad-CAM", "integrated_gradients": "Integrated gradients"}


class SaliencyBar(QWidget):
    """``asked(method)`` wants a map, ``cleared`` none any more; ``opacity_changed(0..1)``; ``field_chosen(index)``."""

    asked = Signal(str)
    cleared = Signal()
    opacity_changed = Signal(float)
    field_chosen = Signal(int)

    def __init__(self, methods: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 2, 10, 6)
        row.setSpacing(6)
        self.explain = QPushButton("Explain", icon=style.icon("saliency"), objectName="explain")
        self.explain.setToolTip("Show which parts of the stamp made the score (E; Shift+E by gradients)")
        self.explain.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.explain.clicked.connect(lambda: self.asked.emit(self.method.currentData()))
        self.method = self._combo("Saliency method", "Grad-CAM is coarse and quick, integrated gradients fine and slow")
        self.method.setObjectName("method")
        for method in methods:
            self.method.addItem(METHOD_NAMES.get(method, method), method)
        self.method.setMinimumContentsLength(7)
        self.method.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.field = self._combo("Field of the map", "The network looks at several fields: the map of which one")
        self.field.activated.connect(self.field_chosen)
        self.field.setMinimumContentsLength(3)  # it keeps its place, so that nothing moves when a map comes
        self.field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.opacity = QSlider(Qt.Orientation.Horizontal, objectName="opacity")
        self.opacity.setRange(0, 100)
        self.opacity.setMinimumWidth(56)
        self.opacity.setAccessibleName("Opacity of the saliency map")
        self.opacity.setToolTip("Opacity of the map; H hides everything drawn over the pixels")
        self.opacity.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))
        self.clear = QToolButton(icon=style.icon("close"), objectName="clear-saliency")
        self.clear.setAccessibleName("Take the saliency map away")
        self.clear.setToolTip("Take the saliency map away")
        self.clear.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clear.clicked.connect(self.cleared)
        row.addWidget(self.explain)
        row.addWidget(self.method, 2)
        row.addWidget(self.field)
        row.addWidget(self.opacity, 2)
        row.addWidget(self.clear)
        self.show_fields(())

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

    def show_fields(self, sides: Sequence[str], chosen: int = 0) -> None:
        """Offer the fields of a map by their sides; none when there is no map."""
        self.field.clear()
        self.field.addItems(list(sides))
        self.field.setCurrentIndex(chosen)
        self.field.setEnabled(len(sides) > 1)
        self.clear.setEnabled(bool(sides))
