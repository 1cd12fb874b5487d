"""Buttons for the grades and kinds of a project's scheme, each with its key."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from deeplense_gui import style
from deeplense_gui.widgets.flow import Flow
from deeplense_gui.widgets.readout import Elided

_SHORT = 4  # letters of a name that has room in large print
_NARROWEST = 40  # points


class GradeButtons(QWidget):
    """One button a grade, then the kinds of lenses, then what else it may be.

    ``graded(name | None)`` and ``classified(name)`` tell what was pressed; a grade pressed again is taken back.
    """

    graded = Signal(object)
    classified = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        self.kinds: dict[str, QToolButton] = {}
        self._scheme: Any = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)

    def set_scheme(self, scheme: Any) -> None:
        """Make the buttons of a scheme."""
        if scheme == self._scheme:
            return
        self._scheme = scheme
        self.buttons.clear()
        self.kinds.clear()
        while (item := self._column.takeAt(0)) is not None:
            item.widget().hide()  # until it is gone it would be drawn under its successor
            item.widget().deleteLater()
        self._column.addWidget(self._row([self._grade(level) for level in scheme.grades], 6))
        self._column.addWidget(
            Flow([self._kind(one) for one in sorted(scheme.subclasses, key=lambda one: not one.lens)])
        )
        self._colour()

    def _row(self, widgets: list[QWidget], spacing: int) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(spacing)
        for widget in widgets:
            row.addWidget(widget, 1)
        return holder

    def _grade(self, level: Any) -> QWidget:
        button = QPushButton(level.name, checkable=True, objectName=f"grade-{level.name}")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        key = f" (key {level.key})" if level.key else ""
        button.setToolTip(f"Grade {level.name}: {level.text}{key}; again takes it back")
        button.setAccessibleName(f"Grade {level.name}: {level.text}")
        button.setMinimumWidth(_NARROWEST)  # a long name must not widen the window either
        button.clicked.connect(lambda on: self.graded.emit(level.name if on else None))
        self.buttons[level.name] = button
        under = Elided()  # a long meaning must not widen the window
        under.setText(level.text)
        under.setToolTip(level.text)
        under.setAlignment(Qt.AlignmentFlag.AlignCenter)
        under.setProperty("role", "muted")
        cell = QWidget()
        column = QVBoxLayout(cell)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(button)
        column.addWidget(under)
        return cell

    def _kind(self, one: Any) -> QToolButton:
        button = QToolButton(text=f"{one.name} {one.key}".strip(), checkable=True, objectName=f"kind-{one.name}")
        button.setProperty("role", "kind" if one.lens else "other-kind")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        what = "lens" if one.lens else "not a lens"
        key = f"key {one.key}, " if one.key else ""
        button.setToolTip(f"{one.name.capitalize()} ({what}): {key}before the grade; again takes it back")
        button.setAccessibleName(f"Kind: {one.name}")
        button.clicked.connect(lambda _: self.classified.emit(one.name))
        self.kinds[one.name] = button
        return button

    def show_state(self, grade: str | None, subclass: str, able: bool) -> None:
        """Press what is said of the selected candidate."""
        for name, button in self.buttons.items():
            button.setEnabled(able)
            button.setChecked(grade == name)
        for name, kind in self.kinds.items():
            kind.setEnabled(able)
            kind.setChecked(subclass == name)

    def _colour(self) -> None:
        size = 13 if all(len(name) <= _SHORT for name in self.buttons) else 9
        for name, button in self.buttons.items():
            colour = style.grade_colour(name).name()
            button.setStyleSheet(
                f"QPushButton {{ color: {style.grade_ink(name).name()}; font-weight: 700; font-size: {size}pt;"
                " padding: 4px; }"
                f"QPushButton:checked {{ background: {colour}; color: #10131a; border-color: {colour}; }}"
                f"QPushButton:disabled {{ color: {style.theme().disabled}; }}"
            )

    def changeEvent(self, event: QEvent) -> None:
        """Another theme: other colours of the buttons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._colour()
