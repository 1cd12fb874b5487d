"""A project on a server: address, password, a look at what is there; to open it, make it, or share one's own there."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QWidget

from deeplense_gui import style
from deeplense_gui.session import Session
from engine.errors import EngineError

EXAMPLE = "postgresql://ada@server.example.org/lenses?project=cosmos"
WIDTH = 560


class SharedDialog(QDialog):
    """Accepted once the server was reached; ``address()`` opens the project, ``is_new()`` says that it is to be made.

    Open looks first what is there. Where there is no project yet, it says so and becomes Make it. To ``share`` the
    project that is open, there must be none.
    """

    def __init__(
        self, session: Session, place: str = "", parent: QWidget | None = None, *, share: bool = False
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Share this project" if share else "Open shared project")
        self._session, self._share, self._verb = session, share, "Share" if share else "Open"
        self._wanted = self._new = False
        self._search: Any = None
        self._focused: QWidget = self
        self.place = QLineEdit(place, objectName="place")
        self.place.setPlaceholderText(EXAMPLE)
        self.place.setMinimumWidth(WIDTH)
        self.password = QLineEdit(objectName="password", echoMode=QLineEdit.EchoMode.Password)
        self.password.setPlaceholderText("leave empty where ~/.pgpass or PGPASSWORD has it")
        hint = QLabel(
            "One project on a PostgreSQL server for the whole team: each sees the others' grades within seconds, or "
            "none of them in blind mode. The address is remembered, the password is not.",
            wordWrap=True,
        )
        hint.setProperty("role", "muted")
        self.answer = QLabel(" ", wordWrap=True, objectName="answer")
        self.answer.setMinimumHeight(3 * self.answer.fontMetrics().lineSpacing())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.test = buttons.addButton("Test", QDialogButtonBox.ButtonRole.ActionRole)
        self.go = buttons.addButton(self._verb, QDialogButtonBox.ButtonRole.AcceptRole)
        for button in buttons.buttons():
            button.setAutoDefault(button is self.go)  # Return in a field is Open, never Cancel
        self.go.setDefault(True)
        self.test.clicked.connect(lambda: self._look(wanted=False))
        buttons.accepted.connect(self._proceed)
        buttons.rejected.connect(self.reject)
        for field in (self.place, self.password):
            field.textChanged.connect(self._edited)
        form = QFormLayout(self)
        form.addRow(hint)
        form.addRow("Address", self.place)
        form.addRow("Password", self.password)
        form.addRow(self.answer)
        form.addRow(buttons)
        (self.password if place else self.place).setFocus()
        self._edited()

    def address(self) -> str:
        """The address with the password that was typed."""
        return self._session.with_password(self.place.text(), self.password.text())

    def is_new(self) -> bool:
        """Whether there is no project at the address, and one is to be made."""
        return self._new

    def _edited(self) -> None:
        self._new = False
        self._say(" ")
        self.go.setText(self._verb)
        ready = bool(self.place.text().strip())
        self.test.setEnabled(ready)
        self.go.setEnabled(ready)
        self.go.setDefault(ready)

    def _proceed(self) -> None:
        if self._new:
            self.accept()
        else:
            self._look(wanted=True)

    def _look(self, *, wanted: bool) -> None:
        self._wanted = wanted
        try:
            address = self.address()
        except EngineError as error:
            self._say(str(error), failed=True)
            return
        self._busy(True)
        self._say("Looking at the server…")
        self._search = self._session.find_shared(address, self._take)

    def _take(self, found: Any) -> None:
        self._search = None
        self._busy(False)
        if isinstance(found, EngineError):
            self._say(str(found), failed=True)
        elif self._share:
            self._take_place(found)
        elif not found.project:
            self._new = True
            self.go.setText("Make it")
            self._say("The server is reached. There is no project at this address yet: Make it starts an empty one.")
        elif self._wanted:
            self.accept()
        else:
            who = f", graded by {', '.join(found.graders)}" if found.graders else ", not graded yet"
            self._say(f"The server is reached: a project of {found.candidates:,} candidates{who}.")

    def _take_place(self, found: Any) -> None:
        """Share where there is nothing yet."""
        if found.project:
            held = f"A project of {found.candidates:,} candidates is at this address already"
            self._say(f"{held}: give another one, with ?project=NAME at its end.", failed=True)
        elif self._wanted:
            self.accept()
        else:
            self._say("The server is reached, and this address is free.")

    def _busy(self, busy: bool) -> None:
        if busy:
            self._focused = self.focusWidget() or self.place
        for control in (self.place, self.password, self.test, self.go):
            control.setEnabled(not busy)
        if not busy:
            self._focused.setFocus()  # else it stays where it went meanwhile: on Cancel

    def _say(self, text: str, *, failed: bool = False) -> None:
        self.answer.setText(text)
        self.answer.setStyleSheet(f"color: {style.theme().error}" if failed else "")

    def done(self, result: int) -> None:
        """Close; what is still asked of the server has nobody to go to."""
        if self._search is not None:
            self._session.jobs.cancel(self._search)
        super().done(result)
