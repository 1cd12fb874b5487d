"""The consensus of several graders as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.catalogue import Opinion, Project
from engine.catalogue.consensus import Consensus
from engine.errors import DataError
from engine.export.atomic import atomic

if TYPE_CHECKING:
    from astropy.table import Table

_FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".vot": "votable"}


def consensus_table(project: Project, found: Consensus) -> Table:
    """One row a candidate, most probable lenses first.

    ``grades`` lists who gave what, ``agreed`` what the team agreed on, p_A and so on the posterior.
    """
    from astropy.table import Table

    order = np.lexsort((found.ids, -found.mean, -found.lens))
    rows = project.rows(found.ids[order])
    said = project.opinions(found.ids)
    given = [", ".join(f"{one.grader} {one.grade}" for one in said[row.id] if one.grade is not None) for row in rows]
    table = Table(
        {
            "id": found.ids[order],
            "name": np.array([row.name for row in rows], np.str_),
            "ra": np.array([np.nan if row.ra is None else row.ra for row in rows], np.float64),
            "dec": np.array([np.nan if row.dec is None else row.dec for row in rows], np.float64),
            "grades": np.array(given, np.str_),
            "graders": found.graders[order],
            "mean": found.mean[order],
            "scatter": found.scatter[order],
            "span": found.span[order],
            "p_lens": found.lens[order],
            "agreed": np.array([agreed(said[row.id]) for row in rows], np.str_),
        }
    )
    for number, grade in enumerate(found.grades):
        table[f"p_{grade}"] = found.posterior[order, number]
    return table


def agreed(said: Sequence[Opinion]) -> str:
    """The grade that the team agreed on last, and who wrote it down; empty where it did not."""
    words = [(one.agreed_at, one.grader, one.agreed) for one in said if one.agreed and one.agreed_at is not None]
    return "" if not words else "{2} ({1})".format(*max(words))


def write_consensus(table: Table, path: Path) -> Path:
    """Write the table in the format that the ending names; DataError for one that is not there."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise DataError(f"{path}: no table format ends in {suffix!r}: choose one of {', '.join(_FORMATS)}")
    with atomic(path) as partial:
        table.write(partial, format=_FORMATS[suffix])
    return path
