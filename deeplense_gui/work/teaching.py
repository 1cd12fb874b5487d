"""Jobs that bring grades back to the models, and the models there are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.types import ModelCard, Mosaic, Step


def finders() -> list[ModelCard]:
    """The cards of all models that score stamps of lenses, those that come with the program first."""
    from engine.models.library import list_models

    return [card for card in list_models() if not card.stride and not card.targets and len(card.classes) == 2]


def free_model_name(wanted: str) -> str:
    """A name in the user's library that is not taken, as near to the wanted one as can be."""
    from engine.models.library import model_folders, user_models

    base = re.sub(r"[^\w.-]+", "-", wanted)
    taken = {*model_folders(), *(path.name for path in user_models().glob("*"))}
    return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if name not in taken)


def fine_tune(
    project: Any, mosaics: tuple[Mosaic, ...], start: str, name: str, numbers: Mapping[str, int]
) -> Iterator[Step]:
    """Fine-tune a model into the user's library; the items are metrics of epochs, the last one the Tuned.

    The project is opened a second time, to read: the window goes on writing to it meanwhile.
    """
    yield Step(0, 1, note="Reading the grades")
    from engine.models.library import user_models
    from engine.tuning.fine_tune import TuneRequest, fine_tune

    spared = max(1, (os.cpu_count() or 1) - 1)  # a core for the window
    request = TuneRequest(mosaics, user_models() / name, start, threads=spared, processes=spared, **numbers)
    opened = project.again()
    try:
        yield from fine_tune(opened, request)
    finally:
        opened.close()
