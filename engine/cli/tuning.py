"""Commands that bring grades back to the models: fine-tune, rescore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exporting import ProjectFile, project_mosaics
from engine.cli.program import Model, Quiet, app, complain, follow
from engine.errors import DataError, ModelError

if TYPE_CHECKING:
    from engine.catalogue import Project
    from engine.models.predict import Classifier
    from engine.tuning.fine_tune import Tuned
    from engine.types import Mosaic, Step


@app.command("fine-tune")
def fine_tune(
    project: ProjectFile,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the new model; a bare name: your library.")],
    model: Model = "finder",
    painted: Annotated[int, typer.Option(min=0, help="Stamps painted on your mosaics, with twins and others.")] = 300,
    simulated: Annotated[int, typer.Option(min=0, help="Simulated stamps, so that nothing is forgotten.")] = 1500,
    epochs: Annotated[int, typer.Option(min=1)] = 5,
    learning_rate: Annotated[float, typer.Option()] = 1e-4,
    emphasis: Annotated[int, typer.Option(min=1, help="How often an epoch goes through the grades.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed holds the same candidates out.")] = 1,
    processes: Annotated[int | None, typer.Option(min=1, help="To simulate in; one a core by default.")] = None,
    quiet: Quiet = False,
) -> None:
    """Teach a finder the grades of a project, and say whether that helped on candidates it was not shown."""
    from engine.catalogue.store import Project
    from engine.models.library import model_folders, user_models
    from engine.tuning.fine_tune import TuneRequest
    from engine.tuning.fine_tune import fine_tune as job

    place = user_models() / out if out.parent == Path() else out
    if place.parent == user_models() and place.name in model_folders():  # it would stand in the way of that one
        raise ModelError(f"there is a model {place.name} already: choose another name")
    found: list[Tuned] = []
    with Project.open(project, read_only=True) as opened:
        mosaics = tuple(project_mosaics(opened, quiet=quiet))
        request = TuneRequest(
            mosaics, place, model, painted=painted, simulated=simulated, epochs=epochs, learning_rate=learning_rate,
            emphasis=emphasis, seed=seed, processes=processes,
        )  # fmt: skip
        follow(job(opened, request), f"Fine-tuning {model}", quiet, lambda step: _keep(step, found))
    tuned = found[0]
    for one in tuned.judgements:
        typer.echo(
            f"AUC {one.before:.3f} before, {one.after:.3f} after ({one.after_interval[0]:.3f} to "
            f"{one.after_interval[1]:.3f}) on {one.words}: {one.lenses} lenses, {one.others} others held out"
        )
    for note in tuned.notes:
        complain(note)
    typer.echo(f"{tuned.card.key} is in {tuned.folder}")


def _keep(step: Step, found: list[Tuned]) -> None:
    from engine.tuning.fine_tune import Tuned

    found += [item for item in step.items if isinstance(item, Tuned)]


@app.command()
def rescore(project: ProjectFile, model: Model = "finder", quiet: Quiet = False) -> None:
    """Score the candidates that a project has with another model; grades stay as they are."""
    from engine.catalogue.store import Project
    from engine.models.predict import load_classifier

    with Project.open(project) as opened:
        mosaics = project_mosaics(opened, quiet=quiet)
        if not mosaics:
            raise DataError(f"{opened.place} has no mosaic that can be opened: scan one first")
        classifier = load_classifier(model).quicken()
        for mosaic in mosaics:
            job = _rescored(opened, mosaic, classifier)
            follow(job, f"Scoring {mosaic.name}", quiet)
        count = len(opened.ids(models={classifier.card.key}))
    typer.echo(f"{count} candidates scored by {classifier.card.key}")


def _rescored(project: Project, mosaic: Mosaic, classifier: Classifier) -> Iterator[Step]:
    from engine.detect.rescore import rescore_all

    job = rescore_all(project, mosaic, classifier)
    run, state = project.start_run(mosaic, classifier.card.key, {"rescored": True}), "cancelled"
    try:
        for step in job:
            project.add(run, step.items)
            yield step
        state = "done"
    finally:
        project.finish_run(run, state)
