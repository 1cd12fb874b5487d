"""Lens models of candidates as a table, with units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import DataError, EngineError
from engine.export.atomic import atomic
from engine.types import Candidate, LensFit, Substructure

if TYPE_CHECKING:
    from astropy.table import Table

_FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".vot": "votable"}
_UNITS = {"einstein_radius": "arcsec", "einstein_radius_error": "arcsec", "axis_ratio": "", "angle": "deg",
          "shear": "", "shear_angle": "deg", "magnification": "", "source_radius": "arcsec", "chi2": "",
          "chi2_alone": ""}  # fmt: skip


def lens_format(path: Path) -> str:
    """astropy's name of the format that the ending of a file names; DataError for one that is not there."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise DataError(f"{path}: no table format ends in {suffix!r}: choose one of {', '.join(_FORMATS)}")
    return _FORMATS[suffix]


def lens_table(
    rows: Sequence[Candidate],
    fits: Sequence[LensFit | EngineError | None],
    told: Sequence[Substructure | None] | None = None,
) -> Table:
    """One row a candidate; NaN where there is no fit, and ``notes`` say why, or what speaks against it.

    With ``told`` there are columns on substructure: the model that compared copies of the lens, the fraction of them
    that it tells right, the fraction further out than the stamp, and the probability of each kind.
    """
    from astropy import units
    from astropy.table import Table

    table = Table(
        {
            "id": np.array([row.id for row in rows], np.int64),
            "name": np.array([row.name for row in rows], np.str_),
            "ra": np.array([np.nan if row.ra is None else row.ra for row in rows], np.float64) * units.deg,
            "dec": np.array([np.nan if row.dec is None else row.dec for row in rows], np.float64) * units.deg,
        }
    )
    for name, unit in _UNITS.items():
        table[name] = np.array([getattr(fit, name) if isinstance(fit, LensFit) else np.nan for fit in fits], np.float64)
        table[name].unit = unit or None
    if told is not None:
        _add_substructure(table, told)
    said = ["; ".join(fit.notes) if isinstance(fit, LensFit) else str(fit or "the mosaic is not there") for fit in fits]
    notes = [() if one is None else one.notes for one in told or [None] * len(rows)]
    table["notes"] = np.array(
        ["; ".join((*([text] if text else []), *more)) for text, more in zip(said, notes, strict=True)]
    )
    return table


def _add_substructure(table: Table, told: Sequence[Substructure | None]) -> None:
    kinds = dict.fromkeys(kind for one in told if one is not None for kind in one.classes)
    table["substructure_model"] = np.array(["" if one is None else one.model for one in told], np.str_)
    for name, value in (("copies_right", "right"), ("copies_further_out", "typical")):
        table[name] = np.array([np.nan if one is None else getattr(one, value) for one in told], np.float64)
    for kind in kinds:
        table[f"p_{kind}"] = np.array([_probability(one, kind) for one in told], np.float64)


def _probability(told: Substructure | None, kind: str) -> float:
    """Of a kind of substructure; NaN where nothing can be told."""
    if told is None or not told.tells or kind not in told.classes:
        return float("nan")
    return told.probability[told.classes.index(kind)]


def write_lenses(table: Table, path: Path) -> None:
    """Write the table, whole or not at all."""
    kind = lens_format(path)
    with atomic(path) as partial:
        table.write(partial, format=kind)
