"""What the window asks: files, folders, formats, names. Each question is a dialog whose answer goes to the session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFileDialog, QInputDialog, QMainWindow

from deeplense_gui.actions import TAKEN
from deeplense_gui.dialogs.about import AboutDialog
from deeplense_gui.dialogs.calibration import CalibrationDialog
from deeplense_gui.dialogs.crossmatch import CrossmatchDialog
from deeplense_gui.dialogs.duplicates import DuplicatesDialog
from deeplense_gui.dialogs.export import ExportDialog
from deeplense_gui.dialogs.graders import GradersDialog
from deeplense_gui.dialogs.images import BandsDialog, ImageDialog, PixelScaleDialog
from deeplense_gui.dialogs.limits import LimitsDialog
from deeplense_gui.dialogs.preferences import PreferencesDialog
from deeplense_gui.dialogs.resolve import ResolveDialog
from deeplense_gui.dialogs.scheme import SchemeDialog
from deeplense_gui.dialogs.shared import SharedDialog
from deeplense_gui.dialogs.shortcuts import ShortcutsDialog
from deeplense_gui.panels.start import is_project
from deeplense_gui.preferences import is_address
from deeplense_gui.session import PROJECT_SUFFIX, TELLING, Session
from engine.types import Mosaic

SKY_FILES = "Mosaics (*.fits *.fit *.fts *.fz *.gz *.bz2 *.h5 *.hdf5 *.hdf *.npy);;All files (*)"
CATALOGUES = "Catalogues (*.csv *.tsv *.fits *.fit *.vot *.xml *.ecsv *.txt);;All files (*)"
PROJECT_FILES = f"DeepLense projects (*{PROJECT_SUFFIX})"


PICTURES = {".png", ".jpg", ".jpeg"}
MOST_BANDS = 12  # more files than this are stamps rather than the bands of a mosaic


def are_stamps(paths: Sequence[Path]) -> bool:
    """Whether files are stamps, and not the bands of one mosaic: folders, pictures, or a great many."""
    return len(paths) > MOST_BANDS or any(path.is_dir() or path.suffix.lower() in PICTURES for path in paths)


class Asking(QMainWindow):
    """A window that asks; ``session`` is whom the answers are for."""

    session: Session
    gallery_first = False  # the gallery comes to the front with what is opened next

    def open_files(self, paths: Sequence[Path | str]) -> None:
        """Open what was chosen or dropped: a project, stamps, or the other files as one mosaic."""
        shared = next((path for path in paths if is_address(path)), None)
        if shared is not None:
            self.session.open_project(shared)
            return
        files = [Path(path) for path in paths]
        projects = [path for path in files if is_project(path)]
        if projects:
            self.session.open_project(projects[0])
        others = [path for path in files if not is_project(path)]
        if are_stamps(others):
            self._open_stamps(others)
        elif others:
            self.session.open_mosaic(others)

    def ask_mosaic(self) -> None:
        """Ask for one file, or one a band, and open it."""
        names, _ = QFileDialog.getOpenFileNames(
            self, "Open mosaic (several files: one a band)", self.session.preferences.folder, SKY_FILES
        )
        if names:
            self.open_files(names)

    def ask_stamps(self) -> None:
        """Ask for a folder of stamps, and open it."""
        name = QFileDialog.getExistingDirectory(self, "Open folder of stamps", self.session.preferences.folder)
        if name:
            self._open_stamps([Path(name)])

    def _open_stamps(self, paths: Sequence[Path]) -> None:
        self.session.open_stamps(paths)
        self.gallery_first = True

    def ask_project(self) -> None:
        """Ask for a project file and open it."""
        folder = self.session.preferences.folder
        name, _ = QFileDialog.getOpenFileName(self, "Open project", folder, PROJECT_FILES)
        if name:
            self.session.open_project(name)

    def ask_shared(self, place: str = "") -> None:
        """Ask for the address of a project on a server, and open it or make it there."""
        recent = (paths[0] for paths in self.session.preferences.recent() if is_address(paths[0]))
        dialog = SharedDialog(self.session, place or next(recent, ""), self)
        dialog.accepted.connect(
            lambda: (self.session.new_project if dialog.is_new() else self.session.open_project)(dialog.address())
        )
        self._open(dialog)

    def ask_share(self) -> None:
        """Ask for the address of a server, and copy the project there for a team."""
        recent = (paths[0] for paths in self.session.preferences.recent() if is_address(paths[0]))
        dialog = SharedDialog(self.session, next(recent, "").split("?")[0], self, share=True)
        dialog.accepted.connect(lambda: self.session.copy_project(dialog.address()))
        self._open(dialog)

    def ask_new_project(self) -> None:
        """Ask where a new project goes, and start it."""
        name = self._ask_save("New project", "lenses")
        if name:
            self.session.new_project(name)

    def ask_save_as(self) -> None:
        """Ask for another file for the project, and go on there."""
        name = self._ask_save("Save project as", f"{self.session.project.name}-copy")
        if name:
            self.session.save_project_as(name)

    def _ask_save(self, title: str, stem: str) -> str:
        start = Path(self.session.preferences.folder) / f"{stem}{PROJECT_SUFFIX}"
        name, _ = QFileDialog.getSaveFileName(self, title, str(start), PROJECT_FILES)
        return name if not name or is_project(Path(name)) else name + PROJECT_SUFFIX

    def ask_moved(self, mosaic_id: str, path: str) -> None:
        """Ask where a mosaic of the project is now."""
        names, _ = QFileDialog.getOpenFileNames(
            self, f"Where is {Path(path).name} now?", self.session.preferences.folder, SKY_FILES
        )
        if names:
            self.session.relocate(mosaic_id, names)

    def ask_image(self) -> None:
        """Show the images of the open file, to choose another."""
        mosaic = self.session.mosaic
        if mosaic is not None:
            self.session.list_images(mosaic.paths[0], lambda images: self._choose_image(mosaic, images))

    def _choose_image(self, mosaic: Mosaic, images: list[Any]) -> None:
        dialog = ImageDialog(mosaic.paths[0].name, images, self)
        dialog.accepted.connect(lambda: self._open_image(mosaic, dialog.key()))
        self._open(dialog)
        reading = self.session.read_thumbnails(mosaic.paths[0], dialog.readable(), dialog.show_thumbnail)
        dialog.finished.connect(lambda: self.session.drop(reading))

    def _open_image(self, mosaic: Mosaic, key: int | str | None) -> None:
        if key is not None:
            option = {"hdu": key} if isinstance(key, int) else {"dataset": key}
            self.session.open_mosaic(mosaic.paths[:1], **option)

    def ask_pixel_scale(self) -> None:
        """Ask for the pixel scale of the shown mosaic."""
        mosaic = self.session.mosaic
        if mosaic is not None:
            dialog = PixelScaleDialog(mosaic.name, mosaic.pixel_scale, self)
            dialog.accepted.connect(lambda: self.session.set_pixel_scale(dialog.scale.value()))
            self._open(dialog)

    def ask_band_names(self) -> None:
        """Ask for the names of the bands of the shown mosaic."""
        mosaic = self.session.mosaic
        if mosaic is not None:
            dialog = BandsDialog(mosaic.name, mosaic.bands, self)
            dialog.accepted.connect(lambda: self.session.set_band_names(dialog.names()))
            self._open(dialog)

    def ask_export(self) -> None:
        """Ask for format and file, and export."""
        session = self.session
        stem = Path(session.preferences.folder) / session.project.name
        repeated = 0 if session.filters.once else session.repeated_count()
        dialog = ExportDialog(stem, len(session.ids()), sum(session.counts().values()), repeated, self)
        dialog.accepted.connect(
            lambda: session.export(dialog.path(), filtered=dialog.filtered(), once=dialog.once.isChecked())
        )
        self._open(dialog)

    def ask_merge(self) -> None:
        """Ask for other people's projects, and merge them into this one."""
        folder = self.session.preferences.folder
        names, _ = QFileDialog.getOpenFileNames(self, "Merge projects into this one", folder, PROJECT_FILES)
        if names:
            self.session.merge(names)

    def ask_import(self) -> None:
        """Ask for a CSV of earlier grades."""
        name, _ = QFileDialog.getOpenFileName(
            self, "Import grades", self.session.preferences.folder, "Tables (*.csv);;All files (*)"
        )
        if name:
            self.session.import_grades(name)

    def ask_crossmatch(self) -> None:
        """Ask for a catalogue of known objects, and match the candidates with it."""
        name, _ = QFileDialog.getOpenFileName(
            self, "Match with known objects", self.session.preferences.folder, CATALOGUES
        )
        if name:
            self.match_catalogue(name)

    def match_catalogue(self, path: Path | str) -> None:
        """Ask which columns of a catalogue hold what, and match the candidates with it."""
        self.session.read_catalogue(path, self._choose_columns)

    def _choose_columns(self, table: Any) -> None:
        dialog = CrossmatchDialog(table, self)
        dialog.accepted.connect(lambda: self.session.crossmatch(table, dialog.columns(), dialog.radius.value()))
        self._open(dialog)

    def ask_calibration(self) -> None:
        """Ask what the blind queue is made of, and for more calibration stamps."""
        session = self.session
        dialog = CalibrationDialog(session, self)
        dialog.making.connect(lambda counts: session.calibrate(**counts))
        dialog.accepted.connect(lambda: session.set_mixing(dialog.mixing()))
        self._open(dialog)

    def show_graders(self) -> None:
        """Show how each grader does on the calibration stamps."""
        session = self.session
        self._open(GradersDialog(session.grader_reports(), session.cut_report(), session.agreement(), self))

    def ask_scheme(self) -> None:
        """Ask for grades and kinds, and their keys."""
        session = self.session
        dialog = SchemeDialog(session.scheme(), session.ready_schemes(), TAKEN, session.names_in_use(), self)
        dialog.accepted.connect(lambda: session.set_scheme(dialog.scheme()))
        self._open(dialog)

    def show_statistics(self) -> None:
        """Show plots of what was graded, beside the window."""
        from deeplense_gui.dialogs.statistics import StatisticsDialog  # its plots take a while to load

        dialog = StatisticsDialog(self.session, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()

    def show_model(self) -> None:
        """Bring the panel of the model forward: which one scores, and teaching it."""
        self.docks["models"].show()
        self.docks["models"].raise_()

    def probe(self) -> None:
        """Ask what the score of the selected candidate hangs on, and show what comes of it."""
        self.docks["sensitivity"].show()
        self.docks["sensitivity"].raise_()
        self.session.probe()

    def show_duplicates(self) -> None:
        """Show groups of candidates that may be one object, beside the window."""
        self._show(DuplicatesDialog(self.session, self))

    def show_resolve(self) -> None:
        """Show all grades of the selected candidate, beside the window."""
        self._show(ResolveDialog(self.session, self))

    def _show(self, dialog: QDialog) -> None:
        """Show a dialog beside the window, in the place of one of its kind."""
        for other in self.findChildren(type(dialog)):
            if other is not dialog:
                other.close()
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()

    def ask_limits(self) -> None:
        """Ask for limits of the columns of numbers."""
        session = self.session
        hidden = TELLING | {"known"} if session.blind else frozenset()
        dialog = LimitsDialog(session.filters, session.filter_choices(), hidden, self)
        dialog.accepted.connect(lambda: session.set_filters(ranges=dialog.ranges(), **dialog.choices()))
        self._open(dialog)

    def ask_filter_name(self) -> None:
        """Ask by which name the filter is kept."""
        name, kept = QInputDialog.getText(self, "Save the filter", "Name")
        if kept:
            self.session.save_filters(name)

    def ask_preferences(self) -> None:
        """Ask for the grader's name and the look."""
        dialog = PreferencesDialog(self.session.preferences, self)
        dialog.accepted.connect(self._apply_theme)
        self._open(dialog)

    def show_shortcuts(self) -> None:
        """Show all commands and their keys."""
        self._open(ShortcutsDialog(self.commands, self))

    def show_about(self) -> None:
        """Show version, licence and model."""
        self._open(AboutDialog(self.session.card(), self.session.means, self))

    def _open(self, dialog: QDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
