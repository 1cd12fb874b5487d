"""A small server on this machine that plays the services: catalogues, pictures, and all that can go wrong."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.io.votable.tree import Resource, TableElement, VOTableFile
from astropy.table import Table
from PIL import Image

from engine.exchange import services
from engine.exchange.services import CATALOGUES, IMAGES

Reply = tuple[int, str, bytes]
VOTABLE = "application/x-votable+xml"
HTML = (200, "text/html", b"<html><body>The service is down for maintenance</body></html>")
BROKEN = (500, "text/plain", b"internal error")


class Server:
    """Answers by path: ``replies`` holds what to send, or a function of the query's parameters that makes it.

    What is not there hangs until the server ends. ``asked`` has (path, parameters) of each request, ``agents`` who
    said to ask.
    """

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[dict[str, str]], Reply]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.agents: list[str] = []
        self._ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, text: str) -> None:
                path = urlsplit(self.path).path
                parameters = {name: values[0] for name, values in parse_qs(text).items()}
                server.asked.append((path, parameters))
                server.agents.append(self.headers["User-Agent"])
                reply = server.replies.get(path)
                if reply is None:
                    server._ended.wait(30)
                    return
                status, kind, body = reply(parameters) if callable(reply) else reply
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *_: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this server stand where the services are."""
        catalogues = [replace(one, address=f"{self.address}/{one.name}") for one in CATALOGUES]
        monkeypatch.setattr(services, "CATALOGUES", tuple(catalogues))
        images = [replace(one, address=one.address.replace("https://", f"{self.address}/")) for one in IMAGES]
        monkeypatch.setattr(services, "IMAGES", tuple(images))


@contextmanager
def running_server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


def votable(*tables: Table, names: tuple[str, ...] = ("",), descriptions: tuple[str, ...] = ("",)) -> Reply:
    """A VOTable, each table in a resource of its own."""
    document = VOTableFile()
    for table, name, description in zip(tables, names, descriptions, strict=True):
        resource = Resource(ID=name.replace("/", "_") or None, type="results")
        resource.description = description or None
        element = TableElement.from_table(document, table)
        for field in element.fields:
            field.ucd = table[field.name].meta.get("ucd")
        resource.tables.append(element)
        document.resources.append(resource)
    out = io.BytesIO()
    document.to_xml(out)
    text = out.getvalue().decode()
    for name in filter(None, names):  # astropy reads the names of resources and does not write them
        text = text.replace(f'<RESOURCE ID="{name.replace("/", "_")}"', f'<RESOURCE name="{name}"')
    return 200, VOTABLE, text.encode()


def simbad(ra: float, dec: float) -> Reply:
    table = Table(
        [["SL2S J1422", "star"], [ra, ra], [dec + 0.3 / 3600, dec + 4 / 3600], ["gLS", "*"], [0.55, np.nan], [12, 1]],
        names=("main_id", "ra", "dec", "otype", "rvz_redshift", "nbref"),
    )
    return votable(table)


def ned(ra: float, dec: float) -> Reply:
    table = Table(
        [["WISEA J1422"], [ra], [dec + 1 / 3600], ["G"], [0.553], [7]],
        names=("prefname", "ra", "dec", "pretype", "z", "n_crosref"),
    )
    return votable(table)


def vizier(ra: float, dec: float) -> Reply:
    table = Table([["DESI-215.5"], [ra + 0.5 / 3600], [dec], ["A"]], names=("Name", "_RAJ2000", "_DEJ2000", "Grade"))
    table["Name"].meta["ucd"] = "meta.id;meta.main"
    return votable(table, names=("J/ApJ/909/27",), descriptions=("Strong lens candidates (Huang+, 2021)",))


def jpeg(parameters: dict[str, str]) -> Reply:
    """A picture of the size asked for: brighter to the top, redder to the left (the east)."""
    side = int(parameters.get("size") or parameters["width"])
    up, left = np.linspace(250, 20, side), np.linspace(250, 20, side)
    pixels = np.stack([np.tile(left, (side, 1)), np.tile(up[:, None], (1, side)), np.full((side, side), 30)], axis=-1)
    return picture(pixels.astype(np.uint8))


def picture(pixels: np.ndarray) -> Reply:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "jpeg", quality=95)
    return 200, "image/jpeg", out.getvalue()


LEGACY = "/www.legacysurvey.org/viewer/cutout.jpg"


def all_well(server: Server, ra: float, dec: float) -> None:
    server.replies |= {
        "/SIMBAD/sync": simbad(ra, dec), "/NED/sync": ned(ra, dec), "/VizieR": vizier(ra, dec), LEGACY: jpeg,
    }  # fmt: skip
