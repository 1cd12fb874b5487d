"""Catalogues of known objects as they come: which columns hold position, name, reference and grading is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.catalogue.names import iau_name
from engine.errors import DataError

if TYPE_CHECKING:
    from astropy.table import Table

#: Whole names of columns, without units, signs and case, the likeliest first.
_NAMES: Mapping[str, Sequence[str]] = {
    "ra": ("ra", "raj2000", "raicrs", "radeg", "rightascension", "alpha", "alphaj2000", "ra2000", "rad", "rajdeg",
           "ramean", "meanra", "lensra", "ralens", "objra", "racen"),
    "dec": ("dec", "de", "decj2000", "dej2000", "decicrs", "deicrs", "decdeg", "dedeg", "declination", "delta",
            "deltaj2000", "dec2000", "decd", "decjdeg", "decmean", "meandec", "lensdec", "declens", "objdec", "deccen"),
    "name": ("name", "objectname", "objname", "lensname", "system", "systemname", "object", "id", "objid", "lensid",
             "designation", "identifier", "sourceid", "inds"),
    "reference": ("ref", "refs", "reference", "references", "bibcode", "paper", "citation", "survey", "catalogue",
                  "catalog", "discovery"),
    "grading": ("grading", "grade", "lensgrade", "quality", "confidence", "class", "rank", "status", "score", "type"),
}  # fmt: skip
_UCDS = {"ra": "pos.eq.ra", "dec": "pos.eq.dec", "reference": "meta.bib"}
_FORMATS = {
    ".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".tsv": "ascii.tab", ".tab": "ascii.tab", ".fits": "fits",
    ".fit": "fits", ".gz": "fits", ".vot": "votable", ".xml": "votable", ".votable": "votable",
}  # fmt: skip
_HOURS = ("h", "hr", "hour", "hours", "hourangle")


@dataclass(frozen=True, slots=True, eq=False)
class KnownObjects:
    """Objects of a catalogue: n names, references and gradings; ``ra`` and ``dec`` (n,) are degrees.

    ``columns`` says which column was taken for what, ``notes`` what was left out.
    """

    source: Path
    names: tuple[str, ...]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    references: tuple[str, ...]
    gradings: tuple[str, ...]
    columns: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class KnownTable:
    """A catalogue as it stands in its file, with the names of its columns.

    ``guess`` says which column holds ra, dec, name, reference and grading, as far as that can be guessed, else None;
    ``rows`` is how many rows there are.
    """

    path: Path
    columns: tuple[str, ...]
    guess: Mapping[str, str | None]
    rows: int
    table: Table

    def objects(self, columns: Mapping[str, str | None], *, first: int | None = None) -> KnownObjects:
        """The objects with these columns, all of them or those of the first rows; None leaves something out.

        Raises
        ------
        DataError : a column that is not there, or no position in it
        """
        chosen = {what: _column(self.path, self.table, columns.get(what)) for what in _NAMES}
        return _objects(self.path, self.table if first is None else self.table[:first], chosen)


def open_known(path: Path | str) -> KnownTable:
    """Read a catalogue: CSV, TSV, ECSV, FITS or VOTable, or any text table that astropy can guess.

    Raises
    ------
    DataError : a file that cannot be read
    """
    path = Path(path)
    table = _table(path)
    guess = {what: _guess(table, what) for what in _NAMES}
    return KnownTable(path, tuple(map(str, table.colnames)), guess, len(table), table)


def read_known(path: Path | str, **columns: str | None) -> KnownObjects:
    """Read the objects of a catalogue.

    ``columns`` names columns where the guess is wrong: ra, dec, name, reference, grading. Positions may be degrees,
    hours, or sexagesimal; rows without a position are left out. What has no reference is given the file's name.

    Raises
    ------
    DataError : a file that cannot be read, a column that is not there, or no position in it
    """
    table = open_known(path)
    given = {what: name for what, name in columns.items() if name is not None}
    return table.objects({**table.guess, **given})


def _objects(path: Path, table: Table, chosen: Mapping[str, str | None]) -> KnownObjects:
    for what, title in (("ra", "right ascension"), ("dec", "declination")):
        if chosen[what] is None:
            raise DataError(
                f"{path}: no column looks like a {title}: name it with --{what}; there are {', '.join(table.colnames)}"
            )
    ra, dec = _angles(table, str(chosen["ra"]), hours=True), _angles(table, str(chosen["dec"]), hours=False)
    good = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & (ra >= -180) & (ra <= 360)
    if not good.any():
        raise DataError(f"{path}: {chosen['ra']} and {chosen['dec']} hold no positions: choose other columns")
    ra, dec = ra[good] % 360, dec[good]
    texts = {what: _texts(table, chosen[what], good) for what in ("name", "reference", "grading")}
    places = zip(texts["name"], ra, dec, strict=True)
    names = [name or iau_name(alpha, delta).removeprefix("DLG ") for name, alpha, delta in places]
    references = [reference or path.name for reference in texts["reference"]]
    left_out = len(table) - int(good.sum())
    notes = (f"{left_out} rows without a position were left out",) if left_out else ()
    said = {what: name for what, name in chosen.items() if name is not None}
    return KnownObjects(path, tuple(names), ra, dec, tuple(references), tuple(texts["grading"]), said, notes)


def _table(path: Path) -> Table:
    from astropy.io.ascii import InconsistentTableError
    from astropy.table import Table

    if not path.is_file():
        raise DataError(f"{path}: there is no such file: check the name")
    form = _FORMATS.get(path.suffix.lower(), "ascii")
    try:
        try:
            if form.startswith("ascii") and _has_semicolons(path):
                return Table.read(path, format="ascii.basic", delimiter=";")
            return Table.read(path, format=form)
        except InconsistentTableError:
            return Table.read(path, format="ascii")
    except (OSError, ValueError, TypeError, IndexError, InconsistentTableError) as error:
        # Of a text astropy tells every format that it tried.
        guessed = isinstance(error, InconsistentTableError)
        what = "no lines of columns under their names" if guessed else " ".join(str(error).split())[:120]
        raise DataError(f"{path} cannot be read as a table ({what}): save it as CSV, FITS or VOTable") from error


def _has_semicolons(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = next((line for line in file if line.strip() and not line.startswith("#")), "")
    return first.count(";") > first.count(",")


def _plain(name: str) -> str:
    """A column's name without units in brackets, signs and case."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[\[(].*?[\])]", "", name.lower()))


