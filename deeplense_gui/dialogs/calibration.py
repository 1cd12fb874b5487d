"""What a blind queue is made of: the cut of score, random controls, calibration stamps; and making more stamps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui.session import Session
from engine.errors import EngineError

COUNT_MS = 150  # after the last change, until the queue is counted
MAKE = (("Painted arcs", "lenses", 50), ("Duds", "duds", 50), ("Repeats", "repeats", 20))
ALL = -1


class CalibrationDialog(QDialog):
    """Shares and cut of the blind queue, with how many that makes; ``mixing()`` says what was chosen.

    ``making(counts)`` asks for more calibration stamps: how many ``lenses``, ``duds`` and ``repeats``.
    """

    making = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Calibration and random controls")
        self._session, self._chosen = session, session.mixing()
        self._later = QTimer(self, singleShot=True, interval=COUNT_MS)
        self._later.timeout.connect(self._count)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addWidget(self._make_queue())
        column.addWidget(self._make_stamps())
        column.addWidget(self.buttons)
        session.changed.connect(self._on_changed)
        session.jobs.finished.connect(self._on_job)
        self._on_changed()

    def _make_queue(self) -> QGroupBox:
        chosen = self._chosen
        box = QGroupBox("The blind queue")
        self.has_cut = QCheckBox("Only scores from", checked=chosen.cut is not None, objectName="has-cut")
        self.cut = QDoubleSpinBox(
            decimals=3, minimum=0, maximum=1, singleStep=0.05, value=0.5 if chosen.cut is None else chosen.cut
        )
        self.cut.setAccessibleName("Least score of the blind queue")
        self.controls = self._share("Random controls", round(100 * chosen.controls), 0)
        stamps = ALL if chosen.stamps is None else round(100 * chosen.stamps)
        self.stamps = self._share("Calibration stamps", stamps, ALL)
        self.stamps.setSpecialValueText("all there are")
        self.seed = QSpinBox(minimum=0, maximum=999_999, value=chosen.seed)
        self.seed.setToolTip("The same seed draws the same controls and stamps")
        self.feedback = QCheckBox(
            "Say what a calibration stamp was, once it is graded", checked=chosen.feedback, objectName="feedback"
        )
        self.told = QLabel(wordWrap=True)
        self.told.setMinimumHeight(3 * self.fontMetrics().lineSpacing() + 4)
        self.told.setMinimumWidth(430)
        cut = QHBoxLayout()
        cut.addWidget(self.has_cut)
        cut.addWidget(self.cut)
        cut.addStretch(1)
        form = QFormLayout(box)
        form.addRow("Candidates", cut)
        form.addRow("Random controls", self._beside(self.controls, "of the queue, drawn below that score"))
        form.addRow("Calibration stamps", self._beside(self.stamps, "of the queue"))
        form.addRow("Seed", self._beside(self.seed, ""))
        form.addRow("", self.feedback)
        form.addRow(self.told)
        for signal in (
            self.has_cut.toggled, self.cut.valueChanged, self.controls.valueChanged, self.stamps.valueChanged,
            self.seed.valueChanged, self.feedback.toggled,
        ):  # fmt: skip
            signal.connect(lambda _: self._later.start())
        return box

    def _make_stamps(self) -> QGroupBox:
        box = QGroupBox("Make more calibration stamps")
        self.there = QLabel(wordWrap=True)
        self.there.setProperty("role", "muted")
        row = QHBoxLayout()
        self.numbers: dict[str, QSpinBox] = {}
        for text, name, number in MAKE:
            spin = self.numbers[name] = QSpinBox(minimum=0, maximum=1000, value=number)
            spin.setAccessibleName(text)
            row.addWidget(QLabel(text))
            row.addWidget(spin)
            row.addSpacing(8)
        row.addStretch(1)
        self.make = QPushButton("Make", autoDefault=False, objectName="make-stamps")
        self.make.setToolTip("Paint arcs on galaxies of the shown mosaic, and add duds and repeats; it takes a while")
        self.make.clicked.connect(self._ask)
        row.addWidget(self.make)
        column = QVBoxLayout(box)
        column.addWidget(self.there)
        column.addLayout(row)
        return box

    def _share(self, name: str, value: int, least: int) -> QSpinBox:
        spin = QSpinBox(minimum=least, maximum=80, value=value, suffix=" %")
        spin.setAccessibleName(name)
        return spin

    def _beside(self, widget: QWidget, text: str) -> QHBoxLayout:
        row = QHBoxLayout()
        label = QLabel(text)
        label.setProperty("role", "muted")
        row.addWidget(widget)
        row.addWidget(label)
        row.addStretch(1)
        return row

    def mixing(self) -> Any:
        """What was chosen.

        Raises
        ------
        EngineError : the shares leave too little of a queue
        """
        stamps = self.stamps.value()
        return replace(
            self._chosen,
            cut=round(self.cut.value(), 3) if self.has_cut.isChecked() else None,
            controls=self.controls.value() / 100 if self.has_cut.isChecked() else 0.0,
            stamps=None if stamps == ALL else stamps / 100,
            feedback=self.feedback.isChecked(),
            seed=self.seed.value(),
        )

    def _ask(self) -> None:
        self.make.setEnabled(False)  # until it is told that they are there
        self.there.setText("Making them: see Jobs. They are counted here when they are there.")
        self.making.emit({name: spin.value() for name, spin in self.numbers.items()})

    def _on_job(self, _job: object, _reason: object, _error: object) -> None:
        """Stamps were made, or could not be: the window says why, and it can be tried again."""
        self._on_changed()

    def _on_changed(self, _changes: object = None) -> None:
        """Say how many stamps there are."""
        kinds = self._session.calibration_kinds()
        total = sum(kinds.values())
        names = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
        self.there.setText(f"There are {total:,}: {names}." if total else "There are none yet.")
        self.make.setEnabled(self._session.mosaic is not None)
        self._count()

    def _count(self) -> None:
        """Say how long the queue becomes and how often what comes, or what cannot be so."""
        self._later.stop()
        for widget in (self.cut, self.controls):
            widget.setEnabled(self.has_cut.isChecked())
        try:
            queue, trouble = self._session.blind_queue(self.mixing()), ""
        except EngineError as error:
            queue, trouble = None, str(error)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not trouble)
        self.told.setText(f"{trouble[:1].upper()}{trouble[1:]}." if queue is None else self._summary(queue))
        self.told.setProperty("role", "error" if trouble else "")
        self.told.style().polish(self.told)

    def _summary(self, queue: Any) -> str:
        total = len(queue.ids)

        def often(count: int) -> str:
            return f" (1 in {total / count:.0f})" if count else ""

        short = queue.stamps_wanted - queue.stamps
        return (
            f"{total:,} in the queue: {queue.above:,} candidates, {queue.controls:,} random controls"
            f"{often(queue.controls)}, {queue.stamps:,} calibration stamps{often(queue.stamps)}."
            + (f" {short:,} stamps are wanting: make more." if short > 0 else "")
        )
