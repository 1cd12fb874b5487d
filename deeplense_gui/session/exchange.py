"""To other programs: through SAMP to TOPCAT, Aladin and others, and to DS9 through XPA."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from deeplense_gui.filters import Filters
from deeplense_gui.jobs import JobHandle
from deeplense_gui.session.core import Choice, Core
from deeplense_gui.session.samp_link import SampLink, closing
from engine.types import Candidate, Mosaic, Step

TABLE, IMAGE, POINT = "table.load.votable", "image.load.fits", "coord.pointAt.sky"
HIGHLIGHT, SELECT = "table.highlight.row", "table.select.rowList"
_REMEMBERED, _CONNECTING = "samp/connect", "Connecting to SAMP"


class ExchangeVerbs(Core):
    """Connect to SAMP, send, show in DS9. Nothing leaves before it is asked for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.samp = SampLink(self)
        self._led = False  # whether another program led the selection: it need not hear of it
        again = Choice("Connect again", self.connect_samp)
        self.samp.lost.connect(lambda text: self.say(f"{text}.", "warning", (again,)))
        self.selected.connect(lambda _: self._share())
        self.project_opened.connect(lambda _: self.samp.forget_sent())

    # connecting ---------------------------------------------------------------------------------------------------

    def connect_samp(self, *, start_hub: bool = False, quietly: bool = False) -> JobHandle | None:
        """Connect to the SAMP hub; where none runs, offer to start one, unless ``quietly``. It is remembered."""
        if self.samp.connected or any(job.kind == _CONNECTING for job in self.jobs.unfinished):
            return None
        self.preferences.set(_REMEMBERED, 1)

        def take(connection: Any) -> None:
            if connection is not None:
                self.samp.use(connection)
                names = ", ".join(client.name for client in self.samp.others)
                self.say(f"Connected to SAMP{f': {names}' if names else '; no other program is there yet'}")
            elif quietly:
                self.say("No SAMP hub runs: start TOPCAT or Aladin, then Interop > Connect to SAMP")
            else:
                ways = (
                    Choice("Try again", self.connect_samp),
                    Choice("Start a hub here", partial(self.connect_samp, start_hub=True)),
                )
                self.say("No SAMP hub runs. Start TOPCAT or Aladin first, which bring one; or start one here, which "
                         "ends with this window.", "warning", ways)  # fmt: skip

        return self._outside(_CONNECTING, lambda: self.samp.opening(start_hub), take)

    def disconnect_samp(self) -> None:
        """Leave the hub, and do not connect again by itself."""
        self.preferences.set(_REMEMBERED, 0)
        connection = self.samp.part()
        if connection is not None:
            self._outside("Leaving SAMP", closing(connection), lambda _: None)
            self.say("Not connected to SAMP any more")

    def toggle_samp(self) -> None:
        """Connect to SAMP, or leave it."""
        if self.samp.connected:
            self.disconnect_samp()
        else:
            self.connect_samp()

    def resume_samp(self) -> None:
        """Connect again, if one was connected when the window was closed, and a hub runs."""
        if int(self.preferences.get(_REMEMBERED, 0)) and not self.samp.connected:
            self.connect_samp(quietly=True)

    # sending ------------------------------------------------------------------------------------------------------

    def send_table(self, to: Any = None, *, filtered: bool = True) -> JobHandle | None:
        """Send the list as a table, as it is filtered and sorted, or all candidates, to one program or to all."""
        project, link = self.project, self.samp
        if project is None or self.blind:
            return None
        ids = self.ids() if filtered else self.listing.query(Filters())
        name, table = project.name, f"deeplense-{uuid.uuid4().hex[:12]}"

        def files(folder: Path) -> Iterator[Step]:
            from engine.catalogue.known import matches
            from engine.exchange.files import write_table

            yield from write_table(project.rows(ids), folder, f"{name}-{table[-6:]}", matches(project, ids))

        def messages(path: Path) -> list[dict[str, str]]:
            link.sent[table], link.urls[table] = ids, path.as_uri()
            return [{"url": path.as_uri(), "table-id": table, "name": f"{name} (DeepLense)"}]

        return self._send(f"{len(ids):,} candidates", TABLE, files, messages, to)

    def send_mosaic(self, to: Any = None) -> JobHandle | None:
        """Send the shown mosaic, a file a band."""
        mosaic = self.mosaic
        if mosaic is None:
            return None
        as_opened = self._as_opened(mosaic)

        def files(folder: Path) -> Iterator[Step]:
            from engine.exchange.files import fits_files

            yield from fits_files(mosaic, folder, as_opened=as_opened)

        def messages(paths: tuple[Path, ...]) -> list[dict[str, str]]:
            return [_image(path, path.name) for path in paths]

        return self._send(mosaic.name, IMAGE, files, messages, to)

    def send_stamp(self, to: Any = None) -> JobHandle | None:
        """Send the stamp of the selected candidate as FITS with its WCS."""
        candidate = self.candidate()
        mosaic = None if candidate is None else self.mosaic_of(candidate)
        if candidate is None or mosaic is None or self.conceals(candidate):
            return None

        def files(folder: Path) -> Iterator[Step]:
            from engine.exchange.files import write_stamp

            yield from write_stamp(candidate, mosaic, folder)

        return self._send(
            f"The stamp of {candidate.name}", IMAGE, files, lambda path: [_image(path, candidate.name)], to
        )

    def point_others(self, to: Any = None) -> None:
        """Point other programs at the selected candidate, and highlight its row where they have the table."""
        candidate, link = self.candidate(), self.samp
        if candidate is None or not link.connected or self.conceals(candidate):
            return
        messages: list[tuple[str, dict[str, str]]] = []
        for table, ids in reversed(link.sent.items()):
            row = np.flatnonzero(ids == candidate.id)
            if len(row):
                messages.append((HIGHLIGHT, {"table-id": table, "url": link.urls[table], "row": str(int(row[0]))}))
                break
        if candidate.ra is not None and candidate.dec is not None:
            messages.append((POINT, {"ra": f"{candidate.ra:.7f}", "dec": f"{candidate.dec:.7f}"}))
        connection, one = link.connection, None if to is None else to.id

        def job() -> Iterator[Step]:
            for number, (kind, parameters) in enumerate(messages):
                if to is None or to.accepts(kind):
                    connection.send(kind, parameters, one)
                yield Step(number + 1, len(messages))

        self._outside("Pointing other programs at a candidate", job, lambda _: None)

    def toggle_sharing(self) -> None:
        """Let other programs follow the selection, or let them be."""
        self.samp.sharing = not self.samp.sharing
        self.samp.changed.emit()
        self._share()

    def _share(self) -> None:
        if self.samp.sharing and self.samp.connected and not self._led:
            self.point_others()

    def _send(
        self, what: str, kind: str, files: Callable[[Path], Iterator[Step]],
        messages: Callable[[Any], list[dict[str, str]]], to: Any,
    ) -> JobHandle | None:  # fmt: skip
        """Write files for others in the worker, send them, and say who took them."""
        link, connection = self.samp, self.samp.connection
        if connection is None:
            return None
        clients = [one for one in (link.others if to is None else (to,)) if one.accepts(kind)]
        if not clients:
            needed = "tables: start TOPCAT" if kind == TABLE else "images: start Aladin or DS9"
            self.say(f"No connected program takes {needed}, and send again.", "warning")
            return None
        folder = link.folder

        def job() -> Iterator[Step]:
            made = None
            for step in files(folder):
                made = step.items[0] if step.items else made
                yield Step(step.done, step.total, note=step.note)
            for parameters in messages(made):
                yield from connection.deliver(kind, parameters, clients)

        handle = self.jobs.submit(f"Sending {what[0].lower()}{what[1:]}", job, kind="send", outside=True)
        deliveries: list[Any] = []
        self._results[handle.id] = deliveries.append
        self._endings[handle.id] = lambda _: self._tell_delivered(what, deliveries)
        return handle

    def _tell_delivered(self, what: str, deliveries: list[Any]) -> None:
        troubles = dict.fromkeys(text for one in deliveries for text in one.troubles)
        taken = dict.fromkeys(name for one in deliveries for name in one.taken)
        if taken:
            self.say(f"{what} sent to {', '.join(taken)}")
        if troubles:
            self.say("; ".join(troubles), "warning")

    def _as_opened(self, mosaic: Mosaic) -> bool:
        """Whether another program that opens the mosaic's files sees what is seen here: no HDU was chosen."""
        options = self._options.get(mosaic.id, {})
        return mosaic.id not in self.sheets and options.get("hdu") is None and options.get("dataset") is None

    # DS9 ----------------------------------------------------------------------------------------------------------

    @cached_property
    def has_ds9(self) -> bool:
        """Whether DS9 and XPA are installed."""
        from engine.exchange.ds9 import is_installed

        return is_installed()

    def show_in_ds9(self) -> JobHandle | None:
        """Open the mosaic of the selected candidate in DS9, there, with the list's candidates as regions."""
        candidate, mosaic = self.candidate(), self.mosaic
        if mosaic is None or self.blind:
            return None
        if candidate is not None and candidate.mosaic != mosaic.id:
            candidate = None
        project, ids = self.project, self.ids()
        folder, as_opened = self.samp.folder, self._as_opened(mosaic)

        def job() -> Iterator[Step]:
            yield Step(0, 0, note="Gathering the list")
            rows = [] if project is None else [row for row in project.rows(ids) if row.mosaic == mosaic.id]
            yield from _in_ds9(mosaic, candidate, rows, folder, as_opened)

        return self.jobs.submit(f"Showing {mosaic.name} in DS9", job, kind="ds9", outside=True)

    def _outside(self, name: str, job: Callable[[], Iterator[Step]], take: Callable[[Any], Any]) -> JobHandle:
        """Ask another program something; the newest of a name wins, and the scan goes on beside it."""
        handle = self.jobs.submit(name, job, priority=True, kind=name, outside=True)
        self._results[handle.id] = take
        return handle


def _in_ds9(
    mosaic: Mosaic, candidate: Candidate | None, rows: list[Candidate], folder: Path, as_opened: bool
) -> Iterator[Step]:
    from engine.exchange import ds9
    from engine.exchange.files import fits_files
    from engine.export import write_catalogue

    files: tuple[Path, ...] = ()
    for step in fits_files(mosaic, folder, as_opened=as_opened):
        files = step.items[0] if step.items else files
        yield Step(step.done, step.total, note=step.note)
    regions = write_catalogue(rows, folder / f"{mosaic.id[:8]}.reg") if rows else None
    radec = (
        None if candidate is None or candidate.ra is None or candidate.dec is None else (candidate.ra, candidate.dec)
    )
    xy = None if candidate is None or radec is not None else (candidate.x, candidate.y)
    yield from ds9.show(files, regions, radec=radec, xy=xy)


def _image(path: Path, name: str) -> dict[str, str]:
    url = path.absolute().as_uri()
    return {"url": url, "image-id": url, "name": name}
