"""Limits of all columns: numbers between two limits, and words that are chosen; the rest is left out of the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QLocale
from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.filters import Filters

COLUMNS = (
    ("Score", "score"),
    ("Raw score", "raw_score"),
    ("Spread of the score", "spread"),
    ("Flux", "flux"),
    ("Half-light radius, pixels", "radius"),
    ("S/N", "signal_to_noise"),
    ("Einstein radius, arcsec", "einstein_radius"),
    ("RA, degrees", "ra"),
    ("Dec, degrees", "dec"),
    ("x, pixels", "x"),
    ("y, pixels", "y"),
)
WORDS = (
    ("Kind", "kind"),
    ("Graded by", "grader"),
    ("Scored by", "model"),
    ("Mosaic", "mosaic"),
    ("Known objects", "known"),
)
Range = tuple[str, float | None, float | None]


class LimitsDialog(QDialog):
    """Least and most of each column of numbers, and a choice for each of words.

    ``ranges()`` and ``choices()`` say what was typed and chosen. An empty field is no limit. ``choices`` has text and
    value of what there is; columns that are ``hidden`` cannot be limited.
    """

    def __init__(
        self,
        filters: Filters,
        choices: Mapping[str, Sequence[tuple[str, Any]]],
        hidden: frozenset[str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Limits of columns")
        now = {name: (low, high) for name, low, high in filters.ranges}
        grid = QGridLayout()
        grid.addWidget(QLabel("at least"), 0, 1)
        grid.addWidget(QLabel("at most"), 0, 2)
        self.fields: dict[str, tuple[QLineEdit, QLineEdit]] = {}
        for row, (text, name) in enumerate((one for one in COLUMNS if one[1] not in hidden), start=1):
            low, high = (self._field(value, f"{text}, {side}") for value, side in zip(
                now.get(name, (None, None)), ("at least", "at most"), strict=True
            ))  # fmt: skip
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(low, row, 1)
            grid.addWidget(high, row, 2)
            self.fields[name] = (low, high)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(grid)
        column.addSpacing(6)
        column.addLayout(self._make_choices(filters, choices, hidden))
        column.addSpacing(6)
        column.addWidget(self.buttons)

    def _make_choices(
        self, filters: Filters, choices: Mapping[str, Sequence[tuple[str, Any]]], hidden: frozenset[str]
    ) -> QFormLayout:
        form = QFormLayout()
        self.boxes: dict[str, QComboBox] = {}
        for text, name in WORDS:
            if name in hidden:
                continue
            box = self.boxes[name] = QComboBox(objectName=f"choice-{name}")
            box.setAccessibleName(text)
            box.addItem("all", getattr(Filters(), name))
            for title, value in choices[name]:
                box.addItem(title, value)
            box.setCurrentIndex(max(box.findData(getattr(filters, name)), 0))
            form.addRow(text, box)
        return form

    def choices(self) -> dict[str, Any]:
        """The words that were chosen, by field of ``Filters``."""
        return {name: box.currentData() for name, box in self.boxes.items()}

    def _field(self, value: float | None, name: str) -> QLineEdit:
        field = QLineEdit("" if value is None else repr(value))
        validator = QDoubleValidator(field)
        validator.setLocale(QLocale.c())  # a point, as the numbers are shown everywhere
        field.setValidator(validator)
        field.setAccessibleName(name)
        field.setFixedWidth(110)
        return field

    def ranges(self) -> tuple[Range, ...]:
        """The limits that were typed."""
        typed = [(name, _number(low.text()), _number(high.text())) for name, (low, high) in self.fields.items()]
        return tuple(one for one in typed if one[1:] != (None, None))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
