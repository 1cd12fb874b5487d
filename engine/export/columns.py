"""The columns of a catalogue: names, units and meaning, the same in every format."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Candidate

if TYPE_CHECKING:
    from astropy.table import Table

    from engine.catalogue.known import KnownMatch


#: What catalogues of known objects say of candidates, by id, the nearest first, as ``known.matches`` gives it.
Known = Mapping[int, Sequence["KnownMatch"]]


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
    Column("graded_at", "text", "When the grade was given, UTC", ucd="time.epoch"),
    Column("flag", "int", "1 where somebody flagged the candidate", ucd="meta.code"),
    Column("einstein_radius", "float", "Einstein radius read off the arcs by eye", "arcsec", "phys.angSize"),
    Column("same_as", "int", "Candidate that this one is a duplicate of, its own id if of none", ucd="meta.id.assoc"),
    Column("known_name", "text", "Nearest known object within the radius of the match", ucd="meta.id.assoc"),
    Column("known_reference", "text", "Who published the known object", ucd="meta.bib"),
    Column("known_grading", "text", "How the known object was graded there", ucd="meta.code.class"),
    Column("known_separation", "float", "Distance to the known object", "arcsec", "pos.angDistance"),
    Column("known_others", "text", "More known objects there, each with reference and grading", ucd="meta.note"),
)


def values(rows: Sequence[Candidate], column: Column, known: Known) -> NDArray[Any]:
    """One column: int64, masked where it is missing, float64, NaN where it is, or text, empty where it is."""
    found: list[Any]
    if column.name.startswith("known_"):
        found = [_known(known.get(row.id, ()), column.name) for row in rows]
    else:
        found = [getattr(row, column.name) for row in rows]
    if column.kind == "int":
        missing = [value is None for value in found]
        numbers = np.array([-1 if value is None else value for value in found], np.int64)
        return np.ma.array(numbers, mask=missing, fill_value=-1) if any(missing) else numbers
    if column.kind == "float":
        return np.array([np.nan if value is None else value for value in found], np.float64)
    return np.array(["" if value is None else _text(value) for value in found], np.str_)


def _known(matches: Sequence[KnownMatch], name: str) -> str | float | None:
    """What a column says of known objects."""
    if not matches:
        return None
    if name == "known_others":
        return "; ".join(described(one) for one in matches[1:])
    value: str | float | None = getattr(matches[0], name.removeprefix("known_"))
    return value


def described(match: KnownMatch) -> str:
    """A known object in words, with its reference and grading."""
    said = ", ".join(text for text in (match.grading, match.reference) if text)
    return f'{match.name}, {match.separation:.1f}" away: {said}'


def _text(value: str | datetime) -> str:
    if isinstance(value, datetime):  # without a zone, as the VO and astropy write and read UTC
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    # Control characters and halves of surrogate pairs cannot stand in XML, and NUL ends a text in FITS.
    return "".join(char for char in value if char in "\t\n" or unicodedata.category(char) not in ("Cc", "Cs"))


def table(rows: Sequence[Candidate], known: Known) -> Table:
    """The catalogue as an astropy table, with units, descriptions and UCDs; missing numbers are masked."""
    from astropy.table import Column as PlainColumn
    from astropy.table import MaskedColumn, Table

    columns = []
    for column in COLUMNS:
        data = values(rows, column, known)
        options = {"name": column.name, "unit": column.unit or None, "description": column.description}
        if column.kind == "float":
            filled = MaskedColumn(data, mask=np.isnan(data), **options)
        elif np.ma.isMaskedArray(data):
            filled = MaskedColumn(data, fill_value=-1, **options)
        else:
            filled = PlainColumn(data, **options)
        filled.meta["ucd"] = column.ucd
        columns.append(filled)
    return Table(columns)
