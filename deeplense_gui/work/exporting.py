"""What leaves a project or a mosaic as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deeplense_gui.work.interpreting import card
from engine.types import Candidate, Mosaic, Step


def export_catalogue(project: Any, rows: Sequence[Candidate], path: Path) -> Iterator[Step]:
    """Write a catalogue with what is known of its candidates; the suffix says in which format."""
    yield Step(0, 0, note=path.name)
    from engine.catalogue.known import matches
    from engine.export import write_catalogue

    write_catalogue(rows, path, matches(project, [row.id for row in rows]))
    yield Step(len(rows), len(rows))


def export_report(
    project: Any, rows: Sequence[Candidate], mosaics: Sequence[Mosaic], path: Path, *, blind: bool, one_a_page: bool
) -> Iterator[Step]:
    """Write a report with stamps, HTML or PDF by its suffix; blind, without what others said and what is known."""
    yield Step(0, 0, note=path.name)
    from engine.export.report import report_job
    from engine.export.views import remarks

    told = {} if blind else remarks(project, rows)
    yield from report_job(rows, mosaics, path, remarks=told, one_a_page=one_a_page)


def export_stamps(rows: Sequence[Candidate], mosaics: Sequence[Mosaic], folder: Path) -> Iterator[Step]:
    """Write a FITS and a PNG stamp of each candidate into a folder."""
    yield Step(0, 0, note=folder.name)
    from engine.export.stamps import stamps_job

    yield from stamps_job(rows, mosaics, folder)


def export_journal(project: Any, path: Path) -> Iterator[Step]:
    """Write all that was ever said as CSV."""
    yield Step(0, 0, note=path.name)
    from engine.export.journal import journal_job

    yield from journal_job(project, path)


def export_training_set(project: Any, mosaics: Sequence[Mosaic], path: Path, model: str) -> Iterator[Step]:
    """Write the graded candidates of a project as a training set in the layout of a model.

    The project is opened a second time, to read: the window goes on writing to it meanwhile.
    """
    yield Step(0, 0, note=path.name)
    from engine.export.training_set import training_set_job

    layout = card(model)
    opened = project.again()
    try:
        yield from training_set_job(opened, mosaics, path, layout.size, layout.pixel_scales)
    finally:
        opened.close()


def write_cutout(mosaic: Mosaic, edges: tuple[float, float, float, float], path: Path) -> Iterator[Step]:
    """Write what a view of edges x0, x1, y0, y1 shows as a FITS file of all bands."""
    yield Step(0, 0, note=path.name)
    from engine.export.view import view_box, write_cutout

    yield from write_cutout(mosaic, view_box(mosaic, edges), path)


def write_picture_header(
    mosaic: Mosaic, centre: tuple[float, float], zoom: float, size: tuple[int, int], path: Path
) -> Path:
    """Write beside a picture where it lies on the sky."""
    from engine.export.view import write_picture_header

    return write_picture_header(mosaic, centre, zoom, size, path)
