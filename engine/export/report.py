"""A report of candidates as one HTML file: their stamps, scores and grades, to be read in any browser or printed."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from engine.export.atomic import atomic
from engine.images import scaling
from engine.images.cutouts import cut
from engine.models.preprocess import prepare
from engine.types import Candidate, FloatArray, Mosaic

NAME = "report.html"
_PIXELS = 96  # of a stamp
_WIDTH = 16.0  # arcsec across a stamp, where the pixel scale is known
_BATCH = 50
_BRIGHTER = 5.0  # how much the second view lifts the faint

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lens candidates: {{ mosaics[0].name if mosaics else "none" }}</title>
<style>
  :root { color-scheme: light dark; --line: #8886; --faint: #888; }
  body { font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
  p.facts { color: var(--faint); margin: .1rem 0; }
  main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(25rem, 1fr)); margin-top: 1.5rem; }
  article { border: 1px solid var(--line); border-radius: 6px; padding: .7rem; break-inside: avoid; }
  article h2 { font-size: 1rem; margin: 0 0 .4rem; display: flex; justify-content: space-between; gap: .5rem; }
  article h2 span { color: var(--faint); font-weight: normal; }
  .stamps { display: flex; gap: 4px; }
  figure { margin: 0; flex: 1; min-width: 0; }
  figure img { width: 100%; display: block; image-rendering: pixelated; border-radius: 3px; }
  figcaption { color: var(--faint); font-size: .78rem; text-align: center; }
  dl { display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: .1rem .7rem; margin: .5rem 0 0;
       font-size: .88rem; font-variant-numeric: tabular-nums; }
  dt { color: var(--faint); } dd { margin: 0; }
  .note { margin: .4rem 0 0; font-size: .88rem; }
  @media print { body { margin: 0; max-width: none; } main { grid-template-columns: 1fr 1fr; } }
</style>
<h1>Lens candidates</h1>
{%- for mosaic in mosaics %}
<p class="facts">{{ mosaic.name }}: {{ mosaic.shape[1] }} x {{ mosaic.shape[0] }} pixels
{%- if mosaic.pixel_scale %} of {{ "%.3g"|format(mosaic.pixel_scale) }}″{% endif %}, bands {{ mosaic.bands|join(", ") }}
</p>
{%- endfor %}
<p class="facts">{{ rows|length }} candidates, best first
{%- if grades %}; grades: {% for grade, count in grades %}{{ grade }} {{ count }}{{ ", " if not loop.last }}{% endfor %}
{%- endif %}. Scored by {{ models|join(", ") or "no model" }}. Made {{ made }} UTC.</p>
<p class="facts">Residual: the stamp minus its smooth elliptical light, in units of the noise; what is left may be
arcs, companions or spiral arms.</p>
<main>
{%- for row, stamps in rows %}
<article>
<h2>{{ loop.index }}. {{ row.name }} <span>{{ "grade " ~ row.grade if row.grade else "no grade" }}</span></h2>
<div class="stamps">
{%- for title, picture in stamps %}
<figure><img alt="{{ title }}" src="data:image/png;base64,{{ picture }}"><figcaption>{{ title }}</figcaption></figure>
{%- endfor %}
{%- if not stamps %}<p class="facts">The mosaic is not open: no stamp.</p>{% endif %}
</div>
<dl>
<dt>score</dt><dd>{{ "%.3f"|format(row.score) }} ± {{ "%.3f"|format(row.spread) }}</dd>
<dt>raw</dt><dd>{{ "%.3f"|format(row.raw_score) }}</dd>
{%- if row.ra is not none %}
<dt>RA</dt><dd>{{ "%.6f"|format(row.ra) }}°</dd><dt>Dec</dt><dd>{{ "%+.6f"|format(row.dec) }}°</dd>
{%- endif %}
<dt>x, y</dt><dd>{{ "%.1f"|format(row.x) }}, {{ "%.1f"|format(row.y) }} px</dd>
<dt>S/N</dt><dd>{{ "%.0f"|format(row.signal_to_noise) }}</dd>
</dl>
{%- if row.note %}
<p class="note">{{ row.note }}{% if row.grader %} ({{ row.grader }}){% endif %}</p>
{%- endif %}
</article>
{%- endfor %}
</main>
</html>
"""


