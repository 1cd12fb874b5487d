"""The mosaic on the screen: tiles at the right level, circles around candidates, scale bar and compass."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from deeplense_gui import style
from deeplense_gui.widgets import overlays
from deeplense_gui.widgets.colours import to_image
from deeplense_gui.widgets.markers import MOST_DRAWN, Markers, draw_circles
from deeplense_gui.widgets.stretch import Coder, Painter, Stretch
from deeplense_gui.widgets.tiles import Orientation, Overview, Place, TileCache, TileReader
from deeplense_gui.widgets.view import View
from engine.types import Mosaic, Positions

_PAINT_SECONDS = 0.007  # for colouring tiles within one frame; the rest follows in the next ones
_MARKER_ARCSEC = 3.5
_CLICK_POINTS = 4


class MosaicCanvas(QWidget):
    """A mosaic of any size, y up: drag to pan, wheel to zoom, click a circle to select.

    Pixels are read in a thread of the canvas' own; a frame never waits for the disk. Signals:
    ``candidate_clicked(id)``; ``hovered(x, y)`` in pixels; ``probed(Probe | None)`` with position and values under
    the cursor, None when it left; ``view_changed``; ``limits_known`` when the bands shown can be coloured;
    ``failed(text)`` when a part of the file cannot be read.
    """

    candidate_clicked = Signal(int)
    hovered = Signal(float, float)
    probed = Signal(object)
    view_changed = Signal()
    limits_known = Signal()
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(200, 160)
        self.setAccessibleName("Mosaic")
        self.describe: Callable[[int], str] | None = None
        self.mosaic: Mosaic | None = None
        self.stretch = Stretch()
        self.overlays = True
        self.markers = Markers()
        self.selection: int | None = None
        self._view = View()
        self._fitted = True
        self._reader: TileReader | None = None
        self._cache = TileCache()
        self._overviews: dict[int, Overview] = {}
        self._painter: Painter | None = None
        self._background: tuple[Painter, QImage] | None = None
        self._orientation: Orientation | None = None
        self._drag: QPointF | None = None
        self._pressed: QPointF | None = None
        self._under_cursor: int | None = None
        self._circles: tuple[object, QImage, NDArray[np.intp]] | None = None
        self._circles_in_view = 0
        self._settled = QTimer(self, singleShot=True, interval=120)
        self._settled.timeout.connect(self._settle)

    def sizeHint(self) -> QSize:
        """A comfortable size."""
        return QSize(800, 600)

    # what is shown ------------------------------------------------------------------------------------------------

    def set_mosaic(self, mosaic: Mosaic | None) -> None:
        """Show a mosaic from the start, whole; None shows nothing."""
        self.close_reader()
        self.mosaic = mosaic
        self._cache, self._overviews = TileCache(), {}
        self._painter = self._background = self._orientation = self._circles = None
        self.markers, self.selection, self._under_cursor = Markers(), None, None
        self._fitted = True
        if mosaic is not None:
            self._reader = TileReader(mosaic)
            self._reader.overview_read.connect(self._take_overview)
            self._reader.tile_read.connect(self._take_tile)
            self._reader.probed.connect(self.probed)
            self._reader.oriented.connect(self._take_orientation)
            self._reader.failed.connect(self.failed)
            self.destroyed.connect(self._reader.stop)
            if any(band >= len(mosaic.bands) for band in self.stretch.bands):
                self.stretch = replace(self.stretch, bands=(0,))
            self.fit()
        self.update()

    def close_reader(self, *, wait: bool = False) -> None:
        """Stop reading; ``wait`` for what is being read, at the end of the program."""
        if self._reader is not None:
            self._reader.disconnect(self)
            self._reader.stop()
            if wait:
                self._reader.join()
            self._reader = None

    def set_stretch(self, stretch: Stretch) -> None:
        """Colour the pixels anew; nothing is read again."""
        if stretch != self.stretch:
            self.stretch = stretch
            self._make_painter()
            self.update()

    def coder(self, band: int) -> Coder | None:
        """The scale and a sorted sample of a band's values, once its overview is read."""
        return self._overviews[band].coder if band in self._overviews else None

    def set_candidates(
        self,
        xy: Positions,
        ids: NDArray[np.int64],
        grades: Sequence[str | None] | NDArray[np.object_],
        scores: NDArray[np.floating] | None = None,
    ) -> None:
        """Show circles at pixel positions (n, 2), coloured by grade, in place of those before."""
        self.markers.set(xy, ids, grades, scores)
        self._circles = None
        self.update()

    def update_candidates(
        self, xy: Positions, ids: Sequence[int], grades: Sequence[str | None], scores: Sequence[float]
    ) -> None:
        """Add circles, or change those of ids that are there."""
        self.markers.update(xy, ids, grades, scores)
        self._circles = None
        self.update()

    def remove_candidates(self, ids: Sequence[int]) -> None:
        """Take circles away."""
        self.markers.remove(ids)
        self._circles = None
        self.update()

    def select(self, candidate_id: int | None, *, reveal: bool = True) -> None:
        """Highlight a candidate; ``reveal`` moves it into view if it is outside."""
        self.selection = candidate_id
        place = self.markers.position(candidate_id)
        if reveal and place is not None:
            point = self._view.point(*place)
            margin = 0 if self._fitted else min(60, self.width() // 6, self.height() // 6)
            if not self.rect().adjusted(margin, margin, -margin, -margin).contains(point.toPoint()):
                self.centre_on(*place)
        self.update()

    def set_overlays(self, shown: bool) -> None:
        """Show or hide all that is drawn over the pixels."""
        self.overlays = shown
        self.update()

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
        self._settled.start()
        self.view_changed.emit()
        self.update()

    def fit(self) -> None:
        """Show the whole mosaic."""
        if self.mosaic is not None:
            self._look(replace(self._view, width=self.width(), height=self.height()).fitted(self.mosaic.shape))
            self._fitted = True

    def actual_size(self) -> None:
        """One pixel of the mosaic on one of the screen."""
        self.zoom_by(1 / self.devicePixelRatioF() / self._view.zoom)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom about a point of the widget, its middle by default."""
        if self.mosaic is not None:
            at = at or QPointF(self.width() / 2, self.height() / 2)
            self.set_view(self._view.zoomed(factor, at, self.mosaic.shape))

    def centre_on(self, x: float, y: float, *, zoom: float | None = None) -> None:
        """Put a pixel position in the middle."""
        if self.mosaic is not None:
            self.set_view(replace(self._view, x=x, y=y, zoom=zoom or self._view.zoom))

    def centre_on_selection(self) -> None:
        """Put the selected candidate in the middle, close enough to see it."""
        place = self.markers.position(self.selection)
        if place is not None:
            self.centre_on(*place, zoom=max(self._view.zoom, 2.0))

    def _settle(self) -> None:
        if self._reader is not None and self.mosaic is not None and self.mosaic.wcs is not None:
            self._reader.orient(self._view.x, self._view.y)

    # what the reader brings ---------------------------------------------------------------------------------------

    def _take_overview(self, overview: Overview) -> None:
        self._overviews[overview.band] = overview
        if overview.band in self.stretch.bands:
            self._make_painter()
        self.update()

    def _make_painter(self) -> None:
        """A painter for the stretch once the scale of each of its bands is known; the old one serves until then."""
        if all(band in self._overviews for band in self.stretch.bands):
            coders = {band: self._overviews[band].coder for band in self.stretch.bands}
            self._painter = Painter(self.stretch, coders, style.theme().no_data)
            self.limits_known.emit()

    def _take_tile(self, key: tuple[int, int, int, int], codes: NDArray[np.uint16]) -> None:
        self._cache.add(key, codes)
        self.update()

    def _take_orientation(self, orientation: Orientation | None) -> None:
        self._orientation = orientation
        self.update()

    # painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Background, tiles, overlays."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(style.theme().canvas))
        if self.mosaic is not None and self._reader is not None:
            self._draw_pixels(painter, self._reader)
            if self.overlays:
                self._draw_overlays(painter, self.mosaic)
        painter.end()

    def _draw_pixels(self, painter: QPainter, reader: TileReader) -> None:
        level = self._view.level(reader.pyramid.levels, self.devicePixelRatioF())
        places = self._places(level, reader)
        bands = self.stretch.bands
        missing = [key for place in places for key in self._cache.missing(place, bands)]
        reader.want(bands, missing)
        if self._painter is None:
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._smooth(level))
        pictures = self._pictures(places)
        if len(pictures) < len(places):
            self._draw_background(painter)
            self._draw_parents(painter, [place for place in places if place not in pictures], reader)
        for place, picture in pictures.items():
            painter.drawImage(self._rectangle(place, picture.width(), picture.height(), reader), picture)

    def _smooth(self, level: int) -> bool:
        """Whether to interpolate: not at whole device pixels, nor where a person wants to see the pixels."""
        shown = self._view.zoom * self.devicePixelRatioF() * 2**level
        return shown < 3 and abs(shown - 1) > 1e-6

    def _places(self, level: int, reader: TileReader) -> list[Place]:
        """Tiles in view, from the middle outwards."""
        x0, x1, y0, y1 = self._view.edges()
        side = reader.pyramid.tile_size * 2**level
        ny, nx = reader.mosaic.shape
        columns = range(max(int((x0 + 0.5) // side), 0), min(int((x1 + 0.5) // side), (nx - 1) // side) + 1)
        rows = range(max(int((y0 + 0.5) // side), 0), min(int((y1 + 0.5) // side), (ny - 1) // side) + 1)
        middle = (self._view.y / side - 0.5, self._view.x / side - 0.5)
        places = [(level, row, column) for row in rows for column in columns]
        return sorted(places, key=lambda place: (place[1] - middle[0]) ** 2 + (place[2] - middle[1]) ** 2)

    def _pictures(self, places: list[Place]) -> dict[Place, QImage]:
        """Pictures of the tiles that are read; those not coloured in time keep their last colours for a frame."""
        pictures: dict[Place, QImage] = {}
        until = time.perf_counter() + _PAINT_SECONDS
        late = False
        for place in places:
            known = self._cache.picture(place)
            if known is None or known[0] is not self._painter:
                codes = self._cache.codes(place, self.stretch.bands) if self._painter is not None else None
                if codes is not None and self._painter is not None and time.perf_counter() < until:
                    known = (self._painter, to_image(self._painter.paint(codes)))
                    self._cache.keep_picture(place, *known)
                else:
                    late = late or codes is not None
            if known is not None:
                pictures[place] = known[1]
        if late:
            QTimer.singleShot(0, self, self.update)
        return pictures

    def _rectangle(self, place: Place, columns: int, rows: int, reader: TileReader) -> QRectF:
        level, row, column = place
        side, step = reader.pyramid.tile_size * 2**level, 2**level
        x0, y0 = column * side - 0.5, row * side - 0.5
        return self._view.rectangle(x0, y0, x0 + columns * step, y0 + rows * step, self.devicePixelRatioF())

    def _draw_background(self, painter: QPainter) -> None:
        """The overview under tiles that are not read yet."""
        if self._painter is None:
            return
        if self._background is None or self._background[0] is not self._painter:
            codes = [self._overviews[band].codes for band in self._painter.stretch.bands]
            self._background = (self._painter, to_image(self._painter.paint(codes)))
        picture, step = self._background[1], self._overviews[self._painter.stretch.bands[0]].step
        edges = (-0.5, -0.5, picture.width() * step - 0.5, picture.height() * step - 0.5)
        painter.drawImage(self._view.rectangle(*edges, self.devicePixelRatioF()), picture)

    def _draw_parents(self, painter: QPainter, places: list[Place], reader: TileReader) -> None:
        """Coarser tiles that are already there in place of finer ones that are not."""
        parents = dict.fromkeys((level + 1, row // 2, column // 2) for level, row, column in places)
        for parent in parents:
            known = self._cache.picture(parent)
            if known is not None:
                painter.drawImage(self._rectangle(parent, known[1].width(), known[1].height(), reader), known[1])

    def _draw_overlays(self, painter: QPainter, mosaic: Mosaic) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_markers(painter, mosaic)
        overlays.draw_scale_bar(painter, self.rect(), mosaic.pixel_scale, self._view.zoom)
        if self._orientation is not None:
            overlays.draw_compass(painter, self.rect(), self._orientation)
        if mosaic.wcs is None:
            overlays.draw_badge(painter, self.rect(), "no WCS: pixels")

    def _marker_radius(self, mosaic: Mosaic) -> float:
        """Radius of the circles, in points."""
        pixels = _MARKER_ARCSEC / mosaic.pixel_scale if mosaic.pixel_scale else 14
        return min(max(pixels * self._view.zoom, 7), 60)

    def _draw_markers(self, painter: QPainter, mosaic: Mosaic) -> None:
        if not len(self.markers):
            return
        radius, ratio = self._marker_radius(mosaic), self.devicePixelRatioF()
        key = (self._view, self.markers.xy.ctypes.data, len(self.markers), radius, ratio)
        if self._circles is None or self._circles[0] != key:
            self._circles = (key, *self._make_circles(radius, ratio))
        _, image, shown = self._circles
        painter.drawImage(0, 0, image)
        if len(shown) < self._circles_in_view:
            overlays.draw_badge(painter, self.rect(), f"the best {len(shown):,} candidates in view: zoom in for more")
        place = self.markers.position(self.selection)
        if place is not None:
            overlays.draw_selection(painter, self._view.point(*place), radius)

    def _make_circles(self, radius: float, ratio: float) -> tuple[QImage, NDArray[np.intp]]:
        x0, x1, y0, y1 = self._view.edges()
        margin = radius / self._view.zoom
        near = self.markers.inside(x0 - margin, x1 + margin, y0 - margin, y1 + margin, MOST_DRAWN + 1)
        shown, self._circles_in_view = self.markers.worth_drawing(near), len(near)
        centre, middle = np.array([self._view.x, self._view.y]), np.array([self.width() / 2, self.height() / 2])
        points = ((self.markers.xy[shown] - centre) * (self._view.zoom, -self._view.zoom) + middle) * ratio
        size = (round(self.width() * ratio), round(self.height() * ratio))
        return draw_circles(points.astype(np.float32), self.markers.shades(shown), size, radius * ratio, ratio), shown

    def candidate_at(self, point: QPointF) -> int | None:
        """The id of the candidate whose circle is nearest to a point of the widget, if it is within the circle."""
        if self.mosaic is None or not len(self.markers) or not self.overlays:
            return None
        x, y = self._view.pixel(point)
        reach = (self._marker_radius(self.mosaic) + 2) / self._view.zoom
        near = self.markers.inside(x - reach, x + reach, y - reach, y + reach)
        if not len(near):
            return None
        distances = np.hypot(*(self.markers.xy[near] - (x, y)).T)
        nearest = int(np.argmin(distances))
        return int(self.markers.ids[near[nearest]]) if distances[nearest] <= reach else None

    # mouse and keys -----------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a drag or a click."""
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._drag = self._pressed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan while a button is down, else look what is under the cursor."""
        point = event.position()
        if self._drag is not None and self.mosaic is not None:
            moved = point - self._drag
            if (point - (self._pressed or point)).manhattanLength() > _CLICK_POINTS or not self._pressed:
                self._pressed = None
                self._drag = point
                self.setCursor(Qt.CursorShape.ClosedHandCursor)
                self.set_view(self._view.moved(moved.x(), moved.y(), self.mosaic.shape))
            return
        self._hover(point)

    def _hover(self, point: QPointF) -> None:
        if self._reader is None:
            return
        x, y = self._view.pixel(point)
        self.hovered.emit(x, y)
        self._reader.probe(x, y)
        found = self.candidate_at(point)
        if found != self._under_cursor:
            self._under_cursor = found
            self.setCursor(Qt.CursorShape.CrossCursor if found is None else Qt.CursorShape.PointingHandCursor)
            if found is None:
                QToolTip.hideText()
            elif self.describe is not None:
                QToolTip.showText(self.mapToGlobal(point.toPoint()), self.describe(found), self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a drag, or select what was clicked."""
        if self._pressed is not None and event.button() == Qt.MouseButton.LeftButton:
            found = self.candidate_at(event.position())
            if found is not None:
                self.candidate_clicked.emit(found)
        self._drag = self._pressed = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show the whole mosaic."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the cursor."""
        self.zoom_by(1.0015 ** event.angleDelta().y(), event.position())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl and an arrow key pan."""
        steps = {
            Qt.Key.Key_Left: (1, 0),
            Qt.Key.Key_Right: (-1, 0),
            Qt.Key.Key_Up: (0, 1),
            Qt.Key.Key_Down: (0, -1),
        }
        step = steps.get(Qt.Key(event.key()))
        if step and self.mosaic is not None and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            dx, dy = step[0] * self.width() / 4, step[1] * self.height() / 4
            self.set_view(self._view.moved(dx, dy, self.mosaic.shape))
        else:
            super().keyPressEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the cursor any more."""
        self._under_cursor = None
        self.probed.emit(None)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the centre, or the whole in view if that is what was shown."""
        if self._fitted:
            self.fit()
        else:
            self._look(replace(self._view, width=self.width(), height=self.height()))
