"""Looking closer at the selected candidate: saliency, residual, overlays."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.types import Candidate, Probe

_PROBED = 256  # candidates whose probes are remembered


class LookingVerbs(Core):
    """Explain, probe, subtract the deflector, hide what is drawn over the pixels."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.probes: OrderedDict[int, list[Probe]] = OrderedDict()
        self.project_opened.connect(self._forget_probes)
        self.models_changed.connect(self._forget_probes)

    def saliency_methods(self) -> tuple[str, ...]:
        """Names of the saliency methods; none of them is imported here."""
        return ("gradcam", "integrated_gradients", "occlusion")

    def explain(self, method: str) -> JobHandle | None:
        """Ask why the selected candidate scored so; the newest request wins, ``explained`` follows."""
        candidate = self.candidate()
        mosaic = None if candidate is None else self.mosaic_of(candidate)
        if candidate is None or mosaic is None:
            return None
        model = self.model
        self.explaining.emit(candidate.id, method)
        return self._ask(
            f"Explaining {candidate.name}",
            lambda: self._models.explain(mosaic, candidate, model, method),
            lambda saliency: self.explained.emit(candidate.id, saliency),
            kind="explain",
        )

    @property
    def is_explaining(self) -> bool:
        """Whether an explanation is under way."""
        return any(job.kind == "explain" for job in self.jobs.unfinished)

    @property
    def can_probe(self) -> bool:
        """Whether there is a candidate whose score may be shown, and pixels to change."""
        candidate = self.candidate()
        return candidate is not None and self.mosaic_of(candidate) is not None and not self.conceals(candidate)

    def probe(self) -> JobHandle | None:
        """Ask what the score of the selected candidate hangs on; ``probed(id)`` follows with each change."""
        candidate = self.candidate()
        mosaic = None if candidate is None else self.mosaic_of(candidate)
        if candidate is None or mosaic is None or not self.can_probe:
            return None
        models, model = self._models, self.model
        self.probes[candidate.id] = []
        while len(self.probes) > _PROBED:
            self.probes.popitem(last=False)

        def take(found: Probe) -> None:
            self.probes.setdefault(candidate.id, []).append(found)
            self.probed.emit(candidate.id)

        handle = self._ask(
            f"Probing {candidate.name}", lambda: models.probe(mosaic, candidate, model), take, kind="probe"
        )
        self.probed.emit(candidate.id)
        return handle

    @property
    def is_probing(self) -> bool:
        """Whether a stamp is being changed and scored."""
        return any(job.kind == "probe" for job in self.jobs.unfinished)

    def _forget_probes(self, *_: object) -> None:
        """Another project numbers its candidates anew, another model says something else."""
        self.probes.clear()

    def ask_residual(self, candidate: Candidate, *, ahead: bool = False) -> None:
        """Ask for a stamp minus its deflector; the newest request wins, ``residual_made`` follows.

        ``ahead`` is for the candidate that comes next: it supersedes only others of its kind.
        """
        mosaic, model = self.mosaic_of(candidate), self.model
        if mosaic is not None:
            self._ask(
                f"Subtracting the deflector of {candidate.name}",
                lambda: work.residual(mosaic, candidate, model),
                lambda residual: self.residual_made.emit(candidate.id, residual),
                kind="residual ahead" if ahead else "residual",
            )

    def toggle_overlays(self) -> None:
        """Hide or show everything drawn over the pixels."""
        self.overlays = not self.overlays
        self.overlays_toggled.emit(self.overlays)
