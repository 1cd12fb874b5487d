"""Fine-tuning: a finder goes on learning from what people graded, and is judged beside the one it came from."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.catalogue import Project
from engine.errors import DataError, ModelError
from engine.models.card import CARD, WEIGHTS, load_card, save_card
from engine.models.library import model_folder
from engine.train.data import ANY
from engine.train.loop import TrainRequest, train
from engine.tuning import examples
from engine.tuning.judgement import Judgement, judge
from engine.types import ModelCard, Mosaic, Step

JUDGEMENT = "fine-tuning.json"
CLASSES = ("not", "lens")
FORGOTTEN = 0.01
"""Loss of AUC, beyond what chance does, that a person is told of."""

_TOTAL = 1000
_SHARES = {"grades": 50, "painted": 150, "simulated": 150, "train": 550, "judge": 100}


@dataclass(frozen=True, slots=True, eq=False)
class TuneRequest:
    """What to teach, and how.

    ``start`` is the model to go on from, a name of the library or a folder; ``out`` the folder of the new one.
    ``painted`` and ``simulated`` stamps go with the grades (``engine.tuning.examples``), 0 for none; ``emphasis`` is
    how often an epoch goes through the grades: more learns them sooner, and forgets more of the rest.
    """

    mosaics: tuple[Mosaic, ...]
    out: Path
    start: str = "finder"
    painted: int = 300
    simulated: int = 1500
    epochs: int = 5
    learning_rate: float = 1e-4
    batch_size: int = 32
    emphasis: int = 2
    seed: int = 1
    threads: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """A fine-tuned model: its card and folder, how it does beside the one before, and what a person should know."""

    card: ModelCard
    folder: Path
    before: str
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...]


def fine_tune(project: Project, request: TuneRequest) -> Iterator[Step]:
    """Train a finder further on the grades of a project; the model is in ``request.out`` when all is done.

    Yields
    ------
    Steps; those that end an epoch have the mapping of its metrics as their item, the last one the Tuned.

    Raises
    ------
    ModelError : a model that is no finder, or a folder that holds one already
    DataError : no grade that says lens or not, too little to learn from, or a place that cannot be written
    """
    folder = model_folder(request.start)
    card = load_card(folder)
    _check(card, request)
    place = request.out.with_name(f".{request.out.name}.part")
    shutil.rmtree(place, ignore_errors=True)  # of a program that was killed
    try:
        place.mkdir(parents=True)
        yield from _tune(project, request, card, folder, place)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"{request.out.parent} cannot be written ({reason}): free some space, or choose another"
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _check(card: ModelCard, request: TuneRequest) -> None:
    if card.stride or card.targets or card.classes != CLASSES:
        raise ModelError(f"{card.name} is for {card.task}, it finds no lenses: fine-tune a lens finder")
    if request.out.exists():
        raise ModelError(f"there is a model {request.out.name} already: choose another name")
    if not request.mosaics:
        raise DataError("no mosaic of this project is open: its pixels are needed to learn from")


def _tune(project: Project, request: TuneRequest, card: ModelCard, folder: Path, place: Path) -> Iterator[Step]:
    stage = _Stage()
    files, notes = yield from _gather(project, request, card, place, stage)
    counts = examples.counted(files[0])
    wanted = TrainRequest(
        data=(*files[:1] * (request.emphasis - 1), *files),
        out=place / "model",
        name=request.out.name,
        architecture=card.architecture,
        bands=ANY if card.bands == ANY else (),
        channels=card.channels,
        start=folder,
        epochs=request.epochs,
        learning_rate=request.learning_rate,
        batch_size=request.batch_size,
        weight_decay=0.05,
        ema_decay=0.99,
        noise=0.1,
        shift=1,
        given_parts=True,
        seed=request.seed,
        split_seed=request.seed,
        threads=request.threads,
        prior=card.calibration.get("prior"),
        half_weights=True,
        task=card.task,
        licence=card.licence,
        limits=f"{card.name}, fine-tuned on grades of {counts['lenses']} lenses and {counts['others']} others. "
        f"{card.limits}",
    )
    found: list[ModelCard] = []
    for step in stage.of(train(wanted), "train"):
        found += [item for item in step.items if isinstance(item, ModelCard)]
        yield dataclasses.replace(step, items=tuple(item for item in step.items if isinstance(item, Mapping)))
    judgements = yield from stage.through(judge(files, folder, wanted.out, seed=request.seed), "judge")
    new = _finish(wanted.out, request, found[0], card, judgements)
    notes += _doubts(counts, judgements)
    yield Step(_TOTAL, _TOTAL, (Tuned(new, request.out, card.key, judgements, tuple(notes)),), "Fine-tuned")


def _gather(
    project: Project, request: TuneRequest, card: ModelCard, place: Path, stage: _Stage
) -> Generator[Step, None, tuple[list[Path], list[str]]]:
    """Make the training sets; the first is that of the grades."""
    files = [place / f"{examples.GRADES}.h5"]
    notes: list[str] = []
    yield from stage.of(examples.graded(project, request.mosaics, card, files[0], request.seed), "grades")
    wanted = examples.Wanted(request.painted, request.simulated, request.seed, request.processes)
    if request.painted:
        job = examples.painted(request.mosaics, card, files[0], place, wanted)
        more, said = yield from stage.through(job, "painted")
        files, notes = files + more, notes + said
    stage.skip("painted")
    if request.simulated:
        job = examples.simulated(card, place / f"{examples.SIMULATED}.h5", wanted)
        more, said = yield from stage.through(job, "simulated")
        files, notes = files + more, notes + said
    stage.skip("simulated")
    if not examples.in_all_parts(files):
        counts = examples.counted(files[0])
        raise DataError(
            f"{counts['lenses']} lenses and {counts['others']} others are graded, too few to learn from and to judge: "
            f"grade {examples.FEWEST} of each, or add more painted or simulated stamps"
        )
    return files, notes


def _finish(
    made: Path, request: TuneRequest, card: ModelCard, before: ModelCard, judgements: tuple[Judgement, ...]
) -> ModelCard:
    """Move the model to its place, whole, with what was found about it."""
    training = {**card.training, "start": before.key, "fine_tuned": [dataclasses.asdict(one) for one in judgements]}
    new = dataclasses.replace(card, training=training)
    save_card(new, made)
    text = json.dumps({"before": before.key, "after": new.key, "judgements": training["fine_tuned"]}, indent=1)
    (made / JUDGEMENT).write_text(text + "\n", encoding="utf-8")
    for path in made.iterdir():
        if path.name not in (CARD, WEIGHTS, JUDGEMENT):
            path.unlink()
    os.replace(made, request.out)
    return new


def _doubts(counts: Mapping[str, int], judgements: tuple[Judgement, ...]) -> list[str]:
    """What speaks against relying on the new model."""
    notes: list[str] = []
    own = next((one for one in judgements if one.of == examples.GRADES), None)
    if own is None:
        notes.append(
            f"With {counts['lenses']} lenses and {counts['others']} others graded none could be held out: nothing says "
            "yet how the new model does on your own grades."
        )
    elif own.lenses < 10:
        notes.append(f"Only {own.lenses} graded lenses were held out: the interval is wide. Grade more to be sure.")
    notes += [
        f"It is worse than before on {one.words}: it may have forgotten what your grades do not show."
        for one in judgements
        if one.better < 0.05 and one.before - one.after > FORGOTTEN
    ]
    return notes


class _Stage:
    """The steps of one stage as a share of the whole."""

    def __init__(self) -> None:
        self._begun = 0

    def skip(self, name: str) -> None:
        """Be at the end of a stage, whatever happened in it."""
        names = list(_SHARES)
        self._begun = sum(_SHARES[one] for one in names[: names.index(name) + 1])

    def of(self, job: Iterator[Step], name: str) -> Iterator[Step]:
        """A job as a stage."""
        yield from self.through(_without_result(job), name)

    def through(self, job: Generator[Step, None, Any], name: str) -> Generator[Step, None, Any]:
        """A job with a result as a stage."""
        names = list(_SHARES)
        self._begun = sum(_SHARES[one] for one in names[: names.index(name)])
        try:
            while True:
                try:
                    step = next(job)
                except StopIteration as end:
                    return end.value
                share = step.done / step.total if step.total else 0.0
                yield Step(self._begun + int(share * _SHARES[name]), _TOTAL, step.items, step.note)
        finally:
            job.close()


def _without_result(job: Iterator[Step]) -> Generator[Step, None, None]:
    yield from job
