"""A report of candidates: their stamps, scores and grades, as one HTML file for any browser or as PDF to print."""

from __future__ import annotations

import base64
import io
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from PIL import Image

from engine.errors import DataError
from engine.export.atomic import atomic
from engine.export.pdf import write_pdf
from engine.export.summary import summary_figure
from engine.export.views import Picture, Views, all_views
from engine.types import Candidate, Mosaic, Step

NAME = "report.html"
SUFFIXES = (".html", ".pdf")

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lens candidates: {{ title }}</title>
<style>
  :root { color-scheme: light dark; --line: #8886; --faint: #888; }
  body { font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
  p.facts { color: var(--faint); margin: .1rem 0; }
  main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(25rem, 1fr)); margin-top: 1.5rem; }
  article { border: 1px solid var(--line); border-radius: 6px; padding: .7rem; break-inside: avoid; }
  article h2 { font-size: 1rem; margin: 0 0 .4rem; display: flex; flex-wrap: wrap;
               justify-content: space-between; gap: 0 .5rem; }
  article h2 span { color: var(--faint); font-weight: normal; }
  .stamps { display: flex; gap: 4px; }
  figure { margin: 0; flex: 1; min-width: 0; }
  figure img { width: 100%; display: block; image-rendering: pixelated; border-radius: 3px; }
  figcaption { color: var(--faint); font-size: .78rem; text-align: center; }
  dl { display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: .1rem .7rem; margin: .5rem 0 0;
       font-size: .88rem; font-variant-numeric: tabular-nums; }
  dt { color: var(--faint); } dd { margin: 0; }
  .plots { margin: 1rem 0 0; background: #fff; border-radius: 6px; padding: .5rem; max-width: 56rem; }
  .plots img { image-rendering: auto; }
  .note { margin: .4rem 0 0; font-size: .88rem; }
  @media print { body { margin: 0; max-width: none; } main { grid-template-columns: 1fr 1fr; } }
</style>
<h1>Lens candidates</h1>
{%- for fact in facts %}
<p class="facts">{{ fact }}</p>
{%- endfor %}
{%- if plots %}
<figure class="plots"><img alt="Grades, scores and positions" src="data:image/svg+xml;base64,{{ plots }}"></figure>
{%- endif %}
<main>
{%- for row, stamps, more in rows %}
<article>
<h2>{{ loop.index }}. {{ row.name }}
<span>{{ "grade " ~ row.grade ~ (", " ~ row.grader if row.grader else "") if row.grade else "no grade" }}</span></h2>
<div class="stamps">
{%- for title, picture in stamps %}
<figure><img alt="{{ title }}" src="data:image/png;base64,{{ picture }}"><figcaption>{{ title }}</figcaption></figure>
{%- endfor %}
{%- if not stamps %}<p class="facts">The mosaic is not open: no stamp.</p>{% endif %}
</div>
<dl>
{%- if row.score == row.score %}
<dt>score</dt><dd>{{ "%.3f"|format(row.score) }} ± {{ "%.3f"|format(row.spread) }}</dd>
<dt>raw</dt><dd>{{ "%.3f"|format(row.raw_score) }}</dd>
{%- endif %}
{%- if row.ra is not none %}
<dt>RA</dt><dd>{{ "%.6f"|format(row.ra) }}°</dd><dt>Dec</dt><dd>{{ "%+.6f"|format(row.dec) }}°</dd>
{%- endif %}
<dt>x, y</dt><dd>{{ "%.1f"|format(row.x) }}, {{ "%.1f"|format(row.y) }} px</dd>
{%- if row.signal_to_noise == row.signal_to_noise %}
<dt>S/N</dt><dd>{{ "%.0f"|format(row.signal_to_noise) }}</dd>
{%- endif %}
</dl>
{%- if row.subclass or row.einstein_radius is not none or row.flag %}
<p class="note">{{ row.subclass }}{% if row.einstein_radius is not none %} θ<sub>E</sub> by eye
{{ "%.2f"|format(row.einstein_radius) }}″{% endif %}{% if row.flag %} ⚑ flagged{% endif %}</p>
{%- endif %}
{%- for line in more %}
<p class="note">{{ line }}</p>
{%- endfor %}
{%- if row.note %}
<p class="note">{{ row.note }}</p>
{%- endif %}
</article>
{%- endfor %}
</main>
</html>
"""


def write_report(rows: Sequence[Candidate], mosaics: Sequence[Mosaic], folder: Path | str) -> Path:
    """Write ``report.html`` into a folder at once; see ``report_job``."""
    path = Path(folder) / NAME
    deque(report_job(rows, mosaics, path), maxlen=0)
    return path


def report_job(
    rows: Sequence[Candidate],
    mosaics: Sequence[Mosaic],
    path: Path | str,
    *,
    remarks: Mapping[int, Sequence[str]] | None = None,
    one_a_page: bool = False,
) -> Iterator[Step]:
    """Write a report; its ending says whether as HTML, with all stamps inside, or as PDF. It appears when it is whole.

    Parameters
    ----------
    rows : candidates in the order to show them
    mosaics : those whose pixels are there; candidates of others are listed without stamps
    remarks : what else to say of candidates, by id; see ``views.remarks``
    one_a_page : in a PDF, a page for each candidate rather than for six

    Raises
    ------
    DataError : another ending, or a folder or disk that cannot be written
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: a report ends in {' or '.join(SUFFIXES)}: choose such a name")
    total = 2 * len(rows) or 1
    found: dict[int, Views] = {}
    for done, _ in all_views(rows, mosaics, found):
        yield Step(done, total, note=f"{done} stamps cut")
    more = remarks or {}
    with atomic(path) as partial:
        if path.suffix.lower() == ".pdf":
            for done in write_pdf(partial, rows, found, more, _facts(rows, mosaics), one_a_page=one_a_page):
                yield Step(len(rows) + done, total, note=f"{done} candidates on paper")
        else:
            partial.write_text(_page(rows, mosaics, found, more), encoding="utf-8")
    yield Step(total, total, (path,), f"{len(rows):,} candidates in {path.name}")


def _page(
    rows: Sequence[Candidate],
    mosaics: Sequence[Mosaic],
    found: Mapping[int, Views],
    remarks: Mapping[int, Sequence[str]],
) -> str:
    plots = io.BytesIO()
    summary_figure(rows, 9.0).savefig(plots, format="svg")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    return template.render(
        rows=[
            (row, [(title, _png(picture)) for title, picture in found.get(row.id, [])], remarks.get(row.id, ()))
            for row in rows
        ],
        title=mosaics[0].name if mosaics else "none",
        facts=_facts(rows, mosaics),
        plots=base64.b64encode(plots.getvalue()).decode("ascii") if rows else "",
    )


def _facts(rows: Sequence[Candidate], mosaics: Sequence[Mosaic]) -> list[str]:
    """The lines of the cover."""
    lines = []
    for mosaic in mosaics:
        scale = f" of {mosaic.pixel_scale:.3g}″" if mosaic.pixel_scale else ""
        size = f"{mosaic.shape[1]} x {mosaic.shape[0]} pixels{scale}"
        bands = "band" if len(mosaic.bands) == 1 else "bands"
        lines.append(f"{mosaic.name}: {size}, {bands} {', '.join(mosaic.bands)}")
    grades = sorted(Counter(row.grade for row in rows if row.grade).items())
    graders = sorted({row.grader for row in rows if row.grader})
    counted = "; newest grades: " + ", ".join(f"{grade} {count}" for grade, count in grades) if grades else ""
    by = f", by {', '.join(graders)}" if graders else ""
    models = ", ".join(sorted({row.model for row in rows if row.model})) or "no model"
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    lines.append(f"{len(rows):,} candidates{counted}{by}. Scored by {models}. Made {made} UTC.")
    lines.append(
        "Residual: the stamp minus its smooth elliptical light, in units of the noise; what is left may be arcs, "
        "companions or spiral arms."
    )
    return lines


def _png(picture: Picture) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
