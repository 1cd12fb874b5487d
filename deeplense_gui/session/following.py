"""Taking up what others write to the same project: colleagues on a server, or another window on the same file."""

from __future__ import annotations

from typing import Any

from deeplense_gui import work
from deeplense_gui.session.core import EVERYTHING
from deeplense_gui.session.schemes import SchemeVerbs
from engine.errors import ConnectionLostError, EngineError
from engine.types import Changes

AWAY = (
    "{name}: its server does not answer. What was shown as given is safe; nothing can be given until it answers. It is "
    "tried again every few seconds: check the network if that lasts."
)


class FollowVerbs(SchemeVerbs):
    """Look every two seconds, beside the window's work; a server that went away is found again the same way."""

    def _start_following(self) -> None:
        """From here on nothing that others write is missed; only one's own file needs no second look."""
        self._away = ""
        if self.project.shared or self.project.read_only:
            self.project.news()
            self._following.start()

    def _follow(self) -> None:
        project = self.project
        if self._look is None or self._look.reason is not None:
            self._look = self.jobs.submit(
                "Looking for what others wrote", lambda: work.news(project), priority=True, kind="news", outside=True
            )
            self._results[self._look.id] = lambda found: self._take_news(project, found)

    def _take_news(self, project: Any, found: Changes | EngineError | None) -> None:
        if self.project is not project:
            return
        if isinstance(found, EngineError):
            self._lose(found)
        elif self._away:
            self.settled.emit(self._away)
            self._away = ""
            self.say("The server answers again.")
            self._take_all(Changes("The server answers again", (), EVERYTHING))
        elif found is not None and {"candidates", "scores", "known", "settings"} & found.kinds:
            self._take_all(Changes(found.operation, found.ids, found.kinds | EVERYTHING))
        elif found is not None:
            before = self.ids()
            self._announce(found)
            if self.listing.ids() is not before:
                self.filtered.emit()

    def _take_all(self, changes: Changes) -> None:
        """Read everything anew."""
        self.listing.forget()
        self._announce_scheme()
        self.changed.emit(changes)
        self.filtered.emit()
        self.selected.emit(self.selection)

    def _lose(self, error: EngineError) -> None:
        """Say what went wrong; that the server does not answer only once, until it does again."""
        if not (isinstance(error, ConnectionLostError) and self._following.isActive()):
            self.say(str(error), "error")
        elif not self._away:
            self._away = AWAY.format(name=self.project.name)
            self.say(self._away, "error")
