"""Which model scores, and teaching it: fine-tuning on the grades, its curves, and how the new model does."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.jobs import JobHandle, Reason
from deeplense_gui.session import Session
from deeplense_gui.widgets.plot import Plot
from deeplense_gui.widgets.progress import set_progress
from engine.types import Changes, ModelCard, Step

HELP = (
    "Grade some candidates, then teach the model what you said.\nSome of them are held out: they say whether the new "
    "model ranks better than the old one, before you use it."
)
PAINTED = "Stamps from your mosaics: galaxies with a painted arc, their twins without, and other sources; 0 for none"
SIMULATED = "Simulated stamps, so that the model forgets nothing that your grades do not show; 0 for none"
AUC = (
    "The area under the ROC curve on lenses + others that neither model has learned from, and the interval that holds "
    "it in nine of ten resamplings"
)
TITLES = {"grades": "Your grades", "painted": "Painted arcs", "simulated": "Simulated"}
_COLUMN = 196  # points


class ModelsPanel(QWidget):
    """Left the model in use, in the middle what to teach, right what comes of it."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._stale = True
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 6, 8, 6)
        row.setSpacing(12)
        row.addWidget(self._make_model())
        row.addWidget(self._make_form())
        row.addWidget(self._make_result(), 1)
        for signal in (session.models_changed, session.project_opened, session.mosaic_opened):
            signal.connect(self._reload)
        session.changed.connect(self._on_changed)
        session.scanning.connect(self._enable)
        session.tuning_changed.connect(self.refresh)
        session.jobs.stepped.connect(self._on_stepped)
        session.jobs.finished.connect(self._on_finished)
        self._reload()

    # making -------------------------------------------------------------------------------------------------------

    def _make_model(self) -> QWidget:
        self.model = QComboBox(objectName="model")
        self.model.setAccessibleName("Model that scores")
        self.model.setToolTip("The model that scans, scores and explains; yours stand below those of the program")
        self.model.activated.connect(lambda: self.session.use_model(str(self.model.currentData())))
        self.facts = _words("facts")
        self.again = QPushButton("Score again", objectName="rescore")
        self.again.setToolTip("Score the candidates of this mosaic with this model; grades stay, the order is new")
        self.again.clicked.connect(self.session.rescore)
        return _column("Model", self.model, self.facts, self.again)

    def _make_form(self) -> QWidget:
        self.taught = _words("taught")
        self.name = QLineEdit(objectName="tune-name")
        self.name.setAccessibleName("Name of the new model")
        self.name.setToolTip("The new model's name in your library")
        self.name.textEdited.connect(self._enable)
        self.painted = _number("tune-painted", 300, 5_000, 100, PAINTED)
        self.simulated = _number("tune-simulated", 1_500, 50_000, 500, SIMULATED)
        self.epochs = _number("tune-epochs", 5, 100, 1, "How often everything is gone through; the best epoch is kept")
        self.epochs.setMinimum(1)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(3)
        for text, widget in (
            ("Name", self.name), ("Painted arcs", self.painted), ("Simulated", self.simulated), ("Epochs", self.epochs),
        ):  # fmt: skip
            form.addRow(text, widget)
        self.tune = QPushButton("Fine-tune", objectName="fine-tune")
        self.tune.setToolTip("Train the model further on these grades, in the background; the old one stays as it is")
        self.tune.clicked.connect(self.toggle)
        return _column("Teach it your grades", self.taught, form, self.tune)

    def _make_result(self) -> QWidget:
        self.help = QLabel(HELP, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.help.setProperty("role", "muted")
        self.words = _words("tuning-words")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setRange(0, 1000)
        self.bar.setProperty("role", "thin")
        self.table = QLabel(textFormat=Qt.TextFormat.RichText, objectName="tuning-table")
        self.table.setToolTip(AUC)
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.notes = QLabel(wordWrap=True)
        self.notes.setProperty("role", "warning")
        self.plot = Plot(self.session, "Loss", "", "epoch")
        self.plot.setMinimumSize(120, 130)
        self.plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.use = QPushButton("Use it and score again", objectName="use-tuned")
        self.use.setProperty("role", "primary")
        self.use.clicked.connect(self._use)
        inside = QWidget()
        lines = QVBoxLayout(inside)
        lines.setContentsMargins(0, 0, 4, 0)
        for widget in (self.words, self.bar, self.table, self.notes):
            lines.addWidget(widget)
        lines.addWidget(self.plot, 1)
        scroll = QScrollArea(widgetResizable=True, frameShape=QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        shown = QWidget()
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scroll, 1)
        column.addWidget(self.use)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.help)
        self.pages.addWidget(shown)
        return self.pages

    # asking -------------------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Start a fine-tuning, or stop the one that is under way."""
        if self.session.is_tuning:
            self.session.stop_tuning()
            return
        self.session.fine_tune(
            self.name.text().strip(), painted=self.painted.value(), simulated=self.simulated.value(),
            epochs=self.epochs.value(),
        )  # fmt: skip

    def _use(self) -> None:
        tuning = self.session.tuning
        if tuning is not None and tuning.result is not None:
            self.session.use_tuned(tuning.result.card.name)

    # showing ------------------------------------------------------------------------------------------------------

    def _reload(self, *_: object) -> None:
        """List the models; the cards are read once somebody looks, not while the window opens."""
        self._stale = self.visibleRegion().isEmpty()
        if self._stale:
            return
        blocker = QSignalBlocker(self.model)
        self.model.clear()
        for card in self.session.finders():
            self.model.addItem(card.name, card.name)
        place = self.model.findData(self.session.model)
        if place < 0:  # its folder is gone, or it was given as a folder
            self.model.addItem(f"{self.session.model} (missing)", self.session.model)
            place = self.model.count() - 1
        self.model.setCurrentIndex(place)
        blocker.unblock()
        card = self.session.card()
        self.facts.setText("" if card is None else facts(card))
        if not self.session.is_tuning:
            self.name.setText(self.session.free_model_name())
            self.name.setCursorPosition(0)
        self.refresh()

    def _on_changed(self, changes: Changes) -> None:
        if changes.kinds & {"grades", "settings", "candidates"}:
            self._enable()

    def _on_stepped(self, job: JobHandle, step: Step) -> None:
        tuning = self.session.tuning
        if tuning is not None and job is tuning.job:
            set_progress(self.bar, round(1000 * (job.fraction or 0)))
            self.words.setText(step.note)

    def _on_finished(self, job: JobHandle, *_: object) -> None:
        if self.session.tuning is not None and job is self.session.tuning.job:
            self.refresh()

    def _enable(self, *_: object) -> None:
        """What can be asked for now; counting a large project's grades is left until somebody looks."""
        if self.visibleRegion().isEmpty():
            self._stale = True
            return
        session = self.session
        lenses, others = session.taught()
        words = f"{lenses:,} lens{'' if lenses == 1 else 'es'}, {others:,} other{'' if others == 1 else 's'} graded"
        self.taught.setText(words)
        tuning = session.is_tuning
        self.tune.setText("Stop" if tuning else "Fine-tune")
        self.tune.setEnabled(tuning or (session.can_tune and bool(self.name.text().strip())))
        for widget in (self.name, self.painted, self.simulated, self.epochs):
            widget.setEnabled(not tuning)
        self.again.setEnabled(session.can_rescore)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Catch up with what happened while another panel lay over this one: that one is moved, not hidden."""
        if self._stale:
            self._stale = False
            QTimer.singleShot(0, self, self._reload)

    def refresh(self) -> None:
        """Show how the last fine-tuning goes, or what came of it."""
        self._enable()
        tuning = self.session.tuning
        self.pages.setCurrentIndex(0 if tuning is None else 1)
        if tuning is None:
            return
        self._draw(tuning.history, tuning.epochs)
        running, result = tuning.job.reason is None, tuning.result
        self.bar.setVisible(running)
        self.words.setVisible(running or result is None)
        if tuning.job.reason is Reason.CANCELLED:
            self.words.setText("Stopped: nothing was changed.")
        elif tuning.job.error is not None:
            self.words.setText(str(tuning.job.error))
        self.table.setText("" if result is None else table(result))
        self.notes.setText("" if result is None else "\n".join(result.notes))
        self.table.setVisible(result is not None)
        self.notes.setVisible(result is not None and bool(result.notes))
        self.use.setVisible(result is not None and self.session.model != result.card.name)

    def _draw(self, history: list[dict[str, float]], epochs: int) -> None:
        plot, theme = self.plot, style.theme()
        plot.clear()
        plot.table = [("epoch", "learned", "held out"), *((e["epoch"], e["train_loss"], e["loss"]) for e in history)]
        places = [one["epoch"] for one in history]
        lines = {"train_loss": ("learned from", theme.muted), "loss": ("held out", theme.accent)}
        for key, (_, colour) in lines.items():
            line = [one[key] for one in history]
            plot.plot(places, line, pen=pg.mkPen(colour, width=2), symbol="o", symbolSize=5, symbolBrush=colour,
                      symbolPen=None)  # fmt: skip
        words = " &nbsp; ".join(f"<span style='color:{colour}'>● {name}</span>" for name, colour in lines.values())
        plot.setTitle(f"Loss &nbsp; {words}", size="9pt")
        plot.setXRange(1, max(epochs, 2), padding=0.05)
        every = max(1, epochs // 8)
        plot.getAxis("bottom").setTicks([[(place, str(place)) for place in range(1, epochs + 1, every)]])


def facts(card: ModelCard) -> str:
    """What a model is, in a few words."""
    bands = "any one band" if card.bands == ("any",) else ", ".join(card.bands)
    parts = [f"{card.architecture.replace('over:', 'a head over ')}, {bands}"]
    if "auc" in card.metrics:
        parts.append(f"AUC {card.metrics['auc']:.3f} on the test part of its own examples")
    start = card.training.get("start") if "fine_tuned" in card.training else None
    if start:
        parts.append(f"fine-tuned from {start}")
    return "\n".join(parts)


def table(result: Any) -> str:
    """Both models on each kind of held-out examples, as rich text."""
    muted = style.theme().muted
    rows = "".join(
        f"<tr><td>{TITLES[one.of]}</td><td align='right' style='color:{muted}'>{one.lenses} + {one.others}</td>"
        f"<td align='right'>{one.before:.3f}</td><td align='right'><b>{one.after:.3f}</b></td>"
        f"<td style='color:{muted}'>{one.after_interval[0]:.3f}–{one.after_interval[1]:.3f}</td></tr>"
        for one in result.judgements
    )
    titles = ("AUC on", "held out", "before", "after", "90 %")
    head = "".join(f"<td align='{'left' if k in (0, 4) else 'right'}'>{text}</td>" for k, text in enumerate(titles))
    return f"<table cellspacing='0' cellpadding='2'><tr style='color:{muted}'>{head}</tr>{rows}</table>"


def _words(name: str) -> QLabel:
    label = QLabel(wordWrap=True, objectName=name)
    label.setProperty("role", "muted")
    return label


def _number(name: str, value: int, most: int, step: int, tip: str) -> QSpinBox:
    box = QSpinBox(minimum=0, maximum=most, singleStep=step, value=value, objectName=name)
    box.setToolTip(tip)
    return box


def _column(title: str, *parts: QWidget | QFormLayout) -> QFrame:
    frame = QFrame()
    frame.setFixedWidth(_COLUMN)
    column = QVBoxLayout(frame)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(6)
    heading = QLabel(title)
    heading.setProperty("role", "heading")
    column.addWidget(heading)
    for part in parts[:-1]:
        if isinstance(part, QWidget):
            column.addWidget(part)
        else:
            column.addLayout(part)
    column.addStretch(1)
    last = parts[-1]
    assert isinstance(last, QWidget)
    column.addWidget(last)
    return frame
