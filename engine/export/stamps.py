"""Stamps of candidates as files: FITS with WCS, at the mosaic's own pixels, and PNG to look at."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from PIL import Image

from engine.errors import DataError
from engine.export.atomic import atomic
from engine.export.view import cutout_header
from engine.export.views import picture
from engine.images.slices import cut_pixels
from engine.types import Candidate, FloatArray, Mosaic, Step

FORMATS = ("fits", "png")
WIDTH = 20.0  # arcsec, and pixels times 5 where there is no pixel scale
_SMALLEST_PICTURE = 256
_BATCH = 8
_CELL = 256  # pixels; stamps of one row of cells follow each other, so that compressed tiles are unpacked once


def stamps_job(
    rows: Sequence[Candidate],
    mosaics: Sequence[Mosaic],
    folder: Path | str,
    *,
    formats: Sequence[str] = FORMATS,
    width: float = WIDTH,
) -> Iterator[Step]:
    """Write a stamp of each candidate; the folder is made if it is not there, and each file appears when it is whole.

    A FITS stamp holds all bands as they are in the mosaic, NaN beyond its edge, with the WCS and what is said of the
    candidate in its header. A PNG shows it as a report does, each pixel of the mosaic as several.

    Parameters
    ----------
    formats : of FORMATS
    width : arcsec across a stamp

    Raises
    ------
    DataError : an unknown format, a width of nothing, or a folder that cannot be written
    """
    folder = Path(folder)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise DataError(f"stamps are written as {' or '.join(FORMATS)}, not {', '.join(unknown) or 'nothing'}")
    if not width > 0:
        raise DataError("a stamp is some arcsec wide: give a width above 0")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror}): choose another folder") from error
    found = {mosaic.id: [row for row in rows if row.mosaic == mosaic.id] for mosaic in mosaics}
    done, total = 0, sum(len(part) for part in found.values())
    for mosaic in mosaics:
        for row, corner, pixels in _cut(mosaic, found[mosaic.id], width):
            yield Step(done, total, note=row.name)
            _write(folder / _file_name(row), formats, row, mosaic, corner, pixels)
            done += 1
    left = len(rows) - total
    missing = f"; {left} of mosaics that are not open were left out" if left else ""
    yield Step(total, total, (folder,), f"{total} stamps in {folder.name}{missing}")


def _cut(
    mosaic: Mosaic, rows: Sequence[Candidate], width: float
) -> Iterator[tuple[Candidate, Sequence[int], FloatArray]]:
    """Each candidate with the pixel (x, y) its stamp begins at, and the stamp (band, y, x); neighbours together."""
    size = 2 * max(math.ceil(width / (mosaic.pixel_scale or width / 100) / 2), 2) + 1
    ordered = sorted(rows, key=lambda row: (row.y // _CELL, row.x))
    for first in range(0, len(ordered), _BATCH):
        part = ordered[first : first + _BATCH]
        cutouts, corners = cut_pixels(mosaic, np.array([(row.x, row.y) for row in part]), size=size)
        yield from zip(part, corners.astype(int).tolist(), cutouts.pixels[:, 0], strict=True)


def _write(
    stem: Path, formats: Sequence[str], row: Candidate, mosaic: Mosaic, corner: Sequence[int], pixels: FloatArray
) -> None:
    if "fits" in formats:
        header = _header(mosaic, corner, pixels.shape[-1], row)
        with atomic(stem.with_name(f"{stem.name}.fits")) as partial:
            fits.PrimaryHDU(_plain(pixels), header).writeto(partial, output_verify="silentfix")
    if "png" in formats:
        shown = picture(pixels)
        times = max(_SMALLEST_PICTURE // shown.shape[0], 1)
        with atomic(stem.with_name(f"{stem.name}.png")) as partial:
            Image.fromarray(shown.repeat(times, 0).repeat(times, 1)).save(partial, "png")


def _file_name(row: Candidate) -> str:
    """Number and name of a candidate, with only what every system takes in a file name."""
    return f"{row.id:06d}_{re.sub(r'[^A-Za-z0-9.+-]+', '_', row.name).strip('_.')[:80]}"


def _plain(pixels: FloatArray) -> FloatArray:
    return np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels)


def _header(mosaic: Mosaic, corner: Sequence[int], size: int, row: Candidate) -> fits.Header:
    """The header of the part on the mosaic, moved to where the stamp begins, and what is said of the candidate."""
    x0, y0 = corner
    ny, nx = mosaic.shape
    inside = (max(y0, 0), min(y0 + size, ny), max(x0, 0), min(x0 + size, nx))
    header = cutout_header(mosaic, inside)
    for axis, shift in (("1", inside[2] - x0), ("2", inside[0] - y0)):
        if f"CRPIX{axis}" in header:
            header[f"CRPIX{axis}"] += shift
        header[f"LTV{axis}"] += shift
    if len(mosaic.bands) == 1:
        header["NAXIS"] = 2
        header.remove("NAXIS3", ignore_missing=True)
    header["OBJECT"] = _ascii(row.name)
    for key, value, comment in (
        ("CANDID", row.id, "number of the candidate in its project"),
        ("LSCORE", row.score, "calibrated probability of a lens"),
        ("LGRADE", _ascii(row.grade or ""), "grade given by a person"),
        ("LGRADER", _ascii(row.grader), "who gave the grade"),
        ("LCLASS", _ascii(row.subclass), "what kind of lens it is, or what else"),
    ):
        if value == value and value != "":
            header[key] = (value, comment)
    return header


def _ascii(text: str) -> str:
    """Text as a header takes it."""
    return text.encode("ascii", "replace").decode("ascii")[:60]
