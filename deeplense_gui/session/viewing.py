"""Finding a place on the mosaic by what was typed, what is drawn over it, and saving what is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from deeplense_gui import work
from deeplense_gui.filters import Filters
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Core
from engine.errors import DataError, EngineError

_UNITS = 1000  # of a scan's progress, a tile


class Found(NamedTuple):
    """A place on the shown mosaic, in pixels, and the candidate that was asked for, None for a bare position."""

    x: float
    y: float
    candidate: int | None = None


class ViewVerbs(Core):
    """Go somewhere, load what is drawn over the mosaic, write the view to a file."""

    def find_place(self, text: str) -> Found:
        """Where a typed position is, or a candidate: by its name, a part of it, or ``#`` and its place in the list.

        Raises
        ------
        DataError : there is no such candidate, the text is no position, or the mosaic does not reach there
        """
        mosaic = self.mosaic
        if mosaic is None:
            raise DataError("No mosaic is open: open one first")
        candidate = self._named(text.strip())
        if candidate is not None:
            row = self.listing.rows([candidate])[0]
            if row.mosaic != mosaic.id and row.mosaic not in self.mosaics:
                raise DataError(f"{row.name} is on a mosaic that is not open: locate its file first")
            return Found(row.x, row.y, candidate)
        x, y = work.pixel_position(mosaic, text)
        ny, nx = mosaic.shape
        if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
            where = f"pixel {x:.0f}, {y:.0f}" if x == x else "nowhere"
            raise DataError(f"“{text.strip()}” is not on {mosaic.name} ({where} of {nx:,} × {ny:,})")
        return Found(x, y)

    def _named(self, text: str) -> int | None:
        """The candidate of a place in the list (``#12``), or the first whose name is or holds a text.

        Blind mode conceals names: then it is by their place alone that they are found.
        """
        if text.startswith("#"):
            ids = self.listing.ids()
            place = text[1:].strip()
            if not place.isdigit() or not 1 <= int(place) <= len(ids):
                raise DataError(f"There is no candidate {text}: the list has places #1 to #{len(ids):,}")
            return int(ids[int(place) - 1])
        if len(text) < 3 or self.blind:
            return None
        rows = self.listing.rows(self.listing.query(Filters(text=text))[:50])
        named = [row.id for row in rows if text.casefold() in row.name.casefold()]
        exact = [row.id for row in rows if row.name.casefold() == text.casefold()]
        return next(iter([*exact, *named]), None)

    def names_like(self, text: str, most: int = 12) -> list[str]:
        """Names of candidates that hold a text, the best first; none in blind mode."""
        if len(text.strip()) < 2 or self.blind:
            return []
        rows = self.listing.rows(self.listing.query(Filters(text=text.strip()))[: 4 * most])
        return [row.name for row in rows if text.strip().casefold() in row.name.casefold()][:most]

    def read_regions(self, path: Path, take: Callable[[Any], None]) -> JobHandle | None:
        """Read a region file for the shown mosaic in the worker, and hand its RegionFile to ``take``."""
        mosaic = self.mosaic
        if mosaic is None:
            return None
        return self._ask(f"Reading {path.name}", lambda: work.regions(path, mosaic), take, kind=f"regions {path}")

    def read_known(self, path: Path, take: Callable[[Any], None]) -> JobHandle | None:
        """Read a catalogue of known objects in the worker; ``take`` gets their pixels (n, 2) and names."""
        mosaic = self.mosaic
        if mosaic is None:
            return None
        return self._ask(f"Reading {path.name}", lambda: work.known_objects(path, mosaic), take, kind="known objects")

    def covered_tiles(self) -> list[tuple[int, int, int, int]]:
        """The tiles (y0, y1, x0, x1) of the shown mosaic that a scan has been through; all after a whole scan."""
        mosaic = self.mosaic
        if mosaic is None or self.project is None:
            return []
        tiles = work.scan_tiles(mosaic)
        if any(run.mosaic == mosaic.id and run.state == "done" for run in self.project.runs()):
            return tiles
        if self.scan_job is not None and self.scan_job.name.endswith(mosaic.name):
            return tiles[: self.scan_job.step.done // _UNITS]
        return []

    def save_cutout(self, path: Path, edges: tuple[float, float, float, float]) -> JobHandle | None:
        """Write what is in view (edges x0, x1, y0, y1 in pixels) as a FITS file of all bands, in the worker."""
        mosaic = self.mosaic
        if mosaic is None:
            return None
        handle = self.jobs.submit(
            f"Writing {path.name}", lambda: work.write_cutout(mosaic, edges, path), kind="cut-out"
        )
        self._endings[handle.id] = lambda _: self.say(f"Cut-out written to {path}")
        return handle

    def describe_picture(
        self, path: Path, centre: tuple[float, float], zoom: float, size: tuple[int, int]
    ) -> Path | None:
        """Write beside a picture of the mosaic where it lies on the sky; None, and a message, where that fails."""
        mosaic = self.mosaic
        if mosaic is None or mosaic.wcs is None:
            return None
        try:
            return work.write_picture_header(mosaic, centre, zoom, size, path)
        except EngineError as error:
            self.say(str(error), "warning")
            return None
