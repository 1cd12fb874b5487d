"""The mosaic on the screen: its pixels, and over them all that says where things are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QToolTip, QWidget

from deeplense_gui import style
from deeplense_gui.widgets import overlays
from deeplense_gui.widgets.circle_layer import CircleLayer
from deeplense_gui.widgets.furniture import Furniture
from deeplense_gui.widgets.grid_layer import GridLayer
from deeplense_gui.widgets.later import Later
from deeplense_gui.widgets.layers import LAYERS
from deeplense_gui.widgets.markers import Markers
from deeplense_gui.widgets.navigation import Navigator
from deeplense_gui.widgets.ruler import Ruler
from deeplense_gui.widgets.shape_layer import ContourPaths, FootprintLayer, KnownLayer, RegionLayer, outline
from deeplense_gui.widgets.stretch import Coder, Stretch
from deeplense_gui.widgets.tile_layer import TileLayer
from deeplense_gui.widgets.tiles import Overview, TileReader
from engine.images.contours import contours
from engine.images.grid import Notation, orientation
from engine.images.positions import Frame
from engine.types import Mosaic, Positions

_POINTING_MS = 4000


class MosaicCanvas(Navigator):
    """A mosaic of any size, y up: drag to pan, wheel to zoom, click a circle to select.

    Pixels are read in a thread of the canvas' own; a frame never waits for the disk. Signals:
    ``candidate_clicked(id)``; ``probed(Probe | None)`` with position and values under the cursor, None when it left;
    ``menu_wanted(global position, x, y)`` where the right button was pressed; ``measured(text)``;
    ``limits_known`` when the bands shown can be coloured; ``failed(text)`` when a part of the file cannot be read.
    """

    candidate_clicked = Signal(int)
    probed = Signal(object)
    menu_wanted = Signal(QPoint, float, float)
    measured = Signal(str)
    measuring_changed = Signal(bool)
    limits_known = Signal()
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(200, 160)
        self.setAccessibleName("Mosaic")
        self.describe: Callable[[int], str] | None = None
        self.mosaic: Mosaic | None = None
        self.stretch = Stretch()
        self.overlays = True
        self.concealing = False
        self.shown = {layer.id for layer in LAYERS if layer.shown}
        self.selection: int | None = None
        self.frame: Frame = "icrs"
        self.notation: Notation = "sexagesimal"
        self.contour_band: int | None = None
        self.contour_sigmas: tuple[float, ...] = (3, 5, 10, 20, 50)
        self.measuring = False
        self.ruler = Ruler()
        self._pointed: tuple[float, float] | None = None
        self._pointing = QTimer(self, singleShot=True, interval=_POINTING_MS)
        self._pointing.timeout.connect(self._stop_pointing)
        self._later = Later(self)
        self._reader: TileReader | None = None
        self._forget()
        self.settled.connect(self._settle)

    def _forget(self) -> None:
        """Start with nothing: no mosaic, or another one."""
        scale = None if self.mosaic is None else self.mosaic.pixel_scale
        self.circles = CircleLayer(scale)
        self.regions, self.known, self.footprint = RegionLayer(), KnownLayer(), FootprintLayer()
        self._tiles: TileLayer | None = None
        self._grid: GridLayer | None = None
        self._contours: ContourPaths | None = None
        self._furniture = Furniture(self.mosaic)
        self._under_cursor: int | None = None
        self.selection = self._pointed = None
        self.ruler.clear()

    # what is shown ------------------------------------------------------------------------------------------------

    def set_mosaic(self, mosaic: Mosaic | None) -> None:
        """Show a mosaic from the start, whole; None shows nothing."""
        self.close_reader()
        self.mosaic, self.shape = mosaic, None if mosaic is None else mosaic.shape
        self._forget()
        self._fitted = True
        if mosaic is not None:
            self._reader = reader = TileReader(mosaic)
            reader.overview_read.connect(self._take_overview)
            reader.tile_read.connect(self._take_tile)
            reader.answered.connect(self._take_answer)
            reader.tile_read.connect(self._later.ask)
            reader.failed.connect(self.failed)
            self.destroyed.connect(reader.stop)
            if any(band >= len(mosaic.bands) for band in self.stretch.bands):
                self.stretch = replace(self.stretch, bands=(0,))
            self._tiles = TileLayer(reader, self.stretch)
            if mosaic.wcs is not None:
                self._grid = GridLayer(mosaic)
                self._grid.set_frame(self.frame, self.notation)
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
            if self._tiles is not None and self._tiles.set_stretch(stretch):
                self.limits_known.emit()
            self.update()

    @property
    def coders(self) -> dict[int, Coder]:
        """The scales and sorted samples of the bands whose overviews are read."""
        return {} if self._tiles is None else dict(self._tiles.coders())

    @property
    def is_complete(self) -> bool:
        """Whether every tile in view is read and can be coloured."""
        tiles = self._tiles
        return (
            tiles is not None and tiles.painter is not None and tiles.is_complete(self.view, self.devicePixelRatioF())
        )

    @property
    def markers(self) -> Markers:
        """The candidates of the mosaic."""
        return self.circles.markers

    def set_candidates(
        self, xy: Positions, ids: NDArray[np.int64], grades: Sequence[str | None] | NDArray[np.object_],
        scores: NDArray[np.floating] | None = None,
    ) -> None:  # fmt: skip
        """Show circles at pixel positions (n, 2), coloured by grade, in place of those before."""
        self.markers.set(xy, ids, grades, scores)
        self._redraw_circles()

    def update_candidates(
        self, xy: Positions, ids: Sequence[int], grades: Sequence[str | None], scores: Sequence[float]
    ) -> None:
        """Add circles, or change those of ids that are there."""
        self.markers.update(xy, ids, grades, scores)
        self._redraw_circles()

    def remove_candidates(self, ids: Sequence[int]) -> None:
        """Take circles away."""
        self.markers.remove(ids)
        self._redraw_circles()

    def _redraw_circles(self) -> None:
        self.circles.changed()
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

    def centre_on_selection(self) -> None:
        """Put the selected candidate in the middle, close enough to see it."""
        place = self.markers.position(self.selection)
        if place is not None:
            self.centre_on(*place, zoom=max(self._view.zoom, 2.0))

    def point_at(self, x: float, y: float) -> None:
        """Show a place with a crosshair for a moment."""
        self._pointed = (x, y)
        self._pointing.start()
        self.update()

    def _stop_pointing(self) -> None:
        self._pointed = None
        self.update()

    # overlays -----------------------------------------------------------------------------------------------------

    def set_overlays(self, shown: bool) -> None:
        """Show or hide all that is drawn over the pixels."""
        self.overlays = shown
        self.update()

    def show_layer(self, name: str, shown: bool) -> None:
        """Show or hide one of the overlays."""
        (self.shown.add if shown else self.shown.discard)(name)
        self._settle()
        self.update()

    def shows(self, name: str) -> bool:
        """Whether an overlay is drawn now; known objects are not while they would tell too much."""
        return self.overlays and name in self.shown and not (self.concealing and name == "known")

    def set_concealing(self, on: bool) -> None:
        """Draw nothing that tells what is known of a candidate: for blind vetting."""
        self.concealing = on
        self.update()

    def set_frame(self, frame: Frame, notation: Notation) -> None:
        """Choose the coordinates of the grid and of what is read under the cursor."""
        self.frame, self.notation = frame, notation
        if self._grid is not None:
            self._grid.set_frame(frame, notation)
        self._settle()

    def set_contours(self, band: int | None, sigmas: Sequence[float]) -> None:
        """Choose the band that contours are of (the first one shown where it is None), and their levels."""
        self.contour_band, self.contour_sigmas = band, tuple(sigmas)
        self._settle()

    def set_measuring(self, on: bool) -> None:
        """Let the left button draw a line to measure with, instead of moving the view."""
        if on != self.measuring:
            self.measuring = on
            self.ruler.clear()
            self.rest()
            self.measuring_changed.emit(on)
            self.update()

    def _settle(self) -> None:
        """Ask for what goes with this view, once it stands still."""
        reader, mosaic, tiles = self._reader, self.mosaic, self._tiles
        if reader is None or mosaic is None or tiles is None:
            return
        view = self._view
        if mosaic.wcs is not None:
            reader.ask("orientation", lambda: orientation(mosaic, view.x, view.y))
            self._ask_grid(settled=True)
        if "contours" in self.shown:
            band = self.stretch.bands[0] if self.contour_band is None else self.contour_band
            level = view.level(reader.pyramid.levels, self.devicePixelRatioF())
            box, sigmas, pyramid = view.edges(), self.contour_sigmas, reader.pyramid
            reader.ask(
                "contours", lambda: ContourPaths.of(contours(pyramid, band, box, level, sigmas=sigmas)), later=True
            )
        if "footprint" in self.shown and tiles.overviews:
            overview = next(iter(tiles.overviews.values()))
            reader.ask("outline", lambda: outline(overview), later=True)

    def _ask_grid(self, *, settled: bool) -> None:
        if self._grid is not None and self._reader is not None and "grid" in self.shown:
            question = self._grid.question(self._view, settled=settled)
            if question is not None:
                self._reader.ask("grid", question)

    # what the reader brings ---------------------------------------------------------------------------------------

    def _take_overview(self, overview: Overview) -> None:
        if self._tiles is not None and self._tiles.take_overview(overview):
            self.limits_known.emit()
            self._settle()
        self.update()

    def _take_tile(self, key: tuple[int, int, int, int], codes: NDArray[np.uint16]) -> None:
        if self._tiles is not None:
            self._tiles.take_tile(key, codes)

    def _take_answer(self, kind: str, answer: object) -> None:
        if kind == "probe":
            self.probed.emit(answer)
            return
        if kind == "orientation":
            self._furniture.orientation = answer
        elif kind == "grid" and self._grid is not None:
            self._grid.take(answer)
        elif kind == "contours":
            self._contours = answer
        elif kind == "outline":
            self.footprint.set_outline(answer)
        self._later.ask()

    # painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Background, tiles, overlays."""
        self._later.stop()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(style.theme().canvas))
        if self.mosaic is not None and self._tiles is not None:
            if self._tiles.draw(painter, self._view, self.devicePixelRatioF()):
                self._later.ask()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            if self.overlays:
                self._draw_overlays(painter, self.mosaic)
            self.ruler.draw(painter, self._view, self.mosaic)
            if self._pointed is not None:
                overlays.draw_crosshair(painter, self._view.point(*self._pointed), 10, 34)
        painter.end()

    def _draw_overlays(self, painter: QPainter, mosaic: Mosaic) -> None:
        view = self._view
        if self.shows("footprint"):
            self.footprint.draw(painter, view)
        if self.shows("contours") and self._contours is not None:
            self._contours.draw(painter, view)
        if self.shows("grid") and self._grid is not None:
            self._ask_grid(settled=False)
            self._grid.draw(painter, view, self._furniture.boxes(self.rect(), self.shown))
        if self.shows("regions"):
            self.regions.draw(painter, view)
        if self.shows("known"):
            self.known.draw(painter, view)
        notices = ["no WCS: pixels"] if mosaic.wcs is None else []
        if self.shows("candidates"):
            notices.append(self.circles.draw(painter, view, self.devicePixelRatioF(), self.selection))
        tiles = self._tiles
        stretch = self.stretch if tiles is None or tiles.painter is None else tiles.painter.stretch
        self._furniture.draw(painter, self.rect(), view, self.shown, stretch, self.coders, notices)

    # mouse and keys -----------------------------------------------------------------------------------------------

    def candidate_at(self, point: QPointF) -> int | None:
        """The id of the candidate whose circle is nearest to a point of the widget, if it is within the circle."""
        return self.circles.at(point, self._view) if self.shows("candidates") else None

    def clicked_at(self, point: QPointF) -> None:
        """Select what was clicked."""
        found = self.candidate_at(point)
        if found is not None:
            self.candidate_clicked.emit(found)

    def hover_at(self, point: QPointF) -> None:
        """Look what is under the cursor."""
        if self._reader is None:
            return
        self._reader.probe(*self._view.pixel(point), self.frame)
        found = self.candidate_at(point)
        if found != self._under_cursor:
            self._under_cursor = found
            self.setCursor(Qt.CursorShape.CrossCursor if found is None else Qt.CursorShape.PointingHandCursor)
            if found is None:
                QToolTip.hideText()
            elif self.describe is not None:
                QToolTip.showText(self.mapToGlobal(point.toPoint()), self.describe(found), self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to measure, where that is on; else as ever."""
        if self.measuring and event.button() == Qt.MouseButton.LeftButton and self.mosaic is not None:
            self.ruler.begin(*self._view.pixel(event.position()))
            self.update()
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw the line that measures; else as ever."""
        if self.measuring and event.buttons() & Qt.MouseButton.LeftButton and self.ruler.start is not None:
            self.ruler.end = self._view.pixel(event.position())
            self.update()
        else:
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Tell what was measured; else as ever."""
        super().mouseReleaseEvent(event)
        if self.measuring and event.button() == Qt.MouseButton.LeftButton and self.mosaic is not None:
            self.measured.emit(self.ruler.text(self.mosaic))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape ends measuring."""
        if event.key() == Qt.Key.Key_Escape and self.measuring:
            self.set_measuring(False)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer what can be done here."""
        if self.mosaic is not None:
            self.menu_wanted.emit(event.globalPos(), *self._view.pixel(QPointF(event.pos())))

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the cursor any more."""
        self._under_cursor = None
        self.probed.emit(None)
