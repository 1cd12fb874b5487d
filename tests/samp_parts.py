"""A SAMP hub and another program at it, both real, on this machine alone and out of the way of the user's own."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from pyvo import samp

from engine.exchange.samp import IMAGE, POINT, RECEIVED


class Program:
    """Another SAMP client, such as TOPCAT: what it was sent is in ``received`` as (kind, parameters)."""

    def __init__(self, name: str, takes: tuple[str, ...] = RECEIVED) -> None:
        self.received: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.client = samp.SAMPIntegratedClient(name=name, addr="127.0.0.1")
        self.client.connect()
        for kind in takes:
            self.client.bind_receive_message(kind, self._take)

    def _take(self, _key, _sender, message, kind, parameters, _extra) -> None:
        self.received.put((kind, parameters))
        if message is not None:
            self.client.ereply(message, samp.SAMP_STATUS_OK, result={})

    def next(self) -> tuple[str, dict[str, Any]]:
        return self.received.get(timeout=60)

    def tell(self, kind: str, **parameters: str) -> None:
        self.client.enotify_all(kind, **parameters)

    def close(self) -> None:
        with suppress(OSError, HTTPException, samp.SAMPProxyError):  # a hub that ends hears no goodbye
            self.client.disconnect()


def own_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let SAMP look for its hub in a folder of its own."""
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(folder / 'samp-hub').as_uri()}")


@contextmanager
def running_hub() -> Iterator[samp.SAMPHubServer]:
    hub = samp.SAMPHubServer(addr="127.0.0.1", web_profile=False)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


@contextmanager
def program(name: str, takes: tuple[str, ...] = RECEIVED) -> Iterator[Program]:
    made = Program(name, takes)
    try:
        yield made
    finally:
        made.close()


VIEWER = (IMAGE, POINT)  # what an image viewer takes
