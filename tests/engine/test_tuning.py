"""A finder that is taught a project's grades, and judged on what was held out."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalogue import Project
from engine.catalogue.scheme import LETTERS
from engine.detect.rescore import rescore, rescore_all
from engine.errors import DataError, ModelError
from engine.images.mosaic import open_mosaic
from engine.models.card import CARD, WEIGHTS, load_card
from engine.models.library import model_folder
from engine.models.predict import load_classifier
from engine.tuning import examples
from engine.tuning.fine_tune import JUDGEMENT, Tuned, TuneRequest, fine_tune
from engine.tuning.judgement import judge
from engine.types import ModelCard, Mosaic
from tests.engine.catalogue_parts import detection


@pytest.fixture
def mosaic(band_files) -> Mosaic:
    return open_mosaic(band_files)


@pytest.fixture
def project(mosaic, synthetic_sky) -> Project:
    """Every galaxy a candidate, as the finder's; none graded."""
    xy = synthetic_sky[1]
    project = Project.temporary()
    run = project.start_run(mosaic, "finder-1")
    sky = mosaic.world(xy)
    project.add(
        run, [detection(x, y, 0.5, ra=float(ra), dec=float(dec)) for (x, y), (ra, dec) in zip(xy, sky, strict=True)]
    )
    project.finish_run(run, "done")
    return project


