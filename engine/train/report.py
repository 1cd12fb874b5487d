"""One page of an evaluation or a comparison, as HTML in one file and as PDF, from the same figures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.backends.backend_svg  # noqa: F401  # found by name alone otherwise, which a frozen program cannot
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from engine.export.atomic import atomic
from engine.train.evaluation import Evaluation
from engine.train.figures import Panel
from engine.train.figures.style import INK, figure_style
from engine.train.paper import Page, pages

HTML, PDF = "report.html", "report.pdf"

_HTML = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page.title }}</title>
<style>
  :root { color-scheme: light dark; --ink: #24292f; --paper: #fff; --faint: #656d76; --line: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6edf3; --paper: #14181d; --faint: #8d96a0; --line: #363d46; } }
  body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--paper);
         margin: 2rem auto 4rem; max-width: 76rem; padding: 0 1.2rem; }
  h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
  h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
  p { margin: .25rem 0; max-width: 60rem; }
  p.faint, figcaption, .note { color: var(--faint); font-size: .85rem; }
  .note { max-width: 34rem; }
  .tables { display: flex; flex-wrap: wrap; gap: 0 3.5rem; }
  .tables section, .scroll { max-width: 100%; overflow-x: auto; }
  table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
  th, td { border-bottom: 1px solid var(--line); padding: .28rem 1.1rem .28rem 0; text-align: left;
           vertical-align: top; }
  th { color: var(--faint); font-weight: 600; }
  td small { display: block; color: var(--faint); white-space: nowrap; }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(25rem, 100%), 1fr)); gap: 1.6rem 2rem;
         margin-top: 2rem; }
  figure { margin: 0; min-width: 0; break-inside: avoid; }
  figure.wide { grid-column: 1 / -1; }
  figure h2 { margin: 0 0 .3rem; }
  figure svg { width: 100%; height: auto; display: block; color: var(--ink); }
  details { margin-top: 2rem; } summary { cursor: pointer; font-weight: 600; }
  @media print {
    :root { --ink: #000; --paper: #fff; --faint: #444; --line: #bbb; }
    body { margin: 0; max-width: none; font-size: 11px; } main { grid-template-columns: 1fr 1fr; gap: 1rem; } }
</style>
{% macro draw(table) %}
<div class="scroll"><table>
<thead><tr>{% for cell in table.header %}<th>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in table.rows %}
<tr>{% for cell in row %}<td>{% for line in cell.split("\\n") %}
{%- if loop.first %}{{ line }}{% else %}<small>{{ line }}</small>{% endif %}{% endfor %}</td>{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{% if table.note %}<p class="note">{{ table.note }}</p>{% endif %}
{% endmacro %}
<h1>{{ page.title }}</h1>
{% for sentence in page.lead %}<p>{{ sentence }}</p>
{% endfor %}
<p class="faint">Made {{ made }} UTC.</p>
<div class="tables">
{% for table in page.tables %}
<section>
<h2>{{ table.title }}</h2>
{{ draw(table) }}
</section>
{% endfor %}
</div>
<main>
{%- for panel, picture in pictures %}
<figure{% if panel.wide %} class="wide"{% endif %}>
<h2>{{ panel.title }}</h2>
{{ picture }}
<figcaption>{{ panel.caption }}</figcaption>
</figure>
{%- endfor %}
</main>
{% for table in page.appendix %}
<details><summary>{{ table.title }}</summary>
{{ draw(table) }}
</details>
{% endfor %}
</html>
"""


def write_page(page: Page, folder: Path) -> Iterator[str]:
    """Write report.html and report.pdf into a folder; yields the title of each figure before it is drawn.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    pictures: list[tuple[Panel, Markup]] = []
    for panel in page.panels:
        yield panel.title
        pictures.append((panel, _svg(panel, page.runs)))
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_HTML)
    text = template.render(page=page, pictures=pictures, made=f"{datetime.now(UTC):%Y-%m-%d %H:%M}")
    with atomic(folder / HTML) as partial:
        partial.write_text(text, encoding="utf-8")
    yield "PDF"
    with atomic(folder / PDF) as partial, PdfPages(partial, metadata={"Title": page.title}) as file:
        for figure in pages(page):
            with figure_style():
                file.savefig(figure, facecolor="white", dpi=200)
            yield "PDF"


def _svg(panel: Panel, runs: Sequence[Evaluation]) -> Markup:
    """A figure as inline SVG whose text and axes take the colour of the page."""
    buffer = io.StringIO()
    with figure_style():
        figure = Figure(figsize=panel.size)
        panel.draw(figure, runs)
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{Markup.escape(panel.title)}"', 1))
