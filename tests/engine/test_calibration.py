import json
from pathlib import Path

import numpy as np
import pytest

from engine.catalogue import Project
from engine.catalogue.calibration import CalibrationItem, add_stamps, grader_report, share, stamps
from engine.catalogue.merge import merge
from engine.detect.calibration import CalibrationRequest, calibrate, painted
from engine.errors import DataError
from engine.images.cutouts import cut
from engine.types import Mosaic
from tests.engine.catalogue_parts import detection, fill, make_mosaic
from tests.engine.cli_parts import CommandLine
from tests.engine.sky_parts import Brightness
from tests.engine.test_inject import sky  # noqa: F401

REQUEST = CalibrationRequest(lenses=6, duds=4, repeats=2, seed=5, seeing=0.75)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    with Project.create(tmp_path / "team") as project:
        yield project


@pytest.fixture
def calibrated(project: Project, sky: Mosaic) -> Project:  # noqa: F811
    project.add(project.start_run(sky, "finder-1"), [detection(60.0, 60.0, 0.9), detection(300.0, 90.0, 0.4)])
    project.grade(1, "A", grader="Ada")
    job = list(calibrate(project, sky, REQUEST, Brightness()))
    assert len(job[-1].items) == 12
    return project


def test_stamps_are_put_in_and_left_out_of_every_list(calibrated: Project, sky: Mosaic) -> None:  # noqa: F811
    items = stamps(calibrated)
    kinds = [item.kind for item in items.values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {"painted": 6, "dud": 4, "repeat": 2}
    assert sorted(calibrated.ids()) == [1, 2]
    assert len(calibrated.ids(calibration=True)) == 14
    assert sum(calibrated.counts().values()) == 2
    assert len(calibrated.positions().ids) == 2
    duds = [item for item in items.values() if item.kind == "dud"]
    assert all(np.hypot(item.x - 60, item.y - 60) > 25 for item in duds)
    assert {item.repeats for item in items.values() if item.kind == "repeat"} == {1, 2}
    assert all(np.isfinite(row.score) for row in calibrated.rows(list(items)))
    again = list(calibrated.add(calibrated.start_run(sky, "finder-2"), [detection(items[3].x, items[3].y)]).ids)
    assert again == [15]  # a scan never finds a calibration stamp, but what is really there


def test_the_arc_is_in_the_pixels_of_its_own_mosaic_alone(calibrated: Project, sky: Mosaic) -> None:  # noqa: F811
    item = next(one for one in stamps(calibrated).values() if one.kind == "painted" and one.arc_snr > 30)
    shown = painted(sky, item)
    place = np.array([(item.x, item.y)])
    with_arc, without = (cut(one, place, size=60, pixel_scales=(0.2,)).pixels for one in (shown, sky))
    gained = np.nansum(with_arc - without, axis=(0, 1, 3, 4))
    assert gained == pytest.approx(item.arc.sum((1, 2)), rel=0.05)
    far = np.array([(item.x + 200) % 520, 60.0])[None]
    assert np.array_equal(*(cut(one, far, size=20, pixel_scales=(0.2,)).pixels for one in (shown, sky)))
    ny, nx = sky.shape
    whole = shown.read(0, ny, 0, nx)
    assert np.array_equal(shown.read(3, ny, 5, nx, step=7), whole[:, 3::7, 5::7])
    assert shown.id != sky.id
    dud = next(one for one in stamps(calibrated).values() if one.kind == "dud")
    assert painted(sky, dud) is sky


def test_the_same_seed_gives_the_same_stamps_on_any_machine(calibrated: Project, sky: Mosaic, tmp_path) -> None:  # noqa: F811
    with pytest.raises(DataError, match="choose another --seed"):
        list(calibrate(calibrated, sky, REQUEST, Brightness()))
    with Project.create(tmp_path / "bo") as other:
        other.add(other.start_run(sky, "finder-1"), [detection(60.0, 60.0, 0.9), detection(300.0, 90.0, 0.4)])
        list(calibrate(other, sky, REQUEST))
        first, second = ({item.uuid: item for item in stamps(one).values()} for one in (calibrated, other))
        assert first.keys() == second.keys()
        for uuid, item in first.items():
            assert item.einstein_radius == second[uuid].einstein_radius
            assert item.arc is None or np.array_equal(item.arc, second[uuid].arc)
        number = next(iter(stamps(other)))
        other.grade(number, "B", grader="Bo")
        report = list(merge(calibrated, [other.path]))[-1].items[0]
        assert report.candidates == 0
        uuid = stamps(other)[number].uuid
        assert calibrated.candidate(next(n for n, item in stamps(calibrated).items() if item.uuid == uuid)).grade == "B"


def test_stamps_come_all_along_a_shuffled_list_and_in_no_other(project: Project) -> None:
    fill(project, *np.linspace(0.1, 0.9, 90))
    items = [CalibrationItem(str(i), "dud", 5.0 * i, 900.0, is_lens=False) for i in range(30)]
    added = add_stamps(project, make_mosaic().id, items, "")
    survey = project.ids()
    assert not np.isin(survey, added.ids).any()
    mixed = project.ids(order="random", seed=1, calibration=True, seen_by="Ada", grades={None})
    assert set(mixed) == {*survey.tolist(), *added.ids}
    assert np.isin(mixed, added.ids)[:60].sum() in range(8, 23)


def test_what_stamps_tell_of_a_grader(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    fill(project, 0.5, 0.6, 0.7)
    items = [
        *(CalibrationItem(f"l{i}", "painted", i, 0, is_lens=True, einstein_radius=0.5 + 0.3 * i, arc_snr=10.0 * i + 5)
          for i in range(10)),
        *(CalibrationItem(f"d{i}", "dud", i, 10, is_lens=False) for i in range(8)),
        *(CalibrationItem(f"r{i}", "repeat", i, 20, repeats=i + 1) for i in range(3)),
    ]  # fmt: skip
    ids = add_stamps(project, make_mosaic().id, items, "").ids
    for number, grade in zip(ids, ["X", "X", "X", "C", "B", "B", "A", "A", "A", "A", *"XXXXXXXB", *"AXC"], strict=True):
        project.grade(number, grade, grader="Ada")
    project.grade([1, 2, 3], "A", grader="Ada")
    (report,) = grader_report(project)
    assert (report.completeness.hits, report.completeness.count) == (6, 10)
    assert (report.kept.hits, report.false_positives.hits, report.false_positives.count) == (7, 1, 8)
    assert (report.consistency.hits, report.consistency.count) == (1, 3)
    assert [(one.low, one.found.hits, one.found.count) for one in report.by_radius] == [
        (0.0, 0, 1), (0.75, 0, 1), (1.0, 0, 2), (1.5, 1, 1), (2.0, 4, 4), (3.0, 1, 1),
    ]  # fmt: skip
    assert sum(one.found.count for one in report.by_signal) == 10
    done = CommandLine(capsys)("graders", project.path)
    assert done.status == 0
    told = [[cell.strip() for cell in line.split("│")[1:5]] for line in done.out.splitlines()]
    assert ["duds called lenses", "1/8", "0.12", "0.05-0.28"] in told
    (told,) = json.loads(CommandLine(capsys)("graders", project.path, "--json").out)
    assert told["by_radius"][-1]["high"] is None
    assert told["completeness"]["share"] == 0.6


def test_the_interval_of_a_share_is_wilsons() -> None:
    found = share([True] * 3 + [False] * 7)
    assert (found.low, found.high) == pytest.approx((0.1798, 0.4556), abs=0.002)
    assert np.isnan(share([]).share)
