"""Which columns of a catalogue of known objects hold what, seen on its first rows, and how close a match lies."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.errors import EngineError

WHAT = (
    ("Right ascension", "ra", "Degrees, hours or sexagesimal"),
    ("Declination", "dec", "Degrees or sexagesimal"),
    ("Name", "name", "What the object is called; without one, its position names it"),
    ("Reference", "reference", "Who published it; without one, the name of the file"),
    ("Grading", "grading", "How it was graded there"),
)
ROWS = 8
WIDEST = 220  # of a column of the preview
NONE = "(none)"


class CrossmatchDialog(QDialog):
    """Shows what was guessed of a ``KnownTable``; ``columns()`` and ``radius`` are what was chosen."""

    def __init__(self, table: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Match with {table.path.name}")
        self.resize(760, 480)
        self._table = table
        form = QFormLayout()
        self.boxes: dict[str, QComboBox] = {}
        for title, what, tip in WHAT:
            box = self.boxes[what] = QComboBox(objectName=f"column-{what}")
            box.setAccessibleName(title)
            box.setToolTip(tip)
            box.addItem(NONE if what not in ("ra", "dec") else "choose…", None)
            for name in table.columns:
                box.addItem(name, name)
            box.setCurrentIndex(max(box.findData(table.guess[what]), 0))
            box.currentIndexChanged.connect(lambda _: self._show())
            form.addRow(title, box)
        self.radius = QDoubleSpinBox(decimals=1, minimum=0.1, maximum=600, singleStep=0.5, value=3.0, suffix="″")
        self.radius.setAccessibleName("Radius")
        self.radius.setToolTip("How far apart the two positions of one object may be")
        self.radius.setFixedWidth(90)
        form.addRow("Radius", self.radius)
        self.preview = QTableWidget(0, len(WHAT), objectName="preview")
        self.preview.setHorizontalHeaderLabels(["RA, degrees", "Dec, degrees", "Name", "Reference", "Grading"])
        self.preview.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.preview.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.preview.verticalHeader().hide()
        self.preview.verticalHeader().setDefaultSectionSize(25)
        self.preview.horizontalHeader().setStretchLastSection(True)
        self.told = QLabel(wordWrap=True)
        self.told.setMinimumHeight(2 * self.fontMetrics().lineSpacing() + 4)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Match")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.preview, 1)
        column.addWidget(self.told)
        column.addWidget(self.buttons)
        self._show()

    def columns(self) -> dict[str, str | None]:
        """The column chosen for each; None for none."""
        return {what: box.currentData() for what, box in self.boxes.items()}

    def _show(self) -> None:
        """Show the first rows as they would be read, or what is wrong."""
        missing = [title.lower() for title, what, _ in WHAT[:2] if self.columns()[what] is None]
        try:
            objects = None if missing else self._table.objects(self.columns(), first=ROWS)
            trouble = f"choose the column of the {' and of the '.join(missing)}" if missing else ""
        except EngineError as error:
            objects, trouble = None, str(error)
        count = 0 if objects is None else len(objects)
        self.preview.setRowCount(count)
        for row in range(count):
            texts = (f"{objects.ra[row]:.6f}", f"{objects.dec[row]:+.6f}", objects.names[row], objects.references[row],
                     objects.gradings[row])  # fmt: skip
            for column, text in enumerate(texts):
                self.preview.setItem(row, column, QTableWidgetItem(text))
        self.preview.resizeColumnsToContents()
        for column in range(len(WHAT)):
            self.preview.setColumnWidth(column, min(self.preview.columnWidth(column), WIDEST))
        left_out = "" if objects is None else "".join(f" {note}." for note in objects.notes)
        told = f"The first of {self._table.rows:,} rows, as they are read.{left_out}"
        self.told.setText(f"{trouble[:1].upper()}{trouble[1:]}." if trouble else told)
        self.told.setProperty("role", "error" if trouble else "muted")
        self.told.style().polish(self.told)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not trouble)
