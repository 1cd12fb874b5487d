"""What to export, in which format, and where to."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

FORMATS = (
    ("CSV table", ".csv"),
    ("ECSV table, with units", ".ecsv"),
    ("FITS table", ".fits"),
    ("VOTable", ".vot"),
    ("Parquet table", ".parquet"),
    ("DS9 regions", ".reg"),
    ("Report with stamps (HTML)", ".html"),
    ("Report, six candidates a page (PDF)", ".pdf"),
    ("Report, a page for each candidate (PDF)", ".pages.pdf"),
    ("Stamps of all bands, FITS and PNG (a folder)", ".stamps"),
    ("Journal of all that was said (CSV)", ".journal.csv"),
    ("Training set of the graded (HDF5)", ".h5"),
)


class ExportDialog(QDialog):
    """Format, which candidates, and the file; ``path()``, ``filtered()`` and ``once`` say what was chosen.

    ``repeated`` is how many candidates are marked as the same object as another one.
    """

    def __init__(self, stem: Path, shown: int, total: int, repeated: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self.format = QComboBox(objectName="format")
        for text, suffix in FORMATS:
            self.format.addItem(f"{text}  {suffix}", suffix)
        self.file = QLineEdit(str(stem.with_suffix(".csv")), objectName="file")
        self.file.setMinimumWidth(420)
        self.file.setAccessibleName("File")
        browse = QPushButton("Browse…")
        browse.clicked.connect(self._browse)
        self.shown = QRadioButton(
            f"The {shown:,} in the list, as filtered and sorted", checked=True, objectName="shown"
        )
        self.all = QRadioButton(f"All {total:,} of the project", objectName="all")
        group = QButtonGroup(self)
        group.addButton(self.shown)
        group.addButton(self.all)
        self.format.currentIndexChanged.connect(self._on_format)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Save).setText("Export")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        place = QHBoxLayout()
        place.addWidget(self.file, 1)
        place.addWidget(browse)
        which = QVBoxLayout()
        which.addWidget(self.shown)
        which.addWidget(self.all)
        self.once = QCheckBox(f"Each object once: without {repeated:,} marked as duplicates", objectName="once")
        self.once.setChecked(repeated > 0)
        self.once.setVisible(repeated > 0)
        which.addWidget(self.once)
        form = QFormLayout(self)
        form.addRow("Format", self.format)
        form.addRow("Candidates", which)
        form.addRow("File", place)
        form.addRow(self.buttons)

    def path(self) -> Path:
        """The file to write, with the suffix of the format."""
        path = Path(self.file.text().strip()).expanduser()
        suffix = self.format.currentData()
        endings = sorted((ending for _, ending in FORMATS), key=len, reverse=True)
        known = next((ending for ending in endings if path.name.lower().endswith(ending)), "")
        if known == suffix:
            return path
        return path.with_name(path.name.removesuffix(path.name[len(path.name) - len(known) :]) + suffix)

    def filtered(self) -> bool:
        """Whether only the candidates of the list are meant."""
        return self.shown.isChecked()

    def _on_format(self) -> None:
        self.file.setText(str(self.path()))
        whole = self.format.currentData() in (".h5", ".journal.csv")
        for button in (self.shown, self.all, self.once):
            button.setEnabled(not whole)

    def _browse(self) -> None:
        suffix = self.format.currentData()
        name, _ = QFileDialog.getSaveFileName(
            self, "Export to", str(self.path()), f"{self.format.currentText()} (*{suffix})"
        )
        if name:
            self.file.setText(name)
            self.file.setText(str(self.path()))
