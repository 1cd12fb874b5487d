"""How each grader does on the calibration stamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
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

MEASURES = (
    ("Graded", "Candidates and calibration stamps graded"),
    ("Completeness", "Lenses among the calibration stamps that were called a lens, with the 68 % interval"),
    ("Kept", "Lenses that were not rejected"),
    ("False positives", "Duds that were called a lens"),
    ("Self-consistency", "Repeats that were given the same grade again"),
)
_PAIRS = 6  # of graders that are named
BINS = (
    ("by_radius", "θ {}″", "Completeness for painted arcs of this Einstein radius"),
    ("by_signal", "S/N {}", "Completeness for painted arcs of this signal to noise"),
)


class GradersDialog(QDialog):
    """A column a grader, with completeness by Einstein radius and S/N; and what random controls tell of the cut.

    ``reports`` are GraderReports, ``cut`` is a CutReport or None, ``agreement`` an Agreement or None.
    """

    def __init__(
        self,
        reports: Sequence[Any],
        cut: Any | None = None,
        agreement: Any | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("How graders do")
        self.resize(640, 480)
        lines = [
            *MEASURES,
            *(
                (f"Completeness, {name.format(_range(one))}", tip)
                for bins, name, tip in BINS
                for one in (getattr(reports[0], bins) if reports else ())
            ),
        ]
        self.table = QTableWidget(len(lines), len(reports), objectName="graders")
        self.table.setHorizontalHeaderLabels([one.grader for one in reports])
        self.table.setVerticalHeaderLabels([title for title, _ in lines])
        for row, (_, tip) in enumerate(lines):
            self.table.verticalHeaderItem(row).setToolTip(tip)
        self.table.verticalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        for column, one in enumerate(reports):
            shares = [one.completeness, one.kept, one.false_positives, one.consistency]
            shares += [part.found for bins, *_ in BINS for part in getattr(one, bins)]
            for row, text in enumerate([f"{one.graded:,}", *map(share_text, shares)]):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        self.table.setVisible(bool(reports))
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
        self.agreement = QLabel(
            "" if agreement is None else agreement_text(agreement), wordWrap=True, objectName="agreement"
        )
        self.agreement.setToolTip("1 is perfect, 0 what chance would do; Fleiss' of all graders, Cohen's of two")
        self.agreement.setVisible(agreement is not None)
        column.addWidget(self.agreement)
        column.addWidget(self.buttons)


def _range(one: Any) -> str:
    """The bounds of a bin: ``0.75–1``."""
    return f"{one.low:g}–{one.high:g}" if math.isfinite(one.high) else f"≥ {one.low:g}"


def cut_text(cut: Any) -> str:
    """What random controls tell of the cut of score, as rich text."""
    found = f"{cut.found:,} lenses among the {cut.graded:,} graded of {cut.above:,} candidates from score {cut.cut:g}"
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


def agreement_text(agreement: Any) -> str:
    """How far graders agree beyond chance, as rich text; of many pairs, those that agree least."""
    told = [one for one in agreement.pairs if math.isfinite(one.kappa)]
    least = sorted(told, key=lambda one: one.kappa)[:_PAIRS]
    pairs = "; ".join(f"{escape(one.first)} and {escape(one.second)} {one.kappa:.2f} ({one.common:,})" for one in least)
    whole = f"κ {agreement.fleiss:.2f}" if math.isfinite(agreement.fleiss) else "κ is not defined"
    named = f" {'The least of two' if len(told) > _PAIRS else 'Of two'}: {pairs}." if pairs else ""
    return f"<b>Agreement.</b> {whole} on {agreement.common:,} candidates that several graded.{named}"


def share_text(share: Any) -> str:
    """A share with its interval and the counts behind it: ``62 % (55-69), 31 of 50``."""
    if not share.count:
        return "–"
    return f"{100 * share.share:.0f} % ({100 * share.low:.0f}-{100 * share.high:.0f}), {share.hits} of {share.count}"
