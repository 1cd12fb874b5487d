"""SAMP: tables, images and positions to and from TOPCAT, Aladin, DS9 and others, through a hub on this machine."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error as RpcError

from pyvo import samp

from engine.errors import ExchangeError
from engine.exchange.background import gather
from engine.types import Step

TABLE, IMAGE, POINT = "table.load.votable", "image.load.fits", "coord.pointAt.sky"
HIGHLIGHT, SELECT = "table.highlight.row", "table.select.rowList"
RECEIVED = (TABLE, IMAGE, POINT, HIGHLIGHT, SELECT)
NAME = "DeepLense"
WATCH = 3.0  # seconds between two looks whether the hub is there
DELIVERY = 60  # seconds that a program has to take a file
_HOST = "127.0.0.1"
_EVENTS = "samp.hub.event.*"
_SHUTDOWN = ("samp.hub.event.shutdown", "samp.hub.disconnect")
_TROUBLE = (
    OSError, HTTPException, RpcError, ExpatError,
    samp.SAMPHubError, samp.SAMPClientError, samp.SAMPProxyError,
)  # fmt: skip

samp.conf.use_internet = False  # SAMP stays on this machine: nothing on the network is asked whether it is there
logging.getLogger("astropy").setLevel(logging.WARNING)  # the hub tells there of each start and stop


@dataclass(frozen=True, slots=True)
class Client:
    """Another program at the hub: its id there, its name, and the kinds of message it takes."""

    id: str
    name: str
    takes: frozenset[str]

    def accepts(self, kind: str) -> bool:
        """Whether it subscribed to a kind of message, by name or by a pattern such as ``table.*``."""
        return any(one == kind or (one.endswith("*") and kind.startswith(one[:-1])) for one in self.takes)

    @property
    def accepts_any(self) -> bool:
        """Whether there is anything of ours that it takes; a hub takes nothing."""
        return any(self.accepts(kind) for kind in RECEIVED)


@dataclass(frozen=True, slots=True)
class Message:
    """What another program sent: one of RECEIVED, its parameters, and the sender's name."""

    kind: str
    parameters: Mapping[str, Any]
    sender: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Names of the programs that took what was sent, and what the others say."""

    taken: tuple[str, ...]
    troubles: tuple[str, ...] = ()


class Connection:
    """A registered SAMP client, and the hub where none ran and one was to be started.

    The callbacks are called in other threads: ``on_message(Message)``, ``on_clients(clients)`` when others come, go or
    change, and ``on_lost(text)`` once, when the hub has gone. After ``close`` none of them is called.
    """

    def __init__(
        self,
        *,
        on_message: Callable[[Message], object],
        on_clients: Callable[[tuple[Client, ...]], object],
        on_lost: Callable[[str], object],
        watch: float = WATCH,
    ) -> None:
        self.clients: tuple[Client, ...] = ()
        self._on_message, self._on_clients, self._on_lost = on_message, on_clients, on_lost
        self._watch_seconds = watch
        self._client = samp.SAMPIntegratedClient(
            name=NAME, description="Finds and judges strong gravitational lenses", addr=_HOST
        )
        self._hub: Any = None
        self._closed, self._wake = threading.Event(), threading.Event()
        self._ending = threading.Lock()
        self._awaited: list[queue.SimpleQueue[Mapping[str, Any] | None]] = []  # None: no answer will come

    @property
    def is_hub(self) -> bool:
        """Whether the hub is ours, and goes when we go."""
        return self._hub is not None

    def open(self, *, start_hub: bool = False) -> bool:
        """Register at the running hub; False where none runs and none is to be started.

        Raises
        ------
        ExchangeError : the hub does not answer as it should, or none could be started
        """
        try:
            if not _hub_runs():
                if not start_hub:
                    return False
                self._hub = samp.SAMPHubServer(addr=_HOST, web_profile=False, label=f"{NAME}'s hub")
                self._hub.start()
            self._client.connect()
            self._client.unbind_receive_call("client.env.get", declare=False)  # nobody needs to read our environment
            for kind in RECEIVED:
                self._client.bind_receive_message(kind, self._receive, declare=False)
            for kind in (_EVENTS, *_SHUTDOWN[1:]):
                self._client.bind_receive_notification(kind, self._hear, declare=False)
            self._client.declare_subscriptions()
            self.clients = self._read_clients()
        except _TROUBLE as error:
            self.close()
            raise ExchangeError(
                f"The SAMP hub cannot be used ({_short(error)}): close the program it belongs to, and connect again"
            ) from error
        self._on_clients(self.clients)
        threading.Thread(target=self._watch, name="SAMP watch", daemon=True).start()
        return True

    def send(self, kind: str, parameters: Mapping[str, str], to: str | None = None) -> list[str]:
        """Send a message to one client, or to all that take its kind; returns the names of those it went to.

        Raises
        ------
        ExchangeError : the hub or the client has gone
        """
        message = {"samp.mtype": kind, "samp.params": dict(parameters)}
        try:
            if to is None:
                reached = self._client.notify_all(message)
            else:
                self._client.notify(to, message)
                reached = [to]
        except _TROUBLE as error:
            raise ExchangeError(
                f"Nobody took the message ({_short(error)}): is the other program still open?"
            ) from error
        names = {client.id: client.name for client in self.clients}
        return [names.get(identity, identity) for identity in reached]

    def deliver(self, kind: str, parameters: Mapping[str, str], to: Sequence[Client]) -> Iterator[Step]:
        """Send a message to clients and wait until each says that it has taken it; the last step's item is a Delivery.

        A client that is busy has a minute; what one did not take is told with its own words.
        """
        calls = {client.id: partial(self._call, client, kind, parameters) for client in to}
        names = {client.id: client.name for client in to}
        taken, troubles = [], []
        for step in gather(calls, seconds=DELIVERY + 5):
            for identity, answer in step.items:
                if isinstance(answer, ExchangeError):
                    troubles.append(str(answer).replace(identity, names[identity]))
                else:
                    taken.append(answer)
            yield Step(step.done, step.total, note=f"Waiting for {', '.join(name for name in names.values())}")
        yield Step(len(to), len(to), (Delivery(tuple(taken), tuple(troubles)),))

    def _call(self, client: Client, kind: str, parameters: Mapping[str, str]) -> str:
        # Not the hub's own callAndWait: that of pyvo and astropy loses an answer that comes at once.
        tag, answers = uuid.uuid4().hex, queue.SimpleQueue[Mapping[str, Any] | None]()
        self._awaited.append(answers)
        listener = self._client.client
        listener.bind_receive_response(tag, lambda *told: answers.put(told[-1]))
        try:
            self._client.call(client.id, tag, {"samp.mtype": kind, "samp.params": dict(parameters)})
            if self._closed.is_set():
                answers.put(None)
            answer = answers.get(timeout=DELIVERY)
        except queue.Empty:
            raise ExchangeError(f"{client.name} did not answer within {DELIVERY} s") from None
        except _TROUBLE as error:
            raise ExchangeError(f"{client.name} did not answer ({_short(error)})") from error
        finally:
            self._awaited.remove(answers)
            listener.unbind_receive_response(tag)
        if answer is None:
            raise ExchangeError(f"{client.name} did not answer before the connection to the SAMP hub ended")
        if answer.get("samp.status") == samp.SAMP_STATUS_ERROR:
            said = answer.get("samp.error", {}).get("samp.errortxt") or "it gives no reason"
            raise ExchangeError(f"{client.name} did not take it ({said})")
        return client.name

    def close(self) -> None:
        """Unregister, and stop the hub if it is ours. May take a second; call it from a thread that may wait."""
        self._end()
        self._wake.set()
        with self._ending:
            with contextlib.suppress(*_TROUBLE):
                self._client.disconnect()
            self._stop_listening()
            if self._hub is not None:
                with contextlib.suppress(*_TROUBLE):
                    self._hub.stop()
                self._hub = None

    def _end(self) -> None:
        """Tell nothing any more, and leave nobody waiting for an answer."""
        self._closed.set()
        for answers in tuple(self._awaited):
            answers.put(None)

    def _stop_listening(self) -> None:
        """End the thread of a client whose hub has gone: ``disconnect`` leaves it then."""
        client = self._client.client
        if client is not None and client.is_running:
            with contextlib.suppress(*_TROUBLE):
                client.stop()

    def _read_clients(self) -> tuple[Client, ...]:
        own = self._client.get_public_id()
        return tuple(self._describe(identity) for identity in self._client.get_registered_clients() if identity != own)

    def _describe(self, identity: str) -> Client:
        name = str(self._client.get_metadata(identity).get("samp.name") or "Another program")
        return Client(identity, name, frozenset(self._client.get_subscriptions(identity)))

    def _watch(self) -> None:
        """Look again at the clients when the hub tells of a change, and now and then whether it is there at all."""
        while not self._closed.is_set():
            self._wake.wait(self._watch_seconds)
            self._wake.clear()
            if self._closed.is_set():
                return
            try:
                clients = self._read_clients()
            except samp.SAMPProxyError:
                continue  # a client left while it was asked for: the hub tells of it next
            except _TROUBLE:
                self._lose()
                return
            if clients != self.clients and not self._closed.is_set():
                self.clients = clients
                self._on_clients(clients)

    def _lose(self) -> None:
        if not self._closed.is_set():
            self._end()
            self._stop_listening()
            self._on_lost("The SAMP hub has gone: connect again when it, or another, is there")

    def _hear(self, _key: str, _sender: str, kind: str, _parameters: Any, _extra: Any) -> None:
        """Take what the hub tells of itself and its clients."""
        if kind in _SHUTDOWN:
            threading.Thread(target=self._lose, name="SAMP end", daemon=True).start()  # stops the thread we are in
        else:
            self._wake.set()

    def _receive(
        self, _key: str, sender: str, message: str | None, kind: str, parameters: Mapping[str, Any], _extra: Any
    ) -> None:
        if self._closed.is_set():
            return
        if message is not None:
            with contextlib.suppress(*_TROUBLE):  # the sender may be gone: it is no less a message
                self._client.ereply(message, samp.SAMP_STATUS_OK, result={})
        name = next((client.name for client in self.clients if client.id == sender), "Another program")
        self._on_message(Message(kind, parameters, name))


def _hub_runs() -> bool:
    """Whether the hub that the lock file, or SAMP_HUB, names answers."""
    try:
        samp.SAMPHubProxy().connect()
    except (KeyError, *_TROUBLE):  # KeyError: another hub runs, that is not for all
        return False
    return True


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
