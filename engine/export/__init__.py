"""Catalogues, reports and training sets made from a project's candidates.

``FORMATS`` is the one registry of catalogue formats: a new one is a function and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.errors import DataError
from engine.export import regions, tables
from engine.export.atomic import atomic
from engine.export.columns import Known
from engine.types import Candidate

#: Writers by the ending of the file name.
Writer = Callable[[Sequence[Candidate], Path, Known], None]
FORMATS: Mapping[str, Writer] = {
    ".csv": tables.write_csv,
    ".ecsv": tables.write_ecsv,
    ".fits": tables.write_fits,
    ".vot": tables.write_votable,
    ".parquet": tables.write_parquet,
    ".reg": regions.write_regions,
}


def catalogue_writer(path: Path | str) -> Writer:
    """The writer for a file name; DataError for an ending that no format has, before any work is done."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{path}: no catalogue format ends in {suffix!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[suffix]


def write_catalogue(rows: Sequence[Candidate], path: Path | str, known: Known | None = None) -> Path:
    """Write candidates to a file, in the format its ending names; the file appears whole or not at all.

    ``known`` is what catalogues of known objects say of them, see ``engine.catalogue.known.matches``.

    Raises
    ------
    DataError : unknown ending, or a folder or disk that cannot be written
    """
    path = Path(path)
    writer = catalogue_writer(path)
    with atomic(path) as partial:
        writer(rows, partial, known or {})
    return path
