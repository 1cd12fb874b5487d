"""One picture of all images in a folder, as the program sees them: ``make_contact_sheet.py FOLDER [OUT.png]``.

For looking at what a new camera, survey or instrument pipeline writes. Each cell shows an image the right way up (rows
count upwards), files of several bands in colour, pixels that a band lacks in red, where north and east are, and what
was read from the header. Files that cannot be opened say why. Nothing is drawn by hand.
"""

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
import numpy as np

from engine.errors import EngineError
from engine.images.bands import file_band
from engine.images.mosaic import open_mosaic
from engine.images.pyramid import block_mean
from engine.images.scaling import background, lupton_rgb, stretch
from engine.images.wavelengths import wavelength
from engine.types import Mosaic

mpl.use("Agg")
from matplotlib import pyplot as plt

SIDE = 320  # pixels of a cell, about
DOTS = 100  # an inch
QUALITY = 55  # of WebP
NO_DATA = (0.55, 0.08, 0.08)
IGNORED = {".md", ".txt", ".deeplense", ".lock"}  # a project may lie beside its mosaic
PACKED = {".gz", ".bz2", ".xz", ".fz"}


def fields(folder: Path) -> Iterator[list[Path]]:
    """The images below a folder; files that differ by the name of a band alone go together."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in IGNORED)

    def field(path: Path) -> tuple[Path, str]:
        band, name = file_band(path), path.name
        while Path(name).suffix in PACKED:
            name = Path(name).stem
        stem = Path(name).stem
        return path.parent, stem.removesuffix(band) if band else path.name

    for _, group in groupby(paths, key=field):
        yield list(group)


def opened(paths: Sequence[Path]) -> list[tuple[str, Mosaic | str]]:
    """A mosaic of several files, or of each if they do not go together; or why there is none."""
    try:
        mosaic = open_mosaic(paths)
        return [(mosaic.name, mosaic)]
    except EngineError as error:
        if len(paths) > 1:
            return [found for path in paths for found in opened([path])]
        return [(paths[0].name, str(error))]


def pixels_of(mosaic: Mosaic) -> tuple[np.ndarray, int]:
    """All bands (band, y, x), averaged so that they fit a cell, and over how many pixels."""
    ny, nx = mosaic.shape
    factor = max(1, round(max(ny, nx) / SIDE))
    return np.stack([block_mean(band, factor) for band in mosaic.read(0, ny, 0, nx)]), factor


def picture(values: np.ndarray) -> np.ndarray:
    """Colours (y, x, 3) of bands (band, y, x) in the order of their wavelengths."""
    if len(values) >= 3:
        colour = lupton_rgb(values[-1], values[len(values) // 2], values[0]) / 255
    else:
        centre, sigma = background(values[0])
        high = np.nanpercentile(values[0], 99.7)
        low = centre - 2 * sigma if sigma > 0 and centre - 2 * sigma < high else np.nanmin(values[0])
        grey = stretch(values[0], "asinh", (float(low), float(high if high > low else low + 1)))
        colour = np.repeat(grey[..., None], 3, axis=2)
    colour[np.isnan(values).any(axis=0)] = NO_DATA
    return colour


def by_wavelength(bands: Sequence[str]) -> list[int]:
    """Indices of bands from blue to red; as they are where a name does not tell."""
    lengths = [wavelength(band) for band in bands]
    return list(range(len(bands))) if None in lengths else sorted(range(len(bands)), key=lambda k: lengths[k])


def caption(name: str, mosaic: Mosaic, values: np.ndarray) -> str:
    ny, nx = mosaic.shape
    scale = "no pixel scale" if mosaic.pixel_scale is None else f'{mosaic.pixel_scale:.4g}"/px'
    low, middle, high = np.nanpercentile(values, [0.5, 50, 99.5])
    lines = [
        name if not mosaic.extension else f"{name} [{mosaic.extension}]",
        f"{nx} x {ny}, {','.join(mosaic.bands)}, {scale}",
        f"{low:.3g} .. {middle:.3g} .. {high:.3g}, no data {np.isnan(values).mean():.1%}",
    ]
    if mosaic.wcs is not None:
        ra, dec = mosaic.world(np.array([[(nx - 1) / 2, (ny - 1) / 2]]))[0]
        lines.append(f"centre {ra:.5f} {dec:+.5f}, {mosaic.wcs.wcs.ctype[0][-3:]}")
    return "\n".join(textwrap.shorten(line, 52) for line in lines)


def draw_arrows(axes: plt.Axes, mosaic: Mosaic, factor: int) -> None:
    """North and east at the centre, from the WCS."""
    ny, nx = mosaic.shape
    centre = np.array([(nx - 1) / 2, (ny - 1) / 2])
    ra, dec = mosaic.world(centre[None])[0]
    step = max(nx, ny) / 50 * (mosaic.pixel_scale or 1) / 3600
    up = -step if dec + step > 90 else step
    aside = step / max(np.cos(np.radians(dec)), 1e-6)
    north, east = mosaic.pixel(np.array([[ra, dec + up], [(ra + aside) % 360, dec]])) - centre
    for vector, letter in ((north * np.sign(up), "N"), (east, "E")):
        length = np.hypot(*vector)
        if not np.isfinite(length) or length == 0:
            continue
        reach = vector / length * max(ny, nx) / factor * 0.16
        start = np.array([nx, ny]) / factor * 0.5
        axes.annotate(
            "", start + reach, start, arrowprops={"arrowstyle": "->", "color": "gold", "lw": 1.2}, annotation_clip=True
        )
        axes.text(*(start + reach * 1.25), letter, color="gold", size=8, ha="center", va="center", clip_on=True)


def draw(axes: plt.Axes, name: str, found: Mosaic | str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if isinstance(found, str):
        axes.set_facecolor("#eeeeee")
        axes.text(0.5, 0.5, textwrap.fill(found, 34), size=7, ha="center", va="center", transform=axes.transAxes)
        axes.set_title(textwrap.shorten(name, 46), size=7, loc="left", color="firebrick")
        return
    values, factor = pixels_of(found)
    axes.imshow(picture(values[by_wavelength(found.bands)]), origin="lower", interpolation="nearest")
    if found.wcs is not None:
        draw_arrows(axes, found, factor)
    axes.set_title(caption(name, found, values), size=6.5, loc="left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("contact_sheet.png"))
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--images", action="store_true", help="leave out what cannot be opened")
    options = parser.parse_args()
    cells = [cell for paths in fields(options.folder) for cell in opened(paths)]
    refused = [cell for cell in cells if isinstance(cell[1], str)]
    if options.images:
        cells = [cell for cell in cells if cell not in refused]
    if not cells:
        raise SystemExit(f"{options.folder} holds no files: name the folder of the images")
    rows = -(-len(cells) // options.columns)
    figure, grid = plt.subplots(
        rows, options.columns, figsize=(options.columns * 2.7, rows * 3.25), squeeze=False, layout="constrained"
    )
    for axes, cell in zip(grid.ravel(), cells, strict=False):
        draw(axes, *cell)
    for axes in grid.ravel()[len(cells) :]:
        axes.set_axis_off()
    packed = {"pil_kwargs": {"quality": QUALITY}} if options.out.suffix == ".webp" else {}
    figure.savefig(options.out, dpi=DOTS, **packed)
    seen = sum(not isinstance(found, str) for _, found in cells)
    print(f"{options.out}: {seen} images, {len(refused)} files that hold none")


if __name__ == "__main__":
    main()
