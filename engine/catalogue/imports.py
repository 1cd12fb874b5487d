"""Taking up classifications that were made with other tools: a CSV with a file name or a position in each line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from scipy.spatial import cKDTree

from engine.catalogue.store import Project
from engine.errors import DataError
from engine.types import Candidate, Step

#: Names of columns, in small letters, the likeliest first. Those of Qt-stamp-visualizer are file_name, classification
#: and comment.
_NAMES: Mapping[str, Sequence[str]] = {
    "file": ("file_name", "filename", "file", "name", "stamp", "image", "object", "id"),
    "ra": ("ra", "raj2000", "ra_deg"),
    "dec": ("dec", "dej2000", "decj2000", "dec_deg"),
    "grade": ("classification", "grade", "class", "label", "score"),
    "subclass": ("subclassification", "subclass", "sub_classification"),
    "comment": ("comment", "comments", "note", "notes"),
}

#: What other tools call the four grades, in small letters: the place in the scheme.
_WORDS: Mapping[str, int] = {
    "sure lens": 0, "a": 0, "l": 0, "sl": 0, "lens": 0, "3": 0,
    "maybe lens": 1, "probable lens": 1, "b": 1, "ml": 1, "2": 1,
    "flexion": 2, "possible lens": 2, "c": 2, "fl": 2, "1": 2,
    "non lens": 3, "nonlens": 3, "not a lens": 3, "no lens": 3, "x": 3, "nl": 3, "0": 3,
}  # fmt: skip
_EMPTY = ("", "none", "nan", "empty", "na", "-")
_BATCH = 200
_RADIUS_DEGREES = 1.5 / 3600


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many grades and notes were taken up, which lines found no candidate, which grades were not understood."""

    grades: int
    notes: int
    unmatched: tuple[str, ...]
    unknown: tuple[str, ...]


def import_grades(project: Project, path: Path | str, *, grader: str) -> Iterator[Step]:
    """Take up the grades and comments of a CSV as this person's; the last step's item is an ``ImportReport``.

    A line belongs to the candidate of its name, or whose mosaic or stamp has the file name, with or without folder and
    ending, or which lies within 1.5 arcsec of its position. All of it is one operation for undo, written when all is
    read; what the same person said here before is replaced.

    Raises
    ------
    DataError : a file that cannot be read, or without the columns
    """
    path = Path(path)
    lines = _lines(path)
    find = _Finder(project)
    scheme = project.scheme()
    kinds = {kind.name.lower(): kind.name for kind in scheme.subclasses}
    said: list[tuple[int, str | None, str, str]] = []
    unmatched, unknown = [], []
    for number, line in enumerate(lines):
        if number % _BATCH == 0:
            yield Step(number, len(lines), note=path.name)
        candidate = find(line)
        if candidate is None:
            unmatched.append(line.get("file") or f"{line.get('ra')} {line.get('dec')}")
            continue
        word = line.get("grade", "").strip()
        plain = word.lower().replace("-", " ")
        level = scheme.level(word) if word.lower() not in _EMPTY else None
        if level is None and plain in _WORDS:
            level = scheme.grades[min(_WORDS[plain], len(scheme.grades) - 1)]
        if level is None and word.lower() not in _EMPTY:
            unknown.append(word)
        # Qt-stamp-visualizer writes the classification into the other two until they are said.
        subclass, comment = (_said(line.get(name, "").strip(), word) for name in ("subclass", "comment"))
        said.append((candidate, None if level is None else level.name, kinds.get(subclass.lower(), subclass), comment))
    with project.operation(f"Import {path.name}"):
        for candidate, grade, subclass, comment in said:
            if grade is not None:
                project.grade(candidate, grade, grader=grader)
            if subclass:
                project.classify(candidate, subclass, grader=grader)
            if comment:
                project.note(candidate, comment, grader=grader)
    report = ImportReport(
        sum(one[1] is not None for one in said),
        sum(bool(one[3]) for one in said),
        tuple(unmatched),
        tuple(dict.fromkeys(unknown)),
    )
    yield Step(len(lines), len(lines), (report,), f"{report.grades} grades taken up")


def _said(text: str, grade: str) -> str:
    return "" if text.lower() in _EMPTY or text == grade else text


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of the CSV under our names of the columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            given = {(name or "").strip().lower(): name for name in table.fieldnames or ()}
            taken = {what: next((given[one] for one in names if one in given), None) for what, names in _NAMES.items()}
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): check the file") from error
    if taken["grade"] is None or (taken["file"] is None and None in (taken["ra"], taken["dec"])):
        raise DataError(
            f"{path} has the columns {', '.join(filter(None, given)) or 'none'}: a grade (classification) and "
            "a file_name, or ra and dec, are needed"
        )
    return [{what: row[name] or "" for what, name in taken.items() if name is not None} for row in rows]


class _Finder:
    """Which candidate a line means."""

    def __init__(self, project: Project) -> None:
        rows = project.rows(project.ids(order="id", descending=False))
        files = {record.id: record.paths for record in project.mosaics()}
        self._of_name: dict[str, list[Candidate]] = {}
        alone: dict[str, list[Candidate]] = {}
        for row in rows:
            self._of_name.setdefault(_stem(row.name), []).append(row)
            alone.setdefault(row.mosaic, []).append(row)
        for mosaic, found in alone.items():
            for path in files[mosaic] if len(found) == 1 else ():
                self._of_name.setdefault(_stem(path.name), []).extend(found)
        placed = [row for row in rows if row.ra is not None and row.dec is not None]
        self._ids = [row.id for row in placed]
        self._tree = cKDTree(_unit([(row.ra or 0.0, row.dec or 0.0) for row in placed])) if placed else None

    def __call__(self, line: Mapping[str, str]) -> int | None:
        found = {row.id for row in self._of_name.get(_stem(line.get("file", "")), ())}
        if len(found) == 1:
            return found.pop()
        try:
            place = (float(line["ra"]), float(line["dec"]))
        except (KeyError, ValueError):
            return None
        if self._tree is None:
            return None
        chord, index = self._tree.query(_unit([place]), distance_upper_bound=np.radians(_RADIUS_DEGREES))
        return self._ids[int(np.ravel(index)[0])] if np.isfinite(np.ravel(chord)[0]) else None


def _stem(name: str) -> str:
    """A file's name without folder and endings such as .fits.gz, in small letters."""
    plain = PurePath(name.strip().replace("\\", "/")).name.lower()
    for ending in (".gz", ".bz2", ".fz", ".fits", ".fit", ".png", ".jpg", ".jpeg", ".npy", ".h5", ".hdf5"):
        plain = plain.removesuffix(ending)
    return plain


def _unit(places: Sequence[tuple[float, float]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    ra, dec = np.radians(np.array(places)).T
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
