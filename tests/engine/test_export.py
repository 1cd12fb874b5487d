import math
import os
import re
import warnings
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from astropy import units
from astropy.io import votable
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from engine.catalogue.known import KnownMatch
from engine.errors import DataError
from engine.export import FORMATS, catalogue_writer, write_catalogue
from engine.export.columns import COLUMNS
from engine.types import Candidate

NAMES = [column.name for column in COLUMNS]
KNOWN = {
    7: (
        KnownMatch(7, "SL2S J1", 215.5, 52.7, 0.25, "More+2016, {A}", "confident", "a.csv"),
        KnownMatch(7, "CFHTLS 3", 215.5, 52.7, 1.5, "Doe 2020", "", "b.csv"),
    )
}
SAID = ("SL2S J1", "More+2016, {A}", "confident", 0.25, 'CFHTLS 3, 1.5" away: Doe 2020')
NOTE = "Bogen 弧 «sehr» blau, 50 % \U0001f52d; {2\"} 'x' <&>\nsecond line"

ROWS = [
    Candidate(
        id=7,
        name="DLG J142209.17+524652.1",
        ra=215.53824583333333,
        dec=52.781138888888888,
        x=221.12345678901234,
        y=230.5,
        flux=12.5,
        radius=4.25,
        signal_to_noise=33.0,
        score=0.98765432109876543,
        raw_score=0.75,
        spread=0.0125,
        model="finder-0123456789ab",
        mosaic="f00d",
        grade="A",
        grader="Zoë Ångström",
        graded_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        note=NOTE,
        same_as=3,
    ),
    Candidate(
        id=2**40,
        name="field_x0001y0002",
        ra=None,
        dec=None,
        x=1.0,
        y=2.0,
        flux=float("nan"),
        radius=3.0,
        signal_to_noise=5.0,
        score=0.5,
        raw_score=0.5,
        spread=0.0,
        model="finder-0123456789ab",
        mosaic="beef",
    ),
]


def read(path: Path) -> Table:
    """As any user of astropy would."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Table.read(path, format={".csv": "ascii.csv", ".vot": "votable"}.get(path.suffix))


def value(column: object, index: int) -> object:
    """A cell, None where it is masked or an empty text."""
    cell = column[index]
    return None if np.ma.is_masked(cell) or cell == "" else cell.item() if hasattr(cell, "item") else cell


@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".fits", ".vot"])
def test_astropy_reads_back_every_cell(tmp_path, suffix):
    table = read(write_catalogue(ROWS, tmp_path / f"lenses{suffix}", KNOWN))
    assert table.colnames == NAMES
    assert tuple(value(table[name], 0) for name in NAMES if name.startswith("known_")) == SAID
    assert {value(table[name], 1) for name in NAMES if name.startswith("known_")} == {None}
    for index, row in enumerate(ROWS):
        for name in (name for name in NAMES if not name.startswith("known_")):
            expected = getattr(row, name)
            expected = "2026-01-02T03:04:05" if isinstance(expected, datetime) else expected
            expected = None if expected == "" or (isinstance(expected, float) and np.isnan(expected)) else expected
            assert value(table[name], index) == expected, name
    if suffix != ".csv":
        assert table["ra"].unit == table["dec"].unit == units.deg
        assert table["x"].unit == units.pix
        assert [table[column.name].description for column in COLUMNS] == [column.description for column in COLUMNS]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_catalogue_has_all_columns(tmp_path, suffix):
    path = write_catalogue([], tmp_path / f"none{suffix.upper()}")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    if suffix == ".parquet":
        assert pyarrow.parquet.read_table(path).column_names == NAMES
    elif suffix != ".reg":
        table = Table.read(path, format={".csv": "ascii.csv", ".vot": "votable"}.get(suffix, suffix[1:]))
        assert (table.colnames, len(table)) == (NAMES, 0)


def test_parquet_has_nulls_and_says_what_the_columns_mean(tmp_path):
    table = pyarrow.parquet.read_table(write_catalogue(ROWS, tmp_path / "lenses.parquet", KNOWN))
    first, second = table.to_pylist()
    assert tuple(first[name] for name in NAMES if name.startswith("known_")) == SAID
    assert (first["same_as"], second["same_as"], second["known_separation"]) == (3, None, None)
    assert (first["note"], first["ra"], first["id"]) == (NOTE, ROWS[0].ra, 7)
    assert (second["ra"], second["dec"], second["flux"], second["note"]) == (None, None, None, "")
    assert table.schema.field("ra").metadata == {
        b"unit": b"deg",
        b"description": b"Right ascension, ICRS",
        b"ucd": b"pos.eq.ra;meta.main",
    }


def test_the_votable_is_valid_and_says_icrs(tmp_path):
    path = write_catalogue(ROWS, tmp_path / "lenses.vot", KNOWN)
    document = votable.parse(path, verify="exception")
    table = document.get_first_table()
    assert document.resources[0].coordinate_systems[0].system == "ICRS"
    assert [field.ref for field in table.fields if field.name in ("ra", "dec")] == ["icrs", "icrs"]
    assert all(check_ucd(field.ucd, check_controlled_vocabulary=True) for field in table.fields)


def test_regions_are_circles_coloured_by_grade(tmp_path):
    rows = [*ROWS, replace(ROWS[0], grade="X2", note="", score=math.nan)]
    lines = write_catalogue(rows, tmp_path / "lenses.reg", KNOWN).read_text(encoding="utf-8").splitlines()
    circles = [line for line in lines if "circle" in line]
    assert lines[0].startswith("# Region file format: DS9")
    assert re.fullmatch(
        r'icrs;circle\(215\.5382458,52\.7811389,3"\) # color=green text=\{[^{}]*\}( tag=\{[^{}]*\}){3}',
        circles[0],
    )
    assert 'tag={known: SL2S J1, 0.2" away: confident, More+2016, (A)}' in circles[0]
    assert "弧" in circles[0]
    # DS9 counts pixels from 1.
    assert circles[1].startswith("image;circle(2.00,3.00,12) # color=white text={field_x0001y0002 0.500}")
    assert "color=red text={DLG J142209.17+524652.1 X2}" in circles[2]


def test_the_first_columns_are_those_other_tools_expect():
    assert NAMES[:12] == "id name ra dec x y score raw_score model grade grader note".split()  # noqa: SIM905


def test_every_field_of_a_candidate_is_written_or_left_out_on_purpose():
    assert {field.name for field in fields(Candidate)} - set(NAMES) == {
        "come_back",  # a reminder to oneself
        "kind",  # empty in a catalogue: calibration stamps are left out
    }


def test_an_unknown_ending_names_the_known_ones(tmp_path):
    for name in ("lenses.docx", "lenses"):
        with pytest.raises(DataError, match=re.escape(", ".join(FORMATS))):
            catalogue_writer(tmp_path / name)
        with pytest.raises(DataError, match="choose one of"):
            write_catalogue(ROWS, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failure_leaves_the_old_catalogue_as_it_was(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"lenses{suffix}"
    write_catalogue(ROWS[:1], path)
    content = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left on device.*free some space"):
        write_catalogue(ROWS, path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(DataError, match="not a folder"):
        write_catalogue(ROWS, tmp_path / "nowhere" / f"lenses{suffix}")
