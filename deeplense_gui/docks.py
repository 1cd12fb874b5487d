"""The panels of the window and their places: docks around the mosaic, and what brings one to the front."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow, QSizePolicy, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from deeplense_gui.asking import Asking
from deeplense_gui.dialogs.notices import NoticeBar
from deeplense_gui.panels import PANELS
from deeplense_gui.panels.start import StartPage
from deeplense_gui.session import Session

LAYOUT = 1
LIST_SHARE = 0.30  # of the height
AREAS = {"right": Qt.DockWidgetArea.RightDockWidgetArea, "bottom": Qt.DockWidgetArea.BottomDockWidgetArea}


class Docks(Asking):
    """A window with every panel of ``PANELS`` in its place; the places are kept from one time to the next."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.panels: dict[str, QWidget] = {}
        self.docks: dict[str, QDockWidget] = {}
        self._list_height = 0
        self.setDockOptions(QMainWindow.DockOption.AllowTabbedDocks | QMainWindow.DockOption.AllowNestedDocks)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self._make_panels()

    def _make_panels(self) -> None:
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.notices = NoticeBar()
        self.pages = QStackedWidget()
        self.start = StartPage(self.session)
        self.start.chosen.connect(self.open_files)
        self.pages.addWidget(self.start)
        column.addWidget(self.notices)
        column.addWidget(self.pages, 1)
        self.setCentralWidget(centre)
        self.setCorner(Qt.Corner.BottomRightCorner, AREAS["right"])
        for panel in PANELS:
            widget = panel.widget(self.session)
            self.panels[panel.id] = widget
            if panel.area == "centre":
                self.pages.addWidget(widget)
                continue
            dock = QDockWidget(panel.title, objectName=panel.id)
            dock.setWidget(widget)
            if panel.area == "bottom":  # their tabs name them; a title as well would cost a row of the list
                dock.setTitleBarWidget(QWidget())
            self.docks[panel.id] = dock
        self.panels["substructure"].wanted.connect(self.tell_substructure)
        self._lay_out()
        for dock in self.docks.values():
            dock.hide()

    def _lay_out(self) -> None:
        """Put the docks where they are at first."""
        before: dict[str, QDockWidget] = {}
        for panel in PANELS:
            dock = self.docks.get(panel.id)
            if dock is None:
                continue
            self.addDockWidget(AREAS[panel.area], dock, Qt.Orientation.Vertical)
            dock.setFloating(False)
            if panel.tabbed and panel.area in before:
                self.tabifyDockWidget(before[panel.area], dock)
                before[panel.area].raise_()
            else:
                before[panel.area] = dock
            dock.setVisible(panel.shown)

    def _share_space(self) -> None:
        """The first sizes of the docks: the inspector 38 % of the width, the list 30 % of the height."""
        bottom = [self.docks[panel.id] for panel in PANELS if panel.area == "bottom" and not panel.tabbed]
        right = [self.docks[panel.id] for panel in PANELS if panel.area == "right"]
        self.resizeDocks(right[:1], [round(self.width() * 0.38)], Qt.Orientation.Horizontal)
        self.resizeDocks(bottom, [round(self.height() * LIST_SHARE)] * len(bottom), Qt.Orientation.Vertical)
        self.resizeDocks(right, [self.height(), *[1] * (len(right) - 1)], Qt.Orientation.Vertical)

    def _restore_geometry(self) -> None:
        stored = self.session.preferences.get("geometry")
        if not isinstance(stored, QByteArray) or not self.restoreGeometry(stored):
            self.resize(1440, 900)

    def _restore_layout(self) -> None:
        self._spread(bool(int(self.session.preferences.get("list_alone", 0))))
        stored = self.session.preferences.get("layout")
        if not isinstance(stored, QByteArray) or not self.restoreState(stored, LAYOUT):
            self.reset_layout()

    def reset_layout(self) -> None:
        """Put every panel back to where it was at first."""
        self._spread(False)
        self._lay_out()
        self._share_space()
        QTimer.singleShot(0, self, self._share_space)

    def _save_layout(self) -> None:
        self.session.preferences.set("layout", self.saveState(LAYOUT))

    def focus_filter(self) -> None:
        """Put the cursor into the text filter of the list."""
        self.docks["candidates"].show()
        self.docks["candidates"].raise_()
        self.panels["candidates"].focus_filter()

    def focus_note(self) -> None:
        """Put the cursor into the note of the selected candidate."""
        self.docks["vetting"].show()
        self.docks["vetting"].raise_()
        self.panels["vetting"].focus_note()

    def fit_lens(self) -> None:
        """Fit a lens to the selected candidate, and show what comes of it."""
        self.docks["lens"].show()
        self.docks["lens"].raise_()
        self.panels["lens"].ask()

    def tell_substructure(self) -> None:
        """Tell the substructure of the selected candidate, with the band, field and seeing of the lens model."""
        self.docks["substructure"].show()
        self.docks["substructure"].raise_()
        self.panels["substructure"].ask(**self.panels["lens"].options())

    def swap_list(self) -> None:
        """Show the gallery in the place of the table, or the table in that of the gallery."""
        names = ("candidates", "gallery")
        name = names[self.panels["candidates"].isVisible() and not self.panels["candidates"].visibleRegion().isEmpty()]
        self.docks[name].show()
        self.docks[name].raise_()
        self.panels[name].setFocus()

    def spread_list(self) -> None:
        """Give the list the place of the mosaic as well, or give it back."""
        alone = self.pages.isVisible()
        if alone:
            self._list_height = self.panels["candidates"].parentWidget().height()
        self.session.preferences.set("list_alone", int(alone))
        self._spread(alone)
        if not alone:
            QTimer.singleShot(0, self, self._shrink_list)

    def _shrink_list(self) -> None:
        bottom = [self.docks[panel.id] for panel in PANELS if panel.area == "bottom"]
        height = self._list_height or round(self.height() * LIST_SHARE)
        self.resizeDocks(bottom, [height] * len(bottom), Qt.Orientation.Vertical)

    def _spread(self, alone: bool) -> None:
        """Messages stay above the list, so that only the mosaic goes."""
        self.pages.setVisible(not alone)
        upright = QSizePolicy.Policy.Maximum if alone else QSizePolicy.Policy.Preferred
        self.centralWidget().setSizePolicy(QSizePolicy.Policy.Preferred, upright)

    def show_in_view(self) -> None:
        """Filter the list to what the mosaic shows now."""
        x0, x1, y0, y1 = self.panels["mosaic"].canvas.view.edges()
        others = tuple(one for one in self.session.filters.ranges if one[0] not in ("x", "y"))
        self.session.set_filters(mosaic=self.session.mosaic.id, ranges=(*others, ("x", x0, x1), ("y", y0, y1)))
