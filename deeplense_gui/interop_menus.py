"""The parts of the Interop menu that change: which programs are there, which surveys reach, which pages there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QLabel, QMainWindow, QMenu

from deeplense_gui.interop_actions import can_point, can_send_mosaic, can_send_stamp, can_send_table
from deeplense_gui.session import Session
from deeplense_gui.session.exchange import IMAGE, POINT, TABLE


class InteropMenus(QObject):
    """Fills "Send to", "Picture of", "Open in the browser" and "Copy link" when the menu opens.

    It leads to the window what other programs send: the mosaic goes where they point, their tables are matched.
    """

    def __init__(self, window: QMainWindow, menu: QMenu) -> None:
        super().__init__(window)
        self._session: Session = window.session
        actions = {action.objectName(): action for action in menu.actions()}
        self.send = QMenu("Send to", menu)
        menu.insertMenu(actions["ds9.show"], self.send)
        self.surveys = menu.addMenu("Picture of")
        menu.addSeparator()
        self.pages = menu.addMenu("Open in the browser")
        self.links = menu.addMenu("Copy link")
        for one in (menu, self.send, self.surveys, self.pages, self.links):
            one.setToolTipsVisible(True)
        menu.aboutToShow.connect(self.fill)
        self.badge = QLabel(objectName="samp-badge")
        window.statusBar().addPermanentWidget(self.badge)
        window.session.samp.changed.connect(self._show_badge)
        window.session.samp.pointed.connect(window.panels["mosaic"].point_at)
        window.session.samp.catalogue.connect(window.match_catalogue)
        self._show_badge()

    def fill(self) -> None:
        """Show what there is now."""
        session = self._session
        self._fill_send()
        allowed = session.can_look_up
        for menu in (self.surveys, self.pages, self.links):
            menu.clear()
            menu.setEnabled(allowed)
        for name in session.image_services() if allowed else ():
            self.surveys.addAction(name, partial(session.fetch_picture, name))
        for name, address, tip in session.pages():
            opened = self.pages.addAction(name, partial(self._open, address))
            opened.setToolTip(f"{tip}\n{address}")
            copied = self.links.addAction(name, partial(self._copy, address))
            copied.setToolTip(address)

    def _show_badge(self) -> None:
        """Tell in the status bar that we are connected, and with whom."""
        link = self._session.samp
        names = [client.name for client in link.others]
        self.badge.setText(f"SAMP: {', '.join(names[:2])}{'…' if len(names) > 2 else ''}" if names else "SAMP")
        self.badge.setToolTip(f"Connected to SAMP, with {', '.join(names) or 'nobody else yet'} (menu Interop)")
        self.badge.setVisible(link.connected)

    def _fill_send(self) -> None:
        self.send.clear()
        others = self._session.samp.others
        self.send.setEnabled(bool(others))
        for client in others:
            menu = self.send.addMenu(client.name.replace("&", "&&"))
            for text, kind, allowed, verb in self._choices(client):
                if client.accepts(kind):
                    menu.addAction(text, verb).setEnabled(allowed)
            menu.setEnabled(bool(menu.actions()))

    def _choices(self, client: Any) -> list[tuple[str, str, bool, Callable[[], object]]]:
        """What could be sent to a program: text, kind of message, whether it may be sent now, and the verb."""
        session, table = self._session, can_send_table(self._session)
        return [
            (f"The list ({len(session.ids()):,})", TABLE, table, partial(session.send_table, client)),
            (
                f"All candidates ({sum(session.counts().values()):,})" if table else "All candidates",
                TABLE,
                table,
                partial(session.send_table, client, filtered=False),
            ),
            ("The mosaic", IMAGE, can_send_mosaic(session), partial(session.send_mosaic, client)),
            ("The stamp", IMAGE, can_send_stamp(session), partial(session.send_stamp, client)),
            ("The position", POINT, can_point(session), partial(session.point_others, client)),
        ]

    def _open(self, address: str) -> None:
        if not QDesktopServices.openUrl(QUrl(address)):
            self._session.say("No browser could be opened: copy the link instead (Interop > Copy link).", "warning")

    def _copy(self, address: str) -> None:
        QGuiApplication.clipboard().setText(address)
        self._session.say(f"Copied {address}")
