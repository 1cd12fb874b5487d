"""Catalogues as tables: CSV, ECSV, FITS, VOTable and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.export.columns import COLUMNS, Known, table, values
from engine.types import Candidate


def write_csv(rows: Sequence[Candidate], path: Path, known: Known) -> None:
    """Comma-separated values, UTF-8, one line of column names; empty where there is no value."""
    table(rows, known).write(path, format="ascii.csv")


def write_ecsv(rows: Sequence[Candidate], path: Path, known: Known) -> None:
    """CSV with units and descriptions in a header that astropy and TOPCAT read."""
    plain = table(rows, known)
    for column in plain.columns.values():
        column.meta.clear()
    plain.write(path, format="ascii.ecsv", delimiter=",")


def write_fits(rows: Sequence[Candidate], path: Path, known: Known) -> None:
    """A binary table; texts are UTF-8, which is ASCII unless a note says more, and missing numbers NaN."""
    encoded = table(rows, known)
    for column in COLUMNS:
        encoded[column.name].meta.clear()
        if column.kind == "text":
            data = np.char.encode(np.asarray(encoded[column.name]), "utf-8")
            # A column of no width is no column for some readers.
            encoded[column.name] = data if data.dtype.itemsize else data.astype("S1")
            encoded[column.name].description = column.description
    encoded.meta["EXTNAME"] = "CANDIDATES"
    encoded.write(path, format="fits")


def write_votable(rows: Sequence[Candidate], path: Path, known: Known) -> None:
    """The Virtual Observatory's XML, with UCDs and the coordinate system."""
    from astropy.io.votable.tree import CooSys, VOTableFile

    document = VOTableFile.from_table(table(rows, known))
    resource = document.resources[0]
    resource.coordinate_systems.append(CooSys(ID="icrs", system="ICRS", config=document.config, pos=None))
    written = resource.tables[0]
    for field, column in zip(written.fields, COLUMNS, strict=True):
        field.ucd = column.ucd
        if column.name in ("ra", "dec"):
            field.ref = "icrs"
    document.to_xml(str(path))


def write_parquet(rows: Sequence[Candidate], path: Path, known: Known) -> None:
    """Apache Parquet: null where there is no value, unit and description as metadata of each field."""
    import pyarrow
    import pyarrow.parquet

    def _array(data: NDArray[Any]) -> Any:
        return pyarrow.array(
            np.ma.getdata(data), mask=np.ma.getmaskarray(data) if data.dtype.kind == "i" else None, from_pandas=True
        )

    kinds = {"int": pyarrow.int64(), "float": pyarrow.float64(), "text": pyarrow.string()}
    fields = [
        pyarrow.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "description": c.description, "ucd": c.ucd})
        for c in COLUMNS
    ]
    arrays = [_array(values(rows, column, known)) for column in COLUMNS]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields)), path)
