"""How each grader does on the calibration stamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

COLUMNS = (
    ("Grader", "Who graded"),
    ("Graded", "Candidates and calibration stamps graded"),
    ("Completeness", "Lenses among the calibration stamps that were called a lens, with the 68 % interval"),
    ("Kept", "Lenses that were not rejected"),
    ("False positives", "Duds that were called a lens"),
    ("Self-consistency", "Repeats that were given the same grade again"),
)


class GradersDialog(QDialog):
    """A line a grader, with completeness by Einstein radius and S/N; and what random controls tell of the cut.

    ``reports`` are GraderReports, ``cut`` is a CutReport or None.
    """

    def __init__(self, reports: Sequence[Any], cut: Any | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("How graders do")
        self.resize(860, 320)
        edges = [
            (f"θ {one.low:g}–{one.high:g}″" if math.isfinite(one.high) else f"θ ≥ {one.low:g}″", "by_radius", k)
            for k, one in enumerate(reports[0].by_radius if reports else ())
        ] + [
            (f"S/N {one.low:g}–{one.high:g}" if math.isfinite(one.high) else f"S/N ≥ {one.low:g}", "by_signal", k)
            for k, one in enumerate(reports[0].by_signal if reports else ())
        ]
        self.table = QTableWidget(len(reports), len(COLUMNS) + len(edges), objectName="graders")
        self.table.setHorizontalHeaderLabels([title for title, _ in COLUMNS] + [title for title, *_ in edges])
        for column, (_, tip) in enumerate(COLUMNS):
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        for row, one in enumerate(reports):
            shares = (one.completeness, one.kept, one.false_positives, one.consistency)
            binned = (getattr(one, name)[k].found for _, name, k in edges)
            texts = [one.grader, f"{one.graded:,}", *map(share_text, shares), *map(share_text, binned)]
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
                self.table.setItem(row, column, item)
        self.table.resizeColumnsToContents()
        told = (
            "Completeness is of painted arcs and known lenses, visible or not: nobody reaches 100 %."
            if reports
            else "Nobody has graded yet. Make calibration stamps (Grade > Calibration and controls) and vet blind."
        )
        text = QLabel(told, wordWrap=True)
        text.setProperty("role", "muted")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(self.table, 1)
        self.cut = QLabel("" if cut is None else cut_text(cut), wordWrap=True, objectName="cut")
        self.cut.setVisible(cut is not None)
        column.addWidget(self.cut)
        column.addWidget(self.buttons)


def cut_text(cut: Any) -> str:
    """What random controls tell of the cut of score, as rich text."""
    found = (
        f"{cut.found:,} lenses among {cut.graded:,} of {cut.above:,} candidates from score {cut.cut:g} that are graded"
    )
    if not cut.share.count:
        drawn = f"{cut.controls:,} random controls below are not graded yet" if cut.controls else "no random controls"
        return f"<b>The cut of score.</b> {found}; {drawn}, so that nobody knows how many lenses lie below."
    lost, low, high = (f"{value:,.0f}" for value in cut.lost)
    text = (
        f"<b>The cut of score.</b> {found}. Below it {share_text(cut.share)} random controls are lenses: about {lost} "
        f"({low}-{high}) lenses among {cut.below:,} candidates."
    )
    if not math.isfinite(cut.completeness[0]):
        return text
    share, least, most = (f"{100 * value:.0f}" for value in cut.completeness)
    unfinished = "" if cut.graded == cut.above else " so far: not all above it are graded"
    return f"{text} <b>Completeness of the cut: {share} % ({least}-{most}){unfinished}.</b>"


def share_text(share: Any) -> str:
    """A share with its interval and the counts behind it: ``62 % (55-69), 31 of 50``."""
    if not share.count:
        return "–"
    return f"{100 * share.share:.0f} % ({100 * share.low:.0f}-{100 * share.high:.0f}), {share.hits} of {share.count}"
