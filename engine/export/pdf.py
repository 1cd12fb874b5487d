"""The report as a PDF to print or to send: a cover with the plots, then candidates, six or one a page."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from engine.export.summary import summary_figure
from engine.export.views import Picture, Views
from engine.types import Candidate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_A4 = (8.27, 11.69)
_ON_A_SHEET = 6
_ON_THE_COVER = 12


def write_pdf(
    path: Path,
    rows: Sequence[Candidate],
    views: Mapping[int, Views],
    remarks: Mapping[int, Sequence[str]],
    facts: Sequence[str],
    *,
    one_a_page: bool = False,
) -> Iterator[int]:
    """Write the pages; yields how many candidates are on paper. ``facts`` are the lines of the cover."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages

    # Letters are kept as text, so that names can be searched for and copied.
    with rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans"}), path.open("wb") as file:
        # Ended only when all is well: its own end hides what went wrong, such as a full disk.
        pages: Any = PdfPages(file)
        pages.savefig(_cover(rows, facts, views))
        together = 1 if one_a_page else _ON_A_SHEET
        for start in range(0, len(rows), together):
            part = rows[start : start + together]
            pages.savefig(_sheet(part, start, len(rows), together, views, remarks))
            yield start + len(part)
        pages.infodict()["Title"] = "Lens candidates"
        pages.close()


def _cover(rows: Sequence[Candidate], facts: Sequence[str], views: Mapping[int, Views]) -> Figure:
    """Facts, plots, and the first candidates at a glance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_A4)
    figure.text(0.08, 0.93, "Lens candidates", fontsize=24, weight="bold", va="top")
    lines = [line for fact in facts for line in textwrap.wrap(fact, 96)]
    figure.text(0.08, 0.875, "\n".join(lines), fontsize=9, va="top", linespacing=1.6, color="#333333")
    plots = summary_figure(rows)
    top = 0.85 - 0.0165 * len(lines)
    axes = figure.add_axes((0.05, top - 0.24, 0.9, 0.22))
    axes.axis("off")
    axes.imshow(_drawn(plots), aspect="equal", interpolation="antialiased")
    best = [(number, row) for number, row in enumerate(rows, 1) if row.id in views][:_ON_THE_COVER]
    if best and top > 0.6:
        grid = figure.add_gridspec(3, 4, left=0.08, right=0.92, top=top - 0.28, bottom=0.05, hspace=0.2, wspace=0.08)
        for place, (number, row) in enumerate(best):
            _show(figure.add_subplot(grid[place // 4, place % 4]), f"{number}. {row.name}", views[row.id][0][1])
    return figure


def _drawn(figure: Figure) -> Picture:
    """A figure as pixels, fine enough to print."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=250)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _sheet(
    part: Sequence[Candidate],
    start: int,
    total: int,
    together: int,
    views: Mapping[int, Views],
    remarks: Mapping[int, Sequence[str]],
) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_A4)
    figure.text(0.92, 0.025, _told_pages(start, len(part), total), fontsize=8, ha="right", color="#666666")
    if together == 1:
        _alone(figure, part[0], start + 1, views.get(part[0].id, []), remarks.get(part[0].id, ()))
        return figure
    grid = figure.add_gridspec(together, 4, left=0.06, right=0.97, top=0.97, bottom=0.05, wspace=0.06, hspace=0.28,
                               width_ratios=(1, 1, 1, 1.55))  # fmt: skip
    for line, row in enumerate(part):
        pictures = views.get(row.id, [])
        for column, (title, picture) in enumerate(pictures[:3]):
            _show(figure.add_subplot(grid[line, column]), title, picture)
        text = figure.add_subplot(grid[line, 3])
        text.axis("off")
        text.text(0.06, 1.0, f"{start + line + 1}. {row.name}", fontsize=8.5, weight="bold", va="top")
        lines = [line for one in told(row, remarks.get(row.id, ())) for line in textwrap.wrap(one, 44)]
        text.text(0.06, 0.86, "\n".join(lines[:11]), fontsize=7.5, va="top", linespacing=1.35)
    return figure


def _told_pages(start: int, count: int, total: int) -> str:
    return f"{start + 1} of {total}" if count == 1 else f"{start + 1} to {start + count} of {total}"


def _alone(figure: Figure, row: Candidate, number: int, pictures: Views, remarks: Sequence[str]) -> None:
    figure.text(0.08, 0.95, f"{number}. {row.name}", fontsize=16, weight="bold", va="top")
    if pictures:
        _show(figure.add_axes((0.08, 0.42, 0.84, 0.5)), *pictures[0])
    for place, (title, picture) in zip((0.08, 0.52), pictures[1:3], strict=False):
        _show(figure.add_axes((place, 0.19, 0.40, 0.2)), title, picture)
    lines = [line for one in told(row, remarks) for line in textwrap.wrap(one, 100)]
    figure.text(0.08, 0.165, "\n".join(lines[:9]), fontsize=9, va="top", linespacing=1.4)


def _show(axes: Axes, title: str, picture: Picture) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=6.5, color="#666666", pad=2)
    axes.axis("off")


def told(row: Candidate, remarks: Sequence[str]) -> list[str]:
    """What a report says of a candidate, a line each."""
    grade = f"grade {row.grade}" if row.grade else "no grade"
    said = [part for part in (row.subclass, "flagged" if row.flag else "") if part]
    lines = [", ".join([f"{grade} ({row.grader})" if row.grader else grade, *said])]
    if row.score == row.score:
        lines.append(f"score {row.score:.3f} ± {row.spread:.3f}, raw {row.raw_score:.3f}")
    if row.ra is not None and row.dec is not None:
        lines.append(f"RA {row.ra:.6f}°, Dec {row.dec:+.6f}°")
    signal = f", S/N {row.signal_to_noise:.0f}" if row.signal_to_noise == row.signal_to_noise else ""
    lines.append(f"x {row.x:.1f}, y {row.y:.1f} px{signal}")
    if row.einstein_radius is not None:
        lines.append(f"Einstein radius by eye {row.einstein_radius:.2f}″")
    return [*lines, *remarks, *([row.note] if row.note else [])]
