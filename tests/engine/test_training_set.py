import h5py
import numpy as np
import pytest

from engine.catalogue import Project
from engine.errors import DataError
from engine.export.training_set import groups, training_set_job
from engine.images.cutouts import cut
from engine.images.mosaic import open_mosaic
from engine.train.data import open_training_set, split
from engine.types import Candidate, Mosaic
from tests.engine.catalogue_parts import detection

SIZE, SCALES = 16, (0.2, 0.6)


@pytest.fixture
def mosaic(band_files) -> Mosaic:
    return open_mosaic(band_files)


@pytest.fixture
def project(mosaic, synthetic_sky) -> Project:
    """Every galaxy a candidate: three of four graded, each grade in turn."""
    xy = synthetic_sky[1]
    sky = mosaic.world(xy)
    project = Project.temporary()
    run = project.start_run(mosaic, "finder-1")
    found = [detection(x, y, 0.5, ra=float(ra), dec=float(dec)) for (x, y), (ra, dec) in zip(xy, sky, strict=True)]
    ids = project.add(run, found).ids
    for number, grade in zip(ids, ("A", "B", "X", "X", "C", None, "X1") * 10, strict=False):
        project.grade(number, grade, grader="Ada")
    return project


def test_grades_become_a_training_set_that_training_takes(project, mosaic, tmp_path):
    path = tmp_path / "graded.h5"
    steps = list(training_set_job(project, [mosaic], path, SIZE, SCALES))
    rows = project.rows(project.ids(order="id", descending=False, grades={"A", "B", "X", "X1"}))
    assert steps[-1].done == steps[-1].total == len(rows)
    with h5py.File(path) as file:
        assert file["cutouts"].shape == (len(rows), 2, 3, SIZE, SIZE)
        assert list(file["label"].attrs["classes"]) == ["not", "lens"]
        assert file["label"][()].tolist() == [int(row.grade in ("A", "B")) for row in rows]
        assert file["truth/name"].asstr()[0] == rows[0].name
        assert tuple(file.attrs["bands"]) == mosaic.bands
        expected = cut(mosaic, np.array([(row.x, row.y) for row in rows]), size=SIZE, pixel_scales=SCALES).pixels
        np.testing.assert_array_equal(file["cutouts"][()], expected)
    together = open_training_set([path], bands=mosaic.bands)
    assert (len(together), together.pixel_scales, together.classes) == (len(rows), SCALES, ("not", "lens"))
    each = open_training_set([path])
    assert len(each) == 3 * len(rows)
    parts = split(each.label, each.group, seed=1)
    assert not set(each.group[parts["train"]]) & set(each.group[parts["test"]])


def test_other_labels_may_be_chosen(project, mosaic, tmp_path):
    path = tmp_path / "c.h5"
    list(training_set_job(project, [mosaic], path, SIZE, SCALES, labels={"A": 1, "C": 0}))
    with h5py.File(path) as file:
        assert set(file["truth/grade"].asstr()[()]) == {"A", "C"}
    with pytest.raises(DataError, match="do not fit the classes"):
        next(training_set_job(project, [mosaic], path, SIZE, SCALES, labels={"A": 2}))


def test_mosaics_of_other_bands_share_a_file(project, mosaic, band_files, tmp_path):
    single = open_mosaic(band_files[:1], bands=["z"])
    run = project.start_run(single, "finder-1")
    ids = project.add(run, [detection(200, 150)]).ids
    project.grade(list(ids), "A", grader="Ada")
    path = tmp_path / "both.h5"
    list(training_set_job(project, [mosaic, single], path, SIZE, SCALES))
    with h5py.File(path) as file:
        last = file["cutouts"][-1]
        assert list(file.attrs["bands"]) == [*mosaic.bands, "z"]
    assert np.isnan(last[:, :3]).all()
    assert np.isfinite(last[:, 3]).all()
    each = open_training_set([path])
    assert int((each.row == each.row.max()).sum()) == 1


def test_nothing_graded_is_said(mosaic, tmp_path):
    project = Project.temporary()
    project.add(project.start_run(mosaic, "finder-1"), [detection(100, 100)])
    with pytest.raises(DataError, match="grade some first"):
        next(training_set_job(project, [mosaic], tmp_path / "none.h5", SIZE, SCALES))
    assert not (tmp_path / "none.h5").exists()


def test_cancelling_leaves_no_file(project, mosaic, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    job = training_set_job(project, [mosaic], folder / "cut.h5", SIZE, SCALES)
    next(job)
    job.close()
    assert not list(folder.iterdir())


def _at(number: int, ra: float | None, dec: float | None, x: float = 0, mosaic: str = "m") -> Candidate:
    return Candidate(number, "", ra, dec, x, 0.0, 1, 1, 1, 0.5, 0.5, 0, "finder-1", mosaic)


def test_one_place_on_the_sky_is_one_group():
    # Two arcsec apart on either side of the origin of right ascension, at the pole, and across a patch's border.
    pairs = [
        ((359.9998, 10.0), (0.0003, 10.0)),
        ((10.0, 89.9999), (190.0, 89.9999)),
        ((50.0, 30 / 3600), (50.0, 29 / 3600)),
    ]
    for one, other in pairs:
        assert len(set(groups([_at(1, *one, mosaic="g"), _at(2, *other, mosaic="r")]).tolist())) == 1
    far = groups([_at(1, 50.0, 0.0), _at(2, 50.1, 0.0), _at(3, None, None), _at(4, None, None, 500.0)])
    assert len(set(far.tolist())) == 4
    assert (groups([_at(1, 50.001, 0.001)]) == groups([_at(9, 50.001, 0.00105, mosaic="other file")])).all()


def test_bands_may_be_chosen_in_their_order(project, mosaic, tmp_path):
    path, chosen = tmp_path / "two.h5", mosaic.bands[:2][::-1]
    list(training_set_job(project, [mosaic], path, SIZE, SCALES, bands=chosen))
    with h5py.File(path) as file:
        x, y = file["truth/x"][0], file["truth/y"][0]
        whole = cut(mosaic, np.array([(x, y)]), size=SIZE, pixel_scales=SCALES).pixels
        np.testing.assert_array_equal(file["cutouts"][0], whole[0, :, [1, 0]].swapaxes(0, 1))
    with pytest.raises(DataError, match="none of the bands u"):
        next(training_set_job(project, [mosaic], tmp_path / "none.h5", SIZE, SCALES, bands=("u",)))