def grade(project: Project, grades: str) -> None:
    ids = project.ids(order="id", descending=False)
    for number, letter in zip(ids, grades * (len(ids) // len(grades) + 1), strict=False):
        project.grade(int(number), letter, grader="Ada")


def result_of(job: Generator[object, None, object]) -> object:
    """What a job returns."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def request(mosaic: Mosaic, out: Path, **changes: object) -> TuneRequest:
    values = {"painted": 0, "simulated": 60, "epochs": 1, "processes": 1, "threads": 1}
    return TuneRequest((mosaic,), out, **(values | changes))


@pytest.mark.usefixtures("threads_as_processes")
def test_a_finder_learns_from_grades_and_is_judged_beside_the_one_before(project, mosaic, tmp_path):
    grade(project, "AXB")
    out = tmp_path / "models" / "mine"
    steps = list(fine_tune(project, request(mosaic, out)))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    epochs = [item for step in steps for item in step.items if isinstance(item, dict)]
    assert [one["epoch"] for one in epochs] == [1.0]
    (tuned,) = steps[-1].items
    assert isinstance(tuned, Tuned)
    before = load_card(model_folder("finder"))
    assert tuned.before == before.key == tuned.card.training["start"]
    assert tuned.card.key.startswith("mine-")
    assert tuned.card.key != before.key
    assert {path.name for path in out.iterdir()} == {CARD, WEIGHTS, JUDGEMENT}
    assert [path.name for path in out.parent.iterdir()] == ["mine"]  # nothing is left of the work
    assert load_classifier(out).card == load_card(out)
    own = {one.of: one for one in tuned.judgements}["grades"]
    said = json.loads((out / JUDGEMENT).read_text())
    assert said["judgements"][0]["after"] == own.after
    assert own.lenses > own.others >= 1
    assert own.after_interval[0] <= own.after <= own.after_interval[1]


@pytest.mark.usefixtures("threads_as_processes")
def test_false_candidates_alone_teach_too_but_nothing_says_how_well(project, mosaic, tmp_path):
    grade(project, "X")
    (tuned,) = list(fine_tune(project, request(mosaic, tmp_path / "mine")))[-1].items
    assert [one.of for one in tuned.judgements] == ["simulated"]
    assert "none could be held out" in tuned.notes[0]


@pytest.mark.usefixtures("threads_as_processes")
def test_a_cancelled_training_leaves_nothing(project, mosaic, tmp_path):
    grade(project, "AX")
    with closing(fine_tune(project, request(mosaic, tmp_path / "mine"))) as job:
        while next(job).done < 400:
            pass
    assert list(tmp_path.glob("*mine*")) == []


@pytest.mark.parametrize(
    ("grades", "changes", "error", "says"),
    [
        ("C", {}, DataError, "grade some first"),
        ("AXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", {"simulated": 0}, DataError, "too few to learn from"),
        ("X", {"simulated": 4}, DataError, "or add more painted or simulated"),
        ("AX", {"start": "mass"}, ModelError, "it finds no lenses"),
        ("AX", {"start": "heatmap"}, ModelError, "it finds no lenses"),
        ("AX", {"mosaics": ()}, DataError, "no mosaic of this project is open"),
    ],
)
def test_what_cannot_be_learned_from_is_said(project, mosaic, tmp_path, grades, changes, error, says):
    grade(project, grades)
    values = {"mosaics": (mosaic,), "out": tmp_path / "mine", "painted": 0, "simulated": 8, "processes": 1} | changes
    with pytest.raises(error, match=says):
        list(fine_tune(project, TuneRequest(**values)))
    assert list(tmp_path.glob("*mine*")) == []


def test_a_model_is_never_replaced(project, mosaic, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ModelError, match="choose another name"):
        next(fine_tune(project, request(mosaic, tmp_path / "mine")))


def test_a_full_disk_is_said_and_nothing_is_left(project, mosaic, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")
        yield

    grade(project, "AX")
    monkeypatch.setattr(examples, "simulate", lambda *arguments, **options: full())
    with pytest.raises(DataError, match=r"No space left on device.*free some space"):
        list(fine_tune(project, request(mosaic, tmp_path / "mine")))
    assert list(tmp_path.glob("*mine*")) == []


def test_grades_that_leave_it_open_are_not_learned():
    assert LETTERS.labels == {"A": 1, "B": 1, "X": 0}


@given(
    labels=st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 40)), min_size=1, max_size=120),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_no_object_is_learned_from_and_held_out(labels, seed):
    label, group = np.array(labels).T
    part = examples.parted(label, group, seed)
    for number in np.unique(group[label >= 0]):
        assert len(np.unique(part[(group == number) & (label >= 0)])) == 1
    lenses = np.unique(group[label == 1])
    if 0 < len(lenses) < examples.FEWEST:
        assert set(part[np.isin(group, lenses) & (label >= 0)]) == {0}


def _painted_set(path: Path, card: ModelCard, xy: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        shape = (len(xy), len(card.pixel_scales), 1, card.size, card.size)
        file["cutouts"] = np.zeros(shape, np.float32)
        file["label"] = np.tile([1, 0], len(xy))[: len(xy)].astype(np.int8)
        file["truth/group"] = np.arange(len(xy))
        file["truth/x"], file["truth/y"] = xy.T


def test_nothing_is_painted_where_a_person_graded(project, mosaic, synthetic_sky, tmp_path, monkeypatch):
    grade(project, "AX")
    card = load_card(model_folder("finder"))
    list(examples.graded(project, [mosaic], card, tmp_path / "grades.h5", 1))
    far = np.array([(3.0, 3.0), (5.0, 8.0)])
    places = np.concatenate([synthetic_sky[1][:4] + 2.0, far])

    def paint(asked, path):
        _painted_set(path, card, places)
        yield from ()

    monkeypatch.setattr(examples, "inject", paint)
    job = examples.painted([mosaic], card, tmp_path / "grades.h5", tmp_path, examples.Wanted(6, 0, 1))
    (path,), notes = result_of(job)
    with h5py.File(path) as file:
        assert file["label"][()].tolist() == [-1, -1, -1, -1, 1, 0]
    assert notes == []


def test_a_mosaic_without_galaxies_to_paint_on_is_a_note(project, mosaic, tmp_path, monkeypatch):
    grade(project, "AX")
    card = load_card(model_folder("finder"))
    list(examples.graded(project, [mosaic], card, tmp_path / "grades.h5", 1))

    def refuse(asked, path):
        raise DataError("no galaxy here")
        yield

    monkeypatch.setattr(examples, "inject", refuse)
    job = examples.painted([mosaic], card, tmp_path / "grades.h5", tmp_path, examples.Wanted(6, 0, 1))
    assert result_of(job) == ([], [f"No arcs were painted on {mosaic.name}: no galaxy here"])


def test_a_model_is_no_better_than_itself(project, mosaic, tmp_path):
    grade(project, "AX")
    card = load_card(model_folder("finder"))
    path = tmp_path / "grades.h5"
    list(examples.graded(project, [mosaic], card, path, 1))
    (one,) = result_of(judge([path], model_folder("finder"), model_folder("finder")))
    assert (one.before, one.before_interval, one.better) == (one.after, one.after_interval, 0.5)


def test_candidates_scored_again_keep_their_grades_and_get_what_a_scan_would_say(project, mosaic):
    grade(project, "AX")
    classifier = load_classifier("finder")
    rows = project.rows(project.ids(order="id", descending=False))
    found = [item for step in rescore(mosaic, rows, classifier) for item in step.items]
    changes = project.add(project.start_run(mosaic, classifier.card.key), found)
    assert changes.kinds == {"scores"}
    after = project.rows(project.ids(order="id", descending=False))
    assert [(row.id, row.grade, row.flux) for row in after] == [(row.id, row.grade, row.flux) for row in rows]
    assert {row.model for row in after} == {classifier.card.key}
    again = [item for step in rescore_all(project, mosaic, classifier) for item in step.items]
    assert {(one.x, one.y): one.score for one in again} == pytest.approx({(one.x, one.y): one.score for one in found})


def test_a_model_that_finds_no_lenses_scores_nothing_again(project, mosaic):
    with pytest.raises(ModelError, match="choose another"):
        next(rescore(mosaic, project.rows(project.ids()), load_classifier("substructure-1")))
