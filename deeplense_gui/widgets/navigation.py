"""Moving over a plane of pixels: drag to pan, wheel to zoom at the cursor, Ctrl and arrows, fit, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from deeplense_gui.widgets.view import View

_CLICK_POINTS = 4
_SETTLE_MS = 120
_ARROWS = {Qt.Key.Key_Left: (1, 0), Qt.Key.Key_Right: (-1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1)}


class Navigator(QWidget):
    """A widget that looks at a part of a plane of ``shape`` (ny, nx) pixels, y up; None is nothing to look at.

    ``view_changed`` comes with each move, ``settled`` a moment after the last one.
    """

    view_changed = Signal()
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.shape: tuple[int, int] | None = None
        self._view = View()
        self._fitted = True
        self._drag: QPointF | None = None
        self._pressed: QPointF | None = None
        self._settling = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settling.timeout.connect(self.settled)

    # where it looks -----------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """Centre and zoom."""
        return self._view

    def set_view(self, view: View) -> None:
        """Look elsewhere."""
        self._fitted = False
        self._look(view)

    def _look(self, view: View) -> None:
        self._view = view
        self._settling.start()
        self.view_changed.emit()
        self.update()

    def fit(self) -> None:
        """Show the whole plane."""
        if self.shape is not None:
            self._look(replace(self._view, width=self.width(), height=self.height()).fitted(self.shape))
            self._fitted = True

    def actual_size(self) -> None:
        """One pixel of the plane on one of the screen."""
        self.zoom_by(1 / self.devicePixelRatioF() / self._view.zoom)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom about a point of the widget, its middle by default."""
        if self.shape is not None:
            at = at or QPointF(self.width() / 2, self.height() / 2)
            self.set_view(self._view.zoomed(factor, at, self.shape))

    def centre_on(self, x: float, y: float, *, zoom: float | None = None) -> None:
        """Put a pixel position in the middle."""
        if self.shape is not None:
            self.set_view(replace(self._view, x=x, y=y, zoom=zoom or self._view.zoom))

    def pan(self, right: float, up: float) -> None:
        """Move the view by shares of its size."""
        if self.shape is not None:
            self.set_view(self._view.moved(-right * self.width(), up * self.height(), self.shape))

    # mouse and keys -----------------------------------------------------------------------------------------------

    def clicked_at(self, point: QPointF) -> None:
        """The left button was clicked without a drag; for those who know what is there."""

    def hover_at(self, point: QPointF) -> None:
        """The cursor moves with no button down."""

    def rest(self) -> None:
        """Show the cursor for no drag."""
        self.setCursor(Qt.CursorShape.CrossCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a drag or a click."""
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._drag = self._pressed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan while a button is down, else look what is under the cursor."""
        point = event.position()
        if self._drag is None or self.shape is None:
            self.hover_at(point)
            return
        if (point - (self._pressed or point)).manhattanLength() > _CLICK_POINTS or not self._pressed:
            moved = point - self._drag
            self._pressed = None
            self._drag = point
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.set_view(self._view.moved(moved.x(), moved.y(), self.shape))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a drag, or a click."""
        if self._pressed is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked_at(event.position())
        self._drag = self._pressed = None
        self.rest()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show the whole plane."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the cursor."""
        self.zoom_by(1.0015 ** event.angleDelta().y(), event.position())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl and an arrow key pan by a quarter of the view, with Shift by all of it."""
        step = _ARROWS.get(Qt.Key(event.key()))
        if step and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            share = 1.0 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0.25
            self.pan(-step[0] * share, step[1] * share)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the centre, or the whole in view if that is what was shown."""
        if self._fitted:
            self.fit()
        else:
            self._look(replace(self._view, width=self.width(), height=self.height()))
