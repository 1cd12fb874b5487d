"""The lens-finding challenge of the Bologna lens factory as downloaded: FITS images beside a table of the truth."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from engine.train.readers.entries import Entry, Found, Layout
from engine.train.readers.files import TABLE, Files

CLASSES = ("not", "lens")
_IMAGE = re.compile(r"image(EUC|SDSS)_(VIS|[UGRI])-(\d+)\.fits?", re.IGNORECASE)
_NUMBERS = {  # columns of the table, as their names are once in lower case, and as they are kept
    "numb_pix_lensed_image": "arc_pixels",
    "numb_pix_lensed": "arc_pixels",
    "flux_lensed_image_in_sigma": "arc_flux_in_sigma",
    "flux_lensed_in_sigma": "arc_flux_in_sigma",
}
_STERADIAN = (180 * 3600 / math.pi) ** 2  # square arcsec
_LARGEST = 256 << 20  # bytes of a table
_SMALLEST = 1e-6  # square arcsec; as steradians this is an Einstein radius of two arcmin


@dataclass(slots=True)
class _Table:
    """Labels and numbers by the identifier of an image, and what could not be read."""

    label: dict[int, int] = field(default_factory=dict)
    truth: dict[int, dict[str, float]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    unit: str = ""


def find_challenge(files: Files, layout: Layout) -> Found:
    """Images of one camera, VIS alone or the four bands u, g, r, i, and the row that the table has for each.

    Without a table the label is that of a folder above, ``lens`` or ``nolens``.
    """
    wanted = tuple(band.upper() for band in layout.bands)
    images: dict[tuple[PurePosixPath, int], dict[str, PurePosixPath]] = {}
    for name in files.members:
        match = _IMAGE.fullmatch(name.name)
        if match and match[2].upper() in wanted:
            folder = name.parent.parent if re.fullmatch(r"(?i)band\d", name.parent.name) else name.parent
            images.setdefault((folder, int(match[3])), {})[match[2].upper()] = name
    if not images:
        return Found((), [])
    tables = {name.parent: table for name in files.members if (table := _read_table(files, name))}
    missing, entries = [], []
    used: dict[PurePosixPath, set[int]] = {}
    for (folder, number), bands in sorted(images.items(), key=lambda item: (item[0][1], item[0][0])):
        absent = [band for band in wanted if band not in bands]
        place = next((above for above in (folder, *folder.parents) if above in tables), None)
        table = None if place is None else tables[place]
        if place is not None:
            used.setdefault(place, set()).add(number)
        label = table.label.get(number) if table else _label_of(folder)
        if absent:
            missing.append(f"image {number} has no band {', '.join(absent).lower()}")
        elif label is None:
            missing.append(f"image {number} has no row in the table" if table else f"{folder} says no class")
        else:
            truth = table.truth.get(number, {}) if table else {}
            names = tuple(bands[band] for band in wanted)
            entries.append(Entry(names, label, truth={"identifier": float(number), **truth}))
    for place, numbers in used.items():
        missing += [f"row {number} has no image" for number in sorted(set(tables[place].label) - numbers)]
        missing += tables[place].bad
    notes = tuple(dict.fromkeys(tables[place].unit for place in used if tables[place].unit))
    return Found(CLASSES, sorted(entries, key=lambda entry: entry.names), tuple(missing), notes)


def _label_of(folder: PurePosixPath) -> int | None:
    names = [part.lower().replace("_", "") for part in folder.parts]
    if any(name.startswith(("nolens", "nonlens", "notlens")) for name in names):
        return 0
    return 1 if any(name in ("lens", "lenses") for name in names) else None


def _read_table(files: Files, name: PurePosixPath) -> _Table | None:
    """A table with an identifier and a class in each row; None where a file is none."""
    if name.suffix.lower() != TABLE:
        return None
    with files.on_disk(name) as path:
        if path.stat().st_size > _LARGEST:
            return None
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    table: _Table | None = None
    header: list[str] = []
    for line, cells in _rows(text):
        if not header:
            words = [re.sub(r"\W+", "_", cell.strip(" \t#")).strip("_").lower() for cell in cells]
            if "id" in words and {"is_lens", "islens"} & set(words):
                header, table = ["is_lens" if word == "islens" else word for word in words], _Table()
        elif table is not None:
            _take(table, dict(zip(header, cells, strict=False)), f"{name} line {line}")
    if table is not None:
        _add_radii(table)
    return table


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of the lines that hold any, at commas, semicolons, tabs or spaces, with the number of the line."""
    for number, line in enumerate(text.splitlines(), 1):
        mark = next((mark for mark in ",;\t" if mark in line), None)
        try:
            cells = next(csv.reader([line], delimiter=mark)) if mark else line.split()
        except csv.Error:  # a cell of more than 128 KiB: no table of numbers
            continue
        if any(cell.strip() for cell in cells):
            yield number, cells


def _take(table: _Table, row: Mapping[str, str], where: str) -> None:
    number, label = _number(row.get("id", "")), _number(row.get("is_lens", ""))
    if math.isnan(number) or label not in (0, 1):
        table.bad.append(f"{where} has no identifier or no class")
        return
    if table.label.setdefault(int(number), int(label)) != label:
        table.bad.append(f"{where} gives image {int(number)} another class than a line before")
    kept = {_NUMBERS.get(name, name): _number(cell) for name, cell in row.items() if name not in ("id", "is_lens", "")}
    table.truth[int(number)] = kept


def _number(cell: str) -> float:
    cell = cell.strip().lower()
    try:
        value = {"true": 1.0, "false": 0.0}.get(cell)
        value = float(cell) if value is None else value
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _add_radii(table: _Table) -> None:
    """Einstein radii (arcsec) from the areas, and the arcs' signal-to-noise over their own pixels.

    The table states no unit for Einstein_area: areas below a millionth are taken for steradians, others for square
    arcsec. The flux is in units of the noise of one pixel, so S/N is flux / sqrt(pixels).
    """
    areas = [row["einstein_area"] for row in table.truth.values() if row.get("einstein_area", 0) > 0]
    unit = _STERADIAN if areas and max(areas) < _SMALLEST else 1.0
    if areas:
        named = "steradians" if unit == _STERADIAN else "square arcsec"
        table.unit = f"Einstein_area is taken to be in {named}: einstein_radius = sqrt(area / pi), arcsec"
    for row in table.truth.values():
        if "einstein_area" in row:
            area = row["einstein_area"] * unit
            row["einstein_radius"] = math.sqrt(area / math.pi) if area >= 0 else math.nan
        if {"arc_pixels", "arc_flux_in_sigma"} <= set(row):
            pixels, flux = row["arc_pixels"], row["arc_flux_in_sigma"]
            row["arc_snr"] = flux / math.sqrt(pixels) if pixels > 0 else (0.0 if pixels == 0 else math.nan)
