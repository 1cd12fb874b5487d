"""What a blind queue is made of: the cut of score, random controls, calibration stamps, and what is told of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplense_gui.session.blinding import BlindVerbs
from deeplense_gui.session.grading import GradingVerbs
from engine.errors import EngineError
from engine.types import Candidate, Changes


class MixingVerbs(GradingVerbs, BlindVerbs):
    """Mix random controls and calibration stamps into the blind queue, and tell what they say."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._queue: Any = None  # as it was counted last
        self.listing.among = self._members
        self.listing.tally = self._tally
        self.scanning.connect(self._on_scanning)

    def mixing(self) -> Any:
        """What the project says a blind queue is made of, None without a project."""
        from engine.catalogue.blind_queue import mixing

        return None if self.project is None else mixing(self.project)

    def blind_queue(self, wanted: Any | None = None) -> Any:
        """How many candidates, controls and stamps a blind queue has; of the project's own mixing by default."""
        from engine.catalogue.blind_queue import blind_queue

        return blind_queue(self.project, wanted or self.mixing())

    def set_mixing(self, wanted: Any) -> None:
        """Keep with the project what a blind queue is made of, and journal which controls were drawn."""
        from engine.catalogue.blind_queue import draw_controls, set_mixing

        try:
            set_mixing(self.project, wanted)
            draw_controls(self.project, wanted, grader=self.preferences.grader)
        except EngineError as error:
            self.say(str(error), "error")
            return
        self._renew()

    def set_blind(self, on: bool) -> None:
        """Switch blind mode, and draw the controls that have not been drawn yet."""
        if on and self.scan_job is None and not self.read_only:
            self._draw()
        super().set_blind(on)

    def mixing_text(self) -> str:
        """How often random controls and calibration stamps come in the blind queue, "" where there are none."""
        if not self.blind:
            return ""
        self.listing.members()  # counts them, if that has not been done
        queue, mixing = self._queue, self.mixing()
        parts = [
            f"1 in {len(queue.ids) / count:.0f} {what}"
            for count, what in ((queue.controls, "at random"), (queue.stamps, "calibration"))
            if count
        ]
        told = ["feedback on"] if mixing.feedback and queue.stamps else []
        cut = [f"score ≥ {mixing.cut:g}"] if mixing.cut is not None else []
        return " · ".join([*cut, *parts, *told])

    def cut_report(self) -> Any | None:
        """What the random controls tell of the cut of score; None where there is no cut."""
        from engine.catalogue.blind_queue import cut_report

        mixing = self.mixing()
        return None if mixing is None or mixing.cut is None else cut_report(self.project, mixing.cut)

    def grade(self, letter: str | None, *, stay: bool = False) -> None:
        """Grade; where feedback is on, say what a calibration stamp was."""
        graded = self.candidate() if self.blind and letter is not None and len(self.marked) < 2 else None
        super().grade(letter, stay=stay)
        if graded is not None and graded.kind and letter is not None and self.mixing().feedback:
            self.say(self._truth(graded, letter))

    def _truth(self, stamp: Candidate, letter: str) -> str:
        from engine.catalogue.calibration import stamps

        item = stamps(self.project, [stamp.id])[stamp.id]
        if item.repeats is not None:
            before = self.project.candidate(item.repeats, seen_by=self.preferences.grader).grade
            return f"You have seen this one before{f', and said {before} then' if before else ''}. You said {letter}."
        what = {
            "painted": f"an arc was painted on it, Einstein radius {item.einstein_radius or 0:.2f}″, "
            f"S/N {item.arc_snr or 0:.0f}",
            "known": "a published lens",
            "dud": "a source drawn at random, hardly ever a lens",
        }[stamp.kind]
        level = self.scheme().level(letter)
        lens = None if level is None else level.lens
        missed = "Missed" if item.is_lens else "No lens"
        verdict = "Left open" if lens is None else "Right" if lens is item.is_lens else missed
        return f"{verdict}: {what}. You said {letter}."

    def _members(self) -> NDArray[np.int64] | None:
        """Ids, sorted, of the blind queue; None where it has all candidates and stamps."""
        mixing = self.mixing()
        self._queue = self.blind_queue(mixing)
        return None if mixing.cut is None and mixing.stamps is None else self._queue.ids

    def _tally(self, members: NDArray[np.int64]) -> dict[str | None, int]:
        from engine.catalogue.blind_queue import counts

        return counts(self.project, members, self.preferences.grader)

    def _draw(self) -> None:
        from engine.catalogue.blind_queue import draw_controls

        try:
            draw_controls(self.project, self.mixing(), grader=self.preferences.grader)
        except EngineError as error:
            self.say(str(error), "error")

    def _on_scanning(self, on: bool) -> None:
        """Controls are drawn when a scan has ended: those of half a mosaic would not be drawn at random."""
        if not on and self.blind and not self.read_only:
            self._draw()
            self._renew()

    def _renew(self) -> None:
        self.listing.forget()
        self.changed.emit(Changes("Blind queue", (), frozenset({"settings"})))
        self.filtered.emit()
