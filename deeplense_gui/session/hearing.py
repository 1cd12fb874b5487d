"""From other programs, through SAMP: positions, rows of tables that were sent, images and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deeplense_gui.session.core import Choice
from deeplense_gui.session.exchange import HIGHLIGHT, IMAGE, POINT, SELECT, TABLE, ExchangeVerbs
from engine.types import Mosaic, Step

NEAR = 5.0  # arcsec within which a position that comes in is a candidate's


class HearingVerbs(ExchangeVerbs):
    """Follow other programs: at once where nothing changes but the view, after asking where files are opened."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.samp.heard.connect(self._hear)

    def _hear(self, message: Any) -> None:
        """Do what another program asks: what changes nothing at once, the rest after asking."""
        parameters = message.parameters
        if message.kind == POINT:
            self._go_to_sky(message.sender, parameters)
        elif message.kind in (HIGHLIGHT, SELECT):
            self._select_rows(parameters)
        elif message.kind == IMAGE:
            name = str(parameters.get("name") or parameters.get("image-id") or "an image")
            way = Choice("Open", partial(self._receive, message, name, "", lambda path: self.open_mosaic([path])))
            self.say(f"{message.sender} sends the image {name}.", choices=(way,))
        elif message.kind == TABLE:
            name = str(parameters.get("name") or parameters.get("table-id") or "a table")
            way = Choice("Match as known objects", partial(self._receive, message, name, ".vot", self._match))
            self.say(f"{message.sender} sends the table {name}.", choices=(way,))

    def _match(self, path: Path) -> None:
        if self.project is None:
            self.say("A table is matched with the candidates of a project: open one first.", "warning")
        else:
            self.samp.catalogue.emit(path)

    def _receive(self, message: Any, name: str, suffix: str, take: Callable[[Path], Any]) -> None:
        """Fetch a file that another program named, in the worker."""
        folder, url = self.preferences.project_folder().parent / "received", str(message.parameters.get("url", ""))

        def job() -> Iterator[Step]:
            from engine.exchange.files import received

            yield from received(url, name, folder, suffix=suffix)

        handle = self.jobs.submit(f"Fetching {name}", job, kind="receive", outside=True)
        self._results[handle.id] = take

    def _go_to_sky(self, sender: str, parameters: Mapping[str, Any]) -> None:
        """Go to a position on the mosaic that holds it, and select the candidate there."""
        try:
            ra, dec = float(parameters["ra"]), float(parameters["dec"])
        except (KeyError, TypeError, ValueError):
            return
        if self.blind:
            self.say(f"{sender} points at a position, which blind mode does not tell: switch it off to go there.")
            return
        others = [one for one in self.mosaics.values() if one is not self.mosaic]
        for mosaic in ([self.mosaic] if self.mosaic is not None else []) + others:
            x, y = mosaic.pixel(np.array([[ra, dec]]))[0]
            ny, nx = mosaic.shape
            if -0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5:
                break
        else:
            self.say(f"{sender} points at {ra:.5f} {dec:+.5f}, which is on no open mosaic.")
            return
        self.show_mosaic(mosaic)
        near = self._nearest(mosaic, float(x), float(y))
        if near is not None:
            self._lead(near)
        self.samp.pointed.emit(float(x), float(y))

    def _nearest(self, mosaic: Mosaic, x: float, y: float) -> int | None:
        """The candidate next to a pixel of a mosaic, None where none is near."""
        if self.project is None:
            return None
        found = self.positions(mosaic.id)
        if not len(found.ids):
            return None
        apart = np.hypot(*(found.xy - (x, y)).T)
        first = int(np.argmin(apart))
        return int(found.ids[first]) if apart[first] * (mosaic.pixel_scale or 1.0) <= NEAR else None

    def _select_rows(self, parameters: Mapping[str, Any]) -> None:
        """Select the candidates of rows of a table that we sent."""
        table = str(parameters.get("table-id", ""))
        ids = self.samp.sent.get(table)
        if ids is None:
            urls = {url: identity for identity, url in self.samp.urls.items()}
            ids = self.samp.sent.get(urls.get(str(parameters.get("url", "")), ""))
        rows = parameters.get("row-list", [parameters.get("row", "")])
        wanted = [int(row) for row in rows if str(row).isdigit()]
        if ids is None or self.blind:
            return
        chosen = [int(ids[row]) for row in wanted if row < len(ids)]
        if chosen:
            self._lead(chosen[0], chosen)

    def _lead(self, candidate: int, marked: list[int] | None = None) -> None:
        self._led = True
        try:
            self.select(candidate, marked=marked or ())
        finally:
            self._led = False