def _column(path: Path, table: Table, wanted: str | None) -> str | None:
    if wanted is not None and wanted not in table.colnames:
        raise DataError(f"{path} has no column {wanted!r}: there are {', '.join(table.colnames)}")
    return wanted


def _guess(table: Table, what: str) -> str | None:
    for name in table.colnames:
        ucd = str(table[name].info.meta.get("ucd", "")) if table[name].info.meta else ""
        if what in _UCDS and ucd.startswith(_UCDS[what]) and "meta.main" in ucd:
            return str(name)
    plain = {_plain(name): name for name in reversed(table.colnames)}
    return next((str(plain[name]) for name in _NAMES[what] if name in plain), None)


def _angles(table: Table, name: str, *, hours: bool) -> NDArray[np.float64]:
    """A column as degrees, NaN where it holds none."""
    from astropy import units
    from astropy.coordinates import Angle

    column = table[name]
    if column.dtype.kind in "fiu":
        numbers = np.ma.filled(np.ma.asarray(column, np.float64), np.nan)
        unit = str(column.unit or "").lower()
        told = re.search(r"[\[(](.*?)[\])]", name.lower())
        in_hours = hours and (unit in _HOURS or (told is not None and told[1].strip() in _HOURS))
        factor = 15.0 if in_hours else float(np.degrees(1)) if unit in ("rad", "radian") else 1.0
        return np.asarray(numbers * factor)
    out = np.full(len(table), np.nan)
    for row, text in enumerate(_texts(table, name, np.ones(len(table), bool))):
        try:
            out[row] = float(text)
        except ValueError:
            sexagesimal = units.hourangle if hours and "d" not in text.lower() else units.deg
            try:
                out[row] = Angle(text, sexagesimal).deg
            except (ValueError, TypeError):
                continue  # counted with the rows that have no position
    return out


def _texts(table: Table, name: str | None, rows: NDArray[np.bool_]) -> list[str]:
    if name is None:
        return [""] * int(rows.sum())
    return ["" if value is np.ma.masked else _text(value) for value in table[name][rows]]


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "" if text.strip() in ("-", "--", "nan", "None") else text.strip()
