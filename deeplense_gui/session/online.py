"""What the network says of a candidate: catalogues, pictures of surveys, and pages for the browser; only on request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.types import Candidate, Mosaic, Step

_KEPT = 200  # candidates whose answers are remembered


class Findings(QObject):
    """What was found of candidates: ``answers`` of catalogues and ``pictures`` of surveys, by candidate.

    ``answered(id)`` and ``pictured(id)`` come when there is something new.
    """

    answered = Signal(int)
    pictured = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.answers: dict[int, tuple[Any, ...]] = {}
        self.pictures: dict[int, Any] = {}

    def forget(self) -> None:
        """Another project numbers its candidates anew."""
        self.answers.clear()
        self.pictures.clear()

    def answer(self, candidate: int, answers: tuple[Any, ...]) -> None:
        """Take what catalogues say."""
        _keep(self.answers, candidate, answers)
        self.answered.emit(candidate)

    def picture(self, candidate: int, picture: Any) -> None:
        """Take a picture of a survey."""
        _keep(self.pictures, candidate, picture)
        self.pictured.emit(candidate)


class OnlineVerbs(Core):
    """Look up, fetch a picture, list pages. A candidate that blind mode conceals is looked up nowhere."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.online = Findings(self)
        self.project_opened.connect(lambda _: self.online.forget())

    @property
    def can_look_up(self) -> bool:
        """Whether a candidate with a place on the sky is selected, and not concealed."""
        candidate = self.candidate()
        return candidate is not None and candidate.ra is not None and not self.conceals(candidate)

    def look_up(self) -> JobHandle | None:
        """Ask catalogues on the network what is at the selected candidate; answers come one by one."""
        if not self.can_look_up:
            return None
        candidate, project = self.candidate(), self.project
        found: list[Any] = []
        self.online.answer(candidate.id, ())

        def job() -> Iterator[Step]:
            yield Step(0, 0, note="Asking SIMBAD, NED and VizieR")
            from engine.exchange.lookup import look_up

            yield from look_up(candidate.ra, candidate.dec)

        def take(answer: Any) -> None:
            found.append(answer)
            if self.project is project:
                self.online.answer(candidate.id, tuple(found))

        handle = self.jobs.submit(f"Looking up {candidate.name}", job, kind="look-up", outside=True)
        self._results[handle.id] = take
        return handle

    def is_looking_up(self, candidate: Candidate) -> bool:
        """Whether catalogues are being asked about a candidate."""
        return any(job.kind == "look-up" and job.name.endswith(candidate.name) for job in self.jobs.unfinished)

    def image_services(self) -> tuple[str, ...]:
        """Names of the surveys that may have a picture of the selected candidate, the best first."""
        candidate = self.candidate()
        if candidate is None or candidate.dec is None:
            return ()
        from engine.exchange.services import image_services

        return tuple(service.name for service in image_services(candidate.dec))

    def fetch_picture(self, survey: str = "") -> JobHandle | None:
        """Fetch a survey's picture of the selected candidate, the best survey's by default; it is shown as a view."""
        names = self.image_services()
        if not self.can_look_up or not names:
            return None
        candidate, project = self.candidate(), self.project
        name = survey if survey in names else names[0]
        mosaic = self.mosaic_of(candidate)

        def take(picture: Any) -> None:
            if self.project is project:
                self.online.picture(candidate.id, picture)
                self.say(f"{name}: shown with the views of the stamp")

        job = partial(_picture, name, candidate, mosaic)
        handle = self.jobs.submit(f"Fetching {name} of {candidate.name}", job, kind="picture", outside=True)
        self._results[handle.id] = take
        return handle

    def pages(self) -> list[tuple[str, str, str]]:
        """Pages of the selected candidate for the browser: name, address, and what is there."""
        candidate = self.candidate()
        if not self.can_look_up or candidate is None:
            return []
        from engine.exchange.services import LINKS

        return [(link.name, link.at(candidate.ra, candidate.dec), link.tip) for link in LINKS]


def _picture(name: str, candidate: Candidate, mosaic: Mosaic | None) -> Iterator[Step]:
    from engine.exchange.services import IMAGES
    from engine.exchange.survey_image import survey_image

    service = next(one for one in IMAGES if one.name == name)
    place = (candidate.x, candidate.y)
    for step in survey_image(service, candidate.ra, candidate.dec, mosaic=mosaic, xy=place):
        yield replace(step, note=step.note or name)


def _keep(kept: dict[int, Any], candidate: int, what: Any) -> None:
    kept.pop(candidate, None)
    kept[candidate] = what
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
