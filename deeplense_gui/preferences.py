"""What is remembered from one start to the next, through QSettings."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings

RECENT = 10


class Preferences:
    """Settings of this user on this machine: who grades, recent files, the last folder, the window's layout."""

    def __init__(self, settings: QSettings | None = None) -> None:
        self.settings = settings or QSettings("DeepLense", "DeepLense GUI")

    def get(self, key: str, default: Any = None) -> Any:
        """A stored value, or ``default``."""
        return self.settings.value(key, default)

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        self.settings.setValue(key, value)

    @property
    def grader(self) -> str:
        """The name that grades are signed with; the login name until the user gives one."""
        return str(self.get("grader") or login_name())

    @grader.setter
    def grader(self, name: str) -> None:
        self.set("grader", name.strip())

    @property
    def theme(self) -> str:
        """The look of the window: dark, light or system."""
        theme = str(self.get("theme") or "dark")
        return theme if theme in ("dark", "light", "system") else "dark"

    @theme.setter
    def theme(self, name: str) -> None:
        self.set("theme", name)

    @property
    def folder(self) -> str:
        """The folder file dialogs open in."""
        return str(self.get("folder") or Path.home())

    def recent(self) -> list[tuple[str, ...]]:
        """Recent mosaics (one or more files each) and projects, newest first."""
        stored = self.get("recent") or []
        entries = [stored] if isinstance(stored, str) else stored
        return [tuple(entry.split("\n")) for entry in entries if entry]

    def remember_file(self, paths: Sequence[Path]) -> None:
        """Put a mosaic at the head of the recent files."""
        self._remember([str(path.absolute()) for path in paths])

    def remember_project(self, place: str) -> None:
        """Put a project, a file or the address of a server, at the head of the recent files."""
        self._remember([place if is_address(place) else str(Path(place).absolute())])

    def located(self, mosaic_id: str) -> list[str]:
        """Where the files of a mosaic were found on this machine, when they were not where the project says."""
        stored = self.get(f"located/{mosaic_id}") or []
        return [stored] if isinstance(stored, str) else list(stored)

    def remember_located(self, mosaic_id: str, paths: Sequence[str]) -> None:
        """Remember where the files of a mosaic are on this machine: those of a team lie elsewhere on each."""
        self.set(f"located/{mosaic_id}", [str(Path(path).absolute()) for path in paths])

    def _remember(self, paths: list[str]) -> None:
        entry = "\n".join(paths)
        others = ["\n".join(old) for old in self.recent() if "\n".join(old) != entry]
        self.set("recent", [entry, *others][:RECENT])
        if not is_address(paths[0]):
            self.set("folder", str(Path(paths[0]).parent))

    def project_folder(self) -> Path:
        """The user's own folder for projects of mosaics that lie where nothing can be written."""
        import platformdirs

        folder = Path(platformdirs.user_data_dir("deeplense")) / "projects"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def is_address(place: Path | str) -> bool:
    """Whether a place is the address of a server, and not a file."""
    return str(place).startswith(("postgresql:", "postgresql+", "postgres:"))


def login_name() -> str:
    """The name of the user's login, or "anonymous" where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "anonymous"
