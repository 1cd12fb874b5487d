"""Which image of a file, how large its pixels are, and what its bands are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

PICTURE = 56
COMMON = "0.05 HST ACS · 0.1 Euclid VIS · 0.168 HSC · 0.187 CFHT · 0.2 LSST, KiDS · 0.262 DECaLS, DES · 0.396 SDSS"


class ImageDialog(QDialog):
    """A table of the images of a file; the chosen one is ``key()``: an HDU number or the name of a dataset.

    Pictures come one by one, when they are read.
    """

    def __init__(self, name: str, images: Sequence[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose an image")
        self.resize(680, 420)
        self._images = list(images)
        self.table = QTableWidget(len(images), 4, objectName="images")
        self.table.setHorizontalHeaderLabels(["Image", "Size", "Type", "Remark"])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setStretchLastSection(True)
        for row, image in enumerate(self._images):
            title = f"{image.key} {image.name}".strip() if isinstance(image.key, int) else str(image.key)
            remark = " · ".join(part for part in ("picked at first" if image.picked else "", image.remark) if part)
            for column, text in enumerate((title, " × ".join(map(str, image.shape)), image.dtype, remark)):
                self.table.setItem(row, column, QTableWidgetItem(text))
            if image.picked:
                self.table.selectRow(row)
        self.table.setIconSize(QSize(PICTURE, PICTURE))
        self.table.verticalHeader().setDefaultSectionSize(PICTURE + 6)
        self.table.resizeColumnsToContents()
        self.table.setColumnWidth(0, self.table.columnWidth(0) + PICTURE + 8)
        self.table.doubleClicked.connect(self.accept)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(QLabel(f"Images in {name}:"))
        column.addWidget(self.table, 1)
        column.addWidget(buttons)

    def readable(self) -> list[int | str]:
        """HDUs or datasets that there can be pictures of, the first hundred."""
        return [image.key for image in self._images][:100]

    def show_thumbnail(self, picture: tuple[int | str, Any]) -> None:
        """Show the picture of an image: its key and brightness (y, x) uint8, its top row first."""
        key, levels = picture
        row = next(row for row, image in enumerate(self._images) if image.key == key)
        height, width = levels.shape
        shown = QImage(levels.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
        self.table.item(row, 0).setIcon(QIcon(QPixmap.fromImage(shown)))

    def key(self) -> int | str | None:
        """HDU or dataset that was chosen."""
        row = self.table.currentRow()
        return self._images[row].key if 0 <= row < len(self._images) else None


class PixelScaleDialog(QDialog):
    """Asks for the pixel scale of a mosaic in arcsec."""

    def __init__(self, name: str, now: float | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Pixel scale")
        told = f"{name} has {now:.4g}″ per pixel." if now else f"{name} does not say how large its pixels are."
        text = QLabel(
            f"{told}\nThe lens finder looks at a fixed angular size, so a wrong scale costs lenses.", wordWrap=True
        )
        self.scale = QDoubleSpinBox(
            decimals=4, minimum=0.0001, maximum=60.0, singleStep=0.01, suffix=" ″/px", objectName="pixel-scale"
        )
        self.scale.setValue(now or 0.2)
        self.scale.setAccessibleName("Pixel scale in arcsec")
        hint = QLabel(COMMON, wordWrap=True)
        hint.setProperty("role", "muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow(text)
        form.addRow("One pixel is", self.scale)
        form.addRow(hint)
        form.addRow(buttons)
        self.scale.setFocus(Qt.FocusReason.OtherFocusReason)
        self.scale.selectAll()


class BandsDialog(QDialog):
    """Asks for the names of the bands of a mosaic, in the order of its files or planes; each name once."""

    def __init__(self, name: str, bands: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Names of the bands")
        self.line = QLineEdit(", ".join(bands), objectName="bands")
        self.line.setAccessibleName("Names of the bands")
        self._count = len(bands)
        text = QLabel(
            f"The {len(bands)} bands of {name}, in the order of its files or planes, such as g, r, i. Models of "
            "certain bands and the order of the colours go by these names.",
            wordWrap=True,
        )
        self._wrong = QLabel()
        self._wrong.setProperty("role", "error")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.line.textChanged.connect(self._check)
        column = QVBoxLayout(self)
        for widget in (text, self.line, self._wrong, buttons):
            column.addWidget(widget)
        self.line.setFocus(Qt.FocusReason.OtherFocusReason)
        self.line.selectAll()

    def names(self) -> list[str]:
        """The names that were typed, parted by commas or blanks."""
        return self.line.text().replace(",", " ").split()

    def _check(self) -> None:
        """Take only as many names as there are bands, each once."""
        names = self.names()
        told = "" if len(names) == self._count else f"{len(names)} names for {self._count} bands"
        if len(set(names)) < len(names):
            told = "a name stands there twice"
        self._wrong.setText(told)
        self._ok.setEnabled(not told)
