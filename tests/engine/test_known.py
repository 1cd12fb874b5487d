import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS

from engine.catalogue import Project
from engine.catalogue.known import crossmatch, matches, missed
from engine.catalogue.known_files import read_known
from engine.errors import DataError, ProjectError
from tests.engine.catalogue_parts import detection, fill, make_mosaic
from tests.engine.cli_parts import CommandLine

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DEEPLENSE_REAL_DATA", ROOT.parent / "shared" / "data")) / "catalogues"


def sky(centre: tuple[float, float] = (10.0, 2.0), name: str = "field") -> object:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], list(centre)
    wcs.wcs.crpix, wcs.wcs.cdelt = [1000.5, 500.5], [-0.2 / 3600, 0.2 / 3600]
    return replace(make_mosaic(name=name), wcs=wcs)


def scan(project: Project, mosaic: object, *xy: tuple[float, float]) -> list[int]:
    places = mosaic.world(np.array(xy))
    found = [detection(x, y, ra=ra, dec=dec) for (x, y), (ra, dec) in zip(xy, places, strict=True)]
    return list(project.add(project.start_run(mosaic, "finder-1"), found).ids)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("name,RA [deg],DEC [deg],zlens,type,grading,ref", ["L1,10.5,-2.25,-,galaxy,confident,2020A"]),
        ("Name;RAJ2000;DEJ2000;Grade;Reference", ["L1;00:42:00.0;-02:15:00;confident;2020A"]),
        ("# system ra(hours) dec quality bibcode", ["L1 0.7 -2.25 confident 2020A"]),
        ("name,alpha,delta,grade,paper", ["L1,0h42m00s,-2d15m00s,confident,2020A", "L2,unknown,,,"]),
    ],
)
def test_columns_of_odd_headers_are_guessed(tmp_path, header, rows):
    path = tmp_path / "list.txt"
    path.write_text("\n".join([header, *rows, ""]))
    objects = read_known(path)
    assert (objects.names, objects.references, objects.gradings) == (("L1",), ("2020A",), ("confident",))
    assert (objects.ra[0], objects.dec[0]) == pytest.approx((10.5, -2.25))
    assert len(objects.notes) == len(rows) - 1


@pytest.mark.parametrize("suffix", [".fits", ".vot", ".ecsv", ".csv", ".tsv"])
def test_each_kind_of_file(tmp_path, suffix):
    table = Table({"_RA": [10.5], "_DE": [-2.25], "ID": [7]})
    formats = {".fits": "fits", ".vot": "votable", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".tsv": "ascii.tab"}
    path = tmp_path / f"list{suffix}"
    table.write(path, format=formats[suffix])
    objects = read_known(path)
    assert (objects.names, objects.references) == (("7",), (path.name,))
    assert objects.columns == {"ra": "_RA", "dec": "_DE", "name": "ID"}


def test_columns_can_be_chosen_and_what_is_wrong_is_said(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("x,y,who\n10.5,-2.25,L1\n")
    with pytest.raises(DataError, match="name it with --ra; there are x, y, who"):
        read_known(path)
    with pytest.raises(DataError, match="no column 'alpha'"):
        read_known(path, ra="alpha")
    assert read_known(path, ra="x", dec="y", name="who").names == ("L1",)
    with pytest.raises(DataError, match="hold no positions"):
        read_known(path, ra="who", dec="y")
    with pytest.raises(DataError, match="no such file"):
        read_known(tmp_path / "nothing.csv")
    (tmp_path / "bad.fits").write_bytes(b"not a table")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_known(tmp_path / "bad.fits")


def test_candidates_are_matched_and_what_no_scan_found_is_told(tmp_path, capsys):
    mosaic = sky()
    path = tmp_path / "team.deeplense"
    here = mosaic.world(np.array([(100.0, 100.0), (104.0, 100.0), (700.0, 800.0), (-500.0, 100.0)]))
    lenses = tmp_path / "lenses.csv"
    lines = [f"L{i},{ra:.7f},{dec:.7f},probable,2021B" for i, (ra, dec) in enumerate(here)]
    lenses.write_text("\n".join(["name,ra,dec,grading,ref", *lines, "far,200,-60,confident,1979C"]) + "\n")
    with Project.create(path) as project:
        ids = scan(project, mosaic, (100.0, 101.0), (400.0, 400.0))
        report = list(crossmatch(project, read_known(lenses), 2.0))[-1].items[0]
        assert (report.objects, report.on_mosaics, report.matched, report.missed, report.candidates) == (5, 3, 2, 1, 1)
        found = matches(project, ids)
        assert [(one.name, one.grading, one.reference, one.separation) for one in found[ids[0]]] == [
            ("L0", "probable", "2021B", pytest.approx(0.2, abs=0.001)),
            ("L1", "probable", "2021B", pytest.approx(0.2 * np.hypot(4, 1), abs=0.001)),
        ]
        assert found[ids[1]] == []
        assert [one.name for one in missed(project)] == ["L2"]
        assert project.ids(known=True).tolist() == [ids[0]]
        assert project.ids(known=False).tolist() == [ids[1]]
    done = CommandLine(capsys)("crossmatch", path, lenses, "--radius", "2")
    assert done.status == 0
    assert 'is L0, 0.2" away: probable, 2021B' in done.out
    assert "no candidate at L2" in done.out
    with Project.open(path) as project:  # again: replaced, not doubled
        assert len(matches(project, ids)[ids[0]]) == 2


def test_positions_agree_with_astropy_around_the_sky():
    random = np.random.default_rng(2)
    for centre in ((0.0, 89.9), (359.99, 0.0), (180.0, -60.0)):
        mosaic = sky(centre)
        with Project.temporary() as project:
            xy = random.uniform(50, 900, (20, 2))
            ids = scan(project, mosaic, *map(tuple, xy))
            rows = project.rows(ids)
            place = SkyCoord([row.ra for row in rows], [row.dec for row in rows], unit="deg")
            moved = place.directional_offset_by(random.uniform(0, 360, 20) * units.deg, 0.5 * units.arcsec)
            objects = replace(
                read_known_from(moved), names=tuple(map(str, ids)), references=("r",) * 20, gradings=("",) * 20
            )
            list(crossmatch(project, objects))
            for number, known in matches(project, ids).items():
                assert [one.name for one in known] == [str(number)]
                assert known[0].separation == pytest.approx(0.5, abs=0.002)


def read_known_from(places: SkyCoord) -> object:
    from engine.catalogue.known_files import KnownObjects

    return KnownObjects(Path("made.csv"), (), places.ra.deg, places.dec.deg, (), (), {})


def test_without_a_wcs_there_is_nothing_to_match(tmp_path):
    (tmp_path / "list.csv").write_text("ra,dec\n1,2\n")
    with Project.temporary() as project:
        fill(project, 0.5)
        with pytest.raises(ProjectError, match="has a WCS"):
            list(crossmatch(project, read_known(tmp_path / "list.csv")))


@pytest.mark.skipif(not DATA.is_dir(), reason="no real catalogues here")
@pytest.mark.parametrize(("name", "least"), [("lenscat.csv", 32_000), ("new_lenses.tsv", 1_000)])
def test_published_catalogues(name, least):
    objects = read_known(DATA / name)
    assert len(objects) > least
    assert {"ra", "dec", "grading"} <= set(objects.columns)
    assert np.all(np.abs(objects.dec) <= 90)
