"""The columns of a catalogue: names, units and meaning, the same in every format."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Candidate

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``name`` is the field of Candidate, ``kind`` int, float or text, ``ucd`` the IVOA's word for it."""

    name: str
    kind: str
    description: str
    unit: str = ""
    ucd: str = ""


COLUMNS = (
    Column("id", "int", "Number of the candidate in its project", ucd="meta.id;meta.main"),
    Column("name", "text", "Designation from the position", ucd="meta.id"),
    Column("ra", "float", "Right ascension, ICRS", "deg", "pos.eq.ra;meta.main"),
    Column("dec", "float", "Declination, ICRS", "deg", "pos.eq.dec;meta.main"),
    Column("x", "float", "Column in the mosaic, 0 at the centre of the first pixel", "pix", "pos.cartesian.x"),
    Column("y", "float", "Row in the mosaic, 0 at the centre of the first pixel", "pix", "pos.cartesian.y"),
    Column("score", "float", "Calibrated probability of a lens", ucd="stat.probability"),
    Column("raw_score", "float", "The network's own output, 0 to 1", ucd="stat.value"),
    Column("model", "text", "Key of the model that gave the score", ucd="meta.id;meta.modelled"),
    Column("grade", "text", "Grade given by a person, empty if none", ucd="meta.code.class"),
    Column("grader", "text", "Who gave the grade", ucd="meta.id"),
    Column("note", "text", "What the grader noted", ucd="meta.note"),
    Column("flux", "float", "Flux of the source, in units of the mosaic", ucd="phot.flux"),
    Column("radius", "float", "Half-light radius", "pix", "phys.angSize;src"),
    Column("signal_to_noise", "float", "Signal-to-noise ratio of the source", ucd="stat.snr"),
    Column("spread", "float", "Standard deviation of the score over views of the stamp", ucd="stat.stdev"),
    Column("mosaic", "text", "Identifier of the mosaic", ucd="meta.id;obs.image"),
    Column("subclass", "text", "What kind of lens it is, or what else", ucd="meta.code.class"),
    Column("flag", "int", "1 where somebody flagged the candidate", ucd="meta.code"),
    Column("einstein_radius", "float", "Einstein radius read off the arcs by eye", "arcsec", "phys.angSize"),
)


def values(rows: Sequence[Candidate], column: Column) -> NDArray[Any]:
    """One column of a catalogue: int64, float64 with NaN for what is missing, or text, empty for what is missing."""
    found = [getattr(row, column.name) for row in rows]
    if column.kind == "int":
        return np.array(found, np.int64)
    if column.kind == "float":
        return np.array([np.nan if value is None else value for value in found], np.float64)
    return np.array(["" if value is None else _text(value) for value in found], np.str_)


def _text(value: str) -> str:
    # Control characters and halves of surrogate pairs cannot stand in XML, and NUL ends a text in FITS.
    return "".join(char for char in value if char in "\t\n" or unicodedata.category(char) not in ("Cc", "Cs"))


def table(rows: Sequence[Candidate]) -> Table:
    """The catalogue as an astropy table, with units, descriptions and UCDs; missing numbers are masked."""
    from astropy.table import Column as PlainColumn
    from astropy.table import MaskedColumn, Table

    columns = []
    for column in COLUMNS:
        data = values(rows, column)
        options = {"name": column.name, "unit": column.unit or None, "description": column.description}
        if column.kind == "float":
            filled = MaskedColumn(data, mask=np.isnan(data), **options)
        else:
            filled = PlainColumn(data, **options)
        filled.meta["ucd"] = column.ucd
        columns.append(filled)
    return Table(columns)
