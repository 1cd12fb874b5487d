"""The window: its commands, from ``ACTIONS`` and the project's scheme, and what it shows of what is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QMenu, QToolBar

from deeplense_gui import style
from deeplense_gui.actions import ACTIONS, MENUS, TAKEN
from deeplense_gui.dialogs.error import ErrorDialog
from deeplense_gui.docks import Docks
from deeplense_gui.focus_keys import FocusKeys
from deeplense_gui.grading_actions import Action, grading_actions
from deeplense_gui.interop_menus import InteropMenus
from deeplense_gui.panels.jobs import JobStatus
from deeplense_gui.preferences import is_address
from deeplense_gui.session import Session

SETTLED_MS = 2_000  # after which a window that was opened looks for other programs


class MainWindow(Docks):
    """The window over one session; closing it closes the session."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.actions_by_id: dict[str, QAction] = {}
        self.grading: tuple[Action, ...] = ()  # what the scheme of the project makes
        self._working = False
        self.setObjectName("main")
        self.setAcceptDrops(True)
        self._make_actions()
        self.job_status = JobStatus(session)
        self.blind_badge = QLabel("BLIND", objectName="blind-badge")
        self.blind_badge.setProperty("role", "badge")
        self.blind_badge.setToolTip("What could sway a grade is hidden until the grade is given (Ctrl+Shift+B)")
        self.blind_badge.hide()
        self.statusBar().addPermanentWidget(self.blind_badge)
        self.statusBar().addPermanentWidget(self.job_status)
        self._listen()
        self._restore_geometry()
        self._show_state()
        self._focus_keys = FocusKeys(self)

    def _make_actions(self) -> None:
        bar = QToolBar("Toolbar", objectName="toolbar")
        bar.setMovable(False)
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        menus = self._menus = {title: self.menuBar().addMenu(title) for title in MENUS}
        previous = ""
        for action in ACTIONS:
            made = self._make_action(action)
            if action.separator:
                menus[action.menu].addSeparator()
            menus[action.menu].addAction(made)
            if action.toolbar:
                if previous not in ("", action.menu):
                    bar.addSeparator()
                bar.addAction(made)
                previous = action.menu
        for button in bar.findChildren(QAbstractButton):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.recent = QMenu("Open recent", menus["File"])
        menus["File"].insertMenu(self.actions_by_id["file.open_project"], self.recent)
        self.recent.aboutToShow.connect(self._fill_recent)
        menus["View"].addSeparator()
        for dock in self.docks.values():
            menus["View"].addAction(dock.toggleViewAction())
        InteropMenus(self, menus["Interop"])
        self.toolbar = bar
        self.addToolBar(bar)
        self._follow_scheme()

    @property
    def commands(self) -> tuple[Action, ...]:
        """All there are now: those of the table, and one for each grade and kind of the project."""
        return (*ACTIONS, *self.grading)

    def _follow_scheme(self) -> None:
        """Give menus and keys the grades and kinds of the project."""
        wanted = grading_actions(self.session.scheme(), TAKEN)
        if [(one.id, one.text, one.keys) for one in wanted] == [(one.id, one.text, one.keys) for one in self.grading]:
            return
        for action in self.grading:
            made = self.actions_by_id.pop(action.id)
            made.setShortcuts([])
            self._menus[action.menu].removeAction(made)
            made.deleteLater()
        self.grading = wanted
        first = self._menus["Grade"].actions()[0]
        for action in wanted:
            made = self._make_action(action)
            self._menus[action.menu].insertAction(first if action.menu == "Grade" else None, made)

    def _make_action(self, action: Action) -> QAction:
        made = QAction(action.text, self, objectName=action.id)
        made.setShortcuts([QKeySequence(key) for key in action.keys])
        made.setAutoRepeat(action.id in ("go.next", "go.previous", "edit.undo", "edit.redo"))
        hint = f" ({QKeySequence(action.key).toString(QKeySequence.SequenceFormat.NativeText)})" if action.key else ""
        made.setToolTip(action.tip + hint)
        made.setStatusTip(action.tip)
        made.setIconText(action.text.rstrip("…").removeprefix("Hide or show ").capitalize())
        if action.icon:
            made.setIcon(style.icon(action.icon))
        if action.id == "file.quit":
            made.setMenuRole(QAction.MenuRole.QuitRole)
        made.setCheckable(action.checked is not None)
        made.setVisible(action.shown(self.session))
        made.triggered.connect(lambda: action.verb(self))
        self.actions_by_id[action.id] = made
        return made

    def _listen(self) -> None:
        session = self.session
        for asking in (self.start, self.panels["vetting"], self.panels["online"]):
            asking.asked.connect(lambda name: self.actions_by_id[name].trigger())
        session.message.connect(self._on_message)
        session.crashed.connect(lambda title, trace: self._open(ErrorDialog(title, trace, self)))
        session.locate.connect(self.ask_moved)
        session.scale_wanted.connect(self.ask_pixel_scale)
        session.image_wanted.connect(self.ask_image)
        session.address_wanted.connect(self.ask_shared)
        session.settled.connect(self.notices.withdraw)
        for signal in (session.changed, session.selected, session.filtered, session.scanning, session.samp.changed):
            signal.connect(lambda _=None: self._enable())
        session.scheme_changed.connect(self._follow_scheme)
        for signal in (session.mosaic_opened, session.project_opened):
            signal.connect(lambda _=None: self._show_state())
        session.project_opened.connect(lambda project: None if project is not None else self.notices.clear())
        session.overlays_toggled.connect(lambda _: self._enable())
        session.blinded.connect(self.blind_badge.setVisible)
        session.blinded.connect(lambda _: self._enable())

    def _enable(self) -> None:
        """Enable the commands that apply now."""
        session = self.session
        for action in self.commands:
            self.actions_by_id[action.id].setEnabled(action.enabled(session))
            if action.checked is not None:
                self.actions_by_id[action.id].setChecked(action.checked(session))
        for name, word, text in zip(("edit.undo", "edit.redo"), ("Undo", "Redo"), session.history(), strict=True):
            self.actions_by_id[name].setText(f"{word} {text}" if text else word)
            self.actions_by_id[name].setIconText(word)
        overlays = "overlays" if session.overlays else "overlays-off"
        self.actions_by_id["view.overlays"].setIcon(style.icon(overlays))

    def _show_state(self) -> None:
        """Title, page and commands for what is open."""
        session = self.session
        project, mosaic = session.project, session.mosaic
        parts = [project.name if project is not None else "", mosaic.name if mosaic is not None else ""]
        mark = " (read-only)" if project is not None and project.read_only else ""
        self.setWindowTitle(" — ".join([*dict.fromkeys(part for part in parts if part), "DeepLense"]) + mark)
        working = project is not None or mosaic is not None
        if working and not self._working:
            self._working = True
            self.pages.setCurrentIndex(1)
            self._restore_layout()
            self.panels["mosaic"].canvas.setFocus()  # else the first box takes the keys that grade
        elif not working and self._working:
            self._save_layout()
            self._working = False
            self.start.refresh()
            self._spread(False)
            self.pages.setCurrentIndex(0)
            for dock in self.docks.values():
                dock.hide()
        if mosaic is not None and self.gallery_first:
            self.gallery_first = False
            self.docks["gallery"].show()
            self.docks["gallery"].raise_()
        self._enable()

    def _on_message(self, text: str, level: str, choices: tuple[Any, ...]) -> None:
        if level == "info" and not choices:
            self.statusBar().showMessage(text, 8000)
        else:
            self.notices.show_message(text, level, choices)

    def _apply_theme(self) -> None:
        style.apply(QApplication.instance(), self.session.preferences.theme)
        for action in self.commands:
            if action.icon:
                self.actions_by_id[action.id].setIcon(style.icon(action.icon))
        style.renew_icons(self)
        self._enable()

    def toggle_full_screen(self) -> None:
        """Give the whole screen to the window, or take it back."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _fill_recent(self) -> None:
        self.recent.clear()
        for paths in self.session.preferences.recent():
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            name = paths[0] if is_address(paths[0]) else Path(paths[0]).name
            action = self.recent.addAction(f"{name}{more}")
            action.setToolTip(paths[0])
            action.triggered.connect(lambda _=False, paths=paths: self.open_files(paths))
        if self.recent.isEmpty():
            self.recent.addAction("Nothing yet").setEnabled(False)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the dropped files."""
        event.acceptProposedAction()
        self.open_files([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])

    def showEvent(self, event: QShowEvent) -> None:
        """Once on the screen, load the slow parts in the worker."""
        super().showEvent(event)
        if not event.spontaneous():
            QTimer.singleShot(50, self, self.session.warm_up)
            QTimer.singleShot(SETTLED_MS, self, self.session.resume_samp)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Go at once; the session ends its job and joins its thread after the window is gone."""
        self._focus_keys.stop()
        self.session.preferences.set("geometry", self.saveGeometry())
        if self._working:
            self._save_layout()
        self.hide()
        for name in ("mosaic", "inspector", "gallery"):
            self.panels[name].stop()
        self.session.close()
        super().closeEvent(event)
