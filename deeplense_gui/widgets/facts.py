"""What is known of the selected candidate in three lines: name, position, score, grade; all of it can be copied."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFont, QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QToolButton, QWidget

from deeplense_gui import style
from deeplense_gui.widgets.coordinates import in_degrees, sexagesimal
from deeplense_gui.widgets.readout import Elided
from engine.types import Candidate


def position_text(candidate: Candidate) -> str:
    """The position as it is copied: sexagesimal and degrees, or pixels without a WCS."""
    if candidate.ra is None or candidate.dec is None:
        return f"x {candidate.x:.2f}  y {candidate.y:.2f}"
    return f"{sexagesimal(candidate.ra, candidate.dec)}  {candidate.ra:.6f} {candidate.dec:+.6f}"


class Facts(QWidget):
    """Name, position, score and grade of a candidate."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._candidate: Candidate | None = None
        self._others: tuple[tuple[str, str], ...] = ()
        super().__init__(parent)
        self.name = self._text("Name", Elided(), style.font(points=11.5, bold=True))
        self.sky = self._text("Position, sexagesimal", QLabel(), style.fixed_font(points=9))
        self.degrees = self._text("Position, degrees", QLabel(), style.fixed_font(points=9))
        self.score = self._text("Calibrated score", QLabel(), style.font(points=15, bold=True))
        self.details = self._text("Raw score and spread", QLabel(), style.font(points=9))
        self.grade = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, objectName="grade-badge")
        self.grade.setAccessibleName("Grade")
        self.copy = QToolButton(icon=style.icon("copy"))
        self.copy.setAccessibleName("Copy the position")
        self.copy.setToolTip("Copy the position (Ctrl+Shift+C)")
        self.copy.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.copy.clicked.connect(self.copy_position)
        self.details.setProperty("role", "muted")
        self.degrees.setProperty("role", "muted")
        self._lay_out()

    def _text(self, name: str, label: QLabel, font: QFont) -> QLabel:
        label.setFont(font)
        label.setAccessibleName(name)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(10, 6, 10, 4)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(1)
        heading = QHBoxLayout()
        heading.setSpacing(8)
        heading.addWidget(self.grade)
        heading.addWidget(self.name, 1)
        heading.addWidget(self.score)
        place = QHBoxLayout()
        place.setSpacing(4)
        place.addWidget(self.sky)
        place.addWidget(self.copy)
        place.addStretch(1)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        grid.addLayout(heading, 0, 0, 1, 2)
        grid.addLayout(place, 1, 0)
        grid.addWidget(self.details, 1, 1, right)
        self.model = self._text("Model", Elided(), style.font(points=9))  # what many graders said gives way
        self.model.setAlignment(right)
        self.model.setProperty("role", "muted")
        below = QHBoxLayout()
        below.setSpacing(12)
        below.addWidget(self.degrees)
        below.addWidget(self.model, 1)
        grid.addLayout(below, 2, 0, 1, 2)
        self.known = self._text("Known objects", Elided(), style.font(points=9))
        self.known.setStyleSheet(f"color: {style.theme().warning};")
        self.known.hide()
        grid.addWidget(self.known, 3, 0, 1, 2)
        grid.setColumnStretch(0, 1)

    def show_known(self, matches: Sequence[str]) -> None:
        """What catalogues of known objects say: each with its reference and grading, never a bare "known"."""
        self.known.setVisible(bool(matches))
        self.known.setText("Known: " + "; ".join(matches))
        self.known.setToolTip("\n".join(matches))

    def conceal(self, title: str) -> None:
        """Show a title alone: blind mode hides what could sway the grade."""
        self._candidate = None
        self.name.setText(title)
        self.name.setToolTip("Blind mode: name, position and score are shown once it is graded")
        for label in (self.sky, self.degrees, self.score, self.details, self.model):
            label.clear()
        self.sky.setText("hidden until it is graded")
        self.copy.setEnabled(False)
        self._show_badge(None, "Not graded yet")

    def show_candidate(self, candidate: Candidate, others: Sequence[tuple[str, str]] = ()) -> None:
        """Show a candidate, and what others than its grader said: (grader, grade) each."""
        self._candidate = candidate
        self._others = tuple(others)
        self.copy.setEnabled(True)
        self.name.setText(candidate.name)
        self.name.setToolTip(candidate.name)
        on_sky = candidate.ra is not None and candidate.dec is not None
        pixel = f"x {candidate.x:.1f}  y {candidate.y:.1f}"
        self.sky.setText(sexagesimal(candidate.ra, candidate.dec) if on_sky else pixel)
        self.sky.setToolTip("Right ascension and declination, ICRS" if on_sky else "Pixels: the mosaic has no WCS")
        self.degrees.setText(in_degrees(candidate.ra, candidate.dec) if on_sky else "no position on the sky")
        scored = math.isfinite(candidate.score)
        self.score.setText(f"{candidate.score:.3f}" if scored else "")
        self.score.setToolTip("Calibrated probability of being a lens")
        measured = f"raw {candidate.raw_score:.3f}   spread ±{candidate.spread:.3f}"
        self.details.setText(measured if scored else "no score yet")
        self.details.setToolTip("The network's own score, and its spread over views of the same stamp")
        self.model.setText(candidate.model)
        self.model.setToolTip("The model that gave the score")
        self._show_grade(candidate)

    def _show_grade(self, candidate: Candidate) -> None:
        when = "" if candidate.graded_at is None else f", {candidate.graded_at:%Y-%m-%d %H:%M} UTC"
        said = [f"Graded by {candidate.grader}{when}" if candidate.grade else "Not graded yet"]
        self._show_badge(candidate.grade, "\n".join([*said, *(f"{who} said {grade}" for who, grade in self._others)]))
        if len(self._others):
            each = [f"{who} {grade}" for who, grade in self._others]
            self.model.setText(f"others: {'   '.join(each)}")
            self.model.setToolTip("\n".join(["What the others said:", *each]))

    def _show_badge(self, grade: str | None, tip: str) -> None:
        colour = style.grade_colour(grade).name()
        self.grade.setText(grade or "not graded")
        self.grade.setToolTip(tip)
        filled = f"background: {colour}; color: #10131a;" if grade else f"color: {style.grade_ink(grade).name()};"
        self.grade.setStyleSheet(
            f"QLabel {{ {filled} border: 1px solid {colour}; border-radius: 4px; padding: 1px 7px; font-weight: 700; }}"
        )

    def changeEvent(self, event: QEvent) -> None:
        """Another theme: another colour of the badge."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._candidate is not None:
            self._show_grade(self._candidate)

    def copy_position(self) -> None:
        """Put the position on the clipboard."""
        if self._candidate is not None:
            QGuiApplication.clipboard().setText(position_text(self._candidate))
