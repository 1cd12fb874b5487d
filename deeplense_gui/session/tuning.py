"""Teaching a finder: the models there are, fine-tuning on the grades of the project, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle, Reason
from deeplense_gui.session.core import Choice, Core
from engine.types import ModelCard

_NAME = re.compile(r"[\w.-]*\w")


@dataclass(slots=True)
class Tuning:
    """A fine-tuning: its job, the metrics of each epoch so far, and in the end what came of it (a ``Tuned``)."""

    job: JobHandle
    epochs: int
    history: list[dict[str, float]] = field(default_factory=list)
    result: Any = None


class TuningVerbs(Core):
    """Fine-tune, stop; ``tuning_changed`` with each step forward, ``models_changed`` when there is a new model."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.tuning: Tuning | None = None
        self.jobs.finished.connect(self._on_tuned)

    def finders(self) -> list[ModelCard]:
        """The cards of all models that score stamps of lenses, those that come with the program first."""
        return work.finders()

    def taught(self) -> tuple[int, int]:
        """How many candidates of the open mosaics are graded as lenses, and how many as none."""
        if self.project is None:
            return 0, 0
        return self._read(self._count_taught, (0, 0))

    def _count_taught(self) -> tuple[int, int]:
        scheme, counts = self.project.scheme(), [0, 0]
        for mosaic in self.mosaics:
            for grade, count in self.project.counts(mosaic).items():
                level = scheme.level(grade)
                if level is not None and level.lens is not None:
                    counts[level.lens] += count
        return counts[True], counts[False]

    @property
    def is_tuning(self) -> bool:
        """Whether a fine-tuning is under way."""
        return self.tuning is not None and self.tuning.job.reason is None

    @property
    def can_tune(self) -> bool:
        """Whether there are grades to learn from, and nothing is being learned."""
        return not self.is_tuning and self.project is not None and sum(self.taught()) > 0

    def free_model_name(self) -> str:
        """A name for the next model: that of the one in use and the project's, with a number where it is taken."""
        project = "" if self.project is None or self.project.path is None else f"-{Path(self.project.path).stem}"
        return work.free_model_name(f"{self.model.split('-')[0]}{project}")

    def fine_tune(self, name: str, *, painted: int, simulated: int, epochs: int) -> JobHandle | None:
        """Teach the model in use the grades of the project, in the background; the new model is ``name``."""
        if not self.can_tune:
            return None
        if _NAME.fullmatch(name) is None:
            self.say("The name of a model has letters, digits, dots, - and _ alone: choose another.", "warning")
            return None
        if work.free_model_name(name) != name:
            self.say(f"There is a model {name} already: choose another name.", "warning")
            return None
        project, mosaics, start = self.project, tuple(self.mosaics.values()), self.model
        numbers = {"painted": painted, "simulated": simulated, "epochs": epochs}
        job = self.jobs.submit(f"Fine-tuning {start}", lambda: work.fine_tune(project, mosaics, start, name, numbers))
        self.tuning = Tuning(job, epochs)
        self._results[job.id] = self._take_tuned
        self.tuning_changed.emit()
        return job

    def stop_tuning(self) -> None:
        """Give the fine-tuning up; nothing of it stays."""
        if self.tuning is not None and self.is_tuning:
            self.jobs.cancel(self.tuning.job)

    def _take_tuned(self, item: Any) -> None:
        if self.tuning is not None:
            if isinstance(item, dict):
                self.tuning.history.append(item)
            else:
                self.tuning.result = item
            self.tuning_changed.emit()

    def _on_tuned(self, job: JobHandle, reason: Reason, error: Exception | None) -> None:
        if self.tuning is None or job is not self.tuning.job:
            return
        if reason is Reason.DONE:
            found = self.tuning.result
            self.models_changed.emit()
            text = f"{found.card.name} is ready. {verdict(found.judgements)}"
            self.say(text, "info", (Choice("Use it and score again", lambda: self.use_tuned(found.card.name)),))
        self.tuning_changed.emit()

    def use_tuned(self, name: str) -> None:
        """Score with a new model, and the candidates of the shown mosaic at once."""
        self.use_model(name)
        self.rescore()


def verdict(judgements: Sequence[Any]) -> str:
    """In a sentence, what the first judgement says: that on the person's own grades where there is one."""
    if not judgements:
        return ""
    one = judgements[0]
    return f"AUC {one.before:.3f} before and {one.after:.3f} after, on {one.words}."
