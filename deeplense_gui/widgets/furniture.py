"""What has its place at the edge of the canvas: scale bar, compass, colour bar, notices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QPainter

from deeplense_gui.widgets import overlays
from deeplense_gui.widgets.colour_bar import colour_bar_box, draw_band_names, draw_colour_bar
from deeplense_gui.widgets.stretch import Coder, Stretch
from deeplense_gui.widgets.view import View
from engine.images.grid import Orientation
from engine.types import Mosaic


class Furniture:
    """Draws it for one mosaic, and says which places it takes."""

    def __init__(self, mosaic: Mosaic | None) -> None:
        self.mosaic = mosaic
        self.orientation: Orientation | None = None
        self._notices = 0

    def draw(
        self,
        painter: QPainter,
        area: QRect,
        view: View,
        shown: Collection[str],
        stretch: Stretch,
        coders: Mapping[int, Coder],
        notices: Sequence[str],
    ) -> None:
        """Draw what is ``shown``, and notices at the top left; ``stretch`` is that of the pixels drawn."""
        mosaic = self.mosaic
        if mosaic is None:
            return
        if "scale" in shown:
            overlays.draw_scale_bar(painter, area, mosaic.pixel_scale, view.zoom)
        if "compass" in shown and self.orientation is not None:
            overlays.draw_compass(painter, area, self.orientation)
        if "colours" in shown and stretch.is_colour:
            draw_band_names(painter, area, [mosaic.bands[band] for band in stretch.bands])
        elif "colours" in shown and stretch.bands[0] in coders:
            band = stretch.bands[0]
            draw_colour_bar(painter, area, stretch, coders[band], mosaic.units[band] if mosaic.units else "")
        told = [text for text in notices if text]
        self._notices = len(told)
        for row, text in enumerate(told):
            overlays.draw_badge(painter, area, text, row=row)

    def boxes(self, area: QRect, shown: Collection[str]) -> list[QRectF]:
        """The places taken, for labels to keep clear of."""
        found = []
        if "scale" in shown:
            found.append(overlays.scale_bar_box(area))
        if "compass" in shown and self.orientation is not None:
            found.append(overlays.compass_box(area))
        if "colours" in shown:
            found.append(colour_bar_box(area))
        if self._notices:
            found.append(overlays.badges_box(area, self._notices))
        return found
