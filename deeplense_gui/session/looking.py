"""Looking closer at the selected candidate: saliency, residual, overlays."""

from __future__ import annotations

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.types import Candidate


class LookingVerbs(Core):
    """Explain, subtract the deflector, hide what is drawn over the pixels."""

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
