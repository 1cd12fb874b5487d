"""Scale bar, compass, badge and selection, drawn over pixels: light lines with a dark rim, readable on anything."""

from __future__ import annotations

import math
from functools import lru_cache

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from deeplense_gui import style
from deeplense_gui.widgets.coordinates import angle, nice_length
from engine.images.grid import Orientation

INK = QColor("#f2f5fa")
_RIM = QColor(0, 0, 0, 170)
_MARGIN = 14
_BAR = 150.0
_ARM = 34.0
_ROUND = Qt.PenJoinStyle.RoundJoin
_HALO = 2.0  # points around letters


def draw_lines(
    painter: QPainter, lines: list[tuple[QPointF, QPointF]], colour: QColor = INK, width: float = 1.6
) -> None:
    """Lines with a dark rim."""
    for pen_colour, pen_width in ((_RIM, width + 2.4), (colour, width)):
        painter.setPen(QPen(pen_colour, pen_width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for start, end in lines:
            painter.drawLine(start, end)


def draw_text(
    painter: QPainter, box: QRectF, text: str, flags: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignCenter
) -> None:
    """Text with a dark rim all around, readable on a bright sky too."""
    font, ratio = painter.font(), painter.device().devicePixelRatioF()
    letters = _letters(text, font.pointSizeF(), font.bold(), ratio)
    width, height = letters.width() / ratio, letters.height() / ratio
    left = box.left() - _HALO
    if flags & Qt.AlignmentFlag.AlignRight:
        left = box.right() - width + _HALO
    elif not flags & Qt.AlignmentFlag.AlignLeft:
        left = box.center().x() - width / 2
    top = box.center().y() - height / 2
    painter.drawImage(QPointF(round(left * ratio) / ratio, round(top * ratio) / ratio), letters)


@lru_cache(maxsize=512)
def _letters(text: str, points: float, bold: bool, ratio: float) -> QImage:
    """A text with its rim, drawn once: stroking letters in every frame is slow."""
    font = style.font(points=points, bold=bold)
    metrics = QFontMetricsF(font)
    width, height = metrics.horizontalAdvance(text) + 2 * _HALO, metrics.height() + 2 * _HALO
    image = QImage(round(width * ratio) or 1, round(height * ratio) or 1, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    outline = QPainterPath()
    outline.addText(_HALO, _HALO + metrics.ascent(), font, text)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.strokePath(outline, QPen(_RIM, 3.0, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, _ROUND))
    painter.fillPath(outline, INK)
    painter.end()
    return image


def scale_bar_box(area: QRect) -> QRectF:
    """The place of the scale bar: bottom left."""
    return QRectF(area.left(), area.bottom() - 46, min(_BAR, area.width() / 3) + 2 * _MARGIN, 46)


def compass_box(area: QRect) -> QRectF:
    """The place of the compass: bottom right."""
    side = 2 * (_ARM + 16) * 0.72 + 2 * _MARGIN
    return QRectF(area.right() - side, area.bottom() - side, side, side)


def draw_bar(painter: QPainter, start: QPointF, end: QPointF, text: str) -> None:
    """A horizontal bar with its length above it."""
    ends = [(QPointF(at.x(), at.y() - 4), QPointF(at.x(), at.y() + 4)) for at in (start, end)]
    draw_lines(painter, [(start, end), *ends])
    painter.setFont(style.font(points=9, bold=True))
    draw_text(painter, QRectF(start.x(), start.y() - 24, max(end.x() - start.x(), 40), 18), text)


def draw_scale_bar(
    painter: QPainter, area: QRect, pixel_scale: float | None, zoom: float, *, widest: float = _BAR
) -> None:
    """A round length at the bottom left: an angle, or pixels without a pixel scale; ``zoom`` is points to a pixel."""
    widest = min(widest, area.width() / 3)
    per_point = (pixel_scale or 1.0) / zoom
    length = nice_length(widest * per_point, angular=pixel_scale is not None)
    text = angle(length) if pixel_scale is not None else f"{length:g} px"
    start = QPointF(area.left() + _MARGIN, area.bottom() - _MARGIN)
    draw_bar(painter, start, start + QPointF(length / per_point, 0), text)


def draw_compass(painter: QPainter, area: QRect, orientation: Orientation, *, length: float = _ARM) -> None:
    """Arrows to north and east at the bottom right, as the sky lies on the mosaic (y up)."""
    arms = {"N": orientation.north, "E": orientation.east}
    reach = length + 16
    centre = QPointF(area.right() - _MARGIN - reach * 0.72, area.bottom() - _MARGIN - reach * 0.72)
    # the corner is moved so that neither arrow leaves it
    centre += QPointF(*(-0.28 * reach * max(arm[k] * sign for arm in arms.values()) for k, sign in ((0, 1), (1, -1))))
    painter.setFont(style.font(points=9, bold=True))
    for name, (x, y) in arms.items():
        tip = centre + QPointF(x, -y) * length
        heading = math.atan2(-y, x)
        barbs = [(tip, tip - QPointF(math.cos(heading + turn), math.sin(heading + turn)) * 7) for turn in (0.45, -0.45)]
        draw_lines(painter, [(centre, tip), *barbs])
        box = QRectF(0, 0, 20, 20)
        box.moveCenter(centre + QPointF(x, -y) * (length + 10))
        draw_text(painter, box, name)


def badges_box(area: QRect, rows: int) -> QRectF:
    """The place of a number of notices: top left."""
    return QRectF(area.left(), area.top(), min(420, area.width() / 2), _MARGIN + 28 * rows)


def draw_badge(painter: QPainter, area: QRect, text: str, *, row: int = 0) -> None:
    """A notice at the top left; ``row`` counts those above it."""
    painter.setFont(style.font(points=9, bold=True))
    width = painter.fontMetrics().horizontalAdvance(text) + 18
    box = QRectF(area.left() + _MARGIN - 4, area.top() + _MARGIN - 4 + 28 * row, width, 24)
    painter.setPen(QPen(QColor(style.theme().warning), 1))
    painter.setBrush(QColor(8, 10, 14, 215))
    painter.drawRoundedRect(box, 5, 5)
    painter.setPen(QColor("#facc15"))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def draw_selection(painter: QPainter, point: QPointF, radius: float) -> None:
    """A larger ring with four ticks around the selected candidate."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    ring = radius + 5
    for colour, width in ((_RIM, 4.0), (INK, 2.0)):
        painter.setPen(QPen(colour, width))
        painter.drawEllipse(point, ring, ring)
    ticks = [
        (point + QPointF(x, y) * ring, point + QPointF(x, y) * (ring + 8))
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    draw_lines(painter, ticks, width=2.0)


def draw_crosshair(painter: QPainter, point: QPointF, gap: float, reach: float) -> None:
    """Four thin lines that leave the middle free."""
    arms = ((1, 0), (-1, 0), (0, 1), (0, -1))
    lines = [(point + QPointF(x, y) * gap, point + QPointF(x, y) * reach) for x, y in arms]
    draw_lines(painter, lines, QColor("#5aa9ff"), 1.2)
