"""What the engine is doing: each job with progress, time left and Cancel; and the short form for the status bar."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.jobs import JobHandle, Reason
from deeplense_gui.session import Session
from deeplense_gui.widgets.progress import set_progress
from deeplense_gui.widgets.readout import Elided

ENDED_KEPT = 20
RESULT = {Reason.DONE: "Done", Reason.CANCELLED: "Cancelled", Reason.FAILED: "Failed"}


def duration(seconds: float) -> str:
    """A length of time in words: ``40 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{max(whole, 1)} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def progress_text(job: JobHandle) -> str:
    """How far a job is, in words."""
    if job.reason is not None:
        return RESULT[job.reason] + (f": {job.error}" if job.error else "")
    if job.started_at is None:
        return "Waiting"
    left = job.time_left
    parts = [job.step.note, "" if left is None else f"{duration(left)} left"]
    return " · ".join(part for part in parts if part) or "Running"


def show_progress(bar: QProgressBar, job: JobHandle) -> None:
    """Set a progress bar; a job of unknown length makes it busy."""
    if job.fraction is not None:
        most, value = 1000, round(1000 * job.fraction)
    elif job.reason is not None:
        most, value = 1000, 1000 if job.reason is Reason.DONE else 0
    else:
        most, value = 0, 0
    set_progress(bar, value, most)


class JobRow(QWidget):
    """One job: name, bar, words, Cancel while it lives."""

    def __init__(self, session: Session, job: JobHandle, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.job = job
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 3, 8, 3)
        name = QLabel(job.name)
        name.setMinimumWidth(240)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setFixedSize(180, 8)
        self.bar.setAccessibleName(f"Progress of {job.name}")
        self.words = QLabel()
        self.words.setProperty("role", "muted")
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.cancel = QToolButton(text="Cancel", icon=style.icon("stop"))
        self.cancel.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.cancel.clicked.connect(lambda: session.jobs.cancel(job))
        for widget in (name, self.bar, self.words):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.cancel)
        self.refresh()

    def refresh(self) -> None:
        """Show the job as it is now."""
        show_progress(self.bar, self.job)
        self.words.setText(progress_text(self.job))
        self.cancel.setVisible(self.job.reason is None)


class JobsPanel(QScrollArea):
    """All jobs of this window, newest first; those that ended stay a while with their outcome."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.rows: dict[int, JobRow] = {}
        self.setWidgetResizable(True)
        inside = QWidget()
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 4, 0, 4)
        self._column.setSpacing(0)
        self.empty = QLabel("Nothing runs. Scans, exports and the demo show their progress here.")
        self.empty.setProperty("role", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._column.addWidget(self.empty)
        self._column.addStretch(1)
        self.setWidget(inside)
        session.jobs.submitted.connect(self._add)
        for signal in (session.jobs.started, session.jobs.stepped, session.jobs.finished):
            signal.connect(lambda job, *_: self._refresh(job))

    def _add(self, job: JobHandle) -> None:
        if job.quiet:
            return
        self.empty.hide()
        self.rows[job.id] = JobRow(self._session, job)
        self._column.insertWidget(0, self.rows[job.id])
        ended = [row for row in self.rows.values() if row.job.reason is not None]
        for row in ended[: max(len(ended) - ENDED_KEPT, 0)]:
            del self.rows[row.job.id]
            row.deleteLater()

    def _refresh(self, job: JobHandle) -> None:
        if job.id in self.rows:
            self.rows[job.id].refresh()


class JobStatus(QWidget):
    """The job under way, for the status bar: name, bar, time left, Cancel."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: JobHandle | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 0, 0, 0)
        self.words = Elided()  # else a long name makes the window wider, for good
        self.words.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setFixedSize(150, 8)
        self.bar.setAccessibleName("Progress")
        self.cancel = QToolButton(text="Cancel", icon=style.icon("stop"), objectName="cancel-job")
        self.cancel.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.cancel.clicked.connect(lambda: self._job is not None and session.jobs.cancel(self._job))
        for widget in (self.words, self.bar, self.cancel):
            row.addWidget(widget)
        self._clock = QTimer(self, interval=500)
        self._clock.timeout.connect(self._show)
        session.jobs.submitted.connect(self._pick)
        session.jobs.started.connect(self._pick)
        session.jobs.stepped.connect(lambda job, _: self._show())
        session.jobs.finished.connect(lambda *_: self._pick())
        self._pick()

    def _pick(self, _job: JobHandle | None = None) -> None:
        """Show the running job that matters most: a listed one, else what is being opened or loaded."""
        alive = self._session.jobs.unfinished
        listed = [job for job in alive if not job.quiet] or [job for job in alive if not job.priority]
        self._job = next(iter(listed), None)
        self.setVisible(self._job is not None)
        if self._job is None:
            self._clock.stop()
        else:
            self._clock.start()
            self._show()

    def _show(self) -> None:
        job = self._job
        if job is None:
            return
        show_progress(self.bar, job)
        text = f"{job.name} · {progress_text(job)}"
        self.words.setText(text)
        self.words.setToolTip(text)
        self.cancel.setVisible(not job.quiet)
