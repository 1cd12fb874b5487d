"""Opening survey images and choosing the one that is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deeplense_gui import work
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Choice, Core
from engine.types import Mosaic

_SEVERAL = re.compile(r"\bone of \d+")  # the note of a file of which one image was picked
_IN_PART = re.compile(r"\bof which it covers\b")  # the note of a band that has no data in a part of the mosaic


class MosaicVerbs(Core):
    """Open mosaics, show one, say how large its pixels are."""

    def open_mosaic(self, paths: Sequence[Path | str], *, known_as: str | None = None, **options: Any) -> JobHandle:
        """Open one or several files as one mosaic, in the worker; ``mosaic_opened`` follows, or a message.

        ``options`` are those of ``engine.images.mosaic.open_mosaic``; ``known_as`` is the id under which the project
        knows a mosaic that was moved.
        """
        files = [Path(path) for path in paths]

        def take(mosaic: Mosaic) -> None:
            self._options[mosaic.id] = options
            self._take_mosaic(mosaic)

        kind = "open" if known_as is None else f"open {known_as}"
        return self._ask(
            f"Opening {files[0].name}", lambda: work.open_mosaic(files, known_as, options), take, kind=kind
        )

    def _take_mosaic(self, mosaic: Mosaic) -> None:
        self.mosaics[mosaic.id] = mosaic
        self.preferences.remember_file(mosaic.paths)
        candidate = self.candidate()
        if self.mosaic is None or candidate is None or candidate.mosaic == mosaic.id or not self._known(mosaic):
            self.show_mosaic(mosaic)
        if self.project is None:
            beside = self._automatic_project(mosaic)
            if beside.exists():
                self.open_project(beside)
        if self._scan_next:
            self._scan_next = False
            self._scan_if_new(mosaic)
        self._tell_notes(mosaic)
        if mosaic.pixel_scale is None:
            self.say(
                f"{mosaic.name} does not say how large its pixels are; stamps are taken pixel by pixel.",
                "warning",
                (Choice("Type the pixel scale…", partial(self._want_scale, mosaic)),),
            )

    def _tell_notes(self, mosaic: Mosaic) -> None:
        """Say what was noticed when a mosaic was opened; what one has to know of its pixels stays on the screen."""
        brief = []
        for note in mosaic.notes:
            if _SEVERAL.search(note) and not self._known(mosaic):
                way = Choice("Choose another image…", partial(self._want_image, mosaic))
                self._say_of(mosaic, f"{mosaic.name}: {note}", "info", (way,))
            elif _IN_PART.search(note):
                self._say_of(mosaic, note, "warning")
            else:
                brief.append(note)
        if brief:
            self.say(" · ".join(brief))

    def _say_of(self, mosaic: Mosaic, text: str, level: str, choices: Sequence[Choice] = ()) -> None:
        """Say something that matters as long as this mosaic is shown."""
        self._said_of.setdefault(mosaic.id, []).append(text)
        self.say(text, level, choices)

    def _want_image(self, mosaic: Mosaic) -> None:
        """Let the user choose another image of the file of a mosaic."""
        if self.mosaics.get(mosaic.id) is mosaic:
            self.show_mosaic(mosaic)
            self.image_wanted.emit()

    def _want_scale(self, mosaic: Mosaic) -> None:
        """Let the user type the pixel scale of a mosaic: of this one, whichever is shown by then."""
        if self.mosaics.get(mosaic.id) is mosaic:
            self.show_mosaic(mosaic)
            self.scale_wanted.emit()

    def _known(self, mosaic: Mosaic) -> bool:
        return self.project is not None and any(entry.id == mosaic.id for entry in self.project.mosaics())

    def list_images(self, path: Path, take: Callable[[list[Any]], None]) -> JobHandle:
        """List the images of a file in the worker, and hand the list to ``take``."""
        return self._ask(f"Reading {path.name}", lambda: work.list_images(path), take, kind="list")

    def read_thumbnails(self, path: Path, keys: Sequence[int | str], take: Callable[[Any], None]) -> JobHandle:
        """Read small pictures of the images of a file in the worker; ``take`` gets each with its key."""
        return self._ask(f"Looking at {path.name}", lambda: work.thumbnails(path, keys), take, kind="thumbnails")

    def open_demo(self) -> JobHandle:
        """Make the demo field (or take it from the cache), open it, and scan it."""
        handle = self.jobs.submit("Preparing the demo field", work.demo, kind="demo")
        self._endings[handle.id] = self._take_demo
        return handle

    def _take_demo(self, paths: Sequence[Path]) -> None:
        self._scan_next = True
        self.open_mosaic(paths)

    def show_mosaic(self, mosaic: Mosaic | None) -> None:
        """Make a mosaic the one shown."""
        if mosaic is self.mosaic:
            return
        for text in () if self.mosaic is None else self._said_of.pop(self.mosaic.id, ()):
            self.settled.emit(text)
        self.mosaic = mosaic
        self.mosaic_opened.emit(mosaic)

    def set_pixel_scale(self, arcsec: float) -> None:
        """Open the shown mosaic again with a pixel scale the user typed."""
        if self.mosaic is None:
            return
        sheet = self.sheets.get(self.mosaic.id)
        if sheet is None:
            self._open_again(self.mosaic, pixel_scale=arcsec)
        else:
            self.open_stamps(self.mosaic.paths, known_as=self.mosaic.id, layout=sheet.layout, pixel_scale=arcsec)

    def set_band_names(self, names: Sequence[str]) -> None:
        """Open the shown mosaic again with names of its bands that the user typed."""
        if self.mosaic is not None and self.mosaic.id not in self.sheets:  # stamps are each of their own bands
            self._open_again(self.mosaic, bands=list(names))

    def _open_again(self, mosaic: Mosaic, **changed: Any) -> None:
        """Open a mosaic as it was opened, with the image of its file that was chosen, but for what has changed."""
        options = {**self._options.get(mosaic.id, {}), **changed}
        self.open_mosaic(mosaic.paths, known_as=mosaic.id, **options)
