"""How scores and grades are painted in the table."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from deeplense_gui import style
from deeplense_gui.models.candidates import VALUE_ROLE

Index = QModelIndex | QPersistentModelIndex


class _Painted(QStyledItemDelegate):
    """Paints the cell's background as the style does, then its own content on top."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """As Qt asks for it."""
        self.initStyleOption(option, index)
        option.text = ""
        QApplication.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        value = index.data(VALUE_ROLE)
        if value is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.draw(painter, QRectF(option.rect), value)
        painter.restore()

    def draw(self, painter: QPainter, cell: QRectF, value: object) -> None:
        """Paint the value into the cell."""
        raise NotImplementedError


class ScoreDelegate(_Painted):
    """The score as a number with a bar beside it."""

    def draw(self, painter: QPainter, cell: QRectF, value: object) -> None:
        """Paint number and bar."""
        assert isinstance(value, float)
        colours = style.theme()
        groove = cell.adjusted(54, cell.height() / 2 - 3, -10, -(cell.height() / 2 - 3))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(groove, 3, 3)
        bar = QRectF(groove)
        bar.setWidth(max(groove.width() * min(max(value, 0.0), 1.0), 2.0))
        painter.setBrush(QColor(colours.accent))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setPen(QColor(colours.text))
        number = cell.adjusted(6, 0, 50 - cell.width(), 0)
        painter.drawText(number, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, f"{value:.3f}")


class GradeDelegate(_Painted):
    """The grade as a chip in its colour."""

    def draw(self, painter: QPainter, cell: QRectF, value: object) -> None:
        """Paint the chip."""
        chip = QRectF(0, 0, 24, min(cell.height() - 6, 18))
        chip.moveCenter(cell.center())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(style.grade_colour(str(value)))
        painter.drawRoundedRect(chip, 4, 4)
        font = style.font(points=9, bold=True)
        painter.setFont(font)
        painter.setPen(QColor("#10131a"))
        painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, str(value))
