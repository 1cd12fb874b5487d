"""What to look at next: the queue, its order, limits and saved filters, and whether one vets blind."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from deeplense_gui import style
from deeplense_gui.session import OF_OTHERS, TELLING, Session
from deeplense_gui.widgets.readout import Elided

QUEUES = (
    ("All candidates", "", "Every candidate that passes the filter"),
    ("Not graded", "ungraded", "What you have not graded yet"),
    ("Uncertain", "uncertain", "Not graded, and the score swings between views of the stamp: the widest swing first"),
    ("Disagreements", "disagreements", "Graders differ by two grades or more, and have not agreed on one"),
    ("Few graders", "few graders", "Fewer people than you say have graded it, and you have not"),
    ("Come back", "come back", "What you marked to come back to"),
    ("Flagged", "flagged", "What anybody flagged"),
)
ORDERS = (
    ("by score", "score", True),
    ("by spread", "spread", True),
    ("by brightness", "flux", True),
    ("by position", "ra", False),
    ("shuffled", "random", False),
)


class QueueBar(QWidget):
    """Two boxes, a menu and a switch; below what else belongs to the queue. ``asked(id)`` names an action wanted."""

    asked = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        row = QHBoxLayout()
        row.setSpacing(6)
        self.queue = self._combo("Queue", "What to look at next", "queue")
        for text, name, tip in QUEUES:
            self.queue.addItem(text, name)
            self.queue.setItemData(self.queue.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.order = self._combo("Order", "In which order; shuffled: an order of your own, always the same", "order")
        for text, name, _ in ORDERS:
            self.order.addItem(text, name)
        self.filter = QToolButton(icon=style.icon("filter"), text="Filter", objectName="filters")
        self.filter.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.filter.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.filter.setToolTip("Limits of columns, what is in view on the mosaic, filters saved by name")
        self.filter.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill)
        self.filter.setMenu(self.menu)
        self.blind = QToolButton(icon=style.icon("overlays-off"), text="Blind", checkable=True, objectName="blind")
        self.blind.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.blind.setToolTip(
            "Blind: no score, name, position or other people's grades until you have graded; the list is shuffled "
            "(Ctrl+Shift+B)"
        )
        self.blind.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row.addWidget(self.queue, 3)
        row.addWidget(self.order, 2)
        row.addWidget(self.filter)
        row.addWidget(self.blind)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addLayout(self._make_more())
        self.queue.currentIndexChanged.connect(self._on_queue)
        self.order.currentIndexChanged.connect(self._on_order)
        self.blind.clicked.connect(lambda on: session.set_blind(on))
        session.filtered.connect(self.show_state)
        session.changed.connect(lambda changes: self._show_mixing() if "settings" in changes.kinds else None)
        session.blinded.connect(lambda _: self.show_state())
        session.project_opened.connect(lambda _: self.show_state())
        self.show_state()

    def _make_more(self) -> QHBoxLayout:
        """What belongs to one queue alone: how many graders, resolving; and what is mixed in when blind."""
        row = QHBoxLayout()
        row.setSpacing(6)
        self.fewer = QLabel("fewer than")
        self.fewer.setProperty("role", "muted")
        self.wanted = QSpinBox(minimum=1, maximum=99, value=2, objectName="wanted")
        self.wanted.setSuffix(" graders")
        self.wanted.setAccessibleName("Fewer graders than")
        self.wanted.valueChanged.connect(lambda value: self._session.set_filters(wanted=value))
        self.resolve = QPushButton("Resolve…", objectName="resolve", autoDefault=False)
        self.resolve.setToolTip("All grades side by side, and what the team agrees on")
        self.resolve.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.resolve.clicked.connect(lambda: self.asked.emit("grade.resolve"))
        self.mixed = Elided()
        self.mixed.setProperty("role", "muted")
        for widget in (self.fewer, self.wanted, self.resolve):
            row.addWidget(widget)
        row.addWidget(self.mixed, 1)
        row.addStretch(0)
        return row

    def _show_mixing(self) -> None:
        text = self._session.mixing_text()
        self.mixed.setText(text)
        self.mixed.setToolTip(f"In the blind queue: {text} (Grade > Calibration and controls)")
        self.mixed.setVisible(bool(text))

    def _combo(self, name: str, tip: str, object_name: str) -> QComboBox:
        combo = QComboBox(objectName=object_name)
        combo.setAccessibleName(name)
        combo.setToolTip(tip)
        combo.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return combo

    def show_state(self) -> None:
        """Show what the session has chosen."""
        session, filters = self._session, self._session.filters
        blockers = [QSignalBlocker(box) for box in (self.queue, self.order, self.wanted)]
        self.wanted.setValue(filters.wanted)
        self.queue.setCurrentIndex(self.queue.findData(filters.queue))
        self.order.setCurrentIndex(self.order.findData(filters.order))
        del blockers
        for index, (_, name, _) in enumerate(ORDERS):
            self.order.model().item(index).setEnabled(not (session.blind and name in TELLING))
        for index, (_, name, _) in enumerate(QUEUES):
            self.queue.model().item(index).setEnabled(not (session.blind and name in OF_OTHERS))
        for widget in (self.queue, self.order, self.filter, self.blind):
            widget.setEnabled(session.project is not None)
        self.blind.setChecked(session.blind)
        for widget in (self.fewer, self.wanted):
            widget.setVisible(filters.queue == "few graders")
        self.resolve.setVisible(filters.queue == "disagreements")
        self._show_mixing()
        limits = len(filters.ranges) + len(filters.words) + (filters.mosaic is not None) + filters.once
        self.filter.setText(f"Filter ({limits})" if limits else "Filter")

    def _on_queue(self, index: int) -> None:
        name = QUEUES[index][1]
        order = {"order": "spread", "descending": True} if name == "uncertain" and not self._session.blind else {}
        self._session.set_filters(queue=name, **order)
        self._begin()

    def _on_order(self, index: int) -> None:
        _, name, descending = ORDERS[index]
        self._session.set_filters(order=name, descending=descending, seed=self._session.own_seed())

    def _begin(self) -> None:
        """Look at the first of a queue that the selected candidate is not in."""
        ids = self._session.ids()
        if len(ids) and self._session.selection not in ids:
            self._session.select(int(ids[0]))

    def _fill(self) -> None:
        """What there is to filter by."""
        self.menu.clear()
        for text, action in (
            ("Limits of columns…", "list.limits"),
            ("Only what is in view on the mosaic", "list.in_view"),
            ("Save this filter…", "list.save"),
            ("Clear all filters", "list.clear"),
        ):
            self.menu.addAction(text).triggered.connect(lambda _=False, action=action: self.asked.emit(action))
        once = self.menu.addAction("Each object once")
        once.setToolTip("Leave out what is marked as the same object as another candidate (View > Duplicates)")
        once.setCheckable(True)
        once.setChecked(self._session.filters.once)
        once.toggled.connect(lambda on: self._session.set_filters(once=on))
        saved = self._session.saved_filters()
        if saved:
            self.menu.addSection("Saved")
        for name in saved:
            self.menu.addAction(name).triggered.connect(lambda _=False, name=name: self._session.use_filters(name))
