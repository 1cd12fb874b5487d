"""Catalogues as tables: CSV, ECSV, FITS, VOTable and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.export.columns import COLUMNS, table, values
from engine.types import Candidate


def write_csv(rows: Sequence[Candidate], path: Path) -> None:
    """Comma-separated values, UTF-8, one line of column names; empty where there is no value."""
    table(rows).write(path, format="ascii.csv")


def write_ecsv(rows: Sequence[Candidate], path: Path) -> None:
    """CSV with units and descriptions in a header that astropy and TOPCAT read."""
    plain = table(rows)
    for column in plain.columns.values():
        column.meta.clear()
    plain.write(path, format="ascii.ecsv", delimiter=",")


def write_fits(rows: Sequence[Candidate], path: Path) -> None:
    """A binary table; texts are UTF-8, which is ASCII unless a note says more, and missing numbers NaN."""
    encoded = table(rows)
    for column in COLUMNS:
        encoded[column.name].meta.clear()
        if column.kind == "text":
            data = np.char.encode(np.asarray(encoded[column.name]), "utf-8")
            # A column of no width is no column for some readers.
            encoded[column.name] = data if data.dtype.itemsize else data.astype("S1")
            encoded[column.name].description = column.description
    encoded.meta["EXTNAME"] = "CANDIDATES"
    encoded.write(path, format="fits")


def write_votable(rows: Sequence[Candidate], path: Path) -> None:
    """The Virtual Observatory's XML, with UCDs and the coordinate system."""
    from astropy.io.votable.tree import CooSys, VOTableFile

    document = VOTableFile.from_table(table(rows))
    resource = document.resources[0]
    resource.coordinate_systems.append(CooSys(ID="icrs", system="ICRS", config=document.config, pos=None))
    written = resource.tables[0]
    for field, column in zip(written.fields, COLUMNS, strict=True):
        field.ucd = column.ucd
        if column.name in ("ra", "dec"):
            field.ref = "icrs"
    document.to_xml(str(path))


def write_parquet(rows: Sequence[Candidate], path: Path) -> None:
    """Apache Parquet: null where there is no value, unit and description as metadata of each field."""
    import pyarrow
    import pyarrow.parquet

    kinds = {"int": pyarrow.int64(), "float": pyarrow.float64(), "text": pyarrow.string()}
    fields = [
        pyarrow.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "description": c.description, "ucd": c.ucd})
        for c in COLUMNS
    ]
    arrays = [pyarrow.array(values(rows, column), from_pandas=True) for column in COLUMNS]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields)), path)
