"""The first page: what one can do when nothing is open yet."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCommandLinkButton, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.preferences import is_address
from deeplense_gui.session import Session

SHOWN = 6


class StartPage(QWidget):
    """Open, demo, recent files; files dropped anywhere on the window open too.

    ``asked(id)`` names the action of a button, ``chosen(paths)`` a recent entry.
    """

    asked = Signal(str)
    chosen = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setObjectName("start")
        outer = QHBoxLayout(self)
        outer.addStretch(1)
        inner = QVBoxLayout()
        inner.setSpacing(10)
        outer.addLayout(inner)
        outer.addStretch(1)
        inner.addStretch(2)
        title = QLabel("Find strong gravitational lenses in a survey mosaic")
        title.setFont(style.font(points=17, bold=True))
        text = QLabel(
            "Open a mosaic, press Scan, and look at the candidates as they come in, best first. One key grades a "
            "candidate and brings the next. Everything is saved as you go.",
            wordWrap=True,
        )
        text.setProperty("role", "muted")
        text.setFixedWidth(560)
        inner.addWidget(title)
        inner.addWidget(text)
        inner.addSpacing(6)
        inner.addLayout(self._buttons())
        drop = QLabel("…or drop FITS or HDF5 files, a folder of stamps, or a project anywhere on this window")
        drop.setProperty("role", "muted")
        inner.addWidget(drop)
        inner.addSpacing(10)
        self.heading = QLabel("Recent")
        self.heading.setProperty("role", "heading")
        inner.addWidget(self.heading)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        inner.addLayout(self._recent)
        inner.addStretch(3)
        self.refresh()

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        for action, text, icon, primary in (
            ("file.open", "Open mosaic…", "open", True),
            ("file.stamps", "Open stamps…", "gallery", False),
            ("file.open_project", "Open project…", "project", False),
            ("file.demo", "Try the demo", "demo", False),
        ):
            colour = style.theme().accent_text if primary else None
            button = QPushButton(style.icon(icon, colour), text, objectName=f"start-{action}")
            button.setMinimumHeight(36)
            if primary:
                button.setProperty("role", "primary")
            button.clicked.connect(lambda _=False, action=action: self.asked.emit(action))
            row.addWidget(button)
        row.addStretch(1)
        return row

    def refresh(self) -> None:
        """Show the recent files that are still there."""
        while (item := self._recent.takeAt(0)) is not None:
            item.widget().deleteLater()
        recent = self._session.preferences.recent()
        entries = [paths for paths in recent if is_address(paths[0]) or Path(paths[0]).exists()][:SHOWN]
        self.heading.setVisible(bool(entries))
        for paths in entries:
            self._recent.addWidget(self._entry(paths))

    def _entry(self, paths: tuple[str, ...]) -> QCommandLinkButton:
        shared, first = is_address(paths[0]), Path(paths[0])
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        title, below = (paths[0], "Shared project") if shared else (first.name + more, str(first.parent))
        button = QCommandLinkButton(title, below, objectName="recent")
        button.setIcon(style.icon("project" if shared or is_project(first) else "open"))
        button.setFixedWidth(560)
        button.clicked.connect(lambda: self.chosen.emit(paths))
        return button


def is_project(path: Path) -> bool:
    """Whether a file is a project by its name."""
    return path.suffix.lower() == ".deeplense"
