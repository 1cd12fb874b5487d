"""What this program is, and which model it uses."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

import engine
from engine.types import ModelCard

TEXT = """<h2>DeepLense</h2>
<p>Version {version} · BSD 3-Clause licence</p>
<p>Finds strong gravitational lenses in survey mosaics, and helps a person to judge them.</p>
<p><b>Model:</b> {model}</p>
<p><b>Networks:</b> {means}</p>"""


class AboutDialog(QDialog):
    """Version, licence, the card of the model in use, and ``means``: what runs it here."""

    def __init__(self, card: ModelCard | None, means: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About DeepLense")
        run = means or "not loaded yet"
        text = QLabel(TEXT.format(version=engine.__version__, model=describe(card), means=run), wordWrap=True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        text.setTextFormat(Qt.TextFormat.RichText)
        text.setMinimumWidth(420)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(22, 14, 22, 14)
        column.addWidget(text)
        column.addWidget(buttons)


def describe(card: ModelCard | None) -> str:
    """A model in a few words: key, network, scales, limits."""
    if card is None:
        return "none is installed"
    scales = ", ".join(f"{scale:g}″" for scale in card.pixel_scales)
    limits = f"<br>{card.limits}" if card.limits else ""
    return f"{card.key} ({card.architecture}, {card.size} px at {scales}){limits}"
