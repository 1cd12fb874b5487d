"""The colour bar: which pixel value has which colour; for three bands, which band has which."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from deeplense_gui import style
from deeplense_gui.widgets.colours import pack, ramp, to_image
from deeplense_gui.widgets.coordinates import number
from deeplense_gui.widgets.overlays import compass_box, draw_text
from deeplense_gui.widgets.stretch import Coder, Stretch

_WIDTH, _MARGIN = 12, 14
ROOM = 64  # points for a value such as -2.383e-11
_TALLEST, _SHORTEST = 220, 70
_TICKS = 5
_PANEL = QColor(8, 10, 14, 150)
_INK = QColor("#f2f5fa")
_CHANNELS = ("#ff8080", "#8cff8c", "#8fb4ff")


def colour_bar_box(area: QRect) -> QRectF:
    """The place of the colour bar: top right, above the compass; empty where there is no room."""
    height = min(_TALLEST, compass_box(area).top() - area.top() - 2 * _MARGIN)
    if height < _SHORTEST:
        return QRectF()
    width = _WIDTH + ROOM + 10
    return QRectF(area.right() - _MARGIN - width, area.top() + _MARGIN, width, height)


def draw_colour_bar(painter: QPainter, area: QRect, stretch: Stretch, coder: Coder, unit: str) -> None:
    """A bar from the darkest colour to the brightest, with values beside it and their unit on top."""
    box = colour_bar_box(area)
    if not box.isEmpty():
        ratio = painter.device().devicePixelRatioF()
        painter.drawImage(box.topLeft(), _picture(round(box.width()), round(box.height()), ratio, stretch, coder, unit))


@lru_cache(maxsize=8)
def _picture(width: int, height: int, ratio: float, stretch: Stretch, coder: Coder, unit: str) -> QImage:
    """The bar, drawn once: it is the same in every frame of a pan."""
    image = QImage(round(width * ratio), round(height * ratio), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_PANEL)
    painter.drawRoundedRect(QRectF(0, 0, width, height), 5, 5)
    painter.setFont(style.font(points=8))
    head = 18 if unit else 8
    bar = QRectF(width - _WIDTH - 6, head, _WIDTH, height - head - 8)
    painter.drawImage(bar, to_image(pack(ramp(stretch.colour_map))[::-1, None]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(_INK, 1))
    painter.drawRect(bar)
    if unit:
        top = QRectF(4, 2, width - 8, 14)
        text = painter.fontMetrics().elidedText(unit, Qt.TextElideMode.ElideRight, int(top.width()))
        draw_text(painter, top, text, Qt.AlignmentFlag.AlignRight)
    for value, share in ticks(stretch, coder):
        y = bar.bottom() - share * bar.height()
        painter.setPen(QPen(_INK, 1))
        painter.drawLine(QPointF(bar.left() - 4, y), QPointF(bar.left(), y))
        draw_text(painter, QRectF(0, y - 7, ROOM, 14), label(value), Qt.AlignmentFlag.AlignRight)
    painter.end()
    return image


def label(value: float) -> str:
    """The value of a tick: ``-1.6e-12`` rather than ``-1.600e-12``."""
    digits, power, exponent = number(value).partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}" if power else digits


def ticks(stretch: Stretch, coder: Coder, count: int = _TICKS) -> list[tuple[float, float]]:
    """Values of a band for the ticks of its bar, and how high each lies, 0..1.

    They are about as far apart as each other on the bar, and rounded as far as that moves them little.
    """
    low, high = coder.limits(stretch)
    values = np.linspace(low, high, 1025)
    if stretch.kind != "linear":  # most of the bar is close to its dark end
        values = np.unique(np.concatenate([values, low + np.geomspace(1e-6, 1, 512) * (high - low)]))
    bright = coder.brightness(values, stretch).astype(np.float64)
    found = []
    for share in np.linspace(0, 1, count):
        near = np.interp([share - 0.05, share, share + 0.05], bright, values)
        value = _rounded(near[1], near[2] - near[0])  # at the ends this may lie a hair outside
        inside = np.array([min(max(value, low), high)])
        found.append((float(value), float(coder.brightness(inside, stretch)[0])))
    return found


def _rounded(value: float, tolerance: float) -> float:
    """A value to the last digit that its tolerance leaves."""
    if not tolerance > 0:
        return value
    unit = 10 ** np.floor(np.log10(tolerance))
    return float(np.rint(value / unit) * unit)


def draw_band_names(painter: QPainter, area: QRect, names: Sequence[str]) -> None:
    """The bands shown as red, green and blue, each in its colour."""
    painter.setFont(style.font(points=9, bold=True))
    metrics = painter.fontMetrics()
    widths = [metrics.horizontalAdvance(name) + 12 for name in names]
    box = QRectF(area.right() - _MARGIN - sum(widths) - 8, area.top() + _MARGIN, sum(widths) + 8, 22)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_PANEL)
    painter.drawRoundedRect(box, 5, 5)
    left = box.left() + 4
    for name, width, colour in zip(names, widths, _CHANNELS, strict=True):
        painter.setPen(QColor(colour))
        painter.drawText(QRectF(left, box.top(), width, box.height()), Qt.AlignmentFlag.AlignCenter, name)
        left += width
