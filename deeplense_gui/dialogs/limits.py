"""Limits of the columns of numbers: what lies outside is left out of the list."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QDoubleValidator
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

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
Range = tuple[str, float | None, float | None]


class LimitsDialog(QDialog):
    """Least and most of each column; ``ranges()`` says what was typed. An empty field is no limit."""

    def __init__(self, ranges: Sequence[Range], hidden: frozenset[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Limits of columns")
        now = {name: (low, high) for name, low, high in ranges}
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
        column.addWidget(self.buttons)

    def _field(self, value: float | None, name: str) -> QLineEdit:
        field = QLineEdit("" if value is None else f"{value:g}")
        field.setValidator(QDoubleValidator(field))
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
