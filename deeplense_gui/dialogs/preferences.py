"""What the user decides once: the name that signs the grades, and light or dark."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QWidget

from deeplense_gui.preferences import Preferences

THEMES = (("Dark", "dark"), ("Light", "light"), ("As the system", "system"))


class PreferencesDialog(QDialog):
    """Grader name and theme; kept when accepted."""

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Preferences")
        self._preferences = preferences
        self.grader = QLineEdit(preferences.grader, objectName="grader")
        self.grader.setMinimumWidth(260)
        self.theme = QComboBox(objectName="theme")
        for text, name in THEMES:
            self.theme.addItem(text, name)
        self.theme.setCurrentIndex(max(self.theme.findData(preferences.theme), 0))
        hint = QLabel(
            "Each grade and note is signed with this name, so that a team can tell whose it is.", wordWrap=True
        )
        hint.setProperty("role", "muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow("Your name", self.grader)
        form.addRow("", hint)
        form.addRow("Window", self.theme)
        form.addRow(buttons)

    def accept(self) -> None:
        """Keep what was chosen."""
        self._preferences.grader = self.grader.text()
        self._preferences.theme = self.theme.currentData()
        super().accept()
