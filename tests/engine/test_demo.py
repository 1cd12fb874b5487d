"""The demo's judgement against a known truth, and the cache of its field."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine import demo
from engine.errors import DataError
from engine.simulate.field import FieldRequest
from engine.types import Candidate, Mosaic, Step

MOSAIC = Mosaic("m", (Path("m.fits"),), (1000, 1000), ("r",), 0.2, None, ())


def candidate(number: int, x: float, y: float, score: float) -> Candidate:
    return Candidate(number, f"c{number}", None, None, x, y, 1.0, 2.0, 9.0, score, score, 0.0, "model-1", "m")


def lens(x: float, y: float, einstein_radius: float, arc_snr: float = 100.0) -> dict[str, float]:
    return {"x": x, "y": y, "einstein_radius": einstein_radius, "arc_snr": arc_snr, "seeing": 0.75}


def test_completeness_and_purity_of_a_known_list():
    truth = [lens(100, 100, 2.0), lens(300, 300, 2.0), lens(500, 500, 0.9), lens(700, 700, 3.0)]
    rows = [
        candidate(1, 100, 109, 0.95),  # 1.8 arcsec from the first: on its arc
        candidate(2, 800, 100, 0.90),
        candidate(3, 300, 300, 0.80),
        candidate(4, 100, 101, 0.70),  # the first once more
        candidate(5, 500, 510, 0.60),  # 2 arcsec from the third, whose ring is smaller
        candidate(6, 900, 900, 0.50),
    ]
    found = demo.judge(rows, truth, MOSAIC)
    ranks = {(row["x"], row["y"]): row["rank"] for row in found["truth"]}
    assert ranks == {(100, 100): 1, (300, 300): 3, (500, 500): None, (700, 700): None}
    assert found["first_60"]["all"] == {"found": 2, "of": 4, "completeness": 0.5}
    assert found["first_60"]["plain"] == {"found": 2, "of": 3, "completeness": 2 / 3}
    assert found["purity_of_first_60"] == pytest.approx(0.5)
    assert found["half_purity"]["candidates"] == 6
    assert found["half_purity"]["score"] == 0.5


def test_an_empty_list_finds_nothing():
    found = demo.judge([], [lens(100, 100, 2.0)], MOSAIC)
    assert found["first_60"]["all"]["found"] == 0
    assert found["half_purity"]["score"] is None
    json.dumps(found)


@pytest.fixture
def small_field(tmp_path, monkeypatch):
    """The demo with a field of 700 pixels, in a cache of its own."""
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "cache"))
    request = FieldRequest(side=700, lenses=2, galaxies=30, stars=5)
    monkeypatch.setattr("engine.simulate.field.FieldRequest", lambda: request)


def paths_of(job) -> tuple[Path, ...]:
    steps = list(job)
    assert all(isinstance(step, Step) for step in steps)
    return steps[-1].items


def test_the_field_is_made_once_then_taken_from_the_cache(small_field):
    first = paths_of(demo.demo_mosaic())
    assert [path.name for path in first] == ["field_g.fits", "field_r.fits", "field_i.fits"]
    assert (first[0].parent / demo.TRUTH).is_file()
    made = first[0].stat().st_mtime_ns
    assert len(list(demo.demo_mosaic())) == 1
    assert first[0].stat().st_mtime_ns == made


def test_a_cancelled_field_leaves_nothing_behind(small_field):
    job = demo.demo_mosaic()
    for _ in range(2):
        next(job)
    job.close()
    assert list(demo.cache_folder().iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(small_field, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPLENSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="DEEPLENSE_CACHE"):
        list(demo.demo_mosaic())


def test_truth_positions_hold_light(small_field):
    from astropy.io import fits
    from astropy.table import Table

    paths = paths_of(demo.demo_mosaic())
    image = fits.getdata(paths[1])
    table = Table.read(paths[0].parent / demo.TRUTH)
    assert len(table) == 2
    for row in table:
        x, y = round(row["x"]), round(row["y"])
        assert image[y - 2 : y + 3, x - 2 : x + 3].mean() > np.median(image) + 5 * 4.0


def test_more_lenses_than_the_field_has_room_for_are_refused(tmp_path):
    from engine.simulate.field import make_field

    with pytest.raises(DataError, match="make the field larger"):
        list(make_field(tmp_path, FieldRequest(side=400, lenses=9, galaxies=1, stars=0)))