def write_report(rows: Sequence[Candidate], mosaics: Sequence[Mosaic], folder: Path | str) -> Path:
    """Write ``report.html`` into a folder; stamps are inside the file, so that it can be sent on as it is.

    Parameters
    ----------
    rows : candidates in the order to show them
    mosaics : those whose pixels are there; candidates of others are listed without stamps

    Raises
    ------
    DataError : the folder or disk cannot be written
    """
    path = Path(folder) / NAME
    stamps: dict[int, list[tuple[str, str]]] = {}
    for mosaic in mosaics:
        here = [row for row in rows if row.mosaic == mosaic.id]
        stamps |= dict(zip((row.id for row in here), _stamps(mosaic, here), strict=True))
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    grades = Counter(row.grade for row in rows if row.grade)
    text = template.render(
        rows=[(row, stamps.get(row.id, [])) for row in rows],
        mosaics=mosaics,
        grades=sorted(grades.items()),
        models=sorted({row.model for row in rows}),
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    )
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def _stamps(mosaic: Mosaic, rows: Sequence[Candidate]) -> Iterator[list[tuple[str, str]]]:
    """The views of each candidate: title and PNG in base64."""
    scale = 1.0 if mosaic.pixel_scale is None else max(_WIDTH / _PIXELS, mosaic.pixel_scale / 2)
    across = f"{scale * _PIXELS:.0f}″" if mosaic.pixel_scale is not None else f"{_PIXELS} px"
    for first in range(0, len(rows), _BATCH):
        part = rows[first : first + _BATCH]
        positions = np.array([(row.x, row.y) for row in part], np.float64)
        cutouts = cut(mosaic, positions, size=_PIXELS, pixel_scales=(scale,))
        residual = prepare(cutouts.pixels.mean(2, keepdims=True), ("residual",))[:, 0, 0]
        for pixels, rest in zip(cutouts.pixels[:, 0], residual, strict=True):
            yield [
                (f"{_title(mosaic)}, {across}", _png(_picture(pixels, 1.0))),
                ("brighter", _png(_picture(pixels, _BRIGHTER))),
                ("residual", _png(_grey(rest, (-1.5, 2.5)))),
            ]


def _title(mosaic: Mosaic) -> str:
    return ", ".join(reversed(mosaic.bands[:3])) if len(mosaic.bands) >= 3 else mosaic.bands[0]


def _picture(pixels: FloatArray, lift: float) -> NDArray[np.uint8]:
    """Three bands (blue first, as surveys list them) in colour after Lupton et al. (2004), else the first in grey."""
    if len(pixels) >= 3:
        blue, green, red = pixels[:3]
        noises = [scaling.background(band)[1] for band in (red, green, blue)]
        red_gain, green_gain, blue_gain = (1 / noise if noise > 0 else 1.0 for noise in noises)
        return scaling.lupton_rgb(red, green, blue, alpha=0.08 * lift, weights=(red_gain, green_gain, blue_gain))
    sky, noise = scaling.background(pixels[0])
    if not np.isfinite(sky):
        return _grey(pixels[0], (0.0, 1.0))
    high = max(float(np.nanpercentile(pixels[0], 99.8)), sky + 15 * noise)
    return _grey(pixels[0], (sky - noise, sky + (high - sky) / lift))


def _grey(plane: FloatArray, limits: tuple[float, float]) -> NDArray[np.uint8]:
    return scaling.as_bytes(scaling.stretch(plane, "asinh", limits, softening=0.4, missing=0.25))


def _png(picture: NDArray[Any]) -> str:
    """A picture, its first row at the bottom as on the sky, as PNG in base64."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture[::-1])).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
